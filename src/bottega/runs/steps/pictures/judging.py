"""Step: the champion is chosen on validation; then the test is read once, and each way of search is judged on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bottega.data.examples import TEST, VALIDATE
from bottega.data.keys import as_text, encode
from bottega.design.evaluation import Evaluation
from bottega.design.models import rung_name
from bottega.design.serving import Nearest
from bottega.errors import DataError
from bottega.evaluation.champion import choose
from bottega.evaluation.comparing import compare
from bottega.evaluation.goals import judge_goals
from bottega.evaluation.judging import judge
from bottega.evaluation.outcome import Outcome
from bottega.evaluation.slicing import by_value
from bottega.files import read_json, write_json
from bottega.metrics import metric
from bottega.models.code_index import CodeIndex
from bottega.models.indexes.building import build_index
from bottega.models.indexes.index import Index
from bottega.runs.step import Result
from bottega.runs.steps.asking import MOST
from bottega.runs.steps.job import Job
from bottega.runs.steps.judging import plan_of
from bottega.runs.steps.ladders import Ladder
from bottega.runs.steps.lessons import CHOICE, FINAL, FITS
from bottega.runs.steps.pictures.encoding import Encoded, read_vectors, within_budget
from bottega.runs.steps.pictures.items import Items, column, gallery, of_parts, picture_of, read_items, same_value
from bottega.runs.steps.pictures.searching import Lists, depth_of, outcome_of, perfect, search_all
from bottega.runs.steps.training import TRAINING
from bottega.serving.gallery import INDEX

SEARCH = "nearest"
"""The stage of the ways of search that are held against comparing all vectors."""
_QUICK = ("64 bits",)


class Asked(NamedTuple):
    """A part that asks: places of its queries (q,), of the items that are searched (n,), and of each query among them
    (q,), −1 where it is none of them."""

    queries: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    own: npt.NDArray[np.int64]


def evaluate_pictures(job: Job, ladder: Ladder, decoded: Result, parted: Result, encoded: Encoded) -> Result:
    """Judge all rungs, and the search that serves; write `evaluation.json`, `predictions.parquet` and the index."""

    def work(folder: Path, *_: Result) -> str:
        items, plan, stage = read_items(job, decoded, parted), plan_of(job, ladder), stage_of(job)
        depth = depth_of([plan.primary, *plan.metrics, *(goal.metric for goal in plan.goals)], stage.k)
        asked = {fit: asked_by(job, items, FITS[fit][1]) for fit in FITS}
        names = [rung_name(rung) for rung in ladder.rungs]
        seconds = {name: sum(encoded[name, fit].work_seconds for fit in FITS) for name in names}
        lists = {
            (name, fit): search_all(*_vectors(items, encoded[name, fit], fit, asked[fit]), depth, asked[fit].own)
            for name in names
            for fit in FITS
        }

        def outcome(fit: str, more: Mapping[str, Lists]) -> Outcome:
            ways = {name: (ladder.name, seconds[name], lists[name, fit]) for name in names}
            ways |= {name: (SEARCH, 0.0, found) for name, found in more.items()}
            return _outcome(job, items, asked[fit], plan, ways)

        champion = choose(
            outcome(CHOICE, {}), ladder.name, plan.primary, plan.tolerance, within_budget(ladder, encoded), job.seed
        )
        found: dict[str, Any] = {}
        made = {fit: _index(job, items, encoded[champion.name, fit], fit, asked[fit], stage) for fit in FITS}
        title = str(made[FINAL].facts["built"])
        for fit in FITS:
            if made[fit].facts["built"] != "exact":
                queries = read_vectors(items, encoded[champion.name, fit], fit, asked[fit].queries)
                found[fit] = _by_index(made[fit], queries, depth, asked[fit].own)
        chosen = title
        verdict: dict[str, Any] = {}
        if title != "exact":
            kind = str(made[CHOICE].facts["built"])  # fewer items may be compared one by one
            validated = outcome(CHOICE, {kind: found[CHOICE]} if CHOICE in found else {})
            verdict = _contract(validated, plan, champion.name, kind, stage.tolerance, job.seed)
            chosen = title if verdict["accepted"] else "exact"
        test = outcome(FINAL, {title: found[FINAL]} if FINAL in found else {})
        served = champion.name if chosen == "exact" else title
        index = made[FINAL] if chosen == title else _exact(items, encoded[champion.name, FINAL], asked[FINAL])
        index.save(folder / INDEX, "")
        evaluation = {
            "ladders": {ladder.name: ladder.label},
            "models": judge(test, plan, job.seed),
            "comparisons": compare(test, plan, champion.name, champion.best, job.seed),
            "goals": judge_goals(test, plan, served, job.seed),
            "champions": {ladder.name: champion.name},
            "choice": {ladder.name: champion.to_dict()},
            "training": _training(names, encoded),
            "search": {
                "served": chosen, "asked": title, **verdict, "facts": index.facts,
                "items": len(asked[FINAL].items), "queries": len(asked[FINAL].queries),
                "losses": _losses(test, plan, champion.name, None if served == champion.name else served, depth, job.seed),
            },
        }  # fmt: skip
        write_json(folder / "evaluation.json", evaluation)
        _predictions(job, items, asked[FINAL], test, folder / "predictions.parquet")
        goals = evaluation["goals"]
        told = f"champion {champion.name}, {chosen}"
        return f"{told}; {sum(bool(goal['met']) for goal in goals)} of {len(goals)} goals met"

    return job.runner.step(
        "evaluate",
        work,
        inputs={
            "evaluation": job.design.evaluation,
            "ladder": [ladder.name, ladder.label, ladder.rungs],
            "path": job.design.serving.path,
            "examples": job.design.data.examples,
            "split": job.design.data.split,
            "seed": job.seed,
        },
        needs=[decoded, parted, *encoded.values()],
        code=(
            "bottega.evaluation", "bottega.metrics", "bottega.models.binary_codes", "bottega.models.code_index",
            "bottega.models.indexes", "bottega.runs.steps.pictures",
        ),
        libraries=("numpy", "pyarrow"),
    )  # fmt: skip
