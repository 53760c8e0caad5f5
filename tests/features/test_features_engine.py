"""An engine that computes features itself, on DuckDB: the oracle's answers, in the kinds that the batch gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from oracle import Event, length, lookup, window
from test_features_lookups import TABLE, plain
from test_features_tiles import at_the_borders
from test_features_windows import DAY, HOUR, NUMBERS, check, logs, make_log, questions
from test_features_windows_ibis import CALM, EXACT

from bottega import systems
from bottega.data.engine_names import distributed
from bottega.data.log import Log
from bottega.design.data import Label
from bottega.design.design import Design
from bottega.design.features import Lookup, Window
from bottega.design.tables import Table
from bottega.errors import DataError, DesignError
from bottega.features.arguments import Values
from bottega.features.engine import Engine
from bottega.features.entities import by_columns, distinct_keys
from bottega.features.lookups import lookup_columns
from bottega.features.records import Codec
from bottega.features.stores.keys import keys
from bottega.features.tracked import layout
from bottega.features.tracks import Group
from bottega.features.windows import window_columns

QUICK = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
Asked = Sequence[tuple[tuple[str | None, ...], int]]
SEEN = Label("x", matures_after="2h", observed_at="seen")

ROWS = 900
START = 1_300_000_000_000_000
MOMENT = START + 30 * DAY


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    found = Engine("duckdb://", tmp_path_factory.mktemp("handed"))
    yield found
    found.close()


def words(letter: str, count: int) -> pa.Array:
    drawn = np.random.default_rng(len(letter) + count).integers(0, count, ROWS)
    return pa.array([None if number == 0 else f"{letter}{number}" for number in drawn])


@cache
def bundled_logs() -> dict[str, Log]:
    """Rows of the tables of both designs, drawn by a seed."""
    random = np.random.default_rng(1)
    time = np.sort(random.integers(0, 40 * DAY, ROWS)) + START
    moments = pa.array(time, pa.timestamp("us", "UTC"))
    orders = {
        "invoice": words("i", 300), "product": words("p", 6), "quantity": random.integers(1, 9, ROWS), "time": moments,
        "price": pa.array(random.random(ROWS), mask=random.random(ROWS) < 0.1), "customer": words("c", 7),
        "country": words("l", 4),
    }  # fmt: skip
    impressions = {
        "shown_at": moments, "user_id": words("u", 7), "query": words("q", 5), "device": words("d", 3),
        "ad_id": words("a", 6), "position": random.integers(1, 5, ROWS), "clicked": random.integers(0, 2, ROWS),
    }  # fmt: skip
    ads = {"ad_id": words("a", 6), "advertiser": words("x", 3), "topic": words("t", 4), "bid": random.random(ROWS)}
    users = {"user_id": words("u", 7), "age": random.integers(1, 99, ROWS), "interest": words("t", 4)}
    return {
        "orders": Log("orders", pa.table(orders), time, time + random.integers(0, 2, ROWS)),
        "impressions": Log("impressions", pa.table(impressions), time, time),
        "ads": Log("ads", pa.table(ads), None, None),
        "users": Log("users", pa.table(users), None, None),
    }


def named(asked: Asked, by: Sequence[str]) -> tuple[dict[str, pa.Array], np.ndarray]:
    keys = {name: pa.array([key[place] for key, _ in asked], pa.string()) for place, name in enumerate(by)}
    return keys, np.array([at for _, at in asked], np.int64)


def hold_windows(
    engine: Engine, events: Sequence[Event], asked: Asked, by: Sequence[str], over: Sequence[str],
    hop: str | None = None, names: Iterable[str] = tuple(NUMBERS), many: int = 10**9,
) -> None:  # fmt: skip
    """Hold aggregates over some spans against the oracle, the ones that read `x` by when it was seen."""
    feature = Window("events", by, {name: NUMBERS[name][0] for name in names}, over, hop=hop)
    before, engine.many = engine.many, many
    made = engine.windows(feature, make_log(events, by), *named(asked, by), labels=[SEEN])
    engine.many = before

    def seen(event: Event) -> int:
        return event.time + 2 * HOUR if event.row["seen"] is None else event.row["seen"]

    for name in names:
        text, function, argument = NUMBERS[name]
        for span in over:
            wanted = [
                window(
                    events, key, at, span, hop, function, argument, half_life=2 * HOUR,
                    shifted=seen if "x" in text else lambda event: event.time,
                )
                for key, at in asked
            ]  # fmt: skip
            check(made[f"{'_'.join(by)}_{name}_{span}"], wanted, function in EXACT)


def hold_lookups(engine: Engine, events: Sequence[Event], asked: Asked, by: Sequence[str], ttl: str | None) -> None:
    """Hold a look-up of a number, a text and a time against the oracle."""
    feature = Lookup("events", by, ["x", "c", "seen"], ttl)
    made = engine.lookups(feature, TABLE, make_log(events, by), *named(asked, by))
    for name in feature.columns:
        wanted = [lookup(events, key, at, name, None if ttl is None else length(ttl)) for key, at in asked]
        assert plain(made[f"{'_'.join(by)}_{name}"]) == wanted


@st.composite
def asked_logs(draw: st.DrawFn, count: int, keys: int) -> tuple[list[Event], list[tuple[tuple[str | None, ...], int]]]:
    """Draw some logs with their questions, as one: an engine is asked once for all."""
    events: list[Event] = []
    asked: list[tuple[tuple[str | None, ...], int]] = []
    for place in range(count):

        def own(key: tuple[str | None, ...], place: int = place) -> tuple[str | None, ...]:
            return tuple(None if part is None else f"{place}{part}" for part in key)

        some = draw(logs(keys, [value for value in CALM if value is None or value == value]))
        events += [Event(own(event.key), event.time, event.known, event.row) for event in some]
        asked += [(own(key), at) for key, at in draw(questions(some, keys))]
    return events, asked


@QUICK
@given(data=st.data())
def test_answers_are_the_oracles(engine: Engine, data: st.DataObject) -> None:
    by = ("k", "l")[: data.draw(st.sampled_from([1, 2]))]
    events, asked = data.draw(asked_logs(4, len(by)))
    over = data.draw(st.sampled_from([["1h", "7d"], ["30d", "all"]]))
    hop = data.draw(st.sampled_from([None, None, "7min", "exact"]))
    hold_windows(engine, events, asked, by, over, hop)
    hold_windows(engine, events, asked, by, over, hop, many=-1)  # the same from tiles
    finite = [event for event in events if event.row["x"] != float("inf")]  # as ingestion accepts them
    hold_lookups(engine, finite, asked, by, data.draw(st.sampled_from([None, "1d"])))


@pytest.mark.parametrize(("over", "hop"), [(["1h", "7d"], None), (["1d", "all"], "7min")])
def test_answers_at_the_borders_are_the_oracles(engine: Engine, over: list[str], hop: str | None) -> None:
    at = 20_050 * DAY
    events = at_the_borders(at, [SEEN], over, hop).events
    moments = [at + step for step in (-2 * HOUR, -1, 0, 1, 5 * 60 * 10**6, HOUR, DAY, 7 * DAY)]
    asked = [((key,), moment) for key in ("a", "b", None) for moment in moments]
    for many in (10**9, -1):
        hold_windows(engine, events, asked, ("k",), over, hop, many=many)
    finite = [event for event in events if event.row["x"] is None or abs(event.row["x"]) < float("inf")]
    for ttl in (None, "1h", "1d"):
        hold_lookups(engine, finite, asked, ("k",), ttl)


def test_kinds_are_those_of_the_batch(engine: Engine) -> None:
    hold_kinds(engine)


def hold_kinds(engine: Engine) -> None:
    """Hold look-ups and windows over columns of all types against the batch."""
    rows = pa.table(
        {
            "k": pa.array([7, 7, None, 8]),
            "whole": pa.array([1, None, 3, 2**53]),
            "flag": pa.array([True, False, None, None]),
            "day": pa.array([1, 2, None, 3], pa.date32()),
            "nothing": pa.nulls(4),
            "word": pa.array(["a", "b", None, "a"]).dictionary_encode(),
            "zoned": pa.array([1, 2, 3, None], pa.timestamp("ms", "Europe/London")),
        }
    )
    time = np.array([1, 2, 3, 4])
    log = Log("events", rows, time, time)
    keys, at = {"k": pa.array(["7", "8", "9", None])}, np.array([9, 9, 9, 9])
    columns = [name for name in rows.column_names if name != "k"]
    feature = Lookup("events", "k", columns)
    values = {f"n_{name}": f"count(distinct {name})" for name in columns} | {
        f"l_{name}": f"last({name})" for name in columns
    }
    gathered = Window("events", "k", {**values, "sum": "sum(k * whole)", "early": "min(zoned)"}, ["all"])
    for made, wanted in (
        (engine.lookups(feature, TABLE, log, keys, at), lookup_columns(feature, TABLE, log, keys, at)),
        (engine.windows(gathered, log, keys, at), window_columns(gathered, log, keys, at)),
    ):
        assert list(made) == list(wanted)
        alike(made, wanted)


def alike(made: Mapping[str, Values], wanted: Mapping[str, Values]) -> int:
    """Hold an engine's columns against the batch's: equal but for sums, and of equal kinds; count the values."""
    assert list(made) == list(wanted)
    for name, column in wanted.items():
        assert getattr(made[name], "dtype", "text") == getattr(column, "dtype", "text"), name
        if isinstance(column, np.ndarray) and column.dtype.kind == "f":
            np.testing.assert_allclose(made[name], column, rtol=1e-9, atol=1e-12, err_msg=name)
        else:
            assert plain(made[name]) == plain(column), name
    return sum(map(len, wanted.values()))


@pytest.mark.parametrize("name", ["shop-recommendation", "sponsored-search"])
def test_records_are_right_at_later_moments(engine: Engine, name: str) -> None:
    design = systems.find(name)
    logs = {table.name: bundled_logs()[table.name] for table in design.data.tables}
    assert hold_records(engine, design, logs, MOMENT) > 200


def hold_records(engine: Engine, design: Design, logs: Mapping[str, Log], at: int) -> int:
    """Make all records as of a moment, and hold what is read from them later against the batch; count the values."""
    count = 0
    specs = {table.name: table for table in design.data.tables}
    come = {name: log if log.known is None else log.take(log.known <= at) for name, log in logs.items()}
    for group in layout(design, logs):
        records, names = engine.records(design, logs, group, at), entities(group, come)
        codec, rows = Codec(group), [records.get(key) for key in keys([names[by] for by in group.by])]
        assert len(records) >= sum(row is not None for row in rows) > 0
        for later in (at, at + HOUR // 2, at + 3 * DAY, at + 100 * DAY):
            wanted: dict[str, Values] = {}
            moments = np.full(len(rows), later)
            for feature in design.features:
                if not isinstance(feature, (Window, Lookup)) or by_columns(feature.by) != group.by:
                    continue
                log = come[feature.table]
                if isinstance(feature, Window):
                    labels = design.data.labels if feature.table == design.data.examples.table else ()
                    wanted |= window_columns(feature, log, names, moments, labels=labels)
                else:
                    wanted |= lookup_columns(feature, specs[feature.table], log, names, moments)
            made = codec.values(rows, later)
            assert sorted(wanted) == sorted(group.columns)
            for place, column in enumerate(group.columns):
                count += len(rows)
                if column in made.texts:
                    texts = made.texts[column]
                    assert [texts.words.texts[at] for at in texts.places] == plain(wanted[column]), column
                    continue
                truth = wanted[column]
                if truth.dtype.kind == "M":
                    truth = np.where(np.isnat(truth), np.nan, truth.view(np.int64).astype(np.float64))
                np.testing.assert_allclose(made.numbers[:, place], truth, rtol=1e-9, atol=1e-9, err_msg=column)
    return count


def entities(group: Group, logs: Mapping[str, Log]) -> dict[str, pa.StringArray]:
    """Give all keys of a group that some table names."""
    found = [distinct_keys(logs[track.table], group.by, np.iinfo(np.int64).max) for track in group.tracks]
    together = pa.concat_tables([pa.table(part) for part in found]).group_by(list(group.by)).aggregate([])
    return {name: together[name].combine_chunks() for name in group.by}


def test_a_table_without_time_holds_for_ever(engine: Engine) -> None:
    log = Log("items", pa.table({"k": ["a", "b", "a", None], "x": [1, 2, 3, 4]}), None, None)
    keys, at = {"k": pa.array(["a", "b", "z", None])}, np.array([0, -5, 9, 9])
    made = engine.lookups(Lookup("items", "k", ["x"]), Table("items", key="k"), log, keys, at)
    assert plain(made["k_x"]) == [3.0, 2.0, None, None]


def test_what_the_batch_refuses_is_refused_alike(engine: Engine) -> None:
    log = Log("items", pa.table({"k": ["a"], "x": [1]}), None, None)
    keys, at = {"k": pa.array(["a"])}, np.zeros(1, np.int64)
    with pytest.raises(DesignError, match="without time"):
        engine.lookups(Lookup("items", "k", ["x"], ttl="1d"), Table("items"), log, keys, at)
    with pytest.raises(DataError, match="no column 'z'"):
        engine.lookups(Lookup("items", "k", ["z"]), Table("items"), log, keys, at)
    with pytest.raises(DesignError, match="without time"):
        engine.windows(Window("items", "k", {"n": "count(*)"}), log, keys, at)


def test_a_log_goes_over_once(tmp_path: Path) -> None:
    engine = Engine("duckdb://", tmp_path)
    time = np.array([1, 2])
    log = Log("events", pa.table({"k": ["a", "b"], "n": [1, 2]}), time, time)
    feature = Window("events", "k", {"n": "count(*)"})
    for _ in range(3):
        engine.windows(feature, log, {"k": pa.array(["a"])}, np.array([9]))
    assert len(list(tmp_path.iterdir())) == 4, "one log, and three times the questions"
    other = Log("events", pa.table({"k": ["a", "a"], "n": [1, 2]}), time, time)
    made = engine.windows(feature, other, {"k": pa.array(["a"])}, np.array([9]))
    assert made["k_n_all"].tolist() == [2.0]
    engine.close()


def test_engines_that_cannot_be_reached_say_so(tmp_path: Path) -> None:
    assert [distributed(url) for url in ("snowflake://a/b", "postgres://a/b", None)] == [True, False, False]
    with pytest.raises(DataError, match="nosuch"):
        Engine("nosuch://user:secret@host/x", tmp_path)
    with pytest.raises(DataError) as refused:
        Engine("postgres://user:secret@nowhere.invalid/x", tmp_path)
    assert "secret" not in str(refused.value)
