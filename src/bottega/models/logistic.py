"""Logistic: a linear model of standardised numbers and one-hot categories."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from bottega.design.scorers import Logistic
from bottega.files import write_json
from bottega.models.inputs import Inputs, Kind, lesson
from bottega.models.protocols import Scores
from bottega.models.storage import new_folder, read_array, read_facts, write_arrays
from bottega.models.vocabulary import Codes

Array = npt.NDArray[np.float64]
_ONE_HOT_UP_TO = 65_536  # weights of one category column; above it, codes share weights by their hash
_CLIP = 5.0  # standard deviations at which a number is cut, so that one wild value decides nothing
_BLOCK = 8_192
_SAMPLE = 50_000  # rows from which the curvature is read before solving
_CLOSE = 1e-4  # standard errors within which the weights are solved


class LogisticModel:
    """Scores a row by the probability σ(b + Σ w·z) of a label above 0.

    z are the numbers, standardised and cut at ±5 deviations, nulls at the mean with an indicator where training has
    nulls, and one indicator for each category code (none for an unknown one; above 65,536 codes share by hash). w
    minimises Σ weight · log loss + reg/2 ‖w‖², b is free. When it is wrong: it sees no interaction that the features
    do not hold, and no bend.

    >>> rows = Inputs(["x"], ["number"], np.array([[0], [1], [2], [3]], np.float32))
    >>> model = LogisticModel(Logistic())
    >>> model.fit(rows, [0, 0, 1, 1])
    >>> print(model.score(rows).round(2))
    [0.22 0.4  0.6  0.78]
    """

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    mean: Array
    """(f,) of the numbers, 0 for categories."""
    scale: Array
    """(f,) one over the standard deviation; 0 for categories and constant numbers."""
    null: Codes
    """(u,) the numbers that have nulls in training."""
    offset: npt.NDArray[np.int64]
    """(f + 1,) where the weights of each category begin in `categories`; numbers take no place."""
    weights: Array
    """(1 + f + u,) the intercept, the weights of the numbers, the weights of their nulls."""
    categories: Array
    """(c,) the weights of the category codes."""

    def __init__(self, setting: Logistic) -> None:
        self.setting = setting

    def fit(self, inputs: Inputs, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> None:
        """Solve on a sample, then from there on all rows: few passes over them are left."""
        from threadpoolctl import threadpool_limits

        inputs, labels, given = lesson(inputs, label, weight)
        values, target = inputs.values, (labels > 0).astype(np.float64)
        mass = np.ones(len(target)) if given is None else given.astype(np.float64)
        self.names, self.kinds = tuple(inputs.names), tuple(inputs.kinds)
        self._measure(values)
        rate = float(mass @ target / mass.sum())
        self.weights = np.zeros(1 + len(self.mean) + len(self.null))
        self.weights[0] = np.log(rate / (1 - rate))
        self.categories = np.zeros(int(self.offset[-1]))
        rows = np.linspace(0, len(values) - 1, min(len(values), _SAMPLE)).astype(np.int64)
        sample, share = values[rows], mass[rows] * (mass.sum() / mass[rows].sum())
        with threadpool_limits(1, "blas"):  # the same bytes whatever the number of cores
            self._solve(sample, target[rows], share, *self._curvature(sample, share))
            self._solve(values, target, mass, *self._curvature(sample, share))

    def _solve(self, values: npt.NDArray[np.float32], target: Array, mass: Array, turn: Array, shrink: Array) -> None:
        """L-BFGS from the present weights, turned and scaled so that a step of length 1 is about one standard error."""
        from scipy.optimize import minimize

        dense, reg = len(turn), self.setting.reg
        penalised = np.arange(dense) > 0  # all but the intercept

        def set_weights(point: Array) -> None:
            self.weights, self.categories = turn @ point[:dense], shrink * point[dense:]

        def loss(point: Array) -> tuple[float, Array]:
            set_weights(point)
            value = reg / 2 * float((self.weights[penalised] ** 2).sum() + (self.categories**2).sum())
            slope, slope_categories = reg * self.weights * penalised, reg * self.categories
            for rows, z, codes in self._blocks(values):
                margin = self._margin(z, codes)
                value += float(mass[rows] @ (np.logaddexp(0, margin) - target[rows] * margin))
                miss = mass[rows] * (_sigmoid(margin) - target[rows])
                slope += miss @ z
                for column in codes.T:
                    slope_categories += np.bincount(column, miss, minlength=len(shrink) + 1)[:-1]
            return value, np.concatenate([turn.T @ slope, shrink * slope_categories])

        start = np.concatenate([np.linalg.solve(turn, self.weights), self.categories / shrink])
        options = {"maxiter": 500, "maxcor": 20, "ftol": 1e-14, "gtol": _CLOSE}
        set_weights(minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x)

    def score(self, inputs: Inputs) -> Scores:
        """The probability of each row, (n,)."""
        inputs.expect(self.names, self.kinds)
        scores = np.empty(len(inputs), dtype=np.float32)
        for rows, z, codes in self._blocks(inputs.values):
            scores[rows] = _sigmoid(self._margin(z, codes))
        return scores

    def save(self, folder: Path) -> None:
        """Write `logistic.json` and the arrays."""
        with new_folder(folder) as part:
            write_json(part / "logistic.json", {"names": self.names, "kinds": self.kinds})
            write_arrays(part, {name: getattr(self, name) for name in _ARRAYS})

    @classmethod
    def load(cls, folder: Path, setting: Logistic) -> Self:
        """Read what `save` wrote."""
        model = cls(setting)
        facts = read_facts(folder, "logistic")
        model.names, model.kinds = tuple(facts["names"]), tuple(facts["kinds"])
        for name in _ARRAYS:
            setattr(model, name, read_array(folder, name))
        return model

    def _measure(self, values: npt.NDArray[np.float32]) -> None:
        """Set mean, scale, null and offset from the training's values, one column at a time."""
        count = values.shape[1]
        self.mean, self.scale = np.zeros(count), np.zeros(count)
        sizes, nulls = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=bool)
        for j, kind in enumerate(self.kinds):
            known = values[:, j][np.isfinite(values[:, j])].astype(np.float64)
            if kind == "category":
                sizes[j] = min(known.max(initial=-1) + 1, _ONE_HOT_UP_TO)
            elif len(known):
                deviation = known.std()
                self.mean[j] = known.mean()
                self.scale[j] = 1 / deviation if deviation > 1e-9 * abs(self.mean[j]) else 0.0
                nulls[j] = np.isnan(values[:, j]).any()
        self.null = np.flatnonzero(nulls).astype(np.int32)
        self.offset = np.concatenate([[0], np.cumsum(sizes)])

    def _curvature(self, values: npt.NDArray[np.float32], mass: Array) -> tuple[Array, Array]:
        """What turns the dense weights (d, d), and scales those of categories (c,), to curvature 1 where they stand."""
        hessian, spread = self.setting.reg * np.eye(len(self.weights)), np.zeros(len(self.categories) + 1)
        for rows, z, codes in self._blocks(values):
            chance = _sigmoid(self._margin(z, codes))
            curve = mass[rows] * chance * (1 - chance)
            hessian += z.T @ (z * curve[:, None])
            for column in codes.T:
                spread += np.bincount(column, curve, minlength=len(spread))
        turn: Array = np.linalg.inv(np.linalg.cholesky(hessian)).T
        return turn, 1 / np.sqrt(spread[:-1] + self.setting.reg)

    def _blocks(self, values: npt.NDArray[np.float32]) -> Iterator[tuple[slice, Array, npt.NDArray[np.int64]]]:
        """Blocks of rows, their numbers z (m, d) with 1 in front, and the places of their categories (m, columns)."""
        numbers = len(self.mean)
        for low in range(0, len(values), _BLOCK):
            block = values[low : low + _BLOCK]
            z = np.ones((len(block), 1 + numbers + len(self.null)))
            middle = z[:, 1 : 1 + numbers]
            np.multiply(block - self.mean, self.scale, out=middle)
            np.clip(middle, -_CLIP, _CLIP, out=middle)
            np.copyto(middle, 0.0, where=np.isnan(block))
            z[:, 1 + numbers :] = np.isnan(block[:, self.null])
            yield slice(low, low + len(block)), z, self._places(block)

    def _places(self, block: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Where each category's weight stands, (m, columns); unknown ones stand behind the last."""
        columns = [j for j, kind in enumerate(self.kinds) if kind == "category"]
        places = np.full((len(block), len(columns)), self.offset[-1])
        for place, j in zip(places.T, columns, strict=True):
            size = self.offset[j + 1] - self.offset[j]
            code = np.where(block[:, j] >= 0, block[:, j], -1).astype(np.int64)  # NaN is not >= 0
            if size == _ONE_HOT_UP_TO:
                code = np.where(code < 0, -1, (code * 2_654_435_761 % 2**32) >> 16)  # Knuth's hash, 16 bits
            known = (code >= 0) & (code < size)
            place[known] = self.offset[j] + code[known]
        return places

    def _margin(self, z: Array, codes: npt.NDArray[np.int64]) -> Array:
        margin: Array = z @ self.weights
        if codes.shape[1]:
            margin += np.append(self.categories, 0.0)[codes].sum(axis=1)
        return margin


_ARRAYS = ("mean", "scale", "null", "offset", "weights", "categories")


def _sigmoid(margin: Array) -> Array:
    from scipy.special import expit

    result: Array = expit(margin)
    return result
