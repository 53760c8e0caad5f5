"""Leaks: planted columns are named with the figure that another library gives, and honest ones are not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from bottega.proposals.columns import Column
from bottega.proposals.kinds import columns_of
from bottega.proposals.leaks import SUSPECT, beyond_chance, leaks
from bottega.reviewing.seen import TELLS


@settings(max_examples=30)
@given(st.integers(0, 1000), st.floats(0.01, 0.9))
def test_planted_columns_are_found_and_honest_ones_are_not(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    n = 4000
    label = (rng.random(n) < share).astype(float)
    label[:2] = 0, 1
    noise = rng.normal(size=n)
    table = pa.table({
        "scenario": np.where(label > 0, rng.integers(1, 4, n), 0),
        "refund": np.where(label > 0, rng.random(n) + 0.1, 0.0),
        "minus": -label * 5 + rng.random(n),
        "resolved_at": pa.array([None if one == 0 else "x" for one in label]),
        "verdict": np.where(label > 0, "bad", "good"),
        "noise": noise,
        "helps": noise + label,
        "city": rng.choice(["a", "b", "c"], n),
        "constant": np.ones(n),
        "row": np.arange(n),
    })  # fmt: skip
    found = {one.name: one.auc for one in leaks(columns_of(table), label)}
    assert {name for name, auc in found.items() if auc >= TELLS} == {
        "scenario",
        "refund",
        "minus",
        "resolved_at",
        "verdict",
    }
    assert all(found.get(name, 0.5) < SUSPECT for name in ("noise", "city", "row", "constant", "helps"))
    assert found["helps"] == pytest.approx(max(roc_auc_score(label, noise + label), 0.5), abs=1e-9)


def test_a_category_does_not_see_its_own_label() -> None:
    """Many values of few rows each: in the sample they would tell all, out of it nothing."""
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 6000).astype(float)
    table = pa.table({"name": [f"n{code}" for code in rng.integers(0, 2500, 6000)]})
    (found,) = leaks(columns_of(table), label)
    assert found.auc < 0.56


def test_labels_of_one_class_and_gaps_tell_nothing() -> None:
    columns = columns_of(pa.table({"x": [1.0, 2.0, 3.0]}))
    assert leaks(columns, np.zeros(3)) == []
    assert leaks(columns, np.array([np.nan, 1.0, np.nan])) == []


def test_columns_of_noise_are_chosen_without_the_label() -> None:
    rng = np.random.default_rng(3)
    label = rng.integers(0, 2, 600).astype(np.float64)
    noise = [Column(f"c{place}", "number", pa.chunked_array([rng.normal(size=600)])) for place in range(1000)]
    found = leaks(noise, label)
    assert max(one.auc for one in found) > 0.55  # the best of a thousand look like something
    assert beyond_chance(found, label) == []
    known = Column("known", "number", pa.chunked_array([rng.normal(size=600) + label]))
    assert beyond_chance(leaks([*noise, known], label), label) == ["known"]
    assert beyond_chance([], label) == beyond_chance(found, np.ones(600)) == []
