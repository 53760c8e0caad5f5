"""What one fit learns from: the slice for calibrators, sampling that is undone, weights for places."""

import numpy as np
import pyarrow as pa
import pytest

import bottega as bt
from bottega.data.examples import TEST, TRAIN, UNUSED, VALIDATE, Examples
from bottega.data.lessons import Lesson, lesson
from bottega.data.log import Log
from bottega.data.logged import logged
from bottega.data.positions import propensities
from bottega.data.sampling import kept
from bottega.errors import DataError

DAY = 86_400_000_000
TIME = bt.TimeSplit(test="20d", validate="10d")
SPLITS = [
    TIME,
    bt.TimeSplit(test="20d", validate="10d", calibrate="7d"),
    bt.GroupSplit(by="user", validate=0.2, test=0.2, calibrate=0.2),
    bt.GivenSplit("part", calibrate=0.3),
    bt.RandomSplit(validate=0.2, test=0.2, calibrate=0.25),
]
NAMES = ["time", "time with a span", "group", "given", "random"]


@pytest.fixture
def shown(make_log) -> Log:
    """100 days, 30 users, each search with four ads; an eighth is clicked."""
    rng = np.random.default_rng(11)
    searches = 5000
    time = np.repeat(np.sort(rng.integers(0, 100 * DAY, searches)), 4)
    user = np.repeat(rng.integers(0, 30, searches), 4)
    return make_log(
        {
            "time": time,
            "user": [f"u{value}" for value in user],
            "ad": [f"a{value}" for value in (rng.integers(0, 20, (searches, 1)) + np.arange(4)).ravel()],
            "clicked": rng.random(4 * searches) < 0.125,
            "part": [["train", "train", "validate", "test", "spare"][value % 5] for value in user],
        }
    )


@pytest.fixture
def learn(make_design, shown: Log):
    def make(split, judged: int = VALIDATE, log: Log = shown, **data) -> tuple[Examples, Lesson]:
        calibrate, seed = data.pop("calibrate", True), data.pop("seed", 0)
        data = {"labels": [bt.Label("clicked", matures_after="1d")]} | data
        design = make_design(bt.Logged("log", ["user"], "ad"), split, **data)
        examples = logged(design, log)
        return examples, lesson(design, examples, judged, calibrate=calibrate, seed=seed)

    return make


@pytest.mark.parametrize("split", SPLITS, ids=NAMES)
@pytest.mark.parametrize("judged", [VALIDATE, TEST])
def test_the_slice_is_whole_requests_of_what_is_learnt_from(learn, split, judged: int) -> None:
    examples, got = learn(split, judged)
    inside = np.isin(examples.part(), [TRAIN] if judged == VALIDATE else [TRAIN, VALIDATE])
    assert not (got.calibrate & ~inside).any()
    np.testing.assert_array_equal(got.times, inside & ~got.calibrate)
    np.testing.assert_array_equal(got.target, np.where(inside, examples.label, np.nan))
    held = np.bincount(examples.group, got.calibrate, minlength=len(examples.requests))
    size = np.bincount(examples.group, inside, minlength=len(examples.requests))
    assert set(held[held > 0] - size[held > 0]) == {0}
    share = held.sum() / size.sum()
    if isinstance(split, bt.TimeSplit):
        newest = examples.requests.time[size > 0].max()
        border = examples.requests.time[held > 0].min()
        assert (examples.requests.time[(size > 0) & (held == 0)] < border).all()
        if split.calibrate is None:
            assert 0.1 <= share < 0.1 + 4 / size.sum()
        else:
            assert 6 * DAY < newest - border < 7 * DAY
    elif isinstance(split, bt.GroupSplit):
        user = np.array(examples.requests.columns["user"].to_pylist())
        assert not set(user[held > 0]) & set(user[(size > 0) & (held == 0)])
        assert len(set(user[held > 0])) == round(0.2 * len(set(user[size > 0])))
    else:
        assert np.count_nonzero(held) == round(split.calibrate * np.count_nonzero(size))
    _, again = learn(split, judged)
    np.testing.assert_array_equal(again.calibrate, got.calibrate)
    _, whole = learn(split, judged, calibrate=False)
    np.testing.assert_array_equal(whole.times > 0, inside)
    assert not whole.calibrate.any()


def test_requests_of_one_moment_are_held_out_at_random(learn, shown: Log) -> None:
    day = shown.time // (20 * DAY) * 20 * DAY
    log = Log("log", shown.rows.set_column(0, "time", pa.array(day)), day, day)
    examples, got = learn(bt.TimeSplit(test="1d", validate="20d"), log=log, labels=[bt.Label("clicked")])
    held = np.unique(examples.requests.time[examples.group[got.calibrate]])
    assert held.tolist() == [40 * DAY]
    users = np.unique(np.array(examples.requests.columns["user"].to_pylist())[examples.group[got.calibrate]])
    assert 3 < len(users) < 25
    _, other = learn(bt.TimeSplit(test="1d", validate="20d"), log=log, labels=[bt.Label("clicked")], seed=1)
    assert (other.calibrate != got.calibrate).any()


@pytest.mark.parametrize(
    "sampling", [bt.Downsample(0.2), bt.Upsample(5), bt.Downsample(0.2, correct=False, weight=True)]
)
@pytest.mark.parametrize("split", SPLITS[::2], ids=NAMES[::2])
def test_sampling_is_of_what_models_learn_from_and_is_undone_once(learn, split, sampling) -> None:
    lessons = []
    for judged in (VALIDATE, TEST):
        examples, plain = learn(split, judged)
        _, got = learn(split, judged, sampling=sampling)
        training = plain.times > 0
        np.testing.assert_array_equal(got.calibrate, plain.calibrate)
        assert not got.times[~training].any()
        good = got.target[training] > 0
        times, weight = got.times[training], got.weight[training]
        q = (times * weight)[good].sum() / (times * weight).sum()
        p = q / (q + (1 - q) / got.kept)
        assert p == pytest.approx(good.mean(), abs=4.5 * np.sqrt(0.11 * 4 / training.sum()))
        if isinstance(sampling, bt.Upsample):
            assert set(times[good]) == {5}
            assert set(times[~good]) == {1}
            assert p == pytest.approx(good.mean(), rel=1e-6)
        else:
            assert set(times[good]) == {1}
            assert abs(times[~good].mean() - 0.2) < 4.5 * np.sqrt(0.16 / training.sum())
            assert set(weight[~good]) == ({np.float32(5)} if sampling.weight else {1})
        assert set(weight[good]) == {1}
        lessons.append(got)
    both = np.logical_and(*(~one.calibrate & ~np.isnan(one.target) for one in lessons))
    np.testing.assert_array_equal(lessons[0].times[both], lessons[1].times[both])
    use = np.any([(one.times > 0) | one.calibrate for one in lessons], axis=0)
    assert (examples.part()[~use] == TRAIN).any() or isinstance(sampling, bt.Upsample)
    assert not use[np.isin(examples.part(), [TEST, UNUSED])].any()


def test_what_is_kept_of_negatives() -> None:
    assert kept(None) == 1
    assert kept(bt.Downsample(0.2)) == 0.2
    assert kept(bt.Downsample(0.2, correct=False, weight=True)) == 1
    assert kept(bt.Upsample(8)) == 1 / 8


@pytest.mark.parametrize(
    ("days", "split", "words"),
    [
        ([*range(60), *range(69, 100)], TIME, "the calibration slice holds 1,"),
        (range(63, 100), TIME, "the calibration slice leaves to the models 1"),
        (range(100), bt.TimeSplit(test="20d", validate="10d", calibrate="90d"), "leaves to the models no row"),
    ],
)
def test_one_value_alone_in_the_slice_or_beside_it_is_refused(learn, shown: Log, days, split, words: str) -> None:
    clicked = shown.rows["clicked"].to_numpy() & np.isin(shown.time // DAY, days)
    log = Log("log", shown.rows.set_column(3, "clicked", pa.array(clicked)), shown.time, shown.known)
    with pytest.raises(DataError) as error:
        learn(split, log=log)
    assert error.value.where == "data.split.calibrate"
    assert words in str(error.value.found)
    assert words.endswith("row") or "rows with the label 0 alone" in str(error.value.found)
    learn(split, log=log, calibrate=False)


def test_a_second_label_of_one_value_is_refused(make_design, shown: Log) -> None:
    log = Log("log", shown.rows.append_column("bought", pa.array(np.zeros(len(shown.time)))), shown.time, shown.known)
    labels = [bt.Label("clicked"), bt.Label("bought", given="clicked")]
    design = make_design(bt.Logged("log", ["user"], "ad"), TIME, labels=labels)
    examples = logged(design, log)
    with pytest.raises(DataError, match="'bought' is 0 in every row that may be learnt from before the test part"):
        lesson(design, examples, TEST, label="bought")
    with pytest.raises(DataError, match="no label 'bougt'"):
        lesson(design, examples, TEST, label="bougt")


@pytest.fixture
def placed(make_log) -> Log:
    """A ranker that knows what each ad is worth for each query places it; lower places are looked at less."""
    rng = np.random.default_rng(12)
    searches, worth = 40_000, np.minimum(rng.lognormal(-2.5, 1.2, (5, 40)), 0.6)
    query = rng.integers(0, 5, searches)
    ad = np.argsort(rng.random((searches, 40)), axis=1)[:, :4]
    truth = worth[query[:, None], ad]
    place = np.argsort(np.argsort(-np.log(truth) + rng.normal(0, 1, ad.shape), axis=1), axis=1)
    chance = np.array([1, 0.5, 0.3, 0.15])[place]
    click = rng.random(ad.shape) < truth * chance
    return make_log(
        {
            "time": np.repeat(np.sort(rng.integers(0, 100 * DAY, searches)), 4),
            "user": np.repeat([f"u{value}" for value in rng.integers(0, 9000, searches)], 4),
            "query": np.repeat([f"q{value}" for value in query], 4),
            "ad": [f"a{value}" for value in ad.ravel()],
            "slot": (place + 1).ravel(),
            "clicked": click.ravel(),
            "bought": click.ravel() & (rng.random(4 * searches) < 0.5),
        }
    )


def test_chances_are_compared_within_query_and_ad(make_design, placed: Log) -> None:
    labels = [bt.Label("clicked"), bt.Label("bought"), bt.Label("bought_then", given="clicked")]
    log = Log("log", placed.rows.append_column("bought_then", placed.rows["bought"]), placed.time, placed.known)
    design = make_design(
        bt.Logged("log", ["user", "query"], "ad"), TIME, labels=labels, position=bt.InversePropensity("slot", most=5)
    )
    examples = logged(design, log)
    got = lesson(design, examples, VALIDATE)
    np.testing.assert_allclose(list(got.chances.values()), [1, 0.5, 0.3, 0.2], rtol=0.12)
    assert examples.candidate is not None
    ad = np.unique(np.array(examples.candidate.to_pylist()), return_inverse=True)[1]
    coarse = propensities(examples.position, examples.label, ad, most=5)
    assert coarse[3] < 0.9 * got.chances[3]  # an ad stands higher where it is worth more: it seems the place
    clicked = got.target > 0
    np.testing.assert_allclose(
        got.weight[clicked], [1 / got.chances[place] for place in examples.position[clicked].astype(int)], rtol=1e-6
    )
    assert set(got.weight[~clicked].tolist()) == {1.0}
    other = lesson(design, examples, VALIDATE, label="bought")
    assert other.chances == got.chances
    given = lesson(design, examples, VALIDATE, label="bought_then")
    assert not given.chances
    assert set(given.weight.tolist()) == {1.0}


def test_chances_know_no_click_that_was_not_final_yet(make_design, placed: Log) -> None:
    bought = bt.Label("bought", matures_after="10d", observed_at="bought_at", window="1d")  # learnt from up to day 59
    labels = [bt.Label("clicked", matures_after="9d"), bought]
    split = bt.TimeSplit(test="20d", validate="10d")

    def chances(log: Log) -> dict[int, float]:
        design = make_design(
            bt.Logged("log", ["user", "query"], "ad"), split, labels=labels, position=bt.InversePropensity("slot")
        )
        return dict(lesson(design, logged(design, log), VALIDATE, label="bought").chances)

    at = pa.array(placed.time, pa.timestamp("us"), mask=~placed.rows["bought"].to_numpy())
    rows = placed.rows.append_column("bought_at", at)
    later = placed.time + 9 * DAY > 60 * DAY  # validation begins at 100 − 20 − 10 − 10
    clicked = placed.rows["clicked"].to_numpy() | (later & (placed.rows["slot"].to_numpy() == 4))
    changed = rows.set_column(5, "clicked", pa.array(clicked))
    told = [chances(Log("log", one, placed.time, placed.known)) for one in (rows, changed)]
    assert told[0] == told[1]
