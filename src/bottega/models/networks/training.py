"""Training: passes until the later slice no longer gains; the best weights are kept, and a kill is survived."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.metrics.binary import log_loss, roc_auc
from bottega.models.networks.architecture import Architecture, Setting
from bottega.models.networks.checkpoints import Checkpoints
from bottega.models.networks.fields import Fields
from bottega.models.networks.lesson import Lesson
from bottega.models.networks.place import Place
from bottega.models.networks.trainer import Trainer
from bottega.models.networks.weights import Weights

_DECAY = 3  # of the mean over the passes: pass t has a share of (decay + 1) / (t + decay) in it
_BEGUN = 0.01  # of the loss of one score for all rows
_SURE = 1e-7  # a probability is taken to be no smaller

Array = npt.NDArray[Any]


@dataclass
class Course:
    """How the training went. losses: mean loss while it learnt, of each pass. later: what it is judged by on the later
    slice, after each pass. best: the pass whose weights are kept, 0 for those it began with. averaged: whether they are
    the mean of the passes up to it. begun: whether a pass was better than nothing. stopped_by: `patience`, or `epochs`
    where none were left.
    """

    losses: list[float] = field(default_factory=list)
    later: list[float] = field(default_factory=list)
    best: int = 0
    averaged: bool = False
    begun: bool = False
    stopped_by: str = "epochs"


def train(
    architecture: Architecture,
    fields: Fields,
    begin: Weights,
    learn: Lesson,
    later: Lesson | None,
    epochs: int,
    warm: bool,
    checkpoints: Checkpoints | None,
) -> tuple[Weights, dict[str, Any]]:
    """The best weights, and how the training went, as plain facts.

    Patience counts once a pass was 1 % better than one score for all rows, which a network leaves late where
    categories say something by their crosses alone.

    After each pass two are judged: the weights as they are, and their mean over the passes, in which later ones count
    more; the mean is steadier, and on few rows orders better.

    later: the rows to stop by; nothing: it makes all passes and keeps the last. warm: whether `begin` has learnt
    already, and is kept where no pass improves on it.

    Source: O. Shamir and T. Zhang, Stochastic Gradient Descent for Non-smooth Optimization, ICML 2013: the mean of
    polynomial decay.
    """
    dense = sum(math.prod(shape) for shape in architecture.shapes.values())
    place = Place.of(dense * min(architecture.setting.batch, len(learn)))
    judge = _Judge(architecture.setting, later)
    course, best, mean, state = Course(), begin, begin, None
    if checkpoints is not None and (kept := checkpoints.read()) is not None:
        course, best, mean, state = Course(**kept.facts), kept.best, kept.mean, kept.state
    with place.taken():
        trainer = Trainer(architecture, fields, begin, learn, place, len(course.losses), state)
        if warm and state is None:
            trainer.begin_unchanged()
            if judge.later is not None:
                course.later.append(judge.value(trainer, begin))
        while trainer.passes < epochs and course.stopped_by == "epochs":
            course.losses.append(trainer.learn())
            own = trainer.weights()
            mean = mean.mixed(own, (_DECAY + 1) / (trainer.passes + _DECAY))
            if judge.later is None:
                course.best, best = trainer.passes, own
            else:
                values = [judge.value(trainer, weights) for weights in (own, mean)]
                value = min(values, key=lambda found: judge.sign * found)
                if not course.later or judge.sign * value < min(judge.sign * np.array(course.later)):
                    course.best, course.averaged = trainer.passes, value != values[0]
                    best = mean if course.averaged else own
                course.later.append(value)
                still = trainer.passes - course.best
                course.begun = course.begun or judge.least < (1 - _BEGUN) * judge.nothing
                if still >= architecture.setting.patience and course.begun:
                    course.stopped_by = "patience"
            if checkpoints is not None:
                checkpoints.write(asdict(course), {"best": best, "mean": mean}, trainer.state())
    seen = trainer.passes_here * trainer.steps_a_pass * trainer.batch
    return best, {
        "epochs": trainer.passes,
        "best_epoch": course.best,
        "averaged": course.averaged,
        "losses": course.losses,
        "later": course.later,
        "stop_on": judge.name,
        "stopped_by": course.stopped_by,
        "rows": len(learn),
        "later_rows": 0 if later is None else len(later),
        "batch": trainer.batch,
        "device": place.device,
        "precision": place.precision,
        "threads": place.threads,
        "examples_per_s": seen / trainer.seconds if seen else 0.0,
    }


class _Judge:
    """Values the later slice by the loss that is learnt, or by the order; a slice of one class has no order.

    Of several labels it takes the loss of all together, or the mean of the orders of those that have one.

    nothing: the least loss that one score for all rows reaches. least: the least loss so far.
    """

    def __init__(self, setting: Setting, later: Lesson | None) -> None:
        self.later, self.gamma = later, setting.focal_gamma if setting.loss == "focal" else 0.0
        ordered = later is None or any(_both(*task) for task in _tasks(later.label, later.weight))
        self.name = setting.stop_on if ordered and setting.stop_on != "log_loss" else setting.loss
        self.sign = -1 if self.name == "roc_auc" else 1
        self.nothing = math.inf if later is None else _nothing(later, self.gamma)
        self.least = math.inf

    def value(self, trainer: Trainer, weights: Weights) -> float:
        """What the weights reach."""
        if self.later is None:
            return math.nan
        label, weight, scores = self.later.label, self.later.weight, trainer.score(weights, self.later)
        loss = _loss(label, scores, weight, self.gamma)
        self.least = min(self.least, loss)
        if self.name != "roc_auc":
            return loss
        return float(np.mean([roc_auc(*task) for task in _tasks(label, scores, weight) if _both(task[0], task[2])]))


def _tasks(*columns: Array) -> list[tuple[Array, ...]]:
    """Each label's own columns, (n,), of columns (n,) or (n, tasks)."""
    return list(zip(*(column.reshape(len(column), -1).T for column in columns), strict=True))


def _both(label: Array, weight: Array) -> bool:
    there = label[weight > 0]
    return bool(there.any() and not there.all())


def _loss(label: Array, scores: Array, weight: Array, gamma: float) -> float:
    """The mean of (1 − p)^γ · −log p, p being what the scores give each label's own class."""
    if not gamma:
        return log_loss(label.ravel(), scores.ravel(), weight.ravel())
    own = np.clip(np.where(label > 0, scores, 1 - scores).astype(np.float64), _SURE, 1)
    return float(np.average((1 - own) ** gamma * -np.log(own), weights=weight))


def _nothing(later: Lesson, gamma: float) -> float:
    """The least loss that one score for all rows reaches, for each label its own."""
    there = [task for task in _tasks(later.label, later.weight) if task[1].any()]
    least = [
        min(_loss(label, np.full(len(label), score), weight, gamma) for score in _constants(label, weight, gamma))
        for label, weight in there
    ]
    return float(np.average(least, weights=[weight.sum(dtype=np.float64) for _, weight in there]))


def _constants(label: Array, weight: Array, gamma: float) -> Array:
    """Scores among which the best one for all rows is: the rate, or for a focal loss a grid."""
    if not gamma:
        return np.array([np.average(label, weights=weight)])
    return np.linspace(0.005, 0.995, 199)
