"""One load test as it runs: a loop that sends what is due, reads what comes, and never waits for an answer to send."""

from __future__ import annotations

import select
import time
from collections import Counter, deque

import msgspec

from bottega.errors import ServeError
from bottega.serving.load_wire import Connection, Target
from bottega.serving.wire import counted

_UNASKED = ": missing"  # said of a column that the request itself left empty, and of nothing else


class Told(msgspec.Struct):
    """What the generator reads of an answer."""

    version: str = ""
    degradations: list[str] = []


class Run:
    """A test: after `go`, each request's latency and lateness in seconds, and counters of what was answered.

    target: where to. bodies, due: each request's body, and its intended moment in seconds from the start, ascending.
    connections: how many to open. timeout: seconds.
    Errors: `ServeError` when nothing listens.
    """

    def __init__(self, target: Target, bodies: list[bytes], due: list[float], connections: int, timeout: float) -> None:
        self.bodies, self.due, self.timeout = bodies, due, timeout
        try:
            opened = [Connection(target, timeout) for _ in range(connections)]
        except OSError as error:
            raise ServeError(
                target.url, f"no connection: {error}", "a running service", "bottega serve DESIGN"
            ) from None
        self.free = deque(opened)
        self.all = opened
        self.dead: list[Connection] = []
        self.by_socket = {connection.socket.fileno(): connection for connection in opened}
        self.flying: dict[Connection, tuple[int, float]] = {}  # in the order of sending, so the oldest is first
        self.latency = [0.0] * len(due)
        self.lateness = [0.0] * len(due)
        self.errors: Counter[str] = Counter()
        self.degradations: Counter[str] = Counter()
        self.shortfalls: Counter[str] = Counter()
        self.unasked: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()
        self.answered = self.degraded = 0
        self.last = 0.0
        self._read = msgspec.json.Decoder(Told)

    def go(self) -> None:
        """Send everything, and return when the last answer is there or given up."""
        clock, free, due = time.perf_counter, self.free, self.due
        total, sent, freed = len(due), 0, 0.0  # freed: since when a connection has been free
        self.began = began = clock()
        while sent < total or self.flying:
            now = clock() - began
            while sent < total and free and due[sent] <= now:
                self.lateness[sent] = now - max(due[sent], freed)
                self._send(free.popleft(), sent, now)
                sent += 1
                now = clock() - began
            wait = min(due[sent] - now, 1.0) if sent < total and free else 0.25
            readable, _, _ = select.select(list(self.by_socket), (), (), max(0.0, wait))
            if not free and readable:
                freed = clock() - began
            for number in readable:
                self._receive(self.by_socket[number])
            self._revive()
            self._expire(clock() - began)
            while sent < total and len(self.dead) == len(self.all) and due[sent] + self.timeout < clock() - began:
                self._refuse(sent)
                sent += 1

    def close(self) -> None:
        """Close all connections."""
        for connection in self.all:
            connection.socket.close()

    def _send(self, connection: Connection, index: int, now: float) -> None:
        self.flying[connection] = (index, now)
        try:
            connection.send(self.bodies[index])
        except OSError:
            self._fail(connection, "closed")

    def _receive(self, connection: Connection) -> None:
        try:
            answer = connection.receive()
        except OSError:
            self._fail(connection, "closed")
            return
        except ValueError:
            self._fail(connection, "unreadable")
            return
        if answer is None or connection not in self.flying:
            return
        status, body, stays = answer
        self._done(connection)
        if status == 200:
            self.answered += 1
            self._note(body)
        else:
            self.errors[str(status)] += 1
        if stays:
            self.free.append(connection)
        else:
            self._lay_down(connection)

    def _note(self, body: bytes) -> None:
        try:
            told = self._read.decode(body)
        except msgspec.DecodeError:
            return
        self.versions[told.version] += 1
        degradations, shortfalls = counted(told.degradations)
        unasked = {name for name in degradations if name.endswith(_UNASKED)}
        self.unasked.update(name.removesuffix(_UNASKED) for name in unasked)
        degradations -= unasked
        self.degraded += bool(degradations)
        self.degradations.update(degradations)
        self.shortfalls.update(shortfalls)

    def _done(self, connection: Connection) -> None:
        index, _ = self.flying.pop(connection)
        self.last = time.perf_counter() - self.began
        self.latency[index] = self.last - self.due[index]

    def _fail(self, connection: Connection, how: str) -> None:
        if connection in self.flying:
            self._done(connection)
            self.errors[how] += 1
        else:
            self.free.remove(connection)
        self._lay_down(connection)

    def _refuse(self, index: int) -> None:
        self.last = time.perf_counter() - self.began
        self.latency[index] = self.last - self.due[index]
        self.errors["refused"] += 1

    def _lay_down(self, connection: Connection) -> None:
        self.by_socket.pop(connection.socket.fileno(), None)
        self.dead.append(connection)

    def _revive(self) -> None:
        for connection in self.dead[:]:
            try:
                connection.reopen()
            except OSError:
                continue  # tried again on the next round; while none is left, the requests wait and it counts
            self.dead.remove(connection)
            self.by_socket[connection.socket.fileno()] = connection
            self.free.append(connection)

    def _expire(self, now: float) -> None:
        while self.flying:
            connection, (_, since) = next(iter(self.flying.items()))
            if now - since < self.timeout:
                return
            self._fail(connection, "timeout")
