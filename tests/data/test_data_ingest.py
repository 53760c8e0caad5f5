"""Ingestion against a naive oracle in plain Python: what is accepted, what is not, and why."""

import datetime as dt
import json
import math
import re
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bottega as bt
from bottega.data.ingest import ingest, read_ingested, read_log
from bottega.data.source import Place
from bottega.errors import DataError

CHECKS = [
    bt.NotNull(["id", "amount"]),
    bt.Range("amount", above=0, at_most=5),
    bt.Unique(["id", "amount"]),
    bt.Allowed("kind", ["1", 2]),
    bt.Pattern("id", r"[ab]\d?"),
    bt.MonotoneTime(by=["kind"]),
    bt.MonotoneTime(),
    bt.Range("when", at_least="2020-01-03"),
]
TABLE = bt.Table("t", "t.parquet", time="when", created="seen", event_id="event", checks=CHECKS)
WHEN = st.none() | st.sampled_from(["", "soon", "2020-02-30"]) | st.integers(1, 9).map(lambda day: f"2020-01-0{day}")
ROW = st.fixed_dictionaries(
    {
        "when": WHEN,
        "seen": st.sampled_from(["2020-01-05", "2020-01-07", "2020-01-07", "never", None]),
        "id": st.none() | st.sampled_from(["", "a", "b", "a1", "a11", "c"]),
        "amount": st.none() | st.sampled_from([math.nan, math.inf, -1.0, 0.0, 1.0, 2.5, 5.0, 6.0]),
        "kind": st.none() | st.sampled_from([1, 2, 3]),
        "event": st.none() | st.integers(0, 9),
    }
)


def day(text: str | None) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text or "")
    except ValueError:
        return None


def oracle(rows: list[dict]) -> list[list[str]]:
    """Give the reasons of each row, in the order of declaration; checks see the rows that none before refused."""
    reasons: list[list[str]] = [[] for _ in rows]

    def check(reason: str, is_bad) -> None:
        good = [index for index, found in enumerate(reasons) if not found]
        bad = [index for index, row in enumerate(rows) if is_bad(row, [rows[at] for at in good if at < index])]
        for index in bad:
            reasons[index].append(reason)

    def empty(value: object) -> bool:
        return value is None or value == "" or (isinstance(value, float) and not math.isfinite(value))

    for field, name in (("time", "when"), ("created", "seen")):
        check(f"{field}: missing", lambda row, _, name=name: empty(row[name]))
        check(f"{field}: not a time", lambda row, _, name=name: not empty(row[name]) and day(row[name]) is None)
    for name in ("id", "amount"):
        check(f"{name}: missing", lambda row, _, name=name: empty(row[name]))
    check("amount: not at most 5", lambda row, _: not empty(row["amount"]) and row["amount"] > 5)
    check("amount: not above 0", lambda row, _: not empty(row["amount"]) and row["amount"] <= 0)
    check(
        "id, amount: repeated",
        lambda row, earlier: (
            row["id"] is not None
            and row["amount"] is not None
            and math.isfinite(row["amount"])
            and any((row["id"], row["amount"]) == (old["id"], old["amount"]) for old in earlier)
        ),
    )
    check("kind: not among the values allowed", lambda row, _: row["kind"] == 3)
    check(
        r"id: does not match [ab]\d?",
        lambda row, _: row["id"] is not None and not re.fullmatch(r"[ab]\d?", row["id"]),
    )
    for same in (lambda row: row["kind"], lambda _: None):
        check(
            "time: before that of an earlier row",
            lambda row, earlier, same=same: (
                day(row["when"]) is not None
                and any(same(row) == same(old) and day(old["when"]) > day(row["when"]) for old in earlier)
            ),
        )
    check("when: not at least 2020-01-03", lambda row, _: (day(row["when"]) or dt.date.max) < dt.date(2020, 1, 3))
    check(
        "event_id: repeated",
        lambda row, earlier: row["event"] is not None and any(row["event"] == old["event"] for old in earlier),
    )
    return reasons


SCHEMA = pa.schema(
    [
        ("when", pa.string()),
        ("seen", pa.string()),
        ("id", pa.string()),
        ("amount", pa.float64()),
        ("kind", pa.int64()),
        ("event", pa.int64()),
    ]
)


@settings(max_examples=120, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=25))
def test_every_row_is_accepted_or_kept_with_its_reasons(rows: list[dict]) -> None:
    good = {"when": "2020-01-09", "seen": "2020-01-07", "id": "b9", "amount": 4.5, "kind": None, "event": None}
    rows = [*rows, good]
    expected = oracle(rows)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / "t.parquet", row_group_size=7)
        result = ingest(TABLE, Place(folder), folder / "out")
        accepted = pq.read_table(folder / "out/accepted.parquet")
        refused = pq.read_table(folder / "out/quarantined.parquet")
        assert read_ingested(folder / "out") == result
    assert result.accepted + result.quarantined == result.offered == len(rows)
    assert (accepted.num_rows, refused.num_rows) == (result.accepted, result.quarantined)
    assert refused["reason"].to_pylist() == ["; ".join(reason) for reason in expected if reason]
    firsts = [reason[0] for reason in expected if reason]
    assert result.reasons == {reason: firsts.count(reason) for reason in set(firsts)}
    kept = [row for row, reason in zip(rows, expected, strict=True) if not reason]
    assert accepted["id"].to_pylist() == [row["id"] for row in kept]
    assert [when.date() for when in accepted["when"].to_pylist()] == [day(row["when"]) for row in kept]
    left = [row for row, reason in zip(rows, expected, strict=True) if reason]
    for name in SCHEMA.names:  # as they were, NaN too
        assert repr(refused[name].to_pylist()) == repr([row[name] for row in left])


def put(folder: Path, columns: dict[str, object], name: str = "t.parquet") -> Place:
    pq.write_table(pa.table(columns), folder / name)
    return Place(folder)


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    place = put(tmp_path, {"x": [1, 2, 3], "t": ["2020-01-01", None, "2020-01-02"]})
    for name in ("a", "b"):
        ingest(bt.Table("t", "t.parquet", time="t"), place, tmp_path / name)
    for file in ("accepted.parquet", "quarantined.parquet", "ingested.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    counts = json.loads((tmp_path / "a/ingested.json").read_text())
    whole = {"offered": 3, "accepted": 2, "quarantined": 1, "reasons": {"time: missing": 1}, "repeated": 0}
    assert counts == whole


def test_an_infinite_label_is_put_aside_by_name_and_a_missing_one_is_not(tmp_path: Path) -> None:
    place = put(tmp_path, {"clicked": [1.0, math.inf, math.nan, None, -math.inf, 0.0], "price": [math.inf] * 6})
    told = ingest(bt.Table("t", "t"), place, tmp_path / "out", labels={"clicked": None, "not there": None})
    assert (told.accepted, told.reasons) == (4, {"clicked: infinite": 2})
    bad = pq.read_table(tmp_path / "out/quarantined.parquet")
    assert bad["clicked"].to_pylist() == [math.inf, -math.inf]
    assert bad["reason"].to_pylist() == ["clicked: infinite"] * 2


def test_accepted_columns_have_their_types(tmp_path: Path) -> None:
    place = put(
        tmp_path,
        {
            "CustomerID": [17850, 13047],
            "At": ["12/1/2010 8:26", "12/1/2010 8:28"],
            "price": [math.inf, 2.5],
            "quantity": ["6", " 7 "],
            "weight": ["1.5", None],
        },
    )
    table = bt.Table(
        "t",
        "t",
        time="at",
        time_format="%m/%d/%Y %H:%M",
        columns={"customer": "CustomerID", "at": "At"},
        checks=[bt.Range("quantity", above=0), bt.Range("weight", at_least=0)],
    )
    ingest(table, place, tmp_path / "out")
    rows = pq.read_table(tmp_path / "out/accepted.parquet")
    assert rows.schema.field("at").type == pa.timestamp("us", "UTC")
    assert rows.schema.field("customer").type == pa.int64()
    assert rows.select(["price", "quantity", "weight"]).to_pydict() == {
        "price": [None, 2.5],
        "quantity": [6, 7],
        "weight": [1.5, None],
    }
    assert rows.schema.field("quantity").type == pa.int64()
    assert pq.read_table(tmp_path / "out/quarantined.parquet").schema.names[-1] == "reason"


def test_text_that_is_no_number_is_refused_by_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n\n1\nx\n-2\n\n1e3\n")
    result = ingest(bt.Table("t", "t.csv", checks=[bt.Range("n", above=0)]), Place(tmp_path), tmp_path / "out")
    assert result.reasons == {"n: not a number": 1, "n: not above 0": 1}
    assert pq.read_table(tmp_path / "out/accepted.parquet")["n"].to_pylist() == [1, 1000]


@pytest.mark.parametrize(
    ("texts", "right"),
    [
        (["4,5", "4", " 3,25 ", "-0,5", ",5", None, "none"], [4.5, 4, 3.25, -0.5, 0.5, None]),
        (["4,125", "12,5"], [4.125, 12.5]),
        (["0,125", "4,125"], [0.125, 4.125]),  # no thousands begin with 0
        (["1,234", "2"], [2]),  # a thousand, or one and a bit: nobody knows
        (["4,5", "4.5"], [4.5]),
        (["1,234.5", "1"], [1]),
        (["a, b", "4,5"], [4.5]),
    ],
)
def test_decimal_commas_are_read_where_they_can_be_nothing_else(
    tmp_path: Path, texts: list[str | None], right: list[float | None]
) -> None:
    place = put(tmp_path, {"n": pa.array(texts, pa.string())})
    done = ingest(bt.Table("t", "t", checks=[bt.Range("n", at_least=-1)]), place, tmp_path / "out")
    assert pq.read_table(tmp_path / "out/accepted.parquet")["n"].to_pylist() == right
    bad = pq.read_table(tmp_path / "out/quarantined.parquet")["n"].to_pylist()
    assert len(bad) == done.quarantined == len(texts) - len(right)
    assert set(bad) <= set(texts)  # as the source has them


def test_more_than_half_in_quarantine_is_told(tmp_path: Path) -> None:
    place = put(tmp_path, {"n": ["x", "y", "-1", "1"]})
    done = ingest(bt.Table("t", "t", checks=[bt.Range("n", at_least=0)]), place, tmp_path / "out")
    assert done.alarm() == "75 % of the rows are quarantined, mostly: n: not a number"
    place = put(tmp_path, {"n": ["x", "y", "2", "1"]})
    assert ingest(bt.Table("t", "t", checks=[bt.Range("n", at_least=0)]), place, tmp_path / "out").alarm() == ""


def test_a_column_named_reason_keeps_its_place(tmp_path: Path) -> None:
    place = put(tmp_path, {"reason": ["a", None]})
    ingest(bt.Table("t", "t", checks=[bt.NotNull(["reason"])]), place, tmp_path / "out")
    refused = pq.read_table(tmp_path / "out/quarantined.parquet").to_pylist()
    assert refused == [{"reason": None, "_reason": "reason: missing"}]


def test_csv_and_parquet_of_the_same_rows_give_the_same_log(tmp_path: Path) -> None:
    put(tmp_path, {"id": ["007", "8"], "t": np.array(["2020-01-01", "2020-01-02"], "datetime64[ns]")}, "a.parquet")
    (tmp_path / "b.csv").write_text("id,t\n007,2020-01-01\n8,2020-01-02 00:00:00\n")
    logs = []
    for name in ("a", "b"):
        table = bt.Table("t", name, time="t", key="id")
        ingest(table, Place(tmp_path), tmp_path / f"out-{name}")
        logs.append(read_log(table, tmp_path / f"out-{name}"))
    assert logs[0].rows.equals(logs[1].rows)
    np.testing.assert_array_equal(logs[0].time, logs[1].time)


def test_all_rows_refused_is_one_error_and_no_file(tmp_path: Path) -> None:
    place = put(tmp_path, {"n": [-1, -2, None]})
    table = bt.Table("t", "t", checks=[bt.Range("n", above=0), bt.NotNull(["n"])])
    with pytest.raises(DataError) as error:
        ingest(table, place, tmp_path / "out")
    assert error.value.found == "all 3 rows are refused: n: not above 0 (2), n: missing (1)"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("check", "where", "words"),
    [
        (bt.NotNull(["nn"]), "checks[0].columns", "'nn'"),
        (bt.Range("m", above=0), "checks[0].column", "'m'"),
        (bt.MonotoneTime(by=["q"]), "checks[0].by", "'q'"),
        (bt.MonotoneTime(), "checks[0]", "no time"),
        (bt.Range("n", above="2020-01-01"), "checks[0].n", "as a bound of a column of int64"),
        (bt.Range("flag", above=0), "checks[0].flag", "a column of bool"),
        (bt.Range("day", above=0), "checks[0].day", "as a bound of a column of date32"),
        (bt.Range("day", above="soon"), "checks[0]", "'soon'"),
        (bt.Pattern("n", r"(?=1)1"), "checks[0].regex", "(?="),
    ],
)
def test_a_check_that_cannot_judge_is_one_error(tmp_path: Path, check: object, where: str, words: str) -> None:
    place = put(tmp_path, {"n": [1], "flag": [True], "day": [dt.date(2020, 1, 1)]})
    with pytest.raises(DataError) as error:
        ingest(bt.Table("t", "t", checks=[check]), place, tmp_path / "out")
    assert error.value.where == f"data.tables[t].{where}"
    assert words in str(error.value.found)


def test_ranges_of_dates_are_in_the_tables_zone(tmp_path: Path) -> None:
    place = put(tmp_path, {"day": [dt.date(2020, 7, 1), dt.date(2020, 7, 2)], "t": ["2020-07-01", "2020-07-02"]})
    checks = [bt.Range("day", below="2020-07-02"), bt.Range("t", below="2020-07-01T00:00:01")]
    result = ingest(bt.Table("t", "t", time="t", timezone="Asia/Tokyo", checks=checks), place, tmp_path / "out")
    assert (result.accepted, result.reasons) == (1, {"day: not below 2020-07-02": 1})


def test_what_is_usable_when(tmp_path: Path) -> None:
    day = 86_400_000_000
    place = put(tmp_path, {"t": ["1970-01-01", "1970-01-03"], "seen": ["1970-01-02", "1970-01-02"]})
    table = bt.Table("t", "t", time="t", created="seen", available_after="1h")
    ingest(table, place, tmp_path / "out")
    log = read_log(table, tmp_path / "out")
    hour = 3_600_000_000
    assert log.time.tolist() == [0, 2 * day]
    assert log.known.tolist() == [day + hour, 2 * day + hour]
    for at, count in ((day, 0), (day + hour - 1, 0), (day + hour, 1), (2 * day + hour, 2)):
        assert log.before(at).rows.num_rows == log.usable(at).sum() == count
    assert log.end() == 2 * day + 1
    with pytest.raises(DataError, match="did you mean 'seen'"):
        log.column("sean")
    static = bt.Table("t", "t")
    ingest(static, place, tmp_path / "static")
    static_log = read_log(static, tmp_path / "static")
    assert static_log.before(0) is static_log
    with pytest.raises(DataError, match="no time"):
        static_log.end()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=20), st.integers(-1, 15))
def test_before_is_what_was_there(make_times: list[tuple[int, int]], at: int) -> None:
    from bottega.data.log import Log

    time = np.array([time for time, _ in make_times], np.int64)
    known = time + np.array([delay for _, delay in make_times])
    log = Log("t", pa.table({"row": np.arange(len(time))}), time, known)
    expected = [row for row, (when, delay) in enumerate(make_times) if when < at and when + delay <= at]
    got = log.before(at)
    assert got.rows["row"].to_pylist() == expected
    assert got.time.tolist() == time[expected].tolist()
    assert got.known.tolist() == known[expected].tolist()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"key": "id"}, 3),
        ({"key": ["id", "kind"]}, 2),
        ({"key": "id", "checks": [bt.Allowed("kind", [1])]}, 2),
        ({"key": "id", "time": "when"}, 1),
        ({}, 0),
    ],
    ids=["one column", "two columns", "of accepted rows", "with a time", "no key"],
)
def test_keys_that_are_repeated_are_counted_and_told(fields: dict, expected: int, tmp_path: Path) -> None:
    rows = [("a", 1, 1), ("b", 1, 1), ("a", 1, 1), ("a", 2, 2), ("a", 1, 3), (None, 1, 1), (None, 1, 1)]
    columns = {name: [row[place] for row in rows] for place, name in enumerate(("id", "kind", "when"))}
    columns["when"] = [f"2020-01-0{day}" for day in columns["when"]]
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    found = ingest(bt.Table("t", "t.parquet", **fields), Place(tmp_path), tmp_path / "in")
    assert found.repeated == expected
    assert read_ingested(tmp_path / "in") == found
    assert ("repeated (the last row counts)" in found.told()) == (expected > 0)
    assert found.told().startswith(f"7 offered   {found.accepted} accepted   {found.quarantined} quarantined")


def test_lists_and_structures_are_left_in_the_source(tmp_path: Path) -> None:
    """No part of a design reads them, and no event holds them: a stream of such rows would stand still."""
    pq.write_table(pa.table({"x": [1, 2], "tags": [["a"], []], "meta": [{"k": 1}, None]}), tmp_path / "t.parquet")
    assert ingest(bt.Table("t", "t.parquet"), Place(tmp_path), tmp_path / "out").accepted == 2
    assert pq.read_table(tmp_path / "out" / "accepted.parquet").column_names == ["x"]
