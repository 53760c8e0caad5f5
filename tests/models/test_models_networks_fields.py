"""What a network reads, and how its vectors step: against plain NumPy and plain loops."""

from __future__ import annotations

from typing import Any

import network_oracles
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bottega.errors import DataError
from bottega.models.inputs import Inputs
from bottega.models.networks.fields import Fields, frozen
from bottega.models.networks.fields_kernel import read_dense
from bottega.models.networks.lesson import Lesson, later_from
from bottega.models.networks.vectors_kernel import step_vectors

NAMES, KINDS = ["ad", "bid", "user", "age"], ["category", "number", "category", "number"]


def rows(values: Any) -> Inputs:
    return Inputs(NAMES, KINDS, np.asarray(values, dtype=np.float32))  # type: ignore[arg-type]


def test_unknown_codes_share_the_first_row_of_their_field() -> None:
    fields = Fields.of(rows([[0, 1, 2, 3], [3, 1, 0, 3], [-1, 2, 1, 3]]))
    assert fields.offset.tolist() == [0, 5, 9]
    asked = [[3, 0, 2, 0], [4, 0, 3, 0], [-1, 0, np.nan, 0], [np.inf, 0, 1e9, 0], [-np.inf, 0, 0, 0]]
    codes, _ = fields.read(np.array(asked, dtype=np.float32))
    assert codes.tolist() == [[4, 8], [0, 5], [0, 5], [0, 5], [0, 6]]


def test_numbers_are_bent_standardised_and_cut() -> None:
    rng = np.random.default_rng(0)
    bid, age = rng.lognormal(0, 2, 500), rng.normal(40, 9, 500)
    age[:50] = np.nan
    known = rows(np.column_stack([np.zeros(500), bid, np.zeros(500), age]))
    fields = Fields.of(known)
    _, numbers = fields.read(known.values)
    for column, found in ((bid, numbers[:, 0]), (age, numbers[:, 1])):
        own = column[np.isfinite(column)]
        middle = np.median(own)
        bent = np.arcsinh((own - middle) / np.median(np.abs(own - middle)))
        expected = np.clip((bent - bent.mean()) / bent.std(), -5, 5)
        np.testing.assert_allclose(found[np.isfinite(column)], expected, atol=1e-4)
        assert (found[np.isnan(column)] == 0).all()
    np.testing.assert_array_equal(numbers[:, 2], np.isnan(age))  # bid has no nulls, and no indicator
    _, wild = fields.read(np.array([[0, np.inf, 0, -np.inf], [0, 3e38, 0, np.nan]], dtype=np.float32))
    np.testing.assert_array_equal(wild, [[5, -5, 0], [5, 0, 1]])


@pytest.mark.parametrize("column", [np.full(9, 7.0), np.full(9, np.nan), np.array([np.inf] * 9)], ids=str)
def test_a_number_that_says_nothing_reads_as_0(column: Any) -> None:
    fields = Fields.of(Inputs(["x"], ["number"], column.astype(np.float32)[:, None]))
    _, numbers = fields.read(np.array([[7.0], [8.0], [np.inf], [np.nan]], dtype=np.float32))
    assert (numbers[:, 0] == 0).all()


def test_counts_of_which_most_are_0_keep_their_order() -> None:
    count = np.r_[np.zeros(900), 1 + np.arange(100)]
    fields = Fields.of(Inputs(["x"], ["number"], count.astype(np.float32)[:, None]))
    _, numbers = fields.read(np.array([[0], [1], [2], [10], [99]], dtype=np.float32))
    assert (np.diff(numbers[:, 0]) > 0.01).all()


def test_a_unit_changes_nothing() -> None:
    values = np.random.default_rng(1).lognormal(0, 1, (300, 1))
    read = []
    for unit in (1e-6, 1.0, 1e6):
        block = (values * unit).astype(np.float32)
        read.append(Fields.of(Inputs(["x"], ["number"], block)).read(block)[1])
    np.testing.assert_allclose(read[0], read[1], atol=1e-4)
    np.testing.assert_allclose(read[2], read[1], atol=1e-4)


def test_no_column_is_refused() -> None:
    with pytest.raises(DataError, match="no column"):
        Fields.of(Inputs([], [], np.zeros((3, 0), dtype=np.float32)))


def test_grown_fields_have_room_for_new_codes_and_read_numbers_as_before() -> None:
    old = Fields.of(rows([[1, 1, 4, 3], [0, 5, 2, 9]]))
    new = old.grown(rows([[3, 100, 1, 300]]))
    assert np.diff(new.offset).tolist() == [5, 6]
    np.testing.assert_array_equal(new.shape, old.shape)
    with pytest.raises(DataError, match="columns of the fit"):
        old.grown(Inputs(["x"], ["number"], np.zeros((1, 1), dtype=np.float32)))


@given(
    arrays(np.float32, (7, 4), elements=st.sampled_from([-1, 0, 1, 2, 5, 0.5, np.nan, np.inf, -np.inf])),
    st.integers(1, 5),
)
def test_what_is_served_is_what_was_learnt_from(values: Any, width: int) -> None:
    fields = Fields.of(rows([[1, 0.5, 2, 0], [0, 3, 1, np.nan], [0, 9, 1, 2]]))
    table = np.random.default_rng(0).normal(size=(fields.rows, width)).astype(np.float32)
    codes, numbers = fields.read(values)
    expected = np.concatenate([table[codes].reshape(7, -1), numbers], axis=1)
    dense = np.empty_like(expected)
    parts = values, fields.categories, fields.offset, table, fields.numbers, fields.shape, fields.nulls
    read_dense(*map(frozen, parts), dense)
    np.testing.assert_array_equal(dense, expected)


def test_vectors_step_as_adam_on_what_the_batch_touched() -> None:
    rng, width, reg, rate = np.random.default_rng(0), 3, 0.01, 0.05
    table = rng.normal(size=(11, width)).astype(np.float32)
    expected, oracle = table.astype(float), network_oracles.Adam(rate)
    moments, slot = np.zeros((11, 2 * width), np.float32), np.full(11, -1, np.int32)
    rows_, sums = np.empty(6, np.int64), np.full((6, width), np.nan, np.float32)
    for step in range(1, 6):
        codes = np.column_stack([rng.integers(0, 5, 6), rng.integers(5, 10, 6)]).astype(np.int32)
        slope = rng.normal(size=(6, 2 * width + 1)).astype(np.float32)
        total: dict[tuple[int, int], float] = {}
        for i, j in np.ndindex(6, 2):
            for k in range(width):
                place = int(codes[i, j]), k
                total[place] = total.get(place, 2 * reg * expected[place]) + float(slope[i, j * width + k])
        oracle.step(expected, total)
        corrected = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        step_vectors(table, moments, frozen(codes), frozen(slope), slot, rows_, sums,
                     *map(np.float32, (corrected, 0.9, 0.999, 1e-8, 2 * reg)))  # fmt: skip
        np.testing.assert_allclose(table, expected, atol=2e-5)
        assert (slot == -1).all()
    np.testing.assert_array_equal(table[10], expected[10].astype(np.float32))  # never touched


def test_the_later_rows_are_whole_requests() -> None:
    group = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 3], dtype=np.int32)
    assert later_from(group, 10, 0.5) == 7
    assert later_from(None, 10, 0.5) == 5
    assert later_from(np.zeros(10, np.int32), 10, 0.3) == 10  # one request: nothing to judge by
    assert later_from(None, 3, 0.1) == 3


def test_the_base_rate_counts_weights_and_is_never_0_or_1() -> None:
    inputs = Inputs(["x"], ["number"], np.zeros((4, 1), dtype=np.float32))
    label, weight = np.array([1, 0, 0, 0], np.float32), np.array([2, 1, 1, 4], np.float32)
    lesson = Lesson.of(Fields.of(inputs), inputs, label, weight, positive=3.0)
    assert lesson.weight.tolist() == [6, 1, 1, 4]
    assert lesson.rate == pytest.approx((6 + 1.5) / (12 * 1.25))
    assert 0 < Lesson.of(Fields.of(inputs), inputs, label * 0, None, 1.0).rate < 0.2
