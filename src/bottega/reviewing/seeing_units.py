"""Looking at what has several rows that a random split would part: a person, a machine, a run to failure."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bottega.data.grouped import in_requests
from bottega.data.keys import encode
from bottega.data.log import Log
from bottega.design.data import RandomSplit
from bottega.design.design import Design
from bottega.design.examples import Logged
from bottega.reviewing.seen import Unit

Codes = NDArray[np.int64]

_FEW = 3  # of what a table has fewer, no part can be held out
_TWICE = 2.0  # rows of each, in the mean
_LIKE = 0.05  # how far the number of units and of first rows may differ, for tables that were cut
_COUNTERS = 20  # columns that may number rows


def unit(design: Design, log: Log) -> Unit | None:
    """Find what a random split of examples without a time parts: rows that belong together, by the design or a count.

    The design says it by `unit`, or by the first column of the request. A table says it by a column of whole numbers
    that counts each unit's rows from one number on, without a gap: the cycles of an engine, the visits of a person.
    """
    examples = design.data.examples
    if not isinstance(examples, Logged) or not isinstance(design.data.split, RandomSplit) or log.time is not None:
        return None
    rows = np.arange(log.rows.num_rows)
    first, _ = in_requests(examples, log, rows, np.zeros(len(rows), np.int64))
    said = design.evaluation.unit or examples.request[0]
    named = [(said, None)] if said in log.rows.column_names else []
    for name, counter in [*_counted(design, log), *named]:
        codes, names = encode(log.rows.column(name))
        asked = np.bincount(codes[first][codes[first] >= 0], minlength=len(names))  # requests of each
        known = int(np.count_nonzero(asked))
        if known >= _FEW and asked.sum() >= _TWICE * known:  # rows of one request stay together in any split
            return Unit(name, known, float(np.count_nonzero(codes >= 0)) / known, counter)
    return None


def _counted(design: Design, log: Log) -> list[tuple[str, str]]:
    """Give columns that name units, each with one that counts the rows of each.

    Where all have as many rows, either column counts the other: first stands the one whose rows stand together.
    """
    found: list[tuple[float, str, str]] = []
    labels = {label.name for label in design.data.labels}
    whole = {name: numbers for name in log.rows.column_names if (numbers := _whole(log, name)) is not None}
    counters = [name for name in whole if name not in labels and _falls(whole[name])][:_COUNTERS]
    named = [name for name in log.rows.column_names if name not in labels and (name in whole or _is_text(log, name))]
    sizes = {name: pc.count_distinct(log.rows.column(name)).as_py() for name in named} if counters else {}
    for counter in counters:
        count = whole[counter] - whole[counter].min()
        firsts = int(np.count_nonzero(count == 0))
        for name, size in sizes.items():
            if name == counter or size < _FEW or abs(size - firsts) > _LIKE * firsts:
                continue
            codes, _ = encode(log.rows.column(name))
            if _numbers_each(codes, count):
                found.append((-float((np.diff(codes) == 0).mean()), name, counter))
    return [(name, counter) for _, name, counter in sorted(found)]


def _falls(values: Codes) -> bool:
    """Say whether a column may count rows: from its smallest number on each comes, and no number more than the one
    before; the first one at least thrice, and two rows of a unit in the mean."""
    if np.ptp(values) >= len(values):
        return False
    comes = np.bincount(values - values.min())
    fair = comes[0] >= _FEW and len(values) >= _TWICE * comes[0]
    return bool(fair and comes.min() > 0 and (np.diff(comes) <= _LIKE * comes[0]).all())


def _numbers_each(codes: NDArray[np.int32], count: Codes) -> bool:
    """Say whether no unit has a number twice, and nearly all of them have each from 0 to their last."""
    pair = codes.astype(np.int64) * (int(count.max()) + 1) + count
    if len(np.unique(pair)) < len(pair):
        return False
    rows = np.bincount(codes)
    last = np.zeros(len(rows), np.int64)
    np.maximum.at(last, codes, count)
    return bool(((last + 1) == rows).mean() >= 1 - _LIKE)


def _whole(log: Log, name: str) -> Codes | None:
    """Give a column of whole numbers without a gap, (n,)."""
    column = log.rows.column(name)
    if column.null_count or not len(column) or not pa.types.is_integer(column.type):
        return None
    return np.asarray(column.cast(pa.int64(), safe=False).to_numpy(), np.int64)


def _is_text(log: Log, name: str) -> bool:
    column = log.rows.column(name)
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return bool(text and not column.null_count)
