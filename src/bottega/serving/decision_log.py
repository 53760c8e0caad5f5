"""The decision log: every answer with what it was an answer to, so that later models can learn from it fairly."""

from __future__ import annotations

import base64
import errno
import heapq
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bottega.errors import DataError
from bottega.serving.appending import ROTATE_BYTES, Appending, placed
from bottega.serving.prometheus import Meters
from bottega.serving.wire import Answer, Explored, Item, Trace, Traced

INTERVAL = 0.05
QUEUE_BYTES = 16 * 2**20
NAME = "decisions"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Decision(msgspec.Struct):
    """One line of the log."""

    time: int
    """When it was answered, microseconds since 1970 UTC."""
    request_id: str
    worker: int
    version: str
    """The build that answered."""
    request: msgspec.Raw
    """The request as it came."""
    items: list[Item]
    """What was shown, best first, with the score of each stage, and the price and slot of what was sold."""
    propensity: float
    """The probability with which exactly this list was shown; 1 where nothing is drawn."""
    degradations: list[str]
    stage_ms: dict[str, float]
    trace: Trace | msgspec.UnsetType = msgspec.UNSET
    """All candidates with their scores and bids, and the features of the shown ones as they were served."""


def served_features(row: Mapping[str, Any], ladder: str, columns: int) -> np.ndarray:
    """Give the features of the shown items of one line of the log as a model read them, (shown, columns) float32.

    row: from `read_log`. ladder: whose model. columns: how many it reads: the length of the ladder's `names` in the
    build's `serving.json`.
    """
    raw = base64.b64decode(row["trace"]["features"].get(ladder, ""))
    return np.frombuffer(raw, "<f4").reshape(-1, columns)


def served_scores(row: Mapping[str, Any], ladder: str) -> np.ndarray:
    """Give a ladder's score of each of `row["trace"]["candidates"]`, (n,) float32; empty where it did not rank."""
    return np.frombuffer(base64.b64decode(row["trace"]["scores"].get(ladder, "")), "<f4")


def served_bids(row: Mapping[str, Any]) -> np.ndarray:
    """Give the bid for a click of each of `row["trace"]["candidates"]` as the auction took it, (n,) float64.

    NaN for one that took no part; empty where there was no auction.
    """
    return np.frombuffer(base64.b64decode(row["trace"].get("auction", {}).get("bids", "")), "<f8")


def record(body: bytes, answer: Answer, time: int, worker: int) -> dict[str, Any]:
    """Say of one answer what the log keeps, as plain values.

    body: the request's JSON. time: microseconds since 1970 UTC. worker: which process answered.
    """
    found: dict[str, Any] = msgspec.json.decode(line(body, answer, time, worker))
    return found


def line(body: bytes, answer: Answer, time: int, worker: int) -> bytes:
    """Give the same as one line of JSON."""
    return msgspec.json.encode(_decision(body, answer, time, worker)) + b"\n"


class DecisionLog:
    """Writes lines in the background: `add` only puts them into a queue, a thread brings them to the disk.

    A batch goes to the disk (fsync) every `interval` seconds. At a SIGKILL of the worker or a power cut at most the
    answers of the last `interval` and of the fsync that was going on are missing from the log, and nothing else.
    When the disk is slower than the answers, `room` makes them wait; nothing is dropped. When the disk is full, the
    answers go on, `trouble` names it, lines are lost and counted, and writing begins again by itself.

    folder: of the log. worker: the writer's number. meters: count the lines. interval: seconds, above 0; larger costs
    fewer writes and loses more. rotate_bytes: size of a file. queue_bytes: what may wait in memory.
    """

    def __init__(
        self,
        folder: Path,
        worker: int,
        meters: Meters,
        interval: float = INTERVAL,
        rotate_bytes: int = ROTATE_BYTES,
        queue_bytes: int = QUEUE_BYTES,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.trouble = ""
        self._file = Appending(folder, NAME, worker, rotate_bytes)
        self._meters, self._interval, self._most, self._say = meters, interval, queue_bytes, say
        self._lines: list[bytes] = []
        self._waiting = 0  # bytes that are not on the disk yet, the batch on its way included
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, name="decision-log", daemon=True)
        self._thread.start()

    def add(self, data: bytes) -> None:
        """Queue a line, with its newline at the end."""
        with self._lock:
            self._lines.append(data)
            self._waiting += len(data)

    @property
    def room(self) -> bool:
        """Whether the queue has room; an answer waits until it has."""
        return self._waiting < self._most

    def close(self) -> None:
        """Bring what waits to the disk, and end."""
        self._stop.set()
        self._thread.join()
        self._file.close()

    def _write(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stop.wait(self._interval)
            with self._lock:
                batch, self._lines = self._lines, []
            if not batch:
                continue
            data = b"".join(batch)
            try:
                self._file.append(data)
            except OSError as error:
                self._fail(error, len(batch))
            else:
                self.trouble = ""
                self._meters.add("bottega_log_lines_total", len(batch))
            with self._lock:
                self._waiting -= len(data)

    def _fail(self, error: OSError, lost: int) -> None:
        self._meters.add("bottega_log_lost_total", lost)
        if not self.trouble:
            self._say(f"the decision log cannot be written, answers go on: {error}")
        self.trouble = "log: full" if error.errno in _FULL else "log: cannot be written"


def read_log(folder: Path, name: str = NAME) -> Iterator[dict[str, Any]]:
    """Read what was logged, by time over all workers; a torn last line, which a killed process leaves, is passed over.

    folder: the log's folder. name: `decisions` or `events`.
    Errors: `DataError` for a line in the middle that is no JSON.
    """
    workers: dict[int, list[tuple[int, Path]]] = {}
    for path in folder.glob(f"{name}-*.jsonl"):
        if place := placed(path):
            workers.setdefault(place[1], []).append((place[2], path))
    streams = [_lines(sorted(files)) for _, files in sorted(workers.items())]
    return heapq.merge(*streams, key=lambda row: int(row["time"]))


def _lines(files: list[tuple[int, Path]]) -> Iterator[dict[str, Any]]:
    for _, path in files:
        with path.open("rb") as file:
            for number, row in enumerate(file, 1):
                if not row.endswith(b"\n") or b"\0" in row:  # a zero byte: room that is not written yet
                    break
                try:
                    yield msgspec.json.decode(row)
                except msgspec.DecodeError as error:
                    raise DataError(f"{path}:{number}", str(error), "a line of JSON", "remove the line") from None


def served_propensities(row: Mapping[str, Any]) -> np.ndarray:
    """Give the chance of each shown item in its place, over all draws, (shown,) float64; empty where none was drawn."""
    return np.frombuffer(base64.b64decode(row["trace"].get("explored", {}).get("propensity", "")), "<f8")


def _propensity(answer: Answer) -> float:
    """Give the chance of exactly this list."""
    trace = answer.trace if isinstance(answer, Traced) else msgspec.UNSET
    if not isinstance(trace, Trace) or not isinstance(trace.explored, Explored):
        return 1.0
    return float(np.frombuffer(trace.explored.given_above, "<f8").prod())


def _decision(body: bytes, answer: Answer, time: int, worker: int) -> Decision:
    if b"\n" in body or b"\r" in body:
        body = msgspec.json.format(body, indent=-1)
    return Decision(
        time,
        answer.request_id,
        worker,
        answer.version,
        msgspec.Raw(body),
        answer.items,
        _propensity(answer),
        answer.degradations,
        answer.stage_ms,
        answer.trace if isinstance(answer, Traced) else msgspec.UNSET,
    )
