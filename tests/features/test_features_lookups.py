"""Look-ups against the naive oracle, and their borders one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Event, length, lookup
from test_features_windows import START, logs, make_log, questions

from bottega.data.log import Log
from bottega.design.features import Lookup
from bottega.design.tables import Table
from bottega.errors import DataError, DesignError
from bottega.features.lookups import lookup_columns, lookup_entities, lookup_names

TABLE = Table("events", time="moment")


def plain(column: np.ndarray | pa.Array) -> list[object]:
    if isinstance(column, pa.Array):
        return column.to_pylist()
    if column.dtype.kind == "M":
        return [None if np.isnat(item) else int(item.view(np.int64)) for item in column]
    return [None if math.isnan(item) else item for item in column.tolist()]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_look_ups_equal_the_oracle(data: st.DataObject) -> None:
    keys = data.draw(st.sampled_from([1, 2]))
    by = ("k", "l")[:keys]
    events = data.draw(logs(keys=keys, values=[1.0, 2.5, -3e200, None]))
    asked = data.draw(questions(events, keys=keys))
    ttl = data.draw(st.sampled_from([None, "1h", "1d", "7d"]))
    feature = Lookup("events", by, ["x", "c", "seen"], ttl)
    columns = {name: pa.array([key[place] for key, _ in asked], pa.string()) for place, name in enumerate(by)}
    made = lookup_columns(feature, TABLE, make_log(events, by), columns, np.array([at for _, at in asked], np.int64))
    assert list(made) == lookup_names(feature) == [f"{'_'.join(by)}_{name}" for name in ("x", "c", "seen")]
    for name in feature.columns:
        wanted = [lookup(events, key, at, name, None if ttl is None else length(ttl)) for key, at in asked]
        assert plain(made[f"{'_'.join(by)}_{name}"]) == wanted
    moment = data.draw(st.sampled_from([at for _, at in asked] or [START]))
    live = {
        event.key
        for event in events
        if event.time < moment
        and event.known <= moment
        and None not in event.key
        and (ttl is None or event.time > moment - length(ttl))
    }
    found = lookup_entities(feature, TABLE, make_log(events, by), moment)
    assert set(zip(*(found[name].to_pylist() for name in by), strict=True)) == live


def at_times(events: Sequence[Event], at: Sequence[int], ttl: str | None = None) -> list[object]:
    keys = {"k": pa.array(["a"] * len(at))}
    return plain(
        lookup_columns(Lookup("events", "k", ["x"], ttl), TABLE, make_log(events), keys, np.array(at, np.int64))["k_x"]
    )


def row(time: int, known: int, x: float | None) -> Event:
    return Event(("a",), time, known, {"x": x, "c": None, "seen": None, "moment": time})


def test_a_row_counts_after_its_time_and_once_it_is_known() -> None:
    assert at_times([row(100, 100, 1.0)], [99, 100, 101]) == [None, None, 1.0]
    assert at_times([row(100, 150, 1.0)], [149, 150]) == [None, 1.0]


def test_the_time_to_live_ends_at_exactly_its_length() -> None:
    assert at_times([row(100, 100, 1.0)], [1_000_099, 1_000_100], "1s") == [1.0, None]


def test_of_equal_times_the_later_known_and_then_the_later_arrived_counts() -> None:
    assert at_times([row(100, 120, 1.0), row(100, 110, 2.0)], [115, 200]) == [2.0, 1.0]
    assert at_times([row(100, 100, 1.0), row(100, 100, 2.0)], [200]) == [2.0]


def test_a_late_correction_of_the_past_does_not_replace_a_newer_row() -> None:
    assert at_times([row(100, 100, 1.0), row(50, 300, 9.0)], [200, 400]) == [1.0, 1.0]


def test_a_null_in_the_newest_row_stays_null() -> None:
    assert at_times([row(100, 100, 1.0), row(110, 110, None)], [105, 200]) == [1.0, None]


def test_a_table_without_time_holds_for_ever_by_its_last_row() -> None:
    rows = pa.table({"k": ["a", "b", "a", None], "x": [1, 2, 3, 4], "c": ["p", None, "q", "r"]})
    log, static = Log("items", rows, None, None), Table("items", key="k")
    keys = {"k": pa.array(["a", "b", "z", None])}
    made = lookup_columns(Lookup("items", "k", ["x", "c"]), static, log, keys, np.array([0, -5, 9, 9]))
    assert plain(made["k_x"]) == [3.0, 2.0, None, None]
    assert plain(made["k_c"]) == ["q", None, None, None]
    assert lookup_entities(Lookup("items", "k", ["x"]), static, log, 0)["k"].to_pylist() == ["a", "b"]
    with pytest.raises(DesignError, match="without time"):
        lookup_columns(Lookup("items", "k", ["x"], ttl="1d"), static, log, keys, np.zeros(4, np.int64))


def test_whole_number_ids_meet_their_texts() -> None:
    log = Log("items", pa.table({"k": pa.array([17850.0, 2.0]), "x": [1, 2]}), None, None)
    made = lookup_columns(
        Lookup("items", "k", ["x"]), Table("items"), log, {"k": pa.array(["17850"])}, np.zeros(1, np.int64)
    )
    assert made["k_x"].tolist() == [1.0]


def test_dictionaries_are_taken_as_keys() -> None:
    log = Log("items", pa.table({"k": ["a", "b"], "x": [1, 2]}), None, None)
    keys = {"k": pa.array(["b", None, "a", "z"]).dictionary_encode()}
    made = lookup_columns(Lookup("items", "k", ["x"]), Table("items"), log, keys, np.zeros(4, np.int64))
    assert plain(made["k_x"]) == [2.0, None, 1.0, None]


def test_an_empty_table_gives_nulls_of_the_right_kind() -> None:
    made = lookup_columns(
        Lookup("events", "k", ["x", "c", "seen"]), TABLE, make_log([]), {"k": pa.array(["a"])}, np.array([5])
    )
    assert [plain(column) for column in made.values()] == [[None]] * 3
    assert made["k_x"].dtype == np.float64
    assert made["k_seen"].dtype == "datetime64[us]"
    assert pa.types.is_string(made["k_c"].type)


def test_a_wrong_column_is_named_with_a_guess() -> None:
    with pytest.raises(DataError, match="did you mean 'seen'"):
        lookup_columns(Lookup("events", "k", ["sen"]), TABLE, make_log([]), {"k": pa.array(["a"])}, np.array([5]))
