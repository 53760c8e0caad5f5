"""Windows by what a look-up tells: each event counts for the author that its content had then, in batch and stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Event, length, lookup, window
from test_features_batch import design_of, plain

import bottega as bt
from bottega.data.keys import identifiers
from bottega.data.log import Log
from bottega.errors import DataError, DesignError, ServeError
from bottega.features.applying import Applier
from bottega.features.batch import compute
from bottega.features.explaining import log_says
from bottega.features.filling import fill
from bottega.features.flink_tiles import flink_job
from bottega.features.frame import Frame, Values, text
from bottega.features.keyed import in_order, key_lookups, looks_up, with_keys
from bottega.features.reader import Reader
from bottega.features.stores.memory import MemoryStore
from bottega.features.tracked import Places, layout
from bottega.runs.steps.naming import check_names

START, HOUR, DAY = 20_000 * length("1d"), length("1h"), length("1d")
AUTHOR = bt.Lookup("contents", by="l", columns=["author"])
PAIR = bt.Window("events", by=["k", "l_author"], over=["1d", "all"], values={"n": "count(*)", "last": "last(c)"})
ALONE = bt.Window("events", by="l_author", values={"n": "count(*)", "people": "count(distinct k)"}, name="author")
NAMES = ["k_l_author_n_1d", "k_l_author_n_all", "k_l_author_last_1d", "k_l_author_last_all", "author_n_all"]


def feed_design(features: Sequence[Any] = (AUTHOR, PAIR, ALONE)) -> bt.Design:
    tables = [bt.Table("events", time="moment"), bt.Table("contents", key="l", time="published")]
    found = design_of([])
    data = msgspec.structs.replace(found.data, tables=tables)
    return msgspec.structs.replace(found, data=data, features=list(features))


def log_of(name: str, rows: Sequence[Event]) -> Log:
    columns = ("k", "l", "c") if name == "events" else ("l", "author")
    given = {each: pa.array([row.row[each] for row in rows], pa.string()) for each in columns}
    time, known = (np.array([getattr(row, each) for row in rows], np.int64) for each in ("time", "known"))
    given["moment" if name == "events" else "published"] = pa.array(time, pa.timestamp("us"))
    return Log(name, pa.table(given), time, known)


@st.composite
def feeds(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """Give events and contents, each in the order of arrival; a content may come again with another author."""
    clock, events, contents = START, list[Event](), list[Event]()
    for _ in range(draw(st.integers(0, 25))):
        clock += draw(st.sampled_from([1, HOUR, DAY]))
        content = draw(st.sampled_from(["p", "q", "r", None]))
        if draw(st.integers(0, 2)):
            row: dict[str, Any] = {"k": draw(st.sampled_from(["ann", "bob", None])), "l": content}
            events.append(Event((), clock, clock, {**row, "c": draw(st.sampled_from(["u", "v", None]))}))
        else:
            author = draw(st.sampled_from(["x", "y\0", None]))
            contents.append(Event((content,), clock, clock, {"l": content, "author": author}))
    return events, contents


def wanted(events: Sequence[Event], contents: Sequence[Event], person: str, content: str, at: int) -> list[Any]:
    """Give what the oracle says of `NAMES`: the author of each event at its own time, then windows over those."""

    def author(content: str | None, at: int) -> Any:
        return lookup(contents, (content,), at, "author", None)

    pairs, alone = [], []
    for event in events:
        told = author(event.row["l"], event.time)
        pairs.append(Event((event.row["k"], told), event.time, event.known, event.row))
        alone.append(Event((told,), event.time, event.known, event.row))
    asked, found = author(content, at), list[Any]()
    for function in ("count", "last"):
        for span in ("1d", "all"):
            argument = {"argument": lambda row: row["c"]} if function == "last" else {}
            found.append(window(pairs, (person, asked), at, span, None, function, **argument)[0])
    return [*found, window(alone, (asked,), at, "all", None, "count")[0]]


def frame_of(people: Sequence[str], at: int) -> Frame:
    contents = text(pa.array(["p", "q", "r", "new"] * len(people)))
    return Frame({"k": text(pa.array(people))}, np.full(len(people), at), np.repeat(np.arange(len(people)), 4),
                 {"l": contents})  # fmt: skip


def computed(design: bt.Design, logs: dict[str, Log], frame: Frame) -> Values:
    values = Values()
    for feature in design.features:
        values.update(compute(feature, design, logs, frame, values))
    return values


@settings(max_examples=150, deadline=None)
@given(feeds(), st.sampled_from([0, 1, HOUR, 2 * DAY]))
def test_batch_store_and_stream_say_what_the_oracle_says(world: tuple[list[Event], list[Event]], later: int) -> None:
    events, contents = world
    design, logs = feed_design(), {"events": log_of("events", events), "contents": log_of("contents", contents)}
    at = max([START, *(row.time for row in [*events, *contents])]) + later
    frame = frame_of(["ann", "bob"], at)
    batch = computed(design, logs, frame)
    rows = [(person, content) for person in ("ann", "bob") for content in ("p", "q", "r", "new")]
    said = [plain(batch.row[name]) for name in NAMES]
    for row, (person, content) in enumerate(rows):
        assert [column[row] for column in said] == wanted(events, contents, person, content, at)
    groups = layout(design, logs)
    store = MemoryStore()
    fill(store, design, logs, groups, at)
    assert_same(Reader(store, groups).read(frame), batch)
    streamed = MemoryStore()
    nothing = {name: log.take(slice(0, 0)) for name, log in logs.items()}
    fill(streamed, design, nothing, groups, START)
    applier = Applier(streamed, groups, design)
    every = sorted([*(("contents", row) for row in contents), *(("events", row) for row in events)],
                   key=lambda each: each[1].known)  # fmt: skip
    for offset, (table, row) in enumerate(every):
        applier.apply(log_of(table, [row]), Places(np.zeros(1, np.int64), np.array([offset])), row.known)
    assert_same(Reader(streamed, groups).read(frame), batch)


@settings(max_examples=100, deadline=None)
@given(feeds(), st.integers(1, 9))
def test_turns_of_many_rows_say_the_same(world: tuple[list[Event], list[Event]], many: int) -> None:
    """Contents first, then the events from before them: what is folded no later than the oldest hides nothing."""
    events, contents = world
    design, logs = feed_design(), {"events": log_of("events", events), "contents": log_of("contents", contents)}
    at = max([START, *(row.time for row in [*events, *contents])]) + 1
    frame, groups, store = frame_of(["ann", "bob"], at), layout(design, logs), MemoryStore()
    fill(store, design, {name: log.take(slice(0, 0)) for name, log in logs.items()}, groups, START)
    applier, offset = Applier(store, groups, design), 0
    every = sorted([("contents", row) for row in contents] + [("events", row) for row in events],
                   key=lambda each: each[1].known)  # fmt: skip
    for low in range(0, len(every), many):
        turn = every[low : low + many]
        settled = min(row.time for _, row in turn)
        for table in ("contents", "events"):
            rows = [row for name, row in turn if name == table]
            places = Places(np.zeros(len(rows), np.int64), offset + np.arange(len(rows)))
            if rows:
                applier.apply(log_of(table, rows), places, settled)
            offset += len(rows)
    assert_same(Reader(store, groups).read(frame), computed(design, logs, frame))


def test_an_event_that_comes_late_never_counts_for_a_later_author() -> None:
    design = feed_design()
    first, later = (
        Event(("p",), at, at, {"l": "p", "author": name}) for at, name in ((START, "x"), (START + HOUR, "y"))
    )
    nothing, store = {"events": log_of("events", []), "contents": log_of("contents", [])}, MemoryStore()
    groups = layout(design, nothing)
    fill(store, design, nothing, groups, START)
    applier, event = Applier(store, groups, design), Event((), START + 5, START + 5, {"k": "ann", "l": "p", "c": "u"})
    applier.apply(log_of("contents", [first, later]), Places(np.zeros(2, np.int64), np.arange(2)), START + DAY)
    applier.apply(log_of("events", [event]), Places(*np.zeros((2, 1), np.int64)), START + DAY)
    read = Reader(store, groups).read(frame_of(["ann"], START + DAY))
    assert plain(read.row["k_l_author_n_all"]) == [0, 0, 0, 0]
    assert plain(read.row["l_author"]) == ["y", None, None, None]


def assert_same(left: Values, right: Values) -> None:
    assert sorted(left.row) == sorted(right.row)
    for name, column in right.row.items():
        assert plain(left.row[name]) == plain(column), name


def test_an_event_from_before_its_author_was_known_counts_for_nobody() -> None:
    contents = [Event(("p",), START, START + HOUR, {"l": "p", "author": "x"})]
    events = [Event((), START + at, START + at, {"k": "ann", "l": "p", "c": None}) for at in (1, HOUR - 1, HOUR, DAY)]
    logs = {"events": log_of("events", events), "contents": log_of("contents", contents)}
    assert with_keys(feed_design(), logs, "events").rows["l_author"].to_pylist() == [None, None, "x", "x"]
    assert with_keys(feed_design(), logs, "contents") is logs["contents"]
    own = logs["events"].rows.append_column("l_author", pa.array(["z"] * 4))
    logs["events"] = Log("events", own, logs["events"].time, logs["events"].known)
    assert with_keys(feed_design(), logs, "events").rows["l_author"].to_pylist() == ["z"] * 4  # it brings its own
    said, _ = log_says(layout(feed_design(), logs), "k_l_author_n_all", feed_design(), logs,
                       {"k": "ann", "l_author": "z"}, START + 2 * DAY)  # fmt: skip
    assert said.startswith("4 of 4 rows of events count")


def test_a_key_that_is_a_number_is_read_as_an_id() -> None:
    assert {"author", "l"} <= identifiers(feed_design())
    assert "author" not in identifiers(feed_design([AUTHOR]))


def test_a_store_that_is_away_keeps_the_events_waiting() -> None:
    class Away(MemoryStore):
        away = False

        def read(self, group: str, keys: Sequence[bytes]) -> list[bytes | None]:
            if self.away and group == "l":
                raise ServeError("store", "away")
            return super().read(group, keys)

    design, store = feed_design(), Away()
    logs = {"events": log_of("events", []), "contents": log_of("contents", [])}
    groups = layout(design, logs)
    with pytest.raises(DataError, match="no mark"):
        Applier(store, groups, design)  # nothing was filled: what would it look up?
    fill(store, design, logs, groups, START)
    applier, event = Applier(store, groups, design), Event((), START, START, {"k": "ann", "l": "p", "c": None})
    store.away = True
    with pytest.raises(ServeError, match="a store that answers"):
        applier.apply(log_of("events", [event]), Places(*np.zeros((2, 1), np.int64)), START)
    assert store.describe()["rows"] == 0


def test_the_tables_that_tell_keys_come_first() -> None:
    design = feed_design()
    assert [table.name for table in in_order(design)] == ["contents", "events"]
    assert key_lookups(design.features, "events") == [AUTHOR]
    assert looks_up(design.features)
    assert not looks_up([AUTHOR])
    round_about = [
        AUTHOR, PAIR, bt.Lookup("events", by="l", columns=["c"], ttl="1d"),
        bt.Window("contents", by="l_c", values={"n": "count(*)"}),
    ]  # fmt: skip
    with pytest.raises(DesignError, match="events, contents by keys of each other"):
        in_order(feed_design(round_about))


def test_names_of_keys_are_checked() -> None:
    check_names(feed_design())
    with pytest.raises(DesignError, match=r"features\[0\].by: no column 'l_author'"):
        check_names(feed_design([PAIR, AUTHOR]))  # it is looked up later
    with pytest.raises(DesignError, match=r"features\[1\].by: no column 'l_author'"):
        check_names(feed_design([AUTHOR, bt.Lookup("contents", by="l_author", columns=["l"])]))
    with pytest.raises(DesignError, match="no column 'l_writer'"):
        check_names(feed_design([AUTHOR, bt.Window("events", by="l_writer", values={"n": "count(*)"})]))


def test_flink_says_that_it_reads_one_table_at_a_time() -> None:
    with pytest.raises(DesignError, match="the key 'l_author' of a look-up"):
        flink_job(feed_design(), [], {}, "file:/tmp", "file:///tmp")
