"""A feed of one's own: each reading a request at its own time, built, judged part by part, served, and explained."""

from __future__ import annotations

import csv
import json
import math
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pyarrow.parquet as pq
import pytest
from tiny_shop import Command, Said

DESIGN = '''
"""What does this person read next?"""

import bottega as bt

design = bt.Design(
    name="paper",
    scope=bt.Scope(question="What does this person read next?", limits=bt.Limits(p99_ms=200)),
    data=bt.Data(
        tables=[
            bt.Table("reads", "reads.csv", time="read_at", time_format="%s"),
            bt.Table("articles", "articles.csv", key="article", time="published_at", time_format="%s"),
        ],
        examples=bt.FromPositives(
            "reads",
            request=["person", "tongue"],
            candidate="article",
            horizon="0s",
            requests=bt.Each(warm_up="3d", refresh="10d"),
            candidates=bt.Retrieved(negatives=20),
            catalogue="articles",
            newcomers=True,
        ),
        labels=[bt.Label("read")],
        split=bt.TimeSplit(test="10d", validate="8d"),
    ),
    features=[
        bt.Window("reads", by="article", over=["1d", "all"], values={"reads": "count(*)", "first": "min(read_at)"}),
        bt.Window("reads", by=["person", "article"], values={"reads": "count(*)"}),
        bt.Lookup("articles", by="article", columns=["language", "topic", "published_at"]),
        bt.Expression({"age": "(epoch(request_time) - epoch(article_published_at)) / 3600"}),
        bt.Cross("person", "article_topic", buckets=256),
    ],
    models={
        "retrieve": [
            bt.Trending(half_life="1d", k=0, unseen=25),
            bt.Newest(k=0, unseen=15),
            bt.CoPurchase(k=0, unseen=10),
        ],
        "rank": [bt.HistoricalRate(by="article"), bt.BoostedTrees(objective="lambdarank", trees=25, leaves=7)],
    },
    evaluation=bt.Evaluation(
        primary="ndcg@5",
        metrics=["recall@5"],
        goals=[bt.Goal("recall@5", at_least=0.2)],
    ),
    serving=bt.Serving(
        path=[
            bt.Retrieve(k=30, merge="rrf", quotas={"Newest": 3}, budget_ms=5000,
                        where="article_language = tongue and coalesce(person_article_reads_all, 0) = 0"),
            bt.Rank(),
            bt.Show(k=5, at_most=40),
        ],
        workers=1,
    ),
)
'''
START, DAY = 1_600_041_600, 86_400
LANGUAGES, TOPICS = ("de", "en", "it"), ("sport", "art", "city")


def write_tables(folder: Path) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """40 days in which articles come, and are read by those of their language; the newest ones and one topic most."""
    draw = random.Random(11)
    articles = {
        f"a{place:03}": {
            "article": f"a{place:03}",
            "published_at": START + int(40 * DAY * place / 600),
            "language": draw.choice(LANGUAGES) if place % 15 else "",
            "topic": draw.choice(TOPICS),
        }
        for place in range(600)
    }
    reads: list[dict[str, Any]] = []
    seen: set[tuple[str, str]] = set()
    for at in sorted(draw.randrange(START, START + 40 * DAY) for _ in range(1500)):
        person = draw.randrange(2 + (at - START) // DAY)  # more people come every day
        tongue, taste = LANGUAGES[person % 3], TOPICS[person % 2]
        there = [row for row in articles.values() if row["published_at"] < at and row["language"] == tongue]
        there = [row for row in there if (f"p{person}", row["article"]) not in seen]
        if there:
            weights = [
                math.exp(-(at - row["published_at"]) / (3 * DAY)) * (4 if row["topic"] == taste else 1) + 1e-9
                for row in there
            ]
            article = draw.choices(there, weights)[0]["article"]
            seen.add((f"p{person}", article))
            reads.append({"person": f"p{person}", "tongue": tongue, "article": article, "read_at": at})
    for name, rows in (("reads", reads), ("articles", list(articles.values()))):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return reads, articles


@dataclass(frozen=True)
class Served:
    """A built and served feed."""

    home: Path
    url: str
    card: dict[str, Any]
    reads: list[dict[str, Any]]
    articles: dict[str, dict[str, Any]]

    def ask(self, **body: Any) -> dict[str, Any]:
        request = Request(f"{self.url}/rank", json.dumps(body).encode(), {"content-type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def command(self, *typed: object) -> Said:
        return Command(*typed, "--workspace", self.home / "w", "--json", folder=self.home / "said").wait()

    @property
    def predictions(self) -> list[dict[str, Any]]:
        path = next((self.home / "w").rglob("builds/*/predictions.parquet"))
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows

    def fresh(self, person: str, tongue: str | None) -> set[str]:
        """What a person may find: in their language, and not yet read."""
        read = {row["article"] for row in self.reads if row["person"] == person}
        return {name for name, row in self.articles.items() if row["language"] == tongue and name not in read}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("feed")
    reads, articles = write_tables(home)
    design = home / "paper.py"
    design.write_text(DESIGN)
    place = (design, "--workspace", home / "w")
    said = Command("run", *place, "--json", folder=home / "said").wait()
    assert said.code == 0, said.err
    service = Command("serve", *place, "--port", 0, "--json", folder=home / "service")
    try:
        while not service.said()[0].endswith("\n"):
            assert not service.ended(), service.said()
            time.sleep(0.02)
        yield Served(home, json.loads(service.said()[0])["url"], json.loads(said.out), reads, articles)
    finally:
        os.kill(service.pid, signal.SIGINT)
        service.wait()


def test_the_scorecard(served: Served) -> None:
    card = served.card
    assert card["release"]["released"], card["release"]
    assert (card["parity"]["mismatches"], card["serving"]["errors"]) == (0, 0)
    scores = {item["name"]: item["metrics"]["ndcg@5"]["value"] for item in card["models"]}
    assert max(scores, key=lambda name: scores[name]) == "BoostedTrees"  # the topic is planted


def lists(rows: list[dict[str, Any]]) -> dict[Any, list[dict[str, Any]]]:
    """Part the predictions by request."""
    found: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["person"], row["request_time"]), []).append(row)
    return found


def ndcg(shown: list[dict[str, Any]], relevant: float) -> float:
    gained = sum(row["label"] / math.log2(place + 2) for place, row in enumerate(shown[:5]))
    return float(gained) / sum(1 / math.log2(place + 2) for place in range(min(5, int(relevant))))


def test_the_test_is_every_reading_of_the_last_days(served: Served) -> None:
    """Every first reading of the test is a request, found or not, and its candidates could have been served."""
    found = lists(served.predictions)
    end = max(row["read_at"] for row in served.reads)
    test = -(-(end + 1) // DAY) * DAY - 10 * DAY
    asked = {(row["person"], row["read_at"]): row["article"] for row in served.reads if row["read_at"] >= test}
    assert {(person, int(at.timestamp())) for person, at in found} == set(asked)
    for (person, at), rows in found.items():
        moment = int(at.timestamp())
        assert {row["article"] for row in rows if row["label"]} == {
            row["article"] for row in served.reads if row["person"] == person and row["read_at"] == moment
        }
        read = {row["article"] for row in served.reads if row["person"] == person and row["read_at"] < moment}
        for row in rows:
            if row["retrieved"]:
                article = served.articles[row["article"]]
                assert article["language"] == row["tongue"]
                assert article["published_at"] < moment
                assert row["article"] not in read


def test_the_ablation_equals_a_count_by_hand(served: Served) -> None:
    told = {(row["kind"], row["name"]): row for row in served.card["ablation"]}
    assert list(told) == [
        ("path", "path"),
        ("source", "Trending"),
        ("source", "Newest"),
        ("source", "CoPurchase"),
        ("stage", "rank (BoostedTrees)"),
    ]
    whole, plain = [], []
    for rows in lists(served.predictions).values():
        there = [row for row in rows if row["retrieved"]]
        relevant = sum(row["label"] for row in rows)
        whole.append(ndcg(sorted(there, key=lambda row: (-row["BoostedTrees"], row["article"])), relevant))
        plain.append(ndcg(there, relevant))  # in the order of retrieval
    mean = sum(whole) / len(whole)
    assert told["path", "path"]["value"]["value"] == pytest.approx(mean)
    rank = told["stage", "rank (BoostedTrees)"]
    assert rank["value"]["value"] == pytest.approx(sum(plain) / len(plain))
    assert rank["difference"]["value"] == pytest.approx(mean - sum(plain) / len(plain))
    for name in ("Trending", "Newest", "CoPurchase"):
        row = told["source", name]
        assert row["difference"]["value"] == pytest.approx(mean - row["value"]["value"])
        assert row["difference"]["value"] >= -1e-9 or row["difference"]["low"] <= 0


def test_people_and_items_with_few_events_are_told(served: Served) -> None:
    champion = next(item for item in served.card["models"] if item["name"] == "BoostedTrees")
    people, items = champion["slices"]["interactions"], champion["items"]
    parts: dict[str, list[float]] = {}
    of_items: dict[str, list[float]] = {}
    for (person, at), rows in lists(served.predictions).items():
        moment = int(at.timestamp())
        before = sum(row["person"] == person and row["read_at"] < moment for row in served.reads)
        ranked = sorted(
            (row for row in rows if row["retrieved"]), key=lambda row: (-row["BoostedTrees"], row["article"])
        )
        parts.setdefault(_part(before), []).append(ndcg(ranked, sum(row["label"] for row in rows)))
        counts = {
            row["article"]: sum(r["article"] == row["article"] and r["read_at"] < moment for r in served.reads)
            for row in rows
        }
        for name in ("0", "1 to 5", "over 5"):
            relevant = sum(row["label"] for row in rows if _part(counts[row["article"]]) == name)
            if relevant:
                inside = [row for row in ranked if _part(counts[row["article"]]) == name]
                of_items.setdefault(name, []).append(ndcg(inside, relevant))
    for name, told in people.items():
        assert told["ndcg@5"]["value"] == pytest.approx(sum(parts[name]) / len(parts[name]))
    assert {"1 to 5", "over 5"} <= set(items)
    for name, told in items.items():
        if told:
            assert told["ndcg@5"]["value"] == pytest.approx(sum(of_items[name]) / len(of_items[name]))
    report = next((served.home / "w").rglob("report.md"), None) or next((served.home / "w").rglob("report.html"))
    assert "events of the item before" in report.read_text()
    assert "What each part earns" in report.read_text()


def _part(count: int) -> str:
    return "0" if count == 0 else "1 to 5" if count <= 5 else "over 5"


def test_what_is_shown_may_be_found(served: Served) -> None:
    for number in (0, 1, 2, 7, 20):
        person, tongue = f"p{number}", LANGUAGES[number % 3]
        answer = served.ask(person=person, tongue=tongue)
        ids = [item["id"] for item in answer["items"]]
        assert len(set(ids)) == 5
        assert set(ids) <= served.fresh(person, tongue)
        assert answer["degradations"] == []


def test_every_source_brings_as_many_as_it_may(served: Served) -> None:
    """A tenth of the catalogue is left by the condition, and k is full still; above that all that there is."""
    answer = served.ask(person="p7", tongue="en", k=30)
    assert len(answer["items"]) == 30
    few = served.ask(person="p7", tongue="en", k=1000)
    assert len(few["items"]) == 30
    assert "k: 40 of 1000, the most that is shown" in few["degradations"]


@pytest.mark.parametrize("tongue", [None, "fr", ""])
def test_all_filtered_is_an_empty_answer(served: Served, tongue: str | None) -> None:
    answer = served.ask(person="p7", tongue=tongue)
    assert answer["items"] == []
    assert any("0 of 5 found" in told for told in answer["degradations"])


def test_somebody_unknown_gets_what_is_new_and_trending(served: Served) -> None:
    answer = served.ask(person="nobody", tongue="it")
    assert len(answer["items"]) == 5
    assert {item["id"] for item in answer["items"]} <= served.fresh("nobody", "it")
    assert "person: unknown" in answer["degradations"]


def test_brought_candidates_are_held_to_the_condition(served: Served) -> None:
    read = next(row["article"] for row in served.reads if row["person"] == "p7")
    free = sorted(served.fresh("p7", "en"))[:3]
    answer = served.ask(person="p7", tongue="en", candidates=[*free, read, "unheard of"])
    assert sorted(item["id"] for item in answer["items"]) == free
    assert "candidates: 2 not allowed" in answer["degradations"]


def test_an_answer_is_explained(served: Served) -> None:
    answer = served.ask(person="p7", tongue="en")
    said = served.command("explain", served.home / "paper.py", answer["request_id"])
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert [item["id"] for item in told] == [item["id"] for item in answer["items"]]
    for item in told:
        assert set(item["sources"]) <= {"Trending", "Newest", "CoPurchase"}
        assert item["sources"]
        assert item["features"]["article_language"] == "en"
        assert item["stages"]["BoostedTrees"] == pytest.approx(
            next(one["score"] for one in answer["items"] if one["id"] == item["id"])
        )
        assert item["contributions"]["BoostedTrees"]


def test_a_new_article_is_found_shown_and_explained(served: Served) -> None:
    """It comes as an event while the service runs: no build knows it."""
    at = START + 40 * DAY + 60

    def send(**event: Any) -> None:
        request = Request(f"{served.url}/events", json.dumps(event).encode(), {"content-type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            assert answer.status == 202

    send(table="articles", time=at * 10**6, article="zz-new", language="en", topic=TOPICS[1])
    for number in range(60):
        send(table="reads", time=(at + number) * 10**6, person=f"q{number}", tongue="en", article="zz-new")
    limit = time.monotonic() + 60
    while True:
        answer = served.ask(person="p7", tongue="en", k=30)
        if "zz-new" in (shown := [item["id"] for item in answer["items"]]):
            stages = answer["items"][shown.index("zz-new")]["stages"]
            if stages["Newest"] == 1 and stages["Trending"] > 59:  # nothing is newer, all readings count
                break
        assert time.monotonic() < limit, answer
        time.sleep(0.05)
    assert len(shown) == 30
    assert "zz-new" not in [item["id"] for item in served.ask(person="p7", tongue="it", k=30)["items"]]
    said = served.command("explain", served.home / "paper.py", answer["request_id"])
    assert said.code == 0, said.err
    told = next(item for item in json.loads(said.out) if item["id"] == "zz-new")
    assert told["sources"] == {"Trending": 1, "Newest": 1}
    assert told["features"]["article_language"] == "en"
    assert told["features"]["article_reads_all"] == 60


def test_a_faulty_request_is_refused(served: Served) -> None:
    for body in ({"person": ["p"]}, {"k": 0}, {"persn": "p1"}):
        with pytest.raises(HTTPError) as caught:
            served.ask(**body)
        with caught.value as refused:
            assert 400 <= refused.code < 500
