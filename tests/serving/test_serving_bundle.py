"""The bundle: refused by name when anything in it is not what was built, and shared between workers."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import queue
import shutil
import signal
import time
from pathlib import Path as Folder
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from path_world import World

from bottega.errors import BottegaError, ServeError
from bottega.features.stores import environment
from bottega.features.stores.protocol import Store
from bottega.features.stores.snapshot import restore
from bottega.files import read_json, write_json
from bottega.serving import online
from bottega.serving.answerer import Served, load_path
from bottega.serving.bundle import FORMAT, load_bundle, read_schemas
from bottega.serving.clock import CHOSEN
from bottega.serving.follower import Follower
from bottega.serving.manifest import MANIFEST, write_manifest
from bottega.serving.online import ROWS, open_online
from bottega.serving.path import Path
from bottega.serving.service import Settings
from bottega.serving.wire import Trace, Traced


@pytest.fixture
def copy(world: World, tmp_path: Folder) -> Folder:
    """A bundle that may be damaged."""
    return Folder(shutil.copytree(world.folder, tmp_path / "shop" / "builds" / "copy"))


def files(folder: Folder) -> list[Folder]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_one_flipped_byte_in_any_file_is_refused_by_its_name(copy: Folder) -> None:
    rng = np.random.default_rng(0)
    every = files(copy)
    assert len(every) > 25
    for path in every:
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        with pytest.raises(ServeError) as caught:
            load_bundle(copy)
        assert caught.value.where == str(path)
        path.write_bytes(whole)
    assert load_bundle(copy).version == "copy"


def test_a_missing_a_shortened_and_a_foreign_file_are_refused_by_name(copy: Folder) -> None:
    for path in files(copy):
        aside = copy.parent / "aside"
        path.rename(aside)
        with pytest.raises(ServeError) as caught:
            load_bundle(copy)
        assert (caught.value.where, caught.value.found) == (str(path), "missing")
        path.write_bytes(aside.read_bytes()[:-2])
        with pytest.raises(ServeError) as caught:
            load_bundle(copy)
        assert caught.value.where == str(path)
        aside.replace(path)
    (copy / "words" / "more.json").write_text("{}")
    with pytest.raises(ServeError, match=r"more\.json"):
        load_bundle(copy)


def resealed(folder: Folder, **fields: Any) -> None:
    facts = read_json(folder / "serving.json")
    facts.update(fields)
    write_json(folder / "serving.json", {name: value for name, value in facts.items() if value is not ...})
    (folder / MANIFEST).unlink()
    write_manifest(folder, {"build": "copy"})


@pytest.mark.parametrize("written", [FORMAT + 1, 0, ..., "new", None])
def test_a_bundle_of_another_version_is_refused(copy: Folder, written: Any) -> None:
    resealed(copy, format=written)
    with pytest.raises(ServeError) as caught:
        load_bundle(copy)
    assert caught.value.where == str(copy / "serving.json")
    assert "run the design again" in str(caught.value)


@pytest.mark.parametrize("fields", [{"ladders": ["rank"]}, {"groups": 3}, {"ladders": ...}])
def test_facts_of_another_form_are_refused(copy: Folder, fields: dict[str, Any]) -> None:
    resealed(copy, **fields)
    with pytest.raises(ServeError) as caught:
        load_bundle(copy)
    assert caught.value.where == str(copy / "serving.json")


def test_a_store_beside_the_build_answers_the_same(copy: Folder, tmp_path: Folder) -> None:
    said = []
    for url in ("lmdb:", "memory:", f"lmdb:{tmp_path / 'beside'}", f"lmdb:{tmp_path / 'beside'}"):
        path = Path(load_bundle(copy, url))
        answers = [path.answer(path.request_type(customer=one)) for one in ("nobody", path._finder.somebody())]
        said.append([(answer.items, answer.degradations) for answer in answers])
        del path
    assert said == [said[0]] * 4


def test_no_file_holds_a_pickle(world: World) -> None:
    for path in files(world.folder):
        content = path.read_bytes()
        assert not (content[:1] == b"\x80" and content[-1:] == b"."), path
        assert path.suffix in {".json", ".npy", ".arrow", ".txt"}, path
        if path.suffix == ".npy":
            assert not np.load(path, mmap_mode="r", allow_pickle=False).dtype.hasobject


def test_arrays_are_mapped_from_the_files(copy: Folder) -> None:
    bundle = load_bundle(copy)
    found = 0
    for model in bundle.retrievers.values():
        for array in [*vars(model).values(), *vars(model.history).values()]:
            if isinstance(array, np.ndarray) and array.size:
                assert not array.flags.writeable
                assert _root(array), (type(model), array.shape)
                found += 1
    assert found > 10


def _root(array: Any) -> bool:
    while array is not None:
        if isinstance(array, (np.memmap, mmap.mmap)):
            return True
        array = getattr(array, "base", None)
    return False


def _answer(folder: str, begin: Any, answers: Any) -> None:
    path = Path(load_bundle(Folder(folder)))
    begin.wait(60)
    answers.put([(item.id, item.score) for item in path.answer(path.request_type(customer="nobody")).items])


def test_several_processes_read_one_bundle_at_once_and_change_nothing(copy: Folder) -> None:
    context = multiprocessing.get_context("spawn")
    begin, answers = context.Barrier(2), context.Queue()
    before = {path: path.stat().st_mtime_ns for path in files(copy)}
    workers = [context.Process(target=_answer, args=(str(copy), begin, answers)) for _ in range(2)]
    for worker in workers:
        worker.start()
    first, second = answers.get(timeout=120), answers.get(timeout=120)
    for worker in workers:
        worker.join(60)
    assert first == second
    assert len(first) == 20
    assert {path: path.stat().st_mtime_ns for path in files(copy)} == before


def test_a_bundle_that_is_let_go_can_be_loaded_again(copy: Folder) -> None:
    for _ in range(3):  # as a release, a rollback and a release do in one worker
        served = load_path(copy, "lmdb:", copy / "spending")
        assert served.path.answer(served.path.request_type()).items
        del served


def test_a_rollback_to_a_build_that_still_answers_a_request_is_served(world: World, tmp_path: Folder) -> None:
    for name in ("b1", "b2"):
        shutil.copytree(world.folder, tmp_path / "builds" / name)
    settings = Settings(tmp_path, poll_s=0.01, store="lmdb:")
    served: queue.SimpleQueue[Served] = queue.SimpleQueue()
    faults: list[BottegaError] = []
    settings.pointer.write_text("b1")
    follower = Follower(settings, load_path, served.put, faults.append)
    follower.start()
    held = []  # as requests in flight hold them
    for build, following in (("b1", "b2"), ("b2", "b1"), ("b1", "b2"), ("b2", "")):
        held.append(served.get(timeout=60))
        assert held[-1].path.version == build
        pointing = settings.pointer.with_name("next")
        pointing.write_text(following or build)
        pointing.replace(settings.pointer)
    follower.stop()
    follower.join(60)
    assert faults == []
    answers = [one.path.answer(one.path.request_type(customer="nobody")).items for one in held]
    assert answers == [answers[0]] * 4
    last = held[0]
    held.clear()
    assert last.path.answer(last.path.request_type(customer="nobody")).items == answers[0]


def _rows_of(folder: Folder) -> dict[tuple[str, bytes], bytes]:
    """Give the rows of a build by group and key, as the plain files say."""
    found = {}
    for path in (folder / ROWS).glob("*.arrow"):
        batch = pa.ipc.open_file(path.read_bytes()).get_batch(0)
        group = batch.schema.metadata[b"group"].decode()
        for key, row in zip(*(batch.column(name).to_pylist() for name in ("key", "row")), strict=True):
            found[group, key] = row
    return found


def _holds(store: Store, rows: dict[tuple[str, bytes], bytes]) -> bool:
    groups = {group for group, _ in rows}
    held = {
        (group, key): row
        for group in groups
        for keys in [[key for one, key in rows if one == group]]
        for key, row in zip(keys, store.read(group, keys), strict=True)
    }
    return held == rows and store.describe()["rows"] == len(rows)


def _open(folder: str, url: str, begin: Any, told: Any, slow: bool) -> None:
    fills = []

    def counted(source: Folder, store: Store, **how: bool) -> None:
        fills.append(source)
        if slow:
            time.sleep(0.3)  # so that the others come while it fills
        restore(source, store, **how)

    environment._FIRST_SIZE = 1 << 16  # so that who fills outgrows it, and the others meet the map that has grown
    online.restore = counted  # type: ignore[attr-defined]
    begin.wait(60)
    store = open_online(url, Folder(folder), readonly=True)
    told.put((len(fills), _holds(store, _rows_of(Folder(folder)))))


@pytest.mark.parametrize("beside", [False, True])
def test_one_of_several_processes_fills_the_store_and_all_read_it_whole(
    copy: Folder, tmp_path: Folder, beside: bool
) -> None:
    context = multiprocessing.get_context("spawn")
    begin, told = context.Barrier(3), context.Queue()
    url = f"lmdb:{tmp_path / 'beside'}" if beside else "lmdb:"
    workers = [context.Process(target=_open, args=(str(copy), url, begin, told, True)) for _ in range(3)]
    for worker in workers:
        worker.start()
    found = [told.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert sorted(fills for fills, _ in found) == [0, 0, 1]
    assert all(whole for _, whole in found)
    assert not (copy / "store").exists()  # a build never changes


def _fill_and_die(folder: str, after: int) -> None:
    def dying(source: Folder, store: Store, **_: bool) -> None:
        for number, path in enumerate(sorted(source.glob("*.arrow"))):
            if number == after:
                os.kill(os.getpid(), signal.SIGKILL)
            batch = pa.ipc.open_file(path.read_bytes()).get_batch(0)
            columns = [batch.column(name).to_pylist() for name in ("key", "row")]
            store.write(batch.schema.metadata[b"group"].decode(), *columns)

    online.restore = dying  # type: ignore[attr-defined]
    open_online("lmdb:", Folder(folder), readonly=True)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_store_whose_filling_was_killed_is_filled_by_the_next(copy: Folder, after: int) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_fill_and_die, args=(str(copy), after))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    store = open_online("lmdb:", copy, readonly=True)
    assert _holds(store, _rows_of(copy))
    store.close()


def test_damaged_rows_are_refused_until_they_are_mended(copy: Folder) -> None:
    path = sorted((copy / ROWS).glob("*.arrow"))[-1]
    whole = path.read_bytes()
    for url in ("lmdb:", "memory:"):
        path.write_bytes(whole[:100])
        with pytest.raises(ServeError, match="no readable snapshot") as caught:
            open_online(url, copy, readonly=True)
        assert caught.value.where == str(copy / ROWS)
        path.write_bytes(whole)
        store = open_online(url, copy, readonly=True)
        assert _holds(store, _rows_of(copy))
        store.close()


def test_a_live_store_outlives_who_opens_it_and_belongs_to_its_build(world: World, tmp_path: Folder) -> None:
    first, second = (Folder(shutil.copytree(world.folder, tmp_path / "builds" / name)) for name in ("b1", "b2"))
    live = open_online("lmdb:", first)
    live.write("customer", [b"new"], [b"a row"])
    live.close()
    for folder, row in ((second, None), (first, b"a row"), (first, b"a row")):
        for readonly in (True, False):
            store = open_online("lmdb:", folder, readonly)
            assert store.read("customer", [b"new"]) == [row]
            store.close()
    assert load_bundle(first).reader.store.describe()["rows"] == load_bundle(second).reader.store.describe()["rows"] + 1
    assert load_bundle(first, "memory:").reader.store.read("customer", [b"new"]) == [None]


def test_who_serves_cannot_write_and_a_writer_beside_it_goes_on(copy: Folder) -> None:
    """A reader is there first, in a process of its own; what a writer puts afterwards is seen by it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve_store, args=(str(copy), theirs))
    process.start()
    assert ours.recv() == "a write to a store opened for reading"
    writer = open_online("lmdb:", copy)
    writer.write("customer", [b"new"], [b"a row"])
    ours.send("written")
    assert ours.recv() == [b"a row"]
    process.join(60)
    writer.close()


def _serve_store(folder: str, pipe: Any) -> None:
    store = load_bundle(Folder(folder)).reader.store
    try:
        store.write("customer", [b"new"], [b"none of mine"])
    except BottegaError as error:
        pipe.send(error.found)
    pipe.recv()
    pipe.send(store.read("customer", [b"new"]))


@pytest.mark.parametrize(("clock", "stands"), [("auto", True), ("log", True), ("now", False)])
def test_a_bundle_tells_the_time_as_it_was_asked_to(copy: Folder, clock: str, stands: bool) -> None:
    bundle = load_bundle(copy, clock=clock)
    assert bundle.clock is not None
    assert bundle.clock.stands == stands
    assert bundle.reader.store.marked(CHOSEN) == b"log"  # what `auto` is, and stays
    assert (bundle.clock() == bundle.reader.as_of) == stands
    path = Path(bundle)
    answer = path.answer(path.request_type(customer=path._finder.somebody()))
    assert isinstance(answer, Traced)
    assert isinstance(answer.trace, Trace)
    assert (answer.trace.at == bundle.reader.as_of) == stands


def test_the_types_of_the_tables_are_in_the_bundle(world: World) -> None:
    wanted = {name: log.rows.schema for name, log in world.job.logs().items()}
    assert read_schemas(world.folder) == wanted


def test_a_bundle_without_its_folder_is_refused(tmp_path: Folder) -> None:
    with pytest.raises(BottegaError, match=MANIFEST):
        load_bundle(tmp_path / "none")
