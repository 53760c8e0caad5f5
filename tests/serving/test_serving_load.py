"""The load generator against servers whose delays are known."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from bottega.errors import ServeError
from bottega.serving.load import bodies, highest_rate, load
from bottega.serving.load_report import LoadResult, Quantile, quantiles

GOOD = b'{"version":"b1","degradations":[]}'
DEGRADED = b'{"version":"b2","degradations":["customer: missing","ALS: left out","k: 1 of 2"]}'
SHORT = b'{"version":"b1","degradations":["k: 3 of 20 found","auction: 1 of 4 slots sold"]}'


def reply(body: bytes = GOOD, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


class Server:
    """Answers one request after another on each connection with what `act` gives; counts what came."""

    def __init__(self, act: Callable[[int], bytes]) -> None:
        self.act, self.seen, self.bodies = act, 0, list[bytes]()
        self.lock = threading.Lock()
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}/rank"
        self.threads = [threading.Thread(target=self.accept)]
        self.open: list[socket.socket] = []
        self.threads[0].start()

    def accept(self) -> None:
        while True:
            try:
                opened, _ = self.listening.accept()
            except OSError:
                return
            self.open.append(opened)
            self.threads.append(threading.Thread(target=self.talk, args=(opened,)))
            self.threads[-1].start()

    def talk(self, opened: socket.socket) -> None:
        with opened, opened.makefile("rb") as file:
            try:
                while head := file.readline():
                    length = 0
                    while (row := file.readline()) not in (b"\r\n", b""):
                        if row.lower().startswith(b"content-length:"):
                            length = int(row.partition(b":")[2])
                    body = file.read(length)
                    assert head.startswith(b"POST /rank HTTP/1.1")
                    with self.lock:
                        number, self.seen = self.seen, self.seen + 1
                        self.bodies.append(body)
                    answer = self.act(number)
                    if not answer:
                        return
                    opened.sendall(answer)
            except OSError:
                return

    def close(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for opened in self.open:
            try:
                opened.shutdown(socket.SHUT_RDWR)
            except OSError:  # closed by the other side
                continue
        for thread in self.threads:
            thread.join()


@contextmanager
def serving(act: Callable[[int], bytes]) -> Iterator[Server]:
    server = Server(act)
    try:
        yield server
    finally:
        server.close()


def asked() -> Iterator[bytes]:
    return bodies(["a", "b"], "customer", 20)


def test_every_tenth_request_is_slow_and_p99_says_how_slow() -> None:
    def act(number: int) -> bytes:
        if number % 10 == 0:
            time.sleep(0.1)
        return reply()

    with serving(act) as server:
        found = load(server.url, asked(), rate=100, requests=400, connections=24)
    assert found.p99.low >= 100
    assert found.p99.high < 1_000
    assert found.p50.value < 90
    assert found.p99.low <= found.p99.value <= found.p99.high
    assert (found.failed, found.requests) == (0, 400)


def test_a_server_that_stops_is_charged_for_the_requests_that_it_made_wait() -> None:
    """One connection and one pause of a second: a closed loop would see one slow request in 500."""

    def act(number: int) -> bytes:
        if number == 100:
            time.sleep(1)
        return reply()

    with serving(act) as server:
        found = load(server.url, asked(), rate=200, requests=500, connections=1)
    # for a second 200 requests a second wait, half a second on average: 40 % of the 500 are slow
    assert found.p95.value > 500
    assert found.p99.value > found.p95.value > found.p50.value


def test_a_server_that_is_too_slow_shows_latencies_that_grow_with_the_queue() -> None:
    def act(_: int) -> bytes:
        time.sleep(0.01)
        return reply()

    with serving(act) as server:
        short = load(server.url, asked(), rate=400, requests=100, connections=2)
        long = load(server.url, asked(), rate=400, requests=300, connections=2)
    # two connections serve 200 a second at most, so n requests at 400 a second leave the last one n/400 s behind
    assert short.p99.value > 150
    assert long.p99.value > 2 * short.p99.value
    assert long.requests_per_s < 220
    assert not long.holds(100)
    assert long.lateness_p99 < long.p50.value, "waiting for the server is not the generator's own lateness"


def test_failures_are_counted_by_what_they_were() -> None:
    answers = {
        3: reply(b"{}", "503 Service Unavailable"),
        5: reply(b"{}", "422 Unprocessable Entity"),
        7: b"",
        9: b"HTTP/1.1 200 OK\r\n\r\n",
    }
    with serving(lambda number: answers.get(number, reply())) as server:
        found = load(server.url, asked(), rate=300, requests=60, connections=3)
    assert found.errors == {"503": 1, "422": 1, "closed": 1, "unreadable": 1}
    assert found.failed == 4
    assert found.versions == {"b1": 56}
    assert not found.holds(1e9)


def test_a_request_without_an_answer_times_out() -> None:
    def act(number: int) -> bytes:
        if number == 2:
            time.sleep(1.5)
        return reply()

    with serving(act) as server:
        found = load(server.url, asked(), rate=50, requests=20, connections=2, timeout=0.5)
    assert found.errors == {"timeout": 1}


def test_a_connection_that_the_server_closes_is_opened_again() -> None:
    with serving(lambda number: reply(more="Connection: close\r\n" if number % 2 else "")) as server:
        found = load(server.url, asked(), rate=200, requests=50, connections=2)
    assert (found.failed, server.seen) == (0, 50)


def test_degradations_and_versions_are_counted() -> None:
    said = [DEGRADED, SHORT, GOOD, GOOD]
    with serving(lambda number: reply(said[number % 4])) as server:
        found = load(server.url, asked(), rate=500, requests=100, connections=4)
    assert found.degraded == 0.25
    assert found.unasked == {"customer": 25}  # nobody said it, and the service lacked nothing
    assert (found.degradations, found.shortfalls) == (
        {"ALS: left out": 25},
        {"k: n of n": 25, "k: n of n found": 25, "auction: n of n slots sold": 25},
    )
    assert found.versions == {"b1": 75, "b2": 25}


def test_every_request_is_sent_once_in_pieces_or_whole() -> None:
    sent = [msgspec.json.encode({"customer": str(number), "pad": "x" * number * 50}) for number in range(200)]
    with serving(lambda _: reply()) as server:
        load(server.url, sent, rate=2_000, requests=200, connections=4)
    assert Counter(server.bodies) == Counter(sent)


def test_when_nothing_listens_it_is_one_error() -> None:
    with serving(lambda _: reply()) as server:
        url = server.url
    with pytest.raises(ServeError, match="no connection") as caught:
        load(url, asked(), rate=10, requests=10)
    assert caught.value.fix == "bottega serve DESIGN"
    for bad in ("ftp://127.0.0.1/", "rank"):
        with pytest.raises(ServeError, match="HOST:PORT"):
            load(bad, asked(), rate=10, requests=10)
    with pytest.raises(ServeError, match="rate 0"):
        load(url, asked(), rate=0)
    with pytest.raises(ServeError, match="3 bodies"):
        load(url, [b"{}"] * 3, rate=10, requests=10)


def test_a_server_that_goes_away_ends_the_test_with_errors() -> None:
    server = Server(lambda _: reply())
    closing = threading.Timer(0.3, server.close)
    closing.start()
    found = load(server.url, asked(), rate=100, requests=100, connections=2, timeout=0.5)
    closing.join()
    assert found.failed > 30
    assert set(found.errors) <= {"closed", "refused"}
    assert found.requests == 100


def of_a_server(limit: float, cpu: float = 0.1) -> Callable[..., LoadResult]:
    """Give a `load` that asks a server of theory: p99 = 4.6 ms × 1 / (1 − rate/limit), and errors from the limit on."""

    def answer(url: str, bodies: object, rate: float, requests: int, connections: int, seed: int) -> LoadResult:
        del url, bodies, connections, seed
        over = rate >= limit
        p99 = 1e6 if over else 4.6 / (1 - rate / limit)
        at = Quantile(p99, p99, p99)
        errors = {"timeout": 1} if over else {}
        return LoadResult(rate, requests, requests / rate, rate, at, at, at, errors, 0, {}, {}, 0, 0, cpu)

    return answer


@pytest.mark.parametrize(("limit", "start"), [(3_000.0, 100.0), (150.0, 1_000.0), (40_000.0, 200.0)])
def test_the_highest_rate_is_found_near_the_true_one(
    monkeypatch: pytest.MonkeyPatch, limit: float, start: float
) -> None:
    monkeypatch.setattr("bottega.serving.load.load", of_a_server(limit))
    told: list[LoadResult] = []
    found, tried = highest_rate("http://x", lambda _: [], 20.0, start, 20_000, say=told.append)
    true = limit * (1 - 4.6 / 20)
    assert found is not None
    assert 0.9 * true <= found.rate <= true
    assert (found.requests, found is tried[-1], tried == told) == (20_000, True, True)
    assert any(not one.holds(20) for one in tried)
    assert min(one.requests / one.rate for one in tried[:-1]) >= 2, "a queue needs time to grow"
    assert min(one.requests for one in tried) >= 2_000


def test_no_rate_is_found_where_none_holds_or_the_generator_is_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for server, limit in ((of_a_server(3_000), 4.0), (of_a_server(3_000, cpu=0.99), 20.0)):
        monkeypatch.setattr("bottega.serving.load.load", server)
        found, tried = highest_rate("http://x", lambda _: [], limit, 100, 20_000)
        assert found is None
        assert tried


def test_a_saturated_generator_is_told_apart_from_a_slow_server() -> None:
    slow = of_a_server(1_000)("", [], 999, 100, 1, 0)
    assert not slow.saturated
    assert not slow.holds(20)
    assert replace(slow, generator_cpu=0.95).saturated
    assert replace(slow, lateness_p99=0.3 * slow.p99.value).saturated
    assert not replace(slow, lateness_p99=0.2 * slow.p99.value).saturated


def test_the_rate_of_a_real_server_is_searched_with_real_requests() -> None:
    with serving(lambda _: reply()) as server:
        found, tried = highest_rate(server.url, lambda seed: bodies(["a"], "c", seed=seed), 0.000_1, 400, 200, 8)
    assert found is None
    assert server.seen == sum(one.requests for one in tried)
    assert [(one.rate, one.requests) for one in tried[:6:2]] == [(400, 800), (200, 400), (100, 200)]


def test_ids_are_drawn_by_zipf_and_the_same_for_a_seed() -> None:
    ids = [f"id{number}" for number in range(50)]

    def draw(seed: int, count: int = 20_000, exponent: float = 1.0) -> list[bytes]:
        drawn = bodies(ids, "customer", exponent=exponent, seed=seed)
        return [next(drawn) for _ in range(count)]

    assert draw(1) == draw(1) != draw(2)
    counts = Counter(msgspec.json.decode(body)["customer"] for body in draw(3))
    harmonic = sum(1 / place for place in range(1, 51))
    for place in (1, 2, 5, 20):
        expected = 20_000 / place / harmonic
        assert counts[f"id{place - 1}"] == pytest.approx(expected, abs=5 * expected**0.5)
    flat = Counter(draw(4, exponent=0.0))
    assert max(flat.values()) < 1.5 * 20_000 / 50
    with pytest.raises(ServeError, match="no ids"):
        next(bodies([], "customer"))


def test_intervals_of_quantiles_cover_the_truth_also_when_slow_requests_come_together() -> None:
    truth = np.log(100)  # the 0.99 quantile of an exponential
    rng = np.random.default_rng(5)
    held = [low.low <= truth <= low.high for low in (quantiles(rng.exponential(size=5_000), s)[2] for s in range(60))]
    assert np.mean(held) > 0.85
    calm, bursts = rng.exponential(size=20_000), rng.exponential(size=20_000)
    bursts[:10_000].sort()  # the same values, the slow ones beside each other
    width = [quantiles(values)[2].high - quantiles(values)[2].low for values in (calm, bursts)]
    assert width[1] > 1.5 * width[0]


def test_a_result_is_plain_data() -> None:
    with serving(lambda _: reply()) as server:
        found = load(server.url, asked(), rate=200, requests=20, connections=2)
    told = msgspec.json.decode(msgspec.json.encode(found.as_dict()))
    assert told["p99"] == {"value": found.p99.value, "low": found.p99.low, "high": found.p99.high}
    assert (told["failed"], told["requests"], told["saturated"]) == (0, 20, found.saturated)
