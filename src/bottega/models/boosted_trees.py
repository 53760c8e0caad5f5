"""BoostedTrees: gradient-boosted decision trees by LightGBM."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bottega.design.scorers import BoostedTrees
from bottega.errors import DataError
from bottega.files import write_json
from bottega.models.forest import Forest
from bottega.models.inputs import Inputs, Kind, lesson
from bottega.models.protocols import Scores
from bottega.models.storage import new_folder, read_facts, read_text

_BINS = 127  # histogram bins of a feature: one byte a value, and a little faster than 255
_THREADS = 2  # a fixed number, for the same bytes on every machine of a kind
_MANY = 1_000_000  # rows from which a second thread gains more than it waits for on a busy machine
_LARGEST_GRADE = 30
_LARGEST_GROUP = 10_000


class BoostedTreesModel:
    """Scores a row by the sum of many small trees, each fitted to what the ones before it got wrong.

    `binary`: the probability σ(Σ trees) of a label above 0. `lambdarank`: Σ trees, fitted to NDCG within each request;
    only the order in a request has a meaning. There a request has one weight, the mean of its rows': what pulls one row
    of a pair up pushes the other down as far, and weights of their own would break that. Nulls go the way that training
    found better; so do categories, in sets. `positive_weight` counts for `binary` only. When it is wrong: it does not
    go beyond the values it has seen, and weights or sampling shift its probabilities; from clicks `lambdarank`
    learns most of the bias of places too, since the mean of a request is all that is left of the weights by which
    `InversePropensity` would undo it.

    Trees of up to 64 leaves are scored by `Forest`, to the bit the sums of LightGBM; larger ones by LightGBM itself.

    >>> rng = np.random.default_rng(0)
    >>> values = rng.random((1000, 2), dtype=np.float32)
    >>> rows = Inputs(["x", "y"], ["number", "number"], values)
    >>> model = BoostedTreesModel(BoostedTrees(trees=20))
    >>> model.fit(rows, values[:, 0] > 0.5)
    >>> print(model.score(rows.take([0, 2])) > 0.5, values[[0, 2], 0] > 0.5)
    [ True False] [ True False]

    Source: G. Ke et al., LightGBM, NeurIPS 2017; C. Burges, From RankNet to LambdaRank to LambdaMART, 2010.
    """

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    text: str
    """LightGBM's own model text."""
    forest: Forest | None
    """The same trees as flat arrays; nothing where they are too large for it."""

    def __init__(self, setting: BoostedTrees) -> None:
        self.setting = setting

    def fit(
        self,
        inputs: Inputs,
        label: npt.ArrayLike,
        weight: npt.ArrayLike | None = None,
        *,
        start: BoostedTreesModel | None = None,
    ) -> None:
        """Grow the trees; `lambdarank` needs the inputs' group, and whole grades 0 to 30 as labels.

        start: a model of the same columns, codes and objective, fitted on other rows, as those of the days before: its
        trees stay, and the setting's number of trees is added, fitted to what they get wrong on these rows. Each start
        makes the model, and the time of scoring, larger; take few trees for a day.
        """
        import lightgbm

        inputs, labels, weights = lesson(inputs, label, weight)
        rank = self.setting.objective == "lambdarank"
        if start is not None:
            inputs.expect(start.names, start.kinds)
            _expect_objective(start.setting.objective, self.setting.objective)
        if self.setting.positive_weight != 1 and not rank:
            heavier = np.where(labels > 0, np.float32(self.setting.positive_weight), np.float32(1))
            weights = heavier if weights is None else weights * heavier
        sizes = _group_sizes(inputs, labels) if rank else None
        categories = [j for j, kind in enumerate(inputs.kinds) if kind == "category"]
        parameters: dict[str, Any] = {
            "objective": self.setting.objective,
            "num_leaves": self.setting.leaves,
            "learning_rate": self.setting.learning_rate,
            "min_data_in_leaf": self.setting.min_leaf,
            "min_sum_hessian_in_leaf": self.setting.min_hessian,
            "lambda_l2": self.setting.reg,
            "feature_fraction": self.setting.column_share,
            "bagging_fraction": self.setting.row_share,
            "bagging_freq": int(self.setting.row_share < 1),
            "seed": self.setting.seed,
            "max_bin": _BINS,
            "num_threads": _THREADS if len(labels) >= _MANY else 1,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        data = lightgbm.Dataset(
            _with_nulls(inputs.values, categories),
            label=labels if rank else (labels > 0).astype(np.float32),
            weight=weights if weights is None or sizes is None else _by_request(weights, sizes),
            group=sizes,
            categorical_feature=categories,
            params=parameters,
            free_raw_data=True,
        )
        before = None if start is None else lightgbm.Booster(model_str=start.text)
        booster = lightgbm.train(parameters, data, num_boost_round=self.setting.trees, init_model=before)
        self.names, self.kinds = tuple(inputs.names), tuple(inputs.kinds)
        self._take(booster.model_to_string(num_iteration=-1))

    def score(self, inputs: Inputs) -> Scores:
        """The probability of each row (`binary`), or its place in the order (`lambdarank`), (n,)."""
        inputs.expect(self.names, self.kinds)
        if not len(inputs):
            return np.zeros(0, dtype=np.float32)
        margin = self._slowly(inputs.values) if self.forest is None else self.forest.sum(inputs.values)
        if self.setting.objective == "binary":
            margin = 1 / (1 + np.exp(-margin))
        return margin.astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write `trees.txt` and `boosted_trees.json`."""
        with new_folder(folder) as part:
            (part / "trees.txt").write_text(self.text, "utf-8")
            write_json(part / "boosted_trees.json", {"names": self.names, "kinds": self.kinds})

    @classmethod
    def load(cls, folder: Path, setting: BoostedTrees) -> Self:
        """Read what `save` wrote; LightGBM is imported only for trees of more than 64 leaves."""
        model = cls(setting)
        facts = read_facts(folder, "boosted_trees")
        model.names, model.kinds = tuple(facts["names"]), tuple(facts["kinds"])
        model._take(read_text(folder / "trees.txt"))
        return model

    def _take(self, text: str) -> None:
        self.text, self.forest, self._booster = text, Forest.read(text), None

    _booster: Any

    def _slowly(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        import lightgbm

        if self._booster is None:
            self._booster = lightgbm.Booster(model_str=self.text)
        margin: npt.NDArray[np.float64] = self._booster.predict(values, raw_score=True, num_threads=1)
        return margin


def _expect_objective(found: str, wanted: str) -> None:
    if found != wanted:
        raise DataError(
            "start",
            f"trees of objective {found!r}",
            f"trees of the same objective, {wanted!r}",
            "start from a model of this setting, or from none",
        )


def _by_request(weights: npt.NDArray[np.float32], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The mean weight of each request at each of its rows, (n,)."""
    means = np.add.reduceat(weights.astype(np.float64), np.cumsum(sizes) - sizes) / sizes
    return np.repeat(means, sizes).astype(np.float32)


def _with_nulls(values: npt.NDArray[np.float32], categories: list[int]) -> npt.NDArray[np.float32]:
    """The values with NaN for unknown categories, copied only where there are some; LightGBM warns of negative ones."""
    unknown = values[:, categories] < 0
    if not unknown.any():
        return values
    values = values.copy()
    values[:, categories] = np.where(unknown, np.nan, values[:, categories])
    return values


def _group_sizes(inputs: Inputs, labels: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """The rows of each request, (requests,), as LightGBM takes groups."""
    if inputs.group is None:
        raise DataError(
            "inputs.group",
            "nothing",
            "the request of each row, ascending",
            "pass group=, or take BoostedTrees(objective='binary')",
        )
    if (labels != np.floor(labels)).any() or labels.max() > _LARGEST_GRADE:
        raise DataError(
            "label",
            f"{labels.max():g} and parts of 1",
            f"whole grades 0 to {_LARGEST_GRADE} for lambdarank",
            "round the label to grades, or take BoostedTrees(objective='binary')",
        )
    sizes = np.diff(np.flatnonzero(np.diff(inputs.group, prepend=-1, append=inputs.group[-1] + 1)))
    if sizes.max() > _LARGEST_GROUP:
        raise DataError(
            "inputs.group",
            f"a request with {sizes.max()} rows",
            f"at most {_LARGEST_GROUP} for lambdarank",
            "sample the negatives of each request, or take BoostedTrees(objective='binary')",
        )
    return sizes
