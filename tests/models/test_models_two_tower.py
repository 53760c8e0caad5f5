"""Two towers as a retriever: its contract, worlds whose structure is known, what is saved and what is refused."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from two_tower_world import SMALL, groups, log_of, needs_torch

from bottega.design.indexes import Index
from bottega.design.retrievers import Popularity, TwoTower
from bottega.errors import BuildError, DataError, DesignError
from bottega.models.arriving import Arrived
from bottega.models.interactions import Interactions
from bottega.models.popularity import PopularityModel
from bottega.models.retrieving import retrieved
from bottega.models.two_tower.towers import Layout
from bottega.models.two_tower.two_tower import TwoTowerModel
from bottega.testing.model_checks import RETRIEVER_CHECKS


@needs_torch
@pytest.mark.parametrize("check", RETRIEVER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "setting",
    [
        TwoTower(**SMALL, text="text", epochs=3),
        TwoTower(**{**SMALL, "layers": []}, epochs=3, hard_negatives=2, person_rows=7, logq=False),
        TwoTower(**SMALL, epochs=2, history=0, person_rows=0, stop_share=0.3),
    ],
    ids=["text", "hard", "nothing known"],
)
def test_the_contract(setting: Any, check: Any) -> None:
    check(lambda: TwoTowerModel(setting))


@needs_torch
def test_planted_groups_are_found() -> None:
    log, left = groups()
    model = TwoTowerModel(TwoTower(**SMALL, epochs=30, patience=30))
    model.fit(log, 2000)
    people = sorted(left)
    names = model.items.to_pylist()

    def recall(fitted: Any) -> float:
        rows = retrieved(fitted, people, 3, seen=False)[0]
        return float(
            np.mean(
                [
                    len({names[code] for code in row if code >= 0} & set(left[p])) / 3
                    for p, row in zip(people, rows, strict=True)
                ]
            )
        )

    popular = PopularityModel(Popularity(span=None))
    popular.fit(log, 2000)
    assert recall(model) > 0.9
    assert recall(popular) < 0.5
    stranger = model.ask("a stranger", {})
    assert len(stranger.best(500)) == len(names)
    assert (stranger.of(np.arange(len(names), dtype=np.int32)) > 0).all()
    assert stranger.of(np.array([-1], np.int32)).tolist() == [0]


@needs_torch
def test_somebody_new_is_answered_by_what_everybody_takes_first() -> None:
    rng = np.random.default_rng(0)
    rows = [(p, 0 if n == 0 else int(rng.integers(1, 20)), 10 * n) for p in range(200) for n in range(6)]
    rows += [(p, int(rng.integers(1, 20)), 5 + 10 * n) for p in range(200) for n in range(6)]
    log = Interactions.of([f"p{row[0]}" for row in rows], [f"i{row[1]:02}" for row in rows], [row[2] for row in rows])
    model = TwoTowerModel(TwoTower(**SMALL, epochs=15, patience=15, stop_share=0.01))
    model.fit(log, 2000)
    assert model.items[int(model.ask("", {}).best(1)[0])].as_py() == "i00"
    assert model.items[int(model.ask("p3", {}).best(1)[0])].as_py() != "i00"


@needs_torch
def test_the_correction_lets_popular_items_be_popular() -> None:
    rng = np.random.default_rng(0)
    fame = 1 / np.arange(1, 201)
    item = rng.choice(200, 8000, p=fame / fame.sum())  # nobody has a taste of their own
    person = rng.integers(0, 2000, 8000)
    log = Interactions.of([f"p{p:04}" for p in person], [f"i{i:03}" for i in item], rng.integers(0, 1000, 8000))
    often, ranks = np.log(np.bincount(item, minlength=200)[np.unique(item)]), {}
    for logq in (True, False):
        setting = TwoTower(**{**SMALL, "batch": 256}, epochs=8, logq=logq, person_rows=0, history=0, stop_share=0.005)
        model = TwoTowerModel(setting)
        model.fit(log, 2000)
        assert model.training["epochs"] == 8
        scores = model.ask("", {}).of(np.arange(len(often), dtype=np.int32))
        ranks[logq] = float(np.corrcoef(scores, often)[0, 1])
    assert ranks[True] > 0.9
    assert ranks[False] < ranks[True] - 0.3


@needs_torch
def test_items_that_nobody_took_are_found_by_their_text() -> None:
    log, _ = groups()
    whole = log.with_catalogue(
        [*log.items.to_pylist(), "new-blue", "new-red"],
        {"text": [*log.newest("text").to_pylist(), "blue thing", "red thing"]},
    )
    model = TwoTowerModel(TwoTower(**SMALL, text="text", epochs=30, patience=30))
    model.fit(whole, 2000)
    assert len(model.items) == 42
    texts = {"text": ["green thing", "black thing"]}
    now = model.with_arrived(Arrived(42, ["a-green", "zz-black"], texts, np.zeros(2, np.int64)))
    names = [*whole.items.to_pylist(), "a-green", "zz-black"]

    def rank(person: str, name: str) -> int:
        return [names[code] for code in now.ask(person, {}).best(99)].index(name)

    for person, own in (("p000", "new-red"), ("p001", "a-green"), ("p002", "new-blue"), ("p003", "zz-black")):
        news = {name: rank(person, name) for name in ("new-red", "a-green", "new-blue", "zz-black")}
        assert min(news, key=lambda name: news[name]) == own
        assert news[own] < 20
    for p in range(0, 120, 17):  # what a person took keeps its name
        taken = {names[code] for code in now.history.of_person(f"p{p:03}")[0]}
        assert taken == {log.items[int(i)].as_py() for i in log.item[log.person == p]}
        left = now.ask(f"p{p:03}", {}).best(99, now.history.of_person(f"p{p:03}")[0])
        assert {names[code] for code in left} == set(names) - taken


@needs_torch
def test_an_index_that_is_not_exact_says_what_it_finds() -> None:
    if find_spec("faiss") is None:
        pytest.skip("not installed: faiss (pip install 'bottega[vectors]')")
    log, _ = groups(people=60, items=4000, events=30)
    many = log.with_catalogue([f"i{i:04}" for i in range(4000)], {"text": ["thing"] * 4000})
    model = TwoTowerModel(TwoTower(**SMALL, epochs=1, index=Index(kind="ivf", recall=0.8)))
    model.fit(many, 2000)
    assert model.facts["index"]["queries"] == "given"
    assert len(model.ask("p001", {}).best(300)) == 300


@needs_torch
def test_what_is_served_needs_no_pytorch_and_one_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, _ = groups()
    model = TwoTowerModel(TwoTower(**SMALL, epochs=1))
    model.fit(log, 2000)
    other = TwoTowerModel(TwoTower(**SMALL, epochs=1, seed=5))
    other.fit(log, 2000)
    model.save(tmp_path / "one")
    other.save(tmp_path / "other")
    monkeypatch.setitem(sys.modules, "torch", None)
    read_back = TwoTowerModel.load(tmp_path / "one", model.setting)
    assert read_back.ask("p001", {}).best(5).tolist() == model.ask("p001", {}).best(5).tolist()
    assert read_back.facts["index"] == model.facts["index"]
    assert {**model.training, **read_back.training} == model.training
    with pytest.raises(BuildError, match="torch is not installed"):
        TwoTowerModel(TwoTower(**SMALL)).fit(log, 2000)
    for path in (tmp_path / "one" / "index").iterdir():
        path.unlink()
        (tmp_path / "other" / "index" / path.name).rename(path)
    with pytest.raises(BuildError, match="an index of version"):
        TwoTowerModel.load(tmp_path / "one", model.setting)
    table = np.load(tmp_path / "one" / "table.npy")
    np.save(tmp_path / "one" / "table.npy", table + 1)
    with pytest.raises(BuildError, match="towers of version"):
        TwoTowerModel.load(tmp_path / "one", model.setting)
    np.save(tmp_path / "one" / "table.npy", table[1:])
    with pytest.raises(BuildError, match="as the design says"):
        TwoTowerModel.load(tmp_path / "one", model.setting)


@needs_torch
def test_later_events_choose_the_passes_and_the_facts_say_so() -> None:
    log, _ = groups()
    model = TwoTowerModel(TwoTower(**SMALL, epochs=6, patience=2))
    model.fit(log, 2000)
    said = model.training
    tried = said["later_recall"]
    assert said["later_events"] == pytest.approx(len(log) / 10, abs=20)
    assert said["epochs"] == max(1, 1 + int(np.argmax(tried)))
    assert len(said["losses"]) == said["epochs"]
    few = TwoTowerModel(TwoTower(**SMALL, epochs=2))
    few.fit(log_of([(0, 0, 1), (1, 1, 2), (0, 1, 3)]), 9)
    assert few.training["epochs"] == 2
    assert "later_events" not in few.training


@pytest.mark.parametrize(
    ("people", "rows", "shared"), [(5, 100, False), (100, 100, False), (101, 100, True), (5, 0, False)]
)
def test_every_person_has_a_row(people: int, rows: int, shared: bool) -> None:
    layout = Layout.of(10, people, rows, 50)
    names = pa.array([f"p{i:03}" for i in range(people)])
    codes = np.arange(people, dtype=np.int32)
    found = layout.person_rows(names, codes)
    if rows == 0:
        assert (found == -1).all()
        return
    assert layout.shared == shared or rows == 0
    assert found.min() > layout.nobody
    assert found.max() < layout.rows - layout.words
    assert shared or len(np.unique(found)) == people
    assert layout.person_rows(names[:1], codes[:1] * 0 - 1).tolist() == [layout.nobody]
    start, flat = layout.word_rows(["red cup", None, "cup"])
    assert start.tolist() == [0, 2, 2, 3]
    assert flat[1] == flat[2] >= layout.rows - layout.words


@pytest.mark.parametrize(
    ("field", "value"),
    [("embedding_size", 1), ("history", -1), ("layers", [0]), ("epochs", 0), ("batch", 1), ("temperature", 0.0),
     ("learning_rate", 0.0), ("hard_negatives", -1), ("stop_share", 0.9), ("half_life", "soon"), ("word_rows", 0)],
)  # fmt: skip
def test_settings_out_of_range_are_refused(field: str, value: Any) -> None:
    with pytest.raises(DesignError, match=rf"TwoTower\.{field}"):
        TwoTower(**{field: value})


def test_a_log_without_a_past_is_refused() -> None:
    with pytest.raises(DataError, match="no rows before"):
        TwoTowerModel(TwoTower()).fit(log_of([(0, 0, 5)]), 5)
