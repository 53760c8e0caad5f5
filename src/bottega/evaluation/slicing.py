"""Slicing: the requests of each value of a column, and of people who are new."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.data.keys import encode
from bottega.evaluation.outcome import Mask

COLD = 5  # events before the request; people with at most so many are cold
MISSING = "(missing)"  # the slice of requests without a value


def by_value(column: pa.Array | pa.ChunkedArray, at_most: int = 20) -> dict[str, Mask]:
    """The requests of each of the most frequent values of a column.

    column: (r,) of any flat type, read as text; null is the value `(missing)`. at_most: values kept, from 1; rarer ones
    are in no slice, equally frequent ones go by their text. Gives value to (r,), the most frequent first.

    >>> {value: mask.tolist() for value, mask in by_value(pa.array(["UK", "France", "UK"])).items()}
    {'UK': [True, False, True], 'France': [False, True, False]}
    """
    codes, vocabulary = encode(column)
    names = [*vocabulary.to_pylist(), MISSING]
    codes = np.where(codes < 0, len(names) - 1, codes)
    counts = np.bincount(codes, minlength=len(names))
    order = np.argsort(-counts, kind="stable")[:at_most]  # the vocabulary is sorted, so equals go by text
    return {names[code]: codes == code for code in order.tolist() if counts[code]}


def cold(history: npt.ArrayLike) -> dict[str, Mask]:
    """The requests of people with at most five events before, `cold`, and the others, `warm`.

    history: (r,) events of the person before the request; nan, for a person never seen, is none.

    >>> {value: mask.tolist() for value, mask in cold([0, 5, 6]).items()}
    {'cold': [True, True, False], 'warm': [False, False, True]}
    """
    warm = np.asarray(history, dtype=np.float64) > COLD
    return {"cold": ~warm, "warm": warm}


def by_interactions(history: npt.ArrayLike) -> dict[str, Mask]:
    """Part people or items by the events that they had before: none, one to five, more; a part without any is left out.

    history: (n,) events; nan, for what was never seen, is none.

    >>> {value: mask.tolist() for value, mask in by_interactions([0, 5, 6]).items()}
    {'0': [True, False, False], '1 to 5': [False, True, False], 'over 5': [False, False, True]}
    """
    events = np.nan_to_num(np.asarray(history, dtype=np.float64))
    parts = {"0": events <= 0, "1 to 5": (events > 0) & (events <= COLD), f"over {COLD}": events > COLD}
    return {name: mask for name, mask in parts.items() if mask.any()}
