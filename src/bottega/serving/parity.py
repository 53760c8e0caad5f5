"""The parity gate: what the serving code reads for an example equals what the model was trained on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from bottega.design.design import Design
from bottega.design.features import Window
from bottega.features.aggregates import parse_aggregate
from bottega.features.entities import by_columns
from bottega.features.frame import Column, objects

_TOLERANCE = 1e-5  # of the larger absolute value; counts must be equal to the bit
WORST = 10
"""Mismatches that are told in full."""


class Mismatch(msgspec.Struct, frozen=True):
    """One value that differs, with what each side says."""

    feature: str
    request: dict[str, Any]
    candidate: str | None
    training: float | str | None
    serving: float | str | None
    training_says: str = ""
    """What the log says that training's value rests on."""
    serving_says: str = ""
    """What the record says that serving's value rests on."""


class Parity(msgspec.Struct, frozen=True):
    """What the gate compared, and what it found."""

    compared: int
    mismatches: int
    by_feature: dict[str, int]
    """Mismatches of each feature that has any."""
    worst: list[Mismatch]
    """The largest relative differences, the largest first."""
    events: int = 0
    """Events that went through the stream while examples were read between them."""
    approximate: int = 0
    """Mismatches of features that the design calls approximate; not among `mismatches`."""


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


def gap(training: Any, serving: Any, exact: bool) -> float:
    """Give how far apart two single values are, as `differences` does; NaN and None are null.

    exact: whether any difference counts.

    >>> gap(1.0, 1.000001, False), gap(float("nan"), None, False), gap(4.0, 3.0, True), gap("a", "b", True)
    (0.0, 0.0, 0.25, inf)
    """
    nulls = [value is None or value != value for value in (training, serving)]
    if any(nulls) or isinstance(training, str) or isinstance(serving, str):
        return 0.0 if all(nulls) or training == serving else np.inf
    relative = 0.0 if training == serving else abs(training - serving) / max(abs(training), abs(serving))
    if relative != relative:  # an infinity against a number
        return np.inf
    return float(relative) if relative > (0.0 if exact else _TOLERANCE) else 0.0


class Said(msgspec.Struct, frozen=True):
    """What the two sides say that one value rests on, looked at while both still stood there."""

    training: str = ""
    serving: str = ""
    slack: float = 0.0
    """How far the two values may lie apart: of a sum 1e-5 of the sum of absolute values."""


def summarise(
    columns: Sequence[tuple[str, Column, Column]],
    exact: frozenset[str],
    places: Sequence[tuple[dict[str, Any], str | None]],
    said: Mapping[tuple[str, int], Said],
) -> Parity:
    """Compare columns of training and serving, row by row.

    columns: name, training's values, serving's values, (n,) each. places: the request and candidate of each row. said:
    by name and row what was said of values that differ.
    """
    compared, by_feature, worst = 0, {}, []
    for name, training, serving in columns:
        gaps = differences(training, serving, name in exact)
        compared += len(gaps)
        left, right = objects(training), objects(serving)
        for row in np.flatnonzero(gaps).tolist():
            slack = said[name, row].slack if (name, row) in said else 0.0
            if slack and abs(left[row] - right[row]) <= slack:
                gaps[row] = 0.0
        bad = np.flatnonzero(gaps)
        if len(bad):
            by_feature[name] = len(bad)
            for row in bad[np.argsort(-gaps[bad], kind="stable")][:WORST].tolist():
                (request, candidate), told = places[row], said.get((name, row), Said())
                values = readable(left[row]), readable(right[row])
                worst.append(
                    (float(gaps[row]), Mismatch(name, request, candidate, *values, told.training, told.serving))
                )
    worst.sort(key=lambda item: -item[0])
    return Parity(compared, sum(by_feature.values()), by_feature, [told for _, told in worst[:WORST]])


def together(found: Sequence[Parity]) -> Parity:
    """Put what was compared in several parts into one, the worst of each in their order.

    >>> together([Parity(2, 0, {}, []), Parity(3, 1, {"ctr": 1}, [])]).compared
    5
    """
    return Parity(
        sum(part.compared for part in found),
        sum(part.mismatches for part in found),
        {name: count for part in found for name, count in part.by_feature.items()},
        [told for part in found for told in part.worst][:WORST],
    )


def excused(found: Parity, approximate: Collection[str]) -> Parity:
    """Leave the features that a design calls approximate out of the mismatches, and count theirs by themselves.

    >>> excused(Parity(3, 2, {"ctr": 1, "age": 1}, []), ["age"])
    Parity(compared=3, mismatches=1, by_feature={'ctr': 1, 'age': 1}, worst=[], events=0, approximate=1)
    """
    let = sum(count for name, count in found.by_feature.items() if name in approximate)
    return msgspec.structs.replace(found, mismatches=found.mismatches - let, approximate=let)


def readable(value: Any) -> float | str | None:
    """Give a value of a column as JSON can say it; null for NaN, NaT and infinity."""
    if value is None or value != value:
        return None
    if isinstance(value, (str, np.datetime64)):
        return str(value)
    return float(value) if np.isfinite(value) else str(value)
