"""Sources under many threads: each answer is that of one request alone, whoever else is late, fails or is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bottega as bt
from bottega.errors import ServeError
from bottega.models.interactions import Interactions
from bottega.models.making import make_retriever
from bottega.models.union import union
from bottega.serving.asking import Asked
from bottega.serving.bundle import FORMAT, Bundle, Facts
from bottega.serving.finding import Candidacy, Finder
from bottega.serving.gathering import Gatherer
from bottega.systems.shop_recommendation import design as shop

LONG, SHORT = 60_000, 1000  # milliseconds
PEOPLE = [f"p{number:02}" for number in range(40)]
SETTINGS: list[Any] = [
    bt.Popularity(span=None, k=12, unseen=6),
    bt.CoPurchase(k=8, unseen=8),
    bt.Trending(k=0, unseen=10),
]


class Held:
    """A retriever that waits, or fails, before it answers."""

    def __init__(self, model: Any, before: Callable[[str], None]) -> None:
        self.setting, self.history, self.items = model.setting, model.history, model.items
        self._model, self._before = model, before

    def ask(self, person: str, request: Any) -> Any:
        self._before(person)
        return self._model.ask(person, request)


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    """Three retrievers, fitted on one log."""
    draw = np.random.default_rng(2)
    people, items = draw.integers(0, 40, 900), np.minimum(draw.geometric(0.05, 900), 70)
    log = Interactions.of(
        [PEOPLE[p] for p in people], [f"i{i:02}" for i in items], np.sort(draw.integers(0, 10**6, 900))
    )
    found = {}
    for setting in SETTINGS:
        model = make_retriever(setting)
        model.fit(log, 10**7)
        found[type(setting).__name__] = model
    return found


def finder_of(models: dict[str, Any], budget_ms: float | None, **fields: Any) -> Finder:
    facts = Facts({}, {"customer": "id"}, (), FORMAT)
    stage = bt.Retrieve(k=25, budget_ms=budget_ms, **fields)
    design = msgspec.structs.replace(
        shop,
        models={"retrieve": SETTINGS, "rank": [bt.Logistic()]},
        features=[],
        evaluation=bt.Evaluation(primary="ndcg@20"),
        serving=bt.Serving(path=[stage, bt.Rank()]),
    )
    return Finder(Bundle("t", Path(), design, facts, models, {}, None), stage)  # type: ignore[arg-type]


def asked(person: str, brought: list[str] | None = None) -> Candidacy:
    return Candidacy(Asked({"customer": person}, 20, None, brought, []))


def told(found: Candidacy) -> Any:
    lists = [(name, listed.tolist()) for name, listed in found.lists]
    return found.ids, lists, {name: scores.tolist() for name, scores in found.scores.items()}, found.asked.degradations


def odd(ids: Any) -> np.ndarray:
    return np.array([name[1:].isdigit() and int(name[1:]) % 3 == 1 for name in ids], bool)


@pytest.mark.parametrize("merge", ["turns", "rrf"])
@pytest.mark.parametrize("may", [None, odd], ids=["all", "some"])
def test_many_threads_get_what_each_would_alone(models: dict[str, Any], may: Any, merge: str) -> None:
    alone = finder_of(models, None, merge=merge)
    together = finder_of(models, LONG, merge=merge)
    requests = [
        (person, brought) for person in [*PEOPLE, "nobody", ""] for brought in (None, ["i03", "i04", "unheard"])
    ]
    wanted = []
    for person, brought in requests:
        one = asked(person, brought)
        alone.find(one, may=may)
        wanted.append(told(one))
    barrier = Barrier(8)

    def work(number: int) -> list[Any]:
        order = np.random.default_rng(number).permutation(len(requests))
        barrier.wait()
        found: list[Any] = [None] * len(requests)
        for place in order.tolist():
            one = asked(*requests[place])
            together.find(one, may=may)
            found[place] = told(one)
        return found

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(work, range(8)):
            assert found == wanted


def test_the_merged_lists_are_the_union_of_what_was_brought(models: dict[str, Any]) -> None:
    finder, every = finder_of(models, LONG, merge="rrf", quotas={"Trending": 5}), models["Popularity"].items.to_pylist()
    for person in PEOPLE[:10]:
        one = asked(person)
        finder.find(one, may=odd)
        lists = [listed[None] for _, listed in one.lists]
        sure = [0, 0, 0, 0, 5]
        merged = union(lists, 25, "rrf", sure)[0]
        assert one.ids == [every[code] for code in merged[merged >= 0]]
        assert odd(one.ids).all()
        assert set(one.lists[4][1][:5].tolist()) <= set(one.codes.tolist())


@pytest.fixture
def hold() -> Iterator[Event]:
    """What a slow source waits for; released at the end."""
    event = Event()
    yield event
    event.set()


def test_one_late_source_is_named_and_the_others_are_as_if_it_were_not(models: dict[str, Any], hold: Event) -> None:
    """Whoever is late for somebody is late for them alone, and comes back."""
    late = Held(models["CoPurchase"], lambda person: None if person != "p03" else hold.wait() and None)
    finder = finder_of({**models, "CoPurchase": late}, SHORT)
    rest = finder_of({name: model for name, model in models.items() if name != "CoPurchase"}, None)
    one, other = asked("p03"), asked("p03")
    finder.find(one)
    rest.find(other)
    assert one.asked.degradations == ["CoPurchase: left out, not there after 1000 ms"]
    assert told(one)[:3] == told(other)[:3]
    hold.set()
    whole, right = asked("p03"), asked("p03")
    finder_of(models, None).find(right)
    patient = finder_of({**models, "CoPurchase": late}, LONG)
    patient.find(whole)
    assert told(whole) == told(right)


def test_a_source_that_is_away_is_named(models: dict[str, Any]) -> None:
    def away(_: str) -> None:
        raise ServeError("index", "is not there", "an index", "look for it")

    finder = finder_of({**models, "Trending": Held(models["Trending"], away)}, LONG)
    one = asked("p05")
    finder.find(one)
    assert one.asked.degradations == ["Trending: left out, index: is not there"]
    assert "Trending" not in one.scores
    assert one.ids


def test_all_sources_late_is_an_empty_answer_with_their_names(models: dict[str, Any], hold: Event) -> None:
    stuck = {name: Held(model, lambda _: hold.wait() and None) for name, model in models.items()}
    one = asked("p05")
    finder_of(stuck, SHORT).find(one)
    assert (one.ids, one.lists, one.scores) == ([], [], {})
    assert one.asked.degradations == [f"{name}: left out, not there after 1000 ms" for name in models]


Plan = list[tuple[str, str]]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from("abc"), st.sampled_from(["answers", "waits", "away"])),
            max_size=3,
            unique_by=lambda part: part[0],
        ),
        max_size=10,
    )
)
def test_nothing_of_a_call_is_left_behind(plans: list[Plan]) -> None:
    """Whatever the order of answers, failures and hangs: at most four calls hang, and at the end none is counted."""
    gatherer, hold, waiting = Gatherer(), Event(), Counter[str]()

    def job(name: str, does: str, number: int) -> Callable[[], Any]:
        def call() -> Any:
            if does == "waits":
                waiting[name] += 1
                hold.wait()
            if does == "away":
                raise ServeError(name, "away", "there", "")
            return name, number

        return call

    slow = {"left out, not there after 20 ms", "left out, 4 earlier requests still wait for it"}
    for number, plan in enumerate(plans):
        jobs = {name: job(name, does, number) for name, does in plan}
        found, late = gatherer.gather(jobs, 20 if any(does == "waits" for _, does in plan) else LONG)
        assert found.keys() | late.keys() == jobs.keys()
        assert not found.keys() & late.keys()
        assert all(said == (name, number) for name, said in found.items())
        for name, does in plan:
            if does == "waits":
                assert late[name] in slow
            elif does == "away":
                assert late[name] in {*slow, f"left out, {name}: away"}
        assert max(waiting.values(), default=0) <= 4
    hold.set()
    for name in "abc":
        while not gatherer.gather({name: lambda: ("again", 0)}, LONG)[0]:
            pass  # those that hung come back one by one
    gatherer._threads.shutdown()
    assert not any(gatherer._late.values())
