"""How long rows are kept in the embedded stores, to the moment: by a clock that the test sets."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.errors import BuildError
from bottega.features.stores import lmdb, memory
from bottega.features.stores.lmdb import LmdbStore
from bottega.features.stores.memory import MemoryStore
from bottega.features.stores.protocol import mark

KEY = st.sampled_from([b"", b"a", b"b", b"a" * 600, b"a" * 601])
KEEP = st.sampled_from([None, 0.5, 30.0, 60.0, 61.0, 3_600.0])
STEP = st.one_of(
    st.tuples(st.just("write"), st.lists(KEY, max_size=4), KEEP),
    st.tuples(st.just("swap"), st.lists(KEY, max_size=4, unique=True), KEEP, st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([0.25, 0.5, 29.5, 30.0, 60.0, 3_600.0])),
    st.tuples(st.just("sweep"), st.sampled_from([1, 2, 100])),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=30), st.sampled_from(["memory", "lmdb"]))
def test_rows_go_at_the_sweep_after_their_time_and_not_before(steps: list[tuple[Any, ...]], kind: str) -> None:
    clock = SimpleNamespace(now=1_000_000_020.0)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        for module in (lmdb, memory):
            patch.setattr(module, "time", SimpleNamespace(time=lambda: clock.now))
        store = MemoryStore() if kind == "memory" else LmdbStore(Path(folder), sync=False)
        held: dict[bytes, tuple[bytes, float]] = {}
        for number, (what, *said) in enumerate(steps):
            row = b"%d" % number
            if what == "wait":
                clock.now += said[0]
            elif what == "sweep":
                due = sorted(until for _, until in held.values() if until <= clock.now)
                assert store.sweep(clock.now, said[0]) == min(said[0], len(due))
                left = {key for key in held if store.read("g", [key]) != [None]}
                gone = [until for key, (_, until) in held.items() if key not in left]
                assert len(gone) == min(said[0], len(due))
                assert all(until <= clock.now for until in gone)
                held = {key: held[key] for key in left}
            else:
                until = float("inf") if said[1] is None else clock.now + said[1]
                keys = said[0]
                if what == "swap":
                    before = [held.get(key, (None, 0.0))[0] if said[2] else b"another" for key in keys]
                    told = store.swap("g", keys, before, [row] * len(keys), said[1])
                    assert told == [said[2]] * len(keys)
                    keys = keys if said[2] else []
                else:
                    store.write("g", keys, [row] * len(keys), None, said[1])
                held |= dict.fromkeys(keys, (row, until))
            assert store.read("g", list(held)) == [row for row, _ in held.values()]
        clock.now += 4_000.0
        assert store.sweep(clock.now) == sum(until <= clock.now for _, until in held.values())
        assert store.describe()["rows"] == sum(until > clock.now for _, until in held.values())
        store.close()


@pytest.mark.parametrize("batch", [1, 50, 1_000])
def test_a_full_store_is_swept_and_written_again(batch: int, tmp_path: Path) -> None:
    store = LmdbStore(tmp_path, limit=1 << 20, sync=False)
    mark(store, "sale 1", bytes(5_000))

    def fill(number: int) -> int:
        while True:
            names = [b"%d" % (number + place) for place in range(batch)]
            store.write("g", names, [bytes(100)] * batch, keep_s=10.0)
            number += batch

    with pytest.raises(BuildError, match="full"):
        fill(0)
    count = store.describe()["rows"]
    assert count >= 2_000
    assert store.forget("sale ", "sale a") == 1
    assert store.sweep(time.time() + 11.0) == count
    with pytest.raises(BuildError, match="full"):
        fill(10**6)
    assert store.describe()["rows"] >= 2_000
    assert store.describe()["bytes"] < 4 << 20
    store.close()
