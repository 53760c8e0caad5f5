"""The service as a caller sees it: real processes, real HTTP, every kind of bad input."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from service_stand_in import make_build, release, settings_of

from bottega.serving.decision_log import read_log
from bottega.serving.workers import running

JSON = {"content-type": "application/json"}
SUCH = 'send for example {"k": 20}'


class Client:
    """One connection, kept open as long as the server keeps it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 0
        self.connection = http.client.HTTPConnection(self.host, self.port, timeout=20)

    def ask(
        self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, method: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        said = JSON if headers is None else headers
        for fresh in (False, True):  # a server may close a kept connection, after an over-long body for one
            try:
                self.connection.request(method or ("GET" if body is None else "POST"), path, body, said)
                got = self.connection.getresponse()
                break
            except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
                self.connection.close()
                if fresh:
                    raise
        return got.status, {name.lower(): value for name, value in got.getheaders()}, got.read()

    def rank(self, request: object) -> dict[str, Any]:
        status, _, body = self.ask("/rank", json.dumps(request).encode())
        assert status == 200, body
        answer: dict[str, Any] = json.loads(body)
        return answer

    def fault(self, path: str, body: bytes | None, status: int, **more: Any) -> dict[str, str]:
        got, _, told = self.ask(path, body, **more)
        assert got == status, told
        error: dict[str, str] = json.loads(told)["error"]
        assert set(error) == {"where", "found", "allowed", "fix"}
        return error

    def raw(self, data: bytes) -> bytes:
        with socket.create_connection((self.host, self.port), 20) as opened:
            opened.sendall(data)
            got = b""
            while part := opened.recv(65_536):
                got += part
            return got


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("serving") / "shop"
    make_build(folder, "b1", bug=True)
    release(folder, "b1")
    with running(settings_of(folder)) as url:
        opened = Client(url, folder)
        yield opened
        opened.connection.close()


def test_a_request_gets_its_items_with_scores_version_and_id(client: Client) -> None:
    answer = client.rank({"customer": 17850, "k": 3, "request_id": "mine-1"})
    assert [item["id"] for item in answer["items"]] == ["b1-3", "b1-2", "b1-1"]
    assert answer["items"][0] == {"id": "b1-3", "score": 3.0, "stages": {"rank": 3.0}}
    assert (answer["version"], answer["request_id"], answer["degradations"]) == ("b1", "mine-1", [])
    assert answer["stage_ms"] == {"retrieve": 0.25, "rank": 0.5}


def test_ids_come_from_the_body_then_the_header_or_are_made_in_the_order_of_time(client: Client) -> None:
    def ids(body: bytes, headers: dict[str, str]) -> tuple[str, str]:
        _, got, answer = client.ask("/rank", body, {**JSON, **headers})
        return json.loads(answer)["request_id"], got["x-request-id"]

    assert ids(b'{"request_id":"body-1"}', {"x-request-id": "head-1"}) == ("body-1", "body-1")
    assert ids(b"{}", {"x-request-id": "head-1"}) == ("head-1", "head-1")
    first, second = ids(b"{}", {}), ids(b"{}", {"x-request-id": "two words"})
    assert first[0] == first[1] < second[0] == second[1]
    assert client.fault("/rank", b'{"request_id":"two words"}', 422)["where"] == "request_id"


@pytest.mark.parametrize(
    ("body", "status", "where", "found", "fix"),
    [
        (b'{"custmer":1}', 422, "custmer", "an unknown field", "did you mean 'customer'?"),
        (b'{"k":"many"}', 422, "k", "str", "send int | null"),
        (b'{"k":1.5}', 422, "k", "float", "send int | null"),
        (b'{"k":0}', 422, "k", "0", "change k"),
        (b'{"k":-7}', 422, "k", "-7", "change k"),
        (b'{"spent":"much"}', 422, "spent", "str", "send float | null"),
        (b'{"candidates":[1,null]}', 422, "candidates[1]", "null", "send int | float | str"),
        (b'{"customer":{"a":[1]}}', 422, "customer", "object", "send int | float | str | null"),
        (b"[]", 422, "body", "array", "send object"),
        (b"null", 422, "body", "null", "send object"),
        (b'"text"', 422, "body", "str", "send object"),
        (b'{"spent":1e999}', 422, "spent", "Number out of range", "change it"),
        (b"", 400, "body", "nothing", SUCH),
        (b" \n", 400, "body", "nothing", SUCH),
        (b"{", 400, "body", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)", SUCH),
        (b'{"k":"many"', 400, "body", "Expecting ',' delimiter: line 1 column 12 (char 11)", SUCH),
        (b'{"k":1,\n "spent":}', 400, "body", "Expecting value: line 2 column 10 (char 17)", SUCH),
        (b'{"k":1} {"k":2}', 400, "body", "Extra data: line 1 column 9 (char 8)", SUCH),
        (b'{"spent":NaN}', 400, "body", "JSON is malformed: invalid character (byte 9)", SUCH),
        (b'{"customer":"\xff"}', 400, "body", "no UTF-8 at byte 13", SUCH),
        (b'{"customer":' + b"[" * 100_000, 400, "body", "nested too deeply", "send a flatter object"),
    ],
)
def test_a_faulty_request_is_told_its_field(
    client: Client, body: bytes, status: int, where: str, found: str, fix: str
) -> None:
    error = client.fault("/rank", body, status)
    assert (error["where"], error["found"], error["fix"]) == (where, found, fix)


NASTIES = [
    b"{}", b'{"k":null,"customer":null,"candidates":null,"view":null}', b'{"k":1' + b"0" * 60 + b"}",
    b'{"k":' + b"9" * 6000 + b"}", b'{"customer":' + b"9" * 6000 + b"}", b'{"customer":-1e308}', b'{"spent":NaN}',
    b'{"spent":Infinity}', b'{"customer":"' + b"x" * 100_000 + b'"}', b"[" * 100_000, b'{"customer":' + b"[" * 100_000,
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b'{"note":"\\ud800"}', b'{"note":"\x00"}', b'{"note":"\\u0000"}',
    b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b'{"k":1,"k":2}', b'{"k":1} {"k":2}', b"{'k':1}", b"k=1",
    b'{"candidates":[' + b"1," * 2000 + b"1]}", b'{"candidates":[]}', b'{"":1}', b'{"k":true}', b'\n{\n"k":\n1\n}\n',
    b'{"note":"' + "é😀".encode() * 1000 + b'"}', b"\x00" * 100, b'{"spent":9007199254740993}', b'{"view":"none"}',
    b'{"\xff":1}', b'{"\\ud800":1}', b'{"note":"line\\nbreak"}',
]  # fmt: skip


@pytest.mark.parametrize("path", ["/rank", "/events", "/clicks"])
@pytest.mark.parametrize("body", NASTIES, ids=[str(number) for number in range(len(NASTIES))])
def test_no_body_makes_it_fail(client: Client, path: str, body: bytes) -> None:
    status, _, told = client.ask(path, body)
    assert status in (200, 400, 422), told
    assert ("error" in json.loads(told)) == (status != 200)


def test_a_click_is_charged_once_and_an_unknown_one_is_none(client: Client) -> None:
    body = b'{"request_id":"r1","id":"b1-2"}'
    first, second = (json.loads(client.ask("/clicks", body)[2]) for _ in range(2))
    assert first == {"request_id": "r1", "id": "b1-2", "price": 0.25, "charged": True, "free": 0.0}
    assert second == {**first, "charged": False}
    assert client.fault("/clicks", b'{"request_id":"r1","id":7}', 404)["found"] == "nothing sold as '7' in 'r1'"
    error = client.fault("/clicks", b'{"request_id":"r1","id":"bug"}', 503)
    assert (error["where"], error["found"]) == ("spending", "a full disk on purpose")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["customer", "k", "spent", "note", "candidates", "view", "request_id", "table", "time", "Ké"])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["/rank", "/events"]),
    body=st.dictionaries(FIELDS, VALUES, max_size=5) | st.lists(st.dictionaries(FIELDS, VALUES, max_size=3)) | VALUES,
    cut=st.none() | st.integers(0, 40),
)
def test_whatever_is_sent_is_answered_and_never_by_a_fault_of_ours(
    client: Client, path: str, body: object, cut: int | None
) -> None:
    data = json.dumps(body).encode()[:cut]
    status, _, told = client.ask(path, data)
    assert status in (200, 202, 400, 422), (data, told)
    assert ("error" in json.loads(told)) == (status >= 400)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["/rank", "/events"]), body=st.binary(max_size=200))
def test_bytes_that_are_no_json_are_refused(client: Client, path: str, body: bytes) -> None:
    status, _, told = client.ask(path, body)
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        assert status == 400, told
    assert status in (200, 400, 422), told


@pytest.mark.parametrize("size", [2**20 + 1, 3 * 2**20, 20 * 2**20])
def test_a_long_body_is_refused_however_it_is_sent(client: Client, size: int) -> None:
    host = f"Host: {client.host}:{client.port}\r\nContent-Type: application/json\r\nConnection: close\r\n".encode()
    if size < 16 * 2**20:
        assert client.fault("/rank", b" " * size, 413)["allowed"] == "1,048,576 bytes at most"
    else:  # refused from the length alone, before it is sent
        got = client.raw(b"POST /rank HTTP/1.1\r\n" + host + b"Content-Length: %d\r\n\r\n" % size)
        assert got.startswith(b"HTTP/1.1 413")
    chunks = (b"10000\r\n" + b" " * 65_536 + b"\r\n") * (min(size, 2 * 2**20) // 65_536 + 1) + b"0\r\n\r\n"
    got = client.raw(b"POST /rank HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    assert got.startswith(b"HTTP/1.1 413")
    assert json.loads(got.partition(b"\r\n\r\n")[2])["error"]["where"] == "body"


def test_a_body_may_be_a_mebibyte_long_and_may_come_in_chunks(client: Client) -> None:
    body = b'{"k":2}' + b" " * (2**20 - 7)
    assert client.ask("/rank", body)[0] == 200
    head = f"POST /rank HTTP/1.1\r\nHost: {client.host}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    got = client.raw(head.encode() + b'4\r\n{"k"\r\n3\r\n:2}\r\n0\r\n\r\n')
    assert got.startswith(b"HTTP/1.1 200")


def test_wrong_paths_methods_and_content_types_are_told_the_right_ones(client: Client) -> None:
    assert "POST /rank" in client.fault("/rnk", b"{}", 404)["allowed"]
    assert client.fault("/rank", None, 405)["allowed"] == "POST"
    assert client.ask("/rank")[1]["allow"] == "POST"
    assert client.fault("/health", b"{}", 405)["allowed"] == "GET"
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert client.fault("/rank", b"{}", 405, method=method)["found"] == f"{method} /rank"
    assert client.fault("/rank", b"k=1", 415, headers={"content-type": "text/plain"})["allowed"] == "application/json"
    for kind in ("application/json; charset=utf-8", "Application/JSON", "application/problem+json"):
        assert client.ask("/rank", b"{}", {"content-type": kind})[0] == 200
    assert client.ask("/rank", b"{}", {})[0] == 200


def test_a_bug_is_answered_with_500_and_its_traceback_is_in_the_log(client: Client) -> None:
    status, headers, told = client.ask("/rank", b'{"note":"bug"}')
    assert status == 500
    assert headers["x-request-id"] in json.loads(told)["error"]["fix"]
    said = (client.folder / "log" / "service.log").read_text()
    assert f"request {headers['x-request-id']} to /rank failed" in said
    assert "ZeroDivisionError: a bug on purpose" in said
    assert said.count("Traceback") == said.count("a bug on purpose\n"), "another traceback than that of the bug"


def test_events_are_on_the_disk_when_they_are_acknowledged(client: Client) -> None:
    one = {"table": "orders", "time": "2011-12-09T12:50:00Z", "customer": 1, "note": "a\nb"}
    many = [
        {"table": "products", "id": "x", "time": "12/09/2011 12:50"},
        {"table": "orders", "time": 1323435000000000, "price": 2.5, "gift": None},
    ]
    for body, count in ((json.dumps(one, indent=1), 1), (json.dumps(many), 2), ("[]", 0)):
        status, headers, told = client.ask("/events", body.encode())
        assert status == 202, told
        assert json.loads(told) == {"accepted": count, "request_id": headers["x-request-id"]}
        kept = [
            row for row in read_log(client.folder / "log", "events") if row["request_id"] == headers["x-request-id"]
        ]
        assert [row["event"] for row in kept] == (json.loads(body) if count != 1 else [one])


@pytest.mark.parametrize(
    ("body", "where", "found"),
    [
        ({"table": "ordres"}, "table", "'ordres'"),
        ({"customer": 1}, "table", "nothing"),
        ({"table": 7}, "table", "7"),
        ([{"table": "orders"}, {"table": "orders", "lines": [1]}], "[1].lines", "a list"),
        ({"table": "orders", "who": {"id": 1}}, "who", "an object"),
        ({"table": "orders", "time": "yesterday"}, "time", "'yesterday'"),
        ({"table": "orders", "time": 1.5}, "time", "1.5"),
        ({"table": "orders", "time": 1323435000}, "time", "1323435000, which lies in 1970, unless it counts seconds"),
        ({"table": "orders", "n": 2**63}, "n", "a whole number over 64 bits"),
        ([1], "body", "int"),
        ("orders", "body", "str"),
    ],
)
def test_a_faulty_event_refuses_the_whole_body(client: Client, body: object, where: str, found: str) -> None:
    before = len(list(read_log(client.folder / "log", "events")))
    error = client.fault("/events", json.dumps(body).encode(), 422)
    assert (error["where"], error["found"]) == (where, found)
    assert len(list(read_log(client.folder / "log", "events"))) == before


def test_metrics_add_up_over_the_workers_whichever_answers(client: Client) -> None:
    def read() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        fresh = Client(
            f"http://{client.host}:{client.port}", client.folder
        )  # another connection, perhaps another worker
        text = fresh.ask("/metrics")[2].decode()
        fresh.connection.close()
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def key(metric: str, /, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
        return metric, frozenset(labels.items())

    before = read()
    for number in range(30):
        fresh = Client(f"http://{client.host}:{client.port}", client.folder)
        fresh.rank({"k": 60 + number, **({"customer": 1} if number % 3 else {})})
        fresh.connection.close()
    client.fault("/rank", b'{"k":0}', 422)
    client.ask("/events", b'[{"table":"orders"},{"table":"orders"}]')
    for after in [read() for _ in range(8)]:

        def grown(metric: str, /, after: dict[Any, float] = after, **labels: str) -> float:
            return after.get(key(metric, **labels), 0.0) - before.get(key(metric, **labels), 0.0)

        assert grown("bottega_requests_total", path="/rank", status="200") == 30
        assert grown("bottega_requests_total", path="/rank", status="422") == 1
        assert grown("bottega_request_seconds_count", path="/rank") == 31
        assert grown("bottega_request_seconds_bucket", path="/rank", le="+Inf") == 31
        assert grown("bottega_degraded_total") == 10
        assert grown("bottega_degradations_total", name="customer: missing") == 10
        assert grown("bottega_degradations_total", name="k: n of n") == 0
        assert grown("bottega_shortfalls_total", name="k: n of n") == 30
        assert grown("bottega_stage_seconds_total", stage="rank") == pytest.approx(30 * 0.5e-3)
        assert grown("bottega_events_total", table="orders") == 2
        assert after[key("bottega_version_info", version="b1")] == 2
        buckets = [value for (name, labels), value in after.items() if name == "bottega_request_seconds_bucket"]
        assert all(value >= 0 for value in buckets)


def test_histogram_buckets_never_fall(client: Client) -> None:
    text = client.ask("/metrics")[2].decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    rows = [s for s in families["bottega_request_seconds"].samples if s.name.endswith("_bucket")]
    of_rank = [(float(s.labels["le"]), s.value) for s in rows if s.labels["path"] == "/rank"]
    assert of_rank == sorted(of_rank)
    assert [value for _, value in of_rank] == sorted(value for _, value in of_rank)


def test_the_openapi_document_says_what_is_answered(client: Client) -> None:
    told = json.loads(client.ask("/openapi.json")[2])
    assert told["openapi"].startswith("3.1")
    schemas = told["components"]["schemas"]
    assert set(schemas["Request"]["properties"]) == {
        "customer", "spent", "note", "k", "candidates", "view", "request_id",
    }  # fmt: skip
    answer = client.rank({"k": 2})
    assert set(schemas["Answer"]["required"]) == set(answer)
    assert set(schemas["Item"]["required"]) == set(answer["items"][0])
    for path, methods in told["paths"].items():
        for method in methods:
            assert client.ask(path, b"{}" if method == "post" else None)[0] not in (404, 405)
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(told)))
    assert references <= set(schemas)


def test_the_page_loads_nothing_from_elsewhere(client: Client) -> None:
    status, headers, told = client.ask("/docs")
    page = told.decode()
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "POST /rank" in page
    assert "customer" in page
    assert not re.search(r'(src|href)="(?!/openapi\.json|#)', page)


def test_each_answer_is_in_the_decision_log(tmp_path: Path) -> None:
    make_build(tmp_path, "b1")
    release(tmp_path, "b1")
    with running(settings_of(tmp_path, workers=2)) as url:
        answers = {}
        for number in range(40):
            client = Client(url, tmp_path)
            answer = client.rank({"customer": number, "k": 2, "note": "a\nb"})
            client.connection.close()
            answers[answer["request_id"]] = (number, answer)
    rows = list(read_log(tmp_path / "log"))
    assert {row["request_id"] for row in rows} == set(answers)
    assert len(rows) == 40
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    for row in rows:
        number, answer = answers[row["request_id"]]
        assert row["request"] == {"customer": number, "k": 2, "note": "a\nb"}
        assert (row["version"], row["propensity"], row["worker"] in (0, 1)) == ("b1", 1.0, True)
        assert row["items"] == answer["items"]
        assert row["degradations"] == answer["degradations"]
