"""Events that come over HTTP: checked, and on the disk before they are acknowledged."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bottega.data.streams.event_times import EventTimes
from bottega.errors import ServeError, nearest
from bottega.serving.appending import ROTATE_BYTES, Appending
from bottega.serving.refusals import RefusalError, undecodable

NAME = "events"
_EVENT = msgspec.json.Decoder(dict[str, Any])
_INT64 = 2**63


def read_events(
    body: bytes, tables: Mapping[str, EventTimes], time: int, request_id: str
) -> tuple[bytes, dict[str, int]]:
    """Check a body of one event or a list of them, and give their lines for the log, and how many go to each table.

    An event is an object with `table` (one of the design's), optionally `time` or the columns of its times (read as the
    batch reads them), and its fields: text, numbers, true, false or null. One bad event refuses the whole body.

    tables: of the design, by name. time: of arrival, microseconds since 1970 UTC.
    Errors: `RefusalError`, 400 for what is no JSON and 422 for what is no event.
    """
    try:
        msgspec.json.decode(body)  # the whole must be JSON before its parts are looked at
        many = body.lstrip()[:1] == b"["
        rows = msgspec.json.decode(body, type=list[msgspec.Raw]) if many else [msgspec.Raw(body)]
        events = [_EVENT.decode(row) for row in rows]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise undecodable(error, body) from None
    counts: Counter[str] = Counter()
    lines = []
    for number, (row, event) in enumerate(zip(rows, events, strict=True)):
        _check(event, f"[{number}]." if many else "", tables)
        counts[event["table"]] += 1
        raw = bytes(row)
        if b"\n" in raw or b"\r" in raw:
            raw = msgspec.json.format(raw, indent=-1)
        line = {"time": time, "request_id": request_id, "event": msgspec.Raw(raw)}
        lines.append(msgspec.json.encode(line) + b"\n")
    _check_times(events, many, tables, time)
    return b"".join(lines), dict(counts)


class EventLog:
    """Brings lines to the disk; all that wait while one fsync goes on share the next one.

    folder: of the log. worker: the writer's number. rotate_bytes: size of a file.
    """

    def __init__(self, folder: Path, worker: int, rotate_bytes: int = ROTATE_BYTES) -> None:
        self._file = Appending(folder, NAME, worker, rotate_bytes)
        self._waiting: list[tuple[bytes, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._change = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._write, name="event-log", daemon=True)
        self._thread.start()

    async def add(self, lines: bytes) -> None:
        """Return when the lines are on the disk; `OSError` when they cannot be brought there, and none of them is."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        with self._change:
            self._waiting.append((lines, loop, done))
            self._change.notify()
        await done

    def close(self) -> None:
        """Write what waits, and end."""
        with self._change:
            self._ending = True
            self._change.notify()
        self._thread.join()
        self._file.close()

    def _write(self) -> None:
        while True:
            with self._change:
                while not self._waiting and not self._ending:
                    self._change.wait()
                batch, self._waiting = self._waiting, []
            if not batch:
                return
            fault: OSError | None = None
            try:
                self._file.append(b"".join(lines for lines, _, _ in batch))
            except OSError as error:
                fault = error
            loop = batch[0][1]
            loop.call_soon_threadsafe(_settle, [done for _, _, done in batch], fault)


class EventTopic:
    """Brings lines to a topic of Kafka, each event as a message, in the place of an `EventLog`.

    url: of the topic.
    """

    def __init__(self, url: str) -> None:
        from bottega.data.streams.kafka_sender import KafkaSender

        self._sender = KafkaSender(url)

    async def add(self, lines: bytes) -> None:
        """Return when all brokers that must have the events have them; `OSError` when they cannot be brought there."""
        found = [_LINE.decode(line) for line in lines.splitlines()]
        try:
            await asyncio.to_thread(
                self._sender.send, [bytes(line.event) for line in found], [line.time for line in found]
            )
        except ServeError as error:
            raise OSError(0, str(error)) from error

    def close(self) -> None:
        """Let go of the brokers."""
        self._sender.close()


class _Line(msgspec.Struct):
    time: int
    event: msgspec.Raw


_LINE = msgspec.json.Decoder(_Line)


def _settle(waiting: list[asyncio.Future[None]], fault: OSError | None) -> None:
    for done in waiting:
        if done.done():  # its client went away
            continue
        if fault is None:
            done.set_result(None)
        else:
            done.set_exception(fault)


def _check(event: dict[str, Any], at: str, tables: Collection[str]) -> None:
    table = event.get("table")
    if not isinstance(table, str) or table not in tables:
        found = "nothing" if table is None else repr(table)
        guess = nearest(table, tables) if isinstance(table, str) else ""
        raise RefusalError(422, f"{at}table", found, ", ".join(tables), guess or "name a table of the design")
    for name, value in event.items():
        if not (value is None or isinstance(value, str | int | float)):
            kind = "an object" if isinstance(value, dict) else "a list"
            raise RefusalError(422, f"{at}{name}"[:200], kind, "text, number, true, false or null", "flatten it")
        if isinstance(value, int) and not -_INT64 <= value < _INT64:
            raise RefusalError(422, f"{at}{name}"[:200], "a whole number over 64 bits", "64 bits", "send it as text")


def _check_times(events: list[dict[str, Any]], many: bool, tables: Mapping[str, EventTimes], now: int) -> None:
    """Refuse the first time that cannot be read; all of one field are read at once."""
    fields: dict[tuple[str, str], list[int]] = {}
    for place, event in enumerate(events):
        named = tables[event["table"]].named
        for name in event:
            if name in named:
                fields.setdefault((event["table"], name), []).append(place)
    found = []
    for (table, name), places in fields.items():
        if (fault := tables[table].faults(name, [events[place][name] for place in places], now)) is not None:
            found.append((places[fault[0]], name, tables[table].allowed(name), *fault[1:]))
    if found:
        place, name, allowed, wrong, fix = min(found)
        raise RefusalError(422, f"{f'[{place}].' if many else ''}{name}"[:200], wrong, allowed, fix)
