"""Categories, the names of rates, and the other name of the request's time, through the batch's own functions."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

import bottega as bt
from bottega.errors import BuildError, DesignError
from bottega.features.batch import compute, derive, names, needs, time_name
from bottega.features.frame import Frame, Values, objects, text
from bottega.features.hashing import cross
from bottega.features.matrix import model_columns
from bottega.systems.shop_recommendation import design as shop

NOON = 43_200 * 10**6
ASKED = Frame(
    {"query": text(pa.array(["shoe", None])), "age": np.array([20.0, np.nan])},
    np.array([NOON, 2 * NOON]),
    np.array([0, 0, 1], np.int32),
    {"ad": text(pa.array(["p", "q", None])), "slot": np.array([1.0, 2.5, 1.0])},
)


def logged(**changes: Any) -> bt.Design:
    """A design whose examples are rows of a log."""
    data = bt.Data(
        tables=[bt.Table("shows", time="shown_at"), bt.Table("other", time="seen_at")],
        examples=bt.Logged("shows", request=["query", "age"], candidate="ad"),
        labels=[bt.Label("clicked")],
        split=bt.TimeSplit("1d"),
    )
    return msgspec.structs.replace(
        shop,
        data=msgspec.structs.replace(data, **changes),
        features=[bt.Categories(["ad"])],
        models={"rank": [bt.HistoricalRate(by="ad")]},
        evaluation=bt.Evaluation(primary="log_loss"),
        serving=bt.Serving(path=[bt.Rank(), bt.Show()]),
    )


def test_categories_are_texts_under_their_own_names_at_their_level() -> None:
    feature = bt.Categories(["query", "slot", "ad", "age"])
    made = compute(feature, shop, {}, ASKED, Values())
    assert {name: objects(column).tolist() for name, column in made.request.items()} == {
        "query": ["shoe", None],
        "age": ["20", None],
    }
    assert {name: objects(column).tolist() for name, column in made.row.items()} == {
        "slot": ["1", "2.5", "1"],
        "ad": ["p", "q", None],
    }
    assert names(feature) == ["query", "slot", "ad", "age"]
    assert needs(feature) == {"query", "slot", "ad", "age"}
    assert model_columns(made, []) == (["query", "age", "slot", "ad"], ["category"] * 4)
    assert derive(feature, ASKED, Values()) == made


def test_others_still_read_the_number_of_a_column_that_is_a_category_too() -> None:
    values = compute(bt.Categories(["age", "slot"]), shop, {}, ASKED, Values())
    found = derive(bt.Expression({"older": "age + 1", "next": "slot + 1"}), ASKED, values)
    np.testing.assert_array_equal(found.request["older"], [21.0, np.nan])
    np.testing.assert_array_equal(found.row["next"], [2.0, 3.5, 2.0])
    crossed = derive(bt.Cross("age", "ad", 1000), ASKED, values).row["age_x_ad"]
    assert crossed.tolist() == cross(["20", "20", None], ["p", "q", None], 1000).tolist()


def test_a_category_that_is_not_there_or_is_a_time_is_refused() -> None:
    with pytest.raises(DesignError, match=r"(?s)is not there.*query"):
        derive(bt.Categories(["qeury"]), ASKED, Values())
    timed = Frame({"at": ASKED.time.view("datetime64[us]")}, ASKED.time, ASKED.group, {})
    with pytest.raises(DesignError, match="a category of a time"):
        derive(bt.Categories(["at"]), timed, Values())


def test_the_time_of_a_request_has_the_name_of_the_logs_own_column_too() -> None:
    design = logged()
    assert time_name(design) == "shown_at"
    assert time_name(logged(examples=bt.Logged("other", request=["query"]))) == "seen_at"
    assert time_name(shop) is None
    feature = bt.Expression({"hour": "extract(hour from shown_at)", "same": "extract(hour from request_time)"})
    made = compute(feature, design, {}, ASKED, Values()).request
    assert made["hour"].tolist() == made["same"].tolist() == [12, 0]
    assert derive(feature, ASKED, Values(), "shown_at").request["hour"].tolist() == [12, 0]
    with pytest.raises(DesignError, match="'shown_at' is not there"):
        derive(feature, ASKED, Values())


def test_rates_have_names_and_need_labels() -> None:
    feature = bt.TargetRate(["query", "ad"], pairs=True)
    assert names(feature) == [f"{what}_{key}" for key in ("query", "ad", "query_ad") for what in ("rate", "seen")]
    assert needs(feature) == {"query", "ad"}
    with pytest.raises(BuildError, match="rates_before"):
        compute(feature, shop, {}, ASKED, Values())
