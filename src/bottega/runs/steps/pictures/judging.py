"""Step: the champion is chosen on validation; then the test is read once, and each way of search is judged on it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bottega.data.examples import TEST
from bottega.data.keys import as_text
from bottega.design.evaluation import Evaluation
from bottega.design.models import rung_name
from bottega.design.serving import Nearest
from bottega.errors import DataError
from bottega.evaluation.champion import Champion, choose
from bottega.evaluation.comparing import compare
from bottega.evaluation.estimating import RESAMPLES, metrics
from bottega.evaluation.judging import judge
from bottega.evaluation.outcome import Outcome
from bottega.files import read_json, write_json
from bottega.models.indexes.index import Index
from bottega.runs.step import Result
from bottega.runs.steps.job import Job
from bottega.runs.steps.judging import plan_of, told_goals
from bottega.runs.steps.ladders import Ladder
from bottega.runs.steps.lessons import CHOICE, FINAL, FITS
from bottega.runs.steps.pictures.asking import Asked, asked_by, judged_lists, served_by
from bottega.runs.steps.pictures.encoding import MODEL, Encoded, read_vectors, within_budget
from bottega.runs.steps.pictures.indexing import (
    EXACT,
    SEARCH,
    Verdict,
    called,
    contract,
    exact_index,
    index_like,
    make_index,
    search,
)
from bottega.runs.steps.pictures.items import Items, of_parts, read_items, same_value
from bottega.runs.steps.pictures.predictions import write_predictions
from bottega.runs.steps.pictures.searching import Lists, Places, Vectors, depth_of, perfect, search_all
from bottega.runs.steps.training import TRAINING
from bottega.serving.gallery import save_gallery, version_of
from bottega.serving.nearest import GALLERY


@dataclass(frozen=True, eq=False)
class _Trial:
    """What one fit is judged by: what is asked, and what each rung finds by comparing all vectors."""

    asked: Asked
    lists: dict[str, Lists]


def evaluate_pictures(job: Job, ladder: Ladder, decoded: Result, parted: Result, encoded: Encoded) -> Result:
    """Judge all rungs, and the search that serves; write `evaluation.json`, `predictions.parquet` and the gallery."""

    def work(folder: Path, *_: Result) -> str:
        judge_ = _Judging(job, ladder, read_items(job, decoded, parted), encoded)
        found = judge_.judged(folder)
        write_json(folder / "evaluation.json", found)
        (champion,), goals = found["champions"].values(), found["goals"]
        told = f"champion {champion}, searched by {found['search']['served']}"
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
            "bottega.models.indexes", "bottega.serving.gallery", "bottega.runs.steps.pictures",
        ),
        libraries=("numpy", "pyarrow"),
    )  # fmt: skip


class _Judging:
    """The work of the step."""

    def __init__(self, job: Job, ladder: Ladder, items: Items, encoded: Encoded) -> None:
        self.job, self.ladder, self.items, self.encoded = job, ladder, items, encoded
        self.plan = plan_of(job, ladder)
        self.stage = next(stage for stage in job.design.serving.path if isinstance(stage, Nearest))
        named = [self.plan.primary, *self.plan.metrics, *(goal.metric for goal in self.plan.goals)]
        self.depth = depth_of(named, self.stage.k)
        self.trials = {fit: self._trial(fit) for fit in FITS}

    def judged(self, folder: Path) -> dict[str, Any]:
        """Choose, build what serves into a folder, read the test, and give what was found."""
        job, plan = self.job, self.plan
        champion = self._champion()
        index = self._index(champion.name, FINAL)
        verdict, way = self._contract(champion.name), called(index)
        test = self._outcome(FINAL, champion.name, index)
        if not verdict.accepted:
            index = exact_index(self._vectors(champion.name, FINAL).searched)
        served = champion.name if called(index) == EXACT else way
        among = served_by(job, self.items)
        self._save(folder, champion.name, index, among)
        write_predictions(job, self.items, self.trials[FINAL].asked, test, folder / "predictions.parquet")
        losses = _losses(test, plan, [champion.name, way] if way != EXACT else [champion.name], self.depth, job.seed)
        return {
            "ladders": {self.ladder.name: self.ladder.label},
            "models": judge(test, plan, job.seed),
            "comparisons": compare(test, plan, champion.name, champion.best, job.seed),
            "goals": told_goals(job, self.ladder, test, served),
            "champions": {self.ladder.name: champion.name},
            "choice": {self.ladder.name: champion.to_dict()},
            "training": self._training(),
            "search": {
                "asked": way,
                "served": called(index),
                **asdict(verdict),
                **_counts(self.items, self.trials[FINAL].asked, among),
                "recall": index.facts.get("recall"),
                "losses": losses,
            },
        }

    def _trial(self, fit: str) -> _Trial:
        asked = asked_by(self.job.design, self.items, fit)
        lists = {}
        for name in map(rung_name, self.ladder.rungs):
            vectors = self._vectors(name, fit, asked)
            lists[name] = search_all(vectors.queries, vectors.searched, self.depth, asked.own)
        return _Trial(asked, lists)

    def _vectors(self, name: str, fit: str, asked: Asked | None = None) -> _Pair:
        asked = asked or self.trials[fit].asked
        held = self.encoded[name, fit]
        return _Pair(*(read_vectors(self.items, held, fit, places) for places in (asked.queries, asked.searched)))

    def _champion(self) -> Champion:
        budget = within_budget(self.ladder, self.encoded)
        validated = self._outcome(CHOICE)
        return choose(validated, self.ladder.name, self.plan.primary, self.plan.tolerance, budget, self.job.seed)

    def _index(self, champion: str, fit: str) -> Index:
        vectors = self._vectors(champion, fit)
        return make_index(self.stage, vectors.searched, vectors.queries, self.job.seed)

    def _contract(self, champion: str) -> Verdict:
        index = self._index(champion, CHOICE)
        outcome = self._outcome(CHOICE, champion, index)
        return contract(outcome, self.plan, champion, called(index), self.stage.tolerance, self.job.seed)

    def _outcome(self, fit: str, champion: str = "", index: Index | None = None) -> Outcome:
        """What a fit's rungs find, and beside them what the champion finds by an index that does not compare all."""
        trial = self.trials[fit]
        ways = {
            name: (self.ladder.name, sum(self.encoded[name, each].work_seconds for each in FITS), found)
            for name, found in trial.lists.items()
        }
        if index is not None and called(index) != EXACT:
            queries = self._vectors(champion, fit).queries
            ways[called(index)] = SEARCH, 0.0, search(index, queries, self.depth, trial.asked.own)
        return judged_lists(self.job, self.items, trial.asked, ways)

    def _save(self, folder: Path, champion: str, index: Index, among: Places) -> None:
        """Write the gallery that is served. index: as it was judged, and as it is served where no item came since."""
        held, asked = self.encoded[champion, FINAL], self.trials[FINAL].asked
        vectors = read_vectors(self.items, held, FINAL, among)
        if len(among) > len(asked.searched):
            queries = read_vectors(self.items, held, FINAL, asked.queries)
            index = index_like(index, self.stage, vectors, queries, self.job.seed)
        spec = same_value(self.job.design)
        values = as_text(self.job.log(spec.table).column(spec.column)).take(self.items.row[among])
        (folder / GALLERY).mkdir()
        version = version_of(held.folder / MODEL)
        save_gallery(folder / GALLERY, self.items.ids.take(among), values, vectors, index, version)

    def _training(self) -> dict[str, Any]:
        told = {}
        for name in map(rung_name, self.ladder.rungs):
            result = self.encoded[name, FINAL]
            if (path := result.folder / TRAINING).exists():
                told[name] = {**read_json(path), "seconds": result.work_seconds}
        return told


@dataclass(frozen=True, eq=False)
class _Pair:
    queries: Vectors
    searched: Vectors


def _counts(items: Items, asked: Asked, among: Places) -> dict[str, int]:
    """Count the questions, what they search, what is served, what of it was held out then, and what is a question
    alone."""
    return {
        "questions": len(asked.queries),
        "items": len(asked.searched),
        "served_items": len(among),
        "held_out": len(np.setdiff1d(among, asked.searched)),
        "left_out": len(np.setdiff1d(of_parts(items, TEST), among)),
    }


def _losses(test: Outcome, plan: Evaluation, ways: list[str], depth: int, seed: int) -> list[dict[str, Any]]:
    """Tell the encoder's loss from that of the search: the best order there is, then each way, each less the next."""
    rows = []
    for by in metrics([plan.primary, *plan.metrics]):
        if by.kind != "ranking" or test.total is None:
            continue
        settings: dict[str, Any] = {"entity": test.entity, "resamples": RESAMPLES[by.kind], "seed": seed}
        before = perfect(test.total, depth)
        for name in ways:
            found = test.ranking(name)
            try:
                value, lost = by.estimate(found, **settings), by.paired(before, found, **settings)
            except DataError:
                continue
            rows.append({"name": name, "metric": by.name, "value": value.to_dict(), "lost": lost.to_dict()})
            before = found
    return rows
