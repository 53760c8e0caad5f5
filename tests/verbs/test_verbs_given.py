"""Numbers that come with the candidates: a table of pairs without a time is learnt from, served, loaded, explained."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import lightgbm
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_shop import Command, Said

import bottega as bt
from bottega.data.log import Log
from bottega.errors import DataError
from bottega.runs.steps.fitting import to_tables

DESIGN = '''
"""In which order do we show the documents?"""

import bottega as bt

design = bt.Design(
    name="pairs",
    scope=bt.Scope(question="In which order do we show the documents?", limits=bt.Limits(p99_ms=100)),
    data=bt.Data(
        tables=[bt.Table("pairs", "pairs.parquet")],
        examples=bt.Logged("pairs", request=["query"], candidate="doc"),
        labels=[bt.Label("grade")],
        split=bt.GivenSplit("part", validate=0.25, otherwise=0.2),
        position=bt.InversePropensity("place", optional=True),
    ),
    features=[bt.Given()],
    models={
        "rank": [
            bt.Logistic(),
            bt.BoostedTrees(objective="lambdarank", trees=30, leaves=7, min_leaf=5),
        ],
    },
    evaluation=bt.Evaluation(primary="ndcg@5", metrics=["mrr"], goals=[bt.Goal("ndcg@5", at_least=0.75)]),
    serving=bt.Serving(path=[bt.Candidates(at_most=50), bt.Rank(), bt.Show(k=5)], workers=1),
)
'''
FIRST = 2**60 + 1  # as numbers of floating point all these ids would be a few
NUMBERS = ("match", "age", "clicks", "official")


def pairs(queries: int = 150, size: int = 12) -> list[dict[str, Any]]:
    """Draw pairs whose grade follows from two of their numbers, unless one of those is missing."""
    draw, rows = random.Random(3), []
    for query in range(queries):
        for place in range(size):
            match, age = draw.gauss(0, 1), draw.gauss(0, 1)
            taste = match - 0.7 * abs(age) + draw.gauss(0, 0.3)
            rows.append(
                {
                    "query": query,
                    "doc": FIRST + draw.randrange(300) * 2 + place % 2 + 600 * place,
                    "grade": min(4, max(0, round(taste + 1))),
                    "part": "test" if query % 4 == 0 else "train",
                    "match": match if draw.random() > 0.1 else None,
                    "age": age if draw.random() > 0.1 else math.nan,
                    "clicks": draw.randrange(100),
                    "official": draw.random() < 0.5,
                    "title": "some text",
                }
            )
    return rows


@dataclass(frozen=True)
class Served:
    """A built and served ranking of pairs."""

    home: Path
    url: str
    card: dict[str, Any]
    rows: list[dict[str, Any]]
    said: Said

    def ask(self, body: Any) -> dict[str, Any]:
        request = Request(f"{self.url}/rank", json.dumps(body).encode(), {"content-type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def refused(self, body: Any) -> tuple[int, str]:
        with pytest.raises(HTTPError) as caught:
            self.ask(body)
        with caught.value as error:
            return error.code, error.read().decode()

    def command(self, *typed: object) -> Said:
        return Command(*typed, "--workspace", self.home / "w", "--json", folder=self.home / "said").wait()

    @property
    def build(self) -> Path:
        return next(path.parent for path in (self.home / "w").rglob("builds/*/design.json"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("given")
    rows = pairs()
    pq.write_table(pa.Table.from_pylist(rows), home / "pairs.parquet")
    design = home / "pairs.py"
    design.write_text(DESIGN)
    place = (design, "--workspace", home / "w")
    said = Command("run", *place, "--json", folder=home / "said").wait()
    assert said.code == 0, said.err
    service = Command("serve", *place, "--port", 0, "--json", folder=home / "service")
    try:
        while not service.said()[0].endswith("\n"):
            assert not service.ended(), service.said()
            time.sleep(0.02)
        yield Served(home, json.loads(service.said()[0])["url"], json.loads(said.out), rows, said)
    finally:
        os.kill(service.pid, signal.SIGINT)
        service.wait()


def given(row: Mapping[str, Any]) -> dict[str, Any]:
    """Write a row as a candidate of a request."""
    numbers = {name: None if row[name] is None or row[name] != row[name] else float(row[name]) for name in NUMBERS}
    return {"id": str(row["doc"]), **{name: value for name, value in numbers.items() if value is not None}}


def test_the_scorecard(served: Served) -> None:
    card = served.card
    assert card["data"]["quarantined"] == 0
    assert (card["parity"]["mismatches"], card["serving"]["errors"]) == (0, 0)
    assert card["parity"]["compared"] > 0
    assert card["release"]["released"], card["release"]
    scores = {item["name"]: item["metrics"]["ndcg@5"]["value"] for item in card["models"]}
    assert scores["BoostedTrees"] > scores["Logistic"]  # the middle of one number is best
    assert "place" in served.said.err  # nothing is undone, and the run says so


def test_what_is_open_goes_by_the_table(served: Served) -> None:
    design = json.loads((served.build / "design.json").read_text())
    assert [part["columns"] for part in design["features"]] == [list(NUMBERS)]
    assert design["data"].get("position") is None


def test_the_report_and_the_drawing_name_what_was_open(served: Served) -> None:
    report = served.command("report", served.home / "pairs.py", "--out", served.home / "out", "--format", "md")
    assert report.code == 0, report.err
    told = (served.home / "out" / "report.md").read_text("utf-8")
    assert f"{len(NUMBERS)} features, each as it was known" in told
    assert f"`{', '.join(NUMBERS)}`" in told
    drawn = served.command("draw", served.home / "pairs.py", "--out", served.home / "out" / "it.mmd")
    assert drawn.code == 0, drawn.err
    assert f"{len(NUMBERS)} features" in (served.home / "out" / "it.mmd").read_text("utf-8")


def test_the_quality_is_that_of_the_predictions(served: Served) -> None:
    """NDCG with gains 2^grade − 1, again in plain Python, over all documents of each test query."""
    table = pq.read_table(served.build / "predictions.parquet").to_pylist()
    assert {int(row["query"]) for row in table} == {row["query"] for row in served.rows if row["part"] == "test"}
    values = []
    for query in {row["query"] for row in table}:
        own = [row for row in table if row["query"] == query]
        own.sort(key=lambda row: -row["BoostedTrees"])
        gains = [2 ** row["label"] - 1 for row in own]
        best = sorted(gains, reverse=True)
        ideal, got = (sum(gain / math.log2(rank + 2) for rank, gain in enumerate(part[:5])) for part in (best, gains))
        if ideal:
            values.append(got / ideal)
    told = next(item for item in served.card["models"] if item["name"] == "BoostedTrees")["metrics"]["ndcg@5"]
    assert told["value"] == pytest.approx(sum(values) / len(values))


def test_a_request_with_its_numbers_is_ranked_as_in_the_predictions(served: Served) -> None:
    told = {
        (row["query"], row["doc"]): row["BoostedTrees"]
        for row in pq.read_table(served.build / "predictions.parquet").to_pylist()
    }
    for query in range(0, 40, 4):
        own = list({row["doc"]: row for row in reversed(served.rows) if row["query"] == query}.values())
        answer = served.ask({"query": query, "candidates": [given(row) for row in own], "k": 50})
        assert [item["id"] for item in answer["items"]] == sorted(
            (str(row["doc"]) for row in own), key=lambda doc: (-told[str(query), doc], doc)
        )
        for item in answer["items"]:
            assert item["score"] == pytest.approx(told[str(query), item["id"]], abs=1e-6)


def test_numbers_that_are_missing_are_missing(served: Served) -> None:
    """A candidate that brings nothing scores as LightGBM itself scores a row of NaN."""
    booster = lightgbm.Booster(model_file=str(next(served.build.rglob("trees.txt"))))
    names = json.loads((served.build / "serving.json").read_text())["ladders"]["rank"]["names"]
    assert sorted(names) == sorted(NUMBERS)
    for body in ("x", {"id": "x"}, {"id": "x", "match": None}, {"id": "x", "clicks": 3.0}, {"id": "x", "official": 1}):
        answer = served.ask({"query": 1, "candidates": [body]})
        numbers = {} if isinstance(body, str) else {name: value for name, value in body.items() if value is not None}
        right = booster.predict(np.array([[numbers.get(name, math.nan) for name in names]]), raw_score=True)
        assert answer["items"][0]["score"] == pytest.approx(float(np.ravel(right)[0]), abs=1e-6)
        assert ("candidates: 1 without a number" in answer["degradations"]) == (len(numbers) < 2)


def test_names_that_nothing_reads_are_refused(served: Served) -> None:
    code, said = served.refused({"query": 1, "candidates": [{"id": "x", "mach": 1.0}]})
    assert code in (400, 422)
    assert "mach" in said
    code, said = served.refused({"query": 1, "candidates": [{"id": "x", "match": "much"}]})
    assert code in (400, 422)
    assert "match" in said
    code, said = served.refused({"query": 1})
    assert code in (400, 422)
    assert "candidates" in said


def test_an_answer_is_explained(served: Served) -> None:
    own = [row for row in served.rows if row["query"] == 8][:4]
    asked = {"query": 8, "candidates": [given(row) for row in own]}
    answer = served.ask(asked)
    said = served.command("explain", served.home / "pairs.py", answer["request_id"])
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert [item["id"] for item in told] == [item["id"] for item in answer["items"]]
    for item in told:
        row = given(next(row for row in own if str(row["doc"]) == item["id"]))
        assert {name: value for name, value in item["features"].items() if value is not None and name in NUMBERS} == {
            name: pytest.approx(value) for name, value in row.items() if name != "id"
        }


def test_the_build_is_loaded_with_numbers_of_its_own(served: Served) -> None:
    said = served.command("load", served.home / "pairs.py", "--rate", 20, "--requests", 40)
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert told["errors"] in ({}, 0)
    assert "unknown" not in json.dumps(told.get("degradations", {}))


def open_design(**data: Any) -> bt.Design:
    fields: dict[str, Any] = {
        "tables": [bt.Table("pairs", key="pair", event_id="event")],
        "examples": bt.Logged("pairs", request=["query"], candidate="doc", propensity="chance"),
        "labels": [
            bt.Label("grade", censored_when="blocked = 1"),
            bt.Label("bought", given="grade", observed_at="seen"),
        ],
        "split": bt.GivenSplit("part"),
        "position": bt.InversePropensity("place"),
    }
    return bt.Design(
        name="open",
        scope=bt.Scope(question="Which?"),
        data=bt.Data(**{**fields, **data}),
        features=[bt.Given()],
        models={"rank": [bt.Logistic()]},
        evaluation=bt.Evaluation(primary="ndcg@5"),
        serving=bt.Serving(path=[bt.Candidates(columns=["bid"]), bt.Rank(), bt.Show(k=5)]),
    )


def log_with(names: str) -> Log:
    return Log("pairs", pa.table({name: [1, 2] for name in names.split()}), None, None)


def test_what_says_how_it_ended_is_no_feature() -> None:
    """Whatever the design names has a meaning of its own: labels and what they hang on would give them away."""
    log = log_with("price pair event query doc chance grade blocked bought seen part place bid id other")
    design, told = to_tables(open_design(), {"pairs": log})
    assert [*design.features] == [bt.Given(["price", "other"])]
    assert told == ["Given: 2 columns of numbers, price to other"]


def test_a_place_that_is_optional_is_used_where_it_is() -> None:
    position = bt.InversePropensity("place", optional=True)
    with_it, _ = to_tables(open_design(position=position), {"pairs": log_with("a place")})
    assert with_it.data.position == position
    assert [*with_it.features] == [bt.Given(["a"])]
    without, told = to_tables(open_design(position=position), {"pairs": log_with("a")})
    assert without.data.position is None
    assert told[-1] == "InversePropensity: pairs has no column 'place', nothing is undone"


def test_a_table_without_numbers_is_refused() -> None:
    with pytest.raises(DataError, match="no column of numbers that nothing else names") as error:
        to_tables(open_design(), {"pairs": log_with("query doc grade")})
    assert error.value.where == "data.tables[pairs]"


def test_the_design_itself_stays_as_it_was() -> None:
    design = open_design()
    before = msgspec.json.encode(design)
    to_tables(design, {"pairs": log_with("a b")})
    assert msgspec.json.encode(design) == before
