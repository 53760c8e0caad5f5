"""What several processes may do to one store at once: read while it is written, swap, and spend."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bottega.features.stores.keys import keys
from bottega.features.stores.protocol import Store, amount

_SPENDS, _LIMIT, _SWAPS = 24, 7.1, 40
_NAMES = keys([[f"k{number}" for number in range(100)]])


class Opening(Protocol):
    """How a check opens the store under test: at the same folder it must be the same store.

    A store on a network may take the folder's name as the place of its rows. For the checks of this file it must be
    importable by another process: a function of a module, or a `partial` of one.
    """

    def __call__(self, folder: Path, readonly: bool = False) -> Store: ...


def whole_batches(opening: Opening, folder: Path) -> None:
    """Readers in two other processes see each batch whole, and never an older one after a newer one."""
    store = opening(folder)
    store.write("g", _NAMES, [_row(0.0)] * 100, {"round": b"0"})
    with _Together(_watch, opening, folder, 2, True) as together:
        for number in range(1, 61):
            store.write("g", _NAMES, [_row(float(number))] * 100)
        store.write("more", keys([[f"x{n}" for n in range(20_000)]]), [bytes(240)] * 20_000)
        store.write("g", _NAMES, [_row(-1.0)] * 100)
    expect(together.told == ["", ""], f"readers beside a writer see whole batches in order: {together.told}")
    store.close()


def whole_rows(opening: Opening, folder: Path) -> None:
    """Readers in two other processes see each row whole, none older than before or than a mark says."""
    store = opening(folder)
    store.write("g", _NAMES, [_row(0.0)] * 100, {"round": b"0"})
    with _Together(_watch, opening, folder, 2, False) as together:
        for number in range(1, 21):
            store.write("g", _NAMES, [_row(float(number))] * 100, {"round": b"%d" % number})
        store.write("g", _NAMES, [_row(-1.0)] * 100)
    expect(together.told == ["", ""], f"readers beside a writer see whole rows in order: {together.told}")
    store.close()


def swapped_by_many(opening: Opening, folder: Path) -> None:
    """Three processes count in the same rows by `swap`: no update is lost, and none is done twice."""
    opening(folder).close()
    with _Together(_count, opening, folder, 3) as together:
        pass
    expect(together.told == [_SWAPS] * 3, f"each process counts {_SWAPS} times: {together.told}")
    store = opening(folder)
    counts = [int(row or b"0") for row in store.read("g", _NAMES[:4])]
    expect(counts == [3 * _SWAPS] * 4, f"{3 * _SWAPS} counts of each row, none lost: {counts}")
    store.close()


def spent_by_many(opening: Opening, folder: Path) -> None:
    """Three processes add at once: every amount counts once, no limit is passed, and it is there after a restart."""
    opening(folder).close()
    with _Together(_spend, opening, folder, 3) as together:
        pass
    expect(not any(isinstance(one, str) for one in together.told), f"no process fails: {together.told}")
    store = opening(folder)
    free, limited, once = map(amount, store.read("spent", [b"open", b"limited", b"once"]))
    expect(free == 3 * _SPENDS * 0.25, f"each of {3 * _SPENDS} amounts counts: {free}")
    fitted, marked = (sum(one[place] for one in together.told) for place in (0, 1))
    expect(limited == 0.25 * fitted <= _LIMIT < 0.25 * (fitted + 1), f"the limit is reached, not passed: {limited}")
    expect(once == marked == _SPENDS, "what has one name happens once, whoever comes first")
    store.close()


def expect(held: bool, promise: str) -> None:
    """Say which promise was broken."""
    if not held:
        raise AssertionError(promise)


class _Together:
    """Some processes that begin at once; `told` has what each one gives, or its error, once all have ended."""

    def __init__(self, work: Callable[..., Any], opening: Opening, folder: Path, many: int, *more: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._results, self._begin = context.SimpleQueue(), context.Barrier(many + 1)
        self._processes = [
            context.Process(target=_told, args=(self._results, work, opening, folder, self._begin, number, *more))
            for number in range(many)
        ]
        self.told: list[Any] = []

    def __enter__(self) -> _Together:
        for process in self._processes:
            process.start()
        self._begin.wait(60)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.told = [self._results.get() for _ in self._processes]
        for process in self._processes:
            process.join(60 if kind is None else 0)
            if process.is_alive():
                process.terminate()


def _told(results: Any, work: Callable[..., Any], opening: Opening, folder: Path, begin: Any, *more: Any) -> None:
    try:
        results.put(work(opening, folder, begin, *more))
    except Exception as error:
        results.put(repr(error))
        raise


def _count(opening: Opening, folder: Path, begin: Any, number: int) -> int:
    store = opening(folder)
    begin.wait(60)
    counted, names = 0, _NAMES[:4] if number else _NAMES[:4][::-1]
    left = dict.fromkeys(names, _SWAPS)
    while asked := [name for name in names if left[name]]:
        before = store.read("g", asked)
        after = [b"%d" % (int(row or b"0") + 1) for row in before]
        for name, swapped in zip(asked, store.swap("g", asked, before, after), strict=True):
            left[name] -= swapped
            counted += swapped
    store.close()
    return counted // len(names)


def _spend(opening: Opening, folder: Path, begin: Any, number: int) -> tuple[int, int]:
    store = opening(folder)
    begin.wait(60)
    fitted = marked = 0
    for turn in range(_SPENDS):
        store.add("spent", [b"open"], [0.25])
        fits = store.add("spent", [b"limited", b"own %d" % number], [0.25, 1.0], [_LIMIT, np.inf])
        fitted += int(fits is not None and fits.all())
        marked += int(store.add("spent", [b"once"], [1.0], marks={f"click {turn}": b""}) is not None)
    store.close()
    return fitted, marked


def _watch(opening: Opening, folder: Path, begin: Any, number: int, whole: bool) -> str:
    del number
    store = opening(folder, readonly=True)
    begin.wait(60)
    last, end = np.zeros(len(_NAMES)), time.monotonic() + 60
    while True:
        mark = float(store.marked("round") or b"nan")
        rows = store.read("g", _NAMES)
        if None in rows:
            return "a row that was written is not there"
        values = np.frombuffer(b"".join(row or b"" for row in rows)).reshape(len(rows), -1)
        seen = values[:, 0]
        if not (values == values[:1] if whole else seen == values.T).all():
            return f"a torn {'batch' if whole else 'row'}: {np.unique(values)}"
        if (seen == -1.0).all():
            store.close()
            return ""
        now = np.where(seen == -1.0, np.inf, seen)
        if (now < last).any() or (now < mark).any() or time.monotonic() > end:
            return f"{now.min()} after {last.max()} and the mark {mark}, or no end within a minute"
        last = now


def _row(value: float) -> bytes:
    return np.full(8, value, "<f8").tobytes()
