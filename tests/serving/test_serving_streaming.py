"""From the stream into the store: in which order, what happens while something is away, and nothing lost by a kill."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path as Folder
from typing import Any

import numpy as np
import pytest
from parity_world import DAY, HOUR, MINUTE, START
from stream_world import (
    GROUPS,
    POISON,
    Moment,
    Refusals,
    consumer,
    differing,
    events,
    meters_of,
    write,
)

from bottega.data.streams.file import FileStream
from bottega.data.streams.messages import Refused
from bottega.data.streams.protocol import Message
from bottega.errors import ServeError
from bottega.features.applying import Applier
from bottega.features.filling import AS_OF
from bottega.features.frame import Frame
from bottega.features.reader import Reader
from bottega.features.stores.memory import MemoryStore
from bottega.features.stores.protocol import mark
from bottega.features.words import Known
from bottega.serving import streaming
from bottega.serving.clock import NAME, Clock, kept

NOW = START + 3 * DAY


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(streaming, "_LONGEST_PAUSE", 0.004)


class Watched(FileStream):
    """A stream that tells what is done with it, and whose commits fail as often as it is told."""

    def __init__(self, folder: Folder, told: list[Any]) -> None:
        super().__init__(folder, "shop")
        self.told, self.failing, self.trouble = told, 0, ""

    def poll(self, most: int, wait_s: float) -> list[Message]:
        found = super().poll(most, wait_s)
        self.told.append(("poll", most, len(found)))
        return found

    def commit(self, offsets: Mapping[int, int]) -> None:
        if self.failing:
            self.failing -= 1
            raise ServeError("group", "cannot be written")
        super().commit(offsets)
        self.told.append("commit")

    def fault(self) -> str | None:
        return self.trouble or None


class Trying(MemoryStore):
    """A store that is away for some writes: the next ones, or those after a while."""

    def __init__(self, told: list[Any]) -> None:
        super().__init__()
        self.told = told
        self.away: Callable[[], bool] = lambda: False

    def swap(self, group: str, *given: Any, **more: Any) -> list[bool]:
        if self.away():
            raise ServeError("redis://somewhere", "no answer")
        self.told.append("apply")
        return super().swap(group, *given, **more)


class Letters(Refusals):
    """Letters that cannot be written as often as it is told."""

    def __init__(self, told: list[Any]) -> None:
        super().__init__()
        self.told, self.failing = told, 0

    def add(self, refused: Sequence[Refused]) -> None:
        super().add(refused)
        if self.failing:
            self.failing -= 1
            raise ServeError("dead letters", "no room")
        self.told.append("letters")


class World:
    """A consumer, whatever stands around it, and what it says."""

    def __init__(self, folder: Folder, clock: Any = None) -> None:
        self.folder, self.told = folder, list[Any]()
        self.said: list[str] = []
        self.store, self.letters = Trying(self.told), Letters(self.told)
        self.stream = Watched(folder, self.told)
        self.consumer = consumer(folder, self.store, self.stream, self.letters, clock, self.said.append)

    def drain(self) -> streaming.Turn:
        """Take turns until nothing comes."""
        while (done := self.consumer.turn(wait_s=0.6)).messages:
            pass
        return done

    @property
    def committed(self) -> int:
        path = self.folder / "shop.group" / "0.json"
        return json.loads(path.read_text())["next"] if path.exists() else 0


@pytest.fixture
def world(tmp_path: Folder) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.stream.close()


def test_events_are_applied_then_letters_are_kept_and_then_it_is_committed(world: World) -> None:
    rows = events(60)
    write(world.folder, [*rows[:30], *POISON, *rows[30:]])
    done = world.consumer.turn(wait_s=1)
    assert (done.messages, done.refused, done.applied.events) == (len(rows) + 5, 5, len(rows))
    steps = [step for step in world.told if isinstance(step, str)]
    assert [step for place, step in enumerate(steps) if step not in steps[:place]] == ["apply", "letters", "commit"]
    assert (steps.count("letters"), steps.count("commit")) == (1, 1)
    assert [refused.message.body for refused in world.letters.kept] == POISON
    assert all(refused.reason for refused in world.letters.kept)
    assert differing(world.store, rows, NOW) == []
    assert world.said == []
    assert world.consumer.turn(wait_s=0).messages == 0


def test_meters_count_what_was_done(world: World) -> None:
    rows = events(200)
    more = {"table": "profiles", "time": START, "user": "u1", "shoe": 44}
    repeated = len(rows) - len({row.get("visit", id(row)) for row in rows})
    assert repeated
    write(world.folder, [*rows, *POISON, more])
    world.consumer.turn(wait_s=1)
    found = meters_of(world.folder)
    for name in ("visits", "shown", "profiles"):
        assert found[f'bottega_stream_events_total{{table="{name}"}}'] == sum(
            row["table"] == name for row in [*rows, more]
        )
    assert found['bottega_stream_refused_total{table="none"}'] == 3
    assert (
        found['bottega_stream_refused_total{table="visits"}']
        == found['bottega_stream_refused_total{table="shown"}']
        == 1
    )
    assert found['bottega_stream_unknown_fields_total{table="profiles"}'] == 1
    assert found["bottega_stream_repeated_total"] == repeated
    assert found["bottega_stream_records_total"] > 10
    assert found["bottega_stream_seconds_count"] == 1
    assert found["bottega_stream_waits"] == 0
    write(world.folder, rows[:7])
    world.consumer._looked = -9.0
    world.consumer.turn(most=0)
    assert meters_of(world.folder)['bottega_stream_lag{partition="0"}'] == 7


def test_a_store_that_is_away_for_a_while_loses_nothing_and_holds_the_stream_back(world: World) -> None:
    rows = events(80)
    write(world.folder, rows)
    left = [22]

    def away() -> bool:
        left[0] -= 1
        return 0 <= left[0] < 20  # the first writes come through, as when a store dies in the middle of a batch

    world.store.away = away
    done = world.consumer.turn(most=40, wait_s=1)
    assert done.messages == 40
    assert left[0] < 0
    assert world.said == [world.said[0], "the stream goes on"]
    assert world.said[0].startswith("the stream waits: redis://somewhere: no answer")
    polls = [step for step in world.told if isinstance(step, tuple)]
    assert polls[0] == ("poll", 40, 40)
    assert set(polls[1:]) == {("poll", 0, 0)}  # no more is taken, and the place in the group is kept
    assert len(polls) == 1 + 20
    world.drain()
    assert meters_of(world.folder)["bottega_stream_waits"] == 0
    assert differing(world.store, rows, NOW) == []


def test_what_lasts_is_said_now_and_then(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_TOLD_S", 0.0)
    write(world.folder, events(5))
    left = [6]

    def away() -> bool:
        left[0] -= 1
        return left[0] >= 0

    world.store.away = away
    world.consumer.turn(wait_s=1)
    assert len(world.said) == 7
    assert world.said[-1] == "the stream goes on"


def test_who_ends_while_the_store_is_away_commits_nothing_and_another_goes_on(world: World) -> None:
    rows = events(50)
    write(world.folder, rows)
    world.store.away = lambda: world.told.count("apply") >= 2
    done = world.consumer.turn(wait_s=1, ending=lambda: True)
    assert done.messages == len(rows)
    assert (world.committed, world.told.count("commit")) == (0, 0)
    world.stream.close()
    world.store.away = lambda: False
    world.stream = Watched(world.folder, world.told)
    world.consumer = consumer(world.folder, world.store, world.stream, world.letters)
    world.drain()
    assert world.committed > 0
    assert differing(world.store, rows, NOW) == []


def test_letters_or_a_commit_that_fail_are_tried_again_and_events_count_once(world: World) -> None:
    rows = events(50)
    write(world.folder, [*rows, *POISON])
    world.letters.failing, world.stream.failing = 2, 3
    assert world.consumer.turn(wait_s=1).messages == len(rows) + 5
    assert len(world.letters.kept) == 5 * (2 + 3 + 1)  # some stand there more than once, none is missing
    assert {refused.message.body for refused in world.letters.kept} == set(POISON)
    assert world.committed > 0
    assert [text.split(":")[0] for text in world.said] == ["the stream waits", "the stream waits", "the stream goes on"]
    assert differing(world.store, rows, NOW) == []


def test_a_fault_of_the_stream_is_said_when_it_begins_and_when_it_ends(world: World) -> None:
    world.consumer.turn(wait_s=0)
    world.stream.trouble = "kafka://a/b: no broker answers"
    for _ in range(3):
        world.consumer.turn(wait_s=0)
    assert meters_of(world.folder)["bottega_stream_waits"] == 1
    world.stream.trouble = ""
    for _ in range(3):
        world.consumer.turn(wait_s=0)
    assert world.said == ["the stream waits: kafka://a/b: no broker answers", "the stream goes on"]


@pytest.mark.parametrize(("stands", "far"), [(False, 6 * MINUTE), (False, 400 * DAY), (True, 6 * MINUTE)])
def test_events_of_the_far_future_are_laid_aside_and_those_of_the_past_count(
    world: World, stands: bool, far: int
) -> None:
    world.consumer._clock = Moment(NOW, stands)
    old = {"table": "shown", "time": START - 9000 * DAY, "user": "u1", "item": "i1", "clicked": 1}
    near = {**old, "time": NOW + 4 * MINUTE}
    write(world.folder, [old, near, {**old, "time": NOW + far}])
    assert world.consumer.turn(wait_s=1).refused == 1
    assert world.letters.kept[0].reason.startswith("time: in the future of a clock that shows 20")
    assert differing(world.store, [old, near], NOW) == []


def test_what_lies_ahead_waits_in_its_record_until_its_time(world: World) -> None:
    world.consumer._clock = Moment(NOW)
    row = {"table": "profiles", "time": NOW + 2 * MINUTE, "user": "u1", "city": "city 1", "points": 1.0}
    write(world.folder, [row])
    world.consumer.turn(wait_s=1)
    mark(world.store, AS_OF, b"%d" % START)
    reader = Reader(world.store, GROUPS)

    def city(at: int) -> Any:
        frame = Frame(
            {"user": Known().column(["u1"])}, np.array([at]), np.zeros(1, np.int32), {"item": Known().column(["i"])}
        )
        column: Any = reader.read(frame).request["user_city"]
        return column.words.texts[column.places[0]]

    moments = [
        NOW,
        NOW + 2 * MINUTE,
        NOW + 2 * MINUTE + 1,
        NOW + 6 * HOUR + 2 * MINUTE - 1,
        NOW + 6 * HOUR + 2 * MINUTE,
    ]
    assert [city(at) for at in moments] == [None, None, "city 1", "city 1", None]


@pytest.mark.parametrize("seldom", [0.0, 60.0])
def test_where_time_stands_events_move_it(tmp_path: Folder, monkeypatch: pytest.MonkeyPatch, seldom: float) -> None:
    """The clock of a log of last year: one microsecond after the newest event, never back, and a day ahead at most."""
    monkeypatch.setattr("bottega.serving.clock._LOOK_S", seldom)  # in which it looks for the mark
    world = World(tmp_path)
    clock = Clock("log", START, kept(world.store))
    world.consumer._clock, world.consumer._decoder._ahead = clock, clock.ahead
    shown = {"table": "shown", "user": "u1", "item": "i1", "clicked": 1}
    for moment, wanted in (
        (START + HOUR, START + HOUR + 1),
        (START + MINUTE, START + HOUR + 2),  # late, and answers before and after it differ
        (START + DAY - 1, START + DAY),
    ):
        write(tmp_path, [{**shown, "time": moment}])
        assert world.consumer.turn(wait_s=1).refused == 0
        assert clock() == (START if seldom else wanted)
        assert Clock("log", START, kept(world.store))() == wanted  # whoever starts later
        assert kept(world.store)(NAME) == b"%d" % wanted
    write(tmp_path, [{**shown, "time": START + 3 * DAY}])
    assert world.consumer.turn(wait_s=1).refused == 1
    write(tmp_path, [shown], arrived=START + DAY)  # where the service's clock stands now, whatever ours says
    write(tmp_path, [shown], arrived=START + 400 * DAY)  # a broker tells the time of its machine
    assert [world.consumer.turn(most=1, wait_s=1).refused for _ in range(2)] == [0, 0]
    rows = [{**shown, "time": START + each} for each in (HOUR, MINUTE, DAY - 1, DAY, DAY + 1)]
    for moment in (START + HOUR + 1, START + DAY + 1):  # also as one reads whose clock is behind
        assert differing(world.store, rows, moment) == []
    world.stream.close()


def test_an_event_without_time_has_that_of_its_arrival(world: World) -> None:
    row = {"table": "shown", "user": "u1", "item": "i1", "clicked": 1}
    write(world.folder, [row])
    world.consumer.turn(wait_s=1)
    assert differing(world.store, [{**row, "time": START}], NOW) == []


@pytest.mark.parametrize(("stands", "swept"), [(False, True), (True, False)])
def test_rows_whose_time_has_run_out_are_swept_where_time_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, stands: bool, swept: bool
) -> None:
    world.consumer._clock = Moment(NOW, stands)
    world.store.write("user", [b"gone"], [b"row"], keep_s=1e-9)
    world.store.write("user", [b"kept"], [b"row"], keep_s=1e6)
    world.consumer.turn(wait_s=0)
    assert world.store.read("user", [b"gone", b"kept"]) == [None if swept else b"row", b"row"]
    if swept:
        world.store.write("user", [b"gone"], [b"row"], keep_s=1e-9)
        world.consumer.turn(wait_s=0)  # not at each turn
        assert world.store.read("user", [b"gone"]) == [b"row"]

        def gone(*_: Any) -> int:
            raise ServeError("store", "away")

        monkeypatch.setattr(world.store, "sweep", gone)
        world.consumer._swept = -100.0
        world.consumer.turn(wait_s=0)
        assert world.said == ["the stream waits: store: away"]


def test_a_busy_record_that_others_change_all_the_time_waits_and_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An applier that gives up is a store that is away."""
    rows, left = events(20), [3]
    write(world.folder, rows)
    into = Applier._into

    def busy(self: Applier, *given: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise ServeError("store", "1 records of user change all the time", "fewer writers", "")
        return into(self, *given)

    monkeypatch.setattr(Applier, "_into", busy)
    world.consumer.turn(wait_s=1)
    assert world.said[-1] == "the stream goes on"
    assert differing(world.store, rows, NOW) == []


def test_while_the_store_is_away_the_lag_goes_on_to_be_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_LAG_S", 0.0)
    write(world.folder, events(5))
    tries = []

    def away() -> bool:
        if len(tries) == 3:
            write(world.folder, [{"table": "shown", "user": "u1", "item": "i1", "clicked": 1}] * 4)
        tries.append(meters_of(world.folder).get('bottega_stream_lag{partition="0"}'))
        return len(tries) < 12

    world.store.away = away
    world.consumer.turn(wait_s=1)
    assert tries[2:4] == [5, 5]  # what was taken is not there yet
    assert tries[-1] == 5 + 4
    world.drain()
    assert meters_of(world.folder)['bottega_stream_lag{partition="0"}'] == 0
