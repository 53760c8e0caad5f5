"""Network: a scorer over vectors of categories, trained in PyTorch and served by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy.typing as npt

from bottega.errors import DataError
from bottega.files import write_bytes, write_json
from bottega.models.inputs import Inputs, lesson
from bottega.models.networks.architecture import Architecture, Setting
from bottega.models.networks.checkpoints import Checkpoints, key_of
from bottega.models.networks.fields import Fields
from bottega.models.networks.graph import graph
from bottega.models.networks.lesson import Lesson, later_from
from bottega.models.networks.serving import Served
from bottega.models.networks.training import train
from bottega.models.networks.weights import Weights
from bottega.models.protocols import Scores
from bottega.models.storage import new_folder, read_array, read_bytes, read_facts, write_arrays

_MEASURED = ("examples_per_s",)  # facts of the training that another run would not repeat


class NetworkModel:
    """Scores a row by the probability σ(network) of a label above 0: DCN, DeepFM or DLRM, as the setting says.

    It learns what no feature has to name: which pairs of ids go together. The latest `stop_share` of the rows judge and
    do not teach; the weights of the pass that does best on them are kept. When it is wrong: on few rows it knows an id
    less well than trees on smoothed rates do; weights and focal loss distort its probability; an order learnt beyond
    the best log loss needs a calibrator.

    Training needs PyTorch and onnx, serving onnxruntime alone (`pip install 'bottega[deep]'`); without them each raises
    `BuildError`. It learns on a GPU where PyTorch finds one, unless the environment says `BOTTEGA_DEVICE=cpu`.

    Source: R. Wang et al., DCN V2, WWW 2021; H. Guo et al., DeepFM, IJCAI 2017; M. Naumov et al., DLRM, 2019.
    """

    fields: Fields
    """Which columns it reads, and how."""
    weights: Weights
    """What it has learnt."""
    training: dict[str, Any]
    """How it learnt: epochs, best_epoch, averaged, losses, later (the judge's value after each pass), stop_on,
    stopped_by, rows, later_rows, batch, device, precision, threads; after a fit also examples_per_s."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._served: Served | None = None
        self._graph = b""

    def fit(
        self,
        inputs: Inputs,
        label: npt.ArrayLike,
        weight: npt.ArrayLike | None = None,
        *,
        start: NetworkModel | None = None,
        checkpoints: Path | None = None,
    ) -> None:
        """Learn from rows in the order of their time; what weighs 0 is left out.

        start: an earlier model of the same setting and columns, to go on from: these rows alone are learnt, in half of
        the passes (rounded up), and its own weights are kept where no pass improves on them. Codes must mean what they
        did; new ones, larger than all before, get vectors of their own. checkpoints: a folder for the state after each
        pass: the same fit, begun again after a kill, goes on from there to the same result.
        Raises `DataError` as `lesson` does, and where `start` reads other columns.
        """
        given, labels, weights = self.lesson(inputs, label, weight)
        setting = self.setting
        if start is None:
            self.fields = Fields.of(given)
        else:
            self._check_start(start)
            self.fields = start.fields.grown(given)
        whole = Lesson.of(self.fields, given, labels, weights, setting.positive_weight)
        first = later_from(given.group, len(whole), setting.stop_share)
        learn, later = whole[:first], whole[first:] if first < len(whole) else None
        architecture = Architecture.of(setting, self.fields)
        if start is None:
            begin, epochs = Weights.fresh(architecture, self.fields, learn.rate, setting.seed), setting.epochs
        else:
            begin, epochs = start.weights.grown(start.fields, self.fields, setting.seed), -(-setting.epochs // 2)
        kept = None
        if checkpoints is not None:
            kept = Checkpoints(checkpoints, key_of(architecture, begin, learn, later), architecture, self.fields)
        self.weights, self.training = train(
            architecture, self.fields, begin, learn, later, epochs, start is not None, kept
        )
        self._served, self._graph = None, b""

    def lesson(
        self, inputs: Inputs, label: npt.ArrayLike, weight: npt.ArrayLike | None
    ) -> tuple[Inputs, Scores, Scores | None]:
        """The rows that it learns from, with their labels and weights, or `DataError`: see `bottega.models.inputs`."""
        return lesson(inputs, label, weight)

    def score(self, inputs: Inputs) -> Scores:
        """The probability of each row, (n,), above 0 and under 1."""
        return self.probabilities(inputs)

    def probabilities(self, inputs: Inputs) -> Scores:
        """The probability of each row, (n,), of a network for several labels (n, tasks), above 0 and under 1."""
        inputs.expect(self.fields.names, self.fields.kinds)
        if self._served is None:
            self._served = Served(self.fields, self.weights.embedding, self.dense(), "the network's graph")
        return self._served.score(inputs.values)

    def dense(self) -> bytes:
        """The dense part as an ONNX model; see `graph`."""
        self._graph = self._graph or graph(Architecture.of(self.setting, self.fields), self.weights.dense)
        return self._graph

    def save(self, folder: Path) -> None:
        """Write `network.json`, `dense.onnx`, the weights and the shape of the fields as arrays."""
        fields, facts = self.fields, {k: v for k, v in self.training.items() if k not in _MEASURED}
        with new_folder(folder) as part:
            self.weights.write(part)
            write_arrays(part, {name: getattr(fields, name) for name in _FIELDS})
            write_bytes(part / "dense.onnx", self.dense())
            write_json(part / "network.json", {"names": fields.names, "kinds": fields.kinds, "training": facts})

    @classmethod
    def load(cls, folder: Path, setting: Setting) -> Self:
        """Read what `save` wrote: arrays are mapped, so that workers share them; `BuildError` where it is damaged."""
        model = cls(setting)
        facts = read_facts(folder, "network")
        arrays = {name: read_array(folder, name) for name in _FIELDS}
        model.fields = Fields(tuple(facts["names"]), tuple(facts["kinds"]), **arrays)
        model.training = facts["training"]
        model.weights = Weights.read(folder, Architecture.of(setting, model.fields), model.fields)
        model._graph = read_bytes(folder / "dense.onnx")
        model._served = Served(model.fields, model.weights.embedding, model._graph, str(folder / "dense.onnx"))
        return model

    def _check_start(self, start: NetworkModel) -> None:
        mine, its = (Architecture.of(model.setting, start.fields) for model in (self, start))
        if type(self.setting) is not type(start.setting) or (mine.width, mine.shapes) != (its.width, its.shapes):
            raise DataError(
                "start",
                f"a model of {start.setting!r}",
                f"one of the same kind, sizes and layers as {self.setting!r}",
                "fit without start=, or keep the setting of the day before",
            )


_FIELDS = ("offset", "shape", "nulls")
