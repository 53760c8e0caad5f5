"""A condition over features and request columns: what DuckDB says of the joined rows, and what has to be read."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bottega as bt
from bottega.errors import DesignError
from bottega.features.batch import names
from bottega.features.conditions import Condition
from bottega.features.frame import Frame, Values, text

CONDITIONS = [
    "language = tongue",
    "language <> tongue or stock > 0",
    "stock > 0 and price <= budget",
    "stock is null or price between 1 and budget",
    "language in ('de', 'en') and not (price > 2)",
    "coalesce(stock, 0) + coalesce(price, 1) > 2",
    "case when tongue = 'de' then stock > 1 else price > 1 end",
    "length(tongue) = 2 and lower(language) = 'de'",
    "price * stock > 1",
    "1 = 1",
    "budget < 0",
]
words = st.none() | st.sampled_from(["de", "en", "DE", ""])
amounts = st.none() | st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0, -1.0])


@st.composite
def frames(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[int]]:
    """Draw requests, candidates, and the request of each."""
    requests = draw(st.lists(st.fixed_dictionaries({"tongue": words, "budget": amounts}), min_size=1, max_size=4))
    rows = draw(st.lists(st.fixed_dictionaries({"language": words, "stock": amounts, "price": amounts}), max_size=12))
    group = sorted(draw(st.integers(0, len(requests) - 1)) for _ in rows)
    return requests, rows, group


def numbers(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([np.nan if row[name] is None else row[name] for row in rows], np.float64)


def texts(rows: list[dict[str, Any]], name: str) -> Any:
    return text(pa.array([row[name] for row in rows], pa.string()))


@pytest.mark.parametrize("where", CONDITIONS)
@settings(max_examples=30, deadline=None)
@given(frames())
def test_it_holds_for_what_sql_selects(where: str, frame: tuple[Any, Any, list[int]]) -> None:
    requests, rows, group = frame
    made = Frame(
        {"tongue": texts(requests, "tongue"), "budget": numbers(requests, "budget")},
        np.zeros(len(requests), np.int64),
        np.array(group, np.int32),
        {"item": text(pa.array([str(row) for row in range(len(rows))], pa.string()))},
    )
    values = Values(
        {}, {"language": texts(rows, "language"), "stock": numbers(rows, "stock"), "price": numbers(rows, "price")}
    )
    found = Condition(where, "here", []).holds(values, made)
    assert found.dtype == np.bool_
    joined = pa.table(  # noqa: F841 (DuckDB reads it by its name)
        {
            "place": pa.array(range(len(rows)), pa.int64()),
            "language": pa.array([row["language"] for row in rows], pa.string()),
            "stock": pa.array([row["stock"] for row in rows], pa.float64()),
            "price": pa.array([row["price"] for row in rows], pa.float64()),
            "tongue": pa.array([requests[one]["tongue"] for one in group], pa.string()),
            "budget": pa.array([requests[one]["budget"] for one in group], pa.float64()),
        }
    )
    right = duckdb.sql(f"select place from joined where {where}").fetchall()
    assert np.flatnonzero(found).tolist() == sorted(place for (place,) in right)


FEATURES = [
    bt.Lookup("items", by="item", columns=["language", "stock"]),
    bt.Lookup("people", by="person", columns=["tongue"]),
    bt.Window("events", by="item", over=["1d", "all"], values={"n": "count(*)"}),
    bt.Expression({"rate": "item_n_1d / item_n_all", "half": "item_stock / 2"}),
    bt.Expression({"hot": "rate > 0.5"}),
    bt.Cross("person", "item_language"),
]


@pytest.mark.parametrize(
    ("where", "needed"),
    [
        ("item_language = 'de'", [["item_language", "item_stock"]]),
        ("item_language = person_tongue", [["item_language", "item_stock"], ["person_tongue"]]),
        ("hot = 1", [["item_language", "item_stock"], ["item_n_1d", "item_n_all"], ["rate", "half"], ["hot"]]),
        ("tongue = 'de'", []),
    ],
)
def test_only_what_it_hangs_on_is_computed(where: str, needed: list[list[str]]) -> None:
    """Features in the design's order, with those that they read, and no others."""
    assert [sorted(names(part)) for part in Condition(where, "here", FEATURES).features] == list(map(sorted, needed))


def test_its_columns_are_all_that_is_read_on_the_way() -> None:
    assert Condition("hot = 1 and tongue = 'de'", "here", FEATURES).columns == {
        *("hot", "tongue", "rate", "item_n_1d", "item_n_all", "item_stock", "item"),
    }


def test_what_is_no_condition_is_refused_with_its_place() -> None:
    for where in ("", "language =", "count(*) > 1", "drop table items"):
        with pytest.raises(DesignError) as error:
            Condition(where, "serving.path[0].where", [])
        assert "serving.path[0].where" in error.value.where


def test_a_feature_goes_before_a_column_of_the_request() -> None:
    """Where both have a name it is the computed one, as everywhere."""
    frame = Frame({"tongue": texts([{"tongue": "de"}], "tongue")}, np.zeros(1, np.int64), np.zeros(2, np.int32), {})
    values = Values({"tongue": texts([{"tongue": "en"}], "tongue")}, {"n": np.array([1.0, np.nan])})
    assert Condition("tongue = 'en' and n = 1", "here", []).holds(values, frame).tolist() == [True, False]
