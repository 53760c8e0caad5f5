"""CompressedModel: a network that only serves, in the form that a compression left it in."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bottega.design.models import Model
from bottega.errors import BuildError
from bottega.files import write_bytes, write_json
from bottega.models.compression.vectors import Reading, Vectors, read_vectors
from bottega.models.inputs import Inputs
from bottega.models.making import scorer_class
from bottega.models.networks.fields import Fields
from bottega.models.networks.serving import Served
from bottega.models.protocols import Scorer, Scores
from bottega.models.storage import new_folder, read_array, read_facts, write_arrays

FACTS = "compressed"
_FIELDS = ("offset", "shape", "nulls")


class CompressedModel:
    """Scores a row by the probability of a label above 0, as the champion did whose place it takes.

    It reads the champion's own inputs and cannot learn: `fit` refuses. It needs onnxruntime, and no PyTorch.

    setting: of the champion. fields: which columns it reads, and how. vectors: of the categories. dense: the ONNX
    model, `inputs` → `score`. packed: whether the dense part is packed (zlib) on the disk, where zeros then cost
    little. facts: what was done, for people, in plain JSON.
    """

    def __init__(
        self,
        setting: Any,
        fields: Fields,
        vectors: Vectors,
        dense: bytes,
        facts: Mapping[str, Any],
        packed: bool = False,
        where: str = "the compressed network's graph",
    ) -> None:
        self.setting, self.fields, self.vectors, self.dense = setting, fields, vectors, dense
        self.facts, self.packed = dict(facts), packed
        self._served = _Served(fields, vectors, dense, where)

    def fit(self, inputs: Inputs, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> None:
        """Refused with a `BuildError`: it only serves."""
        raise BuildError(
            "models: a compressed model",
            f"asked to learn {np.size(label)} labels of {len(inputs)} rows, weighted: {weight is not None}",
            "scoring alone",
            "fit the champion, and compress it again",
        )

    def score(self, inputs: Inputs) -> Scores:
        """The probability of each row, (n,), above 0 and under 1."""
        inputs.expect(self.fields.names, self.fields.kinds)
        return self._served.score(inputs.values)

    def save(self, folder: Path) -> None:
        """Write `compressed.json`, `dense.onnx`, and the vectors and the fields as arrays."""
        fields = self.fields
        with new_folder(folder) as part:
            write_arrays(part, self.vectors.arrays())
            write_arrays(part, {name: getattr(fields, name) for name in _FIELDS})
            write_bytes(part / _dense(self.packed), zlib.compress(self.dense, 9) if self.packed else self.dense)
            said: dict[str, Any] = {"names": fields.names, "kinds": fields.kinds, "vectors": self.vectors.kind}
            said |= {"width": self.vectors.width, "packed": self.packed, "facts": self.facts}
            write_json(part / f"{FACTS}.json", said)

    @classmethod
    def load(cls, folder: Path, setting: Any) -> Self:
        """Read what `save` wrote: arrays are mapped, so that workers share them; `BuildError` where it is damaged."""
        said = read_facts(folder, FACTS)
        try:
            names, kinds, form, width = (said[key] for key in ("names", "kinds", "vectors", "width"))
            packed, facts = said["packed"], said["facts"]
        except (KeyError, TypeError) as error:
            raise _damaged(folder / f"{FACTS}.json", error) from error
        arrays = {name: read_array(folder, name) for name in _FIELDS}
        fields = Fields(tuple(names), tuple(kinds), **arrays)
        path = folder / _dense(packed)
        try:
            dense = zlib.decompress(path.read_bytes()) if packed else path.read_bytes()
        except (OSError, zlib.error) as error:
            raise _damaged(path, error) from error
        vectors = read_vectors(folder, form, fields.rows, width)
        return cls(setting, fields, vectors, dense, facts, packed, str(path))


def load_compressed(folder: Path, setting: Any) -> CompressedModel:
    """Read a compressed model. setting: of the champion whose place it takes."""
    return CompressedModel.load(folder, setting)


def load_any(folder: Path, setting: Model) -> Scorer:
    """Read a model as it was learnt, or compressed: whichever lies in the folder."""
    if (folder / f"{FACTS}.json").exists():
        return load_compressed(folder, setting)
    return scorer_class(setting).load(folder, setting)


class _Served(Served):
    """Serves from vectors in any form."""

    def __init__(self, fields: Fields, vectors: Vectors, dense: bytes, where: str) -> None:
        super().__init__(fields, np.zeros((0, vectors.width), np.float32), dense, where)
        self._how, self._vectors = Reading.of(fields), vectors

    def _read(self, block: npt.NDArray[np.float32], dense: npt.NDArray[np.float32]) -> None:
        self._vectors.read(self._how, block, dense)


def _dense(packed: bool) -> str:
    return "dense.onnx.z" if packed else "dense.onnx"


def _damaged(path: Path, error: Exception) -> BuildError:
    return BuildError(
        str(path),
        f"cannot be read ({error!r})",
        "the file as the compressed model wrote it",
        "compress the model again, or restore the folder from a copy",
    )
