"""Labels that come late: windows, what is known when, and labels that are given another."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bottega as bt
from bottega.data.examples import TEST, TRAIN, UNUSED, VALIDATE
from bottega.data.ingest import ACCEPTED, ingest
from bottega.data.log import Log
from bottega.data.logged import logged
from bottega.data.ripeness import judged_rows, label_of, learnable, share_within
from bottega.data.source import Place
from bottega.errors import DataError, DesignError

DAY = 86_400_000_000
HOUR = DAY // 24
SPLIT = bt.TimeSplit(test="10d", validate="5d")
BOUGHT = bt.Label("bought", matures_after="7d", observed_at="bought_at", window="1d")
CLICKED = bt.Label("clicked", matures_after="1h")


@pytest.fixture
def sold(make_log) -> Log:
    """60 days, 100 offers a day; a third is clicked, half of these bought, after one and a half days at a mean."""
    rng = np.random.default_rng(7)
    n = 6000
    time = np.sort(rng.integers(0, 60 * DAY, n))
    delay = (rng.exponential(1.5, n) * DAY).astype(np.int64)
    clicked = rng.random(n) < 1 / 3
    bought = clicked & (rng.random(n) < 0.5) & (time + delay < 60 * DAY)
    seen = np.where(rng.random(n) < 0.03, None, time + delay)  # of some the time was lost
    return make_log(
        {
            "time": time,
            "user": [f"u{value}" for value in rng.integers(0, 50, n)],
            "ad": [f"a{value}" for value in rng.integers(0, 20, n)],
            "clicked": clicked,
            "bought": pa.array(np.where(rng.random(n) < 0.01, np.nan, bought), from_pandas=True),
            "bought_at": pa.array(
                [at if good else None for at, good in zip(seen, bought, strict=True)], pa.timestamp("us")
            ),
        }
    )


def test_a_window_against_the_naive_oracle(make_design, sold: Log) -> None:
    design = make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=[BOUGHT])
    got = logged(design, sold)
    end, test = int(sold.time.max()) + 1, 50 * DAY
    validate = test - 7 * DAY - 5 * DAY
    rows = sold.rows.cast(sold.rows.schema.set(5, pa.field("bought_at", pa.int64()))).to_pylist()
    seen, late, expected = set(), 0, {}
    for n, row in enumerate(rows):
        if row["bought"] is None:
            continue
        delay = None if row["bought_at"] is None or not row["bought"] else row["bought_at"] - row["time"]
        too_late = delay is not None and delay > 7 * DAY
        late += too_late
        if row["time"] + 7 * DAY <= end:
            early = float(delay is not None and delay <= DAY)
            expected[n] = (float(row["bought"] and not too_late), early, row["time"] + 7 * DAY, row["time"] + DAY)
            part = TEST if row["time"] >= test else UNUSED
            for begin, stop, number in ((-1, validate, TRAIN), (validate, test, VALIDATE)):
                if begin <= row["time"] < stop and row["time"] + 7 * DAY <= stop:
                    part = number
            seen.add((n, part))
    assert set(got.row.tolist()) == set(expected)
    np.testing.assert_array_equal(got.label, np.array([expected[n][0] for n in got.row], np.float32))
    np.testing.assert_array_equal(got.early["bought"], np.array([expected[n][1] for n in got.row], np.float32))
    assert got.final["bought"].tolist() == [expected[n][2] for n in got.row]
    assert got.ripe["bought"].tolist() == [expected[n][3] for n in got.row]
    assert set(zip(got.row.tolist(), got.part().tolist(), strict=True)) == seen
    assert got.noted["bought: above 0 too late, counted as 0"] == late > 5
    assert {part for _, part in seen} == {TRAIN, VALIDATE, TEST, UNUSED}
    assert sum(got.dropped.values()) == len(rows) - len(expected)
    for judged, border in ((VALIDATE, validate), (TEST, test)):
        may = learnable(got, judged, BOUGHT)
        assert set(got.row[may].tolist()) == {n for n in expected if rows[n]["time"] + DAY <= border}


def test_early_values_divided_by_the_share_give_the_rate_of_what_matures(make_design, make_log) -> None:
    rng = np.random.default_rng(8)
    n = 60_000
    time = np.sort(rng.integers(0, 40 * DAY, n))
    delay = (rng.exponential(2, n) * DAY).astype(np.int64)
    rate = np.where(time < 25 * DAY, 0.1, 0.2)  # the world has changed, and only young rows know
    truth = (rng.random(n) < rate) & (delay <= 10 * DAY)
    bought = truth & (time + delay < 40 * DAY)
    log = make_log(
        {
            "time": time,
            "user": [f"u{value}" for value in rng.integers(0, 50, n)],
            "bought": bought,
            "bought_at": pa.array(np.where(bought, time + delay, 0), pa.timestamp("us"), mask=~bought),
        }
    )
    label = bt.Label("bought", matures_after="10d", observed_at="bought_at", window="1d")
    split = bt.TimeSplit(test="12d", validate="2d")
    got = logged(make_design(bt.Logged("log", ["user"]), split, labels=[label]), log)
    test = 28 * DAY
    young = learnable(got, TEST, label) & (got.requests.time[got.group] >= 25 * DAY)
    assert np.isnan(got.label[young]).sum() == 0  # final at the end of the log, but not when the test began
    assert (got.final["bought"][young] > test).all()
    share = share_within(got, label, test)
    within = truth & (delay <= DAY) & (time + 10 * DAY <= test)
    old = truth & (time + 10 * DAY <= test)
    assert (share.count, share.value, share.reason) == (int(old.sum()), within.sum() / old.sum(), "")
    p = got.early["bought"][young].mean() / share.value
    sure = truth[time >= 25 * DAY].mean()
    assert abs(p - sure) < 0.1 * sure
    assert learnable(got, TEST, bt.Label("bought", matures_after="10d")).sum() < learnable(got, TEST, label).sum()


def test_a_share_that_cannot_be_measured_is_one_and_says_why(make_design, sold: Log) -> None:
    design = make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=[BOUGHT])
    got = logged(design, sold)
    share = share_within(got, BOUGHT, 2 * DAY)
    assert (share.value, share.count) == (1.0, 0)
    assert "no bought above 0 was final before 1970-01-03" in share.reason
    none = share_within(got, CLICKED, None)
    assert (none.value, none.reason) == (1.0, "clicked has no window")
    label = bt.Label("bought", matures_after="7d", observed_at="bought_at", window="1us")
    share = share_within(
        logged(make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=[label]), sold), label, None
    )
    assert share.value == 1.0
    assert share.count > 100
    assert f"none of {share.count} came within the window of 1us" in share.reason


def test_a_time_that_buyers_alone_have_makes_no_young_row_final(make_design, sold: Log) -> None:
    label = bt.Label("bought", matures_after="7d", observed_at="bought_at")
    got = logged(make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=[label]), sold)
    assert int(sold.time[got.row].max()) + 7 * DAY <= sold.end()
    old = got.label[got.requests.time[got.group] < 40 * DAY].mean()
    young = got.label[got.requests.time[got.group] >= 50 * DAY].mean()
    assert young < 1.3 * old  # else the youngest would be buyers alone
    both = sold.rows.set_column(5, "bought_at", pa.array(sold.time + DAY, pa.timestamp("us")))
    told = logged(
        make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=[label]), Log("log", both, sold.time, sold.known)
    )
    assert (told.final["bought"] == sold.time[told.row] + DAY).all()


def test_a_label_given_another_is_asked_where_that_one_is_above_0(make_design, sold: Log) -> None:
    given = bt.Label("bought", matures_after="7d", observed_at="bought_at", window="1d", given="clicked")
    design = make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=[CLICKED, given])
    got = logged(design, sold)
    clicked = sold.rows["clicked"].to_numpy()[got.row]
    bought = sold.rows["bought"].to_numpy()[got.row]
    young = sold.time[got.row] + 7 * DAY > sold.end()
    assert np.array_equal(np.isnan(got.labels["bought"]), ~clicked | np.isnan(bought) | young)
    assert np.array_equal(np.isnan(got.early["bought"]), ~clicked | np.isnan(bought))
    np.testing.assert_array_equal(got.label, clicked)
    validate = 50 * DAY - 12 * DAY
    may = learnable(got, VALIDATE, label_of(design, "bought"))
    time = sold.time[got.row]
    np.testing.assert_array_equal(may, clicked & ~np.isnan(bought) & (time + DAY <= validate))
    slow = bt.Label("bought", matures_after="7d", given="clicked")
    got = logged(make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=[CLICKED, slow]), sold)
    time = sold.time[got.row]
    for judged, border in ((VALIDATE, validate), (TEST, 50 * DAY)):
        may = learnable(got, judged, slow)
        assert may.any()
        assert (time[may] + 7 * DAY <= border).all()
    design = make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=[CLICKED, slow])
    fit = judged_rows(design, got, VALIDATE, "bought")
    assert fit.sum() < judged_rows(design, got, VALIDATE).sum()
    assert (time[fit] + 7 * DAY <= 50 * DAY).all()
    assert judged_rows(design, got, TEST, "bought").any()


def test_a_label_is_known_no_sooner_than_the_one_it_is_given(make_design, sold: Log) -> None:
    labels = [bt.Label("clicked", matures_after="6d"), bt.Label("bought", given="clicked")]
    got = logged(make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=labels), sold)
    assert (got.final["bought"] == sold.time[got.row] + 6 * DAY).all()
    early = bt.Label("bought", matures_after="7d", observed_at="bought_at", window="1d", given="clicked")
    got = logged(make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=[labels[0], early]), sold)
    assert (got.ripe["bought"] == sold.time[got.row] + 6 * DAY).all()


def test_a_main_label_given_another_makes_examples_of_those_alone(make_design, sold: Log) -> None:
    main = bt.Label("bought", matures_after="7d", given="clicked")
    got = logged(make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=[main, CLICKED]), sold)
    assert sold.rows["clicked"].to_numpy()[got.row].all()
    ripe = sold.time + 7 * DAY <= sold.end()
    there = ~np.isnan(sold.rows["bought"].to_numpy())
    apart = int((ripe & there & ~sold.rows["clicked"].to_numpy()).sum())
    assert got.dropped["bought: clicked is not above 0, or not known"] == apart
    assert len(got) + sum(got.dropped.values()) == sold.rows.num_rows


def test_without_its_main_label_a_row_is_no_example_whatever_the_others_say(make_design, sold: Log) -> None:
    bare = bt.Label("bought")
    got = logged(make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=[bare, bt.Label("clicked")]), sold)
    missing = np.isnan(sold.rows["bought"].to_numpy())
    assert got.dropped["bought: missing"] == missing.sum() > 0
    assert not missing[got.row].any()
    got = logged(make_design(bt.Logged("log", ["user"], "ad"), SPLIT, labels=[bt.Label("clicked"), bare]), sold)
    np.testing.assert_array_equal(np.isnan(got.labels["bought"]), missing[got.row])


def test_an_embargo_of_its_own_decides_for_windows_too(make_design, sold: Log) -> None:
    split = bt.TimeSplit(test="10d", validate="5d", embargo="3d")
    got = logged(make_design(bt.Logged("log", ["user"], "ad"), split, labels=[BOUGHT]), sold)
    may = learnable(got, VALIDATE, BOUGHT)
    assert got.borders is not None
    border = 50 * DAY - 3 * DAY - 5 * DAY
    assert (got.borders.validate, got.borders.test, got.borders.gap) == (border, 50 * DAY, 3 * DAY)
    time = got.requests.time[got.group]
    np.testing.assert_array_equal(may, time < border - 3 * DAY)


@pytest.mark.parametrize(
    ("values", "positive"),
    [
        (["Yes", "No", None, ""], "Yes"),
        (["churned", "stayed", None, "moved"], "churned"),
        ([2, 1, None, 1], "2"),
        ([True, False, None, False], "true"),
        ([2.0, 1.0, float("nan"), 1.0], "2"),
    ],
)
def test_labels_of_words_are_one_and_zero_from_ingestion_on(tmp_path: Path, values: list[Any], positive: str) -> None:
    pq.write_table(pa.table({"left": values}), tmp_path / "t.parquet")
    ingest(bt.Table("t", "t.parquet"), Place(tmp_path), tmp_path / "out", labels={"left": positive})
    kept = pq.read_table(tmp_path / "out" / ACCEPTED).column("left").to_pylist()
    assert kept[:3] == [1, 0, None]
    assert kept[3] == (None if values[3] == "" else 0)


def test_a_positive_that_no_row_holds_is_refused_with_the_nearest(tmp_path: Path) -> None:
    pq.write_table(pa.table({"left": ["Yes", "No"]}), tmp_path / "t.parquet")
    with pytest.raises(
        DataError, match=r"(?s)data.labels\[0\].positive: 'Yess'.*one of 'Yes', 'No'.*did you mean 'Yes'"
    ):
        ingest(bt.Table("t", "t.parquet"), Place(tmp_path), tmp_path / "out", labels={"left": "Yess"})
    with pytest.raises(DesignError, match="positive"):
        bt.Data(
            [bt.Table("t", time="at")],
            bt.FromPositives("t", ["who"], "what", "1d"),
            [bt.Label("taken", positive="Yes")],
            bt.TimeSplit("1d"),
        )
