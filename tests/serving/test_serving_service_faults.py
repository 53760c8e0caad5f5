"""The service under faults, with real processes: killed workers, swaps, damage, draining, a port in use."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from service_stand_in import make_build, release, settings_of

from bottega.errors import ServeError
from bottega.serving.decision_log import read_log
from bottega.serving.load import bodies, load
from bottega.serving.load_report import LoadResult
from bottega.serving.service import Settings, to_text, worker_environment
from bottega.serving.workers import running

IDS = [str(number) for number in range(100)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "shop"
    make_build(place, "b1")
    release(place, "b1")
    return place


def ask(url: str, body: object = None, timeout: float = 10) -> tuple[int, dict[str, Any]]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as got:
            return got.status, json.loads(got.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def metric(url: str, name: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as got:
        families = text_string_to_metric_families(got.read().decode())
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def until(true: Callable[[], object], seconds: float = 20) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it did not come to pass"
        time.sleep(0.02)


def workers_of(folder: Path) -> list[psutil.Process]:
    """Find the workers of a service by their command line."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            line = process.cmdline()
        except psutil.Error:  # it ended meanwhile
            continue
        if "bottega.serving.worker" in line and str(folder) in line[-1]:
            found.append(process)
    return found


def loaded_while(url: str, act: Callable[[], None], rate: float = 300, requests: int = 900) -> LoadResult:
    """Act a second after a load test began, and give what the test saw."""
    found: list[LoadResult] = []
    thread = threading.Thread(
        target=lambda: found.append(load(f"{url}/rank", bodies(IDS, "customer", 5), rate, requests, 8))
    )
    thread.start()
    time.sleep(1)
    act()
    thread.join(60)
    return found[0]


def test_a_killed_worker_takes_only_its_requests_in_flight_and_comes_back(folder: Path) -> None:
    with running(settings_of(folder)) as url:
        victim = workers_of(folder)[0]
        seen = loaded_while(url, victim.kill)
        assert seen.failed <= 8, seen.errors  # one on each connection
        assert set(seen.errors) <= {"closed"}
        until(lambda: len([p for p in workers_of(folder) if p.is_running()]) == 2 and victim not in workers_of(folder))
        until(lambda: metric(url, "bottega_version_info") == 2)
        assert metric(url, "bottega_restarts_total") == 1
        assert metric(url, "bottega_request_seconds_count") >= 900 - 8, "the killed worker's counts were lost"


def test_a_release_under_load_fails_no_request_and_mixes_no_versions(folder: Path) -> None:
    make_build(folder, "b2", load_s=0.2)
    with running(settings_of(folder, poll_s=0.05)) as url:
        seen = loaded_while(url, lambda: release(folder, "b2"))
        assert seen.errors == {}
        assert set(seen.versions) == {"b1", "b2"}
        until(lambda: metric(url, "bottega_swaps_total") == 2)
        assert ask(f"{url}/rank", {})[1]["version"] == "b2"
        release(folder, "b1")
        until(lambda: metric(url, "bottega_swaps_total") == 4)
        assert metric(url, "bottega_version_info") == 2
    rows = list(read_log(folder / "log"))
    assert len(rows) == 901
    for row in rows:
        assert {item["id"].partition("-")[0] for item in row["items"]} == {row["version"]}


@pytest.mark.parametrize("damage", ["facts.json", "folder", "crash"])
def test_a_damaged_release_leaves_the_old_one_serving_and_says_so(folder: Path, damage: str) -> None:
    make_build(folder, "b3")
    with running(settings_of(folder, poll_s=0.05)) as url:
        make_build(folder, "b2", crash=damage == "crash")
        if damage == "facts.json":
            (folder / "builds" / "b2" / "facts.json").write_text('{"cpu_')
        release(folder, "b9" if damage == "folder" else "b2")
        until(lambda: metric(url, "bottega_load_failures_total") == 2)
        status, told = ask(f"{url}/ready")
        assert (status, told["version"]) == (200, "b1")
        assert {"facts.json": "damaged", "folder": "b9", "crash": "the reader fell over"}[damage] in told["fault"]
        assert ask(f"{url}/rank", {})[1]["version"] == "b1"
        assert "the build cannot be loaded" in (folder / "log" / "service.log").read_text()
        release(folder, "b3")
        until(lambda: metric(url, "bottega_swaps_total") == 2)
        assert ask(f"{url}/ready") == (200, {"status": "ready", "version": "b3", "fault": None})


def test_what_cannot_be_served_is_one_clear_error(folder: Path, tmp_path: Path) -> None:
    with running(settings_of(folder, workers=1)) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(ServeError, match="Address already in use") as caught, running(Settings(folder, port=port)):
            pass
        assert "--port" in caught.value.fix
    with pytest.raises(ServeError, match="no release"), running(Settings(tmp_path / "none", port=0)):
        pass
    with pytest.raises(ServeError, match="no build 'b7'"), running(Settings(folder, port=0, build="b7")):
        pass
    (folder / "builds" / "b1" / "facts.json").write_text("{")
    with pytest.raises(ServeError, match="damaged") as caught, running(settings_of(folder)):
        pass
    assert caught.value.fix == "run the design again"
    with (
        pytest.raises(ServeError, match="did you mean"),
        running(settings_of(folder, loader="service_stand_in:load_standin")),
    ):
        pass
    assert workers_of(folder) == []


def test_a_named_build_is_served_whatever_is_released(folder: Path) -> None:
    make_build(folder, "b2")
    (folder / "current").unlink()
    with running(settings_of(folder, workers=1, build="b2", poll_s=0.05)) as url:
        release(folder, "b1")
        time.sleep(0.3)
        assert ask(f"{url}/rank", {})[1]["version"] == "b2"


def test_sigterm_lets_requests_in_flight_finish_and_takes_no_new_ones(folder: Path) -> None:
    make_build(folder, "slow", sleep_ms=700)
    release(folder, "slow")
    with running(settings_of(folder, workers=1)) as url:
        supervisor = psutil.Process(workers_of(folder)[0].ppid())
        answers: list[int] = []
        asking = threading.Thread(target=lambda: answers.append(ask(f"{url}/rank", {})[0]))
        asking.start()
        time.sleep(0.3)
        supervisor.terminate()
        asking.join()
        assert answers == [200]
        until(lambda: not connects(url))
        until(lambda: workers_of(folder) == [])
    assert [row["version"] for row in read_log(folder / "log")] == ["slow"], "what was answered is in the log"


def test_an_idle_connection_does_not_keep_it_from_ending(folder: Path) -> None:
    with running(settings_of(folder, workers=1, drain_s=30)) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        idle = http.client.HTTPConnection(host, int(port), timeout=20)
        idle.request("GET", "/health")
        assert idle.getresponse().read() == b'{"status":"alive"}'
        workers_of(folder)[0].parent().terminate()
        until(lambda: workers_of(folder) == [], seconds=15)
    idle.close()


def test_a_request_that_does_not_end_is_cut_off_after_the_drain(folder: Path) -> None:
    make_build(folder, "stuck", sleep_ms=30_000)
    release(folder, "stuck")
    with running(settings_of(folder, workers=1, drain_s=0.5)) as url:
        asking = threading.Thread(target=lambda: outcome.append(attempt(url)))
        outcome: list[str] = []
        asking.start()
        time.sleep(0.3)
    asking.join(5)
    assert outcome == ["cut off"]


def test_workers_end_when_the_supervisor_is_killed(folder: Path) -> None:
    with running(settings_of(folder, drain_s=1)):
        workers = workers_of(folder)
        assert len(workers) == 2
        os.kill(workers[0].ppid(), signal.SIGKILL)
        _, left = psutil.wait_procs(workers, timeout=10)
        assert left == []


def test_everything_ends_when_the_starter_is_killed(folder: Path) -> None:
    text = (
        "import sys, time\nfrom bottega.serving.service import Settings, from_text\n"
        "from bottega.serving.workers import running\n"
        "with running(from_text(sys.argv[1], Settings)) as url:\n    print(url, flush=True)\n    time.sleep(60)\n"
    )
    settings = to_text(settings_of(folder, workers=1))
    command = [sys.executable, "-c", text, settings]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=worker_environment()) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline().startswith("http://127.0.0.1:")
        family = psutil.Process(starter.pid).children(recursive=True)
        starter.kill()
    assert len(family) == 2
    assert psutil.wait_procs(family, timeout=10)[1] == []


def test_each_worker_runs_its_libraries_on_one_thread(folder: Path) -> None:
    with running(settings_of(folder)):
        for worker in workers_of(folder):
            limits = {name: value for name, value in worker.environ().items() if name.endswith("_NUM_THREADS")}
            assert {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"} <= set(limits)
            assert set(limits.values()) == {"1"}


@pytest.mark.parametrize("after", [0.3, 0.6])
def test_no_acknowledged_event_is_lost_by_a_kill(folder: Path, after: float) -> None:
    acknowledged: list[int] = []
    stop = threading.Event()

    def send(first: int) -> None:
        number = first
        while not stop.is_set():
            try:
                if ask(url + "/events", {"table": "orders", "number": number}, timeout=5)[0] == 202:
                    acknowledged.append(number)
            except OSError:
                time.sleep(0.01)
            number += 4

    with running(settings_of(folder)) as url:
        senders = [threading.Thread(target=send, args=(first,)) for first in range(4)]
        for sender in senders:
            sender.start()
        time.sleep(after)
        for worker in workers_of(folder):
            worker.kill()
        time.sleep(0.1)
        stop.set()
        for sender in senders:
            sender.join()
    kept = [row["event"]["number"] for row in read_log(folder / "log", "events")]
    assert len(acknowledged) > 20
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept))


def test_a_killed_worker_loses_no_more_of_the_decision_log_than_is_stated(folder: Path) -> None:
    told: list[str] = []

    def send(count: int) -> None:
        told.extend(ask(f"{url}/rank", {"k": 1})[1]["request_id"] for _ in range(count))

    with running(settings_of(folder, workers=1, log_interval_s=0.05)) as url:
        send(150)
        settled = len(told)
        time.sleep(0.5)
        send(5)
        workers_of(folder)[0].kill()
        time.sleep(0.1)
    kept = [row["request_id"] for row in read_log(folder / "log")]
    assert kept[:settled] == told[:settled]
    assert kept == told[: len(kept)]


@pytest.fixture
def small_disk(folder: Path) -> Iterator[str]:
    """A service whose processes may write files of 256 KiB at the most, which fail as a full disk does."""
    text = (
        "import resource, sys\nresource.setrlimit(resource.RLIMIT_FSIZE, (2**18, 2**18))\n"
        "from bottega.serving.workers import _main\nsys.exit(_main(sys.argv[1]))\n"
    )
    settings = to_text(settings_of(folder, workers=1, log_interval_s=0.01))
    command = [sys.executable, "-c", text, settings]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=worker_environment()) as service:
        assert service.stdout is not None
        yield msgspec.json.decode(service.stdout.readline())["url"]
        service.terminate()


def test_a_full_disk_degrades_answers_by_name_and_refuses_events(folder: Path, small_disk: str) -> None:
    url = small_disk
    note = "x" * 20_000
    statuses, degradations = set(), set()
    for _ in range(60):
        status, answer = ask(f"{url}/rank", {"customer": "a", "k": 1, "note": note})
        statuses.add(status)
        degradations.update(answer["degradations"])
        time.sleep(0.01)
    assert (statuses, degradations) == ({200}, {"log: full"})
    assert metric(url, "bottega_log_lost_total") > 0
    accepted = 0
    while (told := ask(f"{url}/events", {"table": "orders", "note": note}))[0] == 202:
        accepted += 1
    assert told[0] == 503
    assert told[1]["error"]["where"] == "log"
    assert len(list(read_log(folder / "log", "events"))) == accepted > 5
    lines = [len(row["request"]["note"]) for row in read_log(folder / "log")]
    assert set(lines) == {20_000}, "a line that was cut off stayed in the middle"
    assert len(lines) == metric(url, "bottega_log_lines_total")


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def connects(url: str) -> bool:
    try:
        ask(f"{url}/health", timeout=2)
    except OSError:
        return False
    return True


def attempt(url: str) -> str:
    try:
        return str(ask(f"{url}/rank", {}, timeout=20)[0])
    except OSError as error:
        return "timed out" if re.search("timed out", str(error)) else "cut off"
