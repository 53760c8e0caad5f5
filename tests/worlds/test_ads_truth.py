"""The truth of the ads world is what a plain loop finds, what integration finds, and what happens in its log."""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad

from bottega.errors import DataError, DesignError
from bottega.worlds.ads import AdsWorld, limits, true_probabilities
from bottega.worlds.ads_truth import DAY, DEVICES, HOUR, Events, Truth

KINDS = ("none", "few", "ids")
START = int(np.datetime64("2024-03-04", "us").astype(np.int64))
SIZE: dict[str, Any] = {"start": date(2024, 3, 4), "rows": 60_000, "days": 6, "users": 300, "queries": 120, "ads": 200}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for kind in KINDS:
        made[kind] = tmp_path_factory.mktemp(kind)
        AdsWorld(interactions=kind, drift_at=4, shock=0.2, intent=0.5, **SIZE).write(made[kind])
    return made


def read_log(folder: Path) -> pa.Table:
    return pq.read_table(folder / "impressions")


def parts(folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, NDArray[Any]]]]:
    names = ("users", "queries", "ads", "tables")
    arrays = {name: dict(np.load(folder / "truth" / f"{name}.npz", allow_pickle=False)) for name in names}
    return json.loads((folder / "truth" / "world.json").read_text()), arrays


def naive_strength(folder: Path, row: dict[str, Any], at: int) -> float:
    """The formula of the documentation, one term after the other, from the files of the truth."""
    settings, arrays = parts(folder)
    users, queries, ads, tables = (arrays[name] for name in ("users", "queries", "ads", "tables"))
    u = users["id"].tolist().index(row["user_id"])
    q = queries["text"].tolist().index(row["query"])
    a = ads["id"].tolist().index(row["ad_id"])
    d, age, after = DEVICES.index(row["device"]), users["age"][u], int(at >= START + 4 * DAY)
    hour, weekday = at % DAY / HOUR, ((at - START) // DAY) % 7  # the log starts on a Monday
    total = settings["base"] + users["level"][u] + queries["level"][q] + ads["level"][after][a]
    total += tables["device"][d] + tables["age"][age]
    total += 0.2 * math.cos(2 * math.pi * (hour - 20.5) / 24) + (0.1 if weekday in (5, 6) else 0)
    if settings["few"]:
        pair = tables["match"][after][users["interest"][u]][ads["topic"][a]]
        total += settings["few"] * (tables["moment"][after][d][int(hour // 6)][age] + pair)
    if settings["ids"]:
        near = sum(
            float(style * (taste + need))
            for style, taste, need in zip(
                ads["style"][a], users["taste"][after][u], queries["need"][after][q], strict=True
            )
        )
        total += settings["ids"] * 1.6 * math.tanh(near / 1.6)
    return float(total)


def mean_over_noise(value: Any, spread: float) -> float:
    """E[value(e)], e ~ N(0, spread²), by adaptive integration."""

    def weighed(e: float) -> float:
        return value(e) * math.exp(-(e**2) / (2 * spread**2)) / (spread * math.sqrt(2 * math.pi))

    return float(quad(weighed, -9 * spread, 9 * spread, epsabs=1e-12)[0])


def click(strength: float) -> float:
    return 1 - math.exp(-math.exp(strength))


@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_is_what_a_plain_loop_finds(worlds: dict[str, Path], kind: str) -> None:
    folder = worlds[kind]
    log = read_log(folder)
    chosen = log.take(np.linspace(0, len(log) - 1, 25).astype(np.int64))
    settings, arrays = parts(folder)
    moments = chosen["shown_at"].cast(pa.int64()).to_pylist()
    found, limit = true_probabilities(folder, chosen), limits(folder, chosen)
    for i, row in enumerate(chosen.to_pylist()):
        strength, place = naive_strength(folder, row, moments[i]), row["position"] ** -0.7
        mood = arrays["tables"]["mood"][(moments[i] - START) // DAY]
        spread = settings["intent"]
        assert found[i] == pytest.approx(
            place * mean_over_noise(lambda e, s=strength + mood: click(s + e), spread), rel=1e-5
        )
        both = math.hypot(spread, settings["shock"])
        assert limit[i] == pytest.approx(place * mean_over_noise(lambda e, s=strength: click(s + e), both), rel=1e-5)


def test_conversions_weigh_the_intent_by_the_click(worlds: dict[str, Path]) -> None:
    folder = worlds["ids"]
    log = read_log(folder)
    clicked = log.filter(pc.equal(log["clicked"], 1)).slice(0, 8)
    settings, arrays = parts(folder)
    users, ads, tables = arrays["users"], arrays["ads"], arrays["tables"]
    found, limit = (f(folder, clicked, label="converted") for f in (true_probabilities, limits))
    rng = np.random.default_rng(0)
    intent = settings["intent"] * rng.standard_normal(400_000)
    shock = settings["shock"] * rng.standard_normal(400_000)
    for i, (row, at) in enumerate(
        zip(clicked.to_pylist(), clicked["shown_at"].cast(pa.int64()).to_pylist(), strict=True)
    ):
        strength = naive_strength(folder, row, at)
        u, a = users["id"].tolist().index(row["user_id"]), ads["id"].tolist().index(row["ad_id"])
        level = settings["conversion_base"] + users["converts"][u] + ads["converts"][a]
        level -= 0.3 * tables["device"][DEVICES.index(row["device"])]
        converts = -np.expm1(-np.exp(level + 0.5 * intent))
        for value, mood in ((found[i], tables["mood"][(at - START) // DAY]), (limit[i], shock)):
            clicks = -np.expm1(-np.exp(strength + mood + intent))
            assert value == pytest.approx((clicks * converts).mean() / clicks.mean(), rel=0.01)  # 3 errors of the draw
    assert found.mean() > 0.02


def far(chance: NDArray[np.float64], happened: NDArray[Any]) -> list[int]:
    """The deciles in which more, or less, happened than four standard deviations allow."""
    found = []
    for i, decile in enumerate(np.array_split(np.argsort(chance, kind="stable"), 10)):
        # Clicks of one search hang together by its intent: the variance is up to 1.3 times that of separate draws.
        spread = np.sqrt(1.3 * (chance[decile] * (1 - chance[decile])).sum())
        if abs(happened[decile].sum() - chance[decile].sum()) > 4 * spread:
            found.append(i)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_clicks_come_as_often_as_the_truth_says(worlds: dict[str, Path], kind: str) -> None:
    log = read_log(worlds[kind])
    chance, clicked = true_probabilities(worlds[kind], log), log["clicked"].to_numpy()
    assert far(chance, clicked) == []
    for wrong in (chance * 1.3, chance * 0.75, chance**1.3, np.full_like(chance, chance.mean())):
        assert far(wrong, clicked) != []
    position = log["position"].to_numpy()
    for place in (1, 2, 3):
        here = position == place
        assert far(chance[here], clicked[here]) == []


def test_every_conversion_is_in_the_log_or_came_after_its_end(worlds: dict[str, Path]) -> None:
    folder = worlds["none"]
    log, late = read_log(folder), pq.read_table(folder / "truth" / "late.parquet")
    end = np.datetime64("2024-03-10")
    for name in ("clicked", "converted"):
        at = log[f"{name}_at"]
        assert pc.equal(pc.cast(pc.is_valid(at), pa.int8()), log[name]).to_numpy().all()
        assert at.drop_null().to_numpy().max() < end
    assert (late["converted_at"].drop_null().to_numpy() >= end).all()
    missed = late["converted_at"].length() - late["converted_at"].null_count
    clicked = log.filter(pc.equal(log["clicked"], 1))
    chance = true_probabilities(folder, clicked, label="converted")
    converted = clicked["converted"].to_numpy().sum()
    assert converted + missed == pytest.approx(chance.sum(), abs=4 * np.sqrt(chance.sum()))
    assert missed > 0.1 * converted
    delay = (
        clicked["converted_at"].drop_null().to_numpy()
        - clicked.filter(pc.equal(clicked["converted"], 1))["clicked_at"].to_numpy()
    ) / np.timedelta64(1, "h")
    assert delay.min() > 0
    assert 0.5 < np.median(delay) < 4
    assert np.mean(delay > 24) > 0.1


def test_without_interactions_strengths_add_up(worlds: dict[str, Path]) -> None:
    def interaction(kind: str) -> float:
        """What is left of the strength over users and ads when the means of rows and columns are taken off."""
        truth = Truth.load(worlds[kind] / "truth")
        u, a = (side.ravel() for side in np.meshgrid(np.arange(30), np.arange(30), indexing="ij"))
        same = np.zeros_like(u)
        z = truth.strength(Events(u, same, a, same, np.full_like(u, START + HOUR))).reshape(30, 30)
        return float((z - z.mean(0) - z.mean(1)[:, None] + z.mean()).std())

    assert interaction("none") < 1e-9
    assert interaction("few") > 0.3
    assert interaction("ids") > 0.3


def test_the_drift_moves_what_is_true_from_its_midnight_on(worlds: dict[str, Path]) -> None:
    for kind in KINDS:
        log = read_log(worlds[kind]).slice(0, 3_000)
        ask = {name: log[name] for name in ("user_id", "query", "ad_id", "device", "position")}

        def at(moment: int, ask: dict[str, Any] = ask, kind: str = kind) -> NDArray[np.float64]:
            return np.log(limits(worlds[kind], {**ask, "shown_at": np.full(3_000, moment)}))

        noon = START + DAY // 2
        np.testing.assert_allclose(at(noon), at(noon + 3 * DAY), rtol=1e-12)
        assert np.std(at(noon + 3 * DAY) - at(noon + 4 * DAY)) > 0.1
        assert np.std(at(START + 4 * DAY - 1) - at(START + 4 * DAY)) > 0.1


def test_positions_can_be_asked_for_and_ids_in_any_form(worlds: dict[str, Path]) -> None:
    folder = worlds["few"]
    log = read_log(folder).slice(0, 500)
    first = true_probabilities(folder, log, position=1)
    np.testing.assert_allclose(true_probabilities(folder, log, position=4), first * 4**-0.7)
    np.testing.assert_allclose(true_probabilities(folder, log), first * log["position"].to_numpy() ** -0.7)
    places = np.arange(500) % 5 + 1
    np.testing.assert_allclose(true_probabilities(folder, log, position=places), first * places**-0.7)
    plain = {name: log[name].to_numpy(zero_copy_only=False) for name in ("user_id", "query", "ad_id", "device")}
    plain["shown_at"] = log["shown_at"].cast(pa.int64()).to_numpy()
    np.testing.assert_array_equal(true_probabilities(folder, plain, position=1), first)
    coded = log.set_column(3, "query", log["query"].dictionary_encode())
    np.testing.assert_array_equal(true_probabilities(folder, coded, position=1), first)
    assert true_probabilities(folder, log.slice(0, 0)).shape == (0,)


def test_what_cannot_be_asked_is_refused(worlds: dict[str, Path], tmp_path: Path) -> None:
    folder = worlds["none"]
    log = read_log(folder).slice(0, 3)
    with pytest.raises(DesignError, match="clicked, converted"):
        limits(folder, log, label="bought")
    with pytest.raises(DataError, match="no position among"):
        limits(folder, log.drop_columns(["position"]))
    with pytest.raises(DataError, match="places from 1 on"):
        true_probabilities(folder, log, position=0)
    with pytest.raises(DataError, match=r"user_id.*: 7"):
        limits(folder, log.set_column(2, "user_id", pa.array([7, 7, 7])))
    with pytest.raises(DataError, match="no truth"):
        limits(tmp_path, log)
    with pytest.raises(DataError, match="one length"):
        limits(folder, {name: log[name].slice(0, 2 + (name == "device")) for name in log.column_names})
    with pytest.raises(DataError, match="1 nulls"):
        limits(folder, log.set_column(0, "shown_at", pa.array([None, 1, 2], pa.timestamp("us"))))
    with pytest.raises(DataError, match="timestamps, or integers"):
        limits(folder, log.set_column(0, "shown_at", pa.array(["a", "b", "c"])))
