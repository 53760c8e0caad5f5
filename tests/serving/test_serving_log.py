"""The logs as files: whole records, rotation, a torn end, a full disk, a slow disk; and the counters' file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bottega as bt
from bottega.data.streams.event_times import EventTimes
from bottega.data.streams.messages import Decoder
from bottega.data.streams.protocol import Message
from bottega.errors import DataError
from bottega.serving.appending import Appending
from bottega.serving.decision_log import DecisionLog, line, read_log, record
from bottega.serving.events import EventLog, read_events
from bottega.serving.prometheus import ROOM, Meters, exposition
from bottega.serving.refusals import RefusalError
from bottega.serving.request_ids import request_id, usable
from bottega.serving.wire import Answer, Item


def answer(name: str = "r1") -> Answer:
    return Answer(name, "b1", [Item("85123A", 0.5, {"rank": 0.5})], ["customer: missing"], {"rank": 1.5})


@pytest.fixture
def meters(tmp_path: Path) -> Meters:
    return Meters(tmp_path / "meters")


def counted(meters_file: Path) -> dict[str, float]:
    rows = [row for row in exposition([meters_file]).decode().splitlines() if not row.startswith("#")]
    return {name: float(value) for name, _, value in (row.rpartition(" ") for row in rows)}


def test_a_record_says_what_was_asked_and_what_was_shown() -> None:
    told = record(b'{"customer":\n 17850}', answer(), 5, 1)
    assert told == {
        "time": 5,
        "request_id": "r1",
        "worker": 1,
        "version": "b1",
        "request": {"customer": 17850},
        "items": [{"id": "85123A", "score": 0.5, "stages": {"rank": 0.5}}],
        "propensity": 1.0,
        "degradations": ["customer: missing"],
        "stage_ms": {"rank": 1.5},
    }
    written = line(b'{"customer":\n 17850}', answer(), 5, 1)
    assert written.count(b"\n") == 1
    assert json.loads(written) == told


def test_lines_are_on_the_disk_after_an_interval_and_all_of_them_after_close(tmp_path: Path, meters: Meters) -> None:
    log = DecisionLog(tmp_path / "log", 0, meters, interval=0.01)
    for number in range(500):
        log.add(line(b"{}", answer(f"r{number}"), number, 0))
    log.close()
    assert [row["request_id"] for row in read_log(tmp_path / "log")] == [f"r{number}" for number in range(500)]
    assert counted(tmp_path / "meters")["bottega_log_lines_total"] == 500


def test_a_full_file_is_followed_by_the_next_and_none_is_removed(tmp_path: Path) -> None:
    file = Appending(tmp_path, "decisions", 3, rotate_bytes=100)
    for number in range(30):
        file.append(b'{"time":%d}\n' % number)
    file.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(names) > 2
    assert "decisions-3-1.jsonl" in names
    assert max(sizes) < 100 + 12
    assert [row["time"] for row in read_log(tmp_path)] == list(range(30))
    again = Appending(tmp_path, "decisions", 3)
    again.append(b'{"time":30}\n')
    again.close()
    assert len(list(tmp_path.iterdir())) == len(names) + 1, "a new start begins a new file"
    assert [row["time"] for row in read_log(tmp_path)] == list(range(31))


def test_workers_are_read_together_in_the_order_of_time(tmp_path: Path) -> None:
    for worker in (0, 1, 11):
        file = Appending(tmp_path, "decisions", worker, rotate_bytes=40)
        for number in range(20):
            file.append(b'{"time":%d,"worker":%d}\n' % (number * 3 + worker, worker))
        file.close()
    (tmp_path / "events-0-1.jsonl").write_text('{"time":0}\n')
    (tmp_path / "service.log").write_text("no JSON")
    rows = list(read_log(tmp_path))
    assert len(rows) == 60
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    assert len(list(read_log(tmp_path, "events"))) == 1


@given(st.binary(max_size=30).filter(lambda data: b"\n" not in data))
@settings(max_examples=50, deadline=None)
def test_a_torn_last_line_is_passed_over(torn: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "decisions-0-1.jsonl"
        path.write_bytes(b'{"time":1}\n{"time":2}\n' + torn)
        (Path(place) / "decisions-0-2.jsonl").write_bytes(b'{"time":3}\n')
        assert [row["time"] for row in read_log(Path(place))] == [1, 2, 3]


def test_a_bad_line_in_the_middle_is_an_error_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "decisions-0-1.jsonl").write_bytes(b'{"time":1}\n{"ti\n{"time":3}\n')
    with pytest.raises(DataError, match=r"decisions-0-1\.jsonl:2"):
        list(read_log(tmp_path))


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let no fsync return before the event is set."""
    real, go = os.fsync, threading.Event()

    def fsync(file: int) -> None:
        go.wait(10)
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    yield go
    go.set()


def test_a_slow_disk_makes_answers_wait_and_drops_none(
    tmp_path: Path, meters: Meters, slow_disk: threading.Event
) -> None:
    log = DecisionLog(tmp_path / "log", 0, meters, interval=0.005, queue_bytes=2_000)
    added = 0
    while log.room:
        log.add(line(b"{}", answer(f"r{added}"), added, 0))
        added += 1
    assert 1 < added < 20
    assert list(read_log(tmp_path / "log")) == []
    slow_disk.set()
    deadline = threading.Event()
    for _ in range(500):
        if log.room:
            break
        deadline.wait(0.01)
    assert log.room
    log.close()
    assert len(list(read_log(tmp_path / "log"))) == added


def test_a_full_disk_loses_lines_by_name_and_writing_goes_on_after_it(tmp_path: Path) -> None:
    """In a process of its own, whose files may not grow over 2,000 bytes for a while."""
    text = """
import resource, sys, time
from pathlib import Path
from bottega.serving.decision_log import DecisionLog
from bottega.serving.prometheus import Meters
folder = Path(sys.argv[1])
log = DecisionLog(folder / "log", 0, Meters(folder / "meters"), interval=0.005)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
seen = []
def add(numbers):
    for number in numbers:
        log.add(b'{"time":%d,"pad":"%s"}\\n' % (number, b"x" * 300))
        time.sleep(0.02)
        seen.append(log.trouble)
add(range(3))
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
add(range(3, 20))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
add(range(20, 23))
log.close()
print(sorted(set(seen[:3])), seen[19], seen[-1] == "")
"""
    done = subprocess.run([sys.executable, "-c", text, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[''] log: full True\n", done.stderr
    times = [row["time"] for row in read_log(tmp_path / "log")]
    found = counted(tmp_path / "meters")
    assert times[:3] == [0, 1, 2]
    assert times[-3:] == [20, 21, 22]
    assert found["bottega_log_lost_total"] == 23 - len(times) > 0
    assert found["bottega_log_lines_total"] == len(times)


def test_events_that_come_together_share_the_disk_s_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.fsync, []

    def fsync(file: int) -> None:
        calls.append(file)
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)

    async def send() -> None:
        log = EventLog(tmp_path, 0)
        await asyncio.gather(*(log.add(b'{"time":%d}\n' % number) for number in range(200)))
        log.close()

    asyncio.run(send())
    assert sorted(row["time"] for row in read_log(tmp_path, "events")) == list(range(200))
    assert len(calls) < 100


def test_events_are_acknowledged_only_after_the_fsync(tmp_path: Path, slow_disk: threading.Event) -> None:
    async def send() -> tuple[bool, bool]:
        log = EventLog(tmp_path, 0)
        adding = asyncio.create_task(log.add(b'{"time":1}\n'))
        await asyncio.sleep(0.1)
        early = adding.done()
        slow_disk.set()
        await asyncio.wait_for(adding, 10)
        log.close()
        return early, adding.done()

    assert asyncio.run(send()) == (False, True)


def test_the_lines_of_events_keep_what_was_sent() -> None:
    body = b'[{"table":"orders","n":1e400000000000},{"table":"orders"}]'
    with pytest.raises(RefusalError) as caught:
        read_events(body, {"orders": EventTimes(bt.Table("orders"), ())}, 7, "r")
    assert caught.value.status in (400, 422)
    lines, counts = read_events(
        b'[{"table":"orders","n":1.10,"a":"\\u00e9"},\n {"table":"x"}]',
        {name: EventTimes(bt.Table(name), ()) for name in ("orders", "x")},
        7,
        "r",
    )
    assert counts == {"orders": 1, "x": 1}
    assert lines.splitlines()[0] == b'{"time":7,"request_id":"r","event":{"table":"orders","n":1.10,"a":"\\u00e9"}}'


TIMES = ["2021-10-18", "2021-10-18T10:00", "2021-10-18 10:00:00Z", "01/02/2011 10:00", "20211018", "soon", "", None,
         True, 1_634_500_000, 1_634_500_000.5, 1_634_500_000_000, 1_634_500_000_000_000, 1_634_500_000_000_000.0,
         20211018, "1634500000", 1.5, 7, -5]  # fmt: skip


@pytest.mark.parametrize("form", [None, "%s", "epoch_ms", "%m/%d/%Y %H:%M", "%Y%m%d"])
@pytest.mark.parametrize("own", ["time", "at", None])
def test_the_door_takes_the_times_that_the_stream_can_read_and_no_others(form: str | None, own: str | None) -> None:
    """What is acknowledged becomes a row, and what is refused would have been a dead letter, by any name of a time."""
    table = bt.Table("t", time=own, created="seen", time_format=form, columns={own or "x": "When"})
    kinds = {own or "x": pa.timestamp("us", "UTC"), "seen": pa.timestamp("us", "UTC")}
    stream, now = Decoder([table], {"t": pa.schema(kinds.items())}), 2 * 10**15
    for field in ("time", own, "seen", "When" if own else "time"):
        for value in TIMES:
            body = json.dumps({"table": "t", field: value}).encode()
            bad = [one.reason for one in stream.decode([Message(0, 0, now, body)], now).refused]
            refusal = pytest.raises(RefusalError) if bad else contextlib.nullcontext()
            with refusal as caught:
                read_events(body, {"t": EventTimes(table, kinds)}, now, "r")
            if bad:
                assert caught.value.fault.where == field
                assert bad[0].partition("unless it ")[2] in caught.value.fault.found


def test_of_many_events_the_first_bad_time_is_named() -> None:
    tables = {name: EventTimes(bt.Table(name, time="at"), ["at"]) for name in "ab"}
    events = [{"table": "b", "at": 5}, {"table": "a"}, {"table": "b", "time": "2020"}, {"table": "a", "at": "soon"}]
    with pytest.raises(RefusalError) as caught:
        read_events(json.dumps(events).encode(), tables, 10**15, "r")
    assert (caught.value.fault.where, caught.value.fault.found) == ("[2].time", "'2020'")
    assert read_events(json.dumps(events[:2]).encode(), tables, 10**15, "r")[1] == {"a": 1, "b": 1}


def test_a_time_that_the_clock_has_not_reached_is_taken_and_becomes_a_dead_letter() -> None:
    lines, _ = read_events(b'{"table":"t","time":"2050-01-01"}', {"t": EventTimes(bt.Table("t"), ())}, 10**15, "r")
    assert lines


def test_a_refused_time_says_what_may_stand_there() -> None:
    def refused(value: object, **fields: str) -> tuple[str, str, str]:
        table = bt.Table("t", time="at", **fields)
        with pytest.raises(RefusalError) as caught:
            read_events(
                json.dumps({"table": "t", "time": value}).encode(), {"t": EventTimes(table, ["at"])}, 10**15, "r"
            )
        said = caught.value.fault
        return said.found, said.allowed, said.fix

    assert refused("soon", time_format="%d.%m.%Y") == (
        "'soon'", "ISO 8601 text, or text by '%d.%m.%Y', or microseconds since 1970 UTC",
        'for example "2011-12-09T12:50:00Z"',
    )  # fmt: skip
    assert refused(1_293_962_400) == (
        "1293962400, which lies in 1970, unless it counts seconds", "ISO 8601 text, or microseconds since 1970 UTC",
        "1293962400000000 in microseconds",
    )  # fmt: skip


def test_counters_go_on_where_the_worker_before_left_them(tmp_path: Path) -> None:
    for _ in range(3):
        meters = Meters(tmp_path / "0")
        meters.add("bottega_events_total", 2, ("table", "orders"))
    other = Meters(tmp_path / "1")
    other.add("bottega_events_total", 1, ("table", "orders"))
    other.add("bottega_events_total", 1, ("table", 'a "b" \\ c'))
    text = exposition([tmp_path / "0", tmp_path / "1"]).decode()
    assert 'bottega_events_total{table="orders"} 7\n' in text
    assert r'bottega_events_total{table="a \"b\" \\ c"} 1' in text


def test_what_a_streamer_said_of_the_moment_goes_with_it(tmp_path: Path) -> None:
    paths = [tmp_path / "0-stream", tmp_path / "1-stream"]
    for path in paths:
        meters = Meters(path)
        meters.set("bottega_stream_lag", 5, ("partition", "0"))
        meters.add("bottega_stream_records_total", 3)
        meters.beat()
    assert 'bottega_stream_lag{partition="0"} 10\n' in exposition(paths).decode()
    os.utime(paths[0], (time.time() - 100, time.time() - 100))  # it was killed, and says no more
    text = exposition(paths).decode()
    assert 'bottega_stream_lag{partition="0"} 5\n' in text
    assert "bottega_stream_records_total 6\n" in text


def test_too_many_names_are_dropped_and_harm_nothing(meters: Meters, tmp_path: Path) -> None:
    for number in range(2 * ROOM):
        meters.add("bottega_events_total", 1, ("table", f"t{number}"))
    meters.add("bottega_events_total", 1, ("table", "t0"))
    found = counted(tmp_path / "meters")
    assert found['bottega_events_total{table="t0"}'] == 2
    assert len(found) == ROOM - 1


@given(st.lists(st.floats(0, 10), min_size=1, max_size=50))
@settings(max_examples=50, deadline=None)
def test_a_histogram_counts_what_is_at_most_each_border(values: list[float]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        meters = Meters(Path(place) / "0")
        for value in values:
            meters.observe("bottega_request_seconds", value, ("path", "/rank"))
        found = counted(Path(place) / "0")
    assert found['bottega_request_seconds_count{path="/rank"}'] == len(values)
    assert found['bottega_request_seconds_sum{path="/rank"}'] == pytest.approx(sum(values))
    for border in (0.001, 0.01, 0.02, 1.0):
        name = f'bottega_request_seconds_bucket{{path="/rank",le="{border:g}"}}'
        assert found[name] == sum(value <= border for value in values)


def test_request_ids_sort_by_time_and_do_not_repeat() -> None:
    made: list[Any] = [request_id(now) for now in (1, 2, 10**9, 1_765_000_000_000_000)]
    assert made == sorted(made)
    assert len({request_id(1) for _ in range(1000)}) == 1000
    assert all(usable(name) for name in made)
