"""What arrives while a path answers: known from its moment on, each event once, and never half."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import msgspec
import numpy as np
import pyarrow as pa
import pytest

import bottega as bt
from bottega.data.log import Log
from bottega.design.examples import FromPositives
from bottega.errors import ServeError
from bottega.features.stores.memory import MemoryStore
from bottega.features.tracked import Places
from bottega.models.arriving import Arrived
from bottega.models.interactions import Interactions
from bottega.models.making import make_retriever
from bottega.models.text_similarity import TextSimilarityModel
from bottega.models.trending import TrendingModel
from bottega.serving.arrivals import ArrivalWriter, Arriving
from bottega.serving.asking import Asked
from bottega.serving.bundle import FORMAT, Bundle, Facts
from bottega.serving.finding import Candidacy, Finder
from bottega.systems.shop_recommendation import design as shop

PEOPLE, ITEMS = [f"p{n}" for n in range(12)], [f"i{n:02}" for n in range(20)]
SOURCES: list[Any] = [
    bt.Newest(k=5),
    bt.Trending(half_life="1s", k=10),
    bt.TextSimilarity("name", k=10, unseen=10),
    bt.Factorization(factors=4, k=10, unseen=5),
]
BEGIN = 1_000_000_000


def design_of(catalogue: str | None) -> bt.Design:
    examples = FromPositives(
        "orders", request=["person"], candidate="item", horizon="1d", catalogue=catalogue, where="kind = 'buy'"
    )
    tables = [bt.Table("orders", time="time"), bt.Table("items", key="item", time="since")]
    return msgspec.structs.replace(
        shop,
        data=msgspec.structs.replace(shop.data, tables=tables, examples=examples),
        models={"retrieve": SOURCES, "rank": [bt.Logistic()]},
        features=[],
        evaluation=bt.Evaluation(primary="ndcg@20"),
        serving=bt.Serving(path=[bt.Retrieve(k=25), bt.Rank()]),
    )


def finder_of(design: bt.Design) -> Finder:
    draw = np.random.default_rng(0)
    person, item = draw.integers(0, 12, 300), draw.integers(0, 20, 300)
    names = [f"thing {'red' if code % 2 else 'blue'} {'cup' if code % 3 else 'pot'}" for code in item]
    log = Interactions.of(
        [PEOPLE[p] for p in person], [ITEMS[i] for i in item], np.sort(draw.integers(0, BEGIN, 300)), {"name": names}
    )
    models = {}
    for setting in SOURCES:
        model = make_retriever(setting)
        model.fit(log, BEGIN)
        models[type(setting).__name__] = model
    bundle = Bundle("t", Path(), design, Facts({}, {"person": "id"}, (), FORMAT), models, {}, None)  # type: ignore[arg-type]
    stage: Any = design.serving.path[0]
    return Finder(bundle, stage)


class World:
    """A finder, the store that it follows, and a clock."""

    def __init__(self, catalogue: str | None = "items") -> None:
        self.design, self.store, self.now = design_of(catalogue), MemoryStore(), BEGIN
        self.writer, self.offset = ArrivalWriter(self.store, self.design), 0
        self.finder, self.follower = self.follow()

    def follow(self) -> tuple[Finder, Arriving]:
        finder = finder_of(self.design)
        return finder, Arriving(finder, self.store, self.design, lambda: self.now)

    def write(self, table: str, rows: Sequence[dict[str, Any]], offset: int | None = None) -> None:
        """Write rows as the streamer does; `offset`: those of rows that are delivered again."""
        first = self.offset if offset is None else offset
        self.offset = max(self.offset, first + len(rows))
        times = np.array([row["time"] for row in rows], np.int64)
        known = np.array([row.get("known", row["time"]) for row in rows], np.int64)
        place = Places(np.full(len(rows), int(table == "items"), np.int64), first + np.arange(len(rows)))
        kept = [{name: value for name, value in row.items() if name not in ("time", "known")} for row in rows]
        self.writer(Log(table, pa.Table.from_pylist(kept), times, known), place)

    def bought(self, *pairs: tuple[str, str], kind: str = "buy", known: int = 0) -> None:
        """Somebody took something just now."""
        rows = [
            {"person": p, "item": i, "kind": kind, "name": "", "time": self.now - 1, "known": max(known, self.now - 1)}
            for p, i in pairs
        ]
        self.write("orders", rows)

    def listed(self, *names: str, says: str = "thing red cup", known: int = 0) -> None:
        """Items come into the catalogue just now."""
        rows = [{"item": name, "name": says, "time": self.now - 1, "known": max(known, self.now - 1)} for name in names]
        self.write("items", rows)

    def ask(self, person: str = "p0", finder: Finder | None = None) -> Candidacy:
        found = Candidacy(Asked({"person": person}, 20, None, None, []))
        (finder or self.finder).find(found)
        return found


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_a_new_item_is_found_and_by_whom() -> None:
    world = World()
    world.listed("new")
    assert "new" not in world.ask().ids
    world.follower.catch_up(world.finder)
    found = world.ask()
    row = found.ids.index("new")
    told = found.sources(row)
    assert told["Newest"] == 1  # nothing is newer
    assert "TextSimilarity" in told
    assert not {"Trending", "Factorization"} & set(told)
    assert found.scores["Factorization"][row] == found.scores["Trending"][row] == 0
    world.bought(*[("p3", "new")] * 40)
    world.follower.catch_up(world.finder)
    assert world.ask().sources(world.ask().ids.index("new"))["Trending"] == 1
    assert len(world.ask().ids) == len(set(world.ask().ids)) > 15
    given = Candidacy(Asked({"person": "p0"}, 20, None, ["new", "i03", "unheard"], []))
    world.finder.find(given)
    assert given.asked.degradations == ["candidates: 1 unknown"]
    assert given.scores["Newest"][0] == 1


def test_what_is_known_late_waits_for_its_moment() -> None:
    world = World()
    world.listed("late", known=BEGIN + 500)
    world.listed("soon")
    world.follower.catch_up(world.finder)
    assert "late" not in world.ask().ids
    assert "soon" in world.ask().ids
    world.now = BEGIN + 499
    world.follower.catch_up(world.finder)
    assert "late" not in world.ask().ids
    world.now = BEGIN + 500
    world.follower.catch_up(world.finder)
    assert "late" in world.ask().ids


def test_what_is_no_positive_takes_nothing_and_what_is_not_listed_waits() -> None:
    world = World()
    world.bought(("p0", "unlisted"), ("p1", "unlisted"))
    world.bought(("p0", "i05"), kind="look")
    before = world.ask("p9").scores["Trending"]
    world.follower.catch_up(world.finder)
    assert world.finder.code("unlisted") == -1
    assert np.array_equal(world.ask("p9").scores["Trending"], before)
    world.listed("unlisted")
    world.follower.catch_up(world.finder)
    found = world.ask("p9")
    assert found.sources(found.ids.index("unlisted"))["Trending"] == 1  # two events just now
    without = World(catalogue=None)
    without.bought(("p0", "unlisted"))
    without.follower.catch_up(without.finder)
    assert "unlisted" in without.ask("p9").ids


def test_what_somebody_took_is_not_new_to_them() -> None:
    world = World()
    world.listed("new")
    world.follower.catch_up(world.finder)
    places = dict(zip(("listed", "unseen"), [part for name, part in world.ask("p2").lists if name == "TextSimilarity"],
                      strict=True))  # fmt: skip
    assert world.finder.code("new") in places["unseen"].tolist()
    world.bought(("p2", "new"), ("stranger", "i04"))
    world.follower.catch_up(world.finder)
    unseen = [part for name, part in world.ask("p2").lists if name == "TextSimilarity"][1]
    assert world.finder.code("new") not in unseen.tolist()
    assert "person: unknown" not in world.ask("stranger").asked.degradations
    assert "person: unknown" in world.ask("nobody").asked.degradations


def test_each_event_counts_once_whoever_follows() -> None:
    """Delivered again, and read by one who begins later, it gives the same scores."""
    world = World()
    every = []
    for step in range(5):
        world.now += 1000
        world.listed(f"new-{step}")
        rows = [(f"p{n % 5}", f"new-{n % (step + 1)}") for n in range(step + 2)]
        world.bought(*rows)
        world.follower.catch_up(world.finder)
        first = world.offset - len(rows)
        again = [{"person": p, "item": i, "kind": "buy", "name": "", "time": world.now - 1} for p, i in rows]
        world.write("orders", again, offset=first)
        world.follower.catch_up(world.finder)
        every += rows
    finder, follower = world.follow()
    follower.catch_up(finder)
    for person in ("p0", "p4", "nobody"):
        one, other = world.ask(person), world.ask(person, finder)
        told = [dict(zip(found.ids, found.scores["Trending"].tolist(), strict=True)) for found in (one, other)]
        assert set(told[0]) == set(told[1])
        for name, score in told[0].items():
            assert score == pytest.approx(told[1][name], rel=1e-5)
    model = make_retriever(bt.Trending(half_life="1s"))
    model.fit(Interactions.of([p for p, _ in every], [i for _, i in every], np.full(len(every), 5)), 10)
    right = dict(zip(model.items.to_pylist(), model.ask("", {}).of(np.arange(len(model.items))).tolist(), strict=True))
    new = {name: score for name, score in told[0].items() if name in right}
    assert sorted(new, key=lambda name: -new[name])[0] == max(right, key=lambda name: right[name])


class Broken(TrendingModel):
    """Cannot take anything in, whatever it is."""

    def with_arrived(self, arrived: Arrived) -> Broken:
        raise ValueError(f"{arrived.first} items are enough")


def test_a_retriever_that_fails_stays_as_it_is_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    broken = Broken(bt.Trending(half_life="1s", k=10))
    broken.__dict__.update(world.finder.retrievers["Trending"].__dict__)
    world.finder.retrievers["Trending"] = broken
    for name in ("new", "newer"):
        world.now += 10
        world.listed(name)
        world.bought(*[("p3", name)] * 40)
        world.follower.catch_up(world.finder)
        found = world.ask()
        assert "Newest" in found.sources(found.ids.index(name))
        assert "Trending" not in found.sources(found.ids.index(name))
        assert any(len(codes) for source, codes in found.lists if source == "Trending")
    said = ["Trending cannot take in all that is new", "Trending stays as it is"]
    assert [record.message for record in caplog.records] == said


class Choosy(TextSimilarityModel):
    """Cannot take in one text."""

    def with_arrived(self, arrived: Arrived) -> Choosy:
        if "poison" in " ".join(arrived.text(["name"])):
            raise ValueError("poison")
        return super().with_arrived(arrived)


def test_what_a_retriever_fails_at_costs_it_no_other_item(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    choosy = Choosy(SOURCES[2])
    choosy.__dict__.update(world.finder.retrievers["TextSimilarity"].__dict__)
    world.finder.retrievers["TextSimilarity"] = choosy
    world.listed("before")
    world.listed("bad", says="thing red poison")
    world.listed("after")
    world.follower.catch_up(world.finder)  # all in one
    found = world.ask()
    by = {name: set(found.sources(found.ids.index(name))) for name in ("before", "bad", "after")}
    assert ["TextSimilarity" in by[name] for name in by] == [True, False, True]
    assert all("Newest" in sources for sources in by.values())
    assert [record.message for record in caplog.records] == ["TextSimilarity cannot take in all that is new"]


def test_what_cannot_be_taken_in_is_left_out_and_what_follows_is_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    world.listed("later", known=BEGIN + 500)
    world.follower.catch_up(world.finder)
    world.listed("bad")
    with monkeypatch.context() as patch:
        patch.setattr(Finder, "take_in", Mock(side_effect=MemoryError))
        world.follower.start()
        until(lambda: bool(caplog.records))
    world.listed("good")
    world.now = BEGIN + 500
    until(lambda: world.finder.code("later") >= 0 and world.finder.code("good") >= 0)
    assert world.finder.code("bad") == -1
    assert [record.message for record in caplog.records] == ["what is new cannot be taken in"]
    found = world.ask()
    assert {"good", "later"} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))


def test_requests_under_way_see_one_moment() -> None:
    """While items arrive, whoever asks gets whole answers: ids that exist, a score of each source, no item twice."""
    world = World()
    ended = threading.Event()

    def ask(number: int) -> int:
        count = 0
        while not ended.is_set():
            found = world.ask(PEOPLE[number])
            assert len(found.ids) == len(set(found.ids)) == len(found.codes)
            assert all(len(scores) == len(found.ids) for scores in found.scores.values())
            assert set(found.scores) == {type(setting).__name__ for setting in SOURCES}
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, number) for number in range(4)]
        for step in range(150):
            world.now += 10
            world.listed(f"new-{step:03}")
            world.bought((PEOPLE[step % 4], f"new-{step:03}"))
            world.follower.catch_up(world.finder)
        ended.set()
        assert all(one.result() > 0 for one in asking)
    assert world.finder.items == len(ITEMS) + 150


def test_a_store_that_is_away_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.listed("new")

    def away(*_: object) -> Any:
        raise ServeError("store", "is away", "a store", "start it")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "read", away)
        world.follower.start()
        time.sleep(0.2)
        assert "new" not in world.ask().ids
    until(lambda: "new" in world.ask().ids)
