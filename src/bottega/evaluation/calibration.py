"""Calibration for the scorecard: whether predicted shares come true, in all, by decile of the score, and by slice."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.data.keys import encode
from bottega.errors import DataError
from bottega.evaluation.estimating import RESAMPLES, reason
from bottega.evaluation.slicing import MISSING
from bottega.metrics import Predictions, metric

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

DECILES = 10
SMALLEST = 1_000  # rows of a value from which its ratio is told
_WIDTH = NormalDist().inv_cdf(0.975)


def calibration_of(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, entity: npt.ArrayLike | None = None, seed: int = 0
) -> dict[str, Any]:
    """How far the probabilities of one model are right: the facts of a reliability plot, and three numbers.

    `deciles`: tenths of the rows by rising score, equal scores in one, so there may be fewer; each with `predicted` and
    `observed` share, `low` and `high` of the observed one, and `n` rows. The interval is Wilson's at 95 %, for the rows
    that independent ones would be worth: n divided by how many times the rows of one entity scatter more together than
    alone, at least 1; it has an upper end where there is no positive, too. `predicted_over_observed`, `ece` (debiased)
    and `normalized_entropy`: `value`, `low`, `high`, `n`, as the metrics of these names estimate them; one that is not
    defined is nothing, with its reason under `undefined`. When it is wrong: faults
    within a decile cancel.

    labels: (n,) 0 or 1. probabilities: (n,) in [0, 1]. entity: (n,) ids whose rows belong together; nothing: each row
    is its own. seed: of the resamples. Raises `DataError` for columns that do not fit and scores outside [0, 1].

    >>> found = calibration_of([0, 1] * 50, [0.25, 0.75] * 50)
    >>> [round(decile["observed"], 2) for decile in found["deciles"]], found["predicted_over_observed"]["value"]
    ([0.0, 1.0], 1.0)

    Source: E. Wilson, Probable inference, the law of succession, and statistical inference, 1927; N. Dean and
    M. Pagano, Evaluating confidence interval methods for binomial proportions in clustered surveys, 2015.
    """
    predictions = Predictions(labels, probabilities)
    score, codes = predictions.probabilities, _codes(entity, len(predictions))
    found: dict[str, Any] = {"deciles": _deciles(predictions, score, codes)}
    undefined = {}
    for name in ("predicted_over_observed", "ece", "normalized_entropy"):
        try:
            by = metric(name)
            estimate = by.estimate(predictions, entity=codes, resamples=RESAMPLES["binary"], seed=seed)
            found[name] = estimate.to_dict()
        except DataError as error:
            found[name], undefined[name] = None, reason(error)
    return {**found, "undefined": undefined}


def by_slice(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    columns: Mapping[str, pa.Array | pa.ChunkedArray],
    entity: npt.ArrayLike | None = None,
    smallest: int = SMALLEST,
) -> dict[str, dict[str, dict[str, float | int | None]]]:
    """Predicted over observed for every value of some columns, the values with most rows first.

    A value has `value`, `low`, `high`, `n` rows, and the numbers of positives `predicted` and `observed`. The interval
    is normal at 95 % in the logarithm of the ratio, its variance that of `(predicted − ratio · observed) ÷ observed`
    summed by entity; without a positive, or with one entity, what is not known is nothing. When it is wrong: with
    under about 20 positives, or entities, it is too narrow.

    labels, probabilities, entity: as in `calibration_of`. columns: name to (n,) of any flat type; null is the value
    `(missing)`. smallest: rows that are enough, from 1; larger tells of fewer values. Errors: as `calibration_of`.

    >>> by_slice([1, 0], [0.5, 0.5], {"device": pa.array(["phone", "phone"])}, smallest=1)["device"]["phone"]["value"]
    1.0

    Source: W. Cochran, Sampling Techniques, 1977, chapter 6 (ratios).
    """
    predictions = Predictions(labels, probabilities)
    score, codes = predictions.probabilities, _codes(entity, len(predictions))
    found = {}
    for name, column in columns.items():
        value, vocabulary = encode(column)
        if len(value) != len(predictions):
            where = f"columns[{name!r}]"
            raise DataError(
                where, f"{len(value)} values", f"{len(predictions)}, one a row", "pass columns of one table"
            )
        names = [*vocabulary.to_pylist(), MISSING]
        at = np.where(value < 0, len(names) - 1, value).astype(np.int64)
        rows = np.bincount(at, minlength=len(names))
        ratios = _ratios(predictions.labels, score, at, codes, len(names))
        order = np.argsort(-rows, kind="stable")
        found[name] = {names[code]: ratios[code] for code in order.tolist() if rows[code] >= smallest}
    return found


def _deciles(predictions: Predictions, score: Array, codes: Codes) -> list[dict[str, float | int]]:
    rows, starts = predictions.order
    middle = (starts[1:] + starts[:-1]) / (2 * len(rows))  # of each distinct score, as a share of the rows below
    decile = np.empty(len(rows), dtype=np.int64)
    decile[rows] = np.repeat((DECILES * middle).astype(np.int64), np.diff(starts))
    decile = np.unique(decile, return_inverse=True)[1].astype(np.int64)  # those that hold rows
    n = np.bincount(decile).astype(np.float64)
    predicted, observed = (np.bincount(decile, each) / n for each in (score, predictions.labels))
    scatter = _scatter(predictions.labels - observed[decile], decile, codes, len(n)) / n**2
    alone = observed * (1 - observed) / n
    together = np.divide(scatter, alone, out=np.ones(len(n)), where=alone > 0)
    effect = np.fmax(1.0, together)  # 1 where a single entity tells nothing of how they scatter
    low, high = _wilson(observed, n / effect)
    return [
        {
            "predicted": float(predicted[at]),
            "observed": float(observed[at]),
            "low": float(low[at]),
            "high": float(high[at]),
            "n": int(n[at]),
        }
        for at in range(len(n))
    ]


def _wilson(share: Array, n: Array) -> tuple[Array, Array]:
    """Wilson's interval of a share among n, which may be no whole number."""
    square = _WIDTH**2
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = _WIDTH / (1 + square / n) * np.sqrt(share * (1 - share) / n + square / (4 * n**2))
    return np.clip(middle - half, 0.0, share), np.clip(middle + half, share, 1.0)


def _ratios(label: Array, score: Array, value: Codes, codes: Codes, values: int) -> list[dict[str, float | int | None]]:
    """Predicted over observed of each value, in their order."""
    n = np.bincount(value, minlength=values)
    predicted, observed = (np.bincount(value, each, minlength=values) for each in (score, label))
    ratio = np.divide(predicted, observed, out=np.full(values, np.nan), where=observed > 0)
    scatter = _scatter(score - np.nan_to_num(ratio)[value] * label, value, codes, values)  # nan with one entity
    error = np.divide(np.sqrt(scatter), predicted, out=np.full(values, np.nan), where=predicted > 0)
    factor = np.exp(_WIDTH * error)
    numbers = zip(ratio, ratio / factor, ratio * factor, n, predicted, observed, strict=True)
    return [
        {
            "value": _known(at),
            "low": _known(low),
            "high": _known(high),
            "n": int(rows),
            "predicted": float(expected),
            "observed": float(positives),
        }
        for at, low, high, rows, expected, positives in numbers
    ]


def _known(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def _scatter(rest: Array, part: Codes, codes: Codes, parts: int) -> Array:
    """The variance of the sum of rests in each part, (parts,), from the sums of its entities; nan for one entity.

    rest: (n,) of mean 0 in each part. part: (n,) 0 to parts − 1. codes: (n,) of the entity.
    """
    pair = part * (codes.max() + 1) + codes
    pairs, place = np.unique(pair, return_inverse=True)
    sums = np.bincount(place, rest)
    at = pairs // (codes.max() + 1)
    entities = np.bincount(at, minlength=parts)
    more = np.divide(entities, entities - 1, out=np.full(parts, np.nan), where=entities > 1)
    return np.asarray(np.bincount(at, sums**2, minlength=parts) * more)


def _codes(entity: npt.ArrayLike | None, rows: int) -> Codes:
    if entity is None:
        return np.arange(rows)
    ids = np.asarray(entity)
    if ids.shape != (rows,):
        raise DataError("entity", f"an array of shape {ids.shape}", f"({rows},), one id a row", "pass one id a row")
    return np.unique(ids, return_inverse=True)[1].astype(np.int64)
