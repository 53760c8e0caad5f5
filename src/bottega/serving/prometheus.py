"""Counters that all workers share: each writes a mapped file of its own, and whoever is asked adds them up."""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

ROOM = 2048
_NAMES_BYTES = 128 * 1024
_VALUES_BYTES = 8 * ROOM
BORDERS = (0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5)

FAMILIES = {
    "bottega_requests_total": ("counter", "Requests by path and status."),
    "bottega_request_seconds": ("histogram", "Seconds from a request's arrival in a worker to its answer, by path."),
    "bottega_stage_seconds_total": ("counter", "Seconds spent in each stage of the path."),
    "bottega_stage_answers_total": ("counter", "Answers that went through each stage."),
    "bottega_degraded_total": ("counter", "Answers for which something was missing, left out or late."),
    "bottega_degradations_total": ("counter", "Degradations by name, each number in a name written as n."),
    "bottega_shortfalls_total": ("counter", "Answers with less to show than was asked for, by name; no degradation."),
    "bottega_events_total": ("counter", "Events that are on the disk, by table."),
    "bottega_stream_events_total": ("counter", "Events that the stream brought into the store, by table."),
    "bottega_stream_refused_total": (
        "counter",
        "Messages laid aside as dead letters, by the table they name.",
    ),
    "bottega_stream_repeated_total": ("counter", "Events left out because their id had come before."),
    "bottega_stream_unknown_fields_total": (
        "counter",
        "Events with a field that is no column, by table.",
    ),
    "bottega_stream_records_total": ("counter", "Records of the store that events changed."),
    "bottega_stream_conflicts_total": ("counter", "Times that two streamers met in one record, and one began again."),
    "bottega_stream_seconds": ("histogram", "Seconds from taking messages to their being in the store."),
    "bottega_stream_lag": ("gauge", "Messages that wait in the stream, by partition."),
    "bottega_stream_waits": ("gauge", "Streamers that cannot go on: the stream or the store is away."),
    "bottega_sales_total": ("counter", "Slots that auctions sold."),
    "bottega_clicks_total": ("counter", "Clicks by outcome: charged, again (charged before), unknown."),
    "bottega_given_free_total": ("counter", "What clicks cost beyond budgets, which nobody pays, in the unit of bids."),
    "bottega_revenue_total": ("counter", "What advertisers were charged, in the unit of their bids."),
    "bottega_log_lines_total": ("counter", "Decisions that are on the disk."),
    "bottega_log_lost_total": ("counter", "Decisions that could not be written."),
    "bottega_load_failures_total": ("counter", "Builds that could not be loaded; the build before goes on serving."),
    "bottega_swaps_total": ("counter", "Times that a worker changed its build."),
    "bottega_restarts_total": ("counter", "Workers that were started again after they had died."),
    "bottega_version_info": ("gauge", "Workers that serve each build."),
}

_PASSING = {"bottega_version_info"}  # gauges of which a 0 says nothing
BEATING = "-stream"
"""The end of the names of files whose writers `beat`: of one that has not for a while, the gauges are left out."""
_SILENT_S = 30.0

Labels = tuple[tuple[str, str], ...]


class Meters:
    """One writer's counters, in a file of a fixed size that other processes read at any moment.

    A worker that is started again opens the same file and counts on, so that no counter ever falls.
    Only the first `ROOM` − 1 names are kept; what comes later is dropped, so labels must be few.

    path: the writer's file; made when missing.
    """

    def __init__(self, path: Path) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(file, _VALUES_BYTES + _NAMES_BYTES)
            self._map = mmap.mmap(file, _VALUES_BYTES + _NAMES_BYTES)
        finally:
            os.close(file)
        self._path = path
        self._values = memoryview(self._map)[:_VALUES_BYTES].cast("d")  # [0]: bytes of names that are in use
        self._places = {key: place for place, key in enumerate(_names(self._map), 1)}
        self._lock = threading.Lock()

    def add(self, name: str, amount: float = 1.0, *labels: tuple[str, str]) -> None:
        """Add to a counter. A counter belongs to one thread."""
        if (place := self._place((name, labels))) is not None:
            self._values[place] += amount

    def set(self, name: str, value: float, *labels: tuple[str, str]) -> None:
        """Set a gauge; over all workers its values are added."""
        if (place := self._place((name, labels))) is not None:
            self._values[place] = value

    def observe(self, name: str, seconds: float, *labels: tuple[str, str]) -> None:
        """Count a value into its histogram."""
        border = next((f"{border:g}" for border in BORDERS if seconds <= border), "+Inf")
        self.add(f"{name}_bucket", 1.0, *labels, ("le", border))
        self.add(f"{name}_sum", seconds, *labels)

    def beat(self) -> None:
        """Say that the writer is there: see `BEATING`."""
        os.utime(self._path)

    def names(self) -> list[tuple[str, Labels]]:
        """Give what has been counted so far, by name and labels."""
        return list(self._places)

    def _place(self, key: tuple[str, Labels]) -> int | None:
        place = self._places.get(key)
        return self._new(key) if place is None else place

    def _new(self, key: tuple[str, Labels]) -> int | None:
        with self._lock:
            if key in self._places:
                return self._places[key]
            used, place = int(self._values[0]), len(self._places) + 1
            name, labels = key
            line = "\x1f".join([name, *(part for label in labels for part in label)]).encode() + b"\n"
            if place >= ROOM or used + len(line) > _NAMES_BYTES:
                return None
            self._map[_VALUES_BYTES + used : _VALUES_BYTES + used + len(line)] = line
            self._values[0] = used + len(line)  # last, so that no reader sees half a name
            self._places[key] = place
            return place


def exposition(paths: Iterable[Path]) -> bytes:
    """Add up the files of all workers, and write the sum in the text format of Prometheus.

    What a streamer that is gone said of the moment is left out, what it counted stays.
    Source: https://prometheus.io/docs/instrumenting/exposition_formats/
    """
    total: dict[tuple[str, Labels], float] = defaultdict(float)
    for path in paths:
        data = path.read_bytes()
        values = memoryview(data)[:_VALUES_BYTES].cast("d")
        gone = path.name.endswith(BEATING) and time.time() - path.stat().st_mtime > _SILENT_S
        for place, key in enumerate(_names(data), 1):
            if not gone or FAMILIES.get(key[0], ("counter",))[0] != "gauge":
                total[key] += values[place]
    lines: list[str] = []
    for family, (kind, told) in FAMILIES.items():
        lines += [f"# HELP {family} {told}", f"# TYPE {family} {kind}"]
        if kind == "histogram":
            lines += _histogram(family, total)
        else:
            rows = [(labels, value) for (name, labels), value in sorted(total.items()) if name == family]
            lines += [_line(family, labels, value) for labels, value in rows if value or family not in _PASSING]
    return ("\n".join(lines) + "\n").encode()


def _histogram(family: str, total: dict[tuple[str, Labels], float]) -> list[str]:
    lines = []
    for labels in sorted(labels for name, labels in total if name == f"{family}_sum"):
        count = 0.0
        for border in [*(f"{border:g}" for border in BORDERS), "+Inf"]:
            bucket = (*labels, ("le", border))
            count += total.get((f"{family}_bucket", bucket), 0.0)
            lines.append(_line(f"{family}_bucket", bucket, count))
        lines += [
            _line(f"{family}_sum", labels, total[f"{family}_sum", labels]),
            _line(f"{family}_count", labels, count),
        ]
    return lines


def _line(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{inside}}} {value:.17g}" if inside else f"{name} {value:.17g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"")


def _names(data: bytes | mmap.mmap) -> list[tuple[str, Labels]]:
    used = int(memoryview(data)[:_VALUES_BYTES].cast("d")[0])
    found = []
    for line in bytes(data[_VALUES_BYTES : _VALUES_BYTES + used]).decode().split("\n")[:-1]:
        name, *parts = line.split("\x1f")
        found.append((name, tuple(zip(parts[::2], parts[1::2], strict=True))))
    return found
