"""Logs with a day missing, a day of one value, repeated impressions, and propensities that are none."""

import numpy as np
import pyarrow as pa
import pytest

import bottega as bt
from bottega.data.examples import TRAIN, VALIDATE
from bottega.data.lessons import lesson
from bottega.data.log import Log
from bottega.data.logged import logged
from bottega.errors import DataError

DAY = 86_400_000_000
SPLIT = bt.TimeSplit(test="2d", validate="2d")
CLICKED = (bt.Label("clicked"),)


@pytest.fixture
def banners(make_log) -> Log:
    """Ten days, 200 impressions each."""
    rng = np.random.default_rng(13)
    n = 2000
    return make_log(
        {
            "time": np.sort(rng.integers(0, 10 * DAY, n)),
            "user": [f"u{value}" for value in rng.integers(0, 40, n)],
            "ad": [f"a{value}" for value in rng.integers(0, 12, n)],
            "slot": rng.integers(1, 4, n),
            "chance": rng.uniform(0.01, 1, n),
            "clicked": rng.random(n) < 0.2,
        }
    )


def without(log: Log, keep: np.ndarray) -> Log:
    return log.take(keep)


def test_a_missing_day_changes_nothing_else_and_is_noted(make_design, banners: Log) -> None:
    design = make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=CLICKED)
    whole = logged(design, banners)
    assert not whole.noted
    gap = without(banners, (banners.time // DAY != 3) & (banners.time // DAY != 5))
    got = logged(design, gap)
    assert got.noted == {"days without a row": 2}
    stays = np.flatnonzero(~np.isin(banners.time[whole.row] // DAY, [3, 5]))
    assert got.candidate.to_pylist() == whole.candidate.take(pa.array(stays)).to_pylist()
    np.testing.assert_array_equal(got.part(), whole.part()[stays])
    learnt = lesson(design, got, VALIDATE)
    assert learnt.times.sum() + learnt.calibrate.sum() == (got.part() == TRAIN).sum()
    with pytest.raises(DataError, match="no example in the validation part"):
        logged(design, without(banners, ~np.isin(banners.time // DAY, [6, 7])))


def test_a_day_of_one_value_is_learnt_like_others_and_a_part_of_one_is_refused(make_design, banners: Log) -> None:
    design = make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=CLICKED)

    def quiet(days: list[int]) -> Log:
        clicked = banners.rows["clicked"].to_numpy() & ~np.isin(banners.time // DAY, days)
        return Log("log", banners.rows.set_column(5, "clicked", pa.array(clicked)), banners.time, banners.known)

    got = logged(design, quiet([2, 8]))
    assert len(got) == len(logged(design, banners))
    assert not got.label[got.requests.time[got.group] // DAY == 2].any()
    with pytest.raises(DataError, match="'clicked' is 0 in every example of the test part"):
        logged(design, quiet([8, 9]))


def test_an_ad_shown_twice_in_one_search_counts_once(make_design, make_log) -> None:
    log = make_log(
        {
            "time": np.repeat(np.arange(10) * DAY, 3),
            "user": ["u"] * 30,
            "ad": ["a", "b", "a"] * 10,
            "slot": [1, 2, 3] * 10,
            "clicked": [1, 0, 0] * 10,
        }
    )
    design = make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=CLICKED, position=bt.PositionFeature("slot"))
    got = logged(design, log)
    assert got.dropped == {"ad: missing or repeated in its request": 10}
    assert got.position.tolist() == [1, 2] * 10
    assert got.label.tolist() == [1, 0] * 10


@pytest.mark.parametrize(("served_as", "places"), [(4, 20), (50, 60), (1, 20)])
def test_a_place_that_no_example_shows_is_no_place_to_serve_in(make_design, make_log, served_as, places) -> None:
    slot = [2, 3] * 15 if served_as == 1 else [1, 3] * 15
    log = make_log(
        {"time": np.repeat(np.arange(15) * DAY, 2), "user": ["u"] * 30, "ad": ["a", "b"] * 15, "slot": slot,
         "clicked": [1, 0] * 15}
    )  # fmt: skip
    place = bt.PositionFeature("slot", served_as, places)
    asked = bt.Logged("log", ["user"], "ad")
    with pytest.raises(DataError, match=f"place {served_as}, in which no example stood"):
        logged(make_design(asked, SPLIT, labels=CLICKED, position=place), log)
    few = bt.PositionFeature("slot", served_as, 3)  # 3 stands for all from there on
    if served_as > 3:
        assert logged(make_design(asked, SPLIT, labels=CLICKED, position=few), log).position is not None


def test_propensities_stay_with_their_rows(make_design, banners: Log) -> None:
    design = make_design(bt.Logged("log", ["user"], "ad", propensity="chance"), SPLIT, labels=CLICKED)
    got = logged(design, banners)
    np.testing.assert_array_equal(got.propensity, banners.rows["chance"].to_numpy()[got.row].astype(np.float32))
    some = got.take(got.label > 0)
    np.testing.assert_array_equal(some.propensity, got.propensity[got.label > 0])
    assert logged(make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=CLICKED), banners).propensity is None


def test_propensities_that_are_none_are_refused_with_their_counts(make_design, banners: Log) -> None:
    design = make_design(bt.Logged("log", ["user"], "ad", propensity="chance"), SPLIT, labels=CLICKED)
    chance = banners.rows["chance"].to_numpy().copy()
    chance[[5, 6, 700]], chance[[8]], chance[[30, 40]] = 0, -0.1, [1.001, np.inf]
    chance[100:105] = np.nan
    log = Log("log", banners.rows.set_column(4, "chance", pa.array(chance)), banners.time, banners.known)
    with pytest.raises(DataError) as error:
        logged(design, log)
    assert error.value.where == "data.examples.propensity"
    assert str(error.value.found) == "'chance' of 2,000 examples: 6 missing, 4 0 or less, 1 above 1"
    with pytest.raises(DataError, match="no column 'chance'"):
        logged(design, Log("log", banners.rows.drop_columns(["chance"]), banners.time, banners.known))


def test_a_place_that_is_missing_is_kept_and_one_of_0_is_refused(make_design, banners: Log) -> None:
    design = make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=CLICKED, position=bt.InversePropensity("slot"))
    slot = banners.rows["slot"].to_numpy().astype(float)
    slot[::10] = np.nan
    got = logged(design, Log("log", banners.rows.set_column(3, "slot", pa.array(slot)), banners.time, banners.known))
    np.testing.assert_array_equal(got.position, slot[got.row].astype(np.float32))
    learnt = lesson(design, got, VALIDATE)
    assert set(learnt.weight[np.isnan(got.position)].tolist()) == {1.0}
    assert len(set(learnt.weight.tolist())) == 3
    some = got.take(np.arange(3, 9))
    np.testing.assert_array_equal(some.position, got.position[3:9])
    slot[4] = 0
    with pytest.raises(DataError, match=r"'slot' holds 0 in 1 of 2,000"):
        logged(design, Log("log", banners.rows.set_column(3, "slot", pa.array(slot)), banners.time, banners.known))
