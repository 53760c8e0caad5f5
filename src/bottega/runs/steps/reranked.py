"""The order in which a path shows the test's candidates: as its stages of re-ranking leave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from bottega.design.reranking import Reranking
from bottega.evaluation.outcome import Outcome, Rung
from bottega.features.frame import Column, Values, objects
from bottega.runs.steps.examples import Examples
from bottega.runs.steps.features import plain_column
from bottega.serving.reranking.chain import rerank
from bottega.serving.reranking.conditions import needed_columns
from bottega.serving.reranking.slate import Slate


def shown_by(
    stages: Sequence[Reranking], rows: Examples, chosen: np.ndarray, outcome: Outcome, rung: Rung, values: Values,
    k: int, seed: int, changed: Mapping[str, Column] = MappingProxyType({}),
) -> Rung:  # fmt: skip
    """Give the order in which lists are shown once re-ranked, as a rung; what is not shown any more has no score.

    Items' vectors are not read here: `Diversify` compares features alone. rows, values: the examples and their
    features. chosen: (m,) the rows of the outcome. rung: what ranks them. k: how many are shown. changed: columns (m,)
    that stand in the place of features, as where a source says nothing.
    """
    asked = {name: plain_column(rows.requests.columns.column(name)) for name in rows.requests.columns.column_names}
    every = Values({**asked, **values.request}, values.row)
    columns = {
        name: objects(changed[name]) if name in changed else objects(every.at_rows(name, rows.group))[chosen]
        for name in needed_columns(stages)
    }
    ids = objects(rows.candidate)[chosen] if rows.name is not None else np.full(len(chosen), "")
    scores = np.full(len(chosen), np.nan)
    bounds = np.searchsorted(outcome.group, np.arange(outcome.requests + 1))
    rng = np.random.default_rng(seed)
    for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        part = low + np.flatnonzero(outcome.path[low:high] & ~np.isnan(rung.scores[low:high]))
        said = rung.scores[part].astype(np.float64)
        order = np.lexsort((ids[part], -said))
        slate = Slate(order, said, {name: column[part] for name, column in columns.items()}, ids[part].tolist(), k)
        done = rerank(stages, slate, rng)
        scores[part[done.rows]] = -np.arange(len(done.rows))
    return Rung("path", "rerank", scores, probability=False)
