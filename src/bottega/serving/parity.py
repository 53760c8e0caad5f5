"""The parity gate: what the serving code reads for an example equals what the model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from bottega.design.design import Design
from bottega.design.features import Window
from bottega.features.aggregates import parse_aggregate
from bottega.features.entities import by_columns
from bottega.features.frame import Column, objects

_TOLERANCE = 1e-5  # of the larger absolute value; counts must be equal to the bit
_WORST = 10


class Mismatch(msgspec.Struct, frozen=True):
    """One value that differs, with what each side says."""

    feature: str
    request: dict[str, Any]
    candidate: str | None
    training: float | str | None
    serving: float | str | None


class Parity(msgspec.Struct, frozen=True):
    """What the gate compared, and what it found."""

    compared: int
    mismatches: int
    by_feature: dict[str, int]
    """Mismatches of each feature that has any."""
    worst: list[Mismatch]
    """The largest relative differences, the largest first."""


def exact_columns(design: Design) -> frozenset[str]:
    """Name the features that must agree to the bit: counts."""
    return frozenset(
        f"{part.name or '_'.join(by_columns(part.by))}_{name}_{span}"
        for part in design.features
        if isinstance(part, Window)
        for name, source in part.values.items()
        if parse_aggregate(source).function in ("count", "distinct")
        for span in part.over
    )


def differences(training: Column, serving: Column, exact: bool) -> np.ndarray:
    """Give how far each pair of values is beyond what is allowed, (n,): 0 where they agree, infinite for null or text.

    exact: whether any difference counts. Numbers agree within 1e-5 of the larger absolute value; nulls with nulls.
    """
    left, right = objects(training), objects(serving)
    if left.dtype.kind != right.dtype.kind:
        return np.full(len(left), np.inf)
    if left.dtype == object:
        return np.where(left == right, 0.0, np.inf)
    if left.dtype.kind == "M":
        return np.where((left == right) | (np.isnat(left) & np.isnat(right)), 0.0, np.inf)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(invalid="ignore", over="ignore"):
        relative = np.abs(left - right) / np.where(same, 1.0, np.maximum(np.abs(left), np.abs(right)))
    relative = np.where(np.isfinite(relative), relative, np.inf)  # a null or an infinity against a number
    return np.where(same | (relative <= (0.0 if exact else _TOLERANCE)), 0.0, relative)


def summarise(
    columns: Sequence[tuple[str, Column, Column]],
    exact: frozenset[str],
    places: Sequence[tuple[dict[str, Any], str | None]],
) -> Parity:
    """Compare columns of training and serving, row by row.

    columns: name, training's values, serving's values, (n,) each. places: the request and candidate of each row.
    """
    compared, by_feature, worst = 0, {}, []
    for name, training, serving in columns:
        gaps = differences(training, serving, name in exact)
        compared += len(gaps)
        bad = np.flatnonzero(gaps)
        if len(bad):
            by_feature[name] = len(bad)
            left, right = objects(training), objects(serving)
            for row in bad[np.argsort(-gaps[bad], kind="stable")][:_WORST].tolist():
                told = Mismatch(name, places[row][0], places[row][1], readable(left[row]), readable(right[row]))
                worst.append((float(gaps[row]), told))
    worst.sort(key=lambda item: -item[0])
    return Parity(compared, sum(by_feature.values()), by_feature, [told for _, told in worst[:_WORST]])


def together(found: Sequence[Parity]) -> Parity:
    """Put what was compared in several parts into one, the worst of each in their order.

    >>> together([Parity(2, 0, {}, []), Parity(3, 1, {"ctr": 1}, [])]).compared
    5
    """
    return Parity(
        sum(part.compared for part in found),
        sum(part.mismatches for part in found),
        {name: count for part in found for name, count in part.by_feature.items()},
        [told for part in found for told in part.worst][:_WORST],
    )


def readable(value: Any) -> float | str | None:
    """Give a value of a column as JSON can say it; null for NaN, NaT and infinity."""
    if value is None or value != value:
        return None
    if isinstance(value, (str, np.datetime64)):
        return str(value)
    return float(value) if np.isfinite(value) else str(value)
