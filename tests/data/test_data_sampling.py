"""Negatives drawn with weights that undo the draw, and the negatives kept of a log."""

import numpy as np
import pyarrow as pa
import pytest

import bottega as bt
from bottega.data.examples import TEST, TRAIN, Examples, Requests
from bottega.data.log import Log
from bottega.data.sampling import sampled, sampling_weight, standing

ITEMS = [f"p{n:02d}" for n in range(20)]


@pytest.fixture
def log(make_log) -> Log:
    """20 products, sold 1 to 20 times before the time 100; a 21st is sold at 100 only."""
    product = [item for n, item in enumerate(ITEMS) for _ in range(n + 1)] + ["late"]
    return make_log({"time": [*range(len(product) - 1), 1000], "product": product})


def ask(relevant: list[list[str]], part: list[int], at: int = 500) -> Requests:
    owner = [request for request, items in enumerate(relevant) for _ in items]
    return Requests(
        pa.table({"customer": [f"c{n}" for n in range(len(relevant))]}),
        np.full(len(relevant), at, np.int64),
        np.array(part, np.int8),
        np.array(owner, np.int32),
        pa.array([item for items in relevant for item in sorted(items)], pa.string()),
    )


def rows(examples: Examples) -> list[tuple[int, str, float]]:
    return list(zip(examples.group.tolist(), examples.candidate.to_pylist(), examples.label.tolist(), strict=True))


@pytest.mark.parametrize("by", ["uniform", "popularity"])
def test_weighted_sums_are_those_of_the_catalogue(log: Log, by: str) -> None:
    requests = ask([["p03"], ["p00", "p19", "late"]], [TRAIN, TRAIN])
    value = {item: float(np.sin(n) + 2) for n, item in enumerate([*ITEMS, "late"])}  # any function of the candidate
    truth = [sum(value[item] for item in ITEMS), sum(value[item] for item in [*ITEMS, "late"])]
    draws = np.array(
        [
            np.bincount(drawn.group, drawn.weight * np.array([value[item] for item in drawn.candidate.to_pylist()]))
            for seed in range(600)
            for drawn in [sampled(requests, log, "product", bt.Sampled(negatives=4, by=by), seed)]
        ]
    )
    error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    assert (error < 1.5).all()
    assert (np.abs(draws.mean(axis=0) - truth) < 4 * error).all()


@pytest.mark.parametrize("by", ["uniform", "popularity"])
def test_a_weight_is_one_over_the_chance_of_being_there(log: Log, by: str) -> None:
    requests = ask([["p03", "p05"]], [TRAIN])
    runs = 2000
    seen = dict.fromkeys(ITEMS, 0)
    weight = {}
    for seed in range(runs):
        drawn = sampled(requests, log, "product", bt.Sampled(negatives=3, by=by), seed)
        for item, value in zip(drawn.candidate.to_pylist(), drawn.weight.tolist(), strict=True):
            seen[item] += 1
            weight[item] = value
    assert (weight["p03"], weight["p05"], seen["p03"]) == (1.0, 1.0, runs)
    mass = {item: n + 1 if by == "popularity" else 1 for n, item in enumerate(ITEMS) if item not in ("p03", "p05")}
    for item, count in mass.items():
        chance = 1 - (1 - count / sum(mass.values())) ** 6
        assert weight[item] == pytest.approx(1 / chance, rel=1e-5)
        assert abs(seen[item] / runs - chance) < 4.5 * np.sqrt(chance * (1 - chance) / runs)


def test_rows_are_the_relevant_and_negatives_of_the_past(log: Log) -> None:
    requests = ask([["p03", "late"], ["p01"]], [TRAIN, TRAIN])
    drawn = sampled(requests, log, "product", bt.Sampled(negatives=5), 0)
    got = rows(drawn)
    assert got == sorted(got)
    assert len(set(got)) == len(got)
    assert {row[:2] for row in got if row[2] == 1} == {(0, "p03"), (0, "late"), (1, "p01")}
    assert all(item in ITEMS for _, item, label in got if label == 0)
    assert rows(sampled(requests, log, "product", bt.Sampled(negatives=5), 0)) == got
    assert rows(sampled(requests, log, "product", bt.Sampled(negatives=5), 1)) != got


def test_test_and_small_catalogues_are_taken_whole(log: Log) -> None:
    whole = sorted((item, float(item in ("p03", "late"))) for item in [*ITEMS, "late"])
    for part, negatives in ((TEST, 1), (TRAIN, 10)):
        drawn = sampled(ask([["p03", "late"]], [part]), log, "product", bt.Sampled(negatives=negatives), 0)
        assert [row[1:] for row in rows(drawn)] == whole
        assert set(drawn.weight.tolist()) == {1.0}


def test_what_is_relevant_may_hold_nearly_all_of_the_mass(make_log) -> None:
    product = ["hit"] * 100_000 + ["a", "b", "c", "d"]
    log = make_log({"time": np.arange(len(product)), "product": product})
    requests = ask([["hit"]], [TRAIN], at=10**6)
    drawn = [sampled(requests, log, "product", bt.Sampled(negatives=2, by="popularity"), seed) for seed in range(20)]
    weights = [set(one.weight[one.label == 0].tolist()) for one in drawn]
    assert weights == [{np.float32(1 / (1 - 0.75**2))}] * 20
    assert {item for one in drawn for item in one.candidate.to_pylist()} == {"hit", "a", "b", "c", "d"}


def test_downsampling_draws_negatives_alone() -> None:
    rng = np.random.default_rng(0)
    label = (rng.random(20_000) < 0.2).astype(np.float32)
    label[::100] = np.nan
    times = standing(label, bt.Downsample(keep_negatives=0.3), seed=1)
    negative = label == 0
    assert (times[~negative] == 1).all()
    assert set(times.tolist()) == {0, 1}
    assert abs(times[negative].mean() - 0.3) < 4.5 * np.sqrt(0.21 / negative.sum())
    np.testing.assert_array_equal(standing(label, bt.Downsample(keep_negatives=0.3), seed=1), times)
    assert (standing(label, bt.Downsample(keep_negatives=0.3), seed=2) != times).any()
    assert standing(label, bt.Downsample(keep_negatives=1.0), seed=1).all()


def test_upsampling_repeats_positives_and_weights_undo_a_draw() -> None:
    label = np.array([0, 1, np.nan, 2], np.float32)
    assert standing(label, bt.Upsample(3), 0).tolist() == [1, 3, 1, 3]
    assert standing(label, None, 0).tolist() == [1, 1, 1, 1]
    weighted = bt.Downsample(0.25, correct=False, weight=True)
    assert sampling_weight(label, weighted).tolist() == [4.0, 1.0, 1.0, 1.0]
    assert sampling_weight(label, bt.Downsample(0.25)).tolist() == [1.0] * 4
