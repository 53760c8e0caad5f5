"""`bottega run`: the main job, from raw events to a measured, released build and its report."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from bottega.data.source import Place
from bottega.data.warehouse import masked
from bottega.design.design import Design
from bottega.design.examples import FromPositives, Judged
from bottega.design.reranking import Diversify, Reranking
from bottega.design.retrievers import Dense, Factorization, TwoTower
from bottega.design.serving import Auction, Candidates, Pace, Rank, Retrieve, Show
from bottega.errors import BuildError
from bottega.evaluation.estimating import check
from bottega.files import read_json, write_bytes, write_json, writing
from bottega.reporting.documents import documents
from bottega.reporting.reasons import reason
from bottega.runs.builds import Build, build_id, make_build
from bottega.runs.cleaning import clean
from bottega.runs.progress import Progress, Silent
from bottega.runs.releases import Gate, current, release
from bottega.runs.resources import machine
from bottega.runs.runner import Runner
from bottega.runs.step import Result
from bottega.runs.steps.bundling import BUNDLE, count_rates, fill_store, make_bundle, refresh
from bottega.runs.steps.compressing import COMPRESSION, compress
from bottega.runs.steps.examples import make_examples, make_requests
from bottega.runs.steps.features import compute_features
from bottega.runs.steps.fitting import to_tables, without_missing, without_uninstalled
from bottega.runs.steps.freshness import ARRIVAL, measure_freshness
from bottega.runs.steps.job import Job
from bottega.runs.steps.judging import evaluate_ladders
from bottega.runs.steps.ladders import ALL, distorted, ladders
from bottega.runs.steps.lessons import FINAL, make_lessons
from bottega.runs.steps.measuring import measure
from bottega.runs.steps.naming import check_names
from bottega.runs.steps.parity import check_parity
from bottega.runs.steps.pictures.together import check_picture_path, picture_steps, searches_pictures
from bottega.runs.steps.replaying import replay
from bottega.runs.steps.retrieving import as_inputs, retrieve, score
from bottega.runs.steps.tables import ingest_tables
from bottega.runs.steps.training import train
from bottega.runs.steps.units import with_units
from bottega.runs.steps.warming import beginnings, data_of, find_starts, warm_of
from bottega.verbs.finding import check_models, check_seed, find_design, find_place, find_workspace
from bottega.verbs.world import find_ceiling, gap, sample_place, stand_in, truth_of

SERVED = (Candidates, Retrieve, Rank, Pace, Auction, Show, *get_args(Reranking))
"""The stages of a path that are built and served."""


@dataclass(frozen=True)
class Ran:
    """What a run leaves: the scorecard as plain values, the build, and where the report is."""

    scorecard: dict[str, Any]
    build: Build
    report: Path


def run(
    design: str | Path | Design,
    *,
    data: str | Path | None = None,
    warehouse: str | None = None,
    workspace: str | Path | None = None,
    seed: int = 0,
    rows: int | None = None,
    models: Sequence[str] = (),
    warm_start: bool = False,
    wait: bool = False,
    progress: Progress | None = None,
) -> Ran:
    """Build a design on its data: ingest, features, ladders, evaluation, bundle, parity, measurement, release, report.

    Steps that stand in the workspace already are used again; a run that was killed goes on after its last finished
    step. A build whose goals, parity or smoke load fail is kept, and not released.

    design: the name of a bundled system, a file, or a `bt.Design`. data: the folder that its sources are relative to;
    nothing: the folder of the design's file, else `BOTTEGA_DATA`, else the design's world. warehouse: an Ibis URL.
    workspace: where everything is kept; nothing: `.bottega`. seed: of all draws. rows: size of the world that stands
    in where there are no data; nothing: its own. models: names of the rungs to train and no others, or `all` for the
    optional ones as well. warm_start: the champion of each ladder goes on from the current release and learns the rows
    alone that are new since, with its words; the other rungs, and it too where something changed that its numbers mean,
    learn from scratch, and `warm` of the scorecard says why. wait: wait for another run here.
    Errors: `DesignError`, `DataError`, `BuildError`.

    >>> from bottega import run                                        # doctest: +SKIP
    >>> run("shop-recommendation").scorecard["champions"]              # doctest: +SKIP
    {'rank': 'BoostedTrees'}
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads make a busy machine many times slower
    found = find_design(design)
    place = find_place(design, found, data, warehouse)
    check_path(found)
    check_models(models)
    ladders(found, models)
    check(found.evaluation)
    check_names(found)
    check_seed(seed)
    space = find_workspace(found, workspace, design)
    told = progress or Silent()
    told.say(f"{found.name} · {found.scope.question}")
    with Runner(space, told, wait) as runner:
        world = None
        if place is None:
            place, world = stand_in(runner, found, seed, rows)
        else:
            told.say(f"    on the tables in {masked(place.warehouse) if place.warehouse else place.folder}")
        found, missing = without_missing(found, place)
        found, uninstalled = without_uninstalled(found)
        found, units = with_units(found, place)
        for line in [*missing, *uninstalled, *units]:
            told.say(f"    {line}")
        job = Job(found, place, runner, seed, models=tuple(models))
        for name, reason in left_out(job).items():
            told.say(f"    {name}: left out, {reason}")
        for name, reason in distorted(job.ladders).items():
            told.say(f"    {name}: {reason} distorts its probability, and no calibrator mends it: calibrate='platt'")
        if rows is not None and world is None:
            raise BuildError("--rows", rows, "a design whose data a world makes here", "leave it out: data are given")
        parts = picture_steps(job) if searches_pictures(found) else _steps(job, world, warm_start)
        card = {**_measured(job, parts), **_facts(job, place, world)}
        if card["ceiling"] is not None:
            card["ceiling"]["gap"] = gap(card)
        card["steps"] = [{"name": r.name, "seconds": r.seconds, "cached": r.cached} for r in runner.records]
        card["peak_rss_mb"] = max([runner.peak_rss_mb, *(result.peak_rss_mb for result in runner.results)])
        build = _build(job, parts, card)
        card["release"] = _release(job, build, card)
        report = _write(job, build, card)
        clean(space)
    return Ran(card, build, report)


def check_path(design: Design) -> None:
    """Refuse what nothing builds yet, before any work is done: `BuildError` with the stage."""
    path = design.serving.path
    if searches_pictures(design):
        check_picture_path(design)
        return
    unknown = [type(stage).__name__ for stage in path if not isinstance(stage, SERVED)]
    if unknown or not any(isinstance(stage, Rank) for stage in path):
        raise BuildError(
            "serving.path",
            ", ".join(type(stage).__name__ for stage in path),
            f"one Rank() or more, and beside it {', '.join(kind.__name__ for kind in SERVED if kind is not Rank)}",
            f"nothing builds {', '.join(unknown)} yet" if unknown else "give the path one Rank()",
        )
    compares = any(isinstance(stage, Diversify) and stage.vectors for stage in path)
    if compares and not any(
        isinstance(rung, (Dense, TwoTower, Factorization)) for rung in design.models.get("retrieve", ())
    ):
        raise BuildError(
            "serving.path: Diversify.vectors",
            "no source with vectors of items",
            "Dense, TwoTower or Factorization among models.retrieve",
            "compare the items by features, by=[…], or add such a source",
        )
    if not isinstance(design.data.examples, (FromPositives, Judged)) and "retrieve" in design.models:
        raise BuildError(
            "models.retrieve",
            f"retrievers, and examples from {type(design.data.examples).__name__}",
            "FromPositives or Judged where candidates are retrieved",
            "leave the ladder out: the request brings its candidates, bt.Candidates()",
        )


def _steps(job: Job, world: Result | None, warm_start: bool) -> dict[str, Result | Mapping[str, Any]]:
    counts = ingest_tables(job)
    job.design, told = to_tables(job.design, job.logs())
    for line in told:
        job.runner.progress.say(f"    {line}")
    asked = make_requests(job) if isinstance(job.design.data.examples, (FromPositives, Judged)) else None
    retrievers = retrieve(job, asked) if asked is not None else {}
    examples = make_examples(job, asked, retrievers)
    lessons = make_lessons(job, examples)
    every = score(job, retrievers, examples)
    scores = as_inputs(job, every)
    features = compute_features(job, examples, scores)
    starts = find_starts(job, lessons) if warm_start else {}
    for line in beginnings(starts):
        job.runner.progress.say(f"    {line}")
    trained = train(job, examples, lessons, scores, features, starts)
    judged = evaluate_ladders(job, examples, lessons, retrievers, every, trained, features[FINAL])
    compressed = compress(job, examples, lessons, scores, features, trained, judged)
    parity = check_parity(job, examples, retrievers, scores, features[FINAL])
    job.forget("interactions")
    rates = count_rates(job, examples)
    bundle = make_bundle(job, examples, refresh(job), trained, judged, compressed, fill_store(job), rates)
    held = replay(job, bundle, None if world is None else truth_of(job, world))
    best = None if world is None else find_ceiling(job, world, asked, examples, lessons)
    job.forget("log", "interactions")
    parts: dict[str, Result | Mapping[str, Any]] = {
        "counts": counts,
        "judged": judged,
        "parity": parity,
        "bundle": bundle,
        "measured": measure(job, judged, bundle, parity),
        "warm": warm_of(starts, {name: result.folder for name, result in trained.items()}),
    }
    arrival = measure_freshness(job, judged, bundle)
    there = {"auction": held, "arrival": arrival, "compressed": compressed, "ceiling": best}
    return parts | {name: found for name, found in there.items() if found is not None}


def _measured(job: Job, parts: Mapping[str, Any]) -> dict[str, Any]:
    counts = parts["counts"]
    evaluation = read_json(parts["judged"].folder / "evaluation.json")
    compression = read_json(parts["compressed"].folder / COMPRESSION) if "compressed" in parts else {}
    total = {name: sum(table[name] for table in counts.values()) for name in ("offered", "accepted", "quarantined")}
    return {
        "design": job.design.name,
        "build": build_id(parts["measured"]),
        "data": {**total, "tables": counts},
        **evaluation,
        "goals": goals_of(evaluation["goals"], compression),
        "warm": parts["warm"],
        "parity": read_json(parts["parity"].folder / "parity.json"),
        "serving": read_json(parts["measured"].folder / "serving.json"),
        "compression": compression,
        "auction": read_json(parts["auction"].folder / "auction.json") if "auction" in parts else None,
        "ceiling": read_json(parts["ceiling"].folder / "ceiling.json") if "ceiling" in parts else None,
        "arrival": read_json(parts["arrival"].folder / ARRIVAL) if "arrival" in parts else None,
    }


def goals_of(goals: list[dict[str, Any]], compression: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the goals as what is served meets them: a compressed model is judged in its champion's place."""
    again = {ladder: found["goals"] for ladder, found in compression.items() if found["served"]}
    if not again:
        return goals
    if all("ladder" not in goal for goal in goals):
        return next(iter(again.values()))
    kept = [goal for goal in goals if goal["ladder"] not in again]
    return [*(goal for found in again.values() for goal in found), *kept]


def _facts(job: Job, place: Place, world: Result | None) -> dict[str, Any]:
    if world is not None:
        source = {"kind": "world", "text": f"the {job.design.data.world} world, seed {job.seed}"}
    elif place == sample_place(job.design):
        source = {"kind": "sample", "text": f"the sample {job.design.data.sample} that the package carries"}
    else:
        source = {"kind": "data", "text": str(place.folder) if place.warehouse is None else "a warehouse"}
    return {
        "source": source,
        "machine": machine(),
        "seed": job.seed,
        "left_out": left_out(job),
        "asked": [] if ALL in job.models else list(job.models),
        "created": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    }


def _build(job: Job, parts: Mapping[str, Any], card: dict[str, Any]) -> Build:
    """Put bundle, predictions and scorecard into one folder that never changes."""
    bundle, judged = parts["bundle"], parts["judged"]

    def fill(folder: Path) -> None:
        shutil.copytree(
            bundle.folder / BUNDLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("manifest.json")
        )
        shutil.copyfile(judged.folder / "predictions.parquet", folder / "predictions.parquet")
        write_json(folder / "scorecard.json", card)

    data = data_of(job)
    return make_build(job.runner.workspace, parts["measured"], fill, seed=job.seed, data=data, steps=job.runner.results)


def left_out(job: Job) -> dict[str, str]:
    """Give the rungs that are not trained here, and why."""
    return {name: reason for ladder in job.ladders for name, reason in ladder.left_out.items()}


def gates_of(card: Mapping[str, Any]) -> list[Gate]:
    """Judge what a release needs: every goal, parity, a smoke load that is answered, and the whole ladder."""
    goals = [goal for goal in card["goals"] if goal["met"] is False]
    unjudged = [_told(goal) for goal in card["goals"] if goal["met"] is None]
    parity, serving = card["parity"], card["serving"]
    missed = "; ".join(_told(goal) for goal in goals)
    met = f"{sum(bool(goal['met']) for goal in card['goals'])} met"
    nothing = f"; nothing to judge: {', '.join(unjudged)}" if unjudged else ""
    asked = card.get("asked") or []
    part = [Gate("ladder", False, f"a part of it alone was trained: {', '.join(asked)}")] if asked else []
    return [
        *part,
        Gate("goals", not goals, (missed or met) + nothing),
        Gate(
            "parity",
            parity["compared"] > 0 and parity["mismatches"] == 0,
            f"{parity['compared']:,} compared, {parity['mismatches']:,} differ",
        ),
        _smoke(serving),
    ]


def _smoke(serving: Mapping[str, Any]) -> Gate:
    """Judge the load: no request failed, and not every answer was without what the design promises."""
    told = f"{serving['requests']:,} requests, {serving['errors']:,} failed"
    degradations, shortfalls = serving.get("degradations") or {}, serving.get("shortfalls") or {}
    if serving.get("sold") == 0:
        often = _most_often({**shortfalls, **degradations})
        return Gate("smoke load", False, f"{told}, and the auction sold nothing{often}")
    if (serving.get("degraded") or 0) >= 1:
        often = _most_often(degradations or shortfalls)
        return Gate("smoke load", False, f"{told}, and every answer was degraded{often}")
    return Gate("smoke load", serving["errors"] == 0, told)


def _most_often(reasons: Mapping[str, int]) -> str:
    causes = [name for name in reasons if not name.endswith("slots sold")] or list(reasons)  # that is what came of them
    return f", most often {reason(max(causes, key=lambda name: reasons[name]))}" if causes else ""


def _told(goal: Mapping[str, Any]) -> str:
    """Name a goal with the slice or view that it is read under."""
    under = ", ".join(str(goal[name]) for name in ("slice", "view") if goal.get(name))
    return f"{goal['metric']} {goal['limit']}{f' ({under})' if under else ''}"


def _release(job: Job, build: Build, card: Mapping[str, Any]) -> dict[str, Any]:
    """Release the build where its gates hold; where they do not, the release of before goes on."""
    space, gates = job.runner.workspace, gates_of(card)
    if all(gate.passed for gate in gates):
        release(space, build.id, gates)
    told = [{"name": gate.name, "passed": gate.passed, "detail": gate.detail} for gate in gates]
    return {"released": current(space) == build.id, "current": current(space), "gates": told}


def _write(job: Job, build: Build, card: dict[str, Any]) -> Path:
    """Write scorecard, predictions and report of this run beside the builds."""
    folder = job.runner.workspace.folder
    with writing(folder / "predictions.parquet") as part:
        shutil.copyfile(build.folder / "predictions.parquet", part)
    write_json(folder / "scorecard.json", card)
    for name, content in documents(job.design, card, ("html", "md")).items():  # the PDF: bottega report
        write_bytes(folder / name, content)
    return folder / "report.html"
