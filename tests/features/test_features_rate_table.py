"""The counts that are served: the rates of the batch at the same moment, unknown keys, and files."""

from __future__ import annotations

import shutil

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottega.design.features import TargetRate
from bottega.errors import ServeError
from bottega.features.frame import Frame, text
from bottega.features.rate_table import RateTable
from bottega.features.target_rates import rate_names, rates_before, rates_by_fold, row_keys, usable_from

VALUES = st.one_of(st.none(), st.sampled_from("abcdefgh"))
ROWS = st.lists(st.tuples(VALUES, VALUES, st.sampled_from([0.0, 1.0]), st.integers(0, 9)), max_size=40)


def frame(rows):
    columns = {name: text(pa.array([row[place] for row in rows], pa.string())) for place, name in enumerate("uv")}
    return Frame({}, np.zeros(1, np.int64), np.zeros(len(rows), np.int32), columns)


@given(ROWS, st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=8), st.sampled_from([0.0, 3.0]), st.booleans())
def test_at_the_logs_end_the_table_gives_what_the_batch_does(rows, asked, prior, pairs):
    feature = TargetRate(["u", "v"], pairs=pairs, prior=prior)
    end, late = 11, 2
    later = [*rows, *((*pair, 0.0, end) for pair in asked)]  # the questions, as examples at the end
    label = np.array([row[2] for row in later], np.float32)
    time = np.array([row[3] for row in later])
    keys = row_keys(feature, frame(later))
    batch = {name: column[len(rows) :] for name, column in rates_before(feature, keys, label, time, time + late)}
    table = RateTable.build(feature, keys, label, usable_from(time, time + late) <= end)
    served = table.values(frame(asked))
    assert list(served.row) == rate_names(feature)
    for name, column in served.row.items():
        np.testing.assert_allclose(column, batch[name], rtol=1e-12, err_msg=name)


@given(ROWS)
def test_without_a_time_others_than_the_learnt_have_the_tables_rates(rows):
    rows = [("a", "b", 1.0, 0), ("a", "c", 0.0, 0), *rows]
    feature = TargetRate(["u", "v"], pairs=True, folds=2)
    learn = np.array([row[3] < 5 for row in rows])
    label, keys = np.array([row[2] for row in rows], np.float32), row_keys(feature, frame(rows))
    batch = dict(rates_by_fold(feature, keys, label, learn, 0))
    for name, column in RateTable.build(feature, keys, label, learn).values(frame(rows)).row.items():
        np.testing.assert_allclose(column[~learn], batch[name][~learn], rtol=1e-12, err_msg=name)


def test_many_keys_are_all_found_and_no_other():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 6_000, (9_000, 2))
    words = values.astype(str)
    feature = TargetRate(["u", "v"], pairs=True, prior=0.0)
    label = (rng.random(9_000) < 0.3).astype(np.float32)
    columns = {name: text(pa.array(words[:, place])) for place, name in enumerate("uv")}
    table = RateTable.build(
        feature, row_keys(feature, Frame({}, np.zeros(1, np.int64), np.zeros(9_000, int), columns)), label
    )
    assert len(table) == len(set(values[:, 0])) + len(set(values[:, 1])) + len(set(map(tuple, values.tolist())))
    pick = rng.integers(0, 9_000, 200)
    asked = [*((str(u), str(v)) for u, v in values[pick]), ("6001", "6002"), (None, "7")]
    served = table.values(frame(asked)).row
    for row, (u, v) in enumerate(asked):
        one, two = (words[:, place] == str(value) for place, value in enumerate((u, v)))
        assert [served[f"seen_{key}"][row] for key in ("u", "v", "u_v")] == [one.sum(), two.sum(), (one & two).sum()]
    assert served["rate_u"][200] == pytest.approx(label.mean())
    assert served["rate_u_v"][200] == pytest.approx(label.mean())
    assert served["rate_u_v"][201] == pytest.approx((label.mean() + served["rate_v"][201]) / 2)


def test_columns_of_the_request_stand_beside_each_candidate():
    feature = TargetRate(["user", "ad"], pairs=True)
    users, ads = text(pa.array(["m", "m", "n"])), text(pa.array(["p", "q", "p"]))
    learnt = Frame({}, np.zeros(1, np.int64), np.zeros(3, np.int32), {"user": users, "ad": ads})
    table = RateTable.build(feature, row_keys(feature, learnt), np.array([1, 0, 0], np.float32))
    asked = Frame({"user": text(pa.array(["m"]))}, np.zeros(1, np.int64), np.zeros(2, np.int32), {"ad": ads[:2]})
    found = table.values(asked).row
    assert found["seen_user"].tolist() == [2, 2]
    assert found["seen_user_ad"].tolist() == [1, 1]
    np.testing.assert_array_equal(found["rate_ad"], table.values(learnt).row["rate_ad"][:2])


def test_a_table_is_saved_and_mapped(tmp_path):
    feature = TargetRate(["u", "v"], pairs=True)
    rows = [("a", "b", 1.0, 0), ("a", "c", 0.0, 0), (None, "c", 1.0, 0)]
    table = RateTable.build(feature, row_keys(feature, frame(rows)), np.array([1, 0, 1], np.float32))
    whole = tmp_path / "whole"
    whole.mkdir()
    table.save(whole)
    loaded = RateTable.load(whole, feature)
    first, second = (each.values(frame(rows)).row for each in (table, loaded))
    for name, column in first.items():
        np.testing.assert_array_equal(column, second[name])
    with pytest.raises(ServeError, match="rates of u, v, u_v with the prior 20"):
        RateTable.load(whole, TargetRate(["u", "v"], pairs=True, prior=3.0))
    for file in ("rates.json", "keys.npy", "counts.npy"):
        for damage in (b"", (whole / file).read_bytes()[:-9]):
            broken = tmp_path / "broken"
            shutil.copytree(whole, broken, dirs_exist_ok=True)
            (broken / file).write_bytes(damage)
            with pytest.raises(ServeError, match="no readable rates"):
                RateTable.load(broken, feature)
    (broken / "rates.json").unlink()
    with pytest.raises(ServeError, match="no readable rates"):
        RateTable.load(broken, feature)


def test_a_table_of_nothing_knows_nothing():
    feature = TargetRate(["u"])
    table = RateTable.build(feature, {"u": np.zeros(0, np.uint64)}, np.zeros(0, np.float32))
    found = table.values(frame([("a", "b")])).row
    assert np.isnan(found["rate_u"]).all()
    assert found["seen_u"].tolist() == [0]
