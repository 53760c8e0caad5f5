"""Spending: a day of auctions against a naive bookkeeper, and many workers that empty one budget at once."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import threading
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path as Folder
from typing import Any
from urllib.parse import urlsplit

import ads_bundle
import msgspec
import numpy as np
import pytest
from ads_bundle import auction
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from service_stand_in import release

import bottega as bt
from bottega.errors import ServeError
from bottega.features.stores.memory import MemoryStore
from bottega.serving.auction import DAY, HOUR
from bottega.serving.decision_log import read_log
from bottega.serving.service import Settings
from bottega.serving.spending import Clicked, Sale, Spending, affordable
from bottega.serving.workers import running

MIDNIGHT = 20_000 * DAY
BUDGET = 12.0  # of each advertiser in ads_bundle.load_ads
ADVERTISERS = ["adv-0", "adv-1", "adv-2"]


class Bookkeeper:
    """Holds the same auctions with dictionaries and loops."""

    def __init__(self, ads: dict[str, Any], slots: int, reserve: float, pays: str) -> None:
        self.ads, self.slots, self.reserve, self.pays = ads, slots, reserve, pays
        self.spent: dict[str, float] = {}

    def sell(self, asked: list[str], passed: float) -> list[tuple[str, float]]:
        refused: set[str] = set()
        while True:
            bids = {}
            for name in asked:
                _, _, bid, budget, who = self.ads[name]
                gone = self.spent.get(who, 0.0) / budget
                bid *= min(1.0, (1 - gone) / (1 - passed)) if gone < 1 else 0.0
                if name not in refused and gone < 1 and bid >= self.reserve:
                    bids[name] = bid
            score = {name: bids[name] * self.chance(name) for name in bids}
            order = sorted(bids, key=lambda name: (-score[name], name))
            sold = []
            for name, following in zip(order, [*order[1:], None], strict=False):
                least = 0.0 if following is None else score[following] / self.chance(name)
                sold.append((name, min(max(least, self.reserve), bids[name])))
            sold = sold[: self.slots]
            poor = self.pay(sold) if self.pays == "impression" else set()
            if not poor:
                return sold
            refused |= poor

    def pay(self, sold: list[tuple[str, float]]) -> set[str]:
        after, poor = dict(self.spent), set()
        for name, price in sold:
            who, cost = self.ads[name][4], price * self.chance(name)
            if after.get(who, 0.0) + cost > self.ads[name][3]:
                poor.add(name)
            else:
                after[who] = after.get(who, 0.0) + cost
        if not poor:
            self.spent = after
        return poor

    def click(self, name: str, price: float) -> float:
        who = self.ads[name][4]
        paid = max(0.0, min(price, self.ads[name][3] - self.spent.get(who, 0.0)))
        self.spent[who] = self.spent.get(who, 0.0) + paid
        return paid

    def chance(self, name: str) -> float:
        return float(np.float32(self.ads[name][0]))


@pytest.mark.parametrize("pays", ["click", "impression"])
def test_a_day_of_auctions_is_the_one_of_a_naive_bookkeeper(pays: Any) -> None:
    rng = np.random.default_rng(3)
    ads = {
        f"ad-{n:02}": (rng.uniform(0.01, 0.5), 0.1, rng.uniform(0.2, 3.0), rng.uniform(2, 8), f"adv-{n % 5}")
        for n in range(15)
    }
    spending = Spending(MemoryStore())
    path = ads_bundle.path(bt.Pace(), auction(slots=3, reserve=0.3, pays=pays), spending=spending, ads=ads)
    books = Bookkeeper(ads, 3, 0.3, pays)
    left_out = 0
    for number in range(400):
        at = MIDNIGHT + number * (DAY // 400)
        asked = rng.permutation(list(ads))[: rng.integers(1, 16)].tolist()
        answer = path.answer(path.request_type(user="u", candidates=asked, request_id=f"r{number}"), at)
        right = books.sell(asked, number / 400)
        assert [item.id for item in answer.items] == [name for name, _ in right]
        assert [item.price for item in answer.items] == pytest.approx([price for _, price in right], rel=1e-9)
        left_out += any("over budget" in told for told in answer.degradations)
        if pays == "click":
            for name, price in right:
                if rng.random() < ads[name][0]:
                    told = path.click(f"r{number}", name, at)
                    assert told is not None
                    assert told.charged
                    assert told.price == pytest.approx(books.click(name, price), rel=1e-9)
                    assert told.price + told.free == pytest.approx(price, rel=1e-9)
        names = list(books.spent)
        assert spending.spent(names, at).tolist() == pytest.approx([books.spent[name] for name in names], rel=1e-9)
    assert left_out > 20  # budgets ran out on the way


def _answer_many(folder: Folder, number: int, begin: Any, told: Any) -> None:
    for pays in ("click", "impression"):
        path = ads_bundle.load_ads(Folder(f"{pays}-1"), "", folder / pays).path
        begin.wait(60)
        charged = 0.0
        for turn in range(150):
            name = f"r{number}-{turn}"
            request = path.request_type(user="u", candidates=[f"ad-{n}" for n in range(9)], request_id=name)
            answer = path.answer(request, MIDNIGHT)  # type: ignore[call-arg]
            if pays == "impression":
                charged += answer.trace.auction.charged  # type: ignore[attr-defined]
                continue
            for item in answer.items:
                click = path.click(name, item.id, MIDNIGHT)  # type: ignore[call-arg]
                assert click is not None
                assert click.charged
                charged += click.price
                assert click.price + click.free == pytest.approx(item.price)
        told.put((pays, charged, answer.degradations))


def test_processes_that_empty_one_budget_keep_to_it(tmp_path: Folder) -> None:
    context = multiprocessing.get_context("spawn")
    begin, told = context.Barrier(3), context.Queue()
    workers = [context.Process(target=_answer_many, args=(tmp_path, number, begin, told)) for number in range(3)]
    for worker in workers:
        worker.start()
    found = [told.get(timeout=120) for _ in range(6)]
    for worker in workers:
        worker.join(60)
    most = 2.0  # more than the highest of an impression's charges
    for pays in ("click", "impression"):
        spent = Spending.open(tmp_path / pays).spent(ADVERTISERS, MIDNIGHT)
        assert sum(one[1] for one in found if one[0] == pays) == pytest.approx(spent.sum())  # each amount counts once
        assert (spent <= BUDGET).all()
        assert (spent > BUDGET - (most if pays == "impression" else 1e-9)).all()
    assert all("auction: 9 of 9 over budget" in degradations for _, _, degradations in found)


def _click_all(folder: Folder, sales: Sequence[tuple[str, str]], begin: Any, told: Any) -> None:
    spending = Spending.open(folder)
    begin.wait(60)
    for request_id, item in sales:
        found = spending.click(request_id, item, MIDNIGHT)
        assert found is not None
        told.put((request_id, item, found.price, found.free, found.charged))


def _old_sales(folder: Folder) -> dict[tuple[str, str], float]:
    """Keep 300 sales of three advertisers, 10 of whose budgets they would spend; gives the price of each."""
    spending, prices = Spending.open(folder), {}
    for number in range(100):
        sold = [Sale(f"ad-{n}", name, 0.7 + n / 3 + number / 1000, BUDGET) for n, name in enumerate(ADVERTISERS)]
        spending.keep(f"r{number}", sold, MIDNIGHT)
        prices.update({(f"r{number}", sale.id): sale.price for sale in sold})
    spending.store.close()
    return prices


def test_processes_that_click_on_old_sales_at_once_never_pass_a_budget(tmp_path: Folder) -> None:
    prices = _old_sales(tmp_path / "spending")
    context = multiprocessing.get_context("spawn")
    begin, told = context.Barrier(4), context.Queue()
    order = np.random.default_rng(0)
    workers = []
    for _ in range(4):  # all click on everything, each in an order of its own
        mixed = [list(prices)[place] for place in order.permutation(len(prices))]
        workers.append(context.Process(target=_click_all, args=(tmp_path / "spending", mixed, begin, told)))
    for worker in workers:
        worker.start()
    found = [told.get(timeout=120) for _ in range(4 * len(prices))]
    for worker in workers:
        worker.join(60)
    spent = Spending.open(tmp_path / "spending").spent(ADVERTISERS, MIDNIGHT)
    assert (spent <= BUDGET).all()
    assert spent == pytest.approx(BUDGET, rel=1e-12)
    once = [one for one in found if one[4]]
    assert sorted(one[:2] for one in once) == sorted(prices)  # each sale is charged by one of the four
    paid = {one[:2]: one[2] for one in once}
    assert sum(paid.values()) == pytest.approx(spent.sum())
    for request_id, item, price, free, _ in found:  # and the others are told what it paid
        assert price == paid[request_id, item]
        assert price + free == pytest.approx(prices[request_id, item])
    part = [one for one in once if one[2] and one[3]]
    assert len(part) <= len(ADVERTISERS)  # the one click on which a budget ends is paid in part


def test_who_is_killed_while_it_clicks_has_charged_each_sale_once_or_not_at_all(tmp_path: Folder) -> None:
    prices = _old_sales(tmp_path / "spending")
    context = multiprocessing.get_context("spawn")
    for kill in range(5):
        begin, told = context.Barrier(2), context.Queue()
        worker = context.Process(target=_click_all, args=(tmp_path / "spending", list(prices), begin, told))
        worker.start()
        begin.wait(60)
        for _ in range(1 + 11 * kill):
            told.get(timeout=60)
        worker.kill()
        worker.join(60)
    spending = Spending.open(tmp_path / "spending")
    between = spending.spent(ADVERTISERS, MIDNIGHT)
    assert 0 < between.sum() <= 3 * BUDGET
    again = {sale: spending.click(*sale, MIDNIGHT) for sale in prices}
    spent = spending.spent(ADVERTISERS, MIDNIGHT)
    assert (spent <= BUDGET).all()
    assert sum(one.price for one in again.values() if one) == pytest.approx(spent.sum())
    assert sum(one.price for one in again.values() if one and not one.charged) == pytest.approx(between.sum())


@given(
    st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=20),
    st.floats(1e-6, 1e6, allow_subnormal=False),
)
def test_what_is_affordable_ends_at_the_budget(prices: list[float], budget: float) -> None:
    spent = 0.0
    for price in prices:
        paid = affordable(price, budget, spent)
        assert 0 <= paid <= price
        assert paid == pytest.approx(
            float(min(Fraction(price), Fraction(budget) - Fraction(spent))), abs=1e-15 * budget
        )
        spent += paid
        assert spent <= budget


def test_a_click_of_the_next_day_is_charged_to_that_day_under_the_budget_it_was_sold_under() -> None:
    spending = Spending(MemoryStore())
    late = MIDNIGHT + DAY - HOUR
    spending.charge(["adv"], [3.0], [3.0], late)  # nothing is left of the day
    spending.keep("r1", [Sale("a", "adv", 2.0, 3.0), Sale("b", "adv", 2.0, 3.0), Sale("c", "adv", 2.0)], late)
    assert spending.click("r1", "a", late) == Clicked("r1", "a", 0.0, True, 2.0)
    assert spending.click("r1", "a", late + HOUR) == Clicked("r1", "a", 0.0, False, 2.0)
    assert spending.click("r1", "b", late + HOUR) == Clicked("r1", "b", 2.0, True, 0.0)
    assert spending.click("r1", "c", late + HOUR) == Clicked("r1", "c", 2.0, True, 0.0)  # sold without a budget
    assert spending.spent(["adv"], late).tolist() == [3.0]
    assert spending.spent(["adv"], late + HOUR).tolist() == [4.0]


class Client:
    """One connection of a thread."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 0, timeout=20)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request("POST", path, data, {"content-type": "application/json"})
        got = self.connection.getresponse()
        return got.status, json.loads(got.read())

    def get(self, path: str) -> bytes:
        self.connection.request("GET", path)
        return self.connection.getresponse().read()


def _ask(client: Client) -> dict[str, Any]:
    status, answer = client.post("/rank", {"user": "u", "candidates": [f"ad-{n}" for n in range(9)]})
    assert status == 200, answer
    found: dict[str, Any] = answer
    return found


def _hammer(url: str, charged: list[float], given: list[float]) -> None:
    client = Client(url)
    for _ in range(40):
        answer = _ask(client)
        for item in answer["items"]:
            for again in (False, True):
                status, told = client.post("/clicks", {"request_id": answer["request_id"], "id": item["id"]})
                assert (status, told["charged"]) == (200, not again)
                assert told["price"] + told["free"] == pytest.approx(item["price"])
            charged.append(told["price"])
            given.append(told["free"])
    client.connection.close()


def _counted(client: Client) -> dict[tuple[str, str], float]:
    families = text_string_to_metric_families(client.get("/metrics").decode())
    return {
        (sample.name, sample.labels.get("outcome", "")): sample.value for each in families for sample in each.samples
    }


def test_the_workers_of_a_service_share_the_accounts_and_a_release_keeps_them(tmp_path: Folder) -> None:
    for build in ("impression-1", "click-1"):
        (tmp_path / "builds" / build).mkdir(parents=True)
    release(tmp_path, "impression-1")
    settings = Settings(tmp_path, workers=2, port=0, loader="ads_bundle:load_ads", stream="none", poll_s=0.05)
    charged: list[float] = []
    given: list[float] = []
    with running(settings) as url:
        client = Client(url)
        for _ in range(5):
            assert len(_ask(client)["items"]) == 2
        status, told = client.post("/clicks", {"request_id": "never", "id": 5})
        assert (status, told["error"]["where"]) == (404, "request_id")
        assert "'5' in 'never'" in told["error"]["found"]
        release(tmp_path, "click-1")
        while (swapped := _counted(client)).get(("bottega_swaps_total", "")) != 2:
            time.sleep(0.05)
        assert 0 < swapped["bottega_revenue_total", ""] < BUDGET
        threads = [threading.Thread(target=_hammer, args=(url, charged, given)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counted = _counted(client)
        described = json.loads(client.get("/openapi.json"))
        page = client.get("/docs").decode()
        client.connection.close()
    lines = list(read_log(settings.log_folder))
    accounts = Spending.open(settings.accounts)
    days = {line["time"] // DAY for line in lines}
    spent = sum(accounts.spent(ADVERTISERS, day * DAY) for day in days)
    shown = sum(line["trace"]["auction"]["charged"] for line in lines)
    assert shown == pytest.approx(swapped["bottega_revenue_total", ""])
    assert counted["bottega_revenue_total", ""] == pytest.approx(shown + sum(charged))
    assert spent.sum() == pytest.approx(shown + sum(charged))
    assert counted["bottega_sales_total", ""] == sum(len(line["items"]) for line in lines)
    assert 0 < counted["bottega_given_free_total", ""] == pytest.approx(sum(given))
    clicks = [counted["bottega_clicks_total", outcome] for outcome in ("charged", "again", "unknown")]
    assert clicks == [len(charged), len(charged), 1]
    assert (spent <= len(days) * BUDGET).all()
    assert any("auction: 9 of 9 over budget" in line["degradations"] for line in lines)
    assert all(item["slot"] and "price" in item for line in lines for item in line["items"])
    click = described["paths"]["/clicks"]["post"]
    assert click["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Click"}
    schemas = described["components"]["schemas"]
    assert set(schemas["Candidate"]["properties"]) == {"id", "bid", "budget"}
    assert {"price", "slot"} <= set(schemas["Item"]["properties"])
    assert "/clicks" in page
    assert "&quot;bid&quot;: 1.5" in page


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        (b"{", 400, "body"),
        (b"[]", 422, "body"),
        (b"{}", 422, "request_id"),
        (b'{"request_id":"r"}', 422, "id"),
        (b'{"request_id":7,"id":"a"}', 422, "request_id"),
        (b'{"request_id":"r","id":null}', 422, "id"),
        (b'{"request_id":"r","item":"a","id":"a"}', 422, "item"),
    ],
)
def test_a_click_that_is_none_is_refused_by_its_field(body: bytes, status: int, where: str) -> None:
    from bottega.serving.clicks import read_click
    from bottega.serving.refusals import RefusalError

    with pytest.raises(RefusalError) as caught:
        read_click(body)
    assert (caught.value.status, caught.value.fault.where) == (status, where)


def test_accounts_outlive_a_restart_and_damaged_ones_are_refused(tmp_path: Folder) -> None:
    spending = Spending.open(tmp_path / "spending")
    spending.charge(["adv"], [2.5], [9.0], MIDNIGHT)
    spending.store.close()
    again = Spending.open(tmp_path / "spending")
    assert again.spent(["adv", "new"], MIDNIGHT + 23 * HOUR).tolist() == [2.5, 0.0]
    assert again.spent(["adv"], MIDNIGHT + DAY).tolist() == [0.0]
    again.store.close()
    (tmp_path / "spending" / "data.mdb").write_bytes(b"x" * 5000)
    with pytest.raises(ServeError, match="spending"):
        Spending.open(tmp_path / "spending")


def test_a_request_under_an_id_that_cannot_be_clicked_is_refused() -> None:
    path = ads_bundle.path(auction())
    for bad in ("two words", "x" * 129, "é"):
        request = msgspec.convert({"candidates": ["a"], "request_id": bad}, path.request_type)
        with pytest.raises(Exception, match="request_id"):
            path.answer(request)
