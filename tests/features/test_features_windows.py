"""Windows against the naive oracle: generated logs with ties, late rows, duplicates, nulls, huge and tiny values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Event, length, window

from bottega.data.log import Log
from bottega.design.data import Label
from bottega.design.features import Window
from bottega.errors import DesignError
from bottega.features import kernels_walk
from bottega.features.windows import window_columns, window_entities, window_names

MINUTE, HOUR, DAY = length("1min"), length("1h"), length("1d")
START = 20_000 * DAY  # midnight, so that ties with hops happen
STEPS = [0, 1, -1, MINUTE, 5 * MINUTE, HOUR, HOUR - 1, 7 * HOUR, DAY, 3 * DAY, 7 * DAY, 40 * DAY]
WILD = [0.0, -0.0, 1.0, -1.0, 0.1, 3.5, 1e18, -1e18, 1e-18, 1e250, -1e250, math.nan, math.inf, None]


def make_log(events: Sequence[Event], by: Sequence[str] = ("k",)) -> Log:
    columns = {name: pa.array([event.key[place] for event in events], pa.string()) for place, name in enumerate(by)}
    columns["x"] = pa.array([event.row["x"] for event in events], pa.float64())
    columns["c"] = pa.array([event.row["c"] for event in events], pa.string())
    columns["seen"] = pa.array([event.row["seen"] for event in events], pa.timestamp("us"))
    columns["moment"] = pa.array([event.time for event in events], pa.timestamp("us"))
    time = np.array([event.time for event in events], np.int64)
    return Log("events", pa.table(columns), time, np.array([event.known for event in events], np.int64))


@st.composite
def logs(draw: st.DrawFn, keys: int = 1, values: Sequence[float | None] = WILD) -> list[Event]:
    after = draw(st.sampled_from([0, 0, 1, 5 * MINUTE]))
    late = draw(st.sampled_from([[0], [0], [0, 0, 1, HOUR], [0, 5 * MINUTE, 9 * DAY]]))
    clock, events = START, []
    for _ in range(draw(st.integers(0, 25))):
        clock += draw(st.sampled_from([0, 0, 1, MINUTE, 5 * MINUTE, HOUR, DAY, 6 * DAY]))
        time = clock - draw(st.sampled_from([0, 0, 0, 1, HOUR, 8 * DAY]))  # not in the order of arrival
        key = tuple(draw(st.sampled_from(["a", "a", "a", "b", None])) for _ in range(keys))
        row = {
            "x": draw(st.sampled_from(values)),
            "c": draw(st.sampled_from(["u", "v", None])),
            "seen": draw(st.sampled_from([None, time, time + HOUR])),
            "moment": time,
        }
        event = Event(key, time, time + draw(st.sampled_from(late)) + after, row)
        events += [event] * draw(st.sampled_from([1, 1, 1, 2]))
    return events


@st.composite
def questions(draw: st.DrawFn, events: Sequence[Event], keys: int = 1) -> list[tuple[tuple[str | None, ...], int]]:
    moments = [START] + [moment for event in events for moment in (event.time, event.known)]
    one = st.tuples(
        st.tuples(*[st.sampled_from(["a", "a", "b", "z", None])] * keys),
        st.builds(lambda moment, step: moment + step, st.sampled_from(moments), st.sampled_from(STEPS)),
    )
    return draw(st.lists(one, max_size=12))


def check(made: np.ndarray, wanted: Sequence[tuple[float | None, float]], exact: bool) -> None:
    assert len(made) == len(wanted)
    for value, (truth, size) in zip(made.tolist(), wanted, strict=True):
        if truth is None or value != value:
            assert (truth is None) == (value != value), (value, truth)
        elif exact:
            assert value == truth
        else:
            assert abs(value - truth) <= 1e-5 * size + 1e-300, (value, truth, size)


NUMBERS = {
    "n": ("count(*)", "count", lambda _: 1),
    "filled": ("count(x)", "count", lambda row: row["x"]),
    "kinds": ("count(distinct c)", "distinct", lambda row: row["c"]),
    "values": ("count(distinct x)", "distinct", lambda row: row["x"]),
    "total": ("sum(x)", "sum", lambda row: row["x"]),
    "twice": ("sum(case when c = 'u' then x end)", "sum", lambda row: row["x"] if row["c"] == "u" else None),
    "mean": ("avg(x)", "avg", lambda row: row["x"]),
    "least": ("min(x)", "min", lambda row: row["x"]),
    "most": ("max(x)", "max", lambda row: row["x"]),
    "newest": ("last(x)", "last", lambda row: row["x"]),
    "faded": ("decayed_sum(x, '2h')", "decayed_sum", lambda row: row["x"]),
}  # fmt: skip
EXACT = {"count", "distinct", "min", "max", "last"}


def compare(
    events: Sequence[Event],
    asked: Sequence[tuple[tuple[str | None, ...], int]],
    over: Sequence[str],
    hop: str | None,
    by: Sequence[str] = ("k",),
    where: bool = False,
) -> None:
    feature = Window(
        "events", by, {name: text for name, (text, _, _) in NUMBERS.items()}, over, "c = 'u'" if where else None, hop
    )
    keys = {name: pa.array([key[place] for key, _ in asked], pa.string()) for place, name in enumerate(by)}
    made = window_columns(feature, make_log(events, by), keys, np.array([at for _, at in asked], np.int64))
    assert list(made) == window_names(feature)
    for name, (_, function, argument) in NUMBERS.items():
        for span in over:
            wanted = [
                window(
                    events, key, at, span, hop, function, argument, half_life=2 * HOUR,
                    where=(lambda row: row["c"] == "u") if where else (lambda _: True),
                )
                for key, at in asked
            ]  # fmt: skip
            check(made[f"{'_'.join(by)}_{name}_{span}"], wanted, function in EXACT)


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_every_aggregate_equals_the_oracle(data: st.DataObject) -> None:
    events = data.draw(logs())
    over = data.draw(st.sampled_from([["1h", "7d", "all"], ["5min"], ["30d", "1d"], ["all"]]))
    hop = data.draw(st.sampled_from([None, None, "exact", "1h", "7min"]))
    compare(events, data.draw(questions(events)), over, hop, where=data.draw(st.booleans()))


@pytest.mark.parametrize("most", [1, 200])  # bytes at a time: one key a walk, and a few
def test_walks_over_a_few_keys_at_a_time_equal_the_oracle(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    walks: list[int] = []
    walk = kernels_walk.walk

    def counted_walk(*given: Any) -> None:
        walks.append(given[11])
        walk(*given)

    monkeypatch.setattr("bottega.features.timeline._MOST", most)
    monkeypatch.setattr(kernels_walk, "walk", counted_walk)

    @settings(max_examples=80, deadline=None)
    @given(st.data())
    def equal(data: st.DataObject) -> None:
        events = data.draw(logs())
        over = data.draw(st.sampled_from([["1h", "7d", "all"], ["30d", "1d"], ["all"]]))
        compare(events, data.draw(questions(events)), over, data.draw(st.sampled_from([None, "exact", "1h"])))

    equal()
    assert max(walks) > 0, "a second walk, over the keys after the first"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_calm_values_equal_the_oracle_by_running_sums(data: st.DataObject) -> None:
    """Values of like size take the quick way, over running sums: the wild ones above mostly take the tree."""
    events = data.draw(logs(values=data.draw(st.sampled_from([[1.0, 2.0, None], [0.1, 0.3, -7.7, 1e9, None]]))))
    compare(events, data.draw(questions(events)), ["1h", "1d", "all"], None)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_keys_of_several_columns(data: st.DataObject) -> None:
    events = data.draw(logs(keys=2))
    compare(events, data.draw(questions(events, keys=2)), ["7d", "all"], None, by=("k", "l"))


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_a_label_counts_from_when_it_was_known(data: st.DataObject) -> None:
    events = data.draw(logs(values=[0.0, 1.0, None]))
    asked = data.draw(questions(events))
    observed = data.draw(st.booleans())
    label = Label("x", matures_after="2h", observed_at="seen" if observed else None)
    texts = {
        "n": "count(*)",
        "mean": "avg(x)",
        "newest": "last(x)",
        "faded": "decayed_sum(x, '2h')",
        "kinds": "count(distinct c)",
    }
    feature = Window("events", "k", texts, ["1d", "all"])
    keys = {"k": pa.array([key[0] for key, _ in asked], pa.string())}
    at = np.array([at for _, at in asked], np.int64)
    made = window_columns(feature, make_log(events), keys, at, labels=[label])

    def shifted(event: Event) -> int:
        seen = event.row["seen"] if observed else None
        return event.time + 2 * HOUR if seen is None else seen

    for name, (_, function, argument) in NUMBERS.items():
        for span in feature.over if name in texts else ():
            time = shifted if "x" in texts[name] else (lambda event: event.time)
            wanted = [
                window(events, key, moment, span, None, function, argument, half_life=2 * HOUR, shifted=time)
                for key, moment in asked
            ]
            check(made[f"k_{name}_{span}"], wanted, function in EXACT)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_condition_on_the_label_shifts_every_aggregate(data: st.DataObject) -> None:
    events = data.draw(logs(values=[0.0, 1.0, None]))
    asked = data.draw(questions(events))
    feature = Window("events", "k", {"n": "count(*)"}, ["1d"], where="x = 1")
    keys = {"k": pa.array([key[0] for key, _ in asked], pa.string())}
    at = np.array([at for _, at in asked], np.int64)
    made = window_columns(feature, make_log(events), keys, at, labels=[Label("x", matures_after="1h")])
    wanted = [
        window(
            events, key, moment, "1d", None, "count", where=lambda row: row["x"] == 1, shifted=lambda e: e.time + HOUR
        )
        for key, moment in asked
    ]
    check(made["k_n_1d"], wanted, True)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_times_and_texts(data: st.DataObject) -> None:
    events = data.draw(logs())
    asked = data.draw(questions(events))
    feature = Window(
        "events", "k", {"first": "min(moment)", "recent": "max(moment)", "seen": "last(seen)", "c": "last(c)",
         "n": "count(seen)"},
        ["1d", "all"],
    )  # fmt: skip
    keys = {"k": pa.array([key[0] for key, _ in asked], pa.string())}
    made = window_columns(feature, make_log(events), keys, np.array([at for _, at in asked], np.int64))
    for name, function, source in (
        ("first", "min", "moment"), ("recent", "max", "moment"), ("seen", "last", "seen"), ("c", "last", "c"),
        ("n", "count", "seen"),
    ):  # fmt: skip
        for span in feature.over:
            column = made[f"k_{name}_{span}"]
            plain = [
                window(events, key, at, span, None, function, lambda row, source=source: row[source])[0]
                for key, at in asked
            ]
            if name == "c":
                assert column.to_pylist() == plain
            elif name == "n":
                assert column.tolist() == plain
            else:
                assert column.dtype == "datetime64[us]"
                assert [None if np.isnat(item) else int(item.view(np.int64)) for item in column] == plain


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_entities_are_the_keys_with_a_usable_row(data: st.DataObject) -> None:
    events = data.draw(logs(keys=2))
    at = data.draw(st.sampled_from([START, START + HOUR, START + 9 * DAY, START + 90 * DAY]))
    found = window_entities(Window("events", ["k", "l"], {"n": "count(*)"}), make_log(events, ("k", "l")), at)
    pairs = list(zip(found["k"].to_pylist(), found["l"].to_pylist(), strict=True))
    wanted = {event.key for event in events if event.time < at and event.known <= at and None not in event.key}
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == wanted


def one(time: int, known: int, x: float = 1.0) -> Event:
    return Event(("a",), time, known, {"x": x, "c": "u", "seen": None, "moment": time})


def counted(events: Sequence[Event], at: Sequence[int], span: str, hop: str | None = None) -> list[float]:
    feature = Window("events", "k", {"n": "count(*)"}, [span], hop=hop)
    keys = {"k": pa.array(["a"] * len(at))}
    return window_columns(feature, make_log(events), keys, np.array(at, np.int64))[f"k_n_{span}"].tolist()


def test_the_event_at_exactly_the_time_is_out() -> None:
    assert counted([one(START, START)], [START - 1, START, START + 1], "1h") == [0, 0, 1]


def test_the_event_at_exactly_the_rounded_tail_is_in() -> None:
    at = START + HOUR + 4 * MINUTE  # the tail, START + 4 min, is rounded down to START
    assert counted([one(START, START), one(START - 1, START - 1)], [at], "1h") == [1]
    assert counted([one(START, START)], [at + MINUTE], "1h") == [0]
    assert counted([one(START, START)], [START + HOUR, START + HOUR + 1], "1h", "exact") == [1, 0]


def test_hops_follow_from_the_span() -> None:
    for span, hop in (("12h", 5 * MINUTE), ("12d", HOUR), ("13d", DAY), ("13h", HOUR)):
        last_in = START + length(span) + hop - 1
        assert counted([one(START, START)], [last_in, last_in + 1], span) == [1, 0], span


def test_tails_before_1970_are_rounded_down_too() -> None:
    assert counted([one(-HOUR, -HOUR)], [-1, 4 * MINUTE, 5 * MINUTE], "1h") == [1, 1, 0]


def test_a_row_known_at_exactly_the_time_is_in() -> None:
    assert counted([one(START, START + 9)], [START + 8, START + 9], "1h") == [0, 1]


def test_a_row_that_arrives_after_its_window_never_counts() -> None:
    assert counted([one(START, START + 2 * DAY), one(START, START)], [START + 1, START + 3 * DAY], "1h") == [1, 0]


def test_small_sums_survive_huge_values_that_have_left() -> None:
    huge = [one(START, START, 1e30), one(START + 1, START + 1, 1e13)]  # of two sizes: more than a pair of floats holds
    events = [*huge, one(START + DAY, START + DAY, 1e-3), one(START + DAY, START + DAY, 2e-3)]
    feature = Window("events", "k", {"s": "sum(x)", "m": "avg(x)", "f": "decayed_sum(x, '1h')"}, ["1h"])
    made = window_columns(feature, make_log(events), {"k": pa.array(["a"])}, np.array([START + DAY + 1]))
    assert made["k_s_1h"][0] == pytest.approx(3e-3, rel=1e-12)
    assert made["k_m_1h"][0] == pytest.approx(1.5e-3, rel=1e-12)
    assert made["k_f_1h"][0] == pytest.approx(3e-3, rel=1e-6)


def test_nothing_asked_and_nothing_logged() -> None:
    feature = Window("events", "k", {"n": "count(*)", "m": "max(moment)", "c": "last(c)"}, ["1h"])
    blank = make_log([])
    none = window_columns(feature, make_log([one(0, 0)]), {"k": pa.array([], pa.string())}, np.zeros(0, np.int64))
    assert [len(column) for column in none.values()] == [0, 0, 0]
    empty = window_columns(feature, blank, {"k": pa.array(["a", None])}, np.array([5, 5]))
    assert empty["k_n_1h"].tolist() == [0, 0]
    assert np.isnat(empty["k_m_1h"]).all()
    assert empty["k_m_1h"].dtype == "datetime64[us]"
    assert empty["k_c_1h"].to_pylist() == [None, None]


def test_inputs_stay_as_they_were() -> None:
    log = make_log([one(START + 9, START + 9), one(START, START + 20)])
    at = np.array([START + 30, START], np.int64)
    before = log.rows, log.time.copy(), log.known.copy(), at.copy()
    for array in (log.time, log.known, at):
        array.flags.writeable = False
    window_columns(Window("events", "k", {"s": "sum(x)", "l": "last(x)"}), log, {"k": pa.array(["a", "a"])}, at)
    assert log.rows.equals(before[0])
    for array, old in zip((log.time, log.known, at), before[1:], strict=True):
        assert (array == old).all()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cuont(x)", "did you mean 'count'?"),
        ("median(x)", "decayed_sum"),
        ("sum(x) + sum(x)", "one aggregate"),
        ("sum(*)", "count(*) alone"),
        ("sum(distinct x)", "count(distinct x) alone"),
        ("decayed_sum(x)", "half-life"),
        ("decayed_sum(x, '30 moons')", "a number and a unit"),
        ("decayed_sum(x, '0d')", "above 0"),
        ("sum(c)", "of texts"),
        ("avg(moment)", "of times"),
        ("sum()", "name a column"),
        ("count(distinct)", "name a column"),
        ("x", "one aggregate"),
    ],
)
def test_what_is_no_aggregate_is_refused(text: str, says: str) -> None:
    with pytest.raises(DesignError, match="events") as caught:
        window_columns(Window("events", "k", {"v": text}), make_log([one(0, 0)]), {"k": pa.array(["a"])}, np.array([5]))
    assert says in str(caught.value)


def test_a_condition_that_is_none_is_refused() -> None:
    with pytest.raises(DesignError, match="a condition"):
        window_columns(
            Window("events", "k", {"v": "count(*)"}, where="c"),
            make_log([one(0, 0)]),
            {"k": pa.array(["a"])},
            np.array([5]),
        )
