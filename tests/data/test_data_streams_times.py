"""Times of events: which unit a number counts, by its field and its size, and what another unit becomes."""

import pyarrow as pa
import pytest
from test_data_streams_messages import NOW, US, decoder, messages, reasons

import bottega as bt
from bottega.data.times import parse


@pytest.mark.parametrize("name", ["time", "at"])
def test_numbers_are_microseconds_in_time_and_what_the_form_says_in_the_column(name: str) -> None:
    table = bt.Table("t", time=name, time_format="%s")
    at = 150_000_000_001
    events = [{"time": at}, {"time": "1970-01-01T00:00:05+00:00"}, {"at": 5}, {"at": 5.25}, {"at": "5"}]
    found = decoder(table, **{name: US}).decode(messages(*({"table": "t", **event} for event in events)), NOW)
    inside = [5_000_000, 5_250_000, 5_000_000] if name == "at" else [NOW] * 3
    assert found.tables["t"].time.tolist() == [at, 5_000_000, *inside]


def test_a_row_whose_own_column_is_called_time_may_be_sent_as_it_stands() -> None:
    """In a ratings table `time` holds seconds; what a service passes on has microseconds there."""
    sent = messages({"table": "t", "time": 1_717_279_200}, {"table": "t", "time": 1_717_279_200_500_000})
    found = decoder(bt.Table("t", time="time", time_format="%s"), time=US).decode(sent, 2 * 10**15).tables["t"]
    assert found.time.tolist() == [1_717_279_200_000_000, 1_717_279_200_500_000]
    for form, unit in (("epoch_ms", 10**3), ("epoch_us", 10**6), ("epoch_ns", 10**9)):
        sent_so = messages({"table": "t", "time": 1_717_279_200 * unit}, {"table": "t", "time": 1_717_279_200_500_000})
        found = decoder(bt.Table("t", time="time", time_format=form), time=US).decode(sent_so, 2 * 10**15).tables["t"]
        assert found.time.tolist() == [1_717_279_200_000_000, 1_717_279_200_500_000]
    plain = decoder(bt.Table("t", time="time"), time=US).decode(sent, 2 * 10**15)
    assert [one.reason for one in plain.refused] == ["time: lies in 1970, unless it counts seconds"]
    assert plain.tables["t"].time.tolist() == [1_717_279_200_500_000]


UNITS = {"%s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
COUNTED = dict(zip(UNITS, ("seconds", "milliseconds", "microseconds", "nanoseconds"), strict=True))


@pytest.mark.parametrize("form", [None, *UNITS])
@pytest.mark.parametrize("sent", list(UNITS))
@pytest.mark.parametrize("field", ["time", "at", "When", "seen"])
def test_a_number_in_another_unit_is_refused_and_its_unit_named(form: str | None, sent: str, field: str) -> None:
    """By plain arithmetic: what a field counts is its form's unit, in `time` microseconds; else it lies in 1970, or
    beyond all years and clocks."""
    table = bt.Table("t", time="at", created="seen", time_format=form, columns={"at": "When"})
    allowed = "epoch_us" if field == "time" or form is None else form
    count = 1_600_000_000 * UNITS[sent]
    (why,) = reasons(table, pa.schema([("at", US), ("seen", US)]), {"table": "t", field: count})
    said = "created" if field == "seen" else "time"
    if sent == allowed:
        assert why is None
    elif UNITS[sent] < UNITS[allowed]:
        assert why == f"{said}: lies in 1970, unless it counts {COUNTED[sent]}"
    else:
        assert why is not None
        assert why.startswith((f"{said}: in the future", f"{said}: not a time", f"{said}: before 1900"))


def test_texts_of_digits_are_numbers_too_and_dates_of_1970_stand() -> None:
    schema = pa.schema([("at", US), ("time", US)])
    late, own = bt.Table("t", time="at", time_format="epoch_ms"), bt.Table("t", time="time", time_format="epoch_ms")
    assert reasons(late, schema, {"table": "t", "at": "1600000000"}, {"table": "t", "at": "1970-01-19 12:26:40"}) == [
        "time: lies in 1970, unless it counts seconds", None,
    ]  # fmt: skip
    assert reasons(own, schema, {"table": "t", "time": 1_600_000_000}) == [
        "time: lies in 1970, unless it counts seconds"
    ]
    assert reasons(late, schema, {"table": "t", "at": 86_400_000}) == [None]  # no unit brings it to our days


def test_where_the_clock_shows_1970_numbers_may_lie_there() -> None:
    sent = messages({"table": "t", "time": 1_600_000_000})
    assert decoder(bt.Table("t", time="at"), at=US).decode(sent, 2 * 10**9).tables["t"].time.tolist() == [1_600_000_000]


def test_a_number_is_read_as_its_digits_where_a_batch_does() -> None:
    """A column of whole numbers by `%Y%m%d`, and the same row as an event."""
    times = [20240131, 20231101]
    for form, zone in (("%Y%m%d", "UTC"), ("%Y%m%d", "Europe/London")):
        batch = parse(pa.chunked_array([times]), "at", zone, form).values.tolist()
        for name in ("at", "time"):
            table = bt.Table("t", time=name, time_format=form, timezone=zone)
            sent = messages(*({"table": "t", name: at} for at in times))
            found = decoder(table, **{name: US}).decode(sent, 2 * 10**15).tables["t"]
            assert found.time.tolist() == batch
    at = 1_706_659_200_000_000
    assert decoder(table, time=US).decode(messages({"table": "t", "time": at}), 2 * 10**15).tables["t"].time == [at]


def test_a_static_table_may_have_a_column_called_time() -> None:
    found = decoder(bt.Table("t"), time=pa.int64()).decode(messages({"table": "t", "time": 95}, arrival=77), NOW)
    assert found.tables["t"].rows.to_pylist() == [{"time": 95}]
    assert found.tables["t"].time.tolist() == [77]


def test_time_counts_before_the_column_and_a_column_of_that_name_is_itself() -> None:
    sent = messages({"table": "t", "time": 5, "at": 7}, {"table": "t", "at": 7}, {"table": "t", "time": None, "at": 7})
    assert decoder(bt.Table("t", time="at"), at=US).decode(sent, NOW).tables["t"].time.tolist() == [5, 7, 7]
    found = decoder(bt.Table("t", time="at"), at=US, time=pa.string()).decode(sent, NOW).tables["t"]
    assert found.time.tolist() == [7, 7, 7]
    assert found.rows.column("time").to_pylist() == ["5", None, None]
