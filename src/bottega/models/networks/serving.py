"""Serving a network without PyTorch: a compiled gather in front of ONNX Runtime, both in the calling thread."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.errors import BuildError
from bottega.models.networks.fields import Fields, frozen
from bottega.models.networks.graph import INPUTS, SCORE
from bottega.models.networks.needed import needed

_BLOCK = 4096  # rows scored at once: their inputs stay in the cache
_HIGHEST = np.nextafter(np.float32(1), np.float32(0))


class Served:
    """Scores blocks of rows from a table of vectors and the graph of the dense part; may be shared by threads.

    table: (rows of the fields, width) float32. dense: the ONNX model, `inputs` → `score`. where: how an error names
    it. Raises `BuildError` where onnxruntime is missing or cannot read the graph.
    """

    def __init__(self, fields: Fields, table: npt.NDArray[np.float32], dense: bytes, where: str) -> None:
        self._session = _session(dense, where)
        self._width = (len(fields.offset) - 1) * table.shape[1] + fields.number_count
        self._tasks = tuple(self._session.get_outputs()[0].shape[1:])
        found = self._session.get_inputs()[0].shape[1]
        if found != self._width:
            raise BuildError(
                where,
                f"a graph over {found} inputs",
                f"{self._width}, as the fields say",
                "fit and save the model again, or restore the folder from a copy",
            )
        self._reading = (
            frozen(fields.categories),
            frozen(fields.offset),
            frozen(table),
            frozen(fields.numbers),
            frozen(fields.shape),
            frozen(fields.nulls),
        )
        self._own = threading.local()

    def score(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The probability of each row, (n,) or (n, tasks) float32, above 0 and under 1.

        values: (n, f) as in the inputs.
        """
        values, scores = frozen(values), np.empty((len(values), *self._tasks), dtype=np.float32)
        for low in range(0, len(values), _BLOCK):
            block = values[low : low + _BLOCK]
            dense = self._buffer(len(block))
            self._read(block, dense)
            (logits,) = self._session.run([SCORE], {INPUTS: dense})
            scores[low : low + _BLOCK] = probability(logits)
        return scores

    def _read(self, block: npt.NDArray[np.float32], dense: npt.NDArray[np.float32]) -> None:
        """Write what the dense part reads of a block of rows into `dense`, (rows, width)."""
        from bottega.models.networks.fields_kernel import read_dense

        read_dense(block, *self._reading, dense)

    def _buffer(self, rows: int) -> npt.NDArray[np.float32]:
        """Memory for the dense part's inputs, (rows, width), this thread's own and used again."""
        held = getattr(self._own, "buffer", None)
        if held is None or len(held) < rows:
            held = self._own.buffer = np.empty((rows, self._width), dtype=np.float32)
        return held[:rows]


def probability(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """σ of each log-odds, kept above 0 and under 1.

    >>> chances = probability(np.array([-99, 0, 99], dtype=np.float32))
    >>> bool(chances[0] > 0), float(chances[1]), bool(chances[2] < 1)
    (True, 0.5, True)
    """
    odds = np.exp(-np.clip(logits, np.float32(-80), np.float32(80)))
    chance: npt.NDArray[np.float32] = np.minimum(1 / (1 + odds), _HIGHEST)
    return chance


def _session(dense: bytes, where: str) -> Any:
    runtime = needed("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(dense, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BuildError(
            where,
            f"ONNX Runtime cannot read it ({error})",
            "the file as the model wrote it",
            "fit and save the model again, or restore the folder from a copy",
        ) from error
