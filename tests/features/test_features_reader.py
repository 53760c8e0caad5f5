"""Parity by construction: what is read online from a filled store is what a batch computes at that moment."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Event, length
from test_features_batch import ASKED, TABLES, THINGS, design_of, frame_of, plain
from test_features_windows import START, logs, make_log

import bottega as bt
from bottega.data.log import Log
from bottega.errors import DataError, ServeError
from bottega.features.batch import compute
from bottega.features.filling import fill
from bottega.features.frame import Frame, Values, text
from bottega.features.reader import Reader
from bottega.features.stores.keys import keys
from bottega.features.stores.memory import MemoryStore
from bottega.features.stores.opening import open_store
from bottega.features.stores.protocol import Store, mark
from bottega.features.tracked import layout
from bottega.features.tracks import Group
from bottega.features.words import Known, TextColumn

WINDOWS: list[Any] = [
    bt.Window(
        "events",
        by="k",
        over=["1h", "7d", "all"],
        values={"n": "count(*)", "kinds": "count(distinct c)", "sum": "sum(x)", "mean": "avg(x)", "low": "min(x)"},
    ),
    bt.Window(
        "events", by="l", over=["7d"], hop="exact", values={"high": "max(x)", "seen": "last(seen)", "c": "last(c)"}
    ),
    bt.Window("events", by=["k", "l"], values={"first": "min(moment)", "age": "decayed_sum(x, '7d')"}),
]
LOOKUPS: list[Any] = [
    bt.Lookup("events", by=["l", "k"], columns=["c", "x", "seen"]),
    bt.Lookup("events", by="k", columns=["c", "moment"], ttl="7d"),
    bt.Lookup("things", by="l", columns=["word", "size"]),
]
FEATURES = [*WINDOWS, *LOOKUPS]
SUMS = {"sum", "mean", "age"}
"""The values that are sums of x, which tiles add in another order than the batch does."""
NAMES = st.sampled_from(["a", "b", "zz", "\0", None])
ODD = ["", "\0", "a\0\2b", "Ж", "a" * 600]
VALUES = [1.0, 0.1, -2.5, 1e18, 1e-18, 1e250, -1e250, None]


def computed(design: bt.Design, tables: dict[str, Log], frame: Frame) -> Values:
    values = Values()
    for feature in design.features:
        values.update(compute(feature, design, tables, frame, Values()))
    return values


def sizes(design: bt.Design, tables: dict[str, Log], frame: Frame) -> dict[str, np.ndarray]:
    """Give what sums of x may be measured by: the sums of its absolute values."""
    size = "case when x < 0 then -x else x end"
    windows = [
        msgspec.structs.replace(
            part, values={name: text.replace("(x", f"({size}") for name, text in part.values.items()}
        )
        for part in design.features
        if isinstance(part, bt.Window)
    ]
    found = computed(msgspec.structs.replace(design, features=windows), tables, frame)
    return {name: column for name, column in {**found.request, **found.row}.items() if SUMS & set(name.split("_"))}


def filled(
    url: str, folder: Path, tables: dict[str, Log], at: int, design: bt.Design | None = None
) -> tuple[Store, list[Group]]:
    design = design or design_of(FEATURES)
    groups = layout(design, tables)
    store = open_store(url, folder)
    fill(store, design, tables, groups, at)
    return store, groups


def come(events: Sequence[Event], at: int, after: str = "0s") -> list[Event]:
    """Give the events that had come before a moment: the others come through the stream."""
    return [event for event in events if max(event.time, event.known - length(after)) < at]


def column(texts: Sequence[str | None]) -> pa.DictionaryArray:
    return text(pa.array(texts, pa.string()))


def equal(online: Values, offline: Values, size: dict[str, np.ndarray]) -> None:
    for level in ("request", "row"):
        left, right = getattr(online, level), getattr(offline, level)
        assert sorted(left) == sorted(right)
        for name in right:
            assert isinstance(left[name], np.ndarray) == isinstance(right[name], np.ndarray), name
            if isinstance(right[name], np.ndarray):
                assert left[name].dtype == right[name].dtype
            if name in size:
                assert np.array_equal(np.isnan(left[name]), np.isnan(right[name])), name
                gap = np.nan_to_num(np.abs(left[name] - right[name]))
                assert (gap <= 1e-11 * np.nan_to_num(size[name]) + 1e-300).all(), (name, left[name], right[name])
            else:
                assert plain(left[name]) == plain(right[name]), name


def agree(
    reader: Reader, frame: Frame, tables: dict[str, Log], design: bt.Design | None = None, asked: Frame | None = None
) -> Values:
    """Hold what is read for a frame, or for the same one asked in another form, against the batch."""
    design = design or design_of(FEATURES)
    read = reader.read(asked or frame)
    equal(read, computed(design, tables, frame), sizes(design, tables, frame))
    return read


def asked(at: int, who: str | None, things: Sequence[str | None], column: Callable[..., Any] = column) -> Frame:
    return frame_of({"k": column([who])}, [at], [0] * len(things), {"l": column(things)})


@settings(max_examples=60, deadline=None)
@given(
    logs(keys=2, values=VALUES),
    st.sampled_from([0, 1, 5 * 60 * 10**6, 86_400_000_000, 9 * 86_400_000_000]),
    st.sampled_from(["memory:", "lmdb:"]),
)
def test_values_read_online_are_those_of_the_batch(events: list[Event], later: int, url: str) -> None:
    at = START + later
    with tempfile.TemporaryDirectory() as folder:
        store, groups = filled(url, Path(folder), {"events": make_log(events, ("k", "l")), "things": THINGS}, at)
        tables = {"events": make_log(come(events, at), ("k", "l")), "things": THINGS}
        reader = Reader(store, groups)
        assert reader.as_of == at
        for who in ("a", "b", "zz", None):
            agree(reader, asked(at, who, ["a", "b", "zz", None, "b"]), tables)
        many = frame_of(
            {"k": text(pa.array(["b", None, "a"]))}, [at] * 3, [0, 0, 2], {"l": text(pa.array(["a", "zz", "b"]))}
        )
        agree(reader, many, tables)
        agree(reader, asked(at, "a", []), tables)
        store.close()


MOMENTS = st.sampled_from(["0s", "1us", "5min", "1h", "3h", "1d", "6d", "9d", "41d"]).map(length)
LABELS = [
    [bt.Label("x", matures_after="1d")],
    [bt.Label("x", matures_after="1d", observed_at="seen")],
    [bt.Label("bought", matures_after="1d")],
]


@settings(max_examples=150, deadline=None)
@given(
    logs(keys=2, values=VALUES),
    MOMENTS,
    st.sampled_from(["0s", "5min", "9d"]),
    st.sampled_from(LABELS),
    st.lists(st.tuples(MOMENTS, NAMES, st.lists(NAMES, max_size=4)), min_size=1, max_size=6),
)
def test_a_filled_store_is_right_at_every_later_moment(
    events: list[Event],
    later: int,
    after: str,
    labels: list[bt.Label],
    requests: list[tuple[int, str | None, list[str | None]]],
) -> None:
    """What had come is in the records, and counts from the moment on from which the batch counts it."""
    at, design = START + later, design_of(FEATURES)
    tables_of = [msgspec.structs.replace(TABLES[0], available_after=after), TABLES[1]]
    design = msgspec.structs.replace(design, data=msgspec.structs.replace(design.data, tables=tables_of, labels=labels))
    store, groups = filled("memory:", Path(), {"events": make_log(events, ("k", "l")), "things": THINGS}, at, design)
    tables = {"events": make_log(come(events, at, after), ("k", "l")), "things": THINGS}
    frame = frame_of(
        {"k": column([who for _, who, _ in requests])},
        [at + more for more, _, _ in requests],
        [row for row, (_, _, things) in enumerate(requests) for _ in things],
        {"l": column([name for _, _, things in requests for name in things])},
    )
    reader = Reader(store, groups)
    agree(reader, frame, tables, design)
    for more, who, things in requests:
        agree(reader, asked(at + more, who, things), tables, design)


def test_keys_of_any_text_are_found(tmp_path: Path) -> None:
    names = [*ODD, "b", "a"]
    events = [
        Event((who, what), START - 5, START - 5, {"x": float(3 * i + j), "c": who, "seen": None})
        for i, who in enumerate(names)
        for j, what in enumerate(names)
        if (i + j) % 2
    ]
    tables = {"events": make_log(events, ("k", "l")), "things": THINGS}
    for url in ("memory:", "lmdb:"):
        store, groups = filled(url, tmp_path, tables, START)
        for who in names:
            agree(Reader(store, groups), asked(START, who, names), tables)
        store.close()


@settings(max_examples=30, deadline=None)
@given(
    logs(keys=2, values=[1.0, 0.1, None]),
    st.lists(st.tuples(NAMES, st.lists(NAMES, max_size=6)), min_size=1, max_size=8),
    st.integers(1, 4),
)
def test_rows_that_are_remembered_are_those_of_the_batch(
    events: list[Event], requests: list[tuple[str | None, list[str | None]]], most: int
) -> None:
    tables = {"events": make_log(events, ("k", "l")), "things": THINGS}
    with tempfile.TemporaryDirectory() as folder:
        store, groups = filled("lmdb:", Path(folder), tables, START)
        reader, people, things = Reader(store, groups), Known(most), Known(most)
        for who, what in requests:  # one reader: later requests find what earlier ones read
            frame = frame_of({"k": people.column([who])}, [START], [0] * len(what), {"l": things.column(what)})
            read = agree(reader, asked(START, who, what), tables, asked=frame)
            for values in (*read.request.values(), *read.row.values()):
                if isinstance(values, np.ndarray):
                    values[:] = values[:1]  # the caller's own
        store.close()


@pytest.mark.parametrize("url", ["memory:", "lmdb:"])
def test_what_is_written_is_read_at_once(url: str, tmp_path: Path) -> None:
    tables = {"events": make_log([], ("k", "l")), "things": THINGS}
    store, groups = filled(url, tmp_path, tables, START)
    reader, known = Reader(store, groups), Known()
    frame = asked(START, "a", ["a", "b"], known.column)
    assert plain(reader.read(frame).row["l_size"]) == [1.5, 3.5]
    (b,) = store.read("l", [b"b"])
    assert b is not None
    store.write("l", [b"a"], [b])
    for _ in range(2):
        assert plain(reader.read(frame).row["l_size"]) == [3.5, 3.5]
        assert plain(reader.read(frame).row["l_word"]) == [None, None]
    store.close()


@pytest.mark.parametrize("url", ["memory:", "lmdb:"])
def test_what_the_store_has_never_seen_is_counted(url: str, tmp_path: Path) -> None:
    events = [Event(("who", "x"), START - 1, START - 1, {"x": 1.0, "c": "u", "seen": None})]
    tables = {"events": make_log(events, ("k", "l")), "things": THINGS}
    reader = Reader(*filled(url, tmp_path, tables, START))
    for user, items, unknown in (
        ("who", ["a", "b", "x"], {}),  # x has events, and is no thing
        ("nobody", ["a", "new", "new", None], {"k": 1, "l": 3}),
        (None, [], {"k": 1}),
    ):
        for make in (column, Known().column):
            assert reader.read(asked(START, user, items, make)).unknown == unknown


@given(st.lists(st.tuples(st.none() | st.text(max_size=5), st.none() | st.text(max_size=5)), max_size=6))
def test_texts_by_place_give_the_same_keys(pairs: list[tuple[str | None, str | None]]) -> None:
    tables = {"events": make_log([], ("k", "l")), "things": THINGS}
    read: list[list[bytes]] = []

    class Told(MemoryStore):
        def read(self, group: str, keys: Sequence[bytes]) -> Any:
            read.append(list(keys))
            return super().read(group, keys)

    groups = layout(design_of(FEATURES), tables)
    store = Told()
    fill(store, design_of(FEATURES), tables, groups, START)
    left, right = ([pair[side] for pair in pairs] for side in (0, 1))
    frame = asked(START, "who", right)
    wide = Frame({}, frame.time, frame.group, {**frame.candidates, "k": column(left)})
    reader = Reader(store, groups)
    reader.read(wide)
    plainly, read[:] = list(read), []
    known = {"k": Known().column(left), "l": TextColumn.over(right)}
    reader.read(Frame({}, wide.time, wide.group, known))
    assert read == plainly
    assert {group.by: asked for group, asked in zip(groups, read, strict=True)} == {
        ("k",): keys([left]),
        ("l",): keys([right]),
        ("k", "l"): keys([left, right]),
        ("l", "k"): keys([right, left]),
    }


def test_the_layout_says_of_which_kind_each_column_is() -> None:
    tables = {"events": make_log([], ("k", "l")), "things": THINGS}
    groups = {group.by: group for group in layout(design_of(FEATURES), tables)}
    assert list(groups) == [("k",), ("l",), ("k", "l"), ("l", "k")]
    assert dict(zip(groups["l",].columns, groups["l",].kinds, strict=True)) == {
        "l_high_7d": "number",
        "l_seen_7d": "time",
        "l_c_7d": "text",
        "l_word": "text",
        "l_size": "number",
    }
    full = make_log([Event(("a", "b"), 5, 5, {"x": 1.0, "c": "u", "seen": 7})], ("k", "l"))
    assert layout(design_of(FEATURES), {**tables, "events": full}) == list(groups.values())


def test_an_unknown_key_has_no_events() -> None:
    reader = Reader(*filled("memory:", Path(), {"events": make_log([], ("k", "l")), "things": THINGS}, START))
    read = reader.read(asked(START, "nobody", ["nothing"]))
    found = {name: plain(values)[0] for level in (read.request, read.row) for name, values in level.items()}
    zero = {name for name in found if {"n", "kinds", "sum", "age"} & set(name.split("_"))}
    assert len(zero) == 10
    assert {name: value for name, value in found.items() if value is not None} == dict.fromkeys(zero, 0.0)


def test_a_kind_of_record_without_any_key_reads_as_empty() -> None:
    tables = {"events": make_log([], ("k", "l")), "things": Log("things", THINGS.rows.slice(0, 0), None, None)}
    store, groups = filled("memory:", Path(), tables, START)
    agree(Reader(store, groups), asked(START, "a", ["a", None]), tables)


def test_a_number_as_key_is_the_id_that_the_log_has() -> None:
    event = Event(("2", "b"), START - 1, START - 1, {"x": 1.0, "c": "u", "seen": None})
    tables = {"events": make_log([event], ("k", "l")), "things": THINGS}
    store, groups = filled("memory:", Path(), tables, START)
    frame = frame_of({"k": np.array([2.0, np.nan])}, [START, START], [0], {"l": text(pa.array(["b"]))})
    assert agree(Reader(store, groups), frame, tables).request["k_n_all"].tolist() == [1.0, 0.0]


def test_a_store_that_is_not_whole_or_of_another_design_is_refused() -> None:
    tables = {"events": make_log([], ("k", "l")), "things": THINGS}
    store, groups = filled("memory:", Path(), tables, START)
    frame = asked(START, "a", ["a"])
    with pytest.raises(DataError, match="as_of"):
        Reader(MemoryStore(), groups)
    others = layout(design_of([*WINDOWS, bt.Lookup("things", by="l", columns=["word"])]), tables)
    with pytest.raises(DataError, match="written by another design") as caught:
        Reader(store, others).read(frame)
    assert caught.value.where == "store, group 'l'"
    (whole,) = store.read("l", [b"a"])
    assert whole is not None
    for damaged in (whole[:-8], whole[:-3], whole[8:], b"", bytes(len(whole))):
        store.write("l", [b"a"], [damaged])
        if damaged:
            with pytest.raises(DataError, match="store"):
                Reader(store, groups).read(frame)
    mark(store, "as_of", b"%d" % (START + 1))
    assert Reader(store, groups).as_of == START + 1


class Silent(MemoryStore):
    """A store that is asked, and does not answer for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.silent = 0, False

    def read(self, group: str, keys: Sequence[bytes]) -> Any:
        if self.silent:
            self.asked += 1
            time.sleep(0.06)
            raise ServeError("redis://somewhere", "no answer", "a server that answers")
        return super().read(group, keys)


def test_a_store_that_is_silent_is_asked_once_and_each_group_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    store, design = Silent(), design_of(FEATURES)
    tables = {"events": make_log([], ("k", "l")), "things": THINGS}
    groups = layout(design, tables)
    fill(store, design, tables, groups, START)
    reader, frame = Reader(store, groups), ASKED
    assert reader.read(frame).unread == []
    store.silent = True
    for _ in range(3):
        assert sorted(reader.read(frame).unread) == sorted(group.name for group in groups)
    assert store.asked == 1
    store.silent = False
    assert len(reader.read(frame).unread) == len(groups)  # for a second nobody asks
    monkeypatch.setattr("bottega.features.reader._AWAY_S", 0.0)
    reader._away_until = 0.0
    assert reader.read(frame).unread == []
