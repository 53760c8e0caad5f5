"""Messages as rows: what each kind of bad message becomes, and that every message becomes something."""

import datetime as dt
import json
from collections import Counter
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bottega as bt
from bottega.data.streams.messages import AHEAD, Decoder
from bottega.data.streams.protocol import UNKNOWN, Message
from bottega.errors import DataError

NOW = 1_700_000_000_000_000
OF = "of a clock that shows 2023-11-14 22:13:20"
US = pa.timestamp("us", "UTC")


def messages(*events: object, arrival: int = NOW) -> list[Message]:
    """Events, each a value or the bytes themselves, as messages of one partition."""
    bodies = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    return [Message(3, 10 * place, arrival, body) for place, body in enumerate(bodies)]


def decoder(table: bt.Table, **columns: pa.DataType) -> Decoder:
    return Decoder([table], {table.name: pa.schema(columns.items())})


def reasons(table: bt.Table, schema: pa.Schema, *events: object) -> list[str | None]:
    """Why each event is refused; nothing for one that is not."""
    sent = messages(*events)
    found = Decoder([table], {table.name: schema}).decode(sent, NOW)
    why = {refused.message.offset: refused.reason for refused in found.refused}
    return [why.get(message.offset) for message in sent]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["time", "id", "amount", "n", "flag", "at", "small", "big", "exact", "nothing", "more", 'odd"'])
EVENT = st.dictionaries(NAMES, JSON, max_size=6).map(lambda fields: json.dumps({"table": "t", **fields}).encode())
BODY = st.binary(max_size=20) | JSON.map(lambda value: json.dumps(value).encode()) | EVENT
EVERY = pa.schema(
    [
        ("time", US), ("id", pa.string()), ("amount", pa.float32()), ("n", pa.int8()), ("flag", pa.bool_()),
        ("at", pa.timestamp("ms")), ("big", pa.uint64()), ("exact", pa.decimal128(5, 2)), ("nothing", pa.null()),
    ]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(BODY, max_size=10))
def test_whatever_comes_is_one_row_or_one_refusal(bodies: list[bytes]) -> None:
    table = bt.Table("t", time="time", checks=[bt.Range("amount", at_most=5), bt.NotNull(["id"])])
    reader = Decoder([table], {"t": EVERY})
    sent = messages(*bodies)
    for _ in range(2):  # the second time with the fields that nobody knows
        found = reader.decode(sent, NOW)
        rows = found.tables["t"].place.tolist() if found.tables else []
        assert sorted([*rows, *(refused.message.offset // 10 for refused in found.refused)]) == list(range(len(sent)))
        assert rows == sorted(rows)
        if found.tables:
            assert found.tables["t"].rows.schema.equals(EVERY)
            assert found.tables["t"].rows.num_rows == len(rows)
        for place in rows:
            assert json.loads(bodies[place])["table"] == "t"
        assert {name for _, name in found.unknown} <= {"small", "more", 'odd"'}


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (pa.int64(), 2.5, "not a whole number of 64 bits"),
        (pa.int64(), "2", "not a whole number of 64 bits"),
        (pa.int64(), 2**63, "not a whole number of 64 bits"),
        (pa.int64(), True, "not a whole number of 64 bits"),
        (pa.int8(), 128, "not a whole number of 8 bits"),
        (pa.uint64(), -1, "not a whole number of 64 bits"),
        (pa.float64(), "2", "not a number"),
        (pa.float64(), False, "not a number"),
        (pa.float32(), 1e300, "not a number"),
        (pa.bool_(), 1, "not true or false"),
        (pa.string(), ["a"], "not a text"),
        (pa.string(), {"a": 1}, "not a text"),
        (pa.date32(), "30 February", "not a time"),
        (pa.date32(), 5, "not a time"),
        (pa.timestamp("us"), "2020-02-30 00:00:00", "not a time"),
        (pa.timestamp("us", "UTC"), "2020-01-01 00:00:00", "not a time"),
        (pa.decimal128(4, 2), 123.45, "not a number"),
        (pa.int64(), 10**4000, "not a whole number of 64 bits"),
        (pa.float64(), 10**4000, "not a number"),
        (pa.null(), 1, "never filled in the batch"),
        (pa.binary(), "a", "not bytes in base64"),
    ],
    ids=str,
)
def test_a_changed_type_is_refused_by_its_column(kind: pa.DataType, value: object, words: str) -> None:
    schema = pa.schema([("x", kind), ("y", pa.int64())])
    table = bt.Table("t")
    assert reasons(table, schema, {"table": "t", "x": value}, {"table": "t", "x": None}, {"table": "t"}) == [
        f"x: {words}", None, None,
    ]  # fmt: skip
    both = f"x: {words}; y: not a whole number of 64 bits"
    assert reasons(table, schema, {"table": "t", "x": value, "y": [1]}) in (
        [both],
        ["y: not a whole number of 64 bits"],
    )


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        (pa.int64(), "17850", 17850),
        (pa.int64(), "17850.0", 17850),
        (pa.int64(), 17850, 17850),
        (pa.float64(), "17850", 17850.0),
        (pa.int64(), "17850.5", "x: not a whole number of 64 bits"),
        (pa.int64(), "many", "x: not a whole number of 64 bits"),
        (pa.float64(), "many", "x: not a number"),
        (pa.int64(), "", "x: not a whole number of 64 bits"),
        (pa.int64(), "1" * 30, "x: not a whole number of 64 bits"),
    ],
    ids=str,
)
def test_an_id_may_be_text_where_its_column_has_numbers(kind: pa.DataType, value: object, read: object) -> None:
    reader = Decoder([bt.Table("t")], {"t": pa.schema([("x", kind), ("y", pa.int64())])}, ids={"x"})
    found = reader.decode(messages({"table": "t", "x": value}, {"table": "t", "y": "5"}, {"table": "t"}), NOW)
    refused = [one.reason for one in found.refused]
    assert refused == [*([read] if isinstance(read, str) else []), "y: not a whole number of 64 bits"]
    values = found.tables["t"].rows.column("x").to_pylist()
    assert values == ([None] if isinstance(read, str) else [read, None])


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        (pa.int64(), 2.0, 2),
        (pa.int64(), -(2**63), -(2**63)),
        (pa.uint64(), 2**64 - 1, 2**64 - 1),
        (pa.float64(), 2, 2.0),
        (pa.float64(), 2**53 + 1, float(2**53 + 1)),
        (pa.string(), 17850, "17850"),
        (pa.string(), 17850.0, "17850"),
        (pa.string(), 2.5, "2.5"),
        (pa.string(), 2**80, str(2**80)),
        (pa.string(), True, "true"),
        (pa.string(), "", ""),
        (pa.large_string(), "a", "a"),
        (pa.decimal128(5, 2), 1.1, Decimal("1.10")),
        (pa.decimal128(5, 2), "1.1", Decimal("1.10")),
        (pa.date32(), "2020-02-29", dt.date(2020, 2, 29)),
    ],
    ids=str,
)
def test_a_value_takes_the_type_of_its_column(kind: pa.DataType, value: object, read: object) -> None:
    found = decoder(bt.Table("t"), x=kind).decode(messages({"table": "t", "x": value}, {"table": "t"}), NOW)
    assert found.tables["t"].rows.column("x").to_pylist() == [read, None]
    assert found.tables["t"].rows.column("x").type == kind


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no JSON"),
        (b"hello", "no JSON"),
        (b'{"table": "t"', "no JSON"),
        (b'{"table": "t"} {"table": "t"}', "no JSON"),
        (b'{"table": "\xff"}', "no JSON"),
        (b'{"table": "t", "x": "\\ud800"}', "no JSON"),
        (b'{"table": "t", "x": NaN}', "no JSON"),
        (b"[" * 100_000, "no object"),
        (b'{"a":' * 100_000, "no JSON"),
        (b"[]", "no object"),
        (b"7", "no object"),
        (b"{}", "table: missing"),
        (b'{"table": null}', "table: missing"),
        (b'{"table": "T"}', "table: 'T' is unknown"),
        (b'{"table": ["t"]}', "table: ['t'] is unknown"),
    ],
)
def test_a_poison_message_is_refused_and_the_others_go_on(body: bytes, reason: str) -> None:
    found = decoder(bt.Table("t"), x=pa.string()).decode(messages({"table": "t"}, body, {"table": "t"}), NOW)
    (refused,) = found.refused
    assert refused.message.body == body
    assert refused.table is None
    assert refused.reason.startswith(reason)
    assert found.tables["t"].place.tolist() == [0, 2]


def test_times_that_cannot_be_are_refused_by_name() -> None:
    table = bt.Table("t", time="at", created="seen")
    schema = pa.schema([("at", US), ("seen", US)])
    events = [
        {"time": NOW + AHEAD}, {"time": NOW + AHEAD + 1}, {"time": -(10**15)}, {"time": "soon"},
        {"time": 2**63}, {"time": True}, {"time": 1.5}, {"at": "never"}, {"seen": "2100-01-01"}, {"at": []},
    ]  # fmt: skip
    assert reasons(table, schema, *({"table": "t", **event} for event in events)) == [
        None, f"time: in the future {OF}", None, "time: not a time", "time: not a time",
        "time: not a time", "time: not a time", "time: not a time", f"created: in the future {OF}", "time: not a time",
    ]  # fmt: skip


def test_an_event_without_times_has_those_of_its_arrival() -> None:
    table = bt.Table("t", time="at", created="seen", available_after="2s")
    sent = messages({"table": "t"}, {"table": "t", "time": None, "seen": ""}, {"table": "t", "time": 5}, arrival=77)
    found = decoder(table, at=US, seen=US).decode(sent, NOW).tables["t"]
    assert found.time.tolist() == [77, 77, 5]
    assert found.known.tolist() == [2_000_077] * 3
    assert found.rows.column("at").cast(pa.int64()).to_pylist() == [77, 77, 5]
    assert found.rows.column("seen").cast(pa.int64()).to_pylist() == [77, 77, 77]


def test_a_message_that_does_not_say_when_it_arrived_is_refused() -> None:
    found = decoder(bt.Table("t"), x=pa.string()).decode(messages({"table": "t"}, b"?", arrival=UNKNOWN), NOW)
    assert [refused.reason.partition(":")[0] for refused in found.refused] == ["arrival", "no JSON"]


def test_unknown_fields_are_ignored_and_counted_each_time() -> None:
    reader = decoder(bt.Table("t"), x=pa.int64())
    sent = messages(
        {"table": "t", "x": 1, "new": {"a": [1]}}, {"table": "t", "x": 2, "new": 3, 'odd"': 1}, {"table": "t", "x": 3}
    )
    for _ in range(3):
        found = reader.decode(sent, NOW)
        assert found.unknown == Counter({("t", "new"): 2, ("t", 'odd"'): 1})
        assert found.tables["t"].rows.column("x").to_pylist() == [1, 2, 3]
    huge = messages(b'{"table":"t","x":1,"more":' + b"9" * 5000 + b"}")
    for _ in range(2):
        assert reader.decode(huge, NOW).unknown == Counter({("t", "more"): 1})
    many = messages(*({"table": "t", f"f{number}": number} for number in range(500)))
    for _ in range(2):
        assert len(reader.decode(many, NOW).unknown) == 500


def test_a_row_under_the_source_s_names_is_an_event_too() -> None:
    """As the design and as the source calls its columns, or mixed: the same rows; both for one column: refused."""
    columns = {"user": "userId|uid", "item": "movieId", "title": "movieId", "stars": "rating|", "time": "timestamp"}
    table = bt.Table("t", time="time", time_format="%s", columns=columns)
    kinds = {"user": pa.string(), "item": pa.string(), "title": pa.string(), "stars": pa.int64(), "time": US}
    reader = decoder(table, **kinds)
    row = {"user": "5", "item": "7", "title": "7", "stars": 4, "time": 1_000_000_000_000_000}
    theirs = [
        {"userId": 5, "movieId": 7, "rating": 4, "timestamp": 1_000_000_000},
        {"uid": "5", "movieId": 7, "rating": 4.0, "timestamp": 1_000_000_000.0, "user": None, "more": 1},
        {"user": 5, "movieId": "7", "stars": 4, "time": "2001-09-09T01:46:40Z", "timestamp": None},
    ]
    found = reader.decode(messages({"table": "t", **row}, *({"table": "t", **one} for one in theirs)), NOW)
    assert not found.refused
    assert found.unknown == Counter({("t", "more"): 1})
    rows = found.tables["t"].rows.to_pylist()
    assert rows == [rows[0]] * 4
    assert found.tables["t"].time.tolist() == [10**15] * 4
    twice = [{**row, "userId": 6}, {**row, "timestamp": 10**9}, {"userId": 1, "uid": 2}, {"rating": "much"}]
    refused = reader.decode(messages(*({"table": "t", **one} for one in twice)), NOW).refused
    assert [one.reason for one in refused] == [
        "user: given twice, once as userId", "time: given twice, once as timestamp", "user: given twice, once as uid",
        "stars: not a whole number of 64 bits",
    ]  # fmt: skip


def test_a_name_of_the_source_that_the_design_uses_means_what_it_means_there() -> None:
    table = bt.Table("t", columns={"user": "id", "id": "row|", "other": "table"})
    reader = decoder(table, user=pa.string(), id=pa.string(), other=pa.string())
    rows = reader.decode(messages({"table": "t", "id": "a", "row": None}, {"table": "t", "row": "b"}), NOW).tables["t"]
    assert rows.rows.to_pylist() == [
        {"user": None, "id": "a", "other": None}, {"user": None, "id": "b", "other": None}
    ]  # fmt: skip


def test_tables_are_told_apart_and_keep_their_order() -> None:
    tables = [bt.Table("a"), bt.Table("b")]
    reader = Decoder(tables, {name: pa.schema([("x", pa.int64())]) for name in "ab"})
    found = reader.decode(messages(*({"table": name, "x": at} for at, name in enumerate("abba"))), NOW)
    assert {name: arrived.rows.column("x").to_pylist() for name, arrived in found.tables.items()} == {
        "a": [0, 3], "b": [1, 2],
    }  # fmt: skip


def test_what_needs_other_rows_is_not_judged() -> None:
    checks = [bt.Unique(["x"]), bt.MonotoneTime(), bt.Pattern("at", "never"), bt.Allowed("at", ["never"])]
    table = bt.Table("t", time="at", event_id="x", checks=checks)
    sent = [{"table": "t", "x": 1, "time": 9}, {"table": "t", "x": 1, "time": 5}]
    assert reasons(table, pa.schema([("at", US), ("x", pa.int64())]), *sent) == [None, None]


@pytest.mark.parametrize(
    ("table", "columns", "found"),
    [
        (bt.Table("t", checks=[bt.Range("y", above=0)]), {"x": pa.int64()}, "'y'"),
        (bt.Table("t", checks=[bt.Range("x", above=0)]), {"x": pa.bool_()}, "bool"),
        (bt.Table("t"), {"table": pa.int64()}, "'table'"),
        (bt.Table("t"), {'a"b': pa.int64()}, 'a"b'),
        (bt.Table("t", time="x", timezone="Europe/Londn"), {"x": US}, "Londn"),
    ],
)
def test_what_can_never_be_judged_is_told_before_the_first_message(
    table: bt.Table, columns: dict[str, pa.DataType], found: str
) -> None:
    with pytest.raises(DataError) as error:
        Decoder([table], {"t": pa.schema(columns.items())})
    assert found in str(error.value)
