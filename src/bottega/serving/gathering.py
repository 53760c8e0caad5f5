"""Asking several sources at once within a time: who is late is left out, and does not hold up who comes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock
from time import perf_counter
from typing import TypeVar

from bottega.errors import ServeError

T = TypeVar("T")
_AT_ONCE = 4  # calls of one source that may run at a time: more wait for nothing, and would take every thread


class Gatherer:
    """Asks sources side by side, each call in a thread; threads may share it.

    A call cannot be stopped: one that is late goes on, its answer is thrown away, and a source with too many of them is
    not asked until one comes back.

    sources: how many there are.
    """

    def __init__(self, sources: int) -> None:
        self._pool = ThreadPoolExecutor(max(1, sources) * _AT_ONCE, "source")
        self._busy: Counter[str] = Counter()
        self._lock = Lock()

    def gather(self, jobs: Mapping[str, Callable[[], T]], budget_ms: float) -> tuple[dict[str, T], dict[str, str]]:
        """Give what each source answered in time, in their order, and why the others did not.

        budget_ms: for all together. An answer that is a `ServeError` counts as none; other errors are raised.

        >>> found, late = Gatherer(2).gather({"a": lambda: 1, "b": lambda: 2}, 1000)
        >>> found, late
        ({'a': 1, 'b': 2}, {})
        """
        begin = perf_counter()
        asked: dict[str, Future[T]] = {}
        late: dict[str, str] = {}
        for name, job in jobs.items():
            with self._lock:
                free = self._busy[name] < _AT_ONCE
                self._busy[name] += free
            if free:
                asked[name] = self._pool.submit(self._run, name, job)
            else:
                late[name] = f"left out, {_AT_ONCE} earlier requests still wait for it"
        wait(asked.values(), max(0.0, budget_ms / 1e3 - (perf_counter() - begin)))
        found: dict[str, T] = {}
        for name, call in asked.items():
            if not call.done():
                late[name] = f"left out, not there after {budget_ms:g} ms"
                if call.cancel():  # it had not begun
                    self._free(name)
                continue
            try:
                found[name] = call.result()
            except ServeError as error:
                late[name] = f"left out, {error.where}: {error.found}"
        return found, late

    def _run(self, name: str, job: Callable[[], T]) -> T:
        try:
            return job()
        finally:
            self._free(name)

    def _free(self, name: str) -> None:
        with self._lock:
            self._busy[name] -= 1
