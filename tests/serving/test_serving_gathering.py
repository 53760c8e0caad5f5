"""Sources that are asked side by side: those in time answer, the others are named and hold nobody up."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Barrier, Event, current_thread
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.errors import ServeError
from bottega.serving.gathering import THREADS, Gatherer, in_turn

LONG, SHORT = 30_000, 20  # milliseconds


@pytest.fixture
def hold() -> Iterator[Event]:
    """What a slow source waits for; released at the end."""
    event = Event()
    yield event
    event.set()


def test_the_late_one_is_left_out_and_the_rest_answers(hold: Event) -> None:
    gatherer = Gatherer()
    jobs = {"a": lambda: 1, "slow": lambda: int(hold.wait()), "b": lambda: 2}
    found, late = gatherer.gather(jobs, SHORT)
    assert found == {"a": 1, "b": 2}
    assert late == {"slow": "left out, not there after 20 ms"}


def test_a_source_that_hangs_is_not_asked_for_ever(hold: Event) -> None:
    gatherer = Gatherer()
    calls = []

    def slow() -> int:
        calls.append(1)
        hold.wait()
        return 0

    told = [gatherer.gather({"slow": slow, "quick": lambda: 1}, SHORT) for _ in range(7)]
    assert all(found == {"quick": 1} for found, _ in told)
    assert len(calls) == 4
    assert told[-1][1] == {"slow": "left out, 4 earlier requests still wait for it"}
    hold.set()
    found, late = gatherer.gather({"quick": lambda: 1}, LONG)
    while "slow" not in found:  # its threads come back one after the other
        found, late = gatherer.gather({"slow": lambda: 5}, LONG)
    assert (found, late) == ({"slow": 5}, {})


@pytest.mark.parametrize("ask", [lambda jobs: Gatherer().gather(jobs, LONG), in_turn], ids=["within a time", "in turn"])
def test_a_source_that_fails_is_left_out_and_the_rest_answers(ask: Any, caplog: pytest.LogCaptureFixture) -> None:
    def away() -> int:
        raise ServeError("index", "is not there", "an index", "look for it")

    def broken() -> int:
        raise ValueError("a defect")

    found, late = ask({"a": lambda: 1, "away": away, "broken": broken, "b": lambda: 2})
    assert found == {"a": 1, "b": 2}
    assert late == {"away": "left out, index: is not there", "broken": "left out, it failed: ValueError"}
    assert [(one.message, one.exc_info is not None) for one in caplog.records] == [("broken failed", True)]


def test_where_nobody_was_asked_in_time_the_quickest_answers_still(hold: Event) -> None:
    """A machine that stood still shows no empty page; who was slow before is not waited for."""
    gatherer = Gatherer()
    gatherer.gather({"a": lambda: 1, "b": lambda: 2}, LONG)
    gatherer.gather({"slow": lambda: int(hold.wait())}, SHORT)
    for _ in range(THREADS):  # every thread is taken
        gatherer._threads.submit(hold.wait)
    found, late = gatherer.gather({"slow": lambda: 0, "a": lambda: 1}, SHORT)
    assert (found, late) == ({"a": 1}, {"slow": "left out, not there after 20 ms"})
    assert gatherer.gather({"slow": lambda: 0, "new": lambda: 3}, SHORT)[0] == {}


def test_quick_sources_share_a_thread_and_slow_ones_get_their_own(hold: Event) -> None:
    """Two that wait for each other both answer, from the second request on without a loss of time; quick ones do not
    take the processor from each other."""
    gatherer, met = Gatherer(), Barrier(2)
    names = {name: lambda: current_thread().name for name in "abcd"}
    assert len(set(gatherer.gather(names, LONG)[0].values())) == 1

    def together() -> int:
        return met.wait(30) * 0 + 1

    begin = perf_counter()
    assert gatherer.gather({"left": together, "right": together}, 200) == ({"left": 1, "right": 1}, {})
    assert gatherer.gather({"left": together, "right": together, "slow": lambda: int(hold.wait())}, 400)[0] == {
        "left": 1, "right": 1,
    }  # fmt: skip
    assert perf_counter() - begin < 20


@given(st.lists(st.sampled_from(["quick", "fails", "hangs"]), max_size=6), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_who_can_answer_does_and_everybody_is_told_of(kinds: list[str], times: int) -> None:
    hold, gatherer = Event(), Gatherer()

    def hangs() -> str:
        hold.wait()
        return "late"

    def fails() -> str:
        raise ServeError("index", "is not there", "an index", "look for it")

    jobs = {
        f"{kind} {place}": {"quick": lambda: "yes", "fails": fails, "hangs": hangs}[kind]
        for place, kind in enumerate(kinds)
    }
    try:
        for _ in range(times):
            found, late = gatherer.gather(jobs, 100 if "hangs" in kinds else LONG)
            assert list(found) == [name for name in jobs if name.startswith("quick")]
            assert late.keys() == jobs.keys() - found.keys()
            assert all("is not there" in late[name] for name in late if name.startswith("fails"))
    finally:
        hold.set()
