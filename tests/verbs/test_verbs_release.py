"""From a build to a service: goals and parity as gates, release, rollback, serve, load, explain, and how it is told."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tiny_shop import Built, Command, Said, changed, tiny_design

import bottega as bt
from bottega import cli
from bottega.files import read_json
from bottega.runs.releases import history
from bottega.runs.steps import arriving
from bottega.runs.workspace import Workspace

Typed = Callable[..., Said]


def with_goal(path: Path, goal: bt.Goal, **fields: Any) -> Path:
    design = tiny_design(evaluation=changed(tiny_design().evaluation, goals=[goal]), **fields)
    path.write_text(bt.to_yaml(design))
    return path


@contextmanager
def serving(*words: object, folder: Path) -> Iterator[str]:
    """Serve until the block ends, and give the address."""
    command = Command("serve", *words, "--port", 0, "--workers", 1, "--json", folder=folder)
    try:
        deadline = time.monotonic() + 60
        while not command.said()[0].endswith("\n"):
            assert not command.ended(), command.said()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield json.loads(command.said()[0])["url"]
    finally:
        os.kill(command.pid, signal.SIGINT)
        said = command.wait(60)
    assert said.code == 0, said.err


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = Request(f"{url}/rank", json.dumps(body).encode(), {"content-type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        assert answer.status == 200
        found: dict[str, Any] = json.load(answer)
    return found


def test_the_scorecard_has_the_keys_of_its_contract(built: Built) -> None:
    card = built.card
    wanted = "design build data models comparisons champions funnel goals parity serving steps peak_rss_mb"
    assert set(wanted.split()) <= card.keys()
    assert {"offered", "accepted", "quarantined"} <= card["data"].keys()
    assert card["data"]["offered"] == card["data"]["accepted"] + card["data"]["quarantined"] > 0
    assert {item["name"] for item in card["models"]} == {
        *("Popularity", "PersonalHistory", "CoPurchase", "Factorization"),
        *("HistoricalRate", "Logistic", "BoostedTrees"),
    }
    for item in card["models"]:
        assert {"name", "stage", "metrics", "slices", "seconds"} <= item.keys()
        for estimate in item["metrics"].values():
            assert estimate.keys() == {"value", "low", "high", "n"}
            assert estimate["low"] <= estimate["value"] <= estimate["high"]
    assert card["champions"].keys() == {"rank"}
    for item in card["comparisons"]:
        assert {"a", "b", "metric", "difference", "low", "high"} <= item.keys()
    for item in card["goals"]:
        assert {"metric", "slice", "value", "low", "high", "limit", "met"} <= item.keys()
    assert {"compared", "mismatches", "worst"} <= card["parity"].keys()
    assert card["parity"]["compared"] >= 1000
    assert {"p50_ms", "p95_ms", "p99_ms", "requests_per_s"} <= card["serving"].keys()
    assert all(item.keys() == {"name", "seconds", "cached"} for item in card["steps"])
    assert card["peak_rss_mb"] > 50


def test_what_a_build_holds_says_the_same_as_the_run(built: Built) -> None:
    folder = built.folder / "builds" / built.card["build"]
    for name in ("design.json", "manifest.json", "predictions.parquet", "scorecard.json", "serving.json"):
        assert (folder / name).is_file()
    inside, beside = read_json(folder / "scorecard.json"), read_json(built.folder / "scorecard.json")
    assert beside == built.card
    assert {**inside, "release": 0} == {**beside, "release": 0}
    assert (built.folder / "predictions.parquet").read_bytes() == (folder / "predictions.parquet").read_bytes()
    assert (built.folder / "current").read_text().strip() == built.card["build"]


def test_a_missed_goal_is_not_released_until_it_is_accepted(
    built: Built, workspace: Path, bottega: Typed, tmp_path: Path
) -> None:
    place = ("--workspace", workspace)
    data = ("--data", built.data)
    first = built.card["build"]
    missed = with_goal(tmp_path / "tiny.yaml", bt.Goal("recall@20", at_least=0.99))
    strict = bottega("run", missed, *data, *place, "--strict", "--json", "--quiet")
    card = json.loads(strict.out)
    assert strict.code == 3
    assert [goal["met"] for goal in card["goals"]] == [False]
    assert card["build"] != first
    assert (card["release"]["released"], card["release"]["current"]) == (False, first)
    assert [gate["passed"] for gate in card["release"]["gates"]] == [False, True, True]
    lenient = bottega("run", missed, *data, *place)
    assert lenient.code == 0
    told = " ".join(lenient.out.split())
    assert "not released" in told
    assert "0 of 1 met" in told
    assert f"bottega report {missed} --workspace {workspace}" in told

    refused = bottega("release", missed, *place)
    assert refused.code == 4
    assert refused.out == ""
    assert "goals" in refused.err
    assert "recall@20 at least 0.99" in refused.err
    assert first in refused.err
    accepted = bottega("release", missed, "--accept", "the shop opens today", *place, "--json")
    assert (accepted.code, json.loads(accepted.out)) == (0, {"current": card["build"]})
    last = history(Workspace(workspace, "tiny"))[-1]
    assert last["build"] == card["build"]
    assert "the shop opens today" in json.dumps(last)
    back = bottega("rollback", missed, *place, "--json")
    assert (back.code, json.loads(back.out)) == (0, {"current": first})
    assert bottega("rollback", missed, *place).code == 2
    by_name = bottega("release", missed, "--build", first[:6], *place)
    assert by_name.code == 0
    assert f"current is {first}" in by_name.out


@pytest.mark.usefixtures("quick")
def test_features_that_serving_reads_otherwise_are_not_released(
    built: Built, workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The stream brings invoices cut to four digits: the store counts fewer of them than the table that trained."""
    whole = arriving.events_of

    def cut(rows: pa.Table, table: bt.Table) -> Iterator[bytes]:
        place = rows.column_names.index("invoice")
        short = pc.utf8_slice_codeunits(rows.column("invoice"), 0, 4)
        return whole(rows.set_column(place, "invoice", short), table)

    monkeypatch.setattr(arriving, "events_of", cut)
    names = ["customer_visits_30d", "customer_visits_all", "customer_product_times_all"]
    other = with_goal(tmp_path / "tiny.yaml", bt.Goal("recall@20", at_least=0.01), features=tiny_design().features[:5])
    words = ["bottega", "run", str(other), "--data", str(built.data), "--workspace", str(workspace), "--json", "-q"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 4
    card = json.loads(capsys.readouterr().out)
    assert card["parity"]["mismatches"] > 0
    assert set(card["parity"]["by_feature"]) == set(names)
    for worst in card["parity"]["worst"]:
        assert worst["serving"] < worst["training"]
        assert re.match(r"\d+ of \d+ rows of orders count, from 20", worst["training_says"])
        assert re.search(r"^\d+ values, 0 waiting.*; events up to 0: \d+$", worst["serving_says"])
    assert card["release"]["released"] is False
    assert card["release"]["current"] == built.card["build"]
    monkeypatch.setattr("sys.argv", ["bottega", "release", str(other), "--workspace", str(workspace), "--accept", "no"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 4
    assert "parity" in capsys.readouterr().err

    let = changed(tiny_design().serving, approximate=names)
    with_goal(other, bt.Goal("recall@20", at_least=0.01), features=tiny_design().features[:5], serving=let)
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["parity"]["mismatches"], again["parity"]["approximate"]) == (0, card["parity"]["mismatches"])
    assert again["parity"]["by_feature"] == card["parity"]["by_feature"]
    assert again["release"]["released"] is True


def test_serve_answers_with_the_release_and_explain_agrees(
    built: Built, workspace: Path, bottega: Typed, tmp_path: Path
) -> None:
    place = (built.design, "--workspace", workspace)
    customer = first_customer(built)
    with serving(*place, folder=tmp_path / "service") as url:
        answer = post(url, {"customer": customer, "k": 5})
        assert answer["version"] == built.card["build"]
        assert len(answer["items"]) == 5
        assert answer["degradations"] == []
        assert set(answer["items"][0]["stages"]) >= {"Popularity", built.card["champions"]["rank"]}
        loaded = bottega("load", *place, "--url", url, "--rate", 100, "--requests", 200, "--json")
        assert loaded.code == 0, loaded.err
        result = json.loads(loaded.out)
        assert (result["requests"], result["failed"], result["limit_ms"]) == (200, 0, 20)
        assert 0 < result["p50"]["value"] <= result["p95"]["value"] <= result["p99"]["value"]
    known = bottega("explain", built.design, answer["request_id"], "--workspace", workspace, "--json")
    asked = bottega(
        "explain", built.design, json.dumps({"customer": customer, "k": 5}), "--workspace", workspace, "--json"
    )
    assert (known.code, asked.code) == (0, 0), known.err + asked.err
    assert json.loads(known.out) == json.loads(asked.out)
    for place_, (told, item) in enumerate(zip(json.loads(known.out), answer["items"], strict=True), 1):
        assert (told["id"], told["rank"]) == (item["id"], place_)
        assert told["stages"] == item["stages"]
        assert told["sources"]
        assert "customer_visits_30d" in told["features"]
    assert item["id"] in bottega("explain", built.design, answer["request_id"], "--workspace", workspace).out


def first_customer(built: Built) -> str:
    return str(pq.read_table(built.folder / "predictions.parquet", columns=["customer"])["customer"][0].as_py())


def test_a_running_service_follows_a_rollback(built: Built, workspace: Path, bottega: Typed, tmp_path: Path) -> None:
    place = ("--workspace", workspace)
    other = with_goal(tmp_path / "tiny.yaml", bt.Goal("mrr", at_least=0.01))
    second = json.loads(bottega("run", other, "--data", built.data, *place, "--json", "-q").out)
    assert second["release"]["released"]
    with serving(other, *place, folder=tmp_path / "service") as url:
        assert post(url, {"customer": "1"})["version"] == second["build"]
        assert bottega("rollback", other, *place).code == 0
        deadline = time.monotonic() + 30
        while post(url, {"customer": "1"})["version"] != built.card["build"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_the_report_is_written_again_wherever_one_likes(built: Built, bottega: Typed, tmp_path: Path) -> None:
    said = bottega("report", built.design, "--workspace", built.workspace, "--out", tmp_path / "pages", "--json")
    kinds = ("md", "html", "pdf")
    assert json.loads(said.out) == {"pages": [str(tmp_path / "pages" / f"report.{kind}") for kind in kinds]}
    assert (tmp_path / "pages" / "report.md").read_text() == (built.folder / "report.md").read_text()
    of_build = bottega(
        "report", built.design, "--workspace", built.workspace, "--out", tmp_path, "--build", built.card["build"]
    )
    assert of_build.out.split() == [str(tmp_path / f"report.{kind}") for kind in kinds]
    assert built.card["champions"]["rank"] in (tmp_path / "report.md").read_text()


def test_json_on_stdout_and_json_lines_on_stderr(built: Built) -> None:
    assert json.loads(built.said.out) == built.card
    events = [json.loads(line) for line in built.said.err.splitlines()]
    assert {event["event"] for event in events} >= {"say", "step", "done"}
    done = [event for event in events if event["event"] == "done"]
    assert [event["name"] for event in done] == [step["name"] for step in built.card["steps"]]


def test_quiet_says_nothing_but_the_result_and_a_pipe_gets_plain_text(
    built: Built, workspace: Path, bottega: Typed
) -> None:
    words = ("run", built.design, "--data", built.data, "--workspace", workspace)
    quiet = bottega(*words, "--quiet")
    assert quiet.err == ""
    assert re.search(r"^goals +1 of 1 met", quiet.out, re.MULTILINE)
    for settings in ({}, {"NO_COLOR": "1"}, {"COLUMNS": "48"}, {"TERM": "dumb"}):
        said = bottega(*words, env=settings)
        assert said.code == 0
        assert "\x1b" not in said.out + said.err
        wide = [line for line in said.out.splitlines() if not line.startswith(("report ", "next "))]
        assert max(map(len, wide)) <= int(settings.get("COLUMNS", 80))
        assert len([line for line in said.err.splitlines() if re.search(r"   (cached|[\d.,]+ s)$", line)]) == len(
            built.card["steps"]
        )
