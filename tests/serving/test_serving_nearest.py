"""Searching by picture: answers are those of brute force, odd requests have their own, and items come and go."""

from __future__ import annotations

import base64
import gc
import json
import shutil
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

import bottega as bt
import shapes_world
from bottega.data.idx import png
from bottega.data.log import Log
from bottega.data.source import Place
from bottega.errors import BottegaError, BuildError, ServeError
from bottega.features.stores.memory import MemoryStore
from bottega.features.tracked import Places
from bottega.models.images.decoding import decode_one
from bottega.runs.runner import Runner
from bottega.runs.steps.bundling import BUNDLE, fill_store
from bottega.runs.steps.job import Job
from bottega.runs.steps.pictures.bundling import bundle_pictures
from bottega.runs.steps.pictures.encoding import encode_pictures
from bottega.runs.steps.pictures.items import decode_pictures, part_pictures
from bottega.runs.steps.pictures.judging import evaluate_pictures
from bottega.runs.steps.pictures.parity import check_pictures_parity
from bottega.runs.steps.tables import ingest_tables
from bottega.runs.workspace import Workspace
from bottega.serving.additions import Follower, Picture, PictureApplier, additions
from bottega.serving.answerer import load_path
from bottega.serving.gallery import load_gallery, version_of
from bottega.serving.manifest import write_manifest
from bottega.serving.nearest import NearestPath, Request, load_encoder, load_pictures
from bottega.serving.wire import RequestError

CODES = [bt.Nearest(k=5, binary=True, bits=128, tolerance=1.0)]


def build(design: bt.Design, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Build a bundle of a design over the world; give its folder and what parity says."""
    shapes_world.write(folder)
    with Runner(Workspace(folder / "w", design.name)) as runner:
        job = Job(design, Place(folder), runner)
        ingest_tables(job)
        decoded, ladder = decode_pictures(job), job.ladders[0]
        parted = part_pictures(job, decoded)
        encoded = encode_pictures(job, ladder, decoded, parted)
        judged = evaluate_pictures(job, ladder, decoded, parted, encoded)
        bundle = bundle_pictures(job, ladder, encoded, judged, fill_store(job))
        parity = check_pictures_parity(job, ladder, decoded, parted, encoded, judged, bundle)
        return bundle.folder / BUNDLE, json.loads((parity.folder / "parity.json").read_text())


@pytest.fixture(scope="module")
def floats(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    return build(shapes_world.design(), tmp_path_factory.mktemp("floats"))


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    made = shapes_world.design(serving=bt.Serving(path=CODES))
    return build(made, tmp_path_factory.mktemp("codes"))


@pytest.fixture(params=["floats", "codes"])
def path(request: pytest.FixtureRequest) -> Iterator[NearestPath]:
    folder, _ = request.getfixturevalue(request.param)
    yield NearestPath(load_pictures(folder, "memory:"))
    gc.collect()  # what follows the journal ends with its gallery


def gallery_of() -> dict[str, bytes]:
    """Give the pictures that are searched: those of training, by id."""
    every = shapes_world.pictures()
    found = {name: image for place, (name, (image, _)) in enumerate(every.items()) if place % 3}
    return {**found, "q-nothing": every["p000"][0]}


def raw(image: bytes) -> np.ndarray:
    pixels = decode_one(image, (12, 12), 1).astype(np.float64).ravel()
    found: np.ndarray = (pixels - pixels.mean()) / np.linalg.norm(pixels - pixels.mean())
    return found


def text(image: bytes) -> str:
    return base64.b64encode(image).decode()


def test_answers_are_those_of_brute_force(floats: tuple[Path, dict[str, Any]]) -> None:
    path = NearestPath(load_pictures(floats[0], "memory:"))
    held = {name: raw(image) for name, image in gallery_of().items()}
    for name, (image, _) in list(shapes_world.pictures().items())[:30]:
        asked = raw(image)
        order = sorted(held, key=lambda one: (-float(held[one] @ asked), one))[:7]
        answer = path.answer(Request(image=text(image), k=7))
        assert [item.id for item in answer.items] == order
        assert [item.score for item in answer.items] == pytest.approx(
            [float(held[one] @ asked) for one in order], abs=1e-5
        )
        if name in held:
            like = [one for one in sorted(held, key=lambda one: (-float(held[one] @ asked), one)) if one != name][:7]
            assert [item.id for item in path.answer(Request(id=name, k=7)).items] == like


def test_parity_of_the_bundle(floats: tuple[Path, dict[str, Any]], codes: tuple[Path, dict[str, Any]]) -> None:
    for _, parity in (floats, codes):
        assert parity["compared"] == 80 * 145
        assert parity["mismatches"] == 0


@pytest.mark.parametrize("path_", [[bt.Nearest(k=5)], CODES], ids=["floats", "codes"])
def test_pictures_that_were_held_out_by_chance_are_found_in_the_service(path_: list[Any], tmp_path: Path) -> None:
    made = shapes_world.design(serving=bt.Serving(path=path_))
    drawn = shapes_world.with_data(made, split=bt.GivenSplit("fold", otherwise=0.2))  # the table has no such column
    folder, parity = build(drawn, tmp_path)
    path = NearestPath(load_pictures(folder, "memory:"))
    every = shapes_world.pictures()
    for name in every:
        answer = path.answer(Request(id=name, k=300))
        assert answer.degradations == ["k: 240 of 300 found"]
        assert {item.id for item in answer.items} == {*every, "q-nothing"} - {name}
    assert parity["compared"] > 145 * 20
    assert parity["mismatches"] == 0


def test_a_known_item_is_left_out_of_its_own_answer(path: NearestPath) -> None:
    for name in list(gallery_of())[:20]:
        assert name not in [item.id for item in path.answer(Request(id=name, k=300)).items]


def test_k_over_the_gallery_gives_all_and_says_so(path: NearestPath) -> None:
    size = len(path.bundle.gallery)
    answer = path.answer(Request(image=text(png(np.eye(12, dtype=np.uint8) * 255)), k=999))
    assert len({item.id for item in answer.items}) == size == 161  # of training, and one that shows nothing known
    assert answer.degradations == [f"k: {size} of 999 found"]
    scores = [item.score or 0 for item in answer.items]
    assert scores == sorted(scores, reverse=True)
    more = path.answer(Request(id="p001", k=5000))
    assert more.degradations == ["k: 1000 of 5000, the most that is shown", f"k: {size - 1} of 1000 found"]


def test_an_unknown_item_has_an_empty_answer(path: NearestPath) -> None:
    for name in ("nobody", "p000", 17, "", "b-cut"):  # p000 is the test's
        answer = path.answer(Request(id=name))
        assert answer.items == []
        assert answer.degradations == ["id: unknown", "k: 0 of 5 found"]


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that says it has so many pixels a side."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("asked", "field", "found"),
    [
        ({}, "image", "nothing to search with"),
        ({"image": text(png(np.zeros((2, 2), np.uint8))), "id": "p001"}, "image", "an image and an id"),
        ({"image": ""}, "image", "no bytes"),
        ({"image": "not base64!"}, "image", "no base64"),
        ({"image": "QUJD"}, "image", "cannot be decoded"),
        ({"image": text(shapes_world.BAD["b-cut"] or b"")}, "image", "cannot be decoded"),
        ({"image": text(bomb(9_000))}, "image", "9,000 × 9,000 pixels"),
        ({"image": text(bomb(20_000))}, "image", "400000000 pixels"),
        ({"id": "p001", "k": 0}, "k", "0"),
        ({"id": "p001", "k": -3}, "k", "-3"),
        ({"id": "x" * 2000}, "id", "2000 characters"),
    ],
)
def test_faulty_requests_say_where_and_what(path: NearestPath, asked: dict[str, Any], field: str, found: str) -> None:
    with pytest.raises(RequestError) as error:
        path.answer(msgspec.convert(asked, Request))
    assert error.value.field == field
    assert found in str(error.value.found)
    assert error.value.allowed


@pytest.mark.parametrize("size", [(1, 1), (12, 12), (300, 17)])
def test_pictures_of_any_size_are_answered(path: NearestPath, size: tuple[int, int]) -> None:
    image = png(np.random.default_rng(0).integers(0, 255, size).astype(np.uint8))
    assert len(path.answer(Request(image=text(image))).items) == 5


def test_an_explanation_tells_both_distances(path: NearestPath) -> None:
    name = next(iter(gallery_of()))
    answer, told = path.answer(Request(id=name)), path.explain(Request(id=name))
    assert [one.id for one in told] == [item.id for item in answer.items]
    held = {one: raw(image) for one, image in gallery_of().items()}
    title = str(path.bundle.gallery.index.facts["built"])
    for place, (one, item) in enumerate(zip(told, answer.items, strict=True), 1):
        assert one.stages["RawPixels"] == pytest.approx(float(held[one.id] @ held[name]), abs=1e-5)
        assert one.stages[title] == item.score
        assert one.sources == {title: place}
        assert one.features == {"shape": shapes_world.pictures().get(one.id, ("", None))[1]}


def test_answering_is_pure(path: NearestPath) -> None:
    asked = Request(image=text(shapes_world.pictures()["p000"][0]))
    first = path.answer(asked)
    path.answer(Request(id="p001"))
    again = path.answer(asked)
    assert first.items == again.items
    assert asked.k is None


def test_the_service_loads_it_by_its_design(floats: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    served = load_path(floats[0], "memory:", tmp_path)
    assert isinstance(served.path, NearestPath)
    assert served.tables.keys() == {"pictures"}
    assert served.path.click("a", "b") is None


@pytest.mark.parametrize("kind", ["floats", "codes"])
def test_an_index_of_another_encoder_is_refused(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    folder, _ = request.getfixturevalue(kind)
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    encoder = other / "models" / "encode" / "RawPixels" / "encoder.json"
    encoder.write_text(json.dumps({"shape": [12, 12, 1], "note": "another version"}))
    write_manifest(other, {"build": "other"})  # whole by its hashes, and still not of one version
    with pytest.raises(BuildError, match="version"):
        load_pictures(other, "memory:")


def test_a_damaged_bundle_is_refused(codes: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    other = Path(shutil.copytree(codes[0], tmp_path / "other"))
    bits = other / "gallery" / "codes" / "bits.npy"
    bits.write_bytes(bits.read_bytes()[:-8])
    with pytest.raises(ServeError, match=r"bits\.npy"):
        load_pictures(other, "memory:")


def log_of(rows: list[dict[str, Any]]) -> Log:
    schema = pa.schema({"id": pa.string(), "image": pa.binary(), "shape": pa.string(), "part": pa.string()})
    return Log("pictures", pa.Table.from_pylist(rows, schema=schema), None, None)


def places_of(offsets: list[int]) -> Places:
    return Places(np.zeros(len(offsets), np.int64), np.array(offsets, np.int64))


@pytest.mark.parametrize("kind", ["floats", "codes"])
def test_pictures_come_and_go_by_events(kind: str, request: pytest.FixtureRequest) -> None:
    folder, _ = request.getfixturevalue(kind)
    bundle = load_pictures(folder, "memory:")
    store, path = MemoryStore(), NearestPath(bundle)
    applier = PictureApplier(store, bundle.design, load_encoder(folder, bundle.design)[1])
    applier.warm()
    follower = Follower(bundle.gallery, additions(store))
    image = png(np.arange(144, dtype=np.uint8).reshape(12, 12))
    other = png(np.arange(144, dtype=np.uint8).reshape(12, 12)[::-1].copy())
    size = len(bundle.gallery)

    def event(rows: list[dict[str, Any]], offsets: list[int]) -> None:
        applier.apply(log_of(rows), places_of(offsets), 0)
        follower.catch_up(bundle.gallery)

    def nearest(asked: bytes) -> tuple[str, float]:
        item = path.answer(Request(image=text(asked), k=1)).items[0]
        return item.id, float(item.score or 0)

    event([{"id": "new", "image": image, "shape": "stripe"}], [10])
    assert nearest(image) == ("new", pytest.approx(1, abs=1e-6))
    assert path.explain(Request(image=text(image), k=1))[0].features == {"shape": "stripe"}
    event([{"id": "new", "image": other}], [11])  # replaced
    assert nearest(other)[0] == "new"
    assert nearest(image)[1] < 0.999
    assert len(bundle.gallery) == size + 1
    event([{"id": "bad", "image": b"nothing"}, {"id": None, "image": image}], [12, 13])  # left out, and said in the log
    assert path.answer(Request(id="bad")).items == []
    event([{"id": "new", "image": None}, {"id": "nobody", "image": None}], [14, 15])
    assert path.answer(Request(id="new")).degradations[0] == "id: unknown"
    event([{"id": "new", "image": image}], [10])  # delivered once more: it went after that
    assert path.answer(Request(id="new")).degradations[0] == "id: unknown"
    event([{"id": "p001", "image": None}], [16])  # one of the build
    assert len(bundle.gallery) == size - 1
    assert "p001" not in [item.id for item in path.answer(Request(image=text(image), k=999)).items]
    event([{"id": "p001", "image": image}], [17])
    assert nearest(image)[0] == "p001"
    later = Follower(fresh := load_gallery(folder / "gallery", _version(folder)), additions(store))
    later.catch_up(fresh)  # another worker, or this one after a restart, comes to the same
    assert sorted(fresh.name(number) for number in fresh.find(bundle.gallery.vector(0), 999)[0]) == sorted(
        bundle.gallery.name(number) for number in bundle.gallery.find(bundle.gallery.vector(0), 999)[0]
    )


class _Away(MemoryStore):
    away = True

    def read(self, group: str, keys: Any) -> Any:
        if self.away:
            raise ServeError("store", "it is away")
        return super().read(group, keys)


def test_additions_wait_for_a_store_that_is_away(floats: tuple[Path, dict[str, Any]]) -> None:
    gallery = load_gallery(floats[0] / "gallery", _version(floats[0]))
    store = _Away()
    follower = Follower(gallery, additions(store))
    with pytest.raises(BottegaError):
        follower.catch_up(gallery)
    follower.start()
    store.away = False
    vector = gallery.vector(0)
    additions(store).append([Picture(0, 1, "new", vector.astype("<f4").tobytes())])
    end = time.monotonic() + 20
    while gallery.number("new") < 0:
        assert time.monotonic() < end
        time.sleep(0.01)
    del gallery
    gc.collect()
    follower.join(20)
    assert not follower.is_alive()  # it ends with its gallery


def _version(folder: Path) -> str:
    return version_of(folder / "models" / "encode" / "RawPixels")
