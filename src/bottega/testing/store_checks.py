"""The public contract of a store: what every kind must do, whoever wrote it.

A new store's test is three lines: parametrise over `checks(…)`, and call each with a function that opens the store.
"""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bottega.errors import BuildError
from bottega.features.stores.keys import key, keys
from bottega.features.stores.memory import MemoryStore
from bottega.features.stores.protocol import LATE_S, amount, mark
from bottega.testing.store_together import (
    Opening,
    expect,
    spent_by_many,
    swapped_by_many,
    whole_batches,
    whole_rows,
)

Check = Callable[[Opening, Path], None]
_KEPT_S = 1.0
_GROUPS = ["", "g", "gg", "g\0", "ü", "a:b", "{a}"]


def check_store(opening: Opening, folder: Path, durable: bool = True, embedded: bool = True) -> None:
    """Run all checks, each in a folder of its own; `AssertionError` says which promise was broken.

    durable: the store outlives `close` and is shared between processes; a store in memory is not. embedded: a batch is
    written and read whole; on a network each row is.

    >>> import tempfile
    >>> check_store(lambda folder, readonly=False: MemoryStore(), Path(tempfile.mkdtemp()), durable=False)
    """
    for check in checks(durable, embedded):
        check(opening, folder / check.__name__)


def checks(durable: bool = True, embedded: bool = True) -> list[Check]:
    """Give the checks that such a store must pass; see `check_store`."""
    return [*CHECKS, *(DURABLE if durable else ()), *((whole_batches,) if durable and embedded else ())]


def same_as_memory(opening: Opening, folder: Path) -> None:
    """Random writes, swaps, sums and reads give what the store in memory gives."""
    rng = np.random.default_rng(7)
    store, truth = opening(folder), MemoryStore()
    names = [key([f"k{number}"]) for number in range(40)]
    for _ in range(25):
        group = ["a", "b", "ä/b"][rng.integers(3)]
        picked = [names[at] for at in rng.integers(0, len(names), rng.integers(0, 12))]
        rows = [rng.bytes(int(rng.integers(0, 60))) for _ in picked]
        for each in (store, truth):
            each.write(group, picked, rows)
        asked = [names[at] for at in rng.permutation(len(names))[:12]]
        before = [row if rng.random() < 0.7 else b"another" for row in truth.read(group, asked)]
        told = [each.swap(group, asked, before, [b"s" + one for one in asked]) for each in (store, truth)]
        expect(told[0] == told[1], "the same rows are swapped as in memory")
        amounts = (rng.normal(size=12) * 10.0 ** rng.integers(-9, 9, 12)).tolist()
        limits = [1e9 * rng.random() for _ in asked]
        fits = [each.add("sums", asked, amounts, limits) for each in (store, truth)]
        expect(bool(np.all(fits[0] == fits[1])), "the same amounts fit as in memory")
        for name in ("a", "b", "ä/b", "sums", "never written"):
            expect(store.read(name, names) == truth.read(name, names), f"group {name!r} has the rows as in memory")
    store.close()


def unknown_and_empty(opening: Opening, folder: Path) -> None:
    """Unknown keys and groups give None; a row may be empty, and is there; no keys give no rows."""
    store = opening(folder)
    expect(store.read("g", [b"a", b"b"]) == [None, None], "a group never written has no row")
    store.write("g", [], [])
    expect(store.swap("g", [], [], []) == [], "no keys swap nothing")
    store.write("g", [b"a", b"e"], [b"\0row\xff", b""])
    expect(store.read("g", [b"x", b"a", b"e", b"y"]) == [None, b"\0row\xff", b"", None], "only what was written is")
    expect(store.read("g", []) == [], "no keys give no rows")
    store.close()


def many_and_repeated(opening: Opening, folder: Path) -> None:
    """500 keys at once come in the order asked, repeated keys repeatedly; of equal keys written the last counts."""
    store = opening(folder)
    names = keys([[f"item {number}" for number in range(500)]])
    rows = [struct.pack("<50d", *range(at, at + 50)) for at in range(500)]
    store.write("g", names, rows)
    order = np.random.default_rng(3).integers(0, 500, 700).tolist()
    asked = [names[at] for at in order] + [b"nobody"]
    expect(store.read("g", asked) == [*(rows[at] for at in order), None], "500 keys come in the order asked")
    store.write("g", [names[0], names[1], names[0]], [b"1", b"2", b"3"])
    expect(store.read("g", names[:3]) == [b"3", b"2", rows[2]], "a write replaces; of equal keys the last counts")
    told = store.swap("g", names, [b"3", b"2", *rows[2:]], rows)
    expect(all(told) and store.read("g", names) == rows, "500 keys are swapped at once")
    store.close()


def awkward_keys(opening: Opening, folder: Path) -> None:
    """Keys may be empty, long, of any bytes, and beginnings of each other; groups do not mix."""
    store = opening(folder)
    texts = ["", "a", "a\0", "\0", "\0\1", "ä", "日本語", "😀", " ", "a:b", *("a" * n for n in (490, 511, 512, 5_000))]
    names = [key([text]) for text in [*texts, "a" * 4_999 + "b"]]
    names += [key(["a", "b"]), key(["ab", ""]), key(["", "ab"]), key([None]), b"\xff\xfe", bytes(range(256))]
    expect(len(set(names)) == len(names), "different parts give different keys")
    for group in _GROUPS:
        store.write(group, names, [f"{group} {at}".encode() for at in range(len(names))])
    for group in _GROUPS:
        right = [f"{group} {at}".encode() for at in range(len(names))]
        expect(store.read(group, names) == right, f"group {group!r} keeps the row of each key")
        expect(all(store.swap(group, names, right, right)), f"each key of group {group!r} is swapped")
    told = store.add("sums", names, [float(at) for at in range(len(names))])
    sums = [amount(row) for row in store.read("sums", names)]
    expect(told is not None and sums == list(range(len(names))), "each key has a sum of its own")
    store.close()


def refused(opening: Opening, folder: Path) -> None:
    """What does not fit is refused with `BuildError`, and neither rows nor marks of it are there."""
    store = opening(folder)
    store.write("g", [b"a"], [b"old"], {"applied": b"1"})
    faults: list[Callable[[], Any]] = [
        lambda: store.write("g", [b"a", b"b"], [b"new"], {"applied": b"2"}),
        lambda: store.write("g", [b"a"], np.ones((1, 2)), {"applied": b"2"}),  # type: ignore[arg-type]
        lambda: store.write("g", [b"a"], [b"new"], {"applied": b"2"}, keep_s=0.0),
        lambda: store.write("g", [b"a"], [b"new"], {"applied": b"2"}, keep_s=float("nan")),
        lambda: store.swap("g", [b"a", b"a"], [b"old", b"old"], [b"new", b"new"]),
        lambda: store.swap("g", [b"a"], [b"old", b"old"], [b"new"]),
        lambda: store.swap("g", [b"a"], [b"old"], [b"new"], keep_s=-1.0),
        lambda: store.add("g", [b"a"], [1.0], marks={"applied 2": b""}),  # `old` is no number
        lambda: store.add("sums", [b"a"], [float("nan")], marks={"applied 2": b""}),
        lambda: store.add("sums", [b"a"], [1.0, 2.0], marks={"applied 2": b""}),
    ]
    for place, fault in enumerate(faults):
        try:
            fault()
        except BuildError:
            continue
        raise AssertionError(f"fault {place} was taken")
    expect(store.read("g", [b"a", b"b"]) == [b"old", None], "what is refused leaves no row")
    expect(store.read("sums", [b"a"]) == [None], "what is refused leaves no sum")
    expect(store.marked("applied") == b"1", "what is refused leaves no mark")
    expect(store.marked("applied 2") is None and store.marked("never") is None, "an unknown mark is None")
    mark(store, "applied", b"3")
    expect(store.marked("applied") == b"3", "a mark can be set alone")
    expect(isinstance(store.describe()["kind"], str), "describe tells the kind")
    store.close()
    store.close()


def swapped_or_left(opening: Opening, folder: Path) -> None:
    """A row is replaced only where it is still the one that was read, each key by itself, and the whole row counts."""
    store = opening(folder)
    long = bytes(range(256)) * 40
    store.write("g", [b"a", b"b", b"c", b"e"], [b"1", long, b"3", b""])
    names = [b"a", b"b", b"c", b"d", b"e", b"f"]
    told = store.swap("g", names, [b"1", long[:-1] + b"x", None, b"4", b"", None], [b"A", b"B", b"C", b"D", b"E", b"F"])
    expect(told == [True, False, False, False, True, True], f"those that were as read are swapped: {told}")
    expect(store.read("g", names) == [b"A", long, b"3", None, b"E", b"F"], "the others stay as they were")
    expect(store.swap("g", [b"e", b"a"], [None, b"1"], [b"x", b"x"]) == [False, False], "an empty row is a row")
    expect(store.swap("g", [b"b"], [long], [b""]) == [True], "a long row is compared whole")
    expect(store.swap("g", [b"b"], [b""], [long + b"\0"]) == [True], "a row may become empty, and long")
    expect(store.read("g", [b"b"]) == [long + b"\0"], "no byte is lost at the end")
    expect(store.swap("new", [b"a"], [None], [b"1"]) == [True], "a group may begin with a swap")
    store.close()


def kept_as_told(opening: Opening, folder: Path) -> None:
    """A row stays until its time has run out, is gone by the next sweep, and each write sets its time anew."""
    store = opening(folder)
    begin = time.time()
    store.write("g", [b"short", b"longer", b"ever"], [bytes(8)] * 3, keep_s=_KEPT_S)
    store.write("g", [b"longer"], [b"2"], keep_s=3_600.0)
    expect(store.swap("g", [b"ever"], [bytes(8)], [b"3"]) == [True], "a row with a time is swapped")
    store.write("g", [b"at last"], [b"4"])
    store.swap("g", [b"at last"], [b"4"], [b"5"], keep_s=_KEPT_S)
    store.sweep(begin + 0.9 * _KEPT_S)
    names = [b"short", b"longer", b"ever", b"at last"]
    found = store.read("g", names)
    if time.time() < begin + _KEPT_S:  # else this machine was too busy to look in time
        expect(None not in found, f"no row goes before its time: {found}")
    time.sleep(_KEPT_S + LATE_S + 0.3)
    store.sweep(time.time())
    found = store.read("g", names)
    expect(found == [None, b"2", b"3", None], f"each row has the time told last: {found}")
    told = store.swap("g", [b"short", b"at last"], [None, b"5"], [b"6", b"7"])
    expect(told == [True, False], "a row whose time has run out is not there for a swap")
    store.close()


def swept_by_time(opening: Opening, folder: Path) -> None:
    """A sweep drops what has run out at its moment, half-open, no more than asked; or the store does it by itself."""
    store = opening(folder)
    names = [b"%d" % number for number in range(8)]
    begin = time.time()
    for number, name in enumerate(names):
        store.write("g", [name], [name], keep_s=100.0 * (number + 1))
    end = time.time()
    store.write("h", names, names)
    gone = store.sweep(begin + 299.9, most=1)
    if gone == 0:
        expect(store.sweep(end + 1e6) == 0 and store.read("g", names) == names, "a store that sweeps itself sweeps all")
        store.close()
        return
    expect(gone == 1 and store.read("g", names)[0] is None, "the first one to run out goes first")
    expect(store.sweep(begin + 299.9) == 1 and store.sweep(begin + 299.9) == 0, "what has not run out stays")
    expect(store.read("g", names) == [None, None, *names[2:]], "each row goes by its own time")
    store.write("g", [names[2]], [b"anew"], keep_s=1_000.0)
    store.write("g", [names[3]], [b"for ever"])
    expect(store.sweep(end + 1_100.0, most=100) == 5, "a sweep drops all that has run out")
    expect(store.read("g", names) == [None] * 3 + [b"for ever"] + [None] * 4, "what is for ever stays")
    expect(store.read("h", names) == names, "other groups stay")
    store.close()


def version_with_each_write(opening: Opening, folder: Path) -> None:
    """The version is another one after each write, or is never told."""
    store = opening(folder)
    changes: list[Callable[[], Any]] = [
        lambda: store.write("g", [b"a"], [b"1"], keep_s=60.0),
        lambda: store.swap("g", [b"a"], [b"1"], [b"2"], keep_s=60.0),
        lambda: store.add("sums", [b"a"], [1.0]),
        lambda: mark(store, "m", b"1"),
        lambda: store.forget("m", "n"),
    ]
    seen = [store.version()]
    for change in changes:
        change()
        seen.append(store.version())
    expect(set(seen) == {None} or len(set(seen)) == len(seen), f"versions {seen} after each write")
    store.close()


def added_or_refused(opening: Opening, folder: Path) -> None:
    """Amounts are added together or not at all; a limit is met and never passed; what a mark names happens once."""
    store = opening(folder)

    def held(*names: bytes) -> list[float]:
        return [amount(row) for row in store.read("spent", names)]

    told = store.add("spent", [b"a", b"b", b"a"], [1.0, 2.5, 3.0], [4.0, 2.5, 4.0])
    expect(told is not None and bool(told.all()), "amounts that reach a limit fit, of one key one by one")
    told = store.add("spent", [b"a", b"c", b"b"], [0.5, 1.0, 0.0], [4.0, 9.0, 2.5])
    expect(told is not None and told.tolist() == [False, True, True], "an amount that passes its limit is named")
    expect(held(b"a", b"b") == [4.0, 2.5] and store.read("spent", [b"c"]) == [None], "one refused, none counts")
    for charged in (True, False):
        told = store.add("spent", [b"a"], [10.0], marks={"click 1": b""})
        expect((told is not None) == charged, "a mark that is there already lets nothing be added")
    expect(held(b"a") == [14.0], "without limits all amounts fit, once for each mark")
    told = store.add("spent", [b"a"], [1.0], [2.0], {"click 2": b"x"})
    expect(told is not None and not told.any() and store.marked("click 2") is None, "refused amounts leave no mark")
    told = store.add("spent", [], [], marks={"click 3": b"x"})
    expect(told is not None and store.marked("click 3") == b"x", "nothing can be added, and marked")
    told = store.add("spent", [b"a"], [1.0], marks={"click 4": b"", "click 3": b""})
    expect(told is None and store.marked("click 4") is None and held(b"a") == [14.0], "one known mark stops them all")
    for tiny in itertools.repeat(0.1, 10):
        store.add("spent", [b"tiny"], [tiny])
    expect(held(b"tiny") == np.cumsum([0.1] * 10)[-1:].tolist(), "sums are those of float64, to the last bit")
    store.close()


def forgotten_in_order(opening: Opening, folder: Path) -> None:
    """Marks are dropped by their names' order, the first ones first, and no more of them than asked."""
    store = opening(folder)
    names = ["a", "sale 1", "sale 1 x", "sale 10", "sale 2", "sale ä", "t"]
    for name in names:
        mark(store, name, name.encode())
    expect(store.forget("b", "c") == 0, "where no name lies nothing is dropped")
    expect(store.forget("sale ", "sale 2", most=2) == 2, "as many are dropped as asked")
    left = [name for name in names if store.marked(name)]
    expect(left == ["a", "sale 10", "sale 2", "sale ä", "t"], "first ones first")
    expect(store.forget("sale ", "sale 2") == 1, "the end is not dropped")
    expect(store.forget("sale", "u") == 3, "names run on beyond the last one")
    expect([name for name in names if store.marked(name)] == ["a"], "other names stay")
    store.close()


def restart(opening: Opening, folder: Path) -> None:
    """Rows and marks are there after closing and opening again, for reading too; a reader cannot write."""
    store = opening(folder)
    store.write("g", [b"a", b"b"], [b"1", b""], {"as_of": b"now"})
    store.close()
    for readonly in (True, False):
        store = opening(folder, readonly=readonly)
        expect(store.read("g", [b"a", b"b", b"c"]) == [b"1", b"", None], "rows are there after a restart")
        expect(store.marked("as_of") == b"now", "marks are there after a restart")
        changes: list[Callable[[], Any]] = [
            lambda store=store: store.write("g", [b"c"], [b"1"]),  # type: ignore[misc]
            lambda store=store: store.swap("g", [b"a"], [b"1"], [b"2"]),  # type: ignore[misc]
            lambda store=store: store.add("sums", [b"a"], [1.0]),  # type: ignore[misc]
            lambda store=store: store.forget("a", "b"),  # type: ignore[misc]
            lambda store=store: store.sweep(time.time()),  # type: ignore[misc]
        ]
        for change in changes if readonly else ():
            try:
                change()
            except BuildError:
                continue
            raise AssertionError("a store opened for reading was written")
        store.close()


CHECKS: tuple[Check, ...] = (
    same_as_memory, unknown_and_empty, many_and_repeated, awkward_keys, refused, swapped_or_left, kept_as_told,
    swept_by_time, version_with_each_write, added_or_refused, forgotten_in_order,
)  # fmt: skip
"""What every store must pass."""
DURABLE: tuple[Check, ...] = (restart, whole_rows, swapped_by_many, spent_by_many)
"""What one must pass that outlives `close` and is shared between processes."""
