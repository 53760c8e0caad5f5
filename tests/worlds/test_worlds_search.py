"""The search world's clicks are biased by places as its truth says, and its relevance is learnt from many numbers."""

from __future__ import annotations

import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from bottega.data.positions import propensities
from bottega.errors import DataError, DesignError
from bottega.files import sha256
from bottega.worlds import limits, true_probabilities, write_world
from bottega.worlds.search import SearchWorld, yardsticks
from bottega.worlds.search_draw import FEATURES
from bottega.worlds.search_truth import Truth

ATTRACTION = [0.04, 0.084, 0.172, 0.348, 0.7]  # of the grades 0 to 4
KEYS = {
    "shown_at": "timestamp[us, tz=UTC]",
    "search_id": "int64",
    "user_id": "int64",
    "query_id": "int64",
    "query": "string",
    "document_id": "int64",
    "position": "int32",
    "shuffled": "int8",
    "clicked": "int8",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("search")
    SearchWorld(rows=200_000, queries=800).write(made)
    return made


@pytest.fixture(scope="module")
def log(folder: Path) -> pa.Table:
    return pq.read_table(folder / "impressions")


@pytest.fixture(scope="module")
def judged(folder: Path) -> pa.Table:
    return pq.read_table(folder / "judgements.parquet")


def values(table: pa.Table, name: str) -> NDArray[Any]:
    column = table[name]
    return np.asarray(column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column)


def pairs(table: pa.Table) -> NDArray[np.int64]:
    return values(table, "query_id") * 2**31 + values(table, "document_id")


def seen(table: pa.Table) -> NDArray[np.float32]:
    return np.stack([values(table, name) for name in FEATURES], axis=1)


def ndcg(query: NDArray[Any], score: NDArray[Any], grade: NDArray[Any]) -> float:
    """The mean over queries, one after the other; queries without a right document do not count."""
    found = []
    for one in np.unique(query):
        own = np.flatnonzero(query == one)
        gain = 2.0 ** grade[own] - 1
        fall = 1 / np.log2(np.arange(2, 12))
        best = np.sort(gain)[::-1][:10]
        order = np.argsort(-score[own], kind="stable")[:10]
        if best.any():
            found.append(gain[order] @ fall[: len(order)] / (best @ fall[: len(best)]))
    return float(np.mean(found))


def test_pages_are_whole_and_in_order(folder: Path, log: pa.Table) -> None:
    files = sorted(path.name for path in (folder / "impressions").iterdir())
    assert files == [f"2024-03-{day:02d}.parquet" for day in range(4, 18)]
    assert {field.name: str(field.type) for field in log.schema} == KEYS | dict.fromkeys(FEATURES, "float")
    assert not any(log[name].null_count for name in log.column_names)
    search, place = values(log, "search_id"), values(log, "position")
    assert len(log) == 200_000
    assert (search == np.repeat(np.arange(1, 20_001), 10)).all()
    assert (place == np.tile(np.arange(1, 11), 20_000)).all()
    assert (np.diff(values(log, "shown_at")) >= 0).all()
    for name in ("shown_at", "query_id", "user_id", "shuffled"):  # one value a page
        assert (values(log, name).reshape(-1, 10) == values(log, name)[::10, None]).all()
    documents = np.sort(values(log, "document_id").reshape(-1, 10), axis=1)
    assert (np.diff(documents, axis=1) > 0).all()


def test_tables_know_each_other(folder: Path, log: pa.Table, judged: pa.Table) -> None:
    queries, documents = (pq.read_table(folder / f"{name}.parquet") for name in ("queries", "documents"))
    texts = dict(zip(queries["query_id"].to_pylist(), queries["query"].to_pylist(), strict=True))
    assert len(set(texts.values())) == len(texts) == 800
    for table in (log.slice(0, 5_000), judged):
        assert [texts[one] for one in table["query_id"].to_pylist()] == table["query"].to_pylist()
        assert set(table["document_id"].to_pylist()) <= set(documents["document_id"].to_pylist())
    assert pc.max(documents["published_at"]).as_py().date() < date(2024, 3, 4)
    assert len(np.unique(pairs(judged))) == len(judged)
    # A pair looks the same wherever it stands.
    both = np.intersect1d(pairs(log), pairs(judged))
    assert len(both) > 5_000
    sides = [seen(table)[np.unique(pairs(table), return_index=True)[1]] for table in (log, judged)]
    known = [np.isin(np.unique(pairs(table)), both) for table in (log, judged)]
    np.testing.assert_array_equal(sides[0][known[0]], sides[1][known[1]])


def test_editors_judge_all_candidates_of_some_queries(judged: pa.Table) -> None:
    query, split = values(judged, "query_id"), values(judged, "split")
    _, sizes = np.unique(query, return_counts=True)
    assert 350 < len(sizes) < 450
    assert sizes.min() >= 25
    assert sizes.mean() == pytest.approx(40, rel=0.05)
    assert len(set(zip(query.tolist(), split.tolist(), strict=True))) == len(sizes)  # a query is in one part
    share = {part: (split == part).mean() for part in ("train", "validate", "test")}
    assert share["train"] == pytest.approx(0.6, abs=0.07)
    assert min(share.values()) > 0.13
    grades = np.bincount(values(judged, "grade")) / len(judged)
    assert grades == pytest.approx([0.55, 0.22, 0.13, 0.07, 0.03], abs=0.02)


def test_few_queries_and_people_make_much_of_the_log(log: pa.Table) -> None:
    for name in ("query_id", "user_id"):
        counts = np.sort(np.unique(values(log, name), return_counts=True)[1])[::-1]
        assert 0.25 < counts[: len(counts) // 10].sum() / counts.sum() < 0.75  # 0.1 would be even


def test_one_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        SearchWorld(rows=2_000, days=2, seed=seed).write(tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 2 + 3 + 3 + 4
    for file in files:
        assert sha256(tmp_path / "a" / file) == sha256(tmp_path / "b" / file)
        same = sha256(tmp_path / "a" / file) == sha256(tmp_path / "c" / file)
        assert same == (file.name == "world.json")


def test_the_truth_is_what_a_plain_loop_finds(folder: Path, log: pa.Table, judged: pa.Table) -> None:
    grade = dict(zip(pairs(judged).tolist(), values(judged, "grade").tolist(), strict=True))
    some = log.filter(pa.array([pair in grade for pair in pairs(log).tolist()])).slice(100, 400)
    expected = [
        ATTRACTION[grade[pair]] / place
        for pair, place in zip(pairs(some).tolist(), values(some, "position").tolist(), strict=True)
    ]
    np.testing.assert_allclose(true_probabilities("search", folder, some), expected)
    np.testing.assert_allclose(limits("search", folder, some), expected)
    first = [ATTRACTION[grade[pair]] for pair in pairs(some).tolist()]
    np.testing.assert_allclose(true_probabilities("search", folder, some, position=1), first)
    places = np.arange(400) % 7 + 1
    np.testing.assert_allclose(true_probabilities("search", folder, some, position=places), first / places)


def test_clicks_come_as_often_as_the_truth_says(folder: Path, log: pa.Table) -> None:
    chance, clicked, place = limits("search", folder, log), values(log, "clicked"), values(log, "position")

    def far(chance: NDArray[Any]) -> list[float]:
        groups = [
            *np.array_split(np.argsort(chance, kind="stable"), 10),
            *(np.flatnonzero(place == p) for p in (1, 2, 5)),
        ]
        off = [(clicked[rows].sum() - chance[rows].sum()) / np.sqrt(chance[rows].sum()) for rows in groups]
        return [each for each in off if abs(each) > 4]

    assert far(chance) == []
    for wrong in (chance * 1.2, chance * 0.8, chance**1.2, np.full_like(chance, chance.mean())):
        assert far(wrong) != []


def test_each_candidate_stands_in_several_places(log: pa.Table) -> None:
    _, cell = np.unique(pairs(log), return_inverse=True)
    shows = np.bincount(cell)
    places = np.bincount(np.unique(cell * 11 + values(log, "position")) // 11)
    assert np.median(places[shows >= 50]) >= 5
    assert values(log, "shuffled")[::10].mean() == pytest.approx(0.05, abs=0.006)


def test_random_pages_tell_how_places_are_looked_at() -> None:
    with tempfile.TemporaryDirectory() as home:
        SearchWorld(rows=300_000, shuffled=1.0, days=2).write(Path(home))
        log = pq.read_table(Path(home) / "impressions", columns=["position", "clicked"])
    clicked, place = values(log, "clicked"), values(log, "position")
    rates = np.array([clicked[place == one].mean() for one in range(1, 11)])
    assert rates / rates[0] == pytest.approx(1 / np.arange(1, 11), rel=0.12)  # 3 standard deviations of the last


def test_chances_of_places_are_found_again_in_the_log(log: pa.Table) -> None:
    place, clicked = (values(log, name).astype(np.float32) for name in ("position", "clicked"))
    _, cell = np.unique(pairs(log), return_inverse=True)
    found = propensities(place, clicked, cell, most=100)
    assert list(found) == list(range(1, 11))
    assert list(found.values()) == pytest.approx([1 / one for one in found], rel=0.1)
    rate = np.array([clicked[place == one].mean() for one in range(1, 11)])
    assert rate[9] / rate[0] < 0.095  # as they are shown the best stand first: rates fall faster than looks do


def test_clicks_rank_worse_than_clicks_weighed_by_their_places(tmp_path: Path) -> None:
    gains, ranker = [], []
    for seed in range(5):
        SearchWorld(rows=100_000, queries=80, days=2, seed=seed, judged=1).write(tmp_path / str(seed))
        found = yardsticks(tmp_path / str(seed), part="train")
        assert found["truth"] == 1
        gains.append(found["weighted_clicks"] - found["clicks"])
        ranker.append(found["clicks"] - found["ranker"])
    assert np.mean(gains) > 0.01
    assert np.mean(gains) > 3 * np.std(gains, ddof=1) / np.sqrt(5)
    assert min(ranker) > 0.1  # clicks do say much


def test_without_bias_nothing_is_gained_by_weights(tmp_path: Path) -> None:
    SearchWorld(rows=50_000, queries=80, days=2, bias=0).write(tmp_path)
    found = yardsticks(tmp_path)
    assert found["weighted_clicks"] == pytest.approx(found["clicks"], abs=1e-9)


def test_yardsticks_are_what_a_plain_loop_finds(folder: Path, judged: pa.Table) -> None:
    truth = Truth.load(folder / "truth")
    score = dict(
        zip(
            (truth.queries.id[truth.pairs.query] * 2**31 + truth.documents.id[truth.pairs.document]).tolist(),
            truth.pairs.score.tolist(),
            strict=True,
        )
    )
    test = judged.filter(pc.equal(judged["split"], "test"))
    scores = np.array([score[pair] for pair in pairs(test).tolist()])
    found = yardsticks(folder)
    assert ndcg(values(test, "query_id"), scores, values(test, "grade")) == pytest.approx(found["ranker"], abs=1e-6)
    assert 0.35 < found["ranker"] < 0.6  # fair, and far from the best


@pytest.fixture(scope="module")
def parts(judged: pa.Table) -> dict[str, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """Of each part the queries, what is seen, and the grades."""
    split = values(judged, "split")
    return {
        part: tuple(each[split == part] for each in (values(judged, "query_id"), seen(judged), values(judged, "grade")))
        for part in ("train", "validate", "test")
    }


SETTINGS = {"verbose": -1, "num_threads": 1, "seed": 0, "deterministic": True, "learning_rate": 0.1, "num_leaves": 15}


def test_many_numbers_tell_the_relevance_and_none_alone(parts: Any) -> None:
    (query, train, grade), (asked, test, truth) = parts["train"], parts["test"]
    alone = {name: ndcg(asked, test[:, place], truth) for place, name in enumerate(FEATURES)}
    alone |= {f"-{name}": ndcg(asked, -test[:, place], truth) for place, name in enumerate(FEATURES)}
    sizes = np.unique(query, return_counts=True)[1]
    ends = np.flatnonzero(np.append(query[1:] != query[:-1], True)) + 1
    assert len(sizes) == len(ends)  # the rows of a query stand together
    taught = lightgbm.train(
        SETTINGS | {"objective": "lambdarank"},
        lightgbm.Dataset(train, grade, group=np.diff(np.append(0, ends))),
        num_boost_round=120,
    )
    best = ndcg(asked, np.asarray(taught.predict(test)), truth)
    assert best > 0.78
    assert max(alone.values()) < best - 0.2
    assert max(alone["past_ctr"], alone["past_shows"]) < alone["similarity"]  # what misleads


def test_trees_taught_by_clicks_are_misled_by_places_and_mended_by_weights(log: pa.Table, parts: Any) -> None:
    asked, test, truth = parts["test"]
    clicked, place, rows = values(log, "clicked"), values(log, "position"), seen(log)
    found = {}
    for name, weight in (("plain", None), ("weighted", np.where(clicked > 0, place, 1.0))):
        data = lightgbm.Dataset(rows, clicked, weight=weight)
        taught = lightgbm.train(SETTINGS | {"objective": "binary"}, data, num_boost_round=40)
        found[name] = ndcg(asked, np.asarray(taught.predict(test)), truth)
    assert found["weighted"] > found["plain"] + 0.02


@pytest.mark.parametrize(
    "settings",
    [
        {"rows": 1_001, "queries": 20, "candidates": 2, "days": 3},
        {"rows": 1_000, "slots": 1, "noise": 0, "shuffled": 0, "judged": 0.01},
        {"rows": 1_000, "days": 365, "slots": 50, "candidates": 500},
    ],
    ids=["few candidates", "one place", "days without searches"],
)
def test_worlds_at_the_edge_are_written(settings: dict[str, Any], tmp_path: Path) -> None:
    SearchWorld(**settings).write(tmp_path)
    log = pq.read_table(tmp_path / "impressions")
    assert settings["rows"] * 0.7 <= len(log) < settings["rows"] + settings.get("slots", 10)
    assert np.isfinite(limits("search", tmp_path, log)).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"rows": 999},
        {"rows": 2_000.5},
        {"days": 0},
        {"seed": -1},
        {"queries": 5},
        {"candidates": 1},
        {"slots": 0},
        {"bias": -1},
        {"bias": float("nan")},
        {"noise": "0.4"},
        {"shuffled": 1.1},
        {"judged": 0},
        {"start": "2024-03-04"},
        {"start": datetime(2024, 3, 4)},
    ],
    ids=repr,
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(DesignError) as caught:
        SearchWorld(**settings)
    assert caught.value.where == f"SearchWorld.{next(iter(settings))}"
    assert caught.value.allowed
    assert caught.value.fix


def test_what_cannot_be_asked_is_refused(folder: Path, log: pa.Table, tmp_path: Path) -> None:
    some = log.slice(0, 3)
    with pytest.raises(DesignError, match="clicked"):
        limits("search", folder, some, label="bought")
    with pytest.raises(DataError, match="no position among"):
        limits("search", folder, some.drop_columns(["position"]))
    with pytest.raises(DataError, match="places from 1 on"):
        true_probabilities("search", folder, some, position=0)
    with pytest.raises(DataError, match="candidate of the query"):
        limits("search", folder, some.set_column(5, "document_id", pa.array([7, 7, 7])))
    with pytest.raises(DataError, match="one length"):
        limits("search", folder, {"query_id": np.arange(2), "document_id": np.arange(3), "position": np.arange(3)})
    with pytest.raises(DataError, match="whole numbers"):
        limits("search", folder, {"query_id": np.array([0.5]), "document_id": np.array([1]), "position": np.array([1])})
    with pytest.raises(DataError, match="no truth"):
        limits("search", tmp_path, some)
    with pytest.raises(DesignError, match="one of train, validate, test"):
        yardsticks(folder, part="all")
    assert limits("search", folder, some.slice(0, 0)).shape == (0,)


def test_rows_set_the_size(tmp_path: Path) -> None:
    write_world("search", tmp_path / "small", seed=0, rows=1_000)
    assert len(pq.read_table(tmp_path / "small" / "impressions")) == 1_000
    with pytest.raises(DesignError, match="--rows"):
        write_world("search", tmp_path / "none", seed=0, rows=10)
    with pytest.raises(DataError, match="from before"):
        write_world("search", tmp_path / "small", seed=0)
