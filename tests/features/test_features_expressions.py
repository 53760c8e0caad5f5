"""Reading expressions: what is let in, what is refused and how; and what one program may and may not do."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottega.errors import DataError, DesignError
from bottega.features.expression_zones import offsets
from bottega.features.expressions import evaluate, parse, to_ibis

REFUSED = {
    "": "an expression in SQL",
    "sum(price)": "an aggregate; it belongs in a Window's values",
    "count(*)": "aggregate",
    "avg(x) over (partition by y)": "a window function",
    "row_number() over ()": "a window function",
    "(select 1)": "a query",
    "a in (select b from t)": "SELECT",
    "a; b": "2 statements",
    "drop table t": "DROP TABLE",
    "lowr(name)": "did you mean 'lower'?",
    "sqr(a)": "did you mean 'sqrt'?",
    "random()": "function",
    "now()": "function",
    "cast(a as int)": "leave the cast out",
    "a::int": "leave the cast out",
    "try_cast(a as text)": "a function outside the subset",
    "a % 2": "floor",
    "a ^ 2": "x * x",
    "a || b": "||",
    "a like 'x%'": "LIKE",
    "t.price": "t.price",
    "log(a)": "ln(x) or log2(x)",
    "floor(a, 2)": "FLOOR(a, 2)",
    "hour(t)": "extract(hour from t)",
    "extract(week from t)": "year, month, day, dow",
    "extract(yaer from t)": "did you mean 'year'?",
    "date '2011-01-01'": "leave the cast out",
    "interval '1 day'": "INTERVAL",
    "a is true": "is null",
    "a is distinct from b": "DISTINCT",
    "a in ()": "without values",
    "a as b": "AS b",
    "*": "all columns",
    "a[1]": "a[",
    "{'a': 1}": "a",
    "?": "?",
    "if(a, 1, 2)": "case when",
    "1e999": "1.7e308",
    "a +": "near '+'",
    "1 2": "near '2'",
    "(a": "near 'a'",
    "'open": "quote",
    "case when a then end": "near",
    "case end": "no expression",
    "lower(1)": "a number as operand of `lower`",
    "-'a'": "a text as operand of `-`",
    "1 = 'a'": "a text beside a number in `=`",
    "coalesce(1, null, 'a')": "operands of one kind",
    "case when 'a' then 1 end": "a text as operand of `case when …`",
    "case when a then 1 else 'x' end": "a text beside a number in `case`",
    "extract(hour from 'x')": "a time",
    "extract(hour from cast(a as text))": "a time",
    "nullif(a)": "no expression",
    "least()": "no expression",
    "(" * 300 + "a" + ")" * 300: "nested too deep",
    " + ".join("a" * 400): "nested too deep",
    "a + " * 2_000 + "a": "at most 4,000",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:30])
def test_what_is_outside_the_subset_is_refused_by_name(text):
    with pytest.raises(DesignError) as caught:
        parse(text, where="features[0].values['x']")
    assert REFUSED[text] in str(caught.value)
    assert caught.value.where.startswith("features[0].values['x']")
    assert caught.value.allowed


@pytest.mark.parametrize(
    ("text", "character"), [("a + foo(b)", 5), ("a +\n  sum(c) * 2", 7), ("1 + lower(2)", 11), ("a and b and 1 2", 15)]
)
def test_an_error_says_where_the_fragment_stands(text, character):
    with pytest.raises(DesignError) as caught:
        parse(text)
    assert f"(character {character})" in caught.value.where


def run(text):
    try:
        parsed = parse(text)
        return evaluate(parsed, {name: np.ones(2) for name in parsed.columns}, 2)
    except DesignError as error:
        return error


@given(st.text(alphabet="ab1'\"().,+-*/<>=;:[]{}?@%|&^~ \n\t_", max_size=25))
def test_any_text_is_an_expression_or_one_clear_error(text):
    values = run(text)
    assert values.found if isinstance(values, DesignError) else values.shape == (2,)


def test_names_are_kept_as_they_are_written():
    parsed = parse('"Unit Price" * Quantity + quantity')
    assert parsed.columns == {"Unit Price", "Quantity", "quantity"}
    columns = {"Unit Price": np.array([2.0]), "Quantity": np.array([3]), "quantity": np.array([True])}
    assert evaluate(parsed, columns, 1).tolist() == [7.0]


def test_unknown_columns_are_refused_with_the_nearest_name():
    parsed = parse("pirce * 2", where="features[3].values['x']")
    for call in (
        lambda: evaluate(parsed, {"price": np.ones(1)}, 1),
        lambda: to_ibis(parsed, ibis.table({"price": "float64"}, name="t")),
        lambda: parsed.kind({"price": "number"}),
    ):
        with pytest.raises(DesignError, match="did you mean 'price'") as caught:
            call()
        assert "features[3].values['x']" in caught.value.where


@pytest.mark.parametrize(
    "text", ["name > 3", "name + 1", "lower(price)", "t > price", "extract(year from name)", "t - t", "cast(t as text)"]
)
def test_kinds_that_do_not_fit_are_refused_once_they_are_known(text):
    parsed = parse(text)
    columns = {"name": np.array(["a"]), "price": np.ones(1), "t": np.zeros(1, "datetime64[us]")}
    table = ibis.table({"name": "string", "price": "int64", "t": "timestamp"}, name="t")
    for call in (lambda: evaluate(parsed, columns, 1), lambda: to_ibis(parsed, table)):
        with pytest.raises(DesignError) as caught:
            call()
        assert caught.value.allowed


def test_columns_of_no_known_kind_are_refused():
    with pytest.raises(DesignError, match="NumPy's kind 'c'"):
        evaluate(parse("a + 1"), {"a": np.ones(1, complex)}, 1)
    with pytest.raises(DesignError, match="array"):
        to_ibis(parse("a is null"), ibis.table({"a": "array<int64>"}, name="t"))


def test_columns_of_another_length_are_refused():
    with pytest.raises(DataError, match=r"\(3,\)"):
        evaluate(parse("a + 1"), {"a": np.ones(3)}, 2)


def test_one_program_serves_columns_of_many_types():
    parsed = parse("a is null")
    cases = [np.array([1, 2]), np.array([True, False]), np.array(["", "x"]), np.array(["a", None], object)]
    cases += [np.array(["2011-01-01", "NaT"], "datetime64[D]"), np.array([np.nan, np.inf], np.float32)]
    found = [evaluate(parsed, {"a": case}, 2).tolist() for case in cases]
    assert found == [[0, 0], [0, 0], [0, 0], [0, 1], [0, 1], [1, 1]]


@pytest.mark.parametrize(
    ("text", "right"),
    [("1 / 0", [np.nan] * 2), ("'a'", ["a"] * 2), ("null", [np.nan] * 2), ("lower(null)", [None] * 2)],
)
def test_constants_fill_all_rows(text, right):
    values = evaluate(parse(text), {}, 2)
    assert values.shape == (2,)
    assert [x for x in values.tolist() if x == x] == [x for x in right if x == x]


def test_the_result_is_never_the_input_itself():
    for text, column in {"a": np.ones(3), "coalesce(a, 'x')": np.array(["a", "b", None], object)}.items():
        result = evaluate(parse(text), {"a": column}, 3)
        kept = column.copy()
        result[:] = result[0] if result.dtype == object else -1.0
        assert column.tolist() == kept.tolist()


def test_lower_works_letter_by_letter_in_numpy_and_duckdb():
    texts = ["ΟΔΟΣ", "İSTANBUL", "ÅÄÖ", "ẞ", "Ωmega", None]
    found = evaluate(parse("lower(a)"), {"a": np.array(texts, object)}, len(texts)).tolist()
    assert found == ["οδοσ", "istanbul", "åäö", "ß", "ωmega", None]
    connection = ibis.duckdb.connect()
    table = ibis.memtable(pa.table({"a": pa.array(texts)}))
    assert connection.to_pyarrow(to_ibis(parse("lower(a)"), table)).to_pylist() == found
    connection.disconnect()


ZONES = ["UTC", "Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca"]


@given(st.sampled_from(ZONES), st.lists(st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2100, 12, 31))))
def test_offsets_are_those_of_zoneinfo(zone, times):
    parsed = parse("extract(hour from t) * 60 + extract(minute from t)", zone=zone)
    found = evaluate(parsed, {"t": np.array(times, "datetime64[us]")}, len(times)).tolist()
    local = [time.replace(tzinfo=datetime.UTC).astimezone(ZoneInfo(zone)) for time in times]
    assert found == [time.hour * 60 + time.minute for time in local]


def test_a_change_of_offset_is_known_to_the_second():
    begins, values = offsets("Europe/London")
    spring = int(datetime.datetime(2011, 3, 27, 1, tzinfo=datetime.UTC).timestamp())
    assert spring in begins
    assert values[list(begins).index(spring)] == 3600


def test_an_unknown_zone_is_refused_with_the_nearest():
    with pytest.raises(DesignError, match="did you mean 'Europe/London'"):
        parse("extract(hour from t)", zone="Europe/Londn")
