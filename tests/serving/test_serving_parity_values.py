"""The comparison of the parity gate: what counts as the same value, and how the worst are told."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from path_world import small_design as small_shop

from bottega.features.frame import text
from bottega.serving.parity import Said, differences, exact_columns, gap, readable, summarise


def test_counts_are_named_exact() -> None:
    assert exact_columns(small_shop()) == {
        "customer_product_times_all",
        "customer_visits_30d",
        "customer_visits_all",
        "product_buyers_7d",
        "product_buyers_all",
    }


NAN, NAT, INF = float("nan"), np.datetime64("NaT", "us"), float("inf")


@pytest.mark.parametrize(
    ("left", "right", "exact", "gap"),
    [
        (100.0, 100.0, True, 0.0),
        (100.0, 100.0 + 1e-9, True, 1e-11),
        (100.0, 100.0009, False, 0.0),
        (100.0, 100.002, False, 1.99996e-5),
        (-3.0, 3.0, False, 2.0),
        (0.0, 1e-12, False, 1.0),
        (0.0, -0.0, True, 0.0),
        (NAN, NAN, True, 0.0),
        (NAN, 0.0, False, INF),
        (INF, INF, False, 0.0),
        (INF, -INF, False, INF),
        (INF, 1.0, False, INF),
        (1.7e308, -1.7e308, False, INF),
    ],
)
def test_the_tolerance_of_numbers(left: float, right: float, exact: bool, gap: float) -> None:
    for pair in ((left, right), (right, left)):
        assert differences(*(np.array([one]) for one in pair), exact)[0] == pytest.approx(gap, rel=1e-3)


@given(st.floats(), st.floats(), st.booleans())
def test_the_tolerance_as_it_is_written(left: float, right: float, exact: bool) -> None:
    found = differences(np.array([left]), np.array([right]), exact)[0]
    if left == right or (left != left and right != right):
        expected = True
    elif exact or not (np.isfinite(left) and np.isfinite(right)):
        expected = False
    else:
        size = max(abs(left), abs(right))
        expected = abs(left / size - right / size) * 1.0 <= 1e-5
        if abs(abs(left / size - right / size) - 1e-5) < 1e-12 or not np.isfinite(left - right):
            return
    assert (found == 0) == expected
    assert found >= 0


@given(st.floats() | st.sampled_from([1.0, 1.00001, 0.99999]), st.floats() | st.just(1.0), st.booleans())
def test_single_values_lie_as_far_apart_as_columns_do(left: float, right: float, exact: bool) -> None:
    with np.errstate(over="ignore"):
        wanted = differences(np.array([left]), np.array([right]), exact)[0]
        found = gap(left, right, exact)
    assert found == wanted


def test_texts_and_times_agree_or_do_not() -> None:
    left, right = text(pa.array(["a", None, "a", None])), text(pa.array(["a", None, None, "b"]))
    assert differences(left, right, False).tolist() == [0, 0, INF, INF]
    times = np.array(["2011-01-01", "NaT", "2011-01-01", "NaT"], "datetime64[us]")
    others = np.array(["2011-01-01", "NaT", "2011-01-02", "2011-01-02"], "datetime64[us]")
    assert differences(times, others, False).tolist() == [0, 0, INF, INF]
    assert differences(times, np.zeros(4), False).tolist() == [INF] * 4
    assert differences(np.zeros(4), left, False).tolist() == [INF] * 4


def test_the_worst_come_first_and_tell_both_sides() -> None:
    places = [({"customer": str(row)}, f"p{row}") for row in range(15)]
    base = np.ones(15)
    drifting = base + np.arange(15) / 100
    words = text(pa.array(["x"] * 14 + ["y"]))
    found = summarise(
        [("same", base, base), ("drift", base, drifting), ("word", text(pa.array(["x"] * 15)), words)],
        frozenset(),
        places,
        {("word", 14): Said("a row of the log", "a record")},
    )
    assert (found.compared, found.mismatches) == (45, 15)
    assert found.by_feature == {"drift": 14, "word": 1}
    assert [one.candidate for one in found.worst] == ["p14", *(f"p{row}" for row in range(14, 5, -1))]
    assert msgspec.to_builtins(found.worst[0]) == {
        "feature": "word",
        "request": {"customer": "14"},
        "candidate": "p14",
        "training": "x",
        "serving": "y",
        "training_says": "a row of the log",
        "serving_says": "a record",
    }


def test_values_are_told_as_json_can() -> None:
    values = [NAN, None, NAT, INF, np.float64(2.5), "a", np.datetime64("2011-01-01", "us")]
    assert [readable(value) for value in values] == [None, None, None, "inf", 2.5, "a", "2011-01-01T00:00:00.000000"]
