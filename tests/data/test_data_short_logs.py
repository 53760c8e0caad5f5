"""A split that may take a share of a log at most: its spans shrink on a short log, and stay on a long one."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bottega as bt
from bottega.data.cuts import cuts, last_midnight, shortened
from bottega.data.each import each
from bottega.data.examples import TEST, TRAIN, UNUSED, VALIDATE
from bottega.data.ingest import ingest, read_log
from bottega.data.log import Log
from bottega.data.source import Place
from bottega.errors import DataError, DesignError
from bottega.systems import document_search, film_recommendation, news_feed, shop_recommendation
from bottega.worlds.feed import FeedWorld

HOUR = 3_600_000_000
DAY = 24 * HOUR
MAY = 0.5
"""The share of the log that the feed's split may take."""


def hourly(days: float, begin: int = 0, every: int = HOUR) -> Log:
    """A log in which somebody new reads something every hour, or as often as is said."""
    time = begin + np.arange(0, round(days * DAY), every)
    rows = pa.table({"person": [f"p{at}" for at in time.tolist()], "content": ["c"] * len(time)})
    return Log("events", rows, time, time)


@settings(max_examples=50)
@given(days=st.floats(3, 500), begin=st.integers(0, DAY - 1))
def test_every_part_of_a_feed_of_any_length_is_filled(days: float, begin: int) -> None:
    """By the definition: half of the days are learnt from, the others parted three to one, the test by whole days."""
    log = hourly(days, begin)
    design, told = shortened(news_feed.design, log)
    if not told:
        assert design is news_feed.design
        assert days > 238
        return
    part = each(design, log).part
    hours = {name: np.count_nonzero(part == name) for name in (TRAIN, VALIDATE, TEST, UNUSED)}
    whole = -(-int(log.end()) // DAY)
    assert told[0].startswith(f"events: {whole} days")
    test = max(1, int(whole * MAY * 3 / 4 + 1e-9))
    assert f"test {test}d" in told[0]
    assert test * 24 - 24 < hours[TEST] <= test * 24
    assert hours[VALIDATE] == pytest.approx(24 * whole * MAY / 4, abs=1.1)
    assert hours[UNUSED] == 0
    assert hours[TRAIN] + hours[VALIDATE] + hours[TEST] == pytest.approx(24 * (days - whole * MAY * 7 / 120), abs=2)


def test_a_year_keeps_the_split_that_it_has() -> None:
    assert shortened(news_feed.design, hourly(351)) == (news_feed.design, [])


@pytest.mark.parametrize("system", [shop_recommendation, document_search])
def test_other_systems_keep_their_spans(system: object) -> None:
    design = system.design  # type: ignore[attr-defined]
    assert shortened(design, hourly(20)) == (design, [])


@settings(max_examples=40)
@given(days=st.floats(6, 300), begin=st.integers(0, DAY - 1))
def test_films_of_any_length_have_a_slice_to_learn_from(days: float, begin: int) -> None:
    """The horizon shrinks with the test, and every label is final before the part that follows."""
    log = hourly(days, begin)
    log = Log("ratings", log.rows.rename_columns(["user", "item"]), log.time, log.known)
    design, told = shortened(film_recommendation.design, log)
    assert bool(told) == (design is not film_recommendation.design)
    assert not told or days < 121
    examples = design.data.examples
    assert isinstance(examples, bt.FromPositives)
    assert design.data.labels[0].matures_after == examples.horizon
    found = cuts(design, log)
    assert [cut.part for cut in found][-2:] == [VALIDATE, TEST]
    assert any(cut.part == TRAIN for cut in found)
    assert all(one.until <= other.at for one, other in pairwise(found[-3:]))
    assert found[-1].until <= last_midnight(log)


@settings(max_examples=30)
@given(hours=st.integers(1, 80), begin=st.integers(0, 23))
def test_a_log_of_few_hours_has_a_split_that_fits_or_says_how_long_it_must_be(hours: int, begin: int) -> None:
    """Two dates are enough, wherever in them the log begins; one is not, since the test takes a whole day."""
    log = hourly(hours / 24, 20_000 * DAY + begin * HOUR, HOUR // 60)
    ratings = Log("ratings", log.rows.rename_columns(["user", "item"]), log.time, log.known)
    if begin + hours <= 24:
        for design, one in ((film_recommendation.design, ratings), (news_feed.design, log)):
            with pytest.raises(DataError, match="a log of 2d or more") as caught:
                shortened(design, one)
            assert caught.value.where == "data.split"
        return
    films, told = shortened(film_recommendation.design, ratings)
    assert f"horizon {films.data.examples.horizon}" in told[0]  # type: ignore[union-attr]
    assert {cut.part for cut in cuts(films, ratings)} == {TRAIN, VALIDATE, TEST}
    part = each(shortened(news_feed.design, log)[0], log).part
    assert set(part.tolist()) >= {TRAIN, VALIDATE, TEST}


def test_what_cannot_shrink_counts_in_the_length_that_is_asked_for() -> None:
    data = film_recommendation.design.data
    split = msgspec.structs.replace(data.split, embargo="4d")
    design = msgspec.structs.replace(film_recommendation.design, data=msgspec.structs.replace(data, split=split))
    for days, fits in ((9, False), (10, True)):
        log = hourly(days)
        log = Log("ratings", log.rows.rename_columns(["user", "item"]), log.time, log.known)
        if fits:
            assert cuts(shortened(design, log)[0], log)[0].part == TRAIN
        else:
            with pytest.raises(DataError, match="a log of 10d or more"):
                shortened(design, log)


def test_an_embargo_does_not_shrink_and_what_calibrates_does() -> None:
    split = bt.TimeSplit(test="90d", validate="30d", embargo="2d", calibrate="6d", at_most=0.5)
    data = msgspec.structs.replace(news_feed.design.data, split=split)
    found, _ = shortened(msgspec.structs.replace(news_feed.design, data=data), hourly(24))
    assert found.data.split == bt.TimeSplit(test="9d", validate="3d", embargo="2d", calibrate="0.6d", at_most=0.5)


def test_the_bundled_feed_has_all_parts_in_twenty_days(tmp_path: Path) -> None:
    FeedWorld(rows=1_500, days=20).write(tmp_path / "data")
    table = next(table for table in news_feed.design.data.tables if table.name == "events")
    ingest(table, Place(tmp_path / "data"), tmp_path / "events", ["person", "content"])
    log = read_log(table, tmp_path / "events")
    design, told = shortened(news_feed.design, log)
    assert told == ["events: 20 days are few for the split, it is shortened: test 7d, validate 2.5d, warm-up 0.583d"]
    part = each(design, log).part
    assert np.count_nonzero(part == TRAIN) > np.count_nonzero(part == TEST) > np.count_nonzero(part == VALIDATE) > 50


@pytest.mark.parametrize(
    "fields",
    [
        {"test": "9d", "validate": "3d", "at_most": 0},
        {"test": "9d", "validate": "3d", "at_most": 0.95},
        {"test": "9d", "at_most": 0.5},
        {"test": "2020-01-01", "validate": "3d", "at_most": 0.5},
    ],
    ids=repr,
)
def test_shares_that_cannot_be_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(DesignError) as caught:
        bt.TimeSplit(**fields)  # type: ignore[arg-type]
    assert caught.value.where == "TimeSplit.at_most"
