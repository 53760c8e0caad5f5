"""The newest usable row of a key at a time: what look-ups and `last` are read from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bottega.features.kernels_calls import still

_NONE = np.zeros(0, np.int64)


def newest_rows(
    codes: NDArray[np.int32],
    time: NDArray[np.int64],
    known: NDArray[np.int64],
    asked: NDArray[np.int32],
    at: NDArray[np.int64],
    size: int,
) -> NDArray[np.int64]:
    """Give for each question the row of its key with `time < at` and `known <= at` that is last by (time, known, row).

    codes, time, known: (m,) of the rows in the order of arrival. asked, at: (n,) of the questions. A key of −1 meets
    nothing; all others lie below `size`. Gives (n,) rows, −1 where there is none.

    >>> key = np.zeros(3, np.int32)
    >>> newest_rows(key, np.array([10, 20, 30]), np.array([10, 40, 30]), key[:2], np.array([30, 31]), 1).tolist()
    [0, 2]
    """
    from bottega.features import kernels

    steady = kernels.steady(still(time), still(known))
    order = None if _rising(time) and steady else np.lexsort((known, time))
    if order is not None:
        codes, time, known = codes[order], time[order], known[order]
    ranks, ready, shift = _NONE, time, max(int(known[0] - time[0]), 1) if len(time) else 1
    if not steady:
        ready, shift = np.maximum(time + 1, known), 0
        if not _rising(ready):
            ranks = np.argsort(ready, kind="stable")
            codes, ready = codes[ranks], ready[ranks]
    out = np.empty(len(at), np.int64)
    kernels.newest(
        still(codes), still(ready), shift, still(ranks), still(asked), still(at),
        still(_NONE if _rising(at) else np.argsort(at, kind="stable")), size, out,
    )  # fmt: skip
    return out if order is None else np.where(out < 0, -1, order[out])


def _rising(times: NDArray[np.int64]) -> bool:
    return bool((times[1:] >= times[:-1]).all())
