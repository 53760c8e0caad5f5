"""The next day: a run goes on from the release, learns only what is new, and is judged like any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from growing_log import A_DAY, DAYS, GrowingLog, changed, design
from tiny_shop import tiny_design

import bottega as bt
from bottega.cli import app
from bottega.data.source import Place
from bottega.files import read_json, write_json
from bottega.models.inputs import Inputs
from bottega.runs.builds import Build
from bottega.runs.runner import Runner
from bottega.runs.step import Result
from bottega.runs.steps.job import Job
from bottega.runs.steps.learnt import Start
from bottega.runs.steps.warming import find_starts
from bottega.runs.workspace import Workspace
from bottega.serving.bundle import load_bundle
from bottega.serving.manifest import MANIFEST, write_manifest
from bottega.verbs.run import Ran

RATE, LOGISTIC = bt.HistoricalRate(by="ad"), bt.Logistic()
TREES = bt.BoostedTrees(trees=20, leaves=7, min_leaf=20, calibrate="platt")
NET = bt.DCN(embedding_size=4, layers=(8,), cross_layers=1, rank=2, epochs=1, batch=256)
pytestmark = pytest.mark.usefixtures("quick")


def log_loss(label: Any, p: Any) -> float:
    p = np.clip(np.asarray(p, float), 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(np.asarray(label) > 0, np.log(p), np.log(1 - p))))


def said(ran: Ran, rung: str) -> pa.Table:
    """Give what a rung said of the test's rows, with their labels."""
    table = pq.read_table(
        ran.build.folder / "predictions.parquet", columns=["request_time", "user", "ad", "label", rung]
    )
    return table.rename_columns([*table.column_names[:4], "p"])


def stale(ran: Ran, rows: pa.Table) -> np.ndarray:
    """Give what a build's champion says of rows, read from its own files: the features are the codes of two columns."""
    champion = load_bundle(ran.build.folder).champions["rank"]
    columns = [champion.words[name].codes(rows[name].combine_chunks()) for name in champion.facts.names]
    values = np.ascontiguousarray(np.stack(columns, 1), np.float32)
    ids = {"ad": rows["ad"].combine_chunks().cast(pa.string())}
    return champion.scorer.score(Inputs(champion.facts.names, champion.facts.kinds, values, ids))


def words(ran: Ran) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (ran.build.folder / "words" / "rank").iterdir()}


@pytest.mark.parametrize(
    "rung",
    [
        LOGISTIC,
        TREES,
        pytest.param(NET, marks=pytest.mark.skipif(find_spec("torch") is None, reason="the extra `deep` is not there")),
    ],
    ids=lambda rung: type(rung).__name__,
)
def test_the_next_day_is_learnt_from_its_rows_alone(rung: Any, tmp_path: Path) -> None:
    log, name = GrowingLog(tmp_path), type(rung).__name__
    log.grow(DAYS)
    before = log.run(design([rung]))
    assert before.scorecard["warm"] == {}
    log.grow()
    after = log.run(design([rung]), warm_start=True)
    card = after.scorecard
    assert card["champions"] == {"rank": name}
    assert (card["parity"]["mismatches"], card["release"]["released"]) == (0, True)
    warm = card["warm"]["rank"]
    assert (warm["rung"], warm["from"], warm["until"]) == (name, before.build.id, f"2026-03-0{DAYS}")
    choice, last = warm["fits"]
    held = 0 if rung.calibrate is None else A_DAY * DAYS // 10  # the newest tenth is the calibrator's, at both times
    assert choice["new_rows"] == 0  # what the release was tested on is now validated on
    assert last["new_rows"] == warm["new_rows"] == pytest.approx(A_DAY - (A_DAY // 10 if held else 0), abs=2)
    assert last["rows"] == pytest.approx(A_DAY * DAYS - held, abs=2)
    assert words(after) == words(before)

    today = said(after, name)
    assert len(today) == A_DAY
    assert set(today["ad"].to_pylist()) - set(read_words(before))  # some ads are new
    assert log_loss(today["label"], today["p"]) < log_loss(today["label"], stale(before, today))
    np.testing.assert_allclose(stale(after, today), today["p"].to_numpy(), rtol=1e-5)  # served as it was judged

    again = log.run(design([rung]), warm_start=True)  # it begins where it began, and not from itself
    assert all(step["cached"] for step in again.scorecard["steps"])
    assert (again.build.id, again.scorecard["warm"]) == (after.build.id, card["warm"])


def read_words(ran: Ran) -> list[str]:
    own: list[str] = json.loads(words(ran)["ad.json"])["own"]
    return own


def test_rates_that_go_on_are_those_of_all_rows_and_other_rungs_begin_anew(tmp_path: Path) -> None:
    log = GrowingLog(tmp_path)
    log.grow(DAYS)
    log.run(design([RATE]))
    log.grow()
    both = design([RATE, LOGISTIC])
    warm = log.run(both, warm_start=True)
    assert warm.scorecard["warm"]["rank"]["new_rows"] == A_DAY
    cold = log.run(both)
    cached = {step["name"]: step["cached"] for step in cold.scorecard["steps"]}
    assert (cached["refit-historical-rate"], cached["refit-logistic"]) == (False, True)
    for name in ("HistoricalRate", "Logistic"):
        assert said(warm, name).equals(said(cold, name))


def test_the_choice_begins_before_what_it_is_judged_on(tmp_path: Path) -> None:
    log, plan = GrowingLog(tmp_path), design([LOGISTIC], labels=[bt.Label("clicked", matures_after="1h")])
    log.grow(DAYS)
    builds = [log.run(plan)]
    for _ in range(2):
        log.grow()
        builds.append(log.run(plan, warm_start=True))
    choice, last = builds[1].scorecard["warm"]["rank"]["fits"]
    assert (choice["from"], last["from"]) == (None, builds[0].build.id)
    release = f"release {builds[0].build.id}"
    assert choice["reason"] == (
        f"{release} has learnt until 2026-03-04, and what it would be judged on begins at 2026-03-03 23:00:00"
    )
    choice, last = builds[2].scorecard["warm"]["rank"]["fits"]
    assert (choice["from"], last["from"]) == (builds[0].build.id, builds[1].build.id)
    times = np.concatenate([log.rows(day)["shown_at"].to_numpy() for day in range(log.days)])
    at = (times - np.datetime64("2026-03-01")) / np.timedelta64(1, "D")
    hour, test = 1 / 24, DAYS - 1  # the first release learnt what was known when validation or the test began
    learnt = np.where(at < test - 1 - hour, at + hour <= test - 1 - hour, at + hour <= test)
    assert choice["new_rows"] == np.count_nonzero(~learnt & (at + hour <= test + 1 - hour))


def test_what_changed_since_the_release_is_named(tmp_path: Path) -> None:
    log, plan = GrowingLog(tmp_path), design([LOGISTIC])
    log.grow(DAYS)
    assert log.starts(plan) == {"train": "nothing was released yet", "refit": "nothing was released yet"}
    build = log.run(plan).build
    release = f"release {build.id}"
    same = f"{release} has learnt from these same data"
    assert log.starts(plan) == {"train": same, "refit": same}
    log.grow()
    assert all(isinstance(start, Start) for start in log.starts(plan).values())

    other = {
        "the setting of Logistic": design([bt.Logistic(reg=2.0)]),
        "the label": design([LOGISTIC], labels=[bt.Label("clicked", matures_after="1min")]),
        "the features": design([LOGISTIC], [bt.Categories(["ad", "user"], own_from=2, hashed=9)]),
        "the examples": design([LOGISTIC], examples=bt.Logged("shown", request=["user", "place"], candidate="ad")),
        "the sampling": design([LOGISTIC], sampling=bt.Downsample(keep_negatives=0.5)),
        "the treatment of positions": design([LOGISTIC], position=bt.PositionFeature("place")),
        "the tables": design([LOGISTIC], tables=[changed(plan.data.tables[0], timezone="Europe/London")]),
    }
    for what, now in other.items():
        assert log.starts(now)["refit"] == f"{what} changed since {release}"
    not_trained = f"{release} ranks by Logistic, which this run does not train"
    assert log.starts(design([TREES]))["refit"] == not_trained
    drawn = design([LOGISTIC], split=bt.RandomSplit(validate=0.2, test=0.2))
    assert log.starts(drawn)["refit"] == "the split is not in time, so that no row is new"
    positives = Job(tiny_design(), Place(tmp_path), Runner(Workspace(tmp_path, "tiny")))
    assert find_starts(positives, Result("lessons", "", tmp_path, True, 0, 0, ""))["rank"]["refit"].startswith(  # type: ignore[union-attr]
        "the examples are made from a log of positives"
    )
    early = design([LOGISTIC], split=bt.TimeSplit(validate="1d", test="3d"))
    assert log.starts(early)["refit"] == (
        f"{release} has learnt until 2026-03-04, and what it would be judged on begins at 2026-03-03"
    )


def sealed(build: Build) -> None:
    """Write the manifest of a build anew, as if its files had been made so."""
    write_manifest(build.folder, {name: build.manifest[name] for name in ("build", "key", "created", "seed", "data")})


def test_a_release_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    log, plan = GrowingLog(tmp_path), design([LOGISTIC])
    log.grow(DAYS)
    build = log.run(plan).build
    log.grow()
    release, told = f"release {build.id}", build.folder / "learnt" / "rank" / "learnt.json"
    manifest, whole = (build.folder / MANIFEST).read_bytes(), told.read_bytes()

    def tampered(change: Callable[[], object], seal: bool) -> str:
        change()
        if seal:
            sealed(build)
        found: str = log.starts(plan)["refit"]
        told.write_bytes(whole)
        (build.folder / MANIFEST).write_bytes(manifest)
        return found

    model = next((build.folder / "models" / "rank" / "Logistic").glob("*.npy"))
    kept = model.read_bytes()
    assert tampered(lambda: model.write_bytes(kept[:-1]), False).startswith(f"{release} is damaged: {model}")
    model.write_bytes(kept)
    later = {**json.loads(whole), "learnt": {**read_json(told)["learnt"], "until": 2_000_000_000_000_000}}
    assert "has learnt until 2033-05-18" in tampered(lambda: write_json(told, later), True)
    assert tampered(told.unlink, True) == f"{release} does not say what its rank has learnt"
    assert tampered(lambda: told.write_text("{}"), True).startswith(f"{release} cannot be read: ")
    assert isinstance(log.starts(plan)["refit"], Start)
    assert tampered((build.folder / MANIFEST).unlink, False) == (
        f"{release} cannot be read: {build.folder / MANIFEST} is missing"
    )


def test_other_columns_are_learnt_from_scratch(tmp_path: Path) -> None:
    log, plan = GrowingLog(tmp_path), design([LOGISTIC])
    log.grow(DAYS)
    build = log.run(plan).build
    told = build.folder / "learnt" / "rank" / "learnt.json"
    write_json(told, {**read_json(told), "names": ["ad", "person"]})
    write_manifest(
        build.folder, {name: build.manifest[name] for name in build.manifest if name not in ("files", "seal")}
    )
    log.grow()
    warm = log.run(plan, warm_start=True)
    found = warm.scorecard["warm"]["rank"]
    assert (found["rung"], found["from"], found["new_rows"]) == ("Logistic", None, None)
    assert found["fits"][1]["reason"] == f"the columns are not those of release {build.id}"
    assert said(warm, "Logistic").equals(said(log.run(plan, "cold"), "Logistic"))


@pytest.mark.parametrize("typed", [["--warm-start"], []])
def test_the_command_says_so(typed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def stop(_: str, **settings: Any) -> None:
        asked.update(settings)
        raise LookupError

    monkeypatch.setattr("bottega.verbs.run.run", stop)
    with pytest.raises(LookupError):
        app(["run", "clicks", *typed], standalone_mode=False)
    assert asked["warm_start"] == bool(typed)
