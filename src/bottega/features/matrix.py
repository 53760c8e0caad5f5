"""From named columns to the matrix that a model reads, the same in training and in serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from bottega.errors import BuildError, nearest
from bottega.features.frame import Frame, Values, codes
from bottega.features.vocabulary import Coding
from bottega.features.words import TextColumn

_LARGEST = np.finfo(np.float32).max


def model_columns(values: Values, categories: Sequence[str]) -> tuple[list[str], list[str]]:
    """Give the names and kinds of the columns that a model may read: times are left out, since they only grow.

    categories: names of number columns that are categories all the same, such as crosses.
    """
    names, kinds = [], []
    for name, column in [*values.request.items(), *values.row.items()]:
        if isinstance(column, np.ndarray) and column.dtype.kind == "M":
            continue
        names.append(name)
        kinds.append("number" if isinstance(column, np.ndarray) and name not in categories else "category")
    return names, kinds


def matrix(names: Sequence[str], values: Values, frame: Frame, vocabularies: Mapping[str, Coding]) -> np.ndarray:
    """Put columns side by side as (n, f) float32, one row for each candidate; texts as their codes, -1 if unknown.

    What is beyond the range of float32 becomes its largest number.

    vocabularies: for each text column what gives its codes, learnt from the training rows.
    Errors: `BuildError` for a name that is no column.
    """
    result = np.empty((frame.rows, len(names)), np.float32)
    single = len(frame.time) == 1
    with np.errstate(over="ignore"):
        for place, name in enumerate(names):
            of_request = name not in values.row
            if of_request and name not in values.request:
                known = [*values.request, *values.row]
                raise BuildError("matrix", f"no column {name!r}", f"one of {', '.join(known)}", nearest(name, known))
            column = values.request[name] if of_request else values.row[name]
            if not isinstance(column, np.ndarray):
                column = coded(column, vocabularies[name])
            result[:, place] = column[frame.group] if of_request and not single else column  # one request: all rows
    return np.clip(result, -_LARGEST, _LARGEST, out=result)  # NaN stays


def coded(column: pa.DictionaryArray, vocabulary: Coding) -> np.ndarray:
    """Give each text's code in a vocabulary or codebook, (n,) int32, -1 for null and for what has none."""
    if isinstance(column, TextColumn):
        return column.of(vocabulary.codes)
    if len(column) < len(column.dictionary):
        return vocabulary.codes(column.dictionary_decode())
    known = np.append(vocabulary.codes(column.dictionary), np.int32(-1))  # the last one stands for null
    return np.asarray(known[codes(column)])
