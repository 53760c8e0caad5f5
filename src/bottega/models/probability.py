"""Probability: from what a model says to the probability in the world that it will serve."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bottega.design.scorers import Fusion, MultiTask
from bottega.errors import DesignError
from bottega.files import write_json
from bottega.models.calibrators import Calibrator, Platt, calibrator_of
from bottega.models.inputs import Inputs
from bottega.models.making import scorer_class
from bottega.models.protocols import Scorer, Scores
from bottega.models.storage import new_folder, read_facts


def gives_chances(setting: Any) -> bool:
    """Say whether the scores of a model of this setting are probabilities, as all are but those of an order."""
    return not isinstance(setting, (Fusion, MultiTask)) and getattr(setting, "objective", "binary") == "binary"


def probable(setting: Any) -> bool:
    """Say whether a rung of this setting gives probabilities: by what it learns, or by its calibrator."""
    return gives_chances(setting) or getattr(setting, "calibrate", None) is not None


@dataclass(frozen=True)
class Probability:
    """Undoes, in this order, what sampling did, what the calibrator measured, and labels that had not come yet.

    `p = q ÷ (q + (1 − q) ÷ kept)`, then the calibrator, then `p ÷ late`, at most 1. When it is wrong: the first is
    exact only where the model is right on the sampled rows; scores that are no probabilities (`lambdarank`) have only a
    calibrator that reads them as they are.

    kept: share of the negatives that stayed in training, above 0 to 1; positives that stand r times have 1/r. late:
    share of all conversions that come within the label's window, above 0 to 1. calibrator: fitted on what the first
    step gives. Raises `DesignError` out of range, and for a kept share with a calibrator of other scores.

    >>> Probability(kept=0.05).of([0.29]).round(3).tolist()
    [0.019999999552965164]

    Source: X. He et al., Practical lessons from predicting clicks on ads at Facebook, 2014, section 6.3.
    """

    kept: float = 1.0
    late: float = 1.0
    calibrator: Calibrator | None = field(default=None)

    def __post_init__(self) -> None:
        for name, share in (("kept", self.kept), ("late", self.late)):
            if not 0 < share <= 1:
                raise DesignError(f"probability.{name}", share, "a share above 0, at most 1", f"{name}=1.0")
        if self.kept < 1 and isinstance(self.calibrator, Platt) and not self.calibrator.log_odds:
            raise DesignError(
                "probability.kept",
                f"{self.kept:g} for scores that are no probabilities",
                "1: the calibrator alone undoes the sampling, as its slice is not sampled",
                "kept=1.0",
            )

    def corrected(self, scores: npt.ArrayLike) -> Scores:
        """The first step alone, what a calibrator is fitted on: (n,) float32."""
        said = np.asarray(scores, dtype=np.float32)
        if self.kept == 1:
            return said
        return np.asarray(said / (said + (1 - said) * np.float32(1 / self.kept)), dtype=np.float32)

    def of(self, scores: npt.ArrayLike) -> Scores:
        """The probability of each score, (n,) float32."""
        found: Scores = self.corrected(scores)
        if self.calibrator is not None:
            found = self.calibrator.apply(found)
        return found if self.late == 1 else np.asarray(np.minimum(found / np.float32(self.late), 1), np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Its parts, for JSON."""
        learnt = None if self.calibrator is None else self.calibrator.to_dict()
        return {"kept": self.kept, "late": self.late, "calibrator": learnt}

    def save(self, folder: Path) -> None:
        """Write `probability.json` into a folder that exists."""
        write_json(folder / "probability.json", self.to_dict())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; nothing is changed where there is no such file."""
        if not (folder / "probability.json").exists():
            return cls()
        facts = read_facts(folder, "probability")
        learnt = facts["calibrator"]
        where = str(folder / "probability.json")
        return cls(facts["kept"], facts["late"], None if learnt is None else calibrator_of(learnt, where))


class Corrected:
    """A scorer whose scores are the probabilities that `Probability` makes of them.

    scorer: fitted, or to be. probability: what its scores go through; `fit` leaves it as it is.

    >>> from bottega.design.scorers import HistoricalRate
    >>> from bottega.models.making import make_scorer
    >>> model = Corrected(make_scorer(HistoricalRate(by="ad", prior=0.0)), Probability(kept=0.5))
    >>> import pyarrow as pa
    >>> rows = Inputs([], [], np.zeros((4, 0), np.float32), {"ad": pa.array(["a", "a", "b", "b"])})
    >>> model.fit(rows, [1, 0, 0, 0])
    >>> model.score(rows)[0].round(4)
    np.float32(0.3333)
    """

    def __init__(self, scorer: Scorer, probability: Probability) -> None:
        self.scorer, self.probability = scorer, probability
        self.setting = scorer.setting

    def fit(self, inputs: Inputs, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> None:
        """Fit the scorer."""
        self.scorer.fit(inputs, label, weight)

    def score(self, inputs: Inputs) -> Scores:
        """The probability of each row, (n,)."""
        return self.probability.of(self.scorer.score(inputs))

    def save(self, folder: Path) -> None:
        """Write the scorer into `scorer/` and `probability.json` beside it, both or neither."""
        with new_folder(folder) as part:
            self.scorer.save(part / "scorer")
            self.probability.save(part)

    @classmethod
    def load(cls, folder: Path, setting: Any) -> Self:
        """Read what `save` wrote."""
        return cls(scorer_class(setting).load(folder / "scorer", setting), Probability.load(folder))
