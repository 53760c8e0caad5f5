"""Target rates: the label's rate among other examples with the same value, learnt without looking at itself.

rate = (Σ label + prior · m) / (rows + prior) over the rows that count; m is their overall rate for a value, and the
mean of its two values' rates for a pair. Where no row counts yet, a rate is null. Null is a value like any other: what
is missing tells something too. A row without a label counts nowhere. Keys are hashes of 64 bits: among ten million of
them two are one with a chance of 3 in a million. Rates are computed over all examples, before any is left out by
sampling.

Source: D. Micci-Barreca, A Preprocessing Scheme for High-Cardinality Categorical Attributes, SIGKDD Explorations 2001.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bottega.design.features import TargetRate
from bottega.errors import DataError, DesignError, nearest
from bottega.features.frame import Frame, category
from bottega.features.hashing import Hashes, hashes, paired

Floats: TypeAlias = NDArray[np.float64]
Keys: TypeAlias = Mapping[str, Hashes]
_Count: TypeAlias = Callable[[NDArray[np.int32], int], tuple[Floats, Floats]]
_AS_THEY_STAND = np.zeros(0, np.int64)
_ALONE = 0.95  # of the examples: above it a rate out of fold tells nothing
_NEVER = np.iinfo(np.int64).max


def rate_pairs(feature: TargetRate) -> list[tuple[str, str]]:
    """Name every two columns that are rated together."""
    return list(combinations(feature.columns, 2)) if feature.pairs else []


def rate_keys(feature: TargetRate) -> list[str]:
    """Name the keys that are rated: the columns, then the pairs; `DesignError` where two would have one name.

    >>> rate_keys(TargetRate(["user", "ad", "hour"], pairs=True))
    ['user', 'ad', 'hour', 'user_ad', 'user_hour', 'ad_hour']
    """
    found = [*feature.columns, *("_".join(pair) for pair in rate_pairs(feature))]
    if twice := sorted({name for name in found if found.count(name) > 1}):
        raise DesignError(
            "features: TargetRate",
            f"two rates named {twice[0]!r}",
            "names that tell columns and pairs apart",
            f"leave {twice[0]!r} out, or rename a column of the table by columns={{ours: theirs}}",
        )
    return found


def rate_names(feature: TargetRate) -> list[str]:
    """Name the columns that the feature makes.

    >>> rate_names(TargetRate(["user", "ad"]))
    ['rate_user', 'seen_user', 'rate_ad', 'seen_ad']
    """
    return [f"{what}_{key}" for key in rate_keys(feature) for what in ("rate", "seen")]


def row_keys(feature: TargetRate, frame: Frame) -> dict[str, Hashes]:
    """Hash each column of the feature at each row of a frame, (n,) uint64; a column of the request is repeated.

    Errors: `DesignError` for a column that is not there, or that is a time.
    """
    found = {}
    for name in feature.columns:
        column = frame.requests.get(name, frame.candidates.get(name))
        if column is None:
            known = [*frame.requests, *frame.candidates]
            raise DesignError(
                "features: TargetRate", f"no column {name!r}", f"one of {', '.join(known)}", nearest(name, known)
            )
        if isinstance(column, np.ndarray) and column.dtype.kind == "M":
            raise DesignError(
                "features: TargetRate", f"the rate of a time, {name!r}", "texts and numbers", "a column for its hour"
            )
        made = hashes(category(column))
        found[name] = made[frame.group] if name in frame.requests else made
    return found


def usable_from(time: NDArray[np.int64], final: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give from when an example counts for others, (n,): when its label is final, and never at its own time."""
    return np.maximum(final, time + 1)


def rates_before(
    feature: TargetRate,
    keys: Keys,
    label: NDArray[np.float32],
    time: NDArray[np.int64],
    final: NDArray[np.int64],
) -> Iterator[tuple[str, Floats]]:
    """Rate examples with a time by those before whose labels were final: gives each column's name and values (n,).

    An example counts from `final` on, and never at or before its own time, so that none sees itself or what happens at
    the same moment. When it is wrong: where positives are known sooner than negatives (`observed_at`), the newest rows
    that count are mostly positives, and rates of what is shown more and more are too high.

    keys: column → (n,) hashes, as `row_keys` gives them. label: (n,). time, final: (n,) microseconds since 1970 UTC.
    """
    from bottega.features import kernels_rates

    missing = np.isnan(label)
    usable = np.where(missing, _NEVER, usable_from(time, final))
    labels = np.where(missing, 0, label).astype(np.float64)
    arriving, asking = _order(usable), _order(time)

    def count(numbers: NDArray[np.int32], size: int) -> tuple[Floats, Floats]:
        seen, total = np.empty(len(numbers)), np.empty(len(numbers))
        kernels_rates.before(numbers, size, labels, usable, arriving, np.ascontiguousarray(time), asking, seen, total)
        return seen, total

    yield from _rated(feature, keys, len(label), count)


def rates_by_fold(
    feature: TargetRate,
    keys: Keys,
    label: NDArray[np.float32],
    learn: NDArray[np.bool_],
    seed: int,
    group: NDArray[Any] | None = None,
) -> Iterator[tuple[str, Floats]]:
    """Rate examples without a time: one that is learnt from by the other folds, any other by all that are learnt from.

    Gives each column's name and values (n,). Rows outside `learn` change nothing but their own values' places.

    keys: column → (n,) hashes, as `row_keys` gives them. label: (n,). learn: (n,) the rows that models learn from.
    seed: another one draws other folds. group: (n,) integers; a group's rows lie in one fold: requests, or the groups
    of a `GroupSplit`. Errors: `DataError` below two groups, or rows, to learn from.
    """
    learn = learn & ~np.isnan(label)
    place = np.arange(int(learn.sum())) if group is None else np.unique(group[learn], return_inverse=True)[1]
    groups = int(place.max(initial=-1)) + 1
    if groups < 2:
        raise DataError(
            "features: TargetRate",
            f"{groups} group{'s' * (groups != 1)} to learn from",
            "at least two, so that each is rated by others",
            "other groups in the split, or more data",
        )
    fold = (np.random.default_rng(seed).permutation(groups) % feature.folds)[place].astype(np.uint64)
    labels = label[learn].astype(np.float64)

    def count(numbers: NDArray[np.int32], size: int) -> tuple[Floats, Floats]:
        own = numbers[learn]
        part, parts = _numbered(paired(own.astype(np.uint64), fold))  # each key in each fold
        results = []
        for weight in (np.ones(len(own)), labels):
            values: Floats = np.bincount(own, weight, size).astype(np.float64)[numbers]
            values[learn] -= np.bincount(part, weight, parts)[part]
            results.append(values)
        return results[0], results[1]

    yield from _rated(feature, keys, len(label), count)


def check_shared(feature: TargetRate, keys: Keys, learn: NDArray[np.bool_], group: NDArray[Any]) -> None:
    """Refuse a column whose values stand in one group each: out of fold no example is rated by its own value.

    keys, learn, group: as for `rates_by_fold`. Errors: `DataError` by the column's name.
    """
    _, place = np.unique(group[learn], return_inverse=True)
    groups = int(place.max(initial=0)) + 1
    for name in feature.columns:
        values, number = np.unique(keys[name][learn], return_inverse=True)
        pairs = np.unique(number.astype(np.int64) * groups + place) // groups
        alone = float((np.bincount(pairs, minlength=len(values)) == 1)[number].mean()) if len(number) else 0.0
        if alone > _ALONE:
            raise DataError(
                "features: TargetRate",
                f"{alone:.0%} of the examples have a value of {name!r} that stands in one request or group alone",
                "values that several requests share: without a time, each is rated by the other requests",
                "name what tells one request from the next in Logged(request=[…]), or leave the column out",
            )


def smoothed(seen: Floats, total: Floats, prior: float, mean: Any) -> Floats:
    """Mix `prior` rows of the coarser rate into each rate, (n,); where there is neither, it is the coarser rate."""
    weight = seen + prior
    rate: Floats = np.divide(total + prior * mean, weight, out=np.array(mean, np.float64), where=weight > 0)
    return rate


def _rated(feature: TargetRate, keys: Keys, rows: int, count: _Count) -> Iterator[tuple[str, Floats]]:
    rate_keys(feature)
    seen, total = count(np.zeros(rows, np.int32), 1)
    overall = np.divide(total, seen, out=np.full(rows, np.nan), where=seen > 0)
    rates: dict[str, Floats] = {}
    for name in feature.columns:
        seen, total = count(*_numbered(keys[name]))
        rates[name] = smoothed(seen, total, feature.prior, overall)
        yield f"rate_{name}", rates[name]
        yield f"seen_{name}", seen
    for left, right in rate_pairs(feature):
        seen, total = count(*_numbered(paired(keys[left], keys[right])))
        yield f"rate_{left}_{right}", smoothed(seen, total, feature.prior, (rates[left] + rates[right]) / 2)
        yield f"seen_{left}_{right}", seen


def _numbered(keys: Hashes) -> tuple[NDArray[np.int32], int]:
    from bottega.features import kernels_hashing

    return kernels_hashing.number(keys)


def _order(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the rows by a value, equal ones as they stand; empty where all stand so."""
    return _AS_THEY_STAND if bool((values[1:] >= values[:-1]).all()) else np.argsort(values, kind="stable")
