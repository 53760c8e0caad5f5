"""The parity gate: it holds for what is built, and finds every fault that is planted, by the name of the feature."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path as Folder
from typing import Any

import numpy as np
import parity_world
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from parity_world import VISITS, ParityWorld, changed, feature, small_design, table
from path_world import World

import bottega as bt
from bottega.data.log import Log
from bottega.errors import BuildError
from bottega.features import applying, explaining
from bottega.features.applying import Applied, Applier
from bottega.features.tracked import Places, Tracked, tracked
from bottega.features.tracks import Group
from bottega.runs.steps import arriving, replayed
from bottega.runs.steps import parity as step
from bottega.serving import parity_reading
from bottega.serving.parity import Parity

HOUR = 3_600_000_000
OF_VISITS = {f"user_{name}_{span}" for name in VISITS for span in ("1h", "1d")}
NOW = {"now_high_1h", "now_what_1h"}
OF_ITEMS = {f"item_{name}_{span}" for name in ("shows", "ctr") for span in ("1d", "all")}
OF_PROFILES = {"user_city", "user_points"}


@pytest.fixture(scope="module")
def window_shop(tmp_path_factory: pytest.TempPathFactory) -> ParityWorld:
    """Examples with times of their own, and their features."""
    return parity_world.build(tmp_path_factory.mktemp("window-shop"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare fewer rows, and fill the store with most of the log by the batch."""
    monkeypatch.setattr(step, "ROWS", 80)
    monkeypatch.setattr(step, "BEFORE", 600)


def compare(world: World, folder: Folder) -> Parity:
    return step.compare(world.job, folder / "work", world.rows, world.retrievers, world.scores, world.features)


def test_what_is_built_agrees(world: World, tmp_path: Folder) -> None:
    found = compare(world, tmp_path)
    names = [
        name for result in world.features for level in ("request", "row") for name in (result.folder / level).iterdir()
    ]
    assert found.compared == 1000 * (len(names) + len(world.retrievers))
    assert (found.mismatches, found.by_feature, found.worst) == (0, {}, [])
    assert found.events > 1000


@pytest.mark.usefixtures("small")
def test_the_replay_is_late_disordered_and_repeated_and_agrees(
    window_shop: ParityWorld, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    offsets: dict[str, list[int]] = {}
    times: dict[str, list[int]] = {}
    whole = Applier.apply

    def noted(self: Applier, log: Log, places: Places, now: int) -> Applied:
        offsets.setdefault(log.name, []).extend(places.offset.tolist())
        times.setdefault(log.name, []).extend([] if log.time is None else log.time.tolist())
        return whole(self, log, places, now)

    monkeypatch.setattr(Applier, "apply", noted)
    found = window_shop.compare(tmp_path)
    assert found.compared == 80 * parity_world.COLUMNS
    assert (found.mismatches, found.by_feature) == (0, {})
    assert set(offsets) == {"shown", "visits", "profiles"}
    assert len(offsets["visits"]) > len(set(offsets["visits"])) > 500
    assert found.events >= sum(len(set(each)) for each in offsets.values()) > 0.9 * found.events
    for name in ("shown", "visits"):
        assert (np.diff(times[name]) < -60_000_000).sum() > 10


@pytest.mark.usefixtures("small")
def test_examples_are_drawn_from_one_slice_of_the_log(
    window_shop: ParityWorld, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "BEFORE", 100)
    monkeypatch.setattr(step, "MOST", 300)
    found = window_shop.compare(tmp_path)
    assert 0 < found.compared < 80 * parity_world.COLUMNS
    assert 100 < found.events <= 300
    assert found.mismatches == 0


def no_label(design: bt.Design) -> bt.Design:
    return changed(design, data=changed(design.data, labels=[bt.Label("clicked")]))


FAULTS: dict[str, tuple[bt.Design, set[str], set[str]]] = {  # the features that must be named, and those that may be
    "another hop": (
        feature(small_design(), 0, hop="1h"),
        {"user_n_1h", "user_kinds_1h", "user_spent_1h", "user_first_1h", "pace"},
        {"user_early_1h"},
    ),
    "another hop of what is exact": (feature(small_design(), 1, hop=None), {"now_high_1h"}, NOW),
    "another default": (
        feature(small_design(), 0, values={**VISITS, "spent": "sum(coalesce(amount, -1))"}),
        {"user_spent_1h", "user_spent_1d"},
        set(),
    ),
    "another unit": (
        feature(small_design(), 0, values={**VISITS, "spent": "sum(amount * 100)"}),
        {"user_spent_1h", "user_spent_1d"},
        set(),
    ),
    "another time zone": (
        table(small_design(), "visits", timezone="America/New_York"),
        {"user_early_1h", "user_early_1d"},
        set(),
    ),
    "an ignored time to live": (feature(small_design(), 3, ttl=None), OF_PROFILES, set()),
    "a shorter time to live": (feature(small_design(), 3, ttl="5h"), OF_PROFILES, set()),
    "a forgotten maturity": (no_label(small_design()), {"item_ctr_1d", "item_ctr_all"}, set()),
    "a forgotten delay": (
        table(small_design(), "visits", available_after="0s"),
        {"user_n_1h", "user_n_1d", "user_spent_1d", "pace"},
        OF_VISITS | NOW,
    ),
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_design_that_differs_is_found(window_shop: ParityWorld, tmp_path: Folder, fault: str) -> None:
    design, must, may = FAULTS[fault]
    found = window_shop.compare(tmp_path, design)
    assert must <= set(found.by_feature) <= must | may
    assert found.mismatches == sum(found.by_feature.values())
    told(found)


def told(found: Parity) -> None:
    """Demand that the worst are told, by both sides; what is computed from others rests on what they rest on."""
    assert len(found.worst) == min(10, found.mismatches)
    for worst in found.worst:
        assert worst.training != worst.serving
        assert worst.feature in found.by_feature
        if worst.feature != "pace":
            assert re.search(r"^no row of |of [\d,]+ rows of \w+ count", worst.training_says)
            assert re.search(
                r"^no record$| waiting(, read from .*)?; (events up to|no event of the stream)", worst.serving_says
            )


def of_stream(change: Callable[[pa.Table, bt.Table], pa.Table]) -> Callable[..., Iterator[bytes]]:
    """Give what writes the stream's events of rows that were changed on the way."""
    whole = arriving.events_of
    return lambda rows, of: whole(change(rows, of), of)


def times_of(rows: pa.Table, of: bt.Table, change: Callable[[np.ndarray], np.ndarray]) -> pa.Table:
    if of.name != "visits":
        return rows
    place = rows.column_names.index("when")
    whole = rows.column(place).combine_chunks().cast(pa.int64()).to_numpy()
    return rows.set_column(place, "when", pa.array(change(whole)).view(rows.column(place).type))


STREAMS: dict[str, tuple[Callable[[pa.Table, bt.Table], pa.Table], set[str]]] = {
    "times cut to milliseconds": (
        lambda rows, of: times_of(rows, of, lambda time: time // 1000 * 1000),
        {*NOW, "user_first_1h", "user_first_1d"},
    ),
    "times of another zone": (
        lambda rows, of: times_of(rows, of, lambda time: time - HOUR),
        OF_VISITS | NOW | {"pace"},
    ),
    "null written as 0": (
        lambda rows, of: (
            rows
            if of.name != "visits"
            else rows.set_column(
                rows.column_names.index("amount"), "amount", pc.fill_null(rows.column("amount"), 1000.0)
            )
        ),
        {"user_spent_1h", "user_spent_1d", "now_high_1h"},
    ),
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("fault", STREAMS)
def test_a_stream_that_says_something_else_is_found(
    window_shop: ParityWorld, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    change, names = STREAMS[fault]
    monkeypatch.setattr(arriving, "events_of", of_stream(change))
    found = window_shop.compare(tmp_path)
    assert found.by_feature
    assert set(found.by_feature) <= names
    told(found)


@pytest.mark.usefixtures("small")
def test_a_stream_that_counts_another_unit_is_refused(
    window_shop: ParityWorld, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        arriving, "events_of", of_stream(lambda rows, of: times_of(rows, of, lambda time: time // 1000))
    )
    with pytest.raises(BuildError, match="time: lies in 1970, unless it counts milliseconds"):
        window_shop.compare(tmp_path)


@pytest.mark.usefixtures("small")
def test_an_event_at_the_very_moment_that_counts_is_found(
    window_shop: ParityWorld, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of a request lie at its time: one microsecond too early, they count for themselves."""

    def early(*asked: Any) -> Tracked:
        found = tracked(*asked)
        tracks = [dataclasses.replace(each, time=each.time - 1, known=each.known - 1) for each in found.events.tracks]
        return Tracked(found.keys, dataclasses.replace(found.events, tracks=tracks))

    monkeypatch.setattr(applying, "tracked", early)
    found = window_shop.compare(tmp_path)
    assert {"item_shows_1d", "item_shows_all"} <= set(found.by_feature)
    assert not {"user_n_1d", "item_colour"} & set(found.by_feature)
    for worst in found.worst:
        if worst.feature == "item_shows_all":
            assert worst.serving == worst.training + 1  # type: ignore[operator]


@pytest.mark.usefixtures("small")
def test_a_lost_event_is_found(window_shop: ParityWorld, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: set[int] = set()
    whole = Applier.apply

    def losing(self: Applier, log: Log, places: Places, now: int) -> Applied:
        if log.name == "visits":
            lost.update(places.offset[places.offset % 50 == 0].tolist())
            kept = ~np.isin(places.offset, list(lost))
            log, places = log.take(kept), places.take(np.flatnonzero(kept))
        return whole(self, log, places, now)

    monkeypatch.setattr(Applier, "apply", losing)
    found = window_shop.compare(tmp_path)
    assert lost
    assert {"user_n_1d", "pace"} <= set(found.by_feature) <= OF_VISITS | NOW | {"pace"}


@pytest.mark.usefixtures("small")
def test_an_event_that_counts_again_when_it_is_delivered_again_is_found(
    window_shop: ParityWorld, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applying, "tracked", lambda group, log, design, _: tracked(group, log, design))
    found = window_shop.compare(tmp_path)
    assert {"user_n_1d", "item_shows_all"} <= set(found.by_feature)
    assert not {"item_colour", "user_city", "user_kinds_1d", "now_what_1h"} & set(found.by_feature)
    for worst in found.worst:
        assert worst.feature == "pace" or "no event of the stream" in worst.serving_says


@pytest.mark.usefixtures("small")
def test_an_event_that_comes_after_the_reading_is_found(
    window_shop: ParityWorld, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replay stops one event short of what had come."""
    monkeypatch.setattr(arriving.Arriving, "until", lambda self, at: int((self.come <= at - HOUR).sum()))
    assert {"user_n_1h", "user_n_1d"} <= set(window_shop.compare(tmp_path).by_feature)


@pytest.mark.usefixtures("small")
def test_approximate_features_are_counted_and_no_mismatch(window_shop: ParityWorld, tmp_path: Folder) -> None:
    design, names, _ = FAULTS["another unit"]
    let = changed(design, serving=changed(design.serving, approximate=["user_spent_1h"]))
    found = window_shop.compare(tmp_path, let)
    assert set(found.by_feature) == names
    assert found.approximate == found.by_feature["user_spent_1h"] > 0
    assert found.mismatches == found.by_feature["user_spent_1d"] > 0


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("slack", [0.0, explaining.SLACK])
def test_sums_are_measured_by_the_sum_of_absolute_values(
    window_shop: ParityWorld, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch, slack: float
) -> None:
    """A share of 4e-6 of each number is off: where amounts cancel, that is much of their sum and no mismatch."""
    rng = np.random.default_rng(0)

    def off(group: Group, *more: Any) -> Tracked:
        found = tracked(group, *more)
        tracks = []
        for track, events in zip(group.tracks, found.events.tracks, strict=True):
            noise = 1 + 4e-6 * rng.choice([-1.0, 1.0], events.values.shape)
            numbers = np.array(track.kinds) == "number"
            tracks.append(dataclasses.replace(events, values=np.where(numbers, events.values * noise, events.values)))
        return Tracked(found.keys, dataclasses.replace(found.events, tracks=tracks))

    monkeypatch.setattr(applying, "tracked", off)
    monkeypatch.setattr(explaining, "SLACK", slack)
    found = window_shop.compare(tmp_path)
    assert set(found.by_feature) <= {"user_spent_1h", "user_spent_1d"}
    assert (found.mismatches == 0) == bool(slack)


@pytest.mark.usefixtures("small")
def test_rows_that_the_stream_refuses_stop_the_gate(
    window_shop: ParityWorld, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(rows: pa.Table, of: bt.Table) -> pa.Table:
        return (
            rows
            if of.name != "visits"
            else rows.set_column(rows.column_names.index("amount"), "amount", pa.array(["much"] * rows.num_rows))
        )

    monkeypatch.setattr(arriving, "events_of", of_stream(spoilt))
    with pytest.raises(BuildError, match="amount") as caught:
        window_shop.compare(tmp_path)
    assert caught.value.where == "parity"


@pytest.mark.usefixtures("small")
def test_the_reading_is_done_by_another_process_and_its_end_is_told(
    window_shop: ParityWorld, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    popen = parity_reading.subprocess.Popen

    def noted(command: list[str], **more: Any) -> Any:
        started.append(popen(command, **more))
        return started[-1]

    monkeypatch.setattr(parity_reading.subprocess, "Popen", noted)
    monkeypatch.setattr(parity_reading, "open_store", None)  # not used here: there it is imported anew
    assert window_shop.compare(tmp_path).mismatches == 0
    assert [process.returncode for process in started] == [0]

    advance = replayed.Replay.advance

    def killing(self: replayed.Replay, at: int) -> None:
        started[-1].kill()
        advance(self, at)

    monkeypatch.setattr(replayed.Replay, "advance", killing)
    (tmp_path / "killed").mkdir()
    with pytest.raises(BuildError, match="the reading process ended"):
        window_shop.compare(tmp_path / "killed")


def test_nothing_to_compare_is_told(world: World, tmp_path: Folder) -> None:
    rows = dataclasses.replace(world.rows, retrieved=np.zeros(len(world.rows.group), bool))
    found = step.compare(world.job, tmp_path / "work", rows, world.retrievers, world.scores, world.features)
    assert (found.compared, found.mismatches) == (0, 0)
