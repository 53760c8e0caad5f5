"""A path that sells: prices and slots, who takes part at which bid, and what is charged to whom."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import ads_bundle
import msgspec
import numpy as np
import pytest
from ads_bundle import ADS, auction, bundle, design
from hypothesis import given
from hypothesis import strategies as st

import bottega as bt
from bottega.errors import BuildError
from bottega.features.stores.memory import MemoryStore
from bottega.serving.auction import DAY, HOUR
from bottega.serving.decision_log import record, served_bids, served_scores
from bottega.serving.path import Path
from bottega.serving.refusals import undecodable
from bottega.serving.spending import HOURS, Sale, Spending
from bottega.serving.wire import Answer, RequestError, counted

NOON = 20_000 * DAY + 12 * HOUR
FOUR = ["a", "b", "c", "d"]


def ask(path: Path, candidates: Any, at: int = NOON, **fields: Any) -> Answer:
    return path.answer(msgspec.convert({"candidates": candidates, **fields}, path.request_type), at)


def sold(answer: Answer) -> list[tuple[str, float]]:
    return [(item.id, round(float(item.price or 0), 6)) for item in answer.items]


def test_an_auction_answers_with_prices_and_slots() -> None:
    answer = ask(ads_bundle.path(auction(slots=2)), FOUR, user="u", request_id="r")
    assert [(item.id, item.slot) for item in answer.items] == [("c", 1), ("a", 2)]  # 0.4, then 0.2 twice, a before b
    assert [item.price for item in answer.items] == pytest.approx([4.0, 2.0])
    assert [item.score for item in answer.items] == pytest.approx([0.4, 0.2])
    assert [item.stages for item in answer.items] == [
        {"Logistic": pytest.approx(0.05)},
        {"Logistic": pytest.approx(0.1)},
    ]
    assert answer.degradations == []
    assert list(answer.stage_ms) == ["retrieve", "features", "rank", "auction"]
    assert ask(ads_bundle.path(auction()), FOUR, user="u", k=1).items[0].id == "c"


def test_a_value_that_is_missing_is_not_said_to_be_unknown_too() -> None:
    users = bt.Window("shown", by="user", over=["1d"], values={"n": "count(*)"})
    path = Path(bundle(design(bt.Rank(), bt.Show(k=4), features=[users])))
    assert ask(path, FOUR, user="never seen").degradations == ["user: unknown"]
    assert ask(path, FOUR, user=None).degradations == ["user: missing"]
    assert ask(path, FOUR).degradations == ["user: missing"]


def test_an_item_that_was_not_sold_has_neither_price_nor_slot_on_the_wire() -> None:
    shows = Path(bundle(design(bt.Rank(), bt.Show(k=2))))
    items = json.loads(msgspec.json.encode(ask(shows, FOUR)))["items"]
    assert [set(item) for item in items] == [{"id", "score", "stages"}] * 2
    assert [item["id"] for item in items] == ["d", "b"]


def test_what_travels_counts_before_the_feature_of_its_name() -> None:
    path = ads_bundle.path(auction(bid="bid", budget="budget"))
    assert ask(path, FOUR, user="u").degradations == ["auction: 4 of 4 without a budget", "auction: 0 of 4 slots sold"]
    given = [{"id": "a", "bid": 1.0, "budget": 9}, {"id": "b", "bid": 2, "budget": 9.5}, {"id": "c", "budget": 1}, "d"]
    answer = ask(path, given, user="u", k=2)
    assert sold(answer) == [("b", 0.5), ("a", 0.0)]
    assert answer.degradations == ["auction: 1 of 4 without a budget", "auction: 1 of 4 without a bid above 0"]
    named = design(bt.Rank(), auction(slots=2))
    stages = [bt.Candidates(columns=["ad_bid", "ad_budget"]), *named.serving.path[1:]]
    both = Path(bundle(msgspec.structs.replace(named, serving=bt.Serving(path=stages))))
    given = [{"id": "a", "ad_bid": 80.0}, {"id": "b", "ad_budget": 0.0}, {"id": "c", "ad_bid": None}, "d"]
    answer = ask(both, given, user="u")
    assert sold(answer) == [("a", 4.0), ("c", 3.0)]  # c by its feature's bid of 8; d has 0.5 · 0.3
    assert answer.degradations == ["auction: 1 of 4 over budget"]


@pytest.mark.parametrize("bid", [0, 0.0, -1, -1e308, None])
def test_a_bid_that_is_none_takes_no_part_by_name(bid: float | None) -> None:
    path = ads_bundle.path(auction(bid="bid", budget=None, slots=1))
    answer = ask(path, [{"id": "a", "bid": bid}, {"id": "b", "bid": 1e308}, {"id": "c", "bid": 5e-324}], user="u")
    assert [item.id for item in answer.items] == ["b"]
    assert answer.degradations == ["auction: 1 of 3 without a bid above 0"]


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        (b'{"candidates":[{"id":"a","bid":"NaN"}]}', 422, "candidates[0].bid"),
        (b'{"candidates":[{"id":"a","bid":NaN}]}', 400, "body"),
        (b'{"candidates":[{"id":"a","bid":Infinity}]}', 400, "body"),
        (b'{"candidates":[{"id":"a","bid":1e400}]}', 422, "candidates[0].bid"),
        (b'{"candidates":[{"id":"a","bid":[1]}]}', 422, "candidates[0].bid"),
        (b'{"candidates":[{"bid":1}]}', 422, "candidates[0].id"),
        (b'{"candidates":[{"id":null,"bid":1}]}', 422, "candidates[0].id"),
        (b'{"candidates":[{"id":"a","price":1}]}', 422, "candidates[0].price"),
        (b'{"candidates":{"id":"a"}}', 422, "candidates"),
    ],
)
def test_what_is_no_number_is_refused_by_its_place(body: bytes, status: int, where: str) -> None:
    with pytest.raises(msgspec.DecodeError) as caught:
        msgspec.json.decode(body, type=ads_bundle.path(auction()).request_type)
    refusal = undecodable(caught.value)
    assert (refusal.status, refusal.fault.where) == (status, where)


@pytest.mark.parametrize(
    ("body", "where", "allowed", "fix"),
    [
        (b'{"candidates":["a",{"ad_id":1,"bidd":2}]}', "candidates[1].ad_id", "id, bid, budget", "did you mean 'id'?"),
        (b'{"candidates":[{"id":1,"bidd":2}]}', "candidates[0].bidd", "id, bid, budget", "did you mean 'bid'?"),
        (b'{"candidates":[{"id":1,"user":2}]}', "candidates[0].user", "id, bid, budget", "leave it out"),
        (b'{"bid":1}', "bid", "user, k, candidates, view, request_id", "leave it out"),
    ],
)
def test_an_unknown_field_is_told_those_of_its_own_object(body: bytes, where: str, allowed: str, fix: str) -> None:
    kind = ads_bundle.path(auction()).request_type
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(body, type=kind)
    fault = undecodable(caught.value, body, kind).fault
    assert (fault.where, fault.found, fault.allowed, fault.fix) == (where, "an unknown field", allowed, fix)


def test_whoever_takes_no_part_is_counted_by_the_first_reason() -> None:
    answer = ask(ads_bundle.path(auction(reserve=1.0)), list(ADS), user="u")
    assert [item.id for item in answer.items] == ["c", "a", "b"]
    assert answer.degradations == [
        "auction: 1 of 8 without an advertiser",
        "auction: 1 of 8 without a budget",
        "auction: 1 of 8 over budget",
        "auction: 1 of 8 without a bid above 0",
        "auction: 1 of 8 below the reserve",
        "auction: 3 of 4 slots sold",
    ]
    assert sold(answer)[2] == ("b", 1.0)


def test_what_an_auction_does_by_its_rules_is_no_degradation() -> None:
    answer = ask(ads_bundle.path(auction(reserve=1.0)), list(ADS), user="u")
    degraded, fewer = counted(answer.degradations)
    assert degraded == {f"auction: n of n without {what}" for what in ("an advertiser", "a budget", "a bid above n")}
    assert fewer == {f"auction: n of n {what}" for what in ("over budget", "below the reserve", "slots sold")}
    for told in ("auction: no ads", "k: 4 of 9, the most that is shown"):
        assert not counted([told])[0]
    for told in ("auction: nothing sold without rank", "rank: left out, features took 12.3 of 10 ms", "log: full"):
        assert not counted([told])[1]


def test_no_ads_unknown_ads_repeated_ads_and_too_many() -> None:
    path = ads_bundle.path(auction())
    answer = ask(path, [], user="u")
    assert (answer.items, answer.degradations) == ([], ["auction: no ads"])
    answer = ask(path, ["never seen", {"id": "new", "bid": 3.0}], user="never seen")
    assert answer.items == []
    assert answer.degradations == [
        "candidates: 2 unknown", "auction: 2 of 2 without an advertiser", "auction: 0 of 4 slots sold"
    ]  # fmt: skip
    answer = ask(path, [{"id": "a", "bid": 9}, "a", {"id": "a"}, ""], user="u", k=1)
    assert answer.degradations == ["candidates: 3 repeated or empty"]
    assert sold(answer) == [("a", 0.0)]
    with pytest.raises(RequestError, match="10500 ids"):
        ask(path, [{"id": f"x{n}"} for n in range(10_500)], user="u")
    answer = ask(path, [f"x{n}" for n in range(500)], user="u")
    assert answer.degradations[:2] == ["candidates: 500 unknown", "auction: 500 of 500 without an advertiser"]
    assert ask(path, FOUR, user="u", k=9).degradations == ["k: 4 of 9, the most that is shown"]


def test_when_all_are_over_budget_nothing_is_sold() -> None:
    spending = Spending(MemoryStore())
    path = ads_bundle.path(auction(), spending=spending)
    spending.charge(["adv-1", "adv-2", "adv-3"], [50.0, 51.0, 60.0], [math.inf] * 3, NOON)
    answer = ask(path, FOUR, user="u")
    assert answer.items == []
    assert answer.degradations == ["auction: 4 of 4 over budget", "auction: 0 of 4 slots sold"]
    assert len(ask(path, FOUR, NOON + DAY, user="u").items) == 4


def test_without_a_probability_nothing_is_sold() -> None:
    late = Path(bundle(design(bt.Rank(budget_ms=1e-9), auction())))
    answer = ask(late, FOUR, user="u")
    assert answer.items == []
    assert [told.split(",")[0] for told in answer.degradations] == [
        "rank: left out",
        "auction: nothing sold without rank",
    ]
    none = bundle(design(bt.Rank(), auction()))
    none = dataclasses.replace(none, champions={}, facts=msgspec.structs.replace(none.facts, ladders={}))
    assert ask(Path(none), FOUR, user="u").degradations == ["auction: nothing sold without rank"]


def test_bids_for_a_conversion_are_turned_into_bids_for_a_click() -> None:
    both = [bt.Rank(), bt.Rank(ladder="buy", label="bought")]
    path = Path(bundle(design(*both, auction(slots=3, conversion="buy"))))
    answer = ask(path, FOUR, user="u")
    clicks = {name: ADS[name][2] * ADS[name][1] for name in FOUR}  # a 1.0, b 0.1, c 1.6, d 0.15
    scores = {name: clicks[name] * ADS[name][0] for name in FOUR}
    order = sorted(FOUR, key=lambda name: -scores[name])
    assert [item.id for item in answer.items] == order[:3]
    for item, following in zip(answer.items, order[1:], strict=False):
        assert item.price == pytest.approx(scores[following] / ADS[item.id][0])
        assert item.stages == {"rank": pytest.approx(ADS[item.id][0]), "buy": pytest.approx(ADS[item.id][1])}
    assert list(answer.stage_ms) == ["retrieve", "features", "rank", "buy", "auction"]


def test_of_several_ladders_without_an_auction_the_last_one_orders() -> None:
    path = Path(bundle(design(bt.Rank(), bt.Rank(ladder="buy"), bt.Show(k=4))))
    answer = ask(path, FOUR, user="u")
    assert [item.id for item in answer.items] == ["a", "d", "c", "b"]
    assert [item.score for item in answer.items] == [item.stages["buy"] for item in answer.items]
    late = Path(bundle(design(bt.Rank(), bt.Rank(ladder="buy", budget_ms=1e-9), bt.Show(k=4))))
    answer = ask(late, FOUR, user="u")
    assert [item.id for item in answer.items] == ["d", "b", "a", "c"]
    assert [set(item.stages) for item in answer.items] == [{"rank"}] * 4
    assert answer.degradations[0].startswith("buy: left out")


def test_all_stand_in_the_same_place_when_served() -> None:
    for treatment, code in ((bt.PositionFeature("place", served_as=3), 2), (bt.PositionFeature("place", 9, 4), 3)):
        made = design(bt.Rank(), bt.Show(), position=treatment)
        values = Path(bundle(made)).features({"user": "u"}, ["a", "b"], 0)
        assert values.row["place"].tolist() == [code, code]


def test_a_view_sells_only_what_it_keeps() -> None:
    answer = ask(ads_bundle.path(auction()), FOUR, user="u", view="dear")
    assert {item.id for item in answer.items} == {"a", "b", "c"}
    assert answer.degradations == ["auction: 3 of 4 slots sold"]


def test_a_click_is_charged_once_to_the_day_on_which_it_comes() -> None:
    spending = Spending(MemoryStore())
    path = ads_bundle.path(auction(slots=2), spending=spending)
    ask(path, FOUR, user="u", request_id="r-1")
    assert spending.spent(["adv-1", "adv-3"], NOON).tolist() == [0, 0]
    first, again = path.click("r-1", "c", NOON), path.click("r-1", "c", NOON + 5)
    assert first is not None
    assert again is not None
    assert (first.price, first.charged, again.price, again.charged) == (again.price, True, first.price, False)
    assert spending.spent(["adv-1", "adv-3"], NOON).tolist() == [0, first.price]
    assert path.click("r-1", "b", NOON) is None
    assert path.click("r-2", "c", NOON) is None
    other = path.click("r-1", "a", NOON + HOURS * HOUR)
    assert other is not None
    assert other.charged
    assert path.click("r-1", "a", NOON + (HOURS + 1) * HOUR) is None
    late = NOON + 12 * HOUR - 1
    ask(path, FOUR, late, user="u", request_id="r-3")
    assert path.click("r-3", "c", late + 1) is not None
    assert spending.spent(["adv-3"], NOON + DAY)[0] == spending.spent(["adv-3"], NOON)[0] > 0


def test_sales_that_are_too_old_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bottega.serving.spending._CLEAN_EVERY", 3)
    store = MemoryStore()
    spending = Spending(store)
    for hour in range(2 * HOURS):
        for number in range(3):
            spending.keep(f"r{hour}-{number}", [Sale("a", "adv", 1.0)], NOON + hour * HOUR)
    assert len(store._marks) == 3 * (HOURS + 1)


def test_a_click_is_charged_with_what_is_left_of_the_budget_and_only_where_clicks_pay() -> None:
    spending = Spending(MemoryStore())
    path = ads_bundle.path(auction(bid="bid", slots=1), spending=spending)
    for number in range(3):
        ask(path, [{"id": "a", "bid": 40.0}, {"id": "d", "bid": 13.0}], user="u", request_id=f"r{number}")
    clicks = [path.click(f"r{number}", "a", NOON) for number in range(3)]
    paid = [(one.price, one.free, one.charged) for one in clicks if one is not None]
    assert paid == [pytest.approx(one) for one in ((39.0, 0.0, True), (11.0, 28.0, True), (0.0, 39.0, True))]
    assert spending.spent(["adv-1"], NOON)[0] == 50.0
    assert ask(path, ["a"], user="u").degradations[0] == "auction: 1 of 1 over budget"
    shown = ads_bundle.path(auction(pays="impression"))
    ask(shown, FOUR, user="u", request_id="r")
    assert shown.click("r", "c", NOON) is None


def test_a_winner_that_cannot_pay_falls_out_and_the_next_one_moves_up() -> None:
    spending = Spending(MemoryStore())
    path = ads_bundle.path(auction(slots=2, pays="impression"), spending=spending)
    spending.charge(["adv-3"], [49.9], [50.0], NOON)  # c would pay 4.0 · 0.05 = 0.2
    answer = ask(path, FOUR, user="u")
    assert sold(answer) == [("a", 2.0), ("b", 0.75)]
    assert answer.degradations == ["auction: 1 of 4 over budget"]
    assert spending.spent(["adv-1", "adv-2", "adv-3"], NOON).tolist() == pytest.approx([0.2, 0.15, 49.9])
    row = record(b"{}", answer, 0, 0)
    assert row["trace"]["auction"]["charged"] == pytest.approx(0.35)
    assert np.isnan(served_bids(row)).tolist() == [False, False, True, False]


def test_bids_shrink_while_spending_runs_ahead_of_the_day() -> None:
    spending = Spending(MemoryStore())
    path = ads_bundle.path(bt.Pace(), auction(slots=4), spending=spending)
    free = ask(path, FOUR, user="u")
    spending.charge(["adv-3"], [40.0], [50.0], NOON)  # 80 % gone at half of the day: the bid counts 0.4
    paced = ask(path, FOUR, user="u")
    bids = [served_bids(record(b"{}", answer, 0, 0)).tolist() for answer in (free, paced)]
    assert bids[0] == [2.0, 1.0, 8.0, 0.5]
    assert bids[1] == pytest.approx([2.0, 1.0, 3.2, 0.5])
    evening = bt.Pace(traffic=[1.0] * 12 + [0.0] * 12)
    path = ads_bundle.path(evening, auction(slots=4), spending=spending)
    assert served_bids(record(b"{}", ask(path, FOUR, user="u"), 0, 0)).tolist() == bids[0]


def test_explaining_and_warming_cost_nobody_anything() -> None:
    for pays in ("click", "impression"):
        store = MemoryStore()
        path = ads_bundle.path(auction(pays=pays), spending=Spending(store))
        path.warm()
        told = path.explain(msgspec.convert({"candidates": FOUR, "user": "u"}, path.request_type))
        assert [one.id for one in told] == [item.id for item in ask(ads_bundle.path(auction()), FOUR, user="u").items]
        assert store.describe()["groups"] == []
        assert store._marks == {}


def test_the_log_keeps_bids_prices_slots_and_the_scores_of_each_ladder() -> None:
    path = Path(bundle(design(bt.Rank(), bt.Rank(ladder="buy"), auction(slots=2))))
    row = record(b'{"user":"u"}', ask(path, [*FOUR, "poor"], user="u"), 7, 1)
    assert [(item["slot"], item["price"]) for item in row["items"]] == [
        (1, pytest.approx(4.0)),
        (2, pytest.approx(2.0)),
    ]
    assert row["trace"]["candidates"] == [*FOUR, "poor"]
    np.testing.assert_array_equal(served_bids(row), [2.0, 1.0, 8.0, 0.5, np.nan])
    for place, ladder in enumerate(("rank", "buy")):
        truth = np.float32([ADS[name][place] for name in (*FOUR, "poor")])
        np.testing.assert_array_equal(served_scores(row, ladder), truth)


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([auction(bid="bit")], "Auction.bid"),
        ([auction(bid="ad_advertiser")], "no number 'ad_advertiser'"),
        ([auction(budget="ad_budgets")], "did you mean 'ad_budget'?"),
        ([auction(advertiser="advertiser")], "Auction.advertiser"),
        ([bt.Pace(), auction(budget=None)], "Pace"),
        ([auction(), bt.Show()], "Auction\\(\\) as the last"),
        ([bt.Show(), auction()], "Auction\\(\\) as the last"),
    ],
)
def test_an_auction_that_cannot_be_held_is_refused_when_it_loads(stages: list[Any], said: str) -> None:
    with pytest.raises(BuildError, match=said):
        ads_bundle.path(*stages)


def test_scores_that_are_no_probabilities_are_refused() -> None:
    both = [bt.Rank(), bt.Rank(ladder="buy")]
    with pytest.raises(BuildError, match=r"'buy'.*orders"):
        Path(bundle(design(bt.Rank(ladder="buy"), auction(click="buy")), rung="BoostedTrees"))
    Path(bundle(design(*both, auction(conversion="buy"))))


BIDS = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0, -1, 1e308, 5e-324, 2.0])
GIVEN = st.lists(
    st.sampled_from([*ADS, "new"])
    | st.fixed_dictionaries({"id": st.sampled_from([*ADS, "new", 5])}, optional={"bid": BIDS, "budget": BIDS}),
    max_size=12,
)


@given(GIVEN, st.none() | st.integers(1, 9), st.sampled_from(["click", "impression"]), st.integers(0, 4 * DAY))
def test_any_candidates_have_a_defined_answer(given_: Any, k: int | None, pays: str, at: int) -> None:
    path = ads_bundle.path(bt.Pace(strength=3), auction(bid="bid", budget="budget", reserve=0.1, pays=pays))
    answer = ask(path, given_, at, user="u", k=k)
    json.loads(msgspec.json.encode(answer))
    assert [item.slot for item in answer.items] == list(range(1, len(answer.items) + 1))
    first = {}
    for one in given_:
        said = one if isinstance(one, dict) else {"id": one}
        first.setdefault(str(said["id"]), said)
    for item in answer.items:
        assert 0.1 <= float(item.price or 0) <= first[item.id]["bid"]
    named = any(told.endswith("slots sold") or told == "auction: no ads" for told in answer.degradations)
    assert named == (len(answer.items) < min(k or 4, 4))
