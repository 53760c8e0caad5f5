"""Step 4, models that score: what a rung of a ladder learns by, and how its probability is kept honest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from bottega.design.part import Choice


class _Scoring(Choice, frozen=True, kw_only=True):
    """What every scorer may say beside its own settings."""

    calibrate: Literal["platt", "isotonic", "beta"] | None = None
    """A map from score to probability, fitted on the split's calibration slice after the sampling was corrected:
    `platt` (a line in log-odds), `beta` (a line in log p and log(1 − p)) or `isotonic` (any rising steps; needs about
    1,000 positives)."""
    without: Sequence[str] = ()
    """Features that it does not read, by their names: hashed crosses help a linear model, and mislead trees and
    networks, which find crosses by themselves."""
    optional: bool = False
    """Left out of the ladder unless the run asks for it: `--models all`, or by name."""
    name: str | None = None
    """How the scorecard calls it; nothing: its kind. Two of one kind in a ladder need names of their own."""


class Fusion(_Scoring, frozen=True):
    """Score by the places that a candidate has in several orders: reciprocal rank fusion."""

    over: Sequence[str]
    """The features that give an order each, larger is better; 0 or less, or none, gives no place:
    `["bm25_score", "lsa_score"]`."""
    weights: Sequence[float] = ()
    """How much each order counts, above 0; nothing: all alike."""
    constant: float = 60.0
    """Added to every place, 0 or more; larger lets the first places count less beside the later ones."""

    def check(self) -> None:
        self.check_range("constant", 0, 1e9)
        if not self.over:
            raise self.refuse("over", "no feature", "at least one", 'over=["bm25_score"]')
        if self.weights and (len(self.weights) != len(self.over) or not all(0 < w < 1e9 for w in self.weights)):
            raise self.refuse("weights", f"{self.weights}", f"{len(self.over)} numbers above 0, one for each of over")
        if self.calibrate == "beta":
            raise self.refuse("calibrate", "'beta' for an order, which is no probability", "platt or isotonic")


class HistoricalRate(_Scoring, frozen=True):
    """Score by the smoothed rate of the label for each value of a column."""

    by: str
    """The column of the request or candidate."""
    prior: float = 20.0
    """Examples of the global rate mixed into each value's rate, 0 or more; larger distrusts rare values."""

    def check(self) -> None:
        self.check_range("prior", 0, 1e12)


class Logistic(_Scoring, frozen=True):
    """Score by a linear model of the features' standardised values and one-hot categories."""

    reg: float = 1.0
    """Penalty on the squared weights, above 0; larger shrinks them. With more than 256 codes of categories in all, or
    100,000 rows, it multiplies each column's own penalty, which is measured."""
    positive_weight: float = 1.0
    """How much a positive counts beside a negative, above 0; other than 1 distorts the probability."""

    def check(self) -> None:
        self.check_range("reg", 0, 1e12, low_open=True)
        self.check_range("positive_weight", 0, 1e6, low_open=True)


class BoostedTrees(_Scoring, frozen=True):
    """Score by gradient-boosted decision trees."""

    objective: Literal["binary", "lambdarank"] = "binary"
    """`binary` gives probabilities; `lambdarank` gives orders within a request, and no probability."""
    trees: int = 150
    """Number of trees, at least 1; larger fits more and costs time in serving."""
    leaves: int = 31
    """Leaves of a tree, at least 2; larger fits finer and costs time in serving."""
    learning_rate: float = 0.08
    """Step of each tree, above 0 to 1; smaller needs more trees."""
    min_leaf: int = 50
    """Fewest examples in a leaf, at least 1; larger is smoother."""
    min_hessian: float = 1e-3
    """Smallest sum of the loss's second derivatives in a leaf, 0 or more; larger is smoother. An example of `binary`
    adds p (1 − p), at most ¼."""
    reg: float = 1.0
    """Penalty on the squared leaf values, 0 or more."""
    column_share: float = 0.7
    """Share of the features that a tree may look at, above 0 to 1; smaller is steadier."""
    row_share: float = 1.0
    """Share of the examples that a tree learns from, drawn anew for each, above 0 to 1; smaller is faster, and each
    tree is noisier."""
    positive_weight: float = 1.0
    """How much a positive counts beside a negative, above 0; other than 1 distorts the probability."""
    seed: int = 0
    """Another seed draws other features and examples for each tree."""

    def check(self) -> None:
        self.check_range("trees", 1, 100_000)
        self.check_range("leaves", 2, 131_072)
        self.check_range("learning_rate", 0, 1, low_open=True)
        self.check_range("min_leaf", 1, 1e9)
        self.check_range("min_hessian", 0, 1e9)
        self.check_range("reg", 0, 1e12)
        self.check_range("column_share", 0, 1, low_open=True)
        self.check_range("row_share", 0, 1, low_open=True)
        self.check_range("positive_weight", 0, 1e6, low_open=True)
        if self.objective == "lambdarank" and self.calibrate == "beta":
            found, allowed = "'beta' for an order, which is no probability", "platt or isotonic, which take any score"
            raise self.refuse("calibrate", found, allowed, "calibrate='platt'")
        if self.objective == "lambdarank" and self.positive_weight != 1:
            found = f"{self.positive_weight:g} for lambdarank, which learns from pairs"
            raise self.refuse("positive_weight", found, "1", "objective='binary'")


class _Deep(_Scoring, frozen=True, kw_only=True):
    """What the networks share: embeddings of the categories, a part of their own, and how they learn."""

    embedding_size: int = 16
    """Length of a category's vector, 1 to 1,024; larger fits finer and costs memory and time."""
    layers: Sequence[int] = (256, 128)
    """Width of each hidden layer; larger fits more and costs time."""
    dropout: float = 0.0
    """Share of the hidden values left out at random while it learns, 0 to under 1; larger fits less."""
    epochs: int = 5
    """Passes over the examples at most, at least 1; it stops earlier where the later slice no longer gains."""
    batch: int = 4096
    """Examples of a step, at least 1; larger is faster and needs a larger learning rate."""
    learning_rate: float = 2e-3
    """Step of the optimiser (Adam), above 0 to 1."""
    reg: float = 1e-6
    """Penalty on the squared vectors of the categories in a batch, 0 or more; larger trusts rare ones less."""
    stop_on: Literal["log_loss", "roc_auc"] = "log_loss"
    """What the later slice is judged by, for stopping: the loss that is learnt, or the order; nets that overfit in
    log loss may still gain in order, and then need a calibrator."""
    stop_share: float = 0.1
    """Share of the examples, the latest ones, that it is judged on and does not learn from, above 0 to 0.5."""
    patience: int = 1
    """Passes without gain after which it stops, at least 1; they count once it does better than one score for all."""
    loss: Literal["log_loss", "focal"] = "log_loss"
    """`focal` weighs an example by (1 − p)^γ of its own class: it looks at hard ones, and distorts the probability."""
    focal_gamma: float = 2.0
    """γ of the focal loss, above 0 to 10; larger looks at hard examples only."""
    positive_weight: float = 1.0
    """How much a positive counts beside a negative, above 0; other than 1 distorts the probability."""
    seed: int = 0
    """Another seed starts elsewhere and shuffles otherwise."""

    def check(self) -> None:
        self.check_range("embedding_size", 1, 1024)
        self.check_range("dropout", 0, 0.95)
        self.check_range("epochs", 1, 10_000)
        self.check_range("batch", 1, 2**24)
        self.check_range("learning_rate", 0, 1, low_open=True)
        self.check_range("reg", 0, 1e6)
        self.check_range("stop_share", 0, 0.5, low_open=True)
        self.check_range("patience", 1, 10_000)
        self.check_range("focal_gamma", 0, 10, low_open=True)
        self.check_range("positive_weight", 0, 1e6, low_open=True)
        if any(not 1 <= width <= 65_536 for width in self.layers):
            raise self.refuse("layers", f"{self.layers}", "widths from 1 to 65,536", "layers=[256, 128]")


class DCN(_Deep, frozen=True, kw_only=True):
    """Score by a deep and cross network, version 2: explicit crosses of the inputs beside a plain network."""

    cross_layers: int = 3
    """Cross layers, 0 to 16; each adds one order of interaction."""
    rank: int = 32
    """Rank of a cross layer's matrices, at least 1; larger fits finer crosses and costs time."""
    experts: int = 2
    """Low-rank matrices that a gate mixes in each cross layer, 1 to 64."""

    def check(self) -> None:
        _Deep.check(self)
        self.check_range("cross_layers", 0, 16)
        self.check_range("rank", 1, 4096)
        self.check_range("experts", 1, 64)


class DeepFM(_Deep, frozen=True, kw_only=True):
    """Score by a factorisation machine beside a plain network, over the same vectors of categories."""


class DLRM(_Deep, frozen=True, kw_only=True):
    """Score by a network over the products of all pairs of categories' vectors, the numbers as one vector more."""

    bottom: Sequence[int] = (64,)
    """Width of each hidden layer between the numbers and their vector."""

    def check(self) -> None:
        _Deep.check(self)
        if any(not 1 <= width <= 65_536 for width in self.bottom):
            raise self.refuse("bottom", f"{self.bottom}", "widths from 1 to 65,536", "bottom=[64]")


class MultiTask(_Deep, frozen=True, kw_only=True):
    """Score by one network that learns several labels at once: Σ weight · P(label), over parts that they share.

    The score is an order; each label's probability is learnt too. With one objective it is a network for that label.

    Source: J. Ma et al., Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts, KDD
    2018.
    """

    objectives: Mapping[str, float]
    """Label → weight, 0 or more, with which its probability counts in the score: `{"view": 1, "like": 5}`."""
    losses: Mapping[str, float] = {}
    """Label → how much its loss counts while it learns, above 0; one that is not named: 1. Larger learns that label at
    the others' cost."""
    sharing: Literal["mmoe", "shared-bottom"] = "mmoe"
    """`mmoe` mixes several networks for each label by a gate of its own; `shared-bottom` has one for all, which is
    faster, and lets labels that have little in common disturb each other."""
    experts: int = 4
    """Networks that the gates of `mmoe` mix, each of `layers`, 1 to 64; larger fits more and costs time."""
    tower: Sequence[int] = (32,)
    """Width of each hidden layer that a label has for itself; larger fits more, and shares less."""

    def check(self) -> None:
        _Deep.check(self)
        self.check_range("experts", 1, 64)
        if any(not 1 <= width <= 65_536 for width in self.tower):
            raise self.refuse("tower", f"{self.tower}", "widths from 1 to 65,536", "tower=[32]")
        objectives = 'objectives={"view": 1, "like": 5}'
        if not self.objectives:
            raise self.refuse("objectives", "no label", "a label with its weight at least", objectives)
        if not all(0 <= weight < math.inf for weight in self.objectives.values()) or not any(self.objectives.values()):
            raise self.refuse("objectives", f"{dict(self.objectives)}", "weights of 0 or more, not all 0", objectives)
        if unknown := [label for label in self.losses if label not in self.objectives]:
            raise self.refuse("losses", f"{unknown[0]!r}", f"labels of objectives: {', '.join(self.objectives)}")
        if not all(0 < weight < math.inf for weight in self.losses.values()):
            raise self.refuse("losses", f"{dict(self.losses)}", "weights above 0")
        if self.calibrate == "beta":
            raise self.refuse("calibrate", "'beta' for an order, which is no probability", "platt or isotonic")
