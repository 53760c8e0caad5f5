"""ONNX image encoder: any network from a file, read by its own shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bottega.design.encoders import OnnxImageEncoder
from bottega.errors import BuildError, DataError
from bottega.files import write_bytes, write_json
from bottega.models.images.decoding import Pictures, check_pictures
from bottega.models.images.session import Vectors, in_blocks, session, unit
from bottega.models.storage import new_folder, read_bytes, read_facts

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
_CHANNELS = (1, 3, 4)
_FIX = "export the encoder again, with one input of pictures and its weights inside"


class OnnxImageEncoderModel:
    """Encodes a picture by an ONNX file: scaled pixels in, the chosen output pooled to one vector of length 1.

    When it is wrong: `scale`, `mean` and `std` other than those of its own training give vectors that look fine and
    rank badly; take them from the model's card.
    """

    shape: tuple[int, int, int]
    """Height, width and channels of the pictures that it reads."""
    size: int
    """Length of the vector."""

    def __init__(self, setting: OnnxImageEncoder) -> None:
        self.setting = setting
        self._graph = b""
        self._session: Any = None

    def fit(self, pictures: Pictures, label: npt.ArrayLike | None = None) -> None:  # noqa: ARG002 (as in the others)
        """Read the file, and try it on one picture; nothing is learnt.

        pictures: (n, height, width, channels) uint8, n at least 1. label: not read. Raises `BuildError` for a file that
        is missing, damaged or no encoder, `DataError` for pictures of another shape than it reads.
        """
        given = check_pictures(pictures)
        if not len(given):
            raise DataError("pictures", "none", "one at least", "look at the table of items")
        try:
            self._graph = Path(self.setting.path).read_bytes()
        except OSError as error:
            allowed = "the path of an ONNX file"
            raise BuildError(self.setting.path, f"cannot be read ({error})", allowed, 'path="…"') from error
        self.shape = given.shape[1], given.shape[2], given.shape[3]
        self._take(self._graph, self.setting.path)
        self._check_shape()
        self.size = self._run(given[:1]).shape[1]

    def encode(self, pictures: Pictures) -> Vectors:
        """The vector of each picture, (n, size) float32 of length 1. pictures: of the shape of the fit."""
        return in_blocks(check_pictures(pictures, self.shape), self._run, self.size)

    def save(self, folder: Path) -> None:
        """Write `encoder.onnx`, the file itself, and `encoder.json`."""
        with new_folder(folder) as part:
            write_bytes(part / "encoder.onnx", self._graph)
            write_json(part / "encoder.json", {"shape": self.shape, "size": self.size})

    @classmethod
    def load(cls, folder: Path, setting: OnnxImageEncoder) -> Self:
        """Read what `save` wrote; `BuildError` where it is damaged."""
        model = cls(setting)
        facts = read_facts(folder, "encoder")
        try:
            height, width, channels = facts["shape"]
            model.shape, model.size = (height, width, channels), facts["size"]
        except (KeyError, TypeError, ValueError) as error:
            found = f"not its facts ({error!r})"
            raise BuildError(
                str(folder / "encoder.json"), found, "shape, size", "fit and save the model again"
            ) from error
        model._graph = read_bytes(folder / "encoder.onnx")
        model._take(model._graph, str(folder / "encoder.onnx"))
        return model

    def _take(self, graph: bytes, where: str) -> None:
        """Make the file ready, and read from it what it takes and gives."""
        found = session(graph, where, _FIX)
        inputs, outputs = found.get_inputs(), [node.name for node in found.get_outputs()]
        shapes = {node.name: (node.type, node.shape) for node in inputs}
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _TYPES:
            allowed = f"one input with four sides, {', '.join(_TYPES)}"
            raise BuildError(where, f"inputs {shapes}", allowed, _FIX)
        if self.setting.output is not None and self.setting.output not in outputs:
            raise BuildError(where, f"no output {self.setting.output!r}", ", ".join(outputs), f"output={outputs[0]!r}")
        self._session, self._where = found, where
        self._input, self._output = inputs[0].name, self.setting.output or outputs[0]
        self._type, self._sides = _TYPES[inputs[0].type], inputs[0].shape
        self._first = self._channels_first()

    def _channels_first(self) -> bool:
        """The layout in which the pictures fit; where they fit in neither, that with so many sides of channels."""
        if self.setting.layout != "auto":
            return self.setting.layout == "NCHW"
        height, width, channels = self.shape
        before, after = (self._fits(sides) for sides in ((channels, height, width), self.shape))
        if not before and not after:
            before, after = self._sides[1] in _CHANNELS, self._sides[3] in _CHANNELS
        if before == after:
            found = f"an input {self._sides}, whose layout cannot be told"
            raise BuildError(self._where, found, "NCHW or NHWC", 'layout="NCHW" in OnnxImageEncoder')
        return before

    def _fits(self, sides: tuple[int, int, int]) -> bool:
        return all(not isinstance(own, int) or own == side for own, side in zip(self._sides[1:], sides, strict=True))

    def _check_shape(self) -> None:
        _, *sides = self._sides
        height, width, channels = (sides[1], sides[2], sides[0]) if self._first else sides
        wanted = tuple(
            side if isinstance(side, int) else given
            for side, given in zip((height, width, channels), self.shape, strict=True)
        )
        if wanted != self.shape:
            raise DataError(
                "pictures",
                f"height, width and channels {self.shape}",
                f"{wanted}, as {self._where} reads them",
                f"Image(..., size={wanted[:2]}, channels={wanted[2]})",
            )
        for field in ("mean", "std"):
            if len(getattr(self.setting, field)) not in (1, self.shape[2]):
                found, allowed = f"{len(getattr(self.setting, field))} numbers", f"1, or {self.shape[2]}, one a channel"
                raise DataError(f"OnnxImageEncoder.{field}", found, allowed, f"{field}=[0.5]")

    def _run(self, block: Pictures) -> Vectors:
        """The vectors of some pictures; a file of a fixed count of pictures gets them in such counts."""
        mean, std = (np.asarray(values, dtype=np.float32) for values in (self.setting.mean, self.setting.std))
        x = ((block.astype(np.float32) / np.float32(self.setting.scale)) - mean) / std if self._scales() else block
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2) if self._first else x, dtype=self._type)
        count = self._sides[0] if isinstance(self._sides[0], int) else len(x)
        found = []
        for low in range(0, len(x), count):
            part = x[low : low + count]
            rest = count - len(part)
            part = np.pad(part, ((0, rest), (0, 0), (0, 0), (0, 0))) if rest else part
            found.append(self._pooled(self._ask(part))[: count - rest])
        return unit(np.concatenate(found))

    def _scales(self) -> bool:
        """Whether pixels are scaled here; a file that takes bytes does that itself."""
        return self._type is not np.uint8

    def _ask(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        try:
            (found,) = self._session.run([self._output], {self._input: x})
        except Exception as error:
            raise BuildError(
                self._where, f"it fails on pictures {x.shape} ({error})", "an encoder that takes them",
                "Image(..., size=…, channels=…) as the model's card says, or layout=",
            ) from error  # fmt: skip
        values: npt.NDArray[Any] = found
        return values

    def _pooled(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One vector a picture, from (n, d), tokens (n, t, d), or places (n, d, h, w), (n, h, w, d) as the input."""
        if values.ndim == 4:
            n, d = len(values), values.shape[1 if self._first else 3]
            places = values.transpose(0, 2, 3, 1) if self._first else values
            values = places.reshape(n, -1, d)
        if values.ndim == 3:
            values = values[:, 0] if self.setting.pool == "first" else values.astype(np.float32).mean(axis=1)
        if values.ndim != 2 or values.shape[1] < 2:
            found = f"its output {self._output!r} has the shape {values.shape}"
            raise BuildError(self._where, found, "(n, d), (n, tokens, d) or places", 'output="…" of the vector')
        if not np.isfinite(values).all():
            raise BuildError(self._where, f"{self._output!r} is not finite", "finite numbers", "scale=, mean=, std=")
        return values
