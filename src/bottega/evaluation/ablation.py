"""Ablation: what the path would show without one of its sources or stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bottega.errors import DataError
from bottega.evaluation.estimating import RESAMPLES, reason
from bottega.evaluation.outcome import Mask, Outcome, Rung
from bottega.metrics import metric


@dataclass(frozen=True, eq=False)
class Without:
    """A path with something taken out.

    kind: `source` or `stage`. name: what is taken out. rung: what then orders the candidates. found: (n,) the rows that
    the path still has; nothing: all that it had.
    """

    kind: str
    name: str
    rung: Rung
    found: Mask | None = None


def ablation(
    outcome: Outcome, served: Rung, parts: Sequence[Without], primary: str, seed: int = 0
) -> list[dict[str, Any]]:
    """Judge the path as it is served, and once without each of its parts, for `ablation` of the scorecard.

    The first entry is the whole path, `kind` and `name` "path"; then one for each part: `kind`, `name`, `metric`,
    `value` {value, low, high, n} of what remains, and `difference` of the whole less that, on the same resamples, above
    zero where the part earns its place; `undefined` says why there is none. When it is wrong: models were trained with
    the part, and what a removed source leaves free is not filled up from beyond the cut; a part of little difference
    may still be what another one would miss.

    outcome: of the test. served: the order in which the whole path shows candidates. primary: a metric of lists.

    >>> one = Rung("Trees", "rank", np.array([0.1, 0.5]))
    >>> outcome = Outcome(np.array([0, 0]), np.array([7]), np.array([3, 4]), np.array([0, 1]), np.array([True, True]),
    ...                   {}, {}, [one], None)
    >>> told = ablation(outcome, one, [Without("source", "ALS", one, np.array([True, False]))], "mrr")
    >>> [(row["name"], row["value"]["value"]) for row in told]
    [('path', 1.0), ('ALS', 0.0)]
    """
    by = metric(primary)
    if by.kind == "binary":
        return []
    settings: dict[str, Any] = {"entity": outcome.entity, "resamples": RESAMPLES[by.kind], "seed": seed}
    whole = replace(outcome, rungs=[served]).ranking(served)
    rows: list[dict[str, Any]] = []
    for part in (Without("path", "path", served), *parts):
        found = outcome.path if part.found is None else outcome.path & part.found
        rest = replace(outcome, path=found, rungs=[part.rung]).ranking(part.rung)
        row: dict[str, Any] = {"kind": part.kind, "name": part.name, "metric": by.name}
        try:
            row["value"] = by.estimate(rest, **settings).to_dict()
            row["difference"] = by.paired(whole, rest, **settings).to_dict() if part.kind != "path" else None
        except DataError as error:
            row |= {"value": None, "difference": None, "undefined": reason(error)}
        rows.append(row)
    return rows


def as_retrieved(outcome: Outcome) -> Rung:
    """Give the order in which the path's rows stand: that of retrieval, as nothing ranked them."""
    return Rung("retrieval", "retrieve", -np.arange(len(outcome.group), dtype=np.float64))
