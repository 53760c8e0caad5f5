"""Times in every form a source keeps them, against Python's own datetime and zoneinfo."""

import datetime as dt
import zoneinfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottega.data.times import beyond, check_unit, iso, moment, parse
from bottega.errors import DataError

UTC = dt.UTC
MICRO = dt.timedelta(microseconds=1)
ZERO = dt.datetime(1970, 1, 1, tzinfo=UTC)
NAIVE = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1))


def micros(when: dt.datetime) -> int:
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).__sub__(ZERO) // MICRO


def column(values: list[object], kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


@given(st.lists(st.none() | NAIVE, min_size=1, max_size=20), st.sampled_from(["s", "ms", "us", "ns"]))
def test_timestamps_of_every_unit(values: list[dt.datetime | None], unit: str) -> None:
    step = {"s": 10**6, "ms": 1000}.get(unit, 1)
    whole = [None if value is None else value - MICRO * (micros(value) % step) for value in values]
    read = parse(column(whole, pa.timestamp(unit)), "t")
    assert read.values.tolist() == [0 if value is None else micros(value) for value in whole]
    assert read.missing.tolist() == [value is None for value in values]
    assert not read.broken.any()


def test_nanoseconds_round_down_before_1970_too() -> None:
    assert parse(column([-1, 1999], pa.int64()).cast(pa.timestamp("ns")), "t").values.tolist() == [-1, 1]


@given(st.lists(st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2037, 1, 1)), min_size=1, max_size=20))
def test_naive_times_are_in_the_tables_zone(values: list[dt.datetime]) -> None:
    zone = zoneinfo.ZoneInfo("Europe/London")
    read = parse(column(values, pa.timestamp("us")), "t", "Europe/London").values
    for value, got in zip(values, read.tolist(), strict=True):
        placed = value.replace(tzinfo=zone)  # the earlier of two
        if placed.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == value:  # it exists
            assert got == micros(placed.astimezone(UTC))


def test_clocks_going_back_and_forward() -> None:
    texts = ["2011-10-30 01:30", "2011-03-27 01:30", "2011-03-27 02:00"]
    read = parse(column(texts), "t", "Europe/London").values.tolist()
    assert [iso(value) for value in read] == ["2011-10-30 00:30:00", "2011-03-27 01:00:00", "2011-03-27 01:00:00"]


def test_zones_of_their_own_are_kept() -> None:
    aware = column([dt.datetime(2011, 7, 1, 12, tzinfo=UTC)], pa.timestamp("us", "America/New_York"))
    assert parse(aware, "t", "Asia/Tokyo").values.tolist() == [micros(dt.datetime(2011, 7, 1, 12))]
    texts = column(["2011-07-01T12:00:00Z", "2011-07-01 12:00+02:00", "2011-07-01 12:00"])
    noon = micros(dt.datetime(2011, 7, 1, 12))
    hour = 3_600_000_000
    assert parse(texts, "t", "Asia/Tokyo").values.tolist() == [noon, noon - 2 * hour, noon - 9 * hour]


@given(st.lists(NAIVE.map(dt.datetime.isoformat) | st.text(max_size=12) | st.none(), min_size=1, max_size=20))
def test_iso_text_reads_as_python_reads_it(texts: list[str | None]) -> None:
    texts = [*texts, "2000-01-01"]
    read = parse(column(texts, pa.string()), "t")
    for text, value, valid, missing in zip(texts, read.values, read.valid, read.missing, strict=True):
        try:
            expected = micros(dt.datetime.fromisoformat((text or "").strip()))
        except ValueError:
            assert not valid
            assert missing == (not text)
        else:
            assert (valid, value) == (True, expected)


@given(
    st.lists(NAIVE, min_size=1, max_size=20),
    st.sampled_from(["%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d %b %Y, %I:%M %p", "%d/%m/%Y %H:%M:%S.%f %z"]),
)
def test_text_by_a_format_reads_as_strptime_does(values: list[dt.datetime], form: str) -> None:
    texts = [value.replace(tzinfo=UTC).strftime(form) for value in values]
    expected = [micros(dt.datetime.strptime(text, form)) for text in texts]
    assert parse(column(texts), "t", form=form).values.tolist() == expected


def test_days_that_no_calendar_has_are_no_times() -> None:
    texts = ["2/29/2012 0:00", "2/29/2011 0:00", "2/30/2011 0:00", "4/31/2011 0:00", "3/1/2011 0:00", "3/1/11 0:00", ""]
    read = parse(column(texts), "t", form="%m/%d/%Y %H:%M")
    assert read.valid.tolist() == [True, False, False, False, True, False, False]
    assert read.missing.tolist() == [False] * 6 + [True]


def test_a_format_and_iso_in_one_column() -> None:
    read = parse(column(["12/1/2010 8:26", "2010-12-01T08:26"]), "t", form="%m/%d/%Y %H:%M")
    assert len(set(read.values.tolist())) == 1
    assert read.valid.all()


def test_dates_and_seconds() -> None:
    assert parse(column([dt.date(1970, 1, 2), None]), "t").values.tolist() == [86_400_000_000, 0]
    assert parse(column([1, None]), "t", form="%s").values.tolist() == [1_000_000, 0]
    assert parse(column([1.5, float("nan")]), "t", form="%s").valid.tolist() == [True, False]
    assert parse(column(["10", "x"]), "t", form="%s").values.tolist() == [10_000_000, 0]
    assert parse(column([2**62], pa.int64()), "t", form="%s").broken.tolist() == [True]


UNITS = {"%s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}  # a second


@given(st.lists(NAIVE, min_size=1, max_size=20), st.sampled_from(sorted(UNITS)), st.booleans())
def test_counts_since_1970_of_every_unit(values: list[dt.datetime], form: str, as_text: bool) -> None:
    counts = [micros(value) * UNITS[form] // 10**6 for value in values]
    expected = [count * 10**6 // UNITS[form] for count in counts]
    source = column([str(count) for count in counts]) if as_text else column(counts, pa.int64())
    assert parse(source, "t", form=form).values.tolist() == expected
    halves = column([count + 0.5 for count in range(5)])
    assert parse(halves, "t", form=form).values.tolist() == [
        round((count + 0.5) * 10**6 / UNITS[form]) for count in range(5)
    ]


def test_whole_numbers_are_read_as_their_digits_by_a_form() -> None:
    read = parse(column([20240131, 20241331, None]), "t", form="%Y%m%d")
    assert read.values[0] == micros(dt.datetime(2024, 1, 31))
    assert (read.broken.tolist(), read.missing.tolist()) == ([False, True, False], [False, False, True])


@pytest.mark.parametrize("right", sorted(UNITS))
@pytest.mark.parametrize("said", sorted(UNITS))
def test_a_wrong_unit_is_refused_with_the_right_one(said: str, right: str) -> None:
    counts = column([(1_700_000_000 + place) * UNITS[right] for place in range(9)], pa.int64())
    times = parse(counts, "t", form=said)
    if said == right:
        check_unit(counts, times, "t", said)
        return
    with pytest.raises(DataError) as error:
        check_unit(counts, times, "t", said)
    assert error.value.fix == f"time_format={right!r}"


def test_years_that_stand_for_none() -> None:
    texts = column(["2024-01-01", "9999-12-31", "0001-01-01", None, "2099-12-31", "1900-01-01"])
    assert beyond(parse(texts, "t")).tolist() == [False, True, True, False, False, False]
    never = column(["9999-12-31"] * 3)
    with pytest.raises(DataError, match="years from 1900 to 2099"):
        check_unit(never, parse(column(["9999-12-31"] * 3), "t"), "t", None)


@pytest.mark.parametrize(
    ("texts", "fix"),
    [
        (["12/1/2010 8:26", "12/13/2010 8:26"], "time_format='%m/%d/%Y %H:%M'"),
        (["13/12/2010"], "time_format='%d/%m/%Y'"),
        (["1/2/2010"], "time_format='%m/%d/%Y' or time_format='%d/%m/%Y'"),
        (["1291191960", "1291191961"], "time_format='%s'"),
        (["1291191960123", "1291191961456"], "time_format='epoch_ms'"),
        (["next week"], "time_format=… as in strptime, or name another column"),
    ],
)
def test_text_that_is_no_time_gets_a_format_proposed(texts: list[str], fix: str) -> None:
    with pytest.raises(DataError) as error:
        parse(column(texts), "data.tables[orders].time")
    assert (error.value.where, error.value.fix) == ("data.tables[orders].time", fix)
    assert texts[0] in str(error.value.found)
    if fix.count("time_format='") == 1:
        assert parse(column(texts), "t", form=fix.split("'")[1]).valid.all()


def test_what_cannot_be_a_time_is_refused() -> None:
    with pytest.raises(DataError, match="a column of int64"):
        parse(column([1]), "t")
    with pytest.raises(DataError, match=r"(?s)a column of int64.*time_format='epoch_us'"):
        parse(column([1_700_000_000_000_000]), "t")
    with pytest.raises(DataError) as error:
        parse(column(["2010-01-01"]), "data.tables[a].time", "Europe/Lodnon")
    assert (error.value.where, error.value.fix) == ("data.tables[a].timezone", "did you mean 'Europe/London'?")
    with pytest.raises(DataError) as error:
        parse(column(["2010-01-01"]), "data.tables[a].time", "London")
    assert "Europe/London" in error.value.fix


def test_an_empty_column_of_text_misses_its_times() -> None:
    read = parse(column([None, ""], pa.string()), "t")
    assert read.missing.all()
    assert parse(pa.chunked_array([pa.nulls(2)]), "t").missing.all()


def test_one_bad_text_among_many_costs_only_itself() -> None:
    values = np.arange(20_000) * 61_000_000
    texts = [iso(int(value)) for value in values]
    texts[9_000] = "soon"
    read = parse(column(texts), "t")
    assert read.broken.nonzero()[0].tolist() == [9_000]
    np.testing.assert_array_equal(np.delete(read.values, 9_000), np.delete(values, 9_000))


def test_moments_of_a_design() -> None:
    assert moment("2011-11-01", "test") == micros(dt.datetime(2011, 11, 1))
    with pytest.raises(DataError, match="an ISO date"):
        moment("1/11/2011", "test")


def test_milliseconds_are_no_iso_time() -> None:
    """Python reads runs of digits as dates: 1700021370123 would be a day of the year 1700."""
    column = pa.chunked_array([["1700021370123", "2023-11-15", "20231115"]])
    found = parse(column, "time")
    assert found.valid.tolist() == [False, True, True]
