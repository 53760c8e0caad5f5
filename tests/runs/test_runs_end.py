"""Of which moment a build tells: the whole last day, but never a moment that is still to come."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import bottega as bt
from bottega.data.log import Log
from bottega.runs.steps import bundling

DAY, MINUTE = 86_400_000_000, 60_000_000
MIDNIGHT = 20_000 * DAY


def end(times: list[int], known: list[int], others: list[int] | None = None) -> int:
    """Ask for the end of a log of examples, with another table beside it."""

    def log(name: str, at: list[int], seen: list[int]) -> Log:
        return Log(name, pa.table({"x": np.zeros(len(at))}), np.array(at, np.int64), np.array(seen, np.int64))

    others = others or []
    logs = {"shown": log("shown", times, known), "visits": log("visits", others, others)}
    tables = {"shown": bt.Table("shown", time="at", available_after="2min"), "visits": bt.Table("visits", time="at")}
    design = SimpleNamespace(data=SimpleNamespace(examples=SimpleNamespace(table="shown")))
    job: Any = SimpleNamespace(design=design, log=logs.__getitem__, tables=tables, once=lambda _, make: make())
    return bundling.end(job)


@pytest.fixture(params=[0, 7 * 60 * MINUTE, DAY - 1])
def now(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    at = MIDNIGHT + int(request.param)
    monkeypatch.setattr(time, "time_ns", lambda: at * 1000)
    return at


def test_a_day_that_is_over_counts_whole(now: int) -> None:
    del now
    assert end([MIDNIGHT - DAY + 5], [MIDNIGHT - DAY + 5]) == MIDNIGHT
    assert end([MIDNIGHT - 1], [MIDNIGHT + 2 * MINUTE]) == MIDNIGHT


def test_a_day_that_goes_on_ends_with_what_has_come(now: int) -> None:
    last = now - 10 * MINUTE
    for others, wanted in (([], last + 1), ([now - MINUTE], now - MINUTE + 1), ([now + DAY], last + 1)):
        found = end([MIDNIGHT - DAY, last], [MIDNIGHT - DAY, last + 2 * MINUTE], others)
        assert found == (wanted if last >= MIDNIGHT else MIDNIGHT)
        assert found <= now
    if last >= MIDNIGHT:  # it came later than it happened
        assert end([last - MINUTE], [last + 4 * MINUTE]) == last + 2 * MINUTE + 1
    assert end([now + DAY], [now + DAY]) == now
