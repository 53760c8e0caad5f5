"""Calibrators: maps from a model's score to a probability, learnt on examples that the model has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from bottega.errors import BuildError, DataError, DesignError
from bottega.files import write_json
from bottega.models.protocols import Scores
from bottega.models.storage import read_facts

Array = npt.NDArray[np.float64]
Kind = Literal["platt", "beta", "isotonic"]

CLIP = 1e-7  # no calibrator says 0 or 1: the resolution of float32 below 1
_STEPS = 100
_CLOSE = 1e-10  # Newton's decrement, in parts of the log loss, at which a fit is done


@dataclass(frozen=True)
class Calibrator:
    """What the three kinds share: `fit`, `apply`, and their facts as JSON.

    Learnt on a slice of its own, never sampled, after the correction of sampling. `fit` gives a new calibrator and
    refuses, with a `DataError`, a slice with one class only, missing scores and columns that do not fit; few positives
    are no error: Platt and Beta then lean towards the slice's rate, Isotonic has few steps. `apply` keeps the order of
    scores, gives equal scores equal probabilities, and never 0 or 1.
    """

    kind: ClassVar[Kind]

    def apply(self, scores: npt.ArrayLike) -> Scores:
        """The probability of each score, (n,) float32 in [1e-7, 1 − 1e-7]."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """What was learnt, for JSON."""
        return {"kind": self.kind, **asdict(self)}

    def save(self, path: Path) -> None:
        """Write what was learnt as JSON."""
        write_json(path, self.to_dict())

    @staticmethod
    def load(path: Path) -> Calibrator:
        """Read what `save` wrote; `BuildError` where it is damaged."""
        return calibrator_of(read_facts(path.parent, path.stem), str(path))


@dataclass(frozen=True)
class Platt(Calibrator):
    """A line in log-odds: `σ(slope · ln(s ÷ (1 − s)) + shift)`, the slope from 0 up.

    Scores that are no probabilities, such as those of `lambdarank`, are taken as they are: `σ(slope · s + shift)`. The
    labels are drawn in a little, to `(P + 1)/(P + 2)` and `1/(N + 2)`, P and N the weight of each class: so a slice
    whose classes do not overlap has an answer too. When it is wrong: where the distortion bends, as that of focal loss
    or of boosting does at the ends.

    log_odds: whether the scores are probabilities.

    >>> scores = np.repeat([0.2, 0.8], 1000)
    >>> labels = np.tile(np.arange(1000) % 10 < 4, 2) ^ (np.arange(2000) >= 1000)
    >>> Platt.fit(scores, labels).apply([0.2, 0.8]).round(2).tolist()
    [0.4000000059604645, 0.6000000238418579]

    Source: J. Platt, Probabilistic outputs for support vector machines, 1999.
    """

    kind: ClassVar[Kind] = "platt"
    slope: float
    shift: float
    log_odds: bool = True

    @classmethod
    def fit(
        cls, scores: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None, log_odds: bool = True
    ) -> Self:
        """Learn on scores (n,), labels (n,) above 0 or not, and weights (n,) from 0 up."""
        score, label, weight = _slice(scores, labels, weights, log_odds)
        line = np.log(score) - np.log1p(-score) if log_odds else score
        slope, shift = _fit_lines([line], label, weight)
        return cls(slope, shift, log_odds)

    def apply(self, scores: npt.ArrayLike) -> Scores:
        """The probability of each score, (n,) float32."""
        score = np.asarray(scores, dtype=np.float64)
        if self.log_odds:
            score = np.clip(score, CLIP, 1 - CLIP)
            score = np.log(score / (1 - score))
        return _probability(self.slope * score + self.shift)


@dataclass(frozen=True)
class Beta(Calibrator):
    """A line in each of the two logarithms: `σ(a · ln s − b · ln(1 − s) + c)`, a and b from 0 up.

    It holds Platt's line (a = b) and the identity (1, 1, 0), and bends otherwise at either end. Labels are drawn in as
    for `Platt`. When it is wrong: for scores that are no probabilities, which it refuses.

    >>> Beta(1.0, 1.0, 0.0).apply([0.25]).tolist()
    [0.25]

    Source: M. Kull, T. Silva Filho, P. Flach, Beta calibration, AISTATS 2017.
    """

    kind: ClassVar[Kind] = "beta"
    a: float
    b: float
    c: float

    @classmethod
    def fit(cls, scores: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Self:
        """Learn on scores (n,) in [0, 1], labels (n,) above 0 or not, and weights (n,) from 0 up."""
        score, label, weight = _slice(scores, labels, weights, True)
        return cls(*_fit_lines([np.log(score), -np.log1p(-score)], label, weight))

    def apply(self, scores: npt.ArrayLike) -> Scores:
        """The probability of each score, (n,) float32."""
        score = np.clip(np.asarray(scores, dtype=np.float64), CLIP, 1 - CLIP)
        return _probability(self.a * np.log(score) - self.b * np.log1p(-score) + self.c)


@dataclass(frozen=True)
class Isotonic(Calibrator):
    """The rising steps that fit best, straight between the last score of a step and the first of the next.

    A step is the share of positives among its examples. The lowest may hold no positive and the highest no negative;
    these say ½ ÷ (m + 1), or one less that, m the weight of the step, or the value of the step beside it where that is
    nearer to 0 or 1: never 0 or 1. When it is wrong: with under about 1,000 positives, whose steps are noise; and it
    makes scores of one step equal, so that their order is lost.

    scores: rising, at least 1, the ends of the steps. probabilities: as many, the value at each.

    >>> Isotonic.fit([0.1, 0.2, 0.3, 0.4], [1, 0, 1, 0]).apply([0.0, 0.4]).tolist()
    [0.5, 0.5]

    Source: B. Zadrozny and C. Elkan, Transforming classifier scores into accurate multiclass probability estimates,
    2002.
    """

    kind: ClassVar[Kind] = "isotonic"
    scores: Sequence[float]
    probabilities: Sequence[float]

    @classmethod
    def fit(cls, scores: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Self:
        """Learn on scores (n,) of any unit, labels (n,) above 0 or not, and weights (n,) from 0 up."""
        from sklearn.isotonic import IsotonicRegression

        score, label, weight = _slice(scores, labels, weights, False)
        found = IsotonicRegression(y_min=0.0, y_max=1.0).fit(score, label, sample_weight=weight)
        at, steps = found.X_thresholds_, found.y_thresholds_.copy()
        lowest, highest = steps < CLIP, steps > 1 - CLIP
        if lowest.any() and not lowest.all():
            mass = float(weight[score <= at[lowest][-1]].sum())
            steps[lowest] = min(0.5 / (mass + 1), steps[~lowest][0])
        if highest.any() and not highest.all():
            mass = float(weight[score >= at[highest][0]].sum())
            steps[highest] = max(1 - 0.5 / (mass + 1), steps[~highest][-1])
        return cls(at.tolist(), np.clip(steps, CLIP, 1 - CLIP).tolist())

    def apply(self, scores: npt.ArrayLike) -> Scores:
        """The probability of each score, (n,) float32."""
        return np.interp(np.asarray(scores, dtype=np.float64), *self._steps).astype(np.float32)

    @cached_property
    def _steps(self) -> tuple[Array, Array]:
        return np.asarray(self.scores, dtype=np.float64), np.asarray(self.probabilities, dtype=np.float64)


def fit_calibrator(
    kind: Kind,
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    probabilities: bool = True,
) -> Calibrator:
    """Learn the calibrator of this kind.

    kind: as in a design. scores: (n,). labels: (n,), above 0 is positive. weights: (n,) from 0 up. probabilities:
    whether the scores are probabilities; where not, `beta` is refused with a `DesignError`. Errors: as `Calibrator`.

    >>> fit_calibrator("isotonic", [0.1, 0.9], [0, 1]).kind
    'isotonic'
    """
    if kind == "platt":
        return Platt.fit(scores, labels, weights, log_odds=probabilities)
    if kind == "isotonic":
        return Isotonic.fit(scores, labels, weights)
    if not probabilities:
        raise DesignError(
            "calibrate",
            "'beta' for scores that are no probabilities",
            "'platt' or 'isotonic', which take any score",
            "calibrate='platt', or objective='binary'",
        )
    return Beta.fit(scores, labels, weights)


def calibrator_of(facts: Mapping[str, Any], where: str = "calibrator") -> Calibrator:
    """The calibrator that these facts describe, as `to_dict` gave them; `BuildError` for any others.

    >>> calibrator_of(Beta(1.0, 1.0, 0.0).to_dict())
    Beta(a=1.0, b=1.0, c=0.0)
    """
    kinds: dict[Any, Any] = {"platt": Platt, "beta": Beta, "isotonic": Isotonic}
    try:
        learnt = dict(facts)
        made: Calibrator = kinds[learnt.pop("kind")](**learnt)
    except (KeyError, TypeError, ValueError) as error:
        raise BuildError(
            where, f"cannot be read ({error!r})", "the facts as a calibrator wrote them", "fit and save it again"
        ) from error
    return made


def _slice(
    scores: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None, probabilities: bool
) -> tuple[Array, Array, Array]:
    """Scores, labels 0 or 1, and weights of the rows that count, (m,) each; probabilities are clipped."""
    score, label = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    weight = np.ones(score.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    if not score.shape == label.shape == weight.shape or score.ndim != 1:
        found = f"arrays {score.shape}, {label.shape}, {weight.shape}"
        raise DataError("calibration", found, "scores, labels and weights, one a row", "pass columns of one table")
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise DataError("calibration.weights", "negative or missing weights", "finite numbers from 0 up")
    score, target, weight = score[weight > 0], (label > 0).astype(np.float64)[weight > 0], weight[weight > 0]
    if not np.isfinite(score).all():
        raise DataError(
            "calibration.scores", "missing or infinite scores", "finite numbers", "look for nulls in the features"
        )
    positives = int(target.sum())
    if positives in (0, len(target)):
        raise DataError(
            "calibration.labels",
            f"{positives} positives in {len(target)} rows: one class only",
            "rows with a label above 0, and rows with 0",
            "make the calibration slice longer (split.calibrate), or leave calibrate out",
        )
    if not probabilities:
        return score, target, weight
    if score.min() < 0 or score.max() > 1:
        raise DataError(
            "calibration.scores",
            f"values from {score.min():g} to {score.max():g}",
            "probabilities, 0 to 1",
            "calibrate='platt' or 'isotonic' for scores of another unit",
        )
    return np.clip(score, CLIP, 1 - CLIP), target, weight


def _fit_lines(lines: Sequence[Array], label: Array, weight: Array) -> list[float]:
    """The slopes from 0 up and the shift that minimise the log loss of labels drawn in, by Newton's method.

    The best over the slopes that are not at 0; there are at most two, so all sets of them are tried.
    """
    positive = float(weight @ label)
    negative = float(weight.sum()) - positive
    target = np.where(label > 0, (positive + 1) / (positive + 2), 1 / (negative + 2))
    best, best_loss = [0.0] * (len(lines) + 1), np.inf
    for chosen in range(2 ** len(lines) - 1, -1, -1):
        used = [place for place in range(len(lines)) if chosen >> place & 1]
        point, loss = _newton(np.column_stack([*(lines[place] for place in used), np.ones_like(label)]), target, weight)
        if (point[:-1] >= 0).all() and loss < best_loss:
            best, best_loss = [0.0] * len(lines) + [float(point[-1])], loss
            for place, slope in zip(used, point[:-1], strict=True):
                best[place] = float(slope)
            if len(used) == len(lines):
                break  # the best of all is allowed
    return best


def _newton(inputs: Array, target: Array, weight: Array) -> tuple[Array, float]:
    """The point (d,) that minimises the weighted log loss of targets in (0, 1), and that loss."""
    from scipy.special import expit

    point = np.zeros(inputs.shape[1])
    rate = float(weight @ target / weight.sum())
    point[-1] = np.log(rate / (1 - rate))
    least = 1e-9 * weight.sum() * np.eye(len(point))  # a line that is constant has no slope of its own

    def loss_at(at: Array) -> float:
        margin = inputs @ at
        return float(weight @ (np.logaddexp(0, margin) - target * margin)) + float(at @ least @ at) / 2

    loss = loss_at(point)
    for _ in range(_STEPS):
        chance = expit(inputs @ point)
        slope = inputs.T @ (weight * (chance - target)) + least @ point
        step = np.linalg.solve((inputs.T * (weight * chance * (1 - chance))) @ inputs + least, slope)
        if slope @ step < _CLOSE * abs(loss):
            break
        share = 1.0
        while (found := loss_at(point - share * step)) > loss and share > 1e-6:
            share /= 2
        point, loss = point - share * step, min(found, loss)
    return point, loss


def _probability(margin: Array) -> Scores:
    chance = 1 / (1 + np.exp(-np.clip(margin, -50, 50)))
    return np.clip(chance, CLIP, 1 - CLIP).astype(np.float32)
