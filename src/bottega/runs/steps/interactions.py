"""What retrievers learn from: who took what in a log of positives, or what was judged right, with the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from bottega.data.examples import TRAIN, Requests
from bottega.data.keys import as_text, encode
from bottega.data.log import Log
from bottega.data.positives import positive
from bottega.design.examples import FromPositives, Judged
from bottega.errors import DataError
from bottega.models.following import Events
from bottega.models.interactions import NEVER, Interactions
from bottega.models.vocabulary import codes_of


def taken(examples: FromPositives, log: Log, catalogue: Log | None, columns: Sequence[str], at: int) -> Interactions:
    """Give who took what before a moment, and what else could have been taken then.

    Rows that are no positives, by `where`, take nothing, and without a catalogue nobody finds what only they name.

    log: of the examples' table. catalogue: of the table of candidates. columns: with texts that retrievers read, of the
    catalogue where it has them, else of the log. at: microseconds since 1970 UTC.
    """
    if log.time is None:
        raise DataError(f"data.tables[{log.name}].time", "no time", "a table of events with a time")
    past = log.take(log.usable(at) & positive(examples, log)) if examples.where is not None else log.before(at)
    people, items = (as_text(past.column(name)) for name in (examples.request[0], examples.candidate))
    own = [name for name in columns if catalogue is None or name not in catalogue.rows.column_names]
    times = np.zeros(0, np.int64) if past.time is None else past.time
    found = Interactions.of(people, items, times, {name: as_text(past.column(name)) for name in own})
    rest = [name for name in columns if name not in own]
    return found if catalogue is None else _with(found, examples.candidate, catalogue, rest, at)


def judged_right(examples: Judged, asked: Requests, catalogue: Log, columns: Sequence[str]) -> Interactions:
    """Give the right candidates of the training requests, each request named by its text, and the whole catalogue."""
    here = asked.in_part(TRAIN)
    names = as_text(here.columns.column(examples.request[0]))
    people = names.take(here.positives_request)
    before = np.full(len(people), -1, np.int64)  # all examples stand at 0
    found = Interactions.of(people, here.positives_candidate, before)
    found = _with(found, examples.candidate, catalogue, columns, None)
    return found.asked_by(examples.request[0])


def _with(found: Interactions, key: str, catalogue: Log, columns: Sequence[str], at: int | None) -> Interactions:
    """Add a catalogue as it was at a moment, or where there is no time all of it."""
    rows = catalogue if at is None else catalogue.before(at)
    known = None if at is None else rows.known if rows.known is not None else rows.time
    texts = {name: as_text(rows.column(name)) for name in columns}
    return found.with_catalogue(as_text(rows.column(key)), texts, known)


def followed_events(examples: FromPositives, log: Log, catalogue: Log | None, items: pa.StringArray) -> Events:
    """Give all positives as events in the order in which they could be known, and when each item is in the catalogue.

    items: all that ever come, sorted.
    """
    if log.time is None:
        raise DataError(f"data.tables[{log.name}].time", "no time", "a table of events with a time")
    person, people = encode(log.column(examples.request[0]))
    item = codes_of(items, as_text(log.column(examples.candidate)))
    since = log.time + 1 if log.known is None else np.maximum(log.time + 1, log.known)  # not at its own time yet
    order = np.argsort(since, kind="stable")
    order = order[((person >= 0) & (item >= 0) & positive(examples, log))[order]]
    listed = np.full(len(items), NEVER)
    if catalogue is not None:
        there = codes_of(items, as_text(catalogue.column(examples.candidate)))
        known = catalogue.known if catalogue.known is not None else catalogue.time
        np.minimum.at(
            listed, there[there >= 0], (np.zeros(len(there), np.int64) if known is None else known)[there >= 0]
        )
    return Events(people, items, person[order], item[order], log.time[order], since[order], listed)
