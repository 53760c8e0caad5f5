"""Asking several sources at once within a time: who is late is left out, and does not hold up who comes next."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from threading import Lock
from time import perf_counter
from typing import Any, TypeVar

from bottega.errors import ServeError

log = logging.getLogger("bottega.service")

T = TypeVar("T")
_AT_ONCE = 4  # calls of one source that run at a time: further ones wait for a thread of its own


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
    """Asks sources side by side, each in threads of its own, so that one that hangs holds up no other.

    Threads may share it. A call cannot be stopped: one that is late goes on, its answer is thrown away, and a source
    whose threads are all taken by late ones is not asked until one comes back.
    """

    def __init__(self) -> None:
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._late: Counter[str] = Counter()
        self._lock = Lock()

    def gather(self, jobs: Mapping[str, Callable[[], T]], budget_ms: float) -> tuple[dict[str, T], dict[str, str]]:
        """Give what each source answered in time, in their order, and why the others did not.

        budget_ms: for all together. A source that fails has no answer; the log has the traceback of what is a bug.

        >>> found, late = Gatherer().gather({"a": lambda: 1, "b": lambda: 2}, 1000)
        >>> found, late
        ({'a': 1, 'b': 2}, {})
        """
        begin = perf_counter()
        asked: dict[str, Future[T]] = {}
        late: dict[str, str] = {}
        for name, job in jobs.items():
            if (pool := self._free(name)) is not None:
                asked[name] = pool.submit(job)
            else:
                late[name] = f"left out, {_AT_ONCE} earlier requests still wait for it"
        wait(asked.values(), max(0.0, budget_ms / 1e3 - (perf_counter() - begin)))
        found: dict[str, T] = {}
        for name, call in asked.items():
            if not call.done():
                late[name] = f"left out, not there after {budget_ms:g} ms"
                if not call.cancel():  # it runs, and goes on
                    with self._lock:
                        self._late[name] += 1
                    call.add_done_callback(partial(self._back, name))
                continue
            _answer(name, call.result, found, late)
        return found, late

    def _free(self, name: str) -> ThreadPoolExecutor | None:
        """Give the threads of a source; nothing where late calls have taken them all."""
        with self._lock:
            if self._late[name] >= _AT_ONCE:
                return None
            if name not in self._pools:
                self._pools[name] = ThreadPoolExecutor(_AT_ONCE, "source")
            return self._pools[name]

    def _back(self, name: str, _: Future[Any]) -> None:
        with self._lock:
            self._late[name] -= 1
