"""Requests made from a log of positives: who had a history at a cut, and what they took after it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.cuts import Cut
from bottega.data.examples import PART_NAMES, Requests
from bottega.data.keys import as_text, encode, identifiers
from bottega.data.labels import holds
from bottega.data.log import Log
from bottega.data.times import iso
from bottega.design.design import Design
from bottega.design.examples import FromPositives
from bottega.errors import DataError

_WHERE = "data.examples.where"


def requests(design: Design, log: Log, cuts: Sequence[Cut]) -> Requests:
    """Make the requests of each cut, and what was relevant to each.

    A person (the first column of the request) asks once at a cut if the log had an event of theirs that was known at
    the cut, or the examples take newcomers, and they took at least one candidate in [at, until); who took nothing
    teaches a ranker nothing, and has no recall either, so the same rule holds in training, validation and test.
    Relevant are the distinct candidates taken there, also those never taken before. The request's other columns have
    the value of the person's newest row before the cut, by event time, then by arrival. Rows without person or
    candidate are passed over; rows that are no positives, by `where`, take nothing and are events all the same.

    It is wrong where those who take nothing matter: the metrics speak of people who did take something.

    design: with FromPositives; log: of its table; cuts: as `cuts` gives them.
    Gives requests in the order of part, time, person. Raises `DataError`: a part in which nobody asks, and what
    `positive` refuses.
    """
    examples = design.data.examples
    if not isinstance(examples, FromPositives) or log.time is None:
        raise DataError("data.examples", type(examples).__name__, "FromPositives over a table with a time")
    ids = identifiers(design)
    person, people = encode(log.column(examples.request[0]))  # (n,), (u,)
    item, items = encode(log.column(examples.candidate))  # (n,), (i,)
    named = (person >= 0) & (item >= 0)
    taking = named & positive(examples, log)
    others = {name: _other(log, name, ids) for name in examples.request[1:]}
    order = np.argsort(log.time, kind="stable") if others else np.empty(0, np.int64)
    who, times, parts, owners, taken = [], [], [], [], []
    columns: dict[str, list[pa.Array]] = {name: [] for name in others}
    count = 0
    for cut in sorted(cuts, key=lambda cut: (cut.part, cut.at)):
        before = log.usable(cut.at) & named
        history = np.bincount(person[before], minlength=len(people)) > 0  # (u,)
        after = taking & (log.time >= cut.at) & (log.time < cut.until)
        if log.known is not None:
            after &= log.known <= cut.known_by
        if not examples.newcomers:
            after[after] = history[person[after]]
        pairs = np.unique(person[after].astype(np.int64) * len(items) + item[after])  # sorted by person, then candidate
        asking, owner = np.unique(pairs // max(len(items), 1), return_inverse=True)
        who.append(asking)
        times.append(np.full(len(asking), cut.at, np.int64))
        parts.append(np.full(len(asking), cut.part, np.int8))
        owners.append(owner + count)
        taken.append(pairs % max(len(items), 1))
        count += len(asking)
        if others:
            newest = _newest(person, order[before[order]], len(people))[asking]
            for name, column in others.items():
                columns[name].append(column.take(pa.array(newest, mask=newest < 0)))
    made = Requests(
        pa.table(
            {
                examples.request[0]: people.take(pa.array(np.concatenate(who))),
                **{name: pa.concat_arrays(chunks) for name, chunks in columns.items()},
            }
        ),
        np.concatenate(times),
        np.concatenate(parts),
        np.concatenate(owners).astype(np.int32),
        items.take(pa.array(np.concatenate(taken))),
    )
    _check_parts(made, cuts, examples, taking)
    return made


def positive(examples: FromPositives, log: Log) -> NDArray[np.bool_]:
    """Mark the rows that are positives, (n,): those for which the condition is true, or all.

    log: of the examples' table, whole. Raises `DataError`: a condition that its columns do not carry, or that no row
    meets.
    """
    found = positive_rows(examples, log)
    if examples.where is not None and not found.any():
        raise DataError(
            _WHERE,
            f"{examples.where!r} holds for none of the {log.rows.num_rows:,} rows of {log.name!r}",
            "a condition that some rows meet",
            "look at the columns' values and units, or leave where= out",
        )
    return found


def positive_rows(examples: FromPositives, log: Log) -> NDArray[np.bool_]:
    """The same for a part of the table, in which there may be none."""
    if examples.where is None:
        return np.ones(log.rows.num_rows, np.bool_)
    return holds(log.rows, examples.where, _WHERE)


def _other(log: Log, name: str, ids: frozenset[str]) -> pa.Array:
    column = log.column(name)
    is_id = name in ids or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return as_text(column) if is_id else column.combine_chunks()


def _newest(person: NDArray[np.int32], rows: NDArray[np.int64], people: int) -> NDArray[np.int64]:
    newest = np.full(people, -1, np.int64)
    newest[person[rows]] = rows  # rows come in the order of time: the last one stays
    return newest


def _check_parts(made: Requests, cuts: Sequence[Cut], examples: FromPositives, taking: NDArray[np.bool_]) -> None:
    nobody = "no one" if examples.newcomers else "no one with an event before"
    held, other = "", ""
    if examples.where is not None:
        count = int(np.count_nonzero(taking))
        held = f"; {examples.where!r} holds for {count:,} of {len(taking):,} rows"
        other = "a condition that more rows meet, "
    for part in sorted({cut.part for cut in cuts}):
        if not (made.part == part).any():
            places = ", ".join(f"{iso(cut.at)} to {iso(cut.until)}" for cut in cuts if cut.part == part)
            raise DataError(
                "data.examples",
                f"nobody asks in the {PART_NAMES[part]} part: {nobody} took anything in {places}{held}",
                "at least one request in each part",
                f"{other}a longer horizon, another cut, or a longer log; rows far from all others in time are put into "
                "quarantine by a check such as Range(time, at_most='2030-01-01')",
            )
