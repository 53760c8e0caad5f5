"""A session: an ONNX file made ready to run in the calling thread, or refused with its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.errors import BuildError
from bottega.models.networks.needed import needed

Vectors = npt.NDArray[np.float32]  # (n, d) of length 1
BLOCK = 256  # pictures encoded at once
_THREADS = 4  # at most, over the blocks of many pictures


def session(data: bytes, where: str, fix: str) -> Any:
    """Make an ONNX model ready; `BuildError` with `where` and `fix` where ONNX Runtime cannot read it."""
    runtime = needed("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    try:
        return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BuildError(where, f"ONNX Runtime cannot read it ({error})", "a whole ONNX model", fix) from error


def in_blocks(pictures: npt.NDArray[np.uint8], run: Callable[[npt.NDArray[np.uint8]], Vectors], size: int) -> Vectors:
    """Encode block by block: one in the calling thread, several side by side."""
    blocks = [pictures[low : low + BLOCK] for low in range(0, len(pictures), BLOCK)]
    if not blocks:
        return np.zeros((0, size), dtype=np.float32)
    if len(blocks) == 1:
        return run(blocks[0])
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        return np.concatenate(list(pool.map(run, blocks)))


def unit(vectors: npt.NDArray[Any]) -> Vectors:
    """Each row at length 1; a row of zeros stays one.

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).round(1).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    found = np.asarray(vectors, dtype=np.float32)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    made: Vectors = np.divide(found, length, out=np.zeros_like(found), where=length > 0)
    return made
