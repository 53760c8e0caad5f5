"""Image encoder: a small network learnt from labelled pictures, trained in PyTorch and served by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bottega.design.encoders import ImageEncoder
from bottega.errors import BuildError, DataError
from bottega.files import write_bytes, write_json
from bottega.models.images.decoding import Pictures, check_pictures
from bottega.models.images.graph import PICTURES, VECTORS, graph
from bottega.models.images.learning import learnt
from bottega.models.images.network import Network
from bottega.models.images.session import Vectors, in_blocks, session
from bottega.models.storage import new_folder, read_bytes, read_facts

_MEASURED = ("pictures_per_s",)  # facts of the training that another run would not repeat
_FIX = "fit and save the model again, or restore the folder from a copy"


class ImageEncoderModel:
    """Encodes a picture as a vector of length 1; the product of two vectors says how alike their pictures are.

    It learns from labels alone what counts as alike: a class, a product, a place. When it is wrong: it cannot place
    what it never saw the kind of; a label of one picture teaches little; wrong labels are learnt as well as right ones.

    Training needs PyTorch and onnx, serving onnxruntime alone (`pip install 'bottega[deep]'`); without them each raises
    `BuildError`. It learns on a GPU where PyTorch finds one, unless the environment says `BOTTEGA_DEVICE=cpu`.

    Source: A. Zhai and H.-Y. Wu, Classification is a Strong Baseline for Deep Metric Learning, BMVC 2019.
    """

    shape: tuple[int, int, int]
    """Height, width and channels of the pictures that it reads."""
    training: dict[str, Any]
    """How it learnt: losses (of each pass), pictures, labels, batch, device, precision, threads; after a fit also
    pictures_per_s."""

    def __init__(self, setting: ImageEncoder) -> None:
        self.setting = setting
        self._graph = b""
        self._session: Any = None

    def fit(self, pictures: Pictures, label: npt.ArrayLike | None) -> None:
        """Learn from pictures with labels; those of one label are alike.

        pictures: (n, height, width, channels) uint8. label: (n,) numbers or texts. Raises `DataError` for other shapes,
        missing labels, and labels that are all the same.
        """
        given = check_pictures(pictures)
        codes = _codes(label, len(given))
        self.shape = given.shape[1], given.shape[2], given.shape[3]
        network = Network(*self.shape, first=self.setting.width, out=self.setting.embedding_size)
        middle, spread = _light(given)
        weights, self.training = learnt(self.setting, network, given, codes, middle, spread)
        self._take(graph(network, weights, middle, spread, self.setting.mirror), "the encoder's graph")

    def encode(self, pictures: Pictures) -> Vectors:
        """The vector of each picture, (n, embedding_size) float32 of length 1. pictures: of the shape of the fit."""
        return in_blocks(check_pictures(pictures, self.shape), self._run, self.setting.embedding_size)

    def graph(self) -> bytes:
        """What it has learnt, as an ONNX model: see `bottega.models.images.graph.graph`."""
        return self._graph

    def save(self, folder: Path) -> None:
        """Write `encoder.onnx` and `encoder.json`."""
        facts = {name: fact for name, fact in self.training.items() if name not in _MEASURED}
        with new_folder(folder) as part:
            write_bytes(part / "encoder.onnx", self._graph)
            write_json(part / "encoder.json", {"shape": self.shape, "training": facts})

    @classmethod
    def load(cls, folder: Path, setting: ImageEncoder) -> Self:
        """Read what `save` wrote; `BuildError` where it is damaged or of another setting."""
        model = cls(setting)
        facts = read_facts(folder, "encoder")
        try:
            height, width, channels = facts["shape"]
            model.shape, model.training = (height, width, channels), facts["training"]
        except (KeyError, TypeError, ValueError) as error:
            raise BuildError(
                str(folder / "encoder.json"), f"not its facts ({error!r})", "shape, training", _FIX
            ) from error
        model._take(read_bytes(folder / "encoder.onnx"), str(folder / "encoder.onnx"))
        return model

    def _take(self, graph: bytes, where: str) -> None:
        found = session(graph, where, _FIX)
        inputs, outputs = (
            [tuple(node.shape[1:]) for node in nodes] for nodes in (found.get_inputs(), found.get_outputs())
        )
        allowed = [self.shape], [(self.setting.embedding_size,)]
        if (inputs, outputs) != allowed:
            raise BuildError(
                where,
                f"a graph from {inputs} to {outputs}",
                f"from {allowed[0]} to {allowed[1]}, as the design says",
                "load it with the setting that it was saved with, or fit and save the model again",
            )
        self._graph, self._session = graph, found

    def _run(self, block: Pictures) -> Vectors:
        vectors: Vectors = self._session.run([VECTORS], {PICTURES: np.ascontiguousarray(block)})[0]
        return vectors


def _codes(label: npt.ArrayLike | None, rows: int) -> npt.NDArray[np.int64]:
    """The label of each picture as a code from 0 up."""
    values = np.asarray(label)
    allowed = f"({rows},) numbers or texts, one a picture"
    if values.shape != (rows,):
        raise DataError("label", f"an array {values.shape}", allowed, "pass columns of one table")
    missing = (
        any(value is None for value in values)
        if values.dtype == object
        else (values.dtype.kind == "f" and bool(np.isnan(values).any()))
    )
    if missing:
        raise DataError("label", "missing values", allowed, "leave such pictures out")
    known, codes = np.unique(values, return_inverse=True)
    if len(known) < 2:
        raise DataError(
            "label",
            f"{len(known)} different labels in {rows} pictures",
            "two at least: what is alike, and what is not",
            "look at the column whose equality makes pictures relevant",
        )
    return codes.astype(np.int64)


def _light(pictures: Pictures) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The mean and the deviation of the pixels of each channel."""
    counts = np.stack([np.bincount(pictures[..., c].ravel(), minlength=256) for c in range(pictures.shape[3])])
    share, light = counts / counts.sum(axis=1, keepdims=True), np.arange(256)
    mean = share @ light
    spread = np.sqrt((share * (light - mean[:, None]) ** 2).sum(axis=1))
    return mean.astype(np.float32), np.maximum(spread, 1).astype(np.float32)
