"""Events move the features that are served, by `serve` alone or by `stream` beside it; what was served is checked."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tiny_shop import Built, Command, Said

from bottega.errors import ServeError
from bottega.serving import clock
from bottega.serving.service import Settings
from bottega.serving.workers import running


def post(url: str, path: str, body: Any) -> dict[str, Any]:
    request = urllib.request.Request(f"{url}{path}", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def scores(url: str, customer: str, product: str) -> float:
    """Rank one product by itself: its score is that of its features."""
    answer = post(url, "/rank", {"customer": customer, "candidates": [product], "k": 1})
    return float(answer["items"][0]["score"])


def counted(url: str, name: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def until(holds: Callable[[], bool], wait_s: float = 20.0) -> float:
    """Wait until something holds, and give the seconds it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < wait_s, "it never came"
        time.sleep(0.01)
    return time.monotonic() - began


@pytest.fixture
def bought(built: Built) -> tuple[str, str]:
    """A customer and a product of the log."""
    folder = next((built.folder / "steps").glob("data-orders-*"))
    rows = pq.read_table(folder / "accepted.parquet").to_pylist()
    return str(rows[-1]["customer"]), str(rows[-1]["product"])


@contextmanager
def service(workspace: Path, **settings: Any) -> Iterator[str]:
    with running(Settings(workspace / "tiny", workers=1, port=0, **settings), wait_s=120) as url:
        yield url


def order(customer: str, product: str, invoice: str, **more: Any) -> dict[str, Any]:
    bought = {"customer": int(customer), "product": product, "invoice": invoice, "country": "France"}
    return {"table": "orders", **bought, "quantity": 40, "price": 2.0, **more}


def test_an_event_moves_the_next_score_within_a_second(workspace: Path, bought: tuple[str, str]) -> None:
    with service(workspace) as url:
        before = scores(url, *bought)
        post(url, "/events", order(*bought, "new 1"))
        until(lambda: counted(url, "bottega_stream_events_total") == 1)  # the first one finds everything warm
        until(lambda: scores(url, *bought) != before)  # a worker's clock looks now and then
        first = scores(url, *bought)
        post(url, "/events", [order(*bought, f"new {number}") for number in range(2, 8)])
        took = until(lambda: scores(url, *bought) != first)
        assert took < 1.0
        assert counted(url, "bottega_stream_lag") == 0


def test_what_the_stream_refuses_is_laid_aside_with_its_reason(workspace: Path, bought: tuple[str, str]) -> None:
    with service(workspace) as url:
        before = scores(url, *bought)
        post(url, "/events", order(*bought, "a", quantity="many"))
        post(url, "/events", order(*bought, "b", time="2099-01-01T00:00:00Z"))
        post(url, "/events", order(*bought, "c", colour="red", quantity=-5))  # of which the batch refuses the quantity
        until(lambda: counted(url, "bottega_stream_refused_total") == 3)
        assert scores(url, *bought) == before
    paths = (workspace / "tiny" / "log").glob("dead-*.jsonl")
    letters = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    assert {letter["reason"].partition(" of a clock")[0] for letter in letters} == {
        "quantity: not a number", "time: in the future", "quantity: not above 0",
    }  # fmt: skip


def test_events_outlive_the_service_and_count_once(workspace: Path, bought: tuple[str, str]) -> None:
    with service(workspace, stream="none") as url:
        before = scores(url, *bought)
        post(url, "/events", [order(*bought, f"new {number}") for number in range(5)])
        time.sleep(0.5)
        assert scores(url, *bought) == before  # nobody applies them
    with service(workspace) as url:
        until(lambda: scores(url, *bought) != before)
        after = scores(url, *bought)
    with service(workspace) as url:
        time.sleep(1.0)
        assert scores(url, *bought) == after


def test_stream_applies_beside_a_service_and_shows_in_its_metrics(
    built: Built, workspace: Path, bought: tuple[str, str], tmp_path: Path
) -> None:
    command = Command("stream", built.design, "--workspace", workspace, folder=tmp_path / "said")
    try:
        with service(workspace, stream="none") as url:
            before = scores(url, *bought)
            post(url, "/events", [order(*bought, f"new {number}") for number in range(5)])
            until(lambda: scores(url, *bought) != before, 60)
            until(lambda: counted(url, "bottega_stream_events_total") == 5)
    finally:
        os.kill(command.pid, signal.SIGTERM)
        command.wait()


def test_a_second_build_takes_the_events_since_its_batch(workspace: Path, bought: tuple[str, str]) -> None:
    with service(workspace) as url:
        before = scores(url, *bought)
        post(url, "/events", [order(*bought, f"new {number}") for number in range(5)])
        until(lambda: scores(url, *bought) != before)
        after = scores(url, *bought)
    for path in sorted((workspace / "tiny" / "online").glob("*/*")):
        path.unlink()  # as it is for a build that was never served
    with service(workspace) as url:
        until(lambda: scores(url, *bought) == after)


def test_what_was_served_is_what_a_batch_computes(
    built: Built, workspace: Path, bought: tuple[str, str], bottega: Callable[..., Said]
) -> None:
    customer, product = bought
    folder = next((built.folder / "steps").glob("data-orders-*"))
    last = pc.max(pq.read_table(folder / "accepted.parquet")["time"]).as_py()
    late = (last - timedelta(days=1)).replace(tzinfo=UTC).isoformat()  # before the moment at which the clock stands
    with service(workspace) as url:
        for number in range(10):
            post(url, "/rank", {"customer": customer, "k": 5})
            moment = {"time": late} if number % 2 else {}
            post(url, "/events", order(customer, product, f"new {number}", **moment))
            until(lambda number=number: counted(url, "bottega_stream_events_total") == number + 1)
            time.sleep(2 * clock._LOOK_S)  # so that the clock of the next answer has looked since the event
    said = bottega("consistency", built.design, "--workspace", workspace, "--json")
    found = json.loads(said.out)
    assert (said.code, found["mismatches"], found["decisions"]) == (0, 0, 10), said.err + said.out
    assert found["compared"] > 10 * 5 * 5
    said = bottega("consistency", built.design, "--workspace", workspace, "--json", "--stream", "none")
    found = json.loads(said.out)  # a batch that lacks the events differs, and says where
    assert said.code == 4
    assert "customer_product_pieces_all" in found["by_feature"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--stream", "flie:"], "file"),
        (["--stream", "none"], "no worker"),
        (["--store", "memory:"], "no worker"),
        (["--workers", "0"], "--workers"),
        (["--clock", "moon"], "--clock"),
        (["--store", "lmdb:/dev/null/store"], "--store lmdb:/dev/null/store"),
    ],
)
def test_a_stream_that_cannot_be_is_one_clear_error(
    built: Built, workspace: Path, bottega: Callable[..., Said], typed: list[str], said: str
) -> None:
    found = bottega("stream", built.design, "--workspace", workspace, *typed)
    assert found.code == 2
    assert said in found.err
    assert "Traceback" not in found.err


def test_without_an_answer_there_is_nothing_to_check(
    built: Built, workspace: Path, bottega: Callable[..., Said]
) -> None:
    found = bottega("consistency", built.design, "--workspace", workspace)
    assert found.code == 2
    assert "no answer of build" in found.err


@pytest.mark.parametrize("sample", [0, -3])
def test_a_sample_of_nothing_is_refused(built: Built, bottega: Callable[..., Said], sample: int) -> None:
    found = bottega("consistency", built.design, "--workspace", built.workspace, f"--sample={sample}")
    assert found.code == 2
    assert f"--sample: {sample}" in found.err


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"stream": "kafka://user:hunter2@host:9/ev"}, r"--stream kafka://\*\*\*@host:9/ev"),
        ({"stream": "none", "store": "lmdb:/dev/null/store"}, "--store lmdb:/dev/null/store"),
    ],
    ids=["stream", "store"],
)
def test_a_service_that_cannot_be_is_one_clear_error(workspace: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ServeError, match=said), service(workspace, **settings):
        pass
    logged = (workspace / "tiny" / "log" / "service.log").read_text()
    assert "Traceback" not in logged
    assert "hunter2" not in logged


def test_a_store_that_is_away_is_one_clear_error(workspace: Path) -> None:
    pytest.importorskip("cassandra", reason="Cassandra's driver is not installed: pip install 'bottega[cassandra]'")
    away = "cassandra://me:hunter2@127.0.0.1:1/k"
    with pytest.raises(ServeError, match=r"cassandra://\*\*\*@127"), service(workspace, store=away):
        pass
    logged = (workspace / "tiny" / "log" / "service.log").read_text()
    assert "Traceback" not in logged
    assert logged.count(" WARNING ") + logged.count(" ERROR ") == logged.count("the store does not answer") > 0
