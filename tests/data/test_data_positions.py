"""Places: read, refused, and the chance that each is looked at, against logs whose truth is known."""

import numpy as np
import pyarrow as pa
import pytest

from bottega.data.positions import positions, propensities, propensity_weights
from bottega.errors import DataError

CHANCES = np.array([1, 0.65, 0.4, 0.3, 0.18, 0.1])


def planted(rng: np.random.Generator, searches: int, pairs: int, skill: float) -> dict[str, np.ndarray]:
    """Six candidates a search, put in places by a ranker with some skill; each has one worth wherever it stands."""
    worth = np.minimum(rng.lognormal(-3.5, 0.8, pairs), 0.5)
    shown = np.argsort(rng.random((searches, pairs)), axis=1)[:, :6]
    belief = skill * np.log(worth[shown]) + rng.normal(0, 1, shown.shape)
    place = np.argsort(np.argsort(-belief, axis=1), axis=1)
    click = rng.random(shown.shape) < worth[shown] * CHANCES[place]
    return {
        "worth": worth,
        "cell": shown.ravel(),
        "position": (place + 1).ravel().astype(np.float32),
        "click": click.ravel().astype(np.float32),
    }


@pytest.mark.parametrize("skill", [0.0, 1.0, 3.0])
def test_chances_are_those_of_the_world_however_skilled_the_ranker(skill: float) -> None:
    log = planted(np.random.default_rng(1), 40_000, 60, skill)
    got = propensities(log["position"], log["click"], log["cell"], most=50)
    assert list(got) == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(list(got.values()), CHANCES, rtol=0.2)
    rate = np.array([log["click"][log["position"] == place].mean() for place in range(1, 7)])
    if skill == 3:  # what is clicked in a place says little of the place where a ranker put the best on top
        assert (rate / rate[0])[-1] < CHANCES[-1] / 2


def test_many_cells_with_a_click_or_two_add_no_bias() -> None:
    rng = np.random.default_rng(2)
    cells = 20_000
    worth = rng.uniform(0.02, 0.3, cells)
    cell = np.repeat(np.arange(cells), 4)
    place = rng.integers(0, 3, len(cell))
    click = (rng.random(len(cell)) < worth[cell] * CHANCES[place]).astype(np.float32)
    got = propensities((place + 1).astype(np.float32), click, cell, most=20)
    np.testing.assert_allclose(list(got.values()), CHANCES[:3], rtol=0.08)


def test_the_likelihood_is_at_its_top() -> None:
    log = planted(np.random.default_rng(3), 10_000, 12, 1.0)
    got = np.array(list(propensities(log["position"], log["click"], log["cell"], most=1e6).values()))

    def likelihood(chance: np.ndarray) -> float:
        total = 0.0
        for cell in range(12):
            mine = log["cell"] == cell
            mass = np.bincount(log["position"][mine].astype(int) - 1, minlength=6) * chance
            clicked = log["position"][mine & (log["click"] > 0)].astype(int) - 1
            total += float(np.log(mass[clicked] / mass.sum()).sum())
        return total

    best = likelihood(got)
    for place in range(1, 6):
        for factor in (0.97, 1.03):
            other = got.copy()
            other[place] *= factor
            assert likelihood(other) < best


def test_weighted_clicks_order_candidates_nearer_to_the_truth() -> None:
    rng = np.random.default_rng(4)
    log = planted(rng, 30_000, 40, 0.0)
    liked = rng.normal(0, 1, 40)  # the old ranker's own taste, which has nothing to do with the worth
    shown = log["cell"].reshape(-1, 6)
    place = np.argsort(np.argsort(-(liked[shown] + rng.normal(0, 0.7, shown.shape)), axis=1), axis=1)
    click = (rng.random(shown.shape) < log["worth"][shown] * CHANCES[place]).ravel().astype(np.float32)
    position = (place + 1).ravel().astype(np.float32)
    weight = propensity_weights(position, click, propensities(position, click, log["cell"], most=20), most=20)

    def agreement(weights: np.ndarray) -> float:
        good = np.bincount(log["cell"], click * weights, minlength=40)
        rate = good / np.bincount(log["cell"], np.where(click > 0, weights, 1), minlength=40)
        return float(np.corrcoef(np.argsort(np.argsort(rate)), np.argsort(np.argsort(log["worth"])))[0, 1])

    assert agreement(np.ones(len(click))) < 0.75
    assert agreement(weight) > 0.9


def test_a_place_that_cannot_be_measured_takes_the_chance_of_the_next_better_one() -> None:
    log = planted(np.random.default_rng(5), 20_000, 40, 0.0)
    few = np.r_[log["position"], np.full(50, 9, np.float32)]  # nine clicks in place 9, and 60 alone in place 8
    click = np.r_[log["click"], np.ones(9), np.zeros(41)].astype(np.float32)
    few, click = np.r_[few, np.full(60, 8, np.float32)], np.r_[click, np.ones(60, np.float32)]
    cell = np.r_[log["cell"], np.arange(50) % 40, np.full(60, 40)]
    got = propensities(few, click, cell, most=50)
    assert list(got) == [1, 2, 3, 4, 5, 6, 8, 9]
    assert got[8] == got[9] == got[6]
    np.testing.assert_allclose([got[place] for place in range(1, 7)], CHANCES, rtol=0.25)
    assert min(propensities(few, click, cell, most=2).values()) == 0.5


def test_places_that_no_candidate_joins_to_the_best_take_the_chance_of_the_next_better_one() -> None:
    rng = np.random.default_rng(6)
    cell = np.repeat(np.arange(20), 500)
    slot = rng.integers(0, 2, len(cell))
    click = rng.random(len(cell)) < 0.3 * np.array([1, 0.5])[slot]
    place = np.where(cell < 10, 1, 5) + slot  # ten candidates in the places 1 and 2, ten in 5 and 6
    got = propensities(place.astype(np.float32), click.astype(np.float32), cell, most=20)
    assert list(got) == [1, 2, 5, 6]
    assert got[2] == got[5] == got[6]
    assert got[2] == pytest.approx(0.5, rel=0.15)


def test_clicks_that_never_moved_are_refused() -> None:
    position = np.repeat([1, 2], 500).astype(np.float32)
    click = np.tile([0, 1], 500).astype(np.float32)
    for cell in (np.repeat([0, 1], 500), np.full(1000, -1), np.arange(1000)):
        with pytest.raises(DataError, match="fewer than 10 clicks"):
            propensities(position, click, cell, most=20)
    with pytest.raises(DataError, match="the best place has fewer"):
        propensities(np.full(1000, np.nan, np.float32), click, np.zeros(1000, np.int64), most=20)


def test_weights_are_one_over_the_chance_and_capped() -> None:
    position = np.array([1, 2, 2, 3, 7, np.nan], np.float32)
    click = np.array([1, 1, 0, 1, 1, 1], np.float32)
    got = propensity_weights(position, click, {1: 1.0, 2: 0.5, 3: 0.01}, most=20)
    assert got.tolist() == [1, 2, 1, 20, 1, 1]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, 0, 3, 0], "'slot' holds 0 in 2 of 4 examples"),
        ([1, 2.5, -1, None], "'slot' holds -1, 2.5 in 2 of 4"),
        (["1", "top", "2", "3"], "'slot' holds 'top'"),
        ([None, None, None, None], "'slot' is empty in all 4"),
        ([True, False, True, True], "'slot' holds 0 in 1 of 4"),
    ],
)
def test_places_that_are_none_are_refused(make_log, values: list[object], words: str) -> None:
    log = make_log({"time": [1, 2, 3, 4], "slot": pa.array(values)})
    with pytest.raises(DataError) as error:
        positions("slot", log, np.arange(4))
    assert error.value.where == "data.position.column"
    assert words in str(error.value.found)


def test_places_of_some_rows_in_any_type(make_log) -> None:
    for values in ([1, None, 3], ["1", "", "3"], pa.array([1, None, 3], pa.int8())):
        log = make_log({"time": [1, 2, 3], "slot": values})
        np.testing.assert_array_equal(positions("slot", log, np.array([2, 1])), np.array([3, np.nan], np.float32))
    with pytest.raises(DataError, match="no column 'slt'"):
        positions("slt", log, np.array([0]))
