"""The path of a request: defined answers to whatever is unknown, and the same ranking as the offline predictions."""

from __future__ import annotations

import dataclasses
import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as Folder
from threading import Event
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from path_world import World, changed

import bottega as bt
from bottega.errors import BuildError
from bottega.models.retrieving import retrieved
from bottega.serving.asking import LONGEST_ID
from bottega.serving.path import Path
from bottega.serving.wire import Answer, Explained, RequestError, as_id, request_type

RUNGS = ["HistoricalRate", "BoostedTrees"]


@pytest.fixture(scope="module")
def path(world: World) -> Path:
    """The path of the built bundle."""
    return Path(world.bundle)


@pytest.fixture(scope="module")
def person(path: Path) -> str:
    """Somebody with a history."""
    return path.bundle.retrievers["CoPurchase"].history.people[3].as_py()


@pytest.fixture(scope="module")
def items(path: Path) -> list[str]:
    """The catalogue."""
    return path.bundle.retrievers["Popularity"].items.to_pylist()


def ask(path: Path, **fields: Any) -> Answer:
    return path.answer(path.request_type(**fields))


def told(answer: Answer) -> tuple[Any, ...]:
    return answer.version, answer.items, answer.degradations


def with_stages(path: Path, *stages: Any) -> Path:
    data = path.design.data
    if not any(isinstance(stage, bt.Retrieve) for stage in stages):
        data = changed(data, examples=changed(data.examples, candidates=bt.Sampled()))
    design = changed(path.design, data=data, serving=bt.Serving(path=list(stages)))
    return Path(dataclasses.replace(path.bundle, design=design))


def test_an_answer_is_ranked_by_the_champion(path: Path, person: str, items: list[str]) -> None:
    answer = ask(path, customer=person)
    assert answer.degradations == []
    assert len({item.id for item in answer.items}) == 20
    assert {item.id for item in answer.items} <= set(items)
    scores = [item.score for item in answer.items]
    assert scores == sorted(scores, reverse=True)
    assert all(item.stages["BoostedTrees"] == item.score for item in answer.items)
    assert all(list(item.stages) == [*path.bundle.retrievers, "BoostedTrees"] for item in answer.items)
    assert list(answer.stage_ms) == ["retrieve", "features", "rank"]


def test_ties_go_to_the_lower_id(path: Path) -> None:
    class Level:
        setting = None

        def score(self, inputs: Any) -> np.ndarray:
            return np.zeros(len(inputs), np.float32)

    champion = dataclasses.replace(path.bundle.champions["rank"], scorer=Level())  # type: ignore[arg-type]
    level = Path(dataclasses.replace(path.bundle, champions={"rank": champion}))
    given = ["zz", "70025", "aa", "10125", "B", "a"]
    assert [item.id for item in ask(level, candidates=given).items] == sorted(given)
    found = [item.id for item in ask(level, customer="nobody").items]
    assert found == sorted(found)


@pytest.mark.parametrize("rung", RUNGS)
def test_the_served_ranking_is_the_one_of_the_predictions(world: World, rung: str, tmp_path: Folder) -> None:
    bundle = world.at_test(tmp_path, rung)
    path = Path(bundle)
    table = world.predictions.to_pylist()
    offline: dict[str, list[tuple[float, str]]] = {}
    scores: dict[tuple[str, str], float] = {}
    title = next(name for name in table[0] if rung in name)
    for row in table:
        if row["retrieved"]:
            offline.setdefault(row["customer"], []).append((-row[title], row["product"]))
            scores[row["customer"], row["product"]] = row[title]
    assert len(offline) > 30
    for customer, every in offline.items():
        items = ask(path, customer=customer).items
        assert [item.id for item in items] == [product for _, product in sorted(every)[:20]]
        assert [item.score for item in items] == [scores[customer, item.id] for item in items]


def test_a_view_keeps_what_it_says(path: Path, person: str) -> None:
    taken = set(ask_history(path, person))
    whole = [item.id for item in ask(path, customer=person, k=50).items]
    new = ask(path, customer=person, view="new items", k=50)
    assert taken & set(whole)
    assert [item.id for item in new.items if item.id in whole] == [name for name in whole if name not in taken]
    assert not taken & {item.id for item in new.items}
    empty = ask(path, customer=person, view="nothing")
    assert empty.items == []
    assert empty.degradations == ["k: 0 of 20 found"]


def ask_history(path: Path, person: str) -> list[str]:
    model = path.bundle.retrievers["CoPurchase"]
    return model.items.take(model.history.of_person(person)[0]).to_pylist()


@pytest.mark.parametrize("who", ["nobody", 999_999_999, 2.5, "a\0b", "Ж" * LONGEST_ID])
def test_an_unknown_customer_gets_what_is_popular(path: Path, who: Any) -> None:
    answer = ask(path, customer=who)
    assert answer.degradations == ["customer: unknown"]
    assert len(answer.items) == 20
    assert all(item.stages["CoPurchase"] == 0 for item in answer.items)
    popular = path.bundle.retrievers["Popularity"].person_scores("")
    assert {item.stages["Popularity"] for item in answer.items} <= set(popular.tolist())


@pytest.mark.parametrize("who", [None, ""])
def test_nobody_is_named_as_missing(path: Path, who: Any) -> None:
    answer = ask(path, customer=who)
    assert answer.degradations == ["customer: missing"]
    assert len(answer.items) == 20


def test_a_customer_is_the_same_as_a_number_or_a_text(path: Path, person: str) -> None:
    assert told(ask(path, customer=int(person))) == told(ask(path, customer=person))
    assert told(ask(path, customer=float(person))) == told(ask(path, customer=person))


def test_more_is_asked_than_is_shown_or_there(path: Path, person: str, items: list[str]) -> None:
    answer = ask(path, customer=person, k=10_000)
    assert answer.degradations == ["k: 50 of 10000, the most that is shown"]
    assert len(answer.items) == 50
    few = with_stages(path, bt.Retrieve(k=60), bt.Rank(), bt.Show(k=5, at_most=100_000))
    answer = ask(few, customer=person, k=100_000)
    assert answer.degradations == [f"k: {len(answer.items)} of 100000 found"]
    lists = [
        retrieved(model, [person], size, seen=seen)[0]
        for model in path.bundle.retrievers.values()
        for size, seen in ((model.setting.k, True), (model.setting.unseen, False))
        if size
    ]
    union = {items[int(code)] for listed in lists for code in listed[0] if code >= 0}
    assert {item.id for item in answer.items} <= union
    assert len(answer.items) == min(60, len(union)) < 100_000


def test_given_candidates_are_ranked_each_once(path: Path, person: str, items: list[str]) -> None:
    given = [items[3], items[7], "no such", items[3], "", items[1], "aaa"]
    answer = ask(path, customer=person, candidates=given)
    assert {item.id for item in answer.items} == {items[3], items[7], items[1], "no such", "aaa"}
    assert answer.degradations == ["candidates: 2 repeated or empty", "candidates: 2 unknown", "k: 5 of 20 found"]
    strange = next(item for item in answer.items if item.id == "aaa")
    assert {name: strange.stages[name] for name in path.bundle.retrievers} == dict.fromkeys(path.bundle.retrievers, 0.0)
    assert strange.score is not None


def test_no_candidates_give_an_empty_answer(path: Path, person: str) -> None:
    answer = ask(path, customer=person, candidates=[])
    assert answer.items == []
    assert answer.degradations == ["k: 0 of 20 found"]
    assert path.explain(path.request_type(customer=person, candidates=[])) == []


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_given_candidates_does_not_matter(path: Path, person: str, items: list[str], seed: int) -> None:
    given = [*items[:40], "x1", "x2", "x3"]
    shuffled = np.random.default_rng(seed).permutation(given).tolist()
    assert told(ask(path, customer=person, candidates=shuffled)) == told(ask(path, customer=person, candidates=given))


def test_retrieval_over_its_budget_leaves_the_late_one_out(path: Path, person: str) -> None:
    hold = Event()
    slow = Waiting(path.bundle.retrievers["CoPurchase"], hold)
    bundle = dataclasses.replace(path.bundle, retrievers={**path.bundle.retrievers, "CoPurchase": slow})
    path = Path(bundle)
    late = with_stages(path, bt.Retrieve(k=60, budget_ms=200), bt.Rank(), bt.Show())
    answer = ask(late, customer=person)
    assert answer.degradations == ["CoPurchase: left out, not there after 200 ms"]
    assert len(answer.items) == 20
    assert all(item.stages["CoPurchase"] is None and item.score is not None for item in answer.items)
    given = ask(late, customer=person, candidates=["10125", "nothing"])
    assert len(given.items) == 2
    hold.set()


class Waiting:
    """A retriever that answers when it is told to."""

    def __init__(self, model: Any, until: Event) -> None:
        self.model, self.until = model, until

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def ask(self, person: str, request: Any) -> Any:
        self.until.wait()
        return self.model.ask(person, request)


UNSEEN = "coalesce(customer_product_times_all, 0) = 0"


def test_what_may_not_be_found_is_replaced_by_what_may(path: Path, person: str) -> None:
    """With a condition that leaves out half of all, lists are as long as before, and all in them may be found."""
    unseen = with_stages(path, bt.Retrieve(k=60, where=UNSEEN), bt.Rank(), bt.Show(k=30))
    popular = unseen.bundle.retrievers["Popularity"]
    mine = set(ask_history(unseen, person))
    answer = ask(unseen, customer=person)
    assert len(answer.items) == 30
    assert not mine & {item.id for item in answer.items}
    everybody = [popular.items[int(code)].as_py() for code in retrieved(popular, [person], 10_000)[0][0] if code >= 0]
    allowed = [name for name in everybody if name not in mine][: popular.setting.k]
    found = unseen.explain(unseen.request_type(customer=person, k=1000))
    listed = {one.id: one.sources["Popularity"] for one in found if "Popularity" in one.sources}
    for name, place in listed.items():
        assert name in allowed
        assert place == allowed.index(name) + 1
    given = ask(unseen, customer=person, candidates=[*sorted(mine)[:2], allowed[0]])
    assert [item.id for item in given.items] == [allowed[0]]
    assert given.degradations[0] == "candidates: 2 not allowed"


def test_where_nothing_may_be_found_the_answer_is_empty(path: Path, person: str) -> None:
    nothing = with_stages(path, bt.Retrieve(k=60, where="customer_product_times_all > 1e9"), bt.Rank(), bt.Show())
    answer = ask(nothing, customer=person)
    assert answer.items == []
    assert answer.degradations == ["k: 0 of 20 found"]


def test_ranking_over_its_budget_leaves_the_order_of_retrieval(path: Path, person: str) -> None:
    late = with_stages(path, bt.Retrieve(k=60), bt.Rank(budget_ms=1e-9), bt.Show())
    answer = ask(late, customer=person)
    assert [name.partition(",")[0] for name in answer.degradations] == ["rank: left out"]
    first = retrieved(path.bundle.retrievers["Popularity"], [person], 1)[0][0, 0]
    assert answer.items[0].id == path.bundle.retrievers["Popularity"].items[int(first)].as_py()
    assert all(item.score is None and "BoostedTrees" not in item.stages for item in answer.items)
    assert ask(late, customer=person, candidates=["b", "a"], k=2).items[0].id == "b"  # as it was given


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("k", {"k": 0}),
        ("k", {"k": -3}),
        ("view", {"view": "no such view"}),
        ("customer", {"customer": "x" * (LONGEST_ID + 1)}),
        ("candidates", {"candidates": ["y" * (LONGEST_ID + 1)]}),
        ("candidates", {"candidates": [str(i) for i in range(81)]}),
    ],
)
def test_what_cannot_be_answered_is_refused_by_field(path: Path, field: str, fields: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as caught:
        ask(path, **fields)
    assert caught.value.field == field


def test_a_path_that_finds_nothing_by_itself_asks_for_candidates(path: Path) -> None:
    ranks = with_stages(path, bt.Candidates(at_most=5), bt.Rank(), bt.Show(k=3))
    ranks.warm()
    with pytest.raises(RequestError, match="candidates"):
        ask(ranks, customer="1")
    assert len(ask(ranks, customer="1", candidates=["a", "b", "c", "d"]).items) == 3


def test_a_stage_that_nothing_serves_is_refused(path: Path) -> None:
    with pytest.raises(BuildError, match="Score"):
        with_stages(path, bt.Retrieve(), bt.Score(ladder="rank"))


def test_answering_is_pure_and_threads_may_share_it(path: Path) -> None:
    people = path.bundle.retrievers["CoPurchase"].history.people.to_pylist()[:24]
    alone = [told(ask(path, customer=one, view="new items")) for one in people]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: told(ask(path, customer=one, view="new items")), people * 4))
    assert together == alone * 4


def test_an_explanation_tells_of_the_answer(path: Path, person: str) -> None:
    answer, explained = ask(path, customer=person), path.explain(path.request_type(customer=person))
    assert [one.id for one in explained] == [item.id for item in answer.items]
    assert [one.rank for one in explained] == list(range(1, 21))
    for one, item in zip(explained, answer.items, strict=True):
        assert one.stages == item.stages
        assert one.features["co_purchase_score"] == pytest.approx(item.stages["CoPurchase"])
        assert one.sources
        for name, place in one.sources.items():
            model = path.bundle.retrievers[name]
            listed = {
                model.items[int(code)].as_py()
                for seen in (True, False)
                for code in retrieved(model, [person], place, seen=seen)[0][0, place - 1 : place]
                if code >= 0
            }
            assert one.id in listed
    json.dumps(msgspec.to_builtins(explained), allow_nan=False)


TEXTS = st.text(max_size=8) | st.sampled_from(["17850", "", "\0", "nobody", "12350", "x" * 1025])
IDS = st.one_of(TEXTS, st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False))
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "customer": st.none() | IDS,
        "k": st.none() | st.integers(-2, 200),
        "candidates": st.none() | st.lists(IDS | st.sampled_from(["10125", "70025"]), max_size=90),
        "view": st.none() | st.sampled_from(["new items", "nothing", "?"]),
        "request_id": st.none() | st.text(max_size=4),
    },
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BODIES)
def test_any_body_has_a_defined_answer(path: Path, body: dict[str, Any]) -> None:
    try:
        request = msgspec.json.decode(json.dumps(body).encode(), type=path.request_type)
    except msgspec.DecodeError:
        return
    refused = ""
    try:
        answer = path.answer(request)
    except RequestError as error:
        refused = error.field
    if refused:
        assert refused in body
        return
    msgspec.json.encode(answer)
    assert len(answer.items) <= min(body.get("k") or 20, 50)
    assert len({item.id for item in answer.items}) == len(answer.items)
    assert all(math.isfinite(item.score) for item in answer.items if item.score is not None)
    if body.get("candidates") is not None:
        assert {item.id for item in answer.items} <= {as_id(one) for one in body["candidates"]}
    explained: list[Explained] = path.explain(request)
    assert [one.id for one in explained] == [item.id for item in answer.items]


def test_a_request_has_times_and_numbers_too(path: Path) -> None:
    facts = changed(path.bundle.facts, fields={"customer": "id", "when": "time", "amount": "number"})
    wider = Path(dataclasses.replace(path.bundle, facts=facts))
    shown = wider.explain(wider.request_type(customer="1", when="2011-12-09T14:00:00+02:00", amount=2.5))
    assert len(shown) == 20
    answer = ask(wider, customer="1")
    assert answer.degradations == ["when: missing", "amount: missing", "customer: unknown"]
    for bad in ("yesterday", "2011-13-40", ""):
        with pytest.raises(RequestError, match="when"):
            ask(wider, customer="1", when=bad)


def test_a_column_may_not_have_the_name_of_what_every_request_says() -> None:
    with pytest.raises(BuildError, match="'k'"):
        request_type({"customer": "id", "k": "number"})


def test_the_first_request_of_a_worker_finds_all_compiled(path: Path) -> None:
    fresh = Path(path.bundle)
    fresh.warm()
    assert {len(parsed._programs) for parsed in fresh._views.values()} == {1}
