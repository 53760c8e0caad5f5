"""Numbers that a design leaves to the table stand in its expressions as the table has them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bottega as bt
from bottega.data.log import Log
from bottega.errors import DataError, DesignError
from bottega.features.expressions import evaluate, parse
from bottega.runs.steps.constants import with_constants, written


def design(constants: dict[str, str], values: dict[str, str], where: str | None = None) -> bt.Design:
    return bt.Design(
        name="points",
        scope=bt.Scope(question="What next?"),
        data=bt.Data(
            tables=[bt.Table("ratings", time="time", constants=constants), bt.Table("others", time="time")],
            examples=bt.FromPositives("ratings", ["user"], "item", horizon="1d", where=where),
            labels=[bt.Label("liked"), bt.Label("loved", when="rating > good")],
            split=bt.TimeSplit(test="1d"),
        ),
        features=[
            bt.Window("ratings", by="item", values=values, where="rating <> good"),
            bt.Window("others", by="item", values={"n": "sum(good)"}),
        ],
        models={"retrieve": [bt.Popularity()], "rank": [bt.Logistic()]},
        evaluation=bt.Evaluation(primary="ndcg@10"),
        serving=bt.Serving(path=[bt.Retrieve(k=10), bt.Rank(), bt.Show(k=10)]),
    )


def logs(**columns: Any) -> dict[str, Log]:
    time = np.arange(len(next(iter(columns.values()))))
    rows = pa.table(columns)
    return {"ratings": Log("ratings", rows, time, time), "others": Log("others", rows, time, time)}


def test_constants_are_written_where_the_table_is_read() -> None:
    asked = design(
        {"good": "0.8 * max(rating)"}, {"liked": "avg(case when rating >= good then 1 else 0 end)"}, "rating >= good"
    )
    found, told = with_constants(asked, logs(rating=[1, 10, None]))
    windows = [part for part in found.features if isinstance(part, bt.Window)]
    assert windows[0].values == {"liked": "avg(case when rating >= 8.0 then 1 else 0 end)"}
    assert windows[0].where == "rating <> 8.0"
    assert windows[1].values == {"n": "sum(good)"}, "another table's column of that name"
    assert found.data.examples.where == "rating >= 8.0"
    assert found.data.labels[1].when == "rating > 8.0"
    assert told == ["ratings: good is 8, 0.8 * max(rating)"]


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20),
    st.sampled_from(["max(x)", "min(x) + 1", "avg(x) / 2", "least(max(x), 3)", "max(abs(x)) - min(2 * x)"]),
)
def test_a_constant_is_its_formula_over_all_rows(values: list[float], formula: str) -> None:
    x = np.array(values)
    right = {
        "max(x)": x.max(),
        "min(x) + 1": x.min() + 1,
        "avg(x) / 2": x.mean() / 2,
        "least(max(x), 3)": min(x.max(), 3),
        "max(abs(x)) - min(2 * x)": abs(x).max() - (2 * x).min(),
    }[formula]
    found, _ = with_constants(design({"good": formula}, {"n": "sum(rating - good)"}), logs(x=values, rating=values))
    (text,) = (text for part in found.features[:1] for text in part.values.values())
    rows = {"rating": np.zeros(1)}
    assert evaluate(parse(text.removeprefix("sum(").removesuffix(")")), rows, 1)[0] == pytest.approx(-right, abs=1e-6)


def test_a_constant_takes_no_place_but_its_own() -> None:
    rows = {"rating": [1.0, 4.0], "good": [0.0, 1.0]}
    with pytest.raises(DataError, match="a column of the table is called 'good' too") as error:
        with_constants(design({"good": "0.8 * max(rating)"}, {"mean": "avg(good)"}), logs(**rows))
    assert "columns={'their_good': 'good', …}" in error.value.fix
    with pytest.raises(DataError, match="a label of the table is called 'loved' too"):
        with_constants(design({"loved": "max(rating)"}, {"n": "count(*)"}), logs(rating=[1.0, 4.0]))
    other = replace(logs(rating=[1.0, 4.0])["others"], rows=pa.table(rows))
    with_constants(design({"good": "max(rating)"}, {"n": "count(*)"}), {**logs(rating=[1.0, 4.0]), "others": other})


@pytest.mark.parametrize(("share", "right"), [("0.99", 5), (".5", 3), ("1", 50), ("0", 1)])
def test_a_quantile_is_the_least_value_that_so_many_rows_do_not_exceed(share: str, right: float) -> None:
    ratings = sorted([*range(1, 6)] * 100 + [50])
    place = max(math.ceil(float(share) * len(ratings)), 1)
    assert ratings[place - 1] == right
    for values in (ratings, [*ratings, None, float("nan"), float("inf")]):
        asked = design({"good": f"2 * quantile(rating, {share}) - 1"}, {"n": "sum(rating - good)"})
        found, _ = with_constants(asked, logs(rating=pa.array(values, pa.float64())))
        (text,) = (text for part in found.features[:1] for text in part.values.values())
        assert text == f"sum(rating - {2 * right - 1:.1f})"


@pytest.mark.parametrize("text", ["'good' = x", '"good" = x', "goods = x", "x.good_ = 1", "good(x) = good (y)"])
def test_what_only_looks_like_a_constant_stays(text: str) -> None:
    assert written(text, {"good": 1.0}) == text


@pytest.mark.parametrize(
    ("constants", "rows", "found"),
    [
        ({"good": "max(ratings)"}, {"rating": [1]}, "no column 'ratings'"),
        ({"good": "max(rating)"}, {"rating": ["high"]}, "no number in 1 rows"),
        ({"good": "max(rating)"}, {"rating": [None, float("nan")]}, "no number in 2 rows"),
        ({"good": "1 / (max(rating) - 3)"}, {"rating": [3]}, "no number over these rows"),
        ({"good": "max(rating) + rating"}, {"rating": [3]}, "'rating' for all rows"),
        ({"good": "quantile(rating)"}, {"rating": [3]}, r"quantile\(rating\)"),
        ({"good": "quantile(rating, 99)"}, {"rating": [3]}, "a share from 0 to 1"),
    ],
)
def test_a_table_that_cannot_tell_is_one_clear_error(constants: Any, rows: Any, found: str) -> None:
    with pytest.raises((DataError, DesignError), match=found):
        with_constants(design(constants, {"n": "count(*)"}), logs(**rows))


@pytest.mark.parametrize(
    ("constants", "found"),
    [
        ({"a b": "max(x)"}, "a b"),
        ({"good": "0.8"}, "0.8"),
        ({"case": "max(x)"}, "no word of the expressions"),
        ({"NULL": "max(x)"}, "no word of the expressions"),
    ],
)
def test_a_constant_that_is_none_is_refused(constants: dict[str, str], found: str) -> None:
    with pytest.raises(DesignError, match=found):
        bt.Table("ratings", constants=constants)
