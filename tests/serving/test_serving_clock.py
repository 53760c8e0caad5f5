"""The clock of features: which moment it tells, and that it never goes back."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottega.errors import ServeError
from bottega.features.stores.memory import MemoryStore
from bottega.serving import clock as module
from bottega.serving.clock import KINDS, NAME, Clock, kept

DAY = 86_400_000_000
END = 15_300 * DAY  # of a log of 2011


class Times:
    """The machine's time and the store's mark, both set by a test."""

    def __init__(self, machine: int = END + 100 * DAY) -> None:
        self.machine = machine
        self.marks: dict[str, bytes] = {}
        self.away = False

    def marked(self, name: str) -> bytes | None:
        if self.away:
            raise ServeError("store", "away")
        return self.marks.get(name)


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    made = Times()
    monkeypatch.setattr(module, "_machine", lambda: made.machine)
    monkeypatch.setattr(module, "_LOOK_S", 0.0)
    return made


def test_the_machine_s_clock_is_the_machine_s() -> None:
    before = time.time_ns() // 1000
    found = Clock("now", END, {}.get)()
    assert before <= found <= time.time_ns() // 1000


def test_a_clock_of_now_follows_the_machine_and_no_mark(times: Times) -> None:
    clock = Clock("now", END, times.marked)
    times.marks[NAME] = b"%d" % (END + 900 * DAY)
    for machine in (END + 1, END + 5):
        times.machine = machine
        assert clock() == machine
    times.machine = END + 3  # as when somebody sets it
    assert clock() == END + 5
    times.machine = END + 6
    assert clock() == END + 6
    assert (clock.stands, clock.ahead) == (False, 300_000_000)


def test_a_clock_of_a_log_stands_until_an_event_moves_it(times: Times) -> None:
    clock = Clock("log", END, times.marked)
    assert (clock(), clock.stands, clock.ahead) == (END, True, DAY)
    times.machine += DAY
    assert clock() == END
    for mark, wanted in ((END + 7, END + 7), (END + 3, END + 7), (END - 9, END + 7), (END + 8, END + 8)):
        times.marks[NAME] = b"%d" % mark
        assert clock() == wanted


def test_before_the_end_of_the_log_no_clock_tells(times: Times) -> None:
    times.machine = END - DAY
    times.marks[NAME] = b"%d" % (END - DAY)
    assert [Clock(kind, END, times.marked)() for kind in KINDS] == [END] * 3


def test_what_it_was_when_the_store_was_filled_it_stays(times: Times) -> None:
    for chosen, stands in ((b"now", False), (b"log", True)):
        for later in (0, 400 * DAY):
            times.machine = END + later
            assert Clock("auto", END, times.marked, chosen).stands == stands
            assert Clock("now", END, times.marked, chosen).stands is False
            assert Clock("log", END, times.marked, chosen).stands is True


@pytest.mark.parametrize(("later", "stands"), [(0, False), (3 * DAY, False), (3 * DAY + 1, True), (400 * DAY, True)])
def test_of_itself_it_stands_for_a_log_that_ended_long_ago(times: Times, later: int, stands: bool) -> None:
    times.machine = END + later
    clock = Clock("auto", END, times.marked)
    assert clock.stands == stands
    assert clock() == (END if stands else END + later)
    times.machine = END + 10 * DAY
    assert clock.stands == stands  # it is chosen once


def test_where_the_store_is_away_it_tells_what_it_told_last(times: Times) -> None:
    clock = Clock("log", END, times.marked)
    times.marks[NAME] = b"%d" % (END + 5)
    assert clock() == END + 5
    times.away = True
    times.marks[NAME] = b"%d" % (END + 9)
    assert clock() == END + 5
    times.away = False
    assert clock() == END + 9


def test_the_mark_is_not_looked_for_at_each_request(times: Times, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_S", 60.0)
    looks: list[str] = []

    def marked(name: str) -> bytes | None:
        looks.append(name)
        return times.marked(name)

    clock = Clock("log", END, marked)
    assert [clock() for _ in range(100)] == [END] * 100
    assert looks == [NAME]


@given(
    st.sampled_from(KINDS),
    st.lists(st.tuples(st.integers(-5, 400), st.none() | st.integers(-5, 400)), min_size=1),
    st.data(),
)
def test_it_never_goes_back(kind: str, moments: list[tuple[int, int | None]], data: Any) -> None:
    times = Times()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_machine", lambda: times.machine)
        patch.setattr(module, "_LOOK_S", 0.0)
        times.machine = END + data.draw(st.sampled_from([0, 3 * DAY, 4 * DAY]))
        clock, told = Clock(kind, END, times.marked), [END]
        for machine, mark in moments:
            times.machine = END + 4 * DAY + machine
            if mark is not None:
                times.marks[NAME] = b"%d" % (END + mark)
            newest = END + (mark or 0) if clock.stands else times.machine
            told.append(clock())
            assert told[-1] == max(told[-2], newest)


def test_it_says_what_it_is(times: Times) -> None:
    times.machine = END + 4 * DAY
    assert str(Clock("log", END, times.marked)) == "log, 2011-11-22"
    assert str(Clock("now", END, times.marked)) == "now, 2011-11-26"


@pytest.mark.parametrize("kind", ["", "Log", "then"])
def test_another_kind_is_refused(kind: str) -> None:
    with pytest.raises(ServeError, match="auto or now or log") as caught:
        Clock(kind, END, {}.get)
    assert caught.value.where == "--clock"


class Meddled(MemoryStore):
    """A store to which somebody else writes the clock between our look and our word."""

    def __init__(self, others: list[int]) -> None:
        super().__init__()
        self.others = others

    def swap(self, group: str, keys: Any, before: Any, after: Any, keep_s: float | None = None) -> list[bool]:
        if self.others:
            self.write(group, keys, [b"%d" % self.others.pop(0)])
        return super().swap(group, keys, before, after, keep_s)


@given(st.lists(st.integers(1, 9), max_size=4), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_whoever_moves_it_meanwhile_it_never_goes_back(others: list[int], ours: list[int]) -> None:
    rising = sorted(others)
    store = Meddled(list(rising))
    shown = kept(store)
    last = 0
    for to in ours:
        module.move(store, to)
        now = int(shown(NAME) or 0)
        assert now >= max(last, to)
        last = now
    done = rising[: len(rising) - len(store.others)]
    assert last == max([*ours, *done])
