"""A simulated world in place of data: its log is written as a step, and its truth says how far one could get."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bottega.data.examples import TEST, Requests
from bottega.data.keys import encode
from bottega.data.source import Place
from bottega.design.design import Design
from bottega.design.examples import Each, FromPositives, Judged
from bottega.design.part import microseconds
from bottega.errors import BuildError, DataError, DesignError, nearest
from bottega.evaluation.bounds import bounded
from bottega.evaluation.estimating import metrics
from bottega.files import write_json
from bottega.metrics import Predictions, Ranking, metric
from bottega.models.vocabulary import codes_of
from bottega.runs.runner import Runner
from bottega.runs.step import Result
from bottega.runs.steps.asked import read_requests
from bottega.runs.steps.examples import read_examples
from bottega.runs.steps.job import Job
from bottega.runs.steps.lessons import FINAL, lesson_of
from bottega.runs.steps.replaying import Truth
from bottega.worlds import best_scores, limits, true_probabilities, write_world

SAMPLES = Path(__file__).parents[1] / "samples"
"""The real data that the package carries, a folder each."""


def sample_place(design: Design) -> Place | None:
    """Give where the sample of a design lies in the package; nothing where it names none."""
    return None if design.data.sample is None else Place(SAMPLES)


def stand_in(runner: Runner, design: Design, seed: int, rows: int | None = None) -> tuple[Place, Result | None]:
    """Give the place of what stands in where no data were given: the design's sample, or its world, written here.

    rows: the size of the world; nothing: its own. Errors: `DesignError` for a sample that the package has not,
    `BuildError` for a size where there is no world.
    """
    place = sample_place(design)
    if place is not None:
        name = str(design.data.sample)
        known = sorted(path.name for path in SAMPLES.iterdir() if path.is_dir())
        if name not in known:
            raise DesignError("data.sample", repr(name), f"one of {', '.join(known)}", nearest(name, known))
        if rows is not None:
            raise BuildError("--rows", rows, "a design whose data a world makes", "leave it out: a sample has its size")
        runner.progress.say(f"    on the sample {name} that the package carries")
        return place, None
    world = str(design.data.world)

    def work(folder: Path) -> str:
        write_world(world, folder, seed, rows)
        return f"the {world} world, seed {seed}, in place of data"

    made = runner.step(
        f"world-{world}",
        work,
        inputs={"world": world, "seed": seed, "rows": rows},
        code=("bottega.worlds",),
        libraries=("numpy",),
    )
    return Place(made.folder), made


def find_ceiling(job: Job, made: Result, asked: Result | None, examples: Result, lessons: Result) -> Result | None:
    """Judge the best possible answer on the test: the world knows each true probability.

    Where candidates are retrieved it is the best ranking of the whole catalogue; for logged examples the best
    prediction that sees the same fields, of the first ladder's label.
    """
    plan, spec, world = job.design.evaluation, job.design.data.examples, str(job.design.data.world)
    if isinstance(spec, Judged) or isinstance(getattr(spec, "requests", None), Each):
        return None
    if not isinstance(spec, FromPositives):
        return find_limit(job, world, made, examples, lessons)
    if asked is None:
        raise TypeError("only a log of positives has a catalogue to rank")
    horizon = microseconds(spec.horizon)

    def work(folder: Path, truth: Result, requests: Result) -> str:
        found = ceiling(job, world, truth.folder, read_requests(requests.folder).in_part(TEST), horizon)
        write_json(folder / "ceiling.json", found)
        first = plan.primary
        return f"{first} {found['metrics'][first]['value']:.3f} at best" if first in found["metrics"] else ""

    return job.runner.step(
        "ceiling",
        work,
        inputs={"primary": plan.primary, "metrics": plan.metrics, "horizon": horizon, "seed": job.seed},
        needs=[made, asked],
        code=("bottega.worlds", "bottega.metrics", "bottega.evaluation.bounds", "bottega.verbs.world"),
    )


def find_limit(job: Job, world: str, made: Result, examples: Result, lessons: Result) -> Result | None:
    """Judge the best prediction that sees the same fields, on the test; nothing for a label the world cannot tell."""
    ladder, table = job.ladders[0], job.design.data.examples.table
    asked = metrics([job.design.evaluation.primary, *job.design.evaluation.metrics])
    if not any(by.kind == "binary" and bounded(by.name) for by in asked):
        return None

    def work(folder: Path, truth: Result, of_log: Result, taught: Result) -> str:
        rows = job.once(("examples", of_log.key), lambda: read_examples(of_log.folder))
        chosen = lesson_of(taught, ladder, ladder.rungs[0], FINAL).judged
        if rows.more is None or rows.more.row is None:
            raise TypeError("logged examples are rows of a log")
        log = job.log(table)
        at = pa.array(rows.more.row[chosen])
        columns = {name: log.column(name).take(at) for name in log.rows.column_names}
        best = limits(world, truth.folder, columns)
        entity = encode(rows.requests.columns.column(0))[0][rows.group[chosen]]
        found = {}
        for by in asked:
            if by.kind == "binary" and bounded(by.name):
                data = Predictions(rows.label[chosen], best)
                found[by.name] = by.estimate(data, entity=entity, resamples=200, seed=job.seed).to_dict()
        write_json(folder / "ceiling.json", {"metrics": found})
        return next((f"{name} {value['value']:.4f} at best" for name, value in found.items()), "")

    return job.runner.step(
        "limit",
        work,
        inputs={"plan": [job.design.evaluation.primary, job.design.evaluation.metrics], "seed": job.seed},
        needs=[made, examples, lessons],
        code=("bottega.worlds", "bottega.metrics", "bottega.evaluation.bounds", "bottega.verbs.world"),
    )


def truth_of(job: Job, made: Result) -> Truth:
    """Give the true probability of a click as a function of columns of the log and of the place."""
    world = str(job.design.data.world)
    return lambda columns, position: true_probabilities(world, made.folder, columns, position)


def gap(card: Mapping[str, Any]) -> dict[str, float]:
    """Say how far the champion of the first ladder lies from the best possible, as a share of it, by metric."""
    stage, champion = next(iter(card["champions"].items()))
    entry = next(each for each in card["models"] if (each["stage"], each["name"]) == (stage, champion))
    return {
        name: entry["metrics"][name]["value"] / best["value"] - 1
        for name, best in card["ceiling"]["metrics"].items()
        if name in entry["metrics"] and best["value"]
    }


def ceiling(job: Job, world: str, truth: Path, asked: Requests, horizon: int) -> dict[str, Any]:
    """Give the metrics of the true order of all items known at the cut, as far as they are metrics of lists.

    asked: the requests of the test. horizon: of their labels, microseconds.
    """
    at = int(asked.time[0])
    items = job.interactions(at).items
    people = asked.columns.column(0).to_numpy()
    pairs = np.repeat(people, len(items)), np.tile(items.to_numpy(zero_copy_only=False), len(people))
    scores = best_scores(world, truth, pairs[0].astype(np.int64), pairs[1], at, horizon)
    label = np.zeros((len(people), len(items)))
    known = codes_of(items, asked.positives_candidate)
    label[asked.positives_request[known >= 0], known[known >= 0]] = 1
    ranking = Ranking(
        np.repeat(np.arange(len(people)), len(items)),
        scores,
        label.ravel(),
        items=np.tile(np.arange(len(items)), len(people)),
        relevant=asked.relevant(),
        catalogue=len(items),
    )
    plan, found = job.design.evaluation, {}
    for name in dict.fromkeys([plan.primary, *plan.metrics]):
        by = metric(name)
        if by.kind == "binary" or not bounded(name):
            continue
        try:
            found[name] = by.estimate(ranking, seed=job.seed).to_dict()
        except DataError:
            continue
    return {"metrics": found}
