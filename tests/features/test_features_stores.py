"""Stores: the public contract for each kind, and what LMDB alone can get wrong."""

from __future__ import annotations

import functools
import multiprocessing
import os
import shutil
import signal
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottega.errors import BuildError, DataError, ServeError
from bottega.features.stores.keys import key, keys
from bottega.features.stores.lmdb import LmdbStore
from bottega.features.stores.memory import MemoryStore
from bottega.features.stores.opening import open_store
from bottega.features.stores.protocol import amount, check_rows
from bottega.testing import store_checks

LMDB = functools.partial(open_store, "lmdb:")


def in_memory(folder, readonly=False):
    return open_store("memory:", folder, readonly)


@pytest.mark.parametrize("check", store_checks.checks(), ids=lambda check: check.__name__)
def test_lmdb_keeps_the_contract(check, tmp_path):
    check(LMDB, tmp_path)


@pytest.mark.parametrize("check", store_checks.checks(durable=False), ids=lambda check: check.__name__)
def test_memory_keeps_the_contract(check, tmp_path):
    check(in_memory, tmp_path)


class Torn(MemoryStore):
    def write(self, group, keys, rows, marks=None, keep_s=None):
        for name, value in (marks or {}).items():
            super().write("", [], [], {name: value})
        super().write(group, keys, rows, None, keep_s)


class Shuffled(MemoryStore):
    def read(self, group, keys):
        return super().read(group, sorted(keys))


class Forgetful(MemoryStore):
    def read(self, group, keys):
        return [row or b"" for row in super().read(group, keys)]


class Careless(MemoryStore):
    def swap(self, group, keys, before, after, keep_s=None):
        del before
        super().write(group, keys, after, None, keep_s)
        return [True] * len(keys)


class Halfway(MemoryStore):
    def swap(self, group, keys, before, after, keep_s=None):
        now = [row and row[:8] for row in self.read(group, keys)]
        same = [one == (row and row[:8]) for one, row in zip(now, before, strict=True)]
        return super().swap(group, keys, self.read(group, keys), after, keep_s) if all(same) else same


class Everlasting(MemoryStore):
    def write(self, group, keys, rows, marks=None, keep_s=None):
        check_rows(group, keys, rows, keep_s)
        super().write(group, keys, rows, marks)


class Hasty(MemoryStore):
    def sweep(self, now, most=10_000):
        return super().sweep(now + 0.9, most)


class Generous(MemoryStore):
    def add(self, group, keys, amounts, limits=None, marks=None):
        fits = super().add(group, keys, amounts, limits, marks)
        if fits is not None and not fits.all():  # adds what fits by itself
            super().add(group, [key for key, fit in zip(keys, fits, strict=True) if fit], np.asarray(amounts)[fits])
        return fits


class Repeating(MemoryStore):
    def add(self, group, keys, amounts, limits=None, marks=None):
        for name in marks or {}:
            self.forget(name, name + "\0")
        return super().add(group, keys, amounts, limits, marks)


class Greedy(MemoryStore):
    def forget(self, begin, end, most=1000):
        return super().forget(begin, end, 10**9 + most)


@pytest.mark.parametrize(
    "broken",
    [Torn, Shuffled, Forgetful, Careless, Halfway, Everlasting, Hasty, Generous, Repeating, Greedy],
)
def test_the_contract_finds_broken_stores(broken, tmp_path):
    with pytest.raises(AssertionError):
        store_checks.check_store(lambda *_, **__: broken(), tmp_path, durable=False)


PART = st.one_of(st.none(), st.text(st.sampled_from("a\0\1\2\3é0:"), max_size=4))


@given(st.lists(st.lists(PART, min_size=1, max_size=3).map(tuple), unique=True, max_size=30))
def test_no_two_lists_of_parts_give_one_key(parts):
    assert len({key(item) for item in parts}) == len(parts)


@given(st.integers(1, 3), st.data())
def test_keys_of_columns_are_the_keys_of_rows(width, data):
    rows = data.draw(st.lists(st.tuples(*[PART] * width), max_size=10))
    columns = [[row[at] for row in rows] for at in range(width)]
    assert keys(columns) == [key(row) for row in rows]
    assert keys([np.array(column, object) for column in columns]) == [key(row) for row in rows]


def test_keys_need_parts():
    for call in (lambda: key([]), lambda: keys([])):
        with pytest.raises(DataError, match="at least one"):
            call()


@pytest.mark.parametrize("url", ["redis:host", "mongodb://host", "lmbd:", "memory", "", "memory:x"])
def test_other_stores_are_refused_by_name(url, tmp_path):
    with pytest.raises(BuildError) as caught:
        open_store(url, tmp_path)
    assert url in str(caught.value)
    assert "memory:" in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_lmdb_at_a_path_of_its_own(tmp_path):
    for url in (f"lmdb:{tmp_path}/here", f"lmdb://{tmp_path}/there"):
        store = open_store(url, tmp_path / "build")
        store.write("g", [b"a"], [b"1"])
        store.close()
    assert (tmp_path / "here" / "data.mdb").is_file()
    assert (tmp_path / "there" / "data.mdb").is_file()
    assert not (tmp_path / "build").exists()


def test_a_folder_that_cannot_be_made_is_an_error_of_the_option(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ServeError, match="cannot be made: Not a directory") as caught:
        open_store(f"lmdb:{tmp_path}/file/store", tmp_path / "build")
    assert caught.value.where == f"--store lmdb:{tmp_path}/file/store"


def test_a_full_store_says_so_and_keeps_what_it_had(tmp_path):
    store = LmdbStore(tmp_path, limit=1 << 20)
    store.write("g", [b"a"], [b"row"], {"applied": b"1"})
    many = keys([[f"k{n}" for n in range(40_000)]])
    rows = [bytes(32)] * len(many)
    for call in (
        lambda: store.write("g", many, rows, {"applied": b"2"}),
        lambda: store.swap("g", many, [None] * len(many), rows, keep_s=9.0),
        lambda: store.add("sums", many, [1.0] * len(many), marks={"added": b""}),
    ):
        with pytest.raises(BuildError, match="full"):
            call()
    assert store.read("g", [b"a", *many[:100]]) == [b"row"] + [None] * 100
    assert (store.marked("applied"), store.marked("added")) == (b"1", None)
    store.write("g", [b"b"], [b"row"])
    store.close()


def test_the_map_grows_with_the_data(tmp_path, monkeypatch):
    monkeypatch.setattr("bottega.features.stores.environment._FIRST_SIZE", 1 << 16)
    store = LmdbStore(tmp_path)
    names = keys([[f"k{n}" for n in range(5_000)]])
    rows = [str(n).encode() * 20 for n in range(5_000)]
    store.write("g", names, rows)
    assert store.read("g", names) == rows
    assert store.describe()["rows"] == 5_000
    store.close()


def _write_much(folder):
    store = LmdbStore(folder)
    store.write("g", keys([[f"k{n}" for n in range(20_000)]]), [b"1" * 80] * 20_000)
    store.close()


def test_a_reader_follows_a_map_that_another_process_grew(tmp_path):
    store = LmdbStore(tmp_path, limit=1 << 16)
    store.write("g", [b"k1"], [b"0"])
    store.close()
    store = LmdbStore(tmp_path, readonly=True, limit=1 << 16)
    assert store.read("g", [b"k1", b"k2"]) == [b"0", None]
    writer = multiprocessing.get_context("spawn").Process(target=_write_much, args=(tmp_path,))
    writer.start()
    writer.join(60)
    assert store.read("g", keys([[f"k{n}" for n in range(20_000)]])) == [b"1" * 80] * 20_000
    store.close()


def test_missing_damaged_and_foreign_stores_are_refused_by_name(tmp_path):
    with pytest.raises(ServeError, match="no store is there"):
        LmdbStore(tmp_path / "missing", readonly=True)
    assert not (tmp_path / "missing").exists()
    store = LmdbStore(tmp_path / "cut")
    names = keys([[f"k{n}" for n in range(5_000)]])
    store.write("g", names, [b"1" * 80] * 5_000)
    store.close()
    file = tmp_path / "cut" / "data.mdb"
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"no store at all" * 1_000, bytes(len(whole))):
        file.write_bytes(damaged)
        with pytest.raises(ServeError) as caught:
            LmdbStore(tmp_path / "cut", readonly=True)
        assert str(tmp_path / "cut") in str(caught.value)
    import lmdb

    with lmdb.open(str(tmp_path / "foreign")) as env, env.begin(write=True) as txn:
        txn.put(b"x", b"y")
    for readonly in (True, False):
        with pytest.raises(ServeError, match="no store of this version"):
            LmdbStore(tmp_path / "foreign", readonly=readonly)


def _write_for_ever(folder, started):
    store = LmdbStore(folder)
    names = keys([[f"k{n}" for n in range(200)]])
    number = 0
    while True:
        number += 1
        store.write("g", names, [b"%d" % number] * 200, {"round": b"%d" % number})
        if number == 5:
            started.set()


def test_a_killed_writer_leaves_whole_batches_and_the_mark_that_fits(tmp_path):
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    writer = context.Process(target=_write_for_ever, args=(tmp_path, started))
    writer.start()
    assert started.wait(60)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join(60)
    store = LmdbStore(tmp_path)
    assert set(store.read("g", keys([[f"k{n}" for n in range(200)]]))) == {store.marked("round")}
    store.write("g", [b"k0"], [b"0"])
    store.close()


def test_one_folder_opened_twice_is_read_by_both_until_each_closes(tmp_path):
    first = LmdbStore(tmp_path)
    first.write("g", [b"a"], [b"1"])
    (tmp_path.parent / f"{tmp_path.name}-link").symlink_to(tmp_path)
    second = LmdbStore(tmp_path.parent / f"{tmp_path.name}-link")
    reader = LmdbStore(tmp_path, readonly=True)
    second.write("g", [b"b"], [b"0"], {"applied": b"1"})
    assert first.read("g", [b"a", b"b"]) == [b"1", b"0"]
    with pytest.raises(BuildError, match="opened for reading"):
        reader.write("g", [b"c"], [b"0"])
    first.close()
    first.close()
    for call in (lambda: first.read("g", [b"a"]), lambda: first.write("g", [b"a"], [b"1"])):
        with pytest.raises(ServeError, match="closed"):
            call()
    assert second.marked("applied") == b"1"
    del second  # forgotten, not closed
    assert reader.read("g", [b"a", b"b"]) == [b"1", b"0"]
    reader.close()
    again = LmdbStore(tmp_path, readonly=True)  # refused, were any of those above still open for writing
    assert again.read("g", [b"a", b"b"]) == [b"1", b"0"]
    with pytest.raises(ServeError, match="open for reading in this process"):
        LmdbStore(tmp_path)
    again.close()
    LmdbStore(tmp_path).close()


def test_a_folder_made_anew_is_another_store(tmp_path):
    old = LmdbStore(tmp_path / "store")
    old.write("g", [b"a"], [b"1"])
    shutil.rmtree(tmp_path / "store")
    new = LmdbStore(tmp_path / "store")
    assert new.read("g", [b"a"]) == [None]
    assert old.read("g", [b"a"]) == [b"1"]
    new.close()
    old.close()


def test_threads_open_read_and_close_one_folder_at_once(tmp_path):
    store = LmdbStore(tmp_path)
    names = keys([[f"k{n}" for n in range(50)]])
    store.write("g", names, names)
    store.close()
    begin, faults = threading.Barrier(4), []

    def work(number):
        begin.wait(60)
        try:
            for turn in range(100):
                mine = LmdbStore(tmp_path, readonly=True)
                assert mine.read("g", names) == names
                if (turn + number) % 2:
                    mine.close()
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    LmdbStore(tmp_path).close()  # nobody has left it open


def test_a_writer_follows_a_map_that_another_process_grew(tmp_path):
    store = LmdbStore(tmp_path, limit=1 << 16)
    store.write("g", [b"k1"], [b"0"])
    store.limit = 1 << 30
    writer = multiprocessing.get_context("spawn").Process(target=_write_much, args=(tmp_path,))
    writer.start()
    writer.join(60)
    store.write("g", [b"k1"], [b"2"])
    assert store.read("g", [b"k0", b"k1", b"k19999"]) == [b"1" * 80, b"2", b"1" * 80]
    store.close()


def test_a_store_that_nobody_writes_says_so_and_reads_as_before(tmp_path):
    store, truth = LMDB(tmp_path), MemoryStore()
    names = [*keys([[f"k{number}" for number in range(90)]]), key(["x" * 600]), key([""])]
    rows = [b"row of " + name for name in names]
    for each in (store, truth):
        each.write("g", names, rows)
        each.write("h", names[:5], rows[5:10])
    assert not store.settled
    store.close()
    (tmp_path / "store" / "lock.mdb").unlink()
    reader = LMDB(tmp_path, readonly=True)
    assert reader.settled
    rng = np.random.default_rng(1)
    for _ in range(5):
        asked = [*rng.choice(np.array(names, object), 60).tolist(), b"none", key(["y" * 600])]
        for group in ("g", "h", "never written"):
            assert reader.read(group, asked) == truth.read(group, asked)
    reader.close()
    with pytest.raises(ServeError, match="closed"):
        reader.read("g", names[:1])


def _spending(folder, told):
    store = LmdbStore(folder, sync=False)
    for turn in range(1_000_000):
        store.add("spent", [b"a", b"b"], [1.0, 2.0], marks={f"click {turn}": b""})
        os.write(told, b".")


def test_a_killed_spender_leaves_what_it_was_told_and_the_lock_free(tmp_path):
    context = multiprocessing.get_context("fork")
    before = 0.0
    for _ in range(3):
        reading, writing = os.pipe()
        spender = context.Process(target=_spending, args=(tmp_path / "s", writing))
        spender.start()
        os.close(writing)
        os.read(reading, 1)
        os.kill(spender.pid, signal.SIGKILL)
        spender.join()
        told = 1
        while part := os.read(reading, 65_536):
            told += len(part)
        os.close(reading)
        store = LmdbStore(tmp_path / "s", sync=False)
        one, two = map(amount, store.read("spent", [b"a", b"b"]))
        assert two == 2 * one
        assert told <= one - before <= told + 1  # the one that was going on
        assert store.forget("click ", "click a", 10**9) == one - before
        assert store.add("spent", [b"b"], [0.0]) is not None
        before = one
        store.close()
