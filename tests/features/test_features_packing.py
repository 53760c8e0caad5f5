"""Parity by construction: what is read online from a filled store is what a batch computes at that moment."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Event
from test_features_batch import THINGS, design_of, frame_of, plain
from test_features_windows import START, logs, make_log

import bottega as bt
from bottega.data.log import Log
from bottega.errors import DataError
from bottega.features.batch import compute
from bottega.features.frame import Frame, Values, text
from bottega.features.packing import Packed, Reader, fill, layout, pack
from bottega.features.stores.keys import keys
from bottega.features.stores.memory import MemoryStore
from bottega.features.stores.opening import open_store
from bottega.features.stores.protocol import Store, mark
from bottega.features.words import Known, TextColumn

FEATURES: list[Any] = [
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
    bt.Lookup("events", by=["l", "k"], columns=["c", "x", "seen"]),
    bt.Lookup("events", by="k", columns=["c", "moment"], ttl="7d"),
    bt.Lookup("things", by="l", columns=["word", "size"]),
]
NAMES = st.sampled_from(["a", "b", "zz", "\0", None])
ODD = ["", "\0", "a\0\2b", "Ж", "a" * 600]


def computed(design: bt.Design, tables: dict[str, Log], frame: Frame) -> Values:
    values = Values()
    for feature in design.features:
        values.update(compute(feature, design, tables, frame, Values()))
    return values


def filled(url: str, folder: Path, tables: dict[str, Log], at: int) -> tuple[Store, list[Packed]]:
    groups = layout(design_of(FEATURES), tables)
    store = open_store(url, folder)
    fill(store, design_of(FEATURES), tables, groups, at)
    return store, groups


def column(texts: Sequence[str | None]) -> pa.DictionaryArray:
    return text(pa.array(texts, pa.string()))


def equal(online: Values, offline: Values) -> None:
    for level in ("request", "row"):
        left, right = getattr(online, level), getattr(offline, level)
        assert sorted(left) == sorted(right)
        for name in right:
            assert isinstance(left[name], np.ndarray) == isinstance(right[name], np.ndarray), name
            assert plain(left[name]) == plain(right[name]), name
            if isinstance(right[name], np.ndarray):
                assert left[name].dtype == right[name].dtype


def asked(at: int, who: str | None, things: Sequence[str | None], column: Callable[..., Any] = column) -> Frame:
    return frame_of({"k": column([who])}, [at], [0] * len(things), {"l": column(things)})


@settings(max_examples=100, deadline=None)
@given(
    logs(keys=2, values=[1.0, 0.1, -2.5, 1e18, 1e-18, 1e250, -1e250, None]),
    st.sampled_from([0, 1, 5 * 60 * 10**6, 86_400_000_000, 9 * 86_400_000_000]),
    st.sampled_from(["memory:", "lmdb:"]),
)
def test_values_read_online_are_those_of_the_batch(events: list[Event], later: int, url: str) -> None:
    at = START + later
    tables = {"events": make_log(events, ("k", "l")), "things": THINGS}
    with tempfile.TemporaryDirectory() as folder:
        store, groups = filled(url, Path(folder), tables, at)
        reader = Reader(store, groups)
        assert reader.as_of == at
        for who in ("a", "b", "zz", None):
            frame = asked(at, who, ["a", "b", "zz", None, "b"])
            equal(reader.read(frame), computed(design_of(FEATURES), tables, frame))
        many = frame_of(
            {"k": text(pa.array(["b", None, "a"]))}, [at] * 3, [0, 0, 2], {"l": text(pa.array(["a", "zz", "b"]))}
        )
        equal(reader.read(many), computed(design_of(FEATURES), tables, many))
        nothing = asked(at, "a", [])
        equal(reader.read(nothing), computed(design_of(FEATURES), tables, nothing))
        store.close()


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
            frame = asked(START, who, names)
            equal(Reader(store, groups).read(frame), computed(design_of(FEATURES), tables, frame))
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
        store.close()
        next(Path(folder).rglob("lock.mdb")).unlink()  # as a build holds it: nobody writes there any more
        closed = open_store("lmdb:", Path(folder), readonly=True)
        reader, people, things = Reader(closed, groups), Known(most), Known(most)
        for who, what in requests:  # one reader: later requests find what earlier ones read
            frame = frame_of({"k": people.column([who])}, [START], [0] * len(what), {"l": things.column(what)})
            read = reader.read(frame)
            equal(read, computed(design_of(FEATURES), tables, asked(START, who, what)))
            for values in (*read.request.values(), *read.row.values()):
                if isinstance(values, np.ndarray):
                    values[:] = values[:1]  # the caller's own
        closed.close()


def test_a_store_that_may_be_written_is_read_each_time() -> None:
    tables = {"events": make_log([], ("k", "l")), "things": THINGS}
    store, groups = filled("memory:", Path(), tables, START)
    reader, group = Reader(store, groups), next(group for group in groups if group.by == ("l",))
    frame = asked(START, "a", ["a", "b"], Known().column)
    assert plain(reader.read(frame).row["l_size"]) == [1.5, 3.5]
    store.write("l", [b"a"], pack(np.array([[9.0 if name == "l_size" else np.nan for name in group.columns]])))
    assert plain(reader.read(frame).row["l_size"]) == [9.0, 3.5]
    assert plain(reader.read(frame).row["l_word"]) == [None, None]


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


def test_the_layout_says_what_an_unknown_key_has() -> None:
    groups = {
        group.by: group for group in layout(design_of(FEATURES), {"events": make_log([], ("k", "l")), "things": THINGS})
    }
    of_l = dict(zip(groups["l",].columns, zip(groups["l",].kinds, groups["l",].empty, strict=True), strict=True))
    assert of_l == {
        "l_high_7d": ("number", None),
        "l_seen_7d": ("time", None),
        "l_c_7d": ("text", None),
        "l_word": ("text", None),
        "l_size": ("number", None),
    }
    of_k = dict(zip(groups["k",].columns, groups["k",].empty, strict=True))
    assert (of_k["k_n_1h"], of_k["k_sum_all"], of_k["k_mean_all"], of_k["k_moment"]) == (0.0, 0.0, None, None)


def test_a_kind_of_row_without_any_key_reads_as_empty() -> None:
    tables = {"events": make_log([], ("k", "l")), "things": Log("things", THINGS.rows.slice(0, 0), None, None)}
    store, groups = filled("memory:", Path(), tables, START)
    frame = asked(START, "a", ["a", None])
    equal(Reader(store, groups).read(frame), computed(design_of(FEATURES), tables, frame))


def test_a_number_as_key_is_the_id_that_the_log_has() -> None:
    event = Event(("2", "b"), START - 1, START - 1, {"x": 1.0, "c": "u", "seen": None})
    tables = {"events": make_log([event], ("k", "l")), "things": THINGS}
    store, groups = filled("memory:", Path(), tables, START)
    frame = frame_of({"k": np.array([2.0, np.nan])}, [START, START], [0], {"l": text(pa.array(["b"]))})
    read = Reader(store, groups).read(frame)
    assert read.request["k_n_all"].tolist() == [1.0, 0.0]
    equal(read, computed(design_of(FEATURES), tables, frame))


def test_a_store_that_is_not_whole_is_refused() -> None:
    tables = {"events": make_log([], ("k", "l")), "things": THINGS}
    store, groups = filled("memory:", Path(), tables, START)
    with pytest.raises(DataError, match="as_of"):
        Reader(MemoryStore(), groups)
    empty = MemoryStore()
    mark(empty, "as_of", b"1")
    with pytest.raises(DataError, match="words:"):
        Reader(empty, groups)
    other = [
        Packed(group.name, group.by, group.columns[:-1], group.kinds[:-1], group.empty[:-1])
        if group.by == ("l",)
        else group
        for group in groups
    ]
    with pytest.raises(DataError, match=r"rows of 40 bytes"):
        Reader(store, other).read(asked(START, "a", ["a"]))
