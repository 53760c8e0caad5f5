"""Long walks against plain counting: many blocks and groups of questions, parts for threads, keys in parts."""

from __future__ import annotations

import threading

import numpy as np
import pyarrow as pa
import pytest

from bottega.data.log import Log
from bottega.design.features import Window
from bottega.features import entities, timeline
from bottega.features.entities import match
from bottega.features.kernels_calls import cut, still, together
from bottega.features.windows import window_columns

SPANS = {"2s": 2_000_000, "1min": 60_000_000, "all": None}
HOP = 500_000


def plain(
    keys: np.ndarray, time: np.ndarray, known: np.ndarray, x: np.ndarray, asked: np.ndarray, at: np.ndarray
) -> dict[str, list[float]]:
    made: dict[str, list[float]] = {f"k_{name}_{span}": [] for name in ("n", "total", "mean") for span in SPANS}
    for key, now in zip(asked, at, strict=True):
        usable = (keys == key) & (time < now) & (known <= now)
        for span, length in SPANS.items():
            inside = usable if length is None else usable & (time >= (now - length) // HOP * HOP)
            values = x[inside & ~np.isnan(x)]
            made[f"k_n_{span}"].append(int(inside.sum()))
            made[f"k_total_{span}"].append(values.sum())
            made[f"k_mean_{span}"].append(values.mean() if len(values) else np.nan)
    return made


def parts_of(rows: int, count: int) -> list[slice]:
    return [slice(start, min(start + rows, count)) for start in range(0, max(count, 1), rows)]


@pytest.mark.parametrize("threads", [1, 5])
@pytest.mark.parametrize(
    ("events", "questions", "keys"),
    [(3000, 3000, 1), (3000, 3000, 4), (3000, 3000, 500), (200, 4000, 20), (5000, 7, 3), (5000, 300, 3000)],
)
@pytest.mark.parametrize("late", [0, 1, 30_000_000, -1])  # microseconds after the event; −1: each another
def test_walks_equal_plain_counts(
    events: int, questions: int, keys: int, late: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "cut", lambda count, _: parts_of(-(-count // threads), count))
    if threads > 1:
        monkeypatch.setattr(timeline, "_MOST", 4000)  # bytes at a time: a few keys a walk
    rng = np.random.default_rng(events * keys + questions + late)
    time = np.sort(rng.integers(0, 10**9 if keys > 4 else 10**8, events)) // 1000 * 1000  # many at once
    key = rng.integers(0, keys, events)
    known = time + (late if late >= 0 else rng.integers(0, 2, events)[key % len(time)] * 7_000_000)
    x = np.where(rng.random(events) < 0.2, np.nan, rng.integers(-9, 10, events))
    asked = rng.integers(-1, keys + 1, questions)
    at = np.sort(rng.choice(np.concatenate([time, time + 1, known, known + 1, time + 2_000_000]), questions))
    if keys == 4:
        order = rng.permutation(questions)
        asked, at = asked[order], at[order]
    window = Window("events", "k", {"n": "count(*)", "total": "sum(x)", "mean": "avg(x)"}, list(SPANS), hop="500ms")
    log = Log("events", pa.table({"k": pa.array([f"{item}" for item in key]), "x": x}), time, known)
    texts = pa.array([None if item < 0 else f"{item}" for item in asked], pa.string())
    made = window_columns(window, log, {"k": texts}, at)
    for name, wanted in plain(key, time, known, x, asked, at).items():
        np.testing.assert_array_equal(made[name], wanted, name)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_keys_are_numbered_in_parts_as_in_one(kind: pa.DataType, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    events = [None if item < 0 else f"e{item}" for item in rng.integers(-1, 40, 300).tolist()]
    asked = [None if item < 0 else f"e{item}" for item in rng.integers(-1, 60, 200).tolist()]
    known = {text: place for place, text in enumerate(dict.fromkeys(item for item in events if item is not None))}
    for rows in (300, 7):
        monkeypatch.setattr(entities, "cut", lambda count, _, rows=rows: parts_of(rows, count))
        for column in (pa.array(asked, pa.string()), pa.array(asked, pa.string()).dictionary_encode()):
            found = match([pa.array(events, kind)], [column])
            assert found.events.tolist() == [known.get(item, -1) for item in events]
            assert found.asked.tolist() == [known.get(item, -1) for item in asked]
            assert found.size == len(known)


def test_work_is_cut_into_no_more_parts_than_threads_or_rows_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bottega.features.kernels_calls.pa.cpu_count", lambda: 3)
    assert cut(0, 10) == [slice(0, 0)]
    assert cut(19, 10) == [slice(0, 19)]
    assert cut(20, 10) == [slice(0, 10), slice(10, 20)]
    assert cut(1000, 10) == [slice(0, 333), slice(333, 666), slice(666, 1000)]


def test_parts_run_at_once_and_come_back_in_order() -> None:
    meeting = threading.Barrier(3, timeout=30)

    def work(part: slice) -> int:
        meeting.wait()  # nobody passes before all are here
        return int(part.start)

    assert together(work, [slice(0, 1), slice(1, 2), slice(2, 3)]) == [0, 1, 2]


def test_an_array_that_is_held_still_is_not_copied() -> None:
    whole = np.arange(6)
    assert np.shares_memory(still(whole), whole)
    assert whole.flags.writeable
    assert still(whole[::2]).tolist() == [0, 2, 4]
    assert still(whole[::2]).flags.c_contiguous
