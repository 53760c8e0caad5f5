"""Target rates against a naive oracle, and what makes them leak-proof as properties."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottega.design.features import TargetRate
from bottega.errors import DataError, DesignError
from bottega.features.frame import Frame, text
from bottega.features.rate_table import RateTable
from bottega.features.target_rates import check_shared, rate_names, rates_before, rates_by_fold, row_keys

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        st.sampled_from(["x", "y", "z"]),
        st.sampled_from([0.0, 1.0]),
        st.integers(0, 12),
        st.integers(-2, 6),
    ),
    min_size=1,
    max_size=25,
)
PRIORS = st.sampled_from([0.0, 0.5, 20.0])


def made(rows, prior, folds=2):
    """The feature over two columns and their pair, its keys, and the columns of the rows."""
    feature = TargetRate(["one", "two"], pairs=True, prior=prior, folds=folds)
    columns = {"one": text(pa.array([row[0] for row in rows])), "two": text(pa.array([row[1] for row in rows]))}
    frame = Frame({}, np.zeros(1, np.int64), np.zeros(len(rows), np.int32), columns)
    label = np.array([row[2] for row in rows], np.float32)
    time = np.array([row[3] for row in rows], np.int64)
    return feature, row_keys(feature, frame), label, time, time + np.array([row[4] for row in rows], np.int64)


def naive(rows, counted, prior):
    """Each column by its definition. counted: for each row the rows that count for it."""
    found = {name: [] for name in ("rate_one", "seen_one", "rate_two", "seen_two", "rate_one_two", "seen_one_two")}
    for row, others in zip(rows, counted, strict=True):

        def rate(of, mean, row=row, others=others):
            same = [other[2] for other in others if all(other[place] == row[place] for place in of)]
            weight = len(same) + prior
            return (sum(same) + prior * mean) / weight if weight > 0 else mean, len(same)

        overall = sum(other[2] for other in others) / len(others) if others else math.nan
        one, two = rate([0], overall), rate([1], overall)
        both = rate([0, 1], (one[0] + two[0]) / 2)
        for key, (value, seen) in (("one", one), ("two", two), ("one_two", both)):
            found[f"rate_{key}"].append(value)
            found[f"seen_{key}"].append(seen)
    return found


def same(made_columns, right):
    made_columns = dict(made_columns)
    assert list(made_columns) == list(right)
    for name, column in made_columns.items():
        np.testing.assert_allclose(column, right[name], rtol=1e-12, err_msg=name)


@given(ROWS, PRIORS)
def test_with_a_time_rates_are_those_of_the_matured_rows_before(rows, prior):
    feature, keys, label, time, final = made(rows, prior)
    counted = [[other for other in rows if other[3] + other[4] <= row[3] and other[3] < row[3]] for row in rows]
    same(rates_before(feature, keys, label, time, final), naive(rows, counted, prior))


@given(ROWS, PRIORS, st.integers(0, 24), st.randoms())
def test_no_value_depends_on_its_own_label_or_on_one_that_is_not_final(rows, prior, at, random):
    at %= len(rows)
    now = rows[at][3]
    known = [row[3] + row[4] <= now and row[3] < now for row in rows]
    other = [
        row if sure else (*row[:2], random.choice([0.0, 1.0]), *row[3:]) for row, sure in zip(rows, known, strict=True)
    ]
    other = [row if sure else (random.choice("ab"), *row[1:]) for row, sure in zip(other, known, strict=True)]
    other[at] = (*rows[at][:2], 1.0 - rows[at][2], *rows[at][3:])
    first, second = (dict(rates_before(feature, *rest)) for feature, *rest in (made(rows, prior), made(other, prior)))
    for name, column in first.items():
        np.testing.assert_array_equal(column[at], second[name][at], err_msg=name)


@given(ROWS, PRIORS, st.integers(2, 4), st.integers(0, 3), st.booleans())
def test_without_a_time_rates_are_those_of_the_other_folds(rows, prior, folds, seed, grouped):
    feature, keys, label, _, _ = made(rows, prior, folds)
    learn = np.array([row[3] > 2 for row in rows])
    group = np.array([row[4] for row in rows]) if grouped else None
    names = [row[4] if grouped else place for place, row in enumerate(rows)]
    learnt = sorted({name for name, is_learnt in zip(names, learn, strict=True) if is_learnt})
    if len(learnt) < 2:
        with pytest.raises(DataError, match="to learn from"):
            list(rates_by_fold(feature, keys, label, learn, seed, group))
        return
    drawn = np.random.default_rng(seed).permutation(len(learnt)) % folds
    fold = {name: int(drawn[place]) for place, name in enumerate(learnt)}
    counted = [
        [
            other
            for place, other in enumerate(rows)
            if learn[place] and (not mine or fold[names[place]] != fold[names[at]])
        ]
        for at, mine in enumerate(learn)
    ]
    same(rates_by_fold(feature, keys, label, learn, seed, group), naive(rows, counted, prior))


@given(ROWS, st.integers(0, 24), st.integers(0, 3))
def test_out_of_fold_no_label_of_the_own_group_counts_nor_one_that_is_not_learnt_from(rows, at, seed):
    at %= len(rows)
    feature, keys, label, _, _ = made(rows, 1.0)
    learn = np.array([row[3] > 2 for row in rows])
    learn[at] = True
    group = np.array([row[4] for row in rows])
    if len(set(group[learn].tolist())) < 2:
        return
    changed = np.where((group == group[at]) | ~learn, 1 - label, label)
    first, second = (dict(rates_by_fold(feature, keys, each, learn, seed, group)) for each in (label, changed))
    for name, column in first.items():
        assert column[at] == second[name][at]


def test_a_column_whose_values_stand_in_one_group_each_is_refused():
    rows = [(f"u{place // 4}", f"a{place % 3}", 1.0, place, 0) for place in range(40)]
    feature, keys, *_ = made(rows, 1.0)
    learn, by_user = np.ones(40, bool), np.arange(40) // 4
    with pytest.raises(DataError, match=r"100% .*'one'.*one request") as caught:
        check_shared(feature, keys, learn, by_user)
    assert "request=[" in caught.value.fix
    check_shared(feature, keys, learn, np.arange(40))  # each row a request of its own
    check_shared(feature, keys, np.zeros(40, bool), by_user)


def test_a_row_without_a_label_counts_nowhere():
    rows = [("a", "x", 1.0, 1, 0), ("a", "y", 0.0, 2, 0), ("a", "x", float("nan"), 3, 0), ("b", "x", 1.0, 9, 0)]
    feature, keys, label, time, final = made(rows, 1.0)
    without = [[other for other in rows[:2] if other[3] < row[3]] for row in rows]
    same(rates_before(feature, keys, label, time, final), naive(rows, without, 1.0))
    learn = np.array([True, True, True, False])
    found = dict(rates_by_fold(feature, keys, label, learn, 0))
    assert found["seen_one"].tolist() == [1, 1, 2, 0]
    table = RateTable.build(feature, keys, label, learn)
    assert len(table) == 1 + 2 + 2
    assert table.rates(np.column_stack([keys["one"], keys["two"]]))[1].tolist()[0] == [2, 1, 1]


def test_folds_are_of_one_size_and_follow_the_seed():
    rows = [("a", "x", 1.0, 5, 0)] * 103
    feature, keys, label, _, _ = made(rows, 0.0, folds=5)
    one, again, other = (
        dict(rates_by_fold(feature, keys, label, np.ones(103, bool), seed))["seen_one"] for seed in (1, 1, 2)
    )
    assert sorted(set((103 - one).tolist())) == [20, 21]
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_a_label_of_chance_has_no_rate_that_tells_it():
    """In training a rate that looked at its own row would follow the label; out of fold it cannot."""
    rng = np.random.default_rng(0)
    rows = [
        (str(value), "x", float(label), 0, 0)
        for value, label in zip(rng.integers(0, 2000, 4000), rng.random(4000) < 0.5, strict=True)
    ]
    feature, keys, label, _, _ = made(rows, 1.0, folds=5)
    learn = np.ones(4000, bool)
    rate = dict(rates_by_fold(feature, keys, label, learn, 0))["rate_one"]
    assert abs(np.corrcoef(rate, label)[0, 1]) < 4 / math.sqrt(4000) + 0.03  # few rows a value: a little below 0


def test_columns_of_the_request_are_repeated_and_numbers_are_written_as_ids():
    feature = TargetRate(["hour", "ad"])
    ads = text(pa.array(["p", "q", None]))
    frame = Frame({"hour": np.array([5.0, np.nan])}, np.zeros(2, np.int64), np.array([0, 0, 1], np.int32), {"ad": ads})
    keys = row_keys(feature, frame)
    as_texts = row_keys(
        feature, Frame({}, frame.time, frame.group, {"hour": text(pa.array(["5", "5", None])), "ad": ads})
    )
    for name in keys:
        np.testing.assert_array_equal(keys[name], as_texts[name])
    with pytest.raises(DesignError, match="no column 'adx'"):
        row_keys(TargetRate(["adx"]), frame)
    timed = Frame({"at": np.array(["2020-01-01"], "datetime64[us]")}, np.zeros(1, np.int64), np.zeros(1, np.int32), {})
    with pytest.raises(DesignError, match="the rate of a time"):
        row_keys(TargetRate(["at"]), timed)


def test_two_rates_of_one_name_are_refused():
    assert rate_names(TargetRate(["user", "user_id", "id"])) == [
        f"{what}_{name}" for name in ("user", "user_id", "id") for what in ("rate", "seen")
    ]
    with pytest.raises(DesignError, match="two rates named 'user_id'"):
        rate_names(TargetRate(["user", "user_id", "id"], pairs=True))
