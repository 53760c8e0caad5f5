"""Asking several sources at once within a time: who is late is left out, and does not hold up who comes next."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from time import perf_counter
from typing import Generic, TypeVar

from bottega.errors import ServeError

log = logging.getLogger("bottega.service")

T = TypeVar("T")
_AT_ONCE = 4  # calls of one source that are late at a time: it is not asked then
_PATIENCE = 4  # a source that takes this part of the time is one that others do not wait behind
THREADS = 128
"""At most; each source may keep some."""


def in_turn(jobs: Mapping[str, Callable[[], T]]) -> tuple[dict[str, T], dict[str, str]]:
    """Give what each source answered, asked one after the other without a limit, and why the others did not.

    >>> in_turn({"a": lambda: 1, "b": lambda: 1 // 0})
    ({'a': 1}, {'b': 'left out, it failed: ZeroDivisionError'})
    """
    found, late = dict[str, T](), dict[str, str]()
    for name, job in jobs.items():
        _answer(name, job, found, late)
    return found, late


def _answer(name: str, ask: Callable[[], T], found: dict[str, T], late: dict[str, str]) -> None:
    """Take a source's answer; one that fails, which may be anybody's, is left out of this request."""
    try:
        found[name] = ask()
    except ServeError as error:
        late[name] = f"left out, {error.where}: {error.found}"
    except Exception as error:
        log.exception("%s failed", name)
        late[name] = f"left out, it failed: {type(error).__name__}"


class Gatherer:
    """Asks sources within a time; one that hangs holds up neither the others nor who comes next.

    Sources are asked one after the other by one thread, since those of this process would only take the processor from
    each other; who is slow, or was the last time, gets a thread beside it. Threads may share a gatherer. A call cannot
    be stopped: one that is late goes on, its answer is thrown away, and a source of which several calls are late is not
    asked until one comes back. Where time ends without any answer, as on a machine that stood still, the quickest of
    those that nobody came to ask is asked after all: a list of what is popular is better than none.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "source")
        self._took: dict[str, float] = {}
        self._late: Counter[str] = Counter()
        self._lock = Lock()

    def gather(self, jobs: Mapping[str, Callable[[], T]], budget_ms: float) -> tuple[dict[str, T], dict[str, str]]:
        """Give what each source answered in time, in their order, and why the others did not.

        budget_ms: for all together. A source that fails has no answer; the log has the traceback of what is a bug.

        >>> found, late = Gatherer().gather({"a": lambda: 1, "b": lambda: 2}, 1000)
        >>> found, late
        ({'a': 1, 'b': 2}, {})
        """
        end, patience = perf_counter() + budget_ms / 1e3, budget_ms / 1e3 / _PATIENCE
        with self._lock:
            full = [name for name in jobs if self._late[name] >= _AT_ONCE]
        asked = _Round[T]({name: job for name, job in jobs.items() if name not in full})
        slow = sum(self._took.get(name, 0.0) > patience for name in asked.waiting)
        for _ in range(min(1 + slow, len(asked.waiting))):
            self._threads.submit(self._work, asked)
        while asked.jobs and not asked.done.wait(min(patience, left := max(0.0, end - perf_counter()))) and left:
            if asked.waiting:
                self._threads.submit(self._work, asked)
        with self._lock:
            asked.open = False
            self._late.update(asked.running)
            quick = [name for name in asked.waiting if self._took.get(name, patience) < patience]
            self._took.update(dict.fromkeys(asked.running, budget_ms / 1e3))
        if quick and not asked.found:
            name = min(quick, key=lambda one: self._took[one])
            _answer(name, jobs[name], asked.found, asked.late)
            asked.waiting.remove(name)
        late = dict.fromkeys(full, f"left out, {_AT_ONCE} earlier requests still wait for it")
        late |= (
            dict.fromkeys([*asked.running, *asked.waiting], f"left out, not there after {budget_ms:g} ms") | asked.late
        )
        return {name: asked.found[name] for name in jobs if name in asked.found}, late

    def _work(self, asked: _Round[T]) -> None:
        """Ask one source after the other, while there are some and time is left."""
        while True:
            with self._lock:
                if not asked.open or not asked.waiting:
                    return
                name = asked.waiting.popleft()
                asked.running.append(name)
            begin, found, late = perf_counter(), dict[str, T](), dict[str, str]()
            _answer(name, asked.jobs[name], found, late)
            with self._lock:
                self._took[name] = perf_counter() - begin
                if not asked.open:  # nobody waits for it any more
                    self._late[name] -= 1
                    return
                asked.running.remove(name)
                asked.found |= found
                asked.late |= late
                if not asked.waiting and not asked.running:
                    asked.done.set()


class _Round(Generic[T]):
    """One gathering: which sources wait to be asked, which run, and what they said."""

    def __init__(self, jobs: Mapping[str, Callable[[], T]]) -> None:
        self.jobs, self.waiting, self.running = jobs, deque(jobs), list[str]()
        self.found, self.late = dict[str, T](), dict[str, str]()
        self.open, self.done = True, Event()
