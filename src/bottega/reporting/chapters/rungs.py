"""Of the chapter on models: what each rung is, how networks learnt, and which rungs were left out."""

from __future__ import annotations

import msgspec

from bottega.design.design import Design
from bottega.design.models import Model, rung_name
from bottega.design.scorers import MultiTask
from bottega.design.serving import Rank
from bottega.reporting import numbers
from bottega.reporting.blocks import Block, Bullets, Code, Grid, Heading, Paragraph, Words
from bottega.reporting.parts import Begun
from bottega.reporting.scorecard import Scorecard

_CALIBRATORS = {"platt": "Platt", "isotonic": "isotonic", "beta": "beta"}


def rungs(design: Design, card: Scorecard) -> list[Block]:
    """Show the ladders as the design has them: each rung with its settings, and what keeps its probability honest."""
    left_out = set(card.left_out)
    rows: list[list[Words]] = []
    for ladder, models in design.models.items():
        for model in models:
            optional = getattr(model, "optional", False)
            if card.models and optional and rung_name(model) not in left_out and not _judged(card, model):
                continue
            sampled = design.data.sampling is not None and label_of(design, ladder) == design.data.labels[0].name
            name = f"{rung_name(model)} (optional)" if optional and not _judged(card, model) else rung_name(model)
            rows.append([name, ladder, Code(_settings(model)), _honest(design, model, sampled)])
    if not rows:
        return []
    columns = 4 if any(row[3] for row in rows) else 3
    head = ["model", "ladder", "settings", "probability"][:columns]
    return [Grid("The ladders, as the design has them", head, [row[:columns] for row in rows], left=columns)]


def label_of(design: Design, ladder: str) -> str:
    """Name the label that a ladder learns: what the path says, else the first."""
    asked = [stage.label for stage in design.serving.path if isinstance(stage, Rank) and stage.ladder == ladder]
    return next((label for label in asked if label is not None), design.data.labels[0].name)


def made(card: Scorecard) -> list[Block]:
    """Show where fits began and how networks learnt, and say which rungs were not trained."""
    blocks = begun(card)
    if card.training:
        rows: list[list[Words]] = []
        for name, found in card.training.items():
            epochs = numbers.count(found.epochs)
            if found.best_epoch is not None:
                epochs += f", the best {numbers.count(found.best_epoch)}"
            where = ", ".join(part for part in (found.device, found.precision) if part)
            rate = numbers.count(found.examples_per_s)
            rows.append([name, where, epochs, numbers.count(found.rows), rate, numbers.seconds(found.seconds)])
        head = ["model", "on", "epochs", "examples", "examples/s", "time"]
        blocks += [Heading("How the networks learnt"), Grid("Training", head, rows, left=3)]
    if card.left_out:
        items: list[Words] = [f"{name}: {reason}" for name, reason in card.left_out.items()]
        blocks += [Heading("Left out"), Bullets(items)]
    return blocks


def begun(card: Scorecard) -> list[Block]:
    """Say which fits went on from a release and how many rows were new, or why they began from scratch."""
    items: list[Words] = [*beginnings(card)]
    if not items:
        return []
    blocks: list[Block] = [Heading("Where the models began"), Bullets(items)]
    if any(each.release for found in card.warm.values() for each in found.fits) and len(card.models) > len(card.warm):
        blocks.append(Paragraph("All other rungs learnt from scratch.", quiet=True))
    return blocks


def beginnings(card: Scorecard) -> list[str]:
    """Say of each fit of a champion that was to go on from a release where it began, in a sentence."""
    aims = {"train": "for the choice on validation", "refit": "for the test and for serving"}
    return [
        f"{ladder}, {aims.get(each.fit, each.fit)}: {_beginning(each)}"
        for ladder, found in card.warm.items()
        for each in found.fits
    ]


def _beginning(fit: Begun) -> str:
    if not fit.release:
        return f"{fit.rung or 'every rung'} learnt from scratch{f', because {fit.reason}' if fit.reason else ''}."
    until = f", which had learnt until {fit.until}" if fit.until else ""
    rows = f"learnt {numbers.count(fit.new_rows)} new rows, of {numbers.count(fit.rows)} in all"
    return f"{fit.rung} went on from release {fit.release}{until}, and {rows}."


def _judged(card: Scorecard, model: Model) -> bool:
    return any(rung.name == rung_name(model) for rung in card.models)


def _settings(model: Model) -> str:
    """The model without what stands in columns of its own."""
    asides = {"name": None, "calibrate": None, "optional": False}
    own = {name: value for name, value in asides.items() if hasattr(model, name)}
    return repr(msgspec.structs.replace(model, **own))


def _honest(design: Design, model: Model, sampled: bool) -> str:
    """What makes its scores probabilities: correction, calibrator; and what distorts them."""
    found = []
    several = isinstance(model, MultiTask)
    if several or getattr(model, "objective", "") == "lambdarank":
        found.append("orders only")
    if getattr(model, "loss", "") == "focal":
        found.append("distorted by the focal loss")
    if getattr(model, "positive_weight", 1.0) != 1.0:
        found.append("distorted by class weights")
    if sampled and design.data.sampling is not None and hasattr(model, "calibrate"):
        corrected = design.data.sampling.correct and not several
        found.append("corrected for the sampling" if corrected else "learnt with weights")
    if (calibrate := getattr(model, "calibrate", None)) is not None:
        found.append(f"calibrated ({_CALIBRATORS[calibrate]})")
    return ", then ".join(found)
