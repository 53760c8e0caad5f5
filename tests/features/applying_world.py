"""A design with every kind of column, events of its tables, and streams of them as a broker would deliver them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from oracle import length
from test_features_batch import design_of

import bottega as bt
from bottega.data.log import Log
from bottega.features.tracked import layout

MINUTE, HOUR, DAY = length("1min"), length("1h"), length("1d")
START = 20_000 * DAY
TABLES = [
    bt.Table("events", time="moment", event_id="id", available_after="1min"),
    bt.Table("calls", time="at", event_id=None),
    bt.Table("things", key="l"),
]
FEATURES: list[Any] = [
    bt.Window(
        "events",
        by="k",
        over=["1h", "7d", "all"],
        values={"n": "count(*)", "kinds": "count(distinct c)", "sum": "sum(x)", "mean": "avg(x)", "low": "min(x)"},
    ),
    bt.Window("events", by="l", over=["7d"], hop="exact", values={"high": "max(x)", "c": "last(c)"}),
    bt.Window("events", by=["k", "l"], values={"first": "min(moment)", "age": "decayed_sum(y, '7d')"}),
    bt.Window("calls", by="k", over=["1d"], values={"calls": "count(*)", "to": "last(c)"}, where="c <> 'v'"),
    bt.Lookup("events", by=["l", "k"], columns=["c", "y"]),
    bt.Lookup("calls", by="k", columns=["c"], ttl="2d"),
    bt.Lookup("things", by="l", columns=["c"]),
]
LABELS = [bt.Label("x", matures_after="2h")]
SUMS = {"sum", "mean", "age"}


@dataclass(frozen=True)
class Event:
    """A row of a table, as one message of a stream brings it."""

    table: str
    k: str | None
    l: str | None  # noqa: E741
    time: int
    known: int
    x: float | None
    c: str | None
    id: str | None


def make_design() -> bt.Design:
    design = design_of([])
    data = msgspec.structs.replace(design.data, tables=TABLES, labels=LABELS)
    return msgspec.structs.replace(design, data=data, features=FEATURES)


def make_log(name: str, events: Sequence[Event]) -> Log:
    own = [event for event in events if event.table == name]
    columns = {each: pa.array([getattr(event, each) for event in own], pa.string()) for each in ("k", "l", "c", "id")}
    columns["x"] = columns["y"] = pa.array([event.x for event in own], pa.float64())
    time, known = (np.array([getattr(event, each) for event in own], np.int64) for each in ("time", "known"))
    columns["moment"] = columns["at"] = pa.array(time.astype("datetime64[us]"))
    return Log(name, pa.table(columns), *((None, None) if name == "things" else (time, known)))


DESIGN = make_design()
GROUPS = layout(DESIGN, {table.name: make_log(table.name, []) for table in TABLES})
ORDER = [table.name for table in TABLES]


@st.composite
def streams(draw: st.DrawFn) -> list[list[Event]]:
    """Give up to three partitions of events, no two of one table at one time: which of those is newer is left open."""
    partitions: list[list[Event]] = [[] for _ in range(draw(st.integers(1, 3)))]
    clock, count, sent = START, 0, list[Event]()
    for _ in range(draw(st.integers(0, 30))):
        again = draw(st.integers(0, 7)) == 0
        if again and sent:  # the same event, sent twice: maybe to another partition
            event = draw(st.sampled_from(sent))
        else:
            clock += draw(st.sampled_from([1, 1, MINUTE, 5 * MINUTE, HOUR, DAY]))
            count += 1
            table = draw(st.sampled_from(["events", "events", "calls", "things"]))
            time = clock - draw(st.sampled_from([0, 0, HOUR + count, 8 * DAY + count]))
            known = time + draw(st.sampled_from([0, 0, HOUR])) + MINUTE * (table == "events")
            event = Event(
                table,
                draw(st.sampled_from(["a", "a", "b", None])),
                draw(st.sampled_from(["p", "q", None])),
                time,
                known,
                draw(st.sampled_from([1.0, -1.0, 0.1, 1e9, None])),
                draw(st.sampled_from(["u", "v", "ünï" * 9, None])),
                f"id {count}" if table == "events" and draw(st.booleans()) else None,
            )
            if event.id is not None:
                sent.append(event)
        # rows of a table without time count in their order: they come by one partition
        partitions[0 if event.table == "things" else draw(st.integers(0, len(partitions) - 1))].append(event)
    return partitions
