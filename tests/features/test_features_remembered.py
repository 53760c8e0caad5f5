"""What is remembered of a store: never another value than a fresh read would give, whatever is written and whenever."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Event, length
from test_features_records import Asked, events_of

from bottega.design.data import Label
from bottega.design.features import Lookup, Window
from bottega.features.records import Codec
from bottega.features.records_texts import Spelt
from bottega.features.remembered import Read, Remembered, grain_of
from bottega.features.stores.keys import keys
from bottega.features.stores.lmdb import LmdbStore
from bottega.features.stores.memory import MemoryStore
from bottega.features.stores.protocol import Rows
from bottega.features.words import Known, TextColumn

SECOND, MINUTE, HOUR, DAY = (length(span) for span in ("1s", "1min", "1h", "1d"))
START = 20_000 * DAY
WINDOWS = [
    Window("events", "k", {"n": "count(*)", "sum": "sum(x)", "last": "last(c)"}, ["1h", "7d", "all"]),
    Window("events", "k", {"n": "count(*)", "c": "last(c)"}, ["7min"]),  # its tail moves at other moments than its hop
    Window("events", "k", {"n": "count(*)", "low": "min(x)"}, ["90s"], hop="1min"),
    Window("events", "k", {"n": "count(*)"}, ["1h"], hop="exact"),
    Window("events", "k", {"d": "decayed_sum(x, '2h')"}),
    Window("events", "k", {"n": "count(distinct c)", "seen": "max(seen)"}, ["3h", "all"], hop="1h"),
    Lookup("events", "k", ["c", "x", "seen"]),
    Lookup("events", "k", ["moment"], ttl="1h"),
]
LABELS = [[], [Label("x", matures_after="2h")], [Label("x", "2h", observed_at="seen")]]


class Numbered(MemoryStore):
    """A store that says how often it was written, and counts what is read of it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = self.reads = 0

    def write(self, *given: Any, **more: Any) -> None:
        super().write(*given, **more)
        self.writes += 1

    def read(self, group: str, keys: Sequence[bytes]) -> Rows:
        self.reads += len(keys)
        return super().read(group, keys)

    def version(self) -> int | None:
        return self.writes


def asked(features: Sequence[Window | Lookup], labels: Sequence[Label] = ()) -> Asked:
    """Give features of one key, each of its own name."""
    named = [
        msgspec.structs.replace(feature, name=f"f{number}") if isinstance(feature, Window) else feature
        for number, feature in enumerate(features)
    ]
    return Asked(named, list(labels))


def told(read: Read) -> tuple[list[Any], dict[str, list[Any]], list[bool]]:
    """Give what was read as plain values; NaN as None."""
    numbers = [[None if value != value else value for value in row] for row in read.columns.numbers.tolist()]
    texts = {name: [of.words.texts[place] for place in of.places] for name, of in read.columns.texts.items()}
    return numbers, texts, read.known.tolist()


def fresh(of: Asked, store: MemoryStore | LmdbStore, ids: Sequence[str | None], at: int) -> Any:
    """Read without any memory."""
    codec, rows = Codec(of.group()), store.read("k", keys([list(ids)]))
    return told(Read(codec.values(rows, at), np.array([row is not None for row in rows], np.bool_)))


def put(of: Asked, store: MemoryStore | LmdbStore, events: Sequence[Event], now: int) -> None:
    """Fold events into the records of those that they name."""
    names = ["a", "b"]
    before = store.read("k", keys([names]))
    after = Codec(of.group()).fold(before, events_of(of, names, events), now)
    store.write("k", keys([names]), after)


@st.composite
def events(draw: st.DrawFn, now: int) -> list[Event]:
    found = []
    for _ in range(draw(st.integers(1, 3))):
        time = now + draw(st.sampled_from([-8 * DAY, -HOUR, -7 * MINUTE, -90 * SECOND, -1, 0, 1, MINUTE, 10 * MINUTE]))
        known = time + draw(st.sampled_from([0, 0, 1, MINUTE, HOUR]))
        seen = draw(st.sampled_from([None, time, time + HOUR]))
        row = {"x": draw(st.sampled_from([1.0, -2.5, None])), "c": draw(st.sampled_from(["u", "v", "ünï" * 9, None])),
               "seen": seen, "moment": time}  # fmt: skip
        found.append(Event((draw(st.sampled_from(["a", "a", "b"])),), time, known, row))
    return found


STEPS = [0, 1, SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 59 * MINUTE, HOUR, DAY]
CHOSEN = [[0], [1], [2], [5], [6], [0, 1], [5, 6], [0, 5, 6], [1, 2, 6], [0, 3], [4], [6, 7]]
ASKED = [["a"], ["a"], ["b", "a"], ["a", "b", "z", "a"], ["z", None], ["\0", "Ж", "a"], []]


@st.composite
def turns(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """Give what happens: mostly reads, between which time goes on by little or until something counts."""
    found: list[tuple[str, Any]] = []
    for _ in range(draw(st.integers(1, 5))):
        found.append(("write", draw(events(0))))
        for _ in range(draw(st.integers(1, 6))):
            found.append(("wait", draw(st.one_of(st.none(), st.sampled_from(STEPS)))))
            found.append(("read", draw(st.sampled_from(ASKED))))
    return found


def shifted(event: Event, by: int) -> Event:
    """Give an event at another time."""
    times = {name: None if event.row[name] is None else event.row[name] + by for name in ("seen", "moment")}
    return Event(event.key, event.time + by, event.known + by, {**event.row, **times})


@settings(max_examples=600)
@given(
    st.sampled_from(CHOSEN), st.sampled_from(LABELS), turns(), st.sampled_from([0, 1, 4 * MINUTE, 23 * HOUR]),
    st.sampled_from([1, 2, 99]), st.sampled_from([2, 99]),
)  # fmt: skip
def test_what_is_remembered_is_what_is_read(
    chosen: list[int], labels: list[Label], turns: list[tuple[str, Any]], begin: int, spelt: int, most: int
) -> None:
    of, store, known, now = asked([WINDOWS[place] for place in chosen], labels), Numbered(), Known(most), START + begin
    remembered = Remembered(store, of.group())
    remembered.codec._spelt = Spelt(spelt)  # so that texts are remembered anew
    spans = {(cell.length, cell.hop) for track in of.group().tracks for cell in track.cells if cell.length is not None}
    changes: set[int] = set()  # moments from which on something counts, or counts no more
    for what, value in turns:
        if what == "write":
            new = [shifted(event, now) for event in value]
            put(of, store, new, now)
            changes |= {max(event.time + 1, event.known) + more for event in new for more in (0, 2 * HOUR)}
            changes |= {(event.time // hop + 1) * hop + span for event in new for span, hop in spans}
        elif what == "wait":
            now = min((moment for moment in changes if moment > now), default=now) if value is None else now + value
        else:
            assert told(remembered.of_words(known.column(value), now)) == fresh(of, store, value, now)


@settings(max_examples=200)
@given(
    events(START),
    st.lists(
        st.tuples(st.sampled_from([0, 1, 2, MINUTE, MINUTE + 1, 2 * MINUTE, 4 * MINUTE, HOUR]), st.sampled_from(ASKED)),
        min_size=3,
        max_size=12,
    ),
)
def test_a_moment_before_the_last_one_is_read_anew(
    events: list[Event], reads: list[tuple[int, list[str | None]]]
) -> None:
    """Requests whose clocks were asked in another order than they are answered in."""
    of, store, known = asked(WINDOWS[:1]), Numbered(), Known()
    remembered = Remembered(store, of.group())
    put(of, store, events, START)
    for later, ids in reads:
        assert told(remembered.of_words(known.column(ids), START + later)) == fresh(of, store, ids, START + later)


def event(time: int, known: int | None = None, c: str = "u") -> Event:
    row = {"x": 1.0, "c": c, "seen": None, "moment": time}
    return Event(("a",), time, time if known is None else known, row)


def test_what_is_remembered_is_not_read_again_until_it_may_have_changed() -> None:
    of, store, known = asked(WINDOWS[:1]), Numbered(), Known()
    remembered = Remembered(store, of.group())
    put(of, store, [event(START - 1), event(START - 1, START + MINUTE)], START)

    def reads(ids: Sequence[str | None], at: int) -> int:
        before = store.reads
        remembered.of_words(known.column(ids), at)
        return store.reads - before

    assert reads(["a", "b", "a", None], START) == 3
    assert reads(["a", "b", "z"], START + 1) == 1
    assert reads(["z", "b", "a"], START + MINUTE - 1) == 0
    assert reads(["a", "b", "z"], START + MINUTE) == 1  # what waited for a counts
    assert reads(["a", "b", "z"], START + 5 * MINUTE - 1) == 0
    assert reads(["a", "b", "z"], START + 5 * MINUTE) == 3  # tails may have moved
    put(of, store, [event(START, START)], START + 5 * MINUTE)
    store.reads = 0
    assert reads(["b"], START + 5 * MINUTE) == 1


@pytest.mark.parametrize(
    ("features", "grain"),
    [
        (WINDOWS[:1], 5 * MINUTE),
        (WINDOWS[1:2], MINUTE),
        (WINDOWS[2:3], 30 * SECOND),
        (WINDOWS[3:4], 0),
        (WINDOWS[4:5], 0),
        (WINDOWS[5:6], HOUR),
        (WINDOWS[6:7], DAY),
        (WINDOWS[7:], 0),
        ([WINDOWS[5], WINDOWS[6]], HOUR),
    ],
)
def test_values_change_in_steps(features: list[Any], grain: int) -> None:
    assert grain_of(asked(features).group()) == grain


def test_a_store_that_tells_no_version_is_read_each_time() -> None:
    class Silent(Numbered):
        def version(self) -> int | None:
            return None

    of, store, known = asked(WINDOWS[:1]), Silent(), Known()
    remembered = Remembered(store, of.group())
    put(of, store, [event(START - 1)], START)
    store.reads = 0
    for _ in range(3):
        assert told(remembered.of_words(known.column(["a", "z"]), START)) == fresh(of, store, ["a", "z"], START)
    assert store.reads == 12


def test_nobody_at_first_and_somebody_then() -> None:
    of, store, known = asked(WINDOWS), Numbered(), Known()
    remembered = Remembered(store, of.group())
    for ids in ([], ["z"], [], ["a", "z"], []):
        assert told(remembered.of_words(known.column(ids), START)) == fresh(of, store, ids, START)


def test_what_a_caller_changes_is_its_own() -> None:
    of, store, known = asked(WINDOWS), Numbered(), Known()
    remembered = Remembered(store, of.group())
    put(of, store, [event(START - 1)], START)
    for _ in range(2):
        read = remembered.of_words(known.column(["a", "b"]), START)
        assert told(read) == fresh(of, store, ["a", "b"], START)
        read.columns.numbers[:] = 7
        read.known[:] = False
        for column in read.columns.texts.values():
            column.places[:] = 0


def test_threads_that_share_it_read_what_a_fresh_read_gives(tmp_path: Any) -> None:
    """What waits becomes ready from moment to moment, and a writer goes on beside them."""
    of, known = asked([*WINDOWS[:3], WINDOWS[6]]), Known()
    store = LmdbStore(tmp_path / "store", sync=False)
    put(of, store, [event(START - 1, START + step * SECOND, c=f"c{step}") for step in range(120)], START)
    remembered = Remembered(store, of.group())
    wanted = {at: fresh(of, store, ["a", "b", "z"], START + at * SECOND) for at in range(0, 130, 5)}
    faults: list[Any] = []
    together = threading.Barrier(3)

    def read(number: int) -> None:
        rng = np.random.default_rng(number)
        for at in wanted:
            together.wait(60)
            for _ in range(20):
                ids = rng.permutation(3)
                column = known.column([["a", "b", "z"][place] for place in ids])
                found = told(remembered.of_words(column, START + at * SECOND))
                numbers, texts, there = wanted[at]
                expected = (
                    [numbers[place] for place in ids],
                    {name: [each[place] for place in ids] for name, each in texts.items()},
                    [there[place] for place in ids],
                )
                if found != expected:
                    faults.append((at, found, expected))

    def write(ending: threading.Event) -> None:
        while not ending.is_set():
            store.write("others", [b"x"], [b"y"])

    ending = threading.Event()
    writer = threading.Thread(target=write, args=(ending,))
    readers = [threading.Thread(target=read, args=(number,)) for number in range(3)]
    for thread in (writer, *readers):
        thread.start()
    for thread in readers:
        thread.join()
    ending.set()
    writer.join()
    assert faults == []
    store.close()


def test_texts_of_another_list_are_other_ids() -> None:
    of, store = asked(WINDOWS[:1]), Numbered()
    remembered = Remembered(store, of.group())
    put(of, store, [event(START - 1)], START)
    for ids in (["a", "z"], ["z", "a"], ["b"]):
        column = TextColumn.over(ids)
        assert told(remembered.of_words(column, START)) == fresh(of, store, ids, START)
