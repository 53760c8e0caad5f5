"""The steps of a picture search, held against brute force over the same pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bottega as bt
import shapes_world
from bottega.data.source import Place
from bottega.errors import BuildError, DataError, DesignError
from bottega.files import read_json, sha256
from bottega.metrics import metric
from bottega.models.images.decoding import decode_one
from bottega.models.indexes.building import build_index
from bottega.reporting.chapters.search import held
from bottega.reporting.search_parts import Search
from bottega.runs.runner import Runner
from bottega.runs.steps.job import Job
from bottega.runs.steps.lessons import CHOICE, FINAL
from bottega.runs.steps.pictures.asking import asked_by
from bottega.runs.steps.pictures.encoding import encode_pictures
from bottega.runs.steps.pictures.indexing import EXACT, called, index_like, make_index
from bottega.runs.steps.pictures.items import decode_pictures, part_pictures, read_items, refused, with_refused
from bottega.runs.steps.pictures.judging import evaluate_pictures
from bottega.runs.steps.pictures.searching import Lists, depth_of, outcome_of, search_all
from bottega.runs.steps.pictures.together import check_picture_path
from bottega.runs.steps.tables import ingest_tables
from bottega.runs.workspace import Workspace
from bottega.serving.gallery import load_gallery


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    shapes_world.write(folder)
    return folder


@contextmanager
def job_of(design: bt.Design, data: Path, workspace: Path) -> Iterator[Job]:
    with Runner(Workspace(workspace, design.name)) as runner:
        yield Job(design, Place(data), runner)


def evaluated(design: bt.Design, data: Path, workspace: Path) -> tuple[Job, dict[str, Any], Path]:
    with job_of(design, data, workspace) as job:
        counts = ingest_tables(job)
        decoded = decode_pictures(job)
        parted = part_pictures(job, decoded)
        encoded = encode_pictures(job, job.ladders[0], decoded, parted)
        judged = evaluate_pictures(job, job.ladders[0], decoded, parted, encoded)
        found = read_json(judged.folder / "evaluation.json")
        found["counts"] = with_refused(counts, "pictures", decoded)
        return job, found, judged.folder


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 30), st.integers(1, 8), st.integers(0, 2**31), st.booleans())
def test_comparing_all_is_what_sorting_all_gives(queries: int, items: int, k: int, seed: int, among: bool) -> None:
    rng = np.random.default_rng(seed)
    held = rng.integers(-2, 3, (items, 3)).astype(np.float32)  # small whole numbers: many ties, no rounding
    asked = rng.integers(-2, 3, (queries, 3)).astype(np.float32)
    own = rng.integers(-1, items, queries) if among else None
    found = search_all(asked, held, k, own)
    for row in range(queries):
        products = held @ asked[row]
        order = [place for place in np.lexsort((np.arange(items), -products)) if own is None or place != own[row]][:k]
        assert found.places[row].tolist() == order + [-1] * (k - len(order))
        assert found.scores[row][: len(order)].tolist() == products[order].tolist()


def test_metrics_are_those_of_the_lists() -> None:
    scores = np.array([[0.9, 0.5, 0.5], [0.4, 0.1, 0]], np.float32)
    ways = {
        "a": ("encode", 0.0, Lists(np.array([[3, 1, 0], [2, 0, -1]]), scores)),
        "b": ("nearest", 0.0, Lists(np.array([[0, 2, 1], [1, 3, 0]]), np.array([[3, 2, 1], [3, 2, 1]], np.float32))),
    }  # fmt: skip
    value = np.array([7, 8], np.int32), np.array([7, 8, 7, 8], np.int32)
    found = outcome_of(ways, *value, np.array([4, 2]), np.arange(2), {})  # two more are like the first, and not found

    def of(name: str, rung: str) -> float:
        return metric(name).value(found.ranking(rung))

    # a: for 7 it shows 3, 0, 1 (0 and 1 tie, the lower first): no, yes, no; for 8: 2, 0: no, no
    assert of("precision@1", "a") == 0
    assert of("precision@2", "a") == pytest.approx((1 / 2 + 0) / 2)
    assert of("map@3", "a") == pytest.approx((1 / 2 / 3 + 0) / 2)
    # b: for 7: 0, 2: both; for 8: 1, 3: both
    assert of("map@3", "b") == pytest.approx((2 / 3 + 1) / 2)
    assert of("recall@1", "b") == pytest.approx((1 / 4 + 1 / 2) / 2)


def test_cuts_of_metrics_say_how_deep_to_search() -> None:
    assert depth_of(["precision@1", "recall@40"], 10) == 40
    assert depth_of(["mrr"], 10) == 100
    assert depth_of(["precision@1"], 500) == 500


def test_bad_pictures_are_put_aside_and_counted(home: Path, tmp_path: Path) -> None:
    with job_of(shapes_world.design(), home, tmp_path) as job:
        counts = ingest_tables(job)
        decoded = decode_pictures(job)
        items = read_items(job, decoded, part_pictures(job, decoded))
        told = with_refused(counts, "pictures", decoded)["pictures"]
    assert refused(decoded) == {
        "image: missing": 1, "image: empty": 1, "image: cannot be decoded": 2, "id: missing": 1,
    }  # fmt: skip
    assert told["accepted"] + told["quarantined"] == told["offered"]
    assert told["quarantined"] == 5
    aside = pq.read_table(decoded.folder / "quarantined.parquet").to_pydict()
    assert sorted(aside["id"]) == sorted(shapes_world.BAD)
    good = shapes_world.pictures()
    assert items.ids.to_pylist() == sorted([*good, "q-nothing"])
    assert len(items.pictures) == len(items)
    for place, name in enumerate(items.ids.to_pylist()):
        if name in good:  # p001 stands twice in the table: the last row counts
            assert np.array_equal(items.pictures[place], decode_one(good[name][0], (12, 12), 1))
    assert items.value[items.ids.to_pylist().index("q-nothing")] == -1


def test_nothing_but_bad_pictures(tmp_path: Path) -> None:
    table = pq.read_table(_written(tmp_path) / "pictures.parquet")
    bad = table.filter([name is not None and name.startswith("b-") for name in table.column("id").to_pylist()])
    pq.write_table(bad, tmp_path / "pictures.parquet")
    with job_of(shapes_world.design(), tmp_path, tmp_path / "w") as job:
        ingest_tables(job)
        with pytest.raises(DataError, match="no picture"):
            decode_pictures(job)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("features", [bt.Image("picture", size=(12, 12))], "picture"), ("features", [bt.Image("shape")], "string")],
)
def test_a_column_that_holds_no_pictures(home: Path, tmp_path: Path, field: str, value: Any, said: str) -> None:
    with job_of(shapes_world.design(**{field: value}), home, tmp_path) as job:
        ingest_tables(job)
        with pytest.raises(DataError, match=said):
            decode_pictures(job)


def test_the_scorecard_is_what_brute_force_finds(home: Path, tmp_path: Path) -> None:
    _, found, folder = evaluated(shapes_world.design(), home, tmp_path)
    rows = pq.read_table(home / "pictures.parquet").to_pylist()
    last = {row["id"]: row for row in rows if row["id"] is not None}
    sound = {name: row for name, row in sorted(last.items()) if name not in shapes_world.BAD}
    vectors = {name: _raw(row["image"]) for name, row in sound.items()}
    gallery = [name for name, row in sound.items() if row["part"] == "train"]
    right, precisions = [], []
    for name, row in sound.items():
        if row["part"] == "test":
            order = sorted(gallery, key=lambda one: (-float(vectors[one] @ vectors[name]), one))
            hits = [sound[one]["shape"] == row["shape"] for one in order[:20]]
            right.append(hits[0])
            precisions.append(sum(sum(hits[: at + 1]) / (at + 1) for at in range(20) if hits[at]) / 20)
    (told,) = found["models"]
    assert told["metrics"]["precision@1"]["value"] == pytest.approx(np.mean(right))
    assert told["metrics"]["map@20"]["value"] == pytest.approx(np.mean(precisions), abs=1e-6)
    assert told["metrics"]["precision@1"]["n"] == 80
    assert set(told["slices"]["shape"]) == {"square", "cross"}
    first = next(loss for loss in found["search"]["losses"] if loss["metric"] == "map@20")
    assert first["lost"]["value"] == pytest.approx(1 - np.mean(precisions), abs=1e-6)
    table = pq.read_table(folder / "predictions.parquet")
    assert set(table.column("question").to_pylist()) == {name for name, row in sound.items() if row["part"] == "test"}
    assert table.column("image").null_count == table.num_rows - 80


def test_what_is_served_holds_what_was_held_out_to_judge_with(home: Path, tmp_path: Path) -> None:
    """Parts drawn by chance: the figures are those of the training's pictures, and the service searches all."""
    drawn = shapes_world.with_data(shapes_world.design(), split=bt.GivenSplit("fold", otherwise=0.2))
    kept = bt.SameValue("pictures", column="shape", gallery="training")
    found, told = [], []
    for name, one in {"a": drawn, "b": shapes_world.with_data(drawn, examples=kept)}.items():
        _, card, folder = evaluated(one, home, tmp_path / name)
        gallery = load_gallery(folder / "gallery", _version(folder))
        assert len(gallery) == card["search"]["served_items"]
        found.append([gallery.name(number) for number in range(len(gallery))])
        told.append(card)
    assert told[0]["models"][0]["metrics"] == told[1]["models"][0]["metrics"]
    sound = sorted([*shapes_world.pictures(), "q-nothing"])
    assert found[0] == sound
    chance = {name: int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big") / 2**56 for name in sound}
    assert found[1] == [name for name in sound if chance[name] >= 0.2]
    out = len(sound) - len(found[1])
    search = [{key: card["search"][key] for key in ("items", "held_out", "left_out")} for card in told]
    assert search == [
        {"items": len(found[1]), "held_out": out, "left_out": 0},
        {"items": len(found[1]), "held_out": 0, "left_out": out},
    ]


def test_the_table_s_own_test_is_not_served_and_what_has_no_part_is(tmp_path: Path) -> None:
    rows = pq.read_table(_written(tmp_path) / "pictures.parquet").to_pylist()
    for row in rows:
        row["part"] = {"p001": None, "p002": "elsewhere"}.get(row["id"] or "", row["part"])
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pictures.parquet")
    _, card, folder = evaluated(shapes_world.design(), tmp_path, tmp_path / "w")
    gallery = load_gallery(folder / "gallery", _version(folder))
    assert [gallery.number(name) >= 0 for name in ("p000", "p001", "p002", "p004")] == [False, True, False, True]
    search = card["search"]
    assert [search[name] for name in ("items", "served_items", "held_out", "left_out")] == [159, 160, 1, 80]


def test_an_index_over_more_items_is_of_the_kind_that_was_judged() -> None:
    vectors = np.random.default_rng(0).normal(size=(1200, 8)).astype(np.float32)
    stage = bt.Nearest(index=bt.Index(kind="auto"))
    judged = build_index(bt.Index(kind="hnsw"), np.arange(1000, dtype=np.int32), vectors[:1000])
    assert called(judged) == "hnsw"
    assert called(index_like(judged, stage, vectors, vectors[:50], 0)) == "hnsw"
    few = make_index(bt.Nearest(index=bt.Index(kind="hnsw")), vectors[:90], vectors[:50], 0)
    assert called(few) == called(index_like(few, bt.Nearest(index=bt.Index(kind="hnsw")), vectors, vectors, 0)) == EXACT


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"items": 477}, "477 items searched"),
        ({"items": 477, "served_items": 592, "held_out": 115},
         "592 items searched, 115 of them held out when it was judged"),
        ({"items": 477, "served_items": 477, "left_out": 115},
         "477 items searched, without the 115 of the test, which are questions alone"),
    ],
)  # fmt: skip
def test_the_report_says_how_many_are_searched(counts: dict[str, int], said: str) -> None:
    assert held(Search(**counts)) == said


def test_codes_are_held_against_all_vectors(home: Path, tmp_path: Path) -> None:
    wide = shapes_world.design(serving=bt.Serving(path=[bt.Nearest(k=5, binary=True, tolerance=1.0)], workers=1))
    _, found, folder = evaluated(wide, home, tmp_path)
    assert [(one["name"], one["stage"]) for one in found["models"]] == [("RawPixels", "encode"), ("64 bits", "nearest")]
    assert found["search"]["served"] == "64 bits"
    scores = [one["metrics"]["map@20"]["value"] for one in found["models"]]
    told = [loss for loss in found["search"]["losses"] if loss["metric"] == "map@20"]
    assert told[1]["lost"]["value"] == pytest.approx(scores[0] - scores[1])
    assert load_gallery(folder / "gallery", _version(folder)).index.facts["built"] == "64 bits"


def test_codes_that_lose_too_much_are_refused(home: Path, tmp_path: Path) -> None:
    strict = shapes_world.design(serving=bt.Serving(path=[bt.Nearest(k=5, binary=True, tolerance=0.0)], workers=1))
    _, found, folder = evaluated(strict, home, tmp_path)
    lost = -found["search"]["difference"]["low"]
    assert lost > 0
    assert (found["search"]["asked"], found["search"]["served"]) == ("64 bits", "exact")
    assert load_gallery(folder / "gallery", _version(folder)).index.facts["built"] == "exact"
    goal = found["goals"][0]  # judged on what is served
    assert goal["value"] == found["models"][0]["metrics"]["precision@1"]["value"]


def test_an_index_is_told_apart_from_the_encoder(tmp_path: Path) -> None:
    shapes_world.write(tmp_path, bad=False, count=2400)
    fast = shapes_world.design(
        models={"encode": [bt.RawPixels(side=4)]},
        serving=bt.Serving(path=[bt.Nearest(k=5, index=bt.Index(kind="hnsw"), tolerance=0.5)]),
    )
    _, found, folder = evaluated(fast, tmp_path, tmp_path / "w")
    assert [(one["name"], one["stage"]) for one in found["models"]] == [("RawPixels", "encode"), ("hnsw", "nearest")]
    assert (found["search"]["asked"], found["search"]["served"]) == ("hnsw", "hnsw")
    assert found["search"]["recall"]["value"] > 0.9
    assert [loss["name"] for loss in found["search"]["losses"] if loss["metric"] == "map@20"] == ["RawPixels", "hnsw"]
    gallery = load_gallery(folder / "gallery", _version(folder))
    exact = search_all(np.asarray(gallery.vector(7))[None], np.stack([gallery.vector(at) for at in range(1600)]), 5)
    assert exact.scores[0].tolist() == pytest.approx(gallery.find(gallery.vector(7), 5)[1], abs=1e-5)


def test_a_rung_that_is_not_trained_leaves_its_goals_unjudged(home: Path, tmp_path: Path) -> None:
    goals = [bt.Goal("map@20", above="Few"), bt.Goal("map@20", at_least=0.1)]
    both = shapes_world.design(
        models={"encode": [bt.RawPixels(side=2, name="Few"), bt.RawPixels()]},
        evaluation=bt.Evaluation(primary="map@20", goals=goals),
    )
    with job_of(both, home, tmp_path) as job:
        job.models = ["RawPixels"]
        ingest_tables(job)
        decoded = decode_pictures(job)
        parted = part_pictures(job, decoded)
        encoded = encode_pictures(job, job.ladders[0], decoded, parted)
        judged = evaluate_pictures(job, job.ladders[0], decoded, parted, encoded)
    told = read_json(judged.folder / "evaluation.json")["goals"]
    assert sorted((goal["limit"], goal["met"]) for goal in told) == [("above Few", None), ("at least 0.1", True)]


def test_a_way_of_search_changes_no_choice(home: Path, tmp_path: Path) -> None:
    rungs = {"encode": [bt.RawPixels(side=2, name="Few"), bt.RawPixels(side=12)]}
    one = evaluated(shapes_world.design(models=rungs), home, tmp_path / "a")[1]
    two = evaluated(
        shapes_world.design(models=rungs, serving=bt.Serving(path=[bt.Nearest(binary=True)])), home, tmp_path / "b"
    )[1]
    assert one["champions"] == two["champions"]
    assert one["choice"] == two["choice"]


def test_over_the_budget_no_rung_is_champion(home: Path, tmp_path: Path) -> None:
    slow = shapes_world.design(serving=bt.Serving(path=[bt.Nearest(k=5, budget_ms=1e-9)]))
    assert not evaluated(slow, home, tmp_path)[1]["choice"]["encode"]["within_budget"]


def test_whole_groups_are_held_out_and_search_among_all_others(home: Path, tmp_path: Path) -> None:
    split = shapes_world.with_data(shapes_world.design(), split=bt.RandomSplit(validate=0.2, test=0.2))
    with job_of(split, home, tmp_path) as job:
        ingest_tables(job)
        decoded = decode_pictures(job)
        items = read_items(job, decoded, part_pictures(job, decoded))
        asked = {fit: asked_by(split, items, fit) for fit in (CHOICE, FINAL)}
    for one in asked.values():
        assert (one.searched[one.own] == one.queries).all()
        shape = items.value[one.searched]
        assert one.relevant.tolist() == [int((shape == items.value[place]).sum()) - 1 for place in one.queries]
    assert not np.isin(asked[FINAL].queries, asked[CHOICE].searched).any()  # the test is not there when it is chosen
    assert len(asked[FINAL].searched) == len(items)


def test_parts_that_share_no_value(tmp_path: Path) -> None:
    folder = _written(tmp_path)
    rows = pq.read_table(folder / "pictures.parquet").to_pylist()
    kept = [row for row in rows if row["shape"] is not None]
    for place, row in enumerate(kept):
        row["shape"] = f"{row['shape']}-{place % 4}"
    pq.write_table(pa.Table.from_pylist(kept), folder / "pictures.parquet")
    apart = shapes_world.with_data(shapes_world.design(), split=bt.GroupSplit(by="shape", validate=0.3, test=0.3))
    found = evaluated(apart, folder, tmp_path / "w")[1]
    assert found["models"][0]["metrics"]["recall@20"]["value"] > 0
    data = msgspec.structs.replace(apart.data, examples=bt.SameValue("pictures", column="shape", gallery="training"))
    with pytest.raises(DataError, match="in common"):
        evaluated(msgspec.structs.replace(apart, data=data), folder, tmp_path / "w2")


def test_the_same_run_twice_gives_the_same_bytes(home: Path, tmp_path: Path) -> None:
    learnt = shapes_world.design(
        models={"encode": [bt.RawPixels(), bt.ImageEncoder(embedding_size=8, width=4, epochs=2)]},
        serving=bt.Serving(path=[bt.Nearest(k=5, binary=True, tolerance=1)]),
    )
    (job, one, first), (_, two, again) = (evaluated(learnt, home, tmp_path / name) for name in "ab")
    for told in (one, two):
        for rung in told["models"]:
            rung.pop("seconds")
        for training in told["training"].values():
            training.pop("seconds")
            training.pop("examples_per_s")
    assert one == two
    assert sha256(first / "gallery" / "vectors.npy") == sha256(again / "gallery" / "vectors.npy")
    job, _, _ = evaluated(learnt, home, tmp_path / "a")
    assert all(record.cached for record in job.runner.records)


def test_paths_that_nothing_builds() -> None:
    for path in ([bt.Nearest(), bt.Nearest()],):
        with pytest.raises(BuildError, match=r"serving\.path"):
            check_picture_path(shapes_world.design(serving=bt.Serving(path=path)))
    compressed = bt.Serving(path=[bt.Nearest()], compress=[bt.Quantize()])
    with pytest.raises(BuildError, match=r"serving\.compress"):
        check_picture_path(shapes_world.design(serving=compressed))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"features": []}, "one Image"),
        ({"features": [bt.Image("a"), bt.Image("b")]}, "one Image"),
        ({"serving": bt.Serving(path=[bt.Nearest(encoder="encoder")])}, "encode"),
    ],
)
def test_designs_that_do_not_hold_together(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(DesignError, match=said):
        bt.Design(
            **{name: getattr(shapes_world.design(**fields), name) for name in bt.Design.__struct_fields__}
        ).check()


def _written(folder: Path) -> Path:
    shapes_world.write(folder)
    return folder


def _raw(image: bytes) -> np.ndarray:
    pixels = decode_one(image, (12, 12), 1).astype(np.float64).ravel()
    pixels -= pixels.mean()
    found: np.ndarray = pixels / np.linalg.norm(pixels)
    return found


def _version(folder: Path) -> str:
    said = next(folder.glob("gallery/*/index.json"))
    version: str = read_json(said)["version"]
    return version
