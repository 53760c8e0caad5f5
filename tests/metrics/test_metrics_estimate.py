"""Intervals: how often they hold the truth, that they repeat, and that pairing pays."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from bottega.errors import DataError, DesignError
from bottega.metrics import (
    Estimate,
    Predictions,
    Ranking,
    Sums,
    bootstrap,
    bootstrap_of,
    difference,
    jackknife_of,
    mapped,
    mean,
    metric,
    paired,
    paired_of,
    roc_auc,
)
from bottega.metrics.statistic import draws_of


def clusters(rng, people=60):
    """Values with mean 2 whose rows of one person share a shift: rows are far from independent."""
    person = np.repeat(np.arange(people), rng.integers(1, 9, people))
    return 2 + rng.normal(size=people)[person] + 0.3 * rng.normal(size=len(person)), person


def test_covers_a_known_mean_of_clusters():
    rng = np.random.default_rng(0)
    by_person, by_row = [], []
    for seed in range(300):
        values, person = clusters(rng)
        by_person.append(bootstrap(values, entity=person, resamples=300, seed=seed))
        by_row.append(bootstrap(values, resamples=300, seed=seed))
    covered = [np.mean([each.low <= 2 <= each.high for each in kind]) for kind in (by_person, by_row)]
    assert 0.90 <= covered[0] <= 0.98
    assert covered[1] < 0.75  # what goes wrong without entities


def test_covers_a_known_auc():
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(120):
        labels = np.arange(200) % 2
        scores = rng.normal(size=200) + labels
        found = metric("roc_auc").estimate(Predictions(labels, scores), resamples=200, seed=seed)
        held += found.low <= 0.7602 <= found.high  # Φ(1/√2)
    assert 0.89 <= held / 120 <= 0.99


def test_many_entities_are_dealt_into_groups_without_harm():
    rng = np.random.default_rng(2)
    values = rng.normal(size=50_000)
    found = bootstrap(values, seed=1)
    assert found.n == 50_000
    assert found.high - found.low == pytest.approx(2 * 1.96 / math.sqrt(50_000), rel=0.1)


def test_repeats_by_seed_and_not_otherwise():
    values, person = clusters(np.random.default_rng(3))
    assert bootstrap(values, entity=person) == bootstrap(values, entity=person)
    assert bootstrap(values, entity=person).low != bootstrap(values, entity=person, seed=1).low
    names = np.array([f"customer {p}" for p in person])
    mixed = np.random.default_rng(0).permutation(len(values))
    again, first = bootstrap(values[mixed], entity=names[mixed]), bootstrap(values, entity=names)
    assert (again.low, again.high) == pytest.approx((first.low, first.high))


def test_levels_and_weights():
    values, person = clusters(np.random.default_rng(4))
    narrow, wide = (bootstrap(values, entity=person, level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    weights = np.random.default_rng(0).integers(0, 3, len(values))
    twice = bootstrap(np.repeat(values, weights), entity=np.repeat(person, weights))
    weighed = bootstrap(values, entity=person, weights=weights)
    assert (weighed.value, weighed.low, weighed.n) == pytest.approx((twice.value, twice.low, twice.n))


def test_the_sums_path_equals_the_general_one():
    values, person = clusters(np.random.default_rng(5))
    general = bootstrap_of(lambda w: float(w @ values / w.sum()), len(values), entity=person)
    fast = bootstrap(values, entity=person)
    assert (general.value, general.low, general.high) == pytest.approx((fast.value, fast.low, fast.high))


def test_pairing_pays_and_is_antisymmetric():
    values, person = clusters(np.random.default_rng(6))
    better = values + 0.05 + 0.01 * np.random.default_rng(0).normal(size=len(values))
    gain = paired(better, values, entity=person)
    assert 0 < gain.low < gain.value < gain.high
    alone = bootstrap(values, entity=person)
    assert gain.high - gain.low < 0.1 * (alone.high - alone.low)
    back = paired(values, better, entity=person)
    assert (back.value, back.low, back.high) == pytest.approx((-gain.value, -gain.high, -gain.low))


def test_a_missing_value_leaves_both_out():
    assert paired([1.0, math.nan, 5.0], [0.0, 9.0, math.nan]).value == 1.0
    assert bootstrap([1.0, math.nan, 3.0]).n == 2


def test_ratio_of_log_losses_from_sums():
    rng = np.random.default_rng(7)
    a, b = rng.random(300), rng.random(300) + 0.5
    stacked = Sums(np.column_stack([a, b]), lambda sums: sums[..., 0] / sums[..., 1])
    found = bootstrap_of(stacked, 300)
    assert found.low < found.value < found.high
    assert found.value == pytest.approx(a.sum() / b.sum())


def test_undefined_resamples_are_left_out():
    # one positive: a third of the resamples lack it
    found = metric("roc_auc").estimate(Predictions([1, 0, 0, 0], [0.5, 0.1, 0.9, 0.2]), resamples=200)
    assert found.low <= found.value <= found.high


def test_one_entity_has_no_interval():
    lone = bootstrap([1.0, 2.0], entity=[4, 4])
    assert (lone.value, lone.n) == (1.5, 1)
    assert math.isnan(lone.low)
    assert lone.to_dict() == {"value": 1.5, "low": None, "high": None, "n": 1}
    one = metric("coverage@1").estimate(Ranking([0], [1], [1], items=[3], catalogue=2))
    assert one.value == 0.5
    assert math.isnan(one.high)


def test_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(8).normal(size=150)
    found = jackknife_of(mean(values), 150)
    assert found.high - found.value == pytest.approx(1.96 * values.std(ddof=1) / math.sqrt(150), rel=1e-3)
    fewer = jackknife_of(mean(values), 150, groups=30)
    assert fewer.high - fewer.value == pytest.approx(found.high - found.value, rel=0.35)


def test_jackknife_without_two_defined_groups_has_no_interval():
    assert math.isnan(jackknife_of(lambda w: 1.0 if w.all() else math.nan, 3).low)


class OwnDraws:
    """A statistic that knows its values on resamples by itself."""

    def __call__(self, weights):
        return 5.0 + 0 * weights.sum()

    def draws(self, weights, group, groups):
        assert len(weights) == len(group) <= groups
        return lambda drawn: np.full(len(drawn), 7.0)


def test_differences_of_every_kind_of_statistic():
    plain, sums = (lambda w: float(w.sum())), mean([1.0, 2.0])
    own = OwnDraws()
    assert difference(plain, sums)(np.ones(2)) == 0.5
    assert difference(own, sums)(np.ones(2)) == 3.5
    found = paired_of(own, mean([1.0, 1.0]), 2, resamples=20)
    assert (found.value, found.high) == (4.0, 6.0)


def resampled(labels, scores, times):
    """Each binary metric on rows repeated as often as they were drawn, by scikit-learn or from the plain formula."""
    y, s = np.repeat(labels, times), np.repeat(scores, times)
    rate = y.mean()
    entropy = -rate * math.log(rate) - (1 - rate) * math.log(1 - rate)
    order = np.argsort(s, kind="stable")
    found, middles = np.unique(s, return_inverse=True)
    below, level = np.searchsorted(s[order], found), np.bincount(middles)
    bins = np.floor(15 * (below + level / 2) / len(y))[middles].astype(int)
    plain, squares = 0.0, 0.0
    for each in np.unique(bins):
        n, gap, share = (bins == each).sum(), (s - y)[bins == each].mean(), y[bins == each].mean()
        plain += n / len(y) * abs(gap)
        squares += n / len(y) * (gap**2 - 2 * share * (1 - share) / (n - 1)) if n > 1 else 0
    return {
        "roc_auc": sk.roc_auc_score(y, s),
        "pr_auc": sk.average_precision_score(y, s),
        "log_loss": sk.log_loss(y, s),
        "normalized_entropy": sk.log_loss(y, s) / entropy,
        "brier": sk.brier_score_loss(y, s),
        "predicted_over_observed": s.sum() / y.sum(),
        "ece": math.sqrt(max(0.0, squares)),
        "ece_plain": plain,
    }


@pytest.mark.parametrize("name", list(resampled(np.array([0, 1]), np.array([0.2, 0.7]), [1, 1])))
@pytest.mark.parametrize("levels", [7, 1000])
def test_a_resample_is_the_rows_as_often_as_their_entity_was_drawn(name, levels):
    rng = np.random.default_rng(levels)
    n, groups = 300, 40
    group, scores = rng.integers(0, groups, n), rng.integers(1, levels, n) / levels
    labels, weights = (rng.random(n) < scores).astype(float), rng.integers(1, 4, n).astype(float)
    times = rng.multinomial(groups, np.full(groups, 1 / groups), size=11).astype(float)
    drawn = draws_of(metric(name).statistic(Predictions(labels, scores)), weights, group, groups)(times)
    right = [resampled(labels, scores, (weights * row[group]).astype(int))[name] for row in times]
    np.testing.assert_allclose(drawn, right, rtol=1e-9)
    other = metric(name).statistic(Predictions(labels, 1 - scores))
    paired_draws = draws_of(difference(other, other), weights, group, groups)(times)
    np.testing.assert_array_equal(paired_draws, np.zeros(11))


def test_the_interval_is_that_of_the_plain_bootstrap():
    """The same quantiles as of a bootstrap that is written out, whole entities drawn with replacement."""
    rng = np.random.default_rng(4)
    person = np.repeat(np.arange(150), rng.integers(1, 6, 150))
    scores = np.clip(rng.random(len(person)) * 0.6 + rng.normal(0, 0.1, 150)[person], 0.01, 0.99)
    labels = (rng.random(len(person)) < scores).astype(float)
    found = metric("pr_auc").estimate(Predictions(labels, scores), entity=person, resamples=4000)
    draws = []
    for _ in range(600):
        times = np.bincount(rng.integers(0, 150, 150), minlength=150)[person]
        draws.append(sk.average_precision_score(np.repeat(labels, times), np.repeat(scores, times)))
    low, high = np.quantile(draws, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.12 * (high - low))


def test_many_rows_have_an_interval_as_wide_as_theory_says():
    """Each row alone: the interval of the area is that of DeLong's variance; ids with gaps, and text, give the same."""
    rng = np.random.default_rng(5)
    labels = np.arange(40_000) % 4 == 0
    scores = rng.normal(size=40_000) + labels
    found = metric("roc_auc").estimate(Predictions(labels, scores), resamples=1000)
    positive, negative = np.sort(scores[labels]), np.sort(scores[~labels])
    above = np.searchsorted(negative, positive) / len(negative)
    below = 1 - np.searchsorted(positive, negative) / len(positive)
    error = math.sqrt(above.var() / len(positive) + below.var() / len(negative))
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    ids = np.repeat(np.arange(2000), 20)
    plain = metric("roc_auc").estimate(Predictions(labels, scores), entity=ids, resamples=20)
    for other in (
        ids * 1_000_003 - 5,
        ids.astype(np.int8 if ids.max() < 100 else np.int32),
        np.char.zfill(ids.astype(str), 6),
    ):
        assert metric("roc_auc").estimate(Predictions(labels, scores), entity=other, resamples=20) == plain


def test_a_function_of_a_statistic_is_resampled_like_it():
    rng = np.random.default_rng(6)
    predictions = Predictions(rng.integers(0, 2, 500), rng.random(500))
    area = metric("roc_auc").statistic(predictions)
    found = bootstrap_of(mapped(area, lambda value: 2 * value - 1), 500, resamples=50)
    plain = bootstrap_of(area, 500, resamples=50)
    assert (found.value, found.low, found.high) == pytest.approx(
        [2 * x - 1 for x in (plain.value, plain.low, plain.high)]
    )


def test_slices_are_weights():
    rng = np.random.default_rng(9)
    labels, scores, mask = rng.integers(0, 2, 200), rng.random(200), rng.random(200) < 0.3
    assert metric("roc_auc").value(Predictions(labels, scores), weights=mask) == roc_auc(labels[mask], scores[mask])
    assert metric("roc_auc").estimate(Predictions(labels, scores), weights=mask, resamples=20).n == mask.sum()


@pytest.mark.parametrize(
    ("arguments", "error", "word"),
    [
        ({"values": []}, DataError, "no rows"),
        ({"values": [math.nan]}, DataError, "not defined"),
        ({"values": [math.inf]}, DataError, "infinite"),
        ({"values": [1.0], "entity": [1, 2]}, DataError, "one id a row"),
        ({"values": [1.0], "level": 1}, DesignError, "level"),
        ({"values": [1.0], "resamples": 3}, DesignError, "resamples"),
    ],
)
def test_what_cannot_be_estimated(arguments, error, word):
    with pytest.raises(error, match=word):
        bootstrap(**arguments)


def test_rows_that_do_not_fit_the_statistic():
    with pytest.raises(DataError, match="rows: 3"):
        bootstrap_of(mean([1.0, 2.0]), 3)
    with pytest.raises(DataError, match="1 and 2 rows"):
        paired([1.0], [1.0, 2.0])
    with pytest.raises(DesignError, match="groups"):
        jackknife_of(mean([1.0, 2.0]), 2, groups=1)


def test_an_estimate_is_plain_data():
    assert Estimate(1.0, 0.5, 1.5, 3) == Estimate(1.0, 0.5, 1.5, 3)
