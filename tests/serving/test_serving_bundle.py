"""The bundle: refused by name when anything in it is not what was built, and shared between workers."""

from __future__ import annotations

import mmap
import multiprocessing
import queue
import shutil
from pathlib import Path as Folder
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from path_world import World

from bottega.errors import BottegaError, ServeError
from bottega.features.stores import environment
from bottega.features.stores.opening import open_store
from bottega.features.stores.protocol import Store
from bottega.features.stores.snapshot import restore
from bottega.files import read_json, write_json
from bottega.serving import bundle
from bottega.serving.answerer import Served, load_path
from bottega.serving.bundle import FORMAT, load_bundle
from bottega.serving.follower import Follower
from bottega.serving.manifest import MANIFEST, write_manifest
from bottega.serving.path import Path
from bottega.serving.service import Settings


@pytest.fixture
def copy(world: World, tmp_path: Folder) -> Folder:
    """A bundle that may be damaged."""
    return Folder(shutil.copytree(world.folder, tmp_path / "copy"))


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
        assert path.suffix in {".json", ".npy", ".arrow", ".txt", ".mdb"}, path
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


def _fill(folder: str, url: str, begin: Any, rows: Any) -> None:
    def together(source: Folder, store: Store) -> None:
        begin.wait(60)  # both have looked for the mark, and neither has found it
        restore(source, store)

    environment._FIRST_SIZE = 1 << 16  # so that each outgrows it, and meets the map that the other one grew
    bundle.restore = together
    store = bundle._store(url, Folder(folder))
    rows.put((store.describe()["rows"], store.marked("as_of")))


def test_two_workers_that_fill_one_store_at_once_leave_what_one_leaves(copy: Folder, tmp_path: Folder) -> None:
    context = multiprocessing.get_context("spawn")
    begin, rows = context.Barrier(2), context.Queue()
    url = f"lmdb:{tmp_path / 'beside'}"
    workers = [context.Process(target=_fill, args=(str(copy), url, begin, rows)) for _ in range(2)]
    for worker in workers:
        worker.start()
    told = [rows.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    alone = open_store("lmdb:", tmp_path / "alone")
    restore(copy / "rows", alone)
    filled = open_store(f"{url}/copy", tmp_path)
    assert told == [(alone.describe()["rows"], alone.marked("as_of"))] * 2
    assert filled.describe()["groups"] == alone.describe()["groups"]
    for path in (copy / "rows").glob("*.arrow"):
        batch = pa.ipc.open_file(path.read_bytes()).get_batch(0)
        group, asked = batch.schema.metadata[b"group"].decode(), batch.column("key").to_pylist()
        rows = filled.read(group, asked)
        assert None not in rows
        assert rows == alone.read(group, asked)
    assert len(load_bundle(copy, url).reader.groups) > 2


def test_a_bundle_without_its_folder_is_refused(tmp_path: Folder) -> None:
    with pytest.raises(BottegaError, match=MANIFEST):
        load_bundle(tmp_path / "none")
