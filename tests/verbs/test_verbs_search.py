"""A search over tables of one's own: built, served once, asked oddly, and explained."""

from __future__ import annotations

import csv
import json
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

import pytest
from tiny_shop import Command, Said

DESIGN = '''
"""Which recipe answers this question?"""

import bottega as bt

design = bt.Design(
    name="recipes",
    scope=bt.Scope(question="Which five recipes answer this question?", limits=bt.Limits(p99_ms=100)),
    data=bt.Data(
        tables=[
            bt.Table("recipes", "recipes.csv", key="id"),
            bt.Table("questions", "questions.csv", key="question"),
            bt.Table("judged", "judged.csv"),
        ],
        examples=bt.Judged(
            "judged", query="question", candidate="id", requests="questions", request=["asked"], catalogue="recipes"
        ),
        labels=[bt.Label("grade")],
        split=bt.GivenSplit("part", validate=0.3),
    ),
    features=[],
    models={
        "retrieve": [
            bt.BM25(query="asked", over=["title", "text"], k=20),
            bt.BM25(query="asked", over=["title"], k=20, name="Titles"),
        ],
        "rank": [bt.Fusion(over=["bm25_score", "titles_score"]), bt.Logistic()],
    },
    evaluation=bt.Evaluation(
        primary="ndcg@5", metrics=["recall@20"], goals=[bt.Goal("ndcg@5", at_least=0.5)]
    ),
    serving=bt.Serving(path=[bt.Retrieve(k=30), bt.Rank(), bt.Show(k=5)], workers=1),
)
'''
KINDS = ("bread", "soup", "cake", "salad")
THINGS = [f"{first}{last}" for first in ("to", "ka", "mi", "re", "su", "lo") for last in ("mato", "lin", "rofu", "nel")]


def write_tables(folder: Path) -> list[tuple[str, str]]:
    """120 recipes of a kind and some things; a question names the kind and two things of the one that is right."""
    draw = random.Random(5)
    recipes = []
    for place in range(120):
        things = draw.sample(THINGS, 5)
        title = f"{draw.choice(KINDS).title()} with {things[0]}"
        recipes.append((f"r{place:03}", title, f"Take {', '.join(things)}; stir them well, and bake."))
    asked = []
    for place in range(90):
        name, title, text = draw.choice(recipes)
        words = text.removeprefix("Take ").split(";")[0].split(", ")
        question = (
            f"How do I make a {title.split()[0].lower()} of {words[0]} and {draw.choice(words[1:])}, no. {place}?"
        )
        asked.append((f"q{place}", question, name))
    tables = {
        "recipes": [("id", "title", "text"), *recipes, ("r999", "", "")],
        "questions": [("question", "asked"), *((name, text) for name, text, _ in asked)],
        "judged": [
            ("question", "id", "grade", "part"),
            *((name, right, 2, "test" if place % 3 == 0 else "train") for place, (name, _, right) in enumerate(asked)),
        ],
    }
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    return [(text, right) for _, text, right in asked]


@dataclass(frozen=True)
class Served:
    """A built and served search."""

    home: Path
    url: str
    card: dict[str, Any]
    asked: list[tuple[str, str]]

    def ask(self, body: Any) -> dict[str, Any]:
        request = Request(f"{self.url}/rank", json.dumps(body).encode(), {"content-type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def command(self, *typed: object) -> Said:
        return Command(*typed, "--workspace", self.home / "w", "--json", folder=self.home / "said").wait()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("search")
    asked = write_tables(home)
    design = home / "recipes.py"
    design.write_text(DESIGN)
    place = (design, "--workspace", home / "w")
    said = Command("run", *place, "--json", folder=home / "said").wait()
    assert said.code == 0, said.err
    assert "Warning" not in said.err
    service = Command("serve", *place, "--port", 0, "--json", folder=home / "service")
    try:
        while not service.said()[0].endswith("\n"):
            assert not service.ended(), service.said()
            time.sleep(0.02)
        yield Served(home, json.loads(service.said()[0])["url"], json.loads(said.out), asked)
    finally:
        os.kill(service.pid, signal.SIGINT)
        service.wait()


def test_the_scorecard(served: Served) -> None:
    card = served.card
    scores = {item["name"]: item["metrics"]["ndcg@5"]["value"] for item in card["models"]}
    assert scores["BM25"] > scores["Titles"]  # the question names things that no title has
    assert [goal["met"] for goal in card["goals"]] == [True]
    assert card["release"]["released"]
    assert (card["parity"]["mismatches"], card["serving"]["errors"]) == (0, 0)


def test_what_is_asked_is_found(served: Served) -> None:
    found = [(right, [item["id"] for item in served.ask({"asked": text})["items"]]) for text, right in served.asked]
    assert all(len(ids) == 5 == len(set(ids)) for _, ids in found)
    assert sum(right in ids for right, ids in found) > 0.9 * len(found)


def test_an_answer_is_explained(served: Served) -> None:
    text, right = served.asked[0]
    answer = served.ask({"asked": text})
    said = served.command("explain", served.home / "recipes.py", answer["request_id"])
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert [item["id"] for item in told] == [item["id"] for item in answer["items"]]
    assert "BM25" in json.dumps(next(item for item in told if item["id"] == right))
    assert told[0]["features"]["bm25_score"] > 0


@pytest.mark.parametrize("text", ["qwertz unheardof", "", "   ", "?!…", "the of and", None, "日本茶"])
def test_words_that_nothing_has_give_an_empty_answer(served: Served, text: str | None) -> None:
    answer = served.ask({"asked": text})
    assert answer["items"] == []
    assert answer["degradations"]


def test_fewer_than_k_are_all_that_there_are(served: Served) -> None:
    thing = THINGS[0]
    answer = served.ask({"asked": thing, "k": 5})
    assert 0 < len(answer["items"]) <= 5
    assert all(thing in _text(served, item["id"]) for item in answer["items"])


def test_a_text_that_is_too_long_is_refused_by_name(served: Served) -> None:
    long = "tomato soup " * 2000  # 24,000 characters are searched for
    assert served.ask({"asked": long})["items"]
    with pytest.raises(HTTPError) as caught:
        served.ask({"asked": "x" * 100_000})
    with caught.value as refused:
        assert refused.code in (400, 413, 422)
        assert "asked" in refused.read().decode()


def test_a_request_of_another_form_is_refused(served: Served) -> None:
    for body in ({"asked": ["a"]}, {"ask": "tomato"}, []):
        with pytest.raises(HTTPError) as caught:
            served.ask(body)
        with caught.value as refused:
            assert 400 <= refused.code < 500


def _text(served: Served, name: str) -> str:
    with (served.home / "recipes.csv").open() as file:
        return next(f"{row['title']} {row['text']}" for row in csv.DictReader(file) if row["id"] == name)
