"""The page: a design and its scorecard as verdict, figures and sections, in the order of the seven steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bottega.design.design import Design
from bottega.reporting.blocks import Page
from bottega.reporting.chapters.data import data
from bottega.reporting.chapters.drawing import drawing
from bottega.reporting.chapters.evaluation import evaluation
from bottega.reporting.chapters.features import features
from bottega.reporting.chapters.making import making
from bottega.reporting.chapters.missing import missing
from bottega.reporting.chapters.models import models
from bottega.reporting.chapters.monitoring import monitoring
from bottega.reporting.chapters.scope import scope
from bottega.reporting.chapters.serving import serving
from bottega.reporting.doubts import doubts
from bottega.reporting.scorecard import Scorecard, of
from bottega.reporting.verdict import tiles, verdict

CHAPTERS = (drawing, scope, data, features, models, evaluation, serving, monitoring, making, missing)


def page(design: Design, scorecard: Scorecard | Mapping[str, Any]) -> Page:
    """Compose the page; a part that the scorecard does not hold is said to be missing."""
    card = of(scorecard)
    source, seed = (card.source.text if card.source is not None else ""), f"seed {card.seed}"
    origin = [
        f"build {card.build}" if card.build else "",
        source,
        seed if card.seed is not None and not source.endswith(seed) else "",
        card.created or "",
    ]
    return Page(
        title=design.name,
        question=design.scope.question,
        verdict=verdict(card),
        tiles=tiles(design, card),
        origin=[part for part in origin if part],
        doubts=doubts(card),
        sections=[chapter(design, card) for chapter in CHAPTERS if card.ran or chapter is not making],
    )
