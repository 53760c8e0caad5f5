"""The public contract of a store: what every kind must do, whoever wrote it.

A new store's test is three lines: parametrise over `CHECKS`, and call each with a function that opens the store.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bottega.errors import BuildError
from bottega.features.stores.keys import key, keys
from bottega.features.stores.memory import MemoryStore
from bottega.features.stores.protocol import Store, mark

_SPENDS, _LIMIT = 60, 18.1
Check = Callable[["Opening", Path], None]


class Opening(Protocol):
    """How a check opens the store under test: at the same folder it must be the same store.

    For `read_while_written` and `spent_by_many` it must be importable by another process: a function of a module, or a
    `partial` of one.
    """

    def __call__(self, folder: Path, readonly: bool = False) -> Store: ...


def check_store(opening: Opening, folder: Path, durable: bool = True) -> None:
    """Run all checks, each in a folder of its own; `AssertionError` says which promise was broken.

    durable: the store outlives `close` and is shared between processes; a store in memory is not.

    >>> import tempfile
    >>> check_store(lambda folder, readonly=False: MemoryStore(), Path(tempfile.mkdtemp()), durable=False)
    """
    for check in CHECKS if durable else CHECKS[: len(CHECKS) - len(DURABLE)]:
        check(opening, folder / check.__name__)


def same_as_memory(opening: Opening, folder: Path) -> None:
    """Random batches of writes and reads give what the store in memory gives."""
    rng = np.random.default_rng(7)
    store, truth = opening(folder), MemoryStore()
    names = [key([f"k{number}"]) for number in range(60)]
    for _ in range(30):
        group, width = [("a", 1), ("b", 5), ("ä/b", 3)][rng.integers(3)]
        picked = [names[at] for at in rng.integers(0, len(names), rng.integers(0, 12))]
        values = rng.normal(size=(len(picked), width)) * 10.0 ** rng.integers(-300, 300)
        values[rng.random(values.shape) < 0.2] = np.nan
        for each in (store, truth):
            each.write(group, picked, values)
        asked = [names[at] for at in rng.integers(0, len(names), 20)]
        for name in ("a", "b", "ä/b", "never written"):
            _equal(store.read(name, asked), truth.read(name, asked), f"read of {name!r}")
    store.close()


def unknown_and_empty(opening: Opening, folder: Path) -> None:
    """Unknown keys are NaN and not found; an unknown group has width 0; no keys give no rows."""
    store = opening(folder)
    values, found = store.read("g", [b"a", b"b"])
    _expect(values.shape == (2, 0) and not found.any(), "a group never written has width 0 and finds nothing")
    store.write("g", [], np.empty((0, 0)))
    store.write("g", [b"a"], np.array([[1.0, 2.0]]))
    values, found = store.read("g", [b"x", b"a", b"y"])
    _expect(found.tolist() == [False, True, False], "only what was written is found")
    _expect(bool(np.isnan(values[[0, 2]]).all()) and values[1].tolist() == [1.0, 2.0], "unknown keys are NaN")
    values, found = store.read("g", [])
    _expect(values.shape == (0, 2) and found.shape == (0,), "no keys give (0, width)")
    _expect(values.dtype == np.float64 and found.dtype == np.bool_, "rows are float64, found is bool")
    store.close()


def many_and_repeated(opening: Opening, folder: Path) -> None:
    """500 keys at once come in the order asked, repeated keys repeatedly; of equal keys written the last counts."""
    store = opening(folder)
    names = keys([[f"item {number}" for number in range(500)]])
    values = np.arange(500 * 50, dtype=np.float64).reshape(500, 50)
    store.write("g", names, values)
    order = np.random.default_rng(3).integers(0, 500, 700)
    read, found = store.read("g", [names[at] for at in order])
    _expect(bool(found.all()) and np.array_equal(read, values[order]), "500 keys come in the order asked")
    read += 1.0
    again, _ = store.read("g", names)
    _expect(np.array_equal(again, values), "what was read is the reader's own")
    store.write("g", [names[0], names[1], names[0]], np.stack([values[1], values[2], values[3]]))
    read, _ = store.read("g", names[:3])
    _expect(np.array_equal(read, values[[3, 2, 2]]), "a write replaces; of equal keys the last counts")
    store.close()


def awkward_keys(opening: Opening, folder: Path) -> None:
    """Keys may be empty, long, of any characters, and beginnings of each other; groups do not mix."""
    store = opening(folder)
    texts = [
        "",
        "a",
        "a\0",
        "\0",
        "\0\1",
        "ä",
        "日本語",
        "😀",
        " ",
        "a" * 511,
        "a" * 512,
        "a" * 5_000,
        "a" * 4_999 + "b",
    ]
    names = [key([text]) for text in texts] + [key(["a", "b"]), key(["ab", ""]), key(["", "ab"]), key([None])]
    _expect(len(set(names)) == len(names), "different parts give different keys")
    for number, group in enumerate(["", "g", "gg", "g\0", "ü"]):
        store.write(group, names, np.arange(len(names))[:, None] + np.full((1, 2), 100.0 * number))
    for number, group in enumerate(["", "g", "gg", "g\0", "ü"]):
        read, found = store.read(group, names)
        _expect(bool(found.all()), f"every key of group {group!r} is found")
        _expect(np.array_equal(read[:, 1], np.arange(len(names)) + 100.0 * number), f"group {group!r} keeps its rows")
    store.close()


def whole_or_not_at_all(opening: Opening, folder: Path) -> None:
    """A batch that does not fit is refused with `BuildError`, and neither its rows nor its marks are there."""
    store = opening(folder)
    store.write("g", [b"a"], np.array([[1.0, 2.0]]), {"applied": b"1"})
    for values in (np.ones((2, 3)), np.ones((1, 2)), np.ones(2)):
        try:
            store.write("g", [b"a", b"b"], values, {"applied": b"2"})
        except BuildError:
            pass
        else:
            raise AssertionError(f"values of shape {values.shape} were taken for 2 rows of width 2")
    read, found = store.read("g", [b"a", b"b"])
    _expect(read[0].tolist() == [1.0, 2.0] and found.tolist() == [True, False], "a refused batch leaves no row")
    _expect(store.marked("applied") == b"1", "a refused batch leaves no mark")
    _expect(store.marked("never") is None, "an unknown mark is None")
    mark(store, "applied", b"3")
    _expect(store.marked("applied") == b"3", "a mark can be set alone")
    _expect(store.describe()["groups"]["g"]["width"] == 2, "describe tells the groups' widths")
    store.close()
    store.close()


def added_or_refused(opening: Opening, folder: Path) -> None:
    """Amounts are added together or not at all; a limit is met and never passed; what a mark names happens once."""
    store = opening(folder)
    told = store.add("spent", [b"a", b"b", b"a"], [1.0, 2.5, 3.0], [4.0, 2.5, 4.0])
    _expect(
        told is not None and bool(told.all()), "amounts that reach a limit fit, those of one key one after the other"
    )
    told = store.add("spent", [b"a", b"c", b"b"], [0.5, 1.0, 0.0], [4.0, 9.0, 2.5])
    _expect(told is not None and told.tolist() == [False, True, True], "an amount that passes its limit is named")
    read, found = store.read("spent", [b"a", b"b", b"c"])
    _expect(read[:2, 0].tolist() == [4.0, 2.5] and not found[2], "where one is refused, nothing is added")
    for charged in (True, False):
        told = store.add("spent", [b"a"], [10.0], marks={"click 1": b""})
        _expect((told is not None) == charged, "a mark that is there already lets nothing be added")
    _expect(float(store.read("spent", [b"a"])[0][0, 0]) == 14.0, "without limits all amounts fit, once for each mark")
    told = store.add("spent", [b"a"], [1.0], [2.0], {"click 2": b"x"})
    _expect(told is not None and not told.any() and store.marked("click 2") is None, "refused amounts leave no mark")
    told = store.add("spent", [], [], marks={"click 3": b"x"})
    _expect(told is not None and store.marked("click 3") == b"x", "nothing can be added, and marked")
    store.write("wide", [b"a"], np.ones((1, 2)))
    for group, names, amounts in (("wide", [b"a"], [1.0]), ("spent", [b"a"], [np.nan]), ("spent", [b"a"], [1.0, 2.0])):
        try:
            store.add(group, names, amounts, marks={"click 4": b""})
        except BuildError:
            _expect(store.marked("click 4") is None, "what cannot be added leaves no mark")
        else:
            raise AssertionError(f"amounts {amounts} were added to the group {group!r}")
    store.close()


def forgotten_in_order(opening: Opening, folder: Path) -> None:
    """Marks are dropped by their names' order, the first ones first, and no more of them than asked."""
    store = opening(folder)
    names = ["a", "sale 1", "sale 1 x", "sale 10", "sale 2", "sale ä", "t"]
    for name in names:
        mark(store, name, name.encode())
    _expect(store.forget("b", "c") == 0, "where no name lies nothing is dropped")
    _expect(store.forget("sale ", "sale 2", most=2) == 2, "as many are dropped as asked")
    _expect(
        [name for name in names if store.marked(name)] == ["a", "sale 10", "sale 2", "sale ä", "t"], "first ones first"
    )
    _expect(store.forget("sale ", "sale 2") == 1, "the end is not dropped")
    _expect(store.forget("sale", "u") == 3, "names run on beyond the last one")
    _expect([name for name in names if store.marked(name)] == ["a"], "other names stay")
    store.close()


def restart(opening: Opening, folder: Path) -> None:
    """Rows and marks are there after closing and opening again, for reading too; a reader cannot write."""
    store = opening(folder)
    store.write("g", [b"a", b"b"], np.array([[1.0], [np.nan]]), {"as_of": b"now"})
    store.close()
    for readonly in (True, False):
        store = opening(folder, readonly=readonly)
        read, found = store.read("g", [b"a", b"b", b"c"])
        _expect(found.tolist() == [True, True, False] and read[0, 0] == 1.0, "rows are there after a restart")
        _expect(store.marked("as_of") == b"now", "marks are there after a restart")
        if readonly:
            try:
                store.write("g", [b"c"], np.ones((1, 1)))
            except BuildError:
                pass
            else:
                raise AssertionError("a store opened for reading was written")
        store.close()


def read_while_written(opening: Opening, folder: Path) -> None:
    """Readers in two other processes see each batch whole, and never an older one after a newer one."""
    store = opening(folder)
    names = keys([[f"k{number}" for number in range(100)]])
    store.write("g", names, np.zeros((100, 8)), {"round": b"0"})
    context = multiprocessing.get_context("spawn")
    started, results = context.Barrier(3), context.SimpleQueue()
    readers = [context.Process(target=_watch, args=(opening, folder, started, results)) for _ in range(2)]
    try:
        for reader in readers:
            reader.start()
        started.wait(60)
        for number in range(1, 61):
            store.write("g", names, np.full((100, 8), float(number)))
        store.write("more", keys([[f"x{n}" for n in range(20_000)]]), np.ones((20_000, 30)))
        store.write("g", names, np.full((100, 8), -1.0))
        found = [results.get() for _ in readers]
    finally:
        for reader in readers:
            reader.join(60)
            if reader.is_alive():
                reader.terminate()
        store.close()
    _expect(found == ["", ""], f"readers beside a writer see whole batches in order: {found}")


def spent_by_many(opening: Opening, folder: Path) -> None:
    """Three processes add at once: every amount counts once, no limit is passed, and it is there after a restart."""
    opening(folder).close()
    context = multiprocessing.get_context("spawn")
    started, results = context.Barrier(3), context.SimpleQueue()
    spenders = [context.Process(target=_spend, args=(opening, folder, n, started, results)) for n in range(3)]
    for spender in spenders:
        spender.start()
    told = [results.get() for _ in spenders]
    for spender in spenders:
        spender.join(60)
        if spender.is_alive():
            spender.terminate()
    _expect(not any(isinstance(one, str) for one in told), f"no process fails: {told}")
    store = opening(folder)
    read, _ = store.read("spent", [b"open", b"limited", b"once"])
    _expect(read[0, 0] == 3 * _SPENDS * 0.25, f"each of {3 * _SPENDS} amounts counts: {read[0, 0]}")
    fitted, marked = (sum(one[place] for one in told) for place in (0, 1))
    _expect(
        read[1, 0] == 0.25 * fitted <= _LIMIT < 0.25 * (fitted + 1), f"the limit is reached, not passed: {read[1, 0]}"
    )
    _expect(read[2, 0] == marked == _SPENDS, "what has one name happens once, whoever comes first")
    store.close()


def _spend(opening: Opening, folder: Path, number: int, started: Any, results: Any) -> None:
    try:
        store = opening(folder)
        started.wait(60)
        fitted = marked = 0
        for turn in range(_SPENDS):
            store.add("spent", [b"open"], [0.25])
            fits = store.add("spent", [b"limited", b"own %d" % number], [0.25, 1.0], [_LIMIT, np.inf])
            fitted += int(fits is not None and fits.all())
            marked += int(store.add("spent", [b"once"], [1.0], marks={f"click {turn}": b""}) is not None)
        store.close()
        results.put((fitted, marked))
    except Exception as error:
        results.put(repr(error))
        raise


def _watch(opening: Opening, folder: Path, started: Any, results: Any) -> None:
    try:
        store = opening(folder, readonly=True)
        names = keys([[f"k{number}" for number in range(100)]])
        started.wait(60)
        last, end = 0.0, time.monotonic() + 60
        while True:
            values, found = store.read("g", names)
            first = float(values[0, 0])
            if not found.all() or not (values == first).all():
                results.put(f"a torn batch: {sorted(set(values.ravel().tolist()))}")
                return
            if first == -1.0:
                break
            if first < last or time.monotonic() > end:
                results.put(f"{first} after {last}, or no end within a minute")
                return
            last = first
        store.close()
        results.put("")
    except Exception as error:
        results.put(repr(error))
        raise


def _expect(held: bool, promise: str) -> None:
    if not held:
        raise AssertionError(promise)


def _equal(got: Sequence[Any], right: Sequence[Any], what: str) -> None:
    _expect(got[0].shape == right[0].shape, f"{what}: shape {got[0].shape}, not {right[0].shape}")
    _expect(np.array_equal(got[0], right[0], equal_nan=True), f"{what}: other values than in memory")
    _expect(np.array_equal(got[1], right[1]), f"{what}: other keys found than in memory")


DURABLE: tuple[Check, ...] = (restart, read_while_written, spent_by_many)
CHECKS: tuple[Check, ...] = (
    same_as_memory, unknown_and_empty, many_and_repeated, awkward_keys, whole_or_not_at_all, added_or_refused,
    forgotten_in_order, *DURABLE,
)  # fmt: skip
