"""The contract of a compression: planted losses are refused with numbers, and what gains nothing is not served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottega.design.serving import Prune, Quantize
from bottega.metrics import Estimate, metric
from bottega.models.compression.contract import Cost, decide, fastest, milliseconds, serving_bytes
from bottega.models.inputs import Inputs

NAN = float("nan")
finite = st.floats(-1, 1)


@pytest.mark.parametrize(
    ("name", "gap", "tolerance", "accepted"),
    [
        ("log_loss", (0.0, -0.001, 0.001), 0.002, True),
        ("log_loss", (0.001, 0.0005, 0.003), 0.002, False),
        ("log_loss", (-0.5, -0.6, -0.4), 0.0, True),
        ("log_loss", (0.0, 0.0, 0.0), 0.0, True),
        ("log_loss", (1e-6, -1e-6, 2e-6), 0.0, False),
        ("roc_auc", (0.0, -0.003, 0.001), 0.002, False),
        ("roc_auc", (0.0, -0.002, 0.9), 0.002, True),
        ("roc_auc", (0.5, 0.4, 0.6), 0.0, True),
        ("log_loss", (0.0, NAN, NAN), 9.0, False),
    ],
)
def test_the_worse_end_of_the_interval_decides(name: str, gap: Any, tolerance: float, accepted: bool) -> None:
    found = decide(Quantize(tolerance=tolerance), metric(name), Estimate(*gap, 9), 1.0, 1.0)
    assert found.accepted == accepted
    assert name in found.reason


@given(st.tuples(finite, finite, finite).map(sorted), st.floats(0, 1))
def test_up_and_down_are_mirrors(ends: list[float], tolerance: float) -> None:
    low, value, high = ends
    setting = Prune(tolerance=tolerance)
    down = decide(setting, metric("log_loss"), Estimate(value, low, high, 9), None, None)
    up = decide(setting, metric("roc_auc"), Estimate(-value, -high, -low, 9), None, None)
    assert down.accepted == up.accepted == (high <= tolerance)


@pytest.mark.parametrize(
    ("before", "after", "accepted", "said"),
    [
        (1.0, 1.019, True, "from 1.0000 to 1.0190"),
        (1.0, 1.021, False, "0.0210 away from 1, over the limit of 0.02"),
        (1.1, 0.985, True, "0.0150 away from 1, within the limit of 0.02"),  # past 1 by less than it may
        (1.1, 0.9, False, "0.1000 away from 1"),  # as far on the other side
        (0.87, 0.9062, True, "no farther from 1"),
        (0.87, 0.84, False, "0.0300 away from 1"),
        (0.8, 1.0, True, "from 0.8000 to 1.0000"),
        (1.0, None, False, "has no value"),
        (None, None, True, "within the tolerance"),
        (1.0, NAN, False, "over the limit"),
    ],
)
def test_calibration_may_not_drift(before: float | None, after: float | None, accepted: bool, said: str) -> None:
    found = decide(Quantize(), metric("log_loss"), Estimate(0.0, 0.0, 0.0, 9), before, after)
    assert found.accepted == accepted
    assert said in found.reason


def test_a_refusal_tells_the_numbers() -> None:
    found = decide(Quantize(), metric("roc_auc"), Estimate(-0.01, -0.0123, 0.002, 9), 1.0, 1.0)
    assert found.reason == "roc_auc -0.0100 [-0.0123, +0.0020]: it may lose 0.0123, over the tolerance of 0.002"


costs = st.builds(Cost, st.floats(0.1, 2), st.integers(1, 200))


@given(costs, st.lists(costs, max_size=5))
def test_what_is_served_gains_and_nothing_that_gains_is_faster(champion: Cost, accepted: list[Cost]) -> None:
    place = fastest(champion, accepted)
    gains = [
        cost
        for cost in accepted
        if cost.ms < 0.95 * champion.ms or (cost.ms <= 1.05 * champion.ms and cost.size < champion.size)
    ]
    assert (place is None) == (not gains)
    if place is not None:
        served = accepted[place]
        assert served in gains
        assert served.ms <= 1.05 * min(cost.ms for cost in gains)
        assert all(cost.size >= served.size for cost in gains if cost.ms <= 1.05 * min(each.ms for each in gains))


def test_only_what_serving_reads_counts(tmp_path: Path) -> None:
    for name, size in {"dense.onnx": 100, "embedding.npy": 1000, "deep.0.weight.npy": 7, "out.bias.npy": 7}.items():
        (tmp_path / name).write_bytes(bytes(size))
    assert serving_bytes(tmp_path) == 1100
    (tmp_path / "dense.onnx").unlink()
    assert serving_bytes(tmp_path) == 1014  # of a model that is no network, whatever its files are called


class Counting:
    """A scorer that remembers the rows it was asked for."""

    setting = None

    def __init__(self) -> None:
        self.asked: list[list[float]] = []

    def score(self, inputs: Inputs) -> Any:
        self.asked.append(inputs.values[:, 0].tolist())
        return inputs.values[:, 0]


def test_all_are_timed_on_the_same_rows() -> None:
    one, other = Counting(), Counting()
    rows = Inputs(["x"], ["number"], np.arange(7, dtype=np.float32)[:, None], group=np.arange(7))
    found = milliseconds([one, other], rows, 20, rounds=5)  # type: ignore[list-item]
    assert one.asked == other.asked
    assert [len(asked) for asked in one.asked] == [20] * 6  # the first is not timed
    assert len(found) == 2
    assert min(found) > 0
