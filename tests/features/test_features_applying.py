"""Applying events: whoever applies them, in whatever batches, however often, the store holds what a batch makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pytest
from applying_world import DAY, DESIGN, GROUPS, HOUR, MINUTE, ORDER, START, SUMS, Event, make_log, streams
from hypothesis import given, settings
from hypothesis import strategies as st

import bottega as bt
from bottega.errors import BottegaError, ServeError
from bottega.features import applying
from bottega.features.applying import Applied, Applier
from bottega.features.filling import fill, records
from bottega.features.records import Codec
from bottega.features.seen import SEEN
from bottega.features.stores.memory import MemoryStore
from bottega.features.stores.protocol import Rows, Store
from bottega.features.tracked import Places, layout


@dataclass
class Step:
    """One delivery: by which worker, of which partition, how far before what was committed, and how many messages."""

    worker: int
    partition: int
    back: int
    many: int
    later: int
    fails: bool


STEPS = st.lists(
    st.builds(
        Step, st.integers(0, 2), st.integers(0, 2), st.sampled_from([0, 0, 1, 3, 99]), st.sampled_from([1, 2, 5, 99]),
        st.sampled_from([0, 0, 1, MINUTE, HOUR, DAY]), st.integers(0, 5).map(lambda number: number == 0),
    ),
    max_size=12,
)  # fmt: skip


class Meddled(MemoryStore):
    """A store in which somebody else may come between a read and a swap, or which fails for once."""

    def __init__(self) -> None:
        super().__init__()
        self.between: Callable[[str], None] = lambda _: None

    def swap(
        self,
        group: str,
        keys: Sequence[bytes],
        before: Sequence[bytes | None],
        after: Sequence[bytes],
        keep_s: float | None = None,
    ) -> list[bool]:
        self.between(group)
        return super().swap(group, keys, before, after, keep_s)


@dataclass
class Stream:
    """Workers that apply partitions to one store, at least once each message."""

    partitions: list[list[Event]]
    store: Meddled = field(default_factory=Meddled)
    now: int = START
    committed: list[int] = field(default_factory=list)
    done: Applied = field(default_factory=Applied)

    def __post_init__(self) -> None:
        self.workers = [Applier(self.store, GROUPS, DESIGN) for _ in range(3)]
        self.committed = [0] * len(self.partitions)

    def deliver(self, step: Step, others: list[Step]) -> None:
        """Let a worker apply messages, while others do whatever comes next; then commit."""
        partition = step.partition % len(self.partitions)
        begin = max(self.committed[partition] - step.back, 0)
        messages = self.partitions[partition][begin : begin + step.many]
        self.now += step.later
        if step.fails:
            self.store.between = self._failing
        elif others:
            self.store.between = lambda _: self._interrupt(others)
        try:
            for name in ORDER:
                places = [begin + at for at, event in enumerate(messages) if event.table == name]
                if places:
                    at = Places(np.full(len(places), partition), np.array(places, np.int64))
                    self.done += self.workers[step.worker].apply(make_log(name, messages), at, self.now)
        except ServeError:
            return  # nothing of it is committed
        finally:
            self.store.between = lambda _: None
        self.committed[partition] = max(self.committed[partition], begin + len(messages))

    def _interrupt(self, others: list[Step]) -> None:
        self.store.between = lambda _: None
        if others:
            self.deliver(others.pop(0), [])

    def _failing(self, group: str) -> None:
        if group != SEEN:
            self.store.between = lambda _: None
            raise ServeError("store", "away")

    def finish(self) -> None:
        for partition, messages in enumerate(self.partitions):
            self.deliver(Step(0, partition, 0, len(messages), 0, False), [])
            assert self.committed[partition] == len(messages)


def once(partitions: Sequence[Sequence[Event]]) -> list[Event]:
    """Give the events of all partitions, one that was sent twice once."""
    found: dict[Any, Event] = {}
    for partition in partitions:
        for event in partition:
            found.setdefault(event.id or object(), event)
    return list(found.values())


def equal(store: Store, wanted: dict[str, dict[bytes, bytes]], events: Sequence[Event], now: int) -> None:
    """Hold every record of a store against those of a batch, by what they tell at several moments."""
    size = sum(abs(event.x) for event in events if event.x is not None)
    for group in GROUPS:
        codec, rows = Codec(group), wanted[group.name]
        held = store.read(group.name, [*rows, b"nobody"])
        for later in (0, 1, MINUTE, 2 * HOUR, 9 * DAY, 50 * DAY):
            online, batch = codec.values(held, now + later), codec.values([*rows.values(), None], now + later)
            for place, name in enumerate(group.columns):
                left, right = online.numbers[:, place], batch.numbers[:, place]
                if codec.kinds[place] == "text":
                    texts = [[of.words.texts[at] for at in of.places] for of in (online.texts[name], batch.texts[name])]
                    assert texts[0] == texts[1], (name, later)
                elif SUMS & set(name.split("_")):
                    assert np.allclose(left, right, rtol=0, atol=1e-11 * size, equal_nan=True), (name, later)
                else:
                    assert np.array_equal(left, right, equal_nan=True), (name, later, left, right)


def of_batch(events: Sequence[Event], now: int) -> dict[str, dict[bytes, bytes]]:
    logs = {name: make_log(name, events) for name in ORDER}
    return {group.name: records(DESIGN, logs, group, now) for group in GROUPS}


@settings(max_examples=250, deadline=None)
@given(streams(), STEPS)
def test_whatever_is_delivered_at_least_once_makes_the_store_of_a_batch(
    partitions: list[list[Event]], steps: list[Step]
) -> None:
    stream = Stream(partitions)
    while steps:
        stream.deliver(steps.pop(0), steps)
    stream.finish()
    events = once(partitions)
    equal(stream.store, of_batch(events, stream.now), events, stream.now)
    for group in GROUPS:
        keys = list(of_batch(events, stream.now)[group.name])
        assert None not in stream.store.read(group.name, keys)
        assert stream.store.read(group.name, [b"\0\3"]) == [None]  # nobody's record


@settings(max_examples=100, deadline=None)
@given(streams(), st.integers(0, 30), STEPS)
def test_a_store_that_a_batch_began_is_continued_by_the_stream(
    partitions: list[list[Event]], cut: int, steps: list[Step]
) -> None:
    """What the batch had comes by the stream as well where it names its events, and counts once."""
    stream = Stream(partitions)
    stream.now = 1 + max((each.known for each in once(partitions)), default=START)
    begun = [each for each in once(partitions) if each.id is not None and each.time > stream.now - 7 * DAY][:cut]
    ids = {event.id for event in begun}
    fill(stream.store, DESIGN, {name: make_log(name, begun) for name in ORDER}, GROUPS, stream.now)
    for step in steps:
        stream.deliver(step, [])
    stream.finish()
    events = [*begun, *(event for event in once(stream.partitions) if event.id not in ids)]
    equal(stream.store, of_batch(events, stream.now), events, stream.now)


def event(number: int = 0, **fields: Any) -> Event:
    return Event(**{"table": "calls", "k": "a", "l": None, "time": START + number, "known": START + number, "x": 1.0,
                    "c": "u", "id": None, **fields})  # fmt: skip


def deliver(applier: Applier, events: Sequence[Event], first: int = 0, partition: int = 0) -> Applied:
    places = Places(np.full(len(events), partition), first + np.arange(len(events)))
    return applier.apply(make_log(events[0].table, events), places, START)


def calls(store: Store, key: bytes = b"a") -> float:
    (group,) = [group for group in GROUPS if group.by == ("k",)]
    read = Codec(group).values(store.read("k", [key]), START + HOUR)
    return float(read.numbers[0, group.columns.index("k_calls_1d")])


def test_what_another_worker_wrote_first_is_read_again_and_counted() -> None:
    store = Meddled()
    one, other = Applier(store, GROUPS, DESIGN), Applier(store, GROUPS, DESIGN)

    def meddle(_: str) -> None:
        store.between = lambda _: None
        assert deliver(other, [event(5), event(6, k="b")], partition=1) == Applied(2, 0, 2, 0)

    store.between = meddle
    assert deliver(one, [event(1), event(2), event(3, k="c")]) == Applied(3, 0, 2, 1)
    assert [calls(store, key) for key in (b"a", b"b", b"c")] == [3, 1, 1]


def test_events_that_are_delivered_again_change_nothing() -> None:
    store = MemoryStore()
    applier = Applier(store, GROUPS, DESIGN)
    assert deliver(applier, [event(1), event(2)]) == Applied(2, 0, 1, 0)
    held = store.read("k", [b"a"])
    assert deliver(applier, [event(1), event(2)]) == Applied(2, 0, 0, 0)
    assert deliver(applier, [event(2)], first=1) == Applied(1, 0, 0, 0)
    assert store.read("k", [b"a"]) == held
    assert deliver(applier, [event(2), event(3)], first=1) == Applied(2, 0, 1, 0)
    assert deliver(applier, [event(9)], partition=7) == Applied(1, 0, 1, 0)
    assert calls(store) == 4


def test_of_equal_ids_the_first_counts_and_the_others_are_counted_as_repeated() -> None:
    store = MemoryStore()
    applier = Applier(store, GROUPS, DESIGN)
    new = [event(number, table="events", id=f"id {number}") for number in (1, 2, 3)]
    assert deliver(applier, [new[0], new[1], new[0]]).repeated == 1
    assert deliver(applier, [new[0], new[1], new[0]]).repeated == 1  # delivered again, and the first one still
    assert deliver(applier, [new[1], new[2]], partition=4).repeated == 1
    assert deliver(applier, [event(8, table="events"), event(8, table="events")], first=9).repeated == 0
    events = [*new, *[event(8, table="events")] * 2]
    equal(store, of_batch(events, START), events, START)


def test_rows_of_two_tables_in_one_partition_do_not_hide_each_other() -> None:
    """Rows come by table, so that those with the larger offsets may come first."""
    store = MemoryStore()
    applier = Applier(store, GROUPS, DESIGN)
    last, first = event(1, table="events"), event(2)
    deliver(applier, [last], first=7)
    deliver(applier, [first], first=3)
    equal(store, of_batch([last, first], START), [last, first], START)


def test_rows_without_a_key_are_nobodys() -> None:
    store = MemoryStore()
    assert deliver(Applier(store, GROUPS, DESIGN), [event(k=None)]) == Applied(1, 0, 0, 0)
    assert store.describe()["rows"] == 0


def test_a_record_that_others_change_all_the_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    monkeypatch.setattr(store, "swap", lambda _, keys, *_a, **_k: [False] * len(keys))
    monkeypatch.setattr(applying, "_TRIES", 5)
    with pytest.raises(ServeError, match="1 records of k change all the time"):
        deliver(Applier(store, GROUPS, DESIGN), [event()])


class Noted(MemoryStore):
    """A store that notes until when each row was to be kept, seconds from its write on."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, bytes], float | None] = {}

    def _put(self, group: str, rows: Any, keep_s: float | None) -> None:
        self.kept.update({(group, key): keep_s for key in rows})
        super()._put(group, rows, keep_s)


FINITE: list[Any] = [
    bt.Window("events", by="k", over=["1h", "7d"], values={"n": "count(*)", "sum": "sum(x)"}),
    bt.Window("calls", by="k", over=["1d"], values={"calls": "count(*)", "to": "last(c)"}),
    bt.Lookup("calls", by="k", columns=["c"], ttl="2d"),
    bt.Window("events", by="l", over=["3h"], hop="exact", values={"kinds": "count(distinct c)"}),
]


@settings(max_examples=100, deadline=None)
@given(streams())
def test_a_record_is_kept_for_as_long_as_it_tells_of_an_event(partitions: list[list[Event]]) -> None:
    """Whatever waits in it, for its label or its time, is still to count."""
    design = msgspec.structs.replace(DESIGN, features=FINITE)
    groups = layout(design, {name: make_log(name, []) for name in ORDER})
    store, written = Noted(), dict[tuple[str, bytes], int]()
    applier = Applier(store, groups, design)
    for partition, events in enumerate(partitions):
        for offset, one in enumerate(events):
            if one.table != "things":
                store.kept.clear()
                now = max(one.known, one.time) - HOUR * (offset % 2)  # an event may lie ahead of the clock
                applier.apply(make_log(one.table, [one]), Places(np.array([partition]), np.array([offset])), now)
                written.update(dict.fromkeys(store.kept, now))
                for (name, key), keep in store.kept.items():
                    if name != SEEN:
                        (group,) = [group for group in groups if group.name == name]
                        assert keep is not None
                        tells_nothing(Codec(group), store.read(name, [key]), now + int(keep * 1e6) + 1)


def tells_nothing(codec: Codec, rows: Rows, at: int) -> None:
    for later in (0, MINUTE, HOUR, 2 * HOUR, DAY, 3 * DAY, 40 * DAY):
        made, wanted = codec.values(rows, at + later), codec.values([None], at + later)
        assert np.array_equal(made.numbers, wanted.numbers, equal_nan=True)
        assert all(not column.places.any() for column in made.texts.values())


def test_records_are_kept_no_longer_than_they_can_matter() -> None:
    design = msgspec.structs.replace(DESIGN, features=FINITE)
    groups = layout(design, {name: make_log(name, []) for name in ORDER})
    store, rows = Noted(), [event(k="a"), event(table="events", k="b", known=START + MINUTE)]
    fill(store, design, {name: make_log(name, rows[:1]) for name in ORDER}, groups, START + 1)
    assert store.kept == {("k", b"a"): pytest.approx(2 * 86_400, abs=3601)}
    Applier(store, groups, design).apply(make_log("events", rows[1:]), Places(*np.zeros((2, 1), np.int64)), START)
    assert store.kept["k", b"b"] == pytest.approx(7 * 86_400 + 2 * 3600, abs=3601)  # with the label's maturity
    held = Applier(store, groups, design, for_ever=True)  # where time stands still
    held.apply(make_log("events", rows[1:]), Places(*np.ones((2, 1), np.int64)), START)
    assert store.kept["k", b"b"] is None
    things = Applier(store, GROUPS, DESIGN)
    things.apply(make_log("things", [event(table="things", l="p")]), Places(*np.zeros((2, 1), np.int64)), START)
    assert store.kept["l", b"p"] is None


def test_a_store_that_is_full_is_told_and_the_rest_can_be_applied_later() -> None:
    class Full(MemoryStore):
        left = 1

        def swap(self, *given: Any, **more: Any) -> list[bool]:
            self.left -= 1
            if self.left < 0:
                raise ServeError("store", "away")
            return super().swap(*given, **more)

    store = Full()
    rows = [event(1, table="events", l="p", id="one"), event(2, table="events", l="q", id="two")]
    with pytest.raises(BottegaError, match="away"):
        deliver(Applier(store, GROUPS, DESIGN), rows)
    for left in (2, 99):
        store.left = left
        if left == 99:
            assert deliver(Applier(store, GROUPS, DESIGN), rows).repeated == 0
        else:
            with pytest.raises(BottegaError, match="away"):
                deliver(Applier(store, GROUPS, DESIGN), rows)
    equal(store, of_batch(rows, START), rows, START)
