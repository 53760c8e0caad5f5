"""What stages ask of the candidates: for which a condition holds, and which have equal values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bottega.design.reranking import Deduplicate, Diversify, Explore, Quota, Rule
from bottega.errors import DesignError, nearest
from bottega.features.expressions import Parsed, evaluate, parse
from bottega.serving.reranking.slate import Array, Slate

Codes = npt.NDArray[np.int64]


def needed_columns(stages: Sequence[object]) -> frozenset[str]:
    """Give the names of the features that the re-ranking stages of a path read.

    >>> sorted(needed_columns([Rule(where="margin > 0.3", drop=True), Deduplicate(by="series")]))
    ['margin', 'series']
    """
    names: set[str] = set()
    for stage in stages:
        match stage:
            case Diversify(by=several):
                names.update(several)
            case Quota(where=where, by=by):
                names.update(_parsed(where, "Quota.where").columns if where is not None else [str(by)])
            case Rule(where=where):
                names.update(_parsed(where, "Rule.where").columns)
            case Deduplicate(by=by):
                names.add(by)
            case Explore(successes=successes, trials=trials) if successes is not None and trials is not None:
                names.update((successes, trials))
    return frozenset(names)


def holds(slate: Slate, where: str, place: str) -> npt.NDArray[np.bool_]:
    """Say for which candidates a condition holds, (n,); null does not, and a number does as "not 0".

    place: what an error calls it. Errors: `DesignError` for a column that is not there, or no condition.
    """
    parsed = _parsed(where, place)
    found = evaluate(parsed, slate.columns, len(slate.ids))
    if found.dtype != np.float64:
        raise DesignError(f"{place}: {where}", "no condition", "what is true or false", "such as age_hours < 24")
    return np.asarray((found != 0) & (found == found), np.bool_)


def column(slate: Slate, name: str, place: str) -> Array:
    """Give a feature of all candidates, (n,). Errors: `DesignError` where there is none of this name."""
    try:
        return slate.columns[name]
    except KeyError:
        allowed = "one of " + ", ".join(sorted(slate.columns)) if slate.columns else "no features are known here"
        raise DesignError(place, f"no column {name!r}", allowed, nearest(name, slate.columns)) from None


def codes(slate: Slate, name: str, place: str) -> Codes:
    """Give equal values of a feature equal numbers from 0 on, and nulls −1, (n,); errors as of `column`."""
    values = column(slate, name, place)
    if values.dtype.kind in "OU":
        known: dict[object, int] = {}
        numbers = [
            -1 if value is None or value != value else known.setdefault(value, len(known)) for value in values.tolist()
        ]
        return np.array(numbers, np.int64)
    null = np.isnat(values) if values.dtype.kind == "M" else ~np.isfinite(values)
    _, found = np.unique(values, return_inverse=True)
    return np.where(null, -1, found).astype(np.int64)


@lru_cache(maxsize=1024)
def _parsed(where: str, place: str) -> Parsed:
    return parse(where, where=place)
