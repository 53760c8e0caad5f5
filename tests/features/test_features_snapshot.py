"""A snapshot holds what was written, and fills any store with it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottega.errors import BuildError, ServeError
from bottega.features.stores.memory import MemoryStore
from bottega.features.stores.opening import open_store
from bottega.features.stores.snapshot import SnapshotStore, restore

ROWS = st.dictionaries(st.binary(max_size=600), st.binary(max_size=40))


@pytest.mark.parametrize("url", ["memory:", "lmdb:"])
@given(rows=ROWS, second=ROWS)
def test_every_row_and_mark_arrives(
    url: str, rows: dict, second: dict, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("snapshot")
    snapshot, memory = SnapshotStore(folder / "rows"), MemoryStore()
    for store in (snapshot, memory):
        for group, written in (("a", rows), ("b", second), ("a", dict(list(rows.items())[:1]))):
            store.write(group, list(written), list(written.values()), {f"mark {group}": b"done"})
    filled = open_store(url, folder)
    restore(folder / "rows", filled)
    for group in ("a", "b"):
        keys = [*rows, *second, b"nobody"]
        assert filled.read(group, keys) == memory.read(group, keys)
        assert filled.marked(f"mark {group}") == b"done"
    filled.close()


def test_what_a_batch_is_kept_for_begins_when_it_is_restored(tmp_path: Path) -> None:
    snapshot = SnapshotStore(tmp_path)
    snapshot.write("a", [b"short"], [b"1"], keep_s=100.0)
    snapshot.write("a", [b"ever"], [b"2"])
    store, begin = MemoryStore(), time.time()
    restore(tmp_path, store)
    assert store.sweep(begin + 99.0) == 0
    assert store.sweep(time.time() + 100.0) == 1
    assert store.read("a", [b"short", b"ever"]) == [None, b"2"]


def test_where_time_stands_still_nothing_gets_too_old(tmp_path: Path) -> None:
    SnapshotStore(tmp_path).write("a", [b"short"], [b"1"], keep_s=1.0)
    store = MemoryStore()
    restore(tmp_path, store, for_ever=True)
    assert store.sweep(time.time() + 1e9) == 0
    assert store.read("a", [b"short"]) == [b"1"]


def test_it_is_not_read_from_and_does_not_change(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    for call in (
        lambda: store.read("a", [b"k"]),
        lambda: store.swap("a", [b"k"], [None], [b"1"]),
        lambda: store.add("a", [b"k"], [1.0]),
        lambda: store.forget("a", "b"),
        lambda: store.sweep(0.0),
    ):
        with pytest.raises(BuildError, match="a snapshot"):
            call()


@pytest.mark.parametrize("name", ["marks.json", "000.arrow"])
def test_a_damaged_one_fills_nothing_further(name: str, tmp_path: Path) -> None:
    SnapshotStore(tmp_path).write("a", [b"k"], [b"1"], {"as_of": b"1"})
    (tmp_path / name).write_bytes(b"\xff\x00")
    store = MemoryStore()
    with pytest.raises(ServeError, match="no readable snapshot"):
        restore(tmp_path, store)
    assert store.marked("as_of") is None
