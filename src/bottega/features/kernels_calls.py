"""Calls of compiled loops: arrays of one type, whatever made them, and parts for threads; it needs no Numba."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

T = TypeVar("T")


def still(array: NDArray[Any]) -> NDArray[Any]:
    """Give an array contiguous and read-only, without a copy where it lies so: one compilation serves all.

    What comes from Arrow can only be read; a compiled loop is of another type for it than for one that can be written.

    >>> still(np.arange(3)).flags.writeable
    False
    """
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def cut(count: int, least: int) -> list[slice]:
    """Cut so many rows into one part for each thread that Arrow may use, of no fewer than `least` rows.

    >>> cut(5, 10)
    [slice(0, 5, None)]
    """
    parts = max(min(pa.cpu_count(), count // least), 1)
    borders = [count * part // parts for part in range(parts + 1)]
    return [slice(start, stop) for start, stop in pairwise(borders)]


def together(work: Callable[[slice], T], parts: Sequence[slice]) -> list[T]:
    """Do the work for each part, in a thread each: it must give the interpreter's lock away, as compiled loops do."""
    if len(parts) == 1:
        return [work(parts[0])]
    with ThreadPoolExecutor(len(parts)) as pool:
        return list(pool.map(work, parts))
