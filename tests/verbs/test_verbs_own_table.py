"""A table of one's own, a log of clicks, a warehouse: the same command builds them all."""

from __future__ import annotations

import csv
import json
import math
import os
import random
import signal
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import duckdb
import pyarrow.parquet as pq
import pytest
from tiny_shop import Built, Command, tiny_design

import bottega as bt
from bottega.worlds import shop

LOANS = '''
"""Which book does this reader borrow next?"""

import bottega as bt

design = bt.Design(
    name="library",
    scope=bt.Scope(question="Which ten books do we show this reader?", limits=bt.Limits(p99_ms=50)),
    data=bt.Data(
        tables=[bt.Table("loans", "loans.csv", time="lent_at")],
        examples=bt.FromPositives("loans", request=["reader"], candidate="book", horizon="14d"),
        labels=[bt.Label("borrowed", matures_after="14d")],
        split=bt.TimeSplit(test="14d"),
    ),
    features=[
        bt.Window("loans", by=["reader", "book"], values={"times": "count(*)", "last": "last(lent_at)"}),
        bt.Window("loans", by="book", over=["14d", "all"], values={"loans": "count(*)"}),
        bt.Expression({"days_since": "(epoch(request_time) - epoch(reader_book_last_all)) / 86400"}),
    ],
    models={
        "retrieve": [bt.Popularity(span="14d", k=20, unseen=5), bt.PersonalHistory(half_life="30d", k=20)],
        "rank": [bt.Logistic(), bt.BoostedTrees(objective="lambdarank", trees=20, leaves=7)],
    },
    evaluation=bt.Evaluation(
        primary="ndcg@10",
        metrics=["recall@10"],
        goals=[bt.Goal("ndcg@10", above="Popularity")],
    ),
    serving=bt.Serving(path=[bt.Retrieve(k=30), bt.Rank(), bt.Show(k=10)], workers=1),
)
'''

CLICKS = """
import bottega as bt

design = bt.Design(
    name="clicks",
    scope=bt.Scope(question="Which advertisement does this visitor click?"),
    data=bt.Data(
        tables=[bt.Table("clicks", "clicks.csv", time="shown_at")],
        examples=bt.Logged("clicks", request=["user", "device", "age", "signed_in", "since"], candidate="ad"),
        labels=[bt.Label("clicked", matures_after="1h")],
        split=bt.TimeSplit(validate="4d", test="4d"),
        sampling=bt.Downsample(keep_negatives=0.5),
    ),
    features=[
        bt.Window("clicks", by="ad", over=["1d", "all"], values={"shows": "count(*)", "rate": "avg(clicked)"}),
        bt.Window("clicks", by=["user", "ad"], values={"shows": "count(*)", "clicks": "sum(clicked)"}),
        bt.Expression({
            "hour": "extract(hour from request_time)",
            "decade": "floor(age / 10)",
            "kind": "lower(device)",
            "days_known": "(epoch(request_time) - epoch(since)) / 86400",
        }),
        bt.Cross("device", "ad"),
    ],
    models={"rank": [bt.HistoricalRate(by="ad"), bt.Logistic(), bt.BoostedTrees(trees=20, leaves=7)]},
    evaluation=bt.Evaluation(
        primary="normalized_entropy",
        metrics=["roc_auc", "ndcg@3", "predicted_over_observed"],
        slices=["device", "cold"],
        goals=[bt.Goal("predicted_over_observed", within=(0.7, 1.4)), bt.Goal("roc_auc", above="HistoricalRate")],
    ),
    serving=bt.Serving(path=[bt.Candidates(), bt.Rank(), bt.Show(k=3)], workers=1),
)
"""


def write_loans(path: Path) -> None:
    """Readers with a taste each, who read some books again."""
    draw = random.Random(4)
    books = [f"book {place}" for place in range(60)]
    tastes = {f"r{place}": draw.sample(books, 8) for place in range(80)}
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["reader", "book", "lent_at"])
        for hour in range(4, 150 * 24, 2):
            reader = draw.choice(sorted(tastes))
            book = draw.choice(tastes[reader] if draw.random() < 0.8 else books)
            rows.writerow([reader, book, (datetime(2024, 1, 1) + timedelta(hours=hour)).isoformat()])


def write_clicks(path: Path) -> None:
    """Four advertisements a request, with a rate that hangs on the ad, the visitor and the device."""
    draw = random.Random(1)
    ads = {f"ad{place}": draw.gauss(-1.5, 0.8) for place in range(25)}
    users = [f"u{place}" for place in range(60)]
    liked = {(user, ad): draw.gauss(0, 1) for user in users for ad in ads}
    now = datetime(2024, 1, 1)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["shown_at", "user", "device", "age", "signed_in", "since", "ad", "clicked"])
        for _ in range(2500):
            now += timedelta(minutes=draw.expovariate(1 / 14))
            user, device = draw.choice(users), draw.choice(["Phone", "Desk"])
            age, signed, since = 20 + int(user[1:]) % 50, draw.choice(["true", "false"]), "2023-05-06 07:08:09"
            for ad in draw.sample(sorted(ads), 4):
                chance = 1 / (1 + math.exp(-(ads[ad] + liked[user, ad] + 0.4 * (device == "Phone"))))
                clicked = int(draw.random() < chance)
                rows.writerow([now.isoformat(" ", "seconds"), user, device, age, signed, since, ad, clicked])


def test_a_csv_of_ones_own_from_a_fresh_folder(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    write_loans(folder / "loans.csv")
    (folder / "library.py").write_text(LOANS)
    said = Command(
        "run", folder / "library.py", "--workspace", tmp_path / "w", "--json", folder=tmp_path / "said"
    ).wait()
    assert said.code == 0, said.err
    card = json.loads(said.out)
    assert card["data"]["offered"] == card["data"]["accepted"] == 1798
    scores = {item["name"]: item["metrics"]["ndcg@10"]["value"] for item in card["models"]}
    assert scores["PersonalHistory"] > 2 * scores["Popularity"]  # readers read what they like again, by design
    assert scores[card["champions"]["rank"]] > 2 * scores["Popularity"]
    assert [goal["met"] for goal in card["goals"]] == [True]
    assert card["release"]["released"]
    assert (card["parity"]["mismatches"], card["serving"]["errors"]) == (0, 0)
    report = (tmp_path / "w" / "library" / "report.md").read_text()
    assert "Which ten books do we show this reader?" in report


def test_a_log_of_clicks_is_built_served_and_explained(tmp_path: Path) -> None:
    write_clicks(tmp_path / "clicks.csv")
    design = tmp_path / "clicks.py"
    design.write_text(CLICKS)
    place = (design, "--workspace", tmp_path / "w")
    said = Command("run", *place, "--json", folder=tmp_path / "said").wait()
    assert said.code == 0, said.err
    assert "Warning" not in said.err
    card = json.loads(said.out)
    assert card["data"]["offered"] == card["data"]["accepted"] == 10_000
    scores = {item["name"]: item["metrics"] for item in card["models"]}
    assert set(scores) == {"HistoricalRate", "Logistic", "BoostedTrees"}
    for metrics in scores.values():  # the draw of negatives is undone: probabilities stay probabilities
        assert 0.8 < metrics["predicted_over_observed"]["value"] < 1.25
        assert metrics["normalized_entropy"]["value"] < 1
    assert card["champions"]["rank"] in ("Logistic", "BoostedTrees")
    assert [goal["met"] for goal in card["goals"]] == [True, True]
    assert card["release"]["released"]
    assert card["parity"]["compared"] >= 1000
    assert (card["parity"]["mismatches"], card["serving"]["errors"], card["serving"]["degraded"]) == (0, 0, 0)
    assert [(each["column"], each["pairs"]) for each in card["crosses"]] == [("device_x_ad", 2 * 25)]
    shown = next(row for row in card["funnel"] if row["stage"] == "cut")
    assert shown["candidates"] == 4

    service = Command("serve", *place, "--port", 0, "--json", folder=tmp_path / "service")
    try:
        while not service.said()[0].endswith("\n"):
            assert not service.ended(), service.said()
            time.sleep(0.02)
        url = json.loads(service.said()[0])["url"]
        asked = {"user": "u3", "device": "Phone", "age": 23, "signed_in": "true", "since": "2023-05-06T07:08:09"}
        request = {**asked, "candidates": ["ad1", "ad2", "ad3", "new"], "k": 4}
        answer = post(url, request)
        assert {item["id"] for item in answer["items"]} == {"ad1", "ad2", "ad3", "new"}
        chances = [item["score"] for item in answer["items"]]
        assert chances == sorted(chances, reverse=True)
        assert all(0 < chance < 1 for chance in chances)
        loaded = Command(
            "load", *place, "--url", url, "--rate", 100, "--requests", 200, "--json", folder=tmp_path / "load"
        )
        result = loaded.wait()
        assert result.code == 0, result.err
        assert json.loads(result.out)["failed"] == 0
    finally:
        os.kill(service.pid, signal.SIGINT)
        service.wait()
    explained = Command(
        "explain", design, answer["request_id"], *place[1:], "--json", folder=tmp_path / "explain"
    ).wait()
    assert explained.code == 0, explained.err
    first = json.loads(explained.out)[0]
    assert first["id"] == answer["items"][0]["id"]
    assert first["features"]["kind"] == "phone"
    assert first["features"]["decade"] == 2


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = Request(f"{url}/rank", json.dumps(body).encode(), {"content-type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


@pytest.mark.usefixtures("quick")
def test_a_warehouse_gives_the_same_scorecard_as_files(built: Built, tmp_path: Path) -> None:
    source = built.data / "online_retail" / "online_retail.parquet"
    with duckdb.connect(str(tmp_path / "shop.db")) as base:
        base.execute(f"create table orders as select * from read_parquet('{source}')")
    found = bt.run(tiny_design(), warehouse=f"duckdb://{tmp_path / 'shop.db'}", workspace=tmp_path / "w").scorecard
    for part in ("data", "comparisons", "champions", "funnel", "goals", "parity"):
        assert found[part] == built.card[part], part
    for ours, theirs in zip(found["models"], built.card["models"], strict=True):
        assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}
    written = [folder / "tiny" / "predictions.parquet" for folder in (tmp_path / "w", built.workspace)]
    assert pq.read_table(written[0]).equals(pq.read_table(written[1]))


@pytest.mark.usefixtures("quick")
def test_without_data_the_world_stands_in_and_says_how_far_one_could_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BOTTEGA_DATA", raising=False)
    monkeypatch.setattr(shop, "world", lambda seed: shop.ShopWorld(customers=200, products=120, seed=seed))
    card = bt.run(tiny_design(), workspace=tmp_path / "w", seed=3).scorecard
    assert card["source"] == {"kind": "world", "text": "the shop world, seed 3"}
    best = card["ceiling"]["metrics"]["ndcg@20"]["value"]
    assert all(item["metrics"]["ndcg@20"]["value"] < best for item in card["models"])
    steps = [step["name"] for step in card["steps"]]
    assert steps[0] == "world-shop"
    assert "ceiling" in steps
    goal = bt.Evaluation(primary="ndcg@20", metrics=["recall@20", "mrr"], goals=[bt.Goal("mrr", at_least=0.01)])
    again = bt.run(tiny_design(evaluation=goal), workspace=tmp_path / "w", seed=3).scorecard
    assert {step["name"] for step in again["steps"] if not step["cached"]} == {"evaluate", "bundle", "measure"}
