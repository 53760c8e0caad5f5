"""A champion that a source tells nothing: what it says of the test where that retriever's scores are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from bottega.data.lessons import taught_parts
from bottega.evaluation.outcome import Rung
from bottega.features.batch import score_name
from bottega.models.inputs import Inputs
from bottega.runs.step import Result
from bottega.runs.steps.examples import read_examples
from bottega.runs.steps.job import Job
from bottega.runs.steps.ladders import Ladder
from bottega.runs.steps.lessons import FINAL, FITS
from bottega.runs.steps.retrieving import as_inputs
from bottega.runs.steps.tabling import WORDS, model_table
from bottega.runs.steps.training import Trained, learnt_model, unread
from bottega.serving.bundle import read_words


class Blind:
    """Scores rows of the test by a ladder's champion as a service does for which a source gave no answer.

    Its scores are 0 then, as for items that it does not know. Features that are computed from them stay as they are.

    made: the examples. scores: of the retrievers. rows: (m,) which rows of the examples are scored, ascending.
    """

    def __init__(
        self,
        job: Job,
        ladder: Ladder,
        champion: str,
        made: Result,
        scores: Mapping[str, Result],
        trained: Trained,
        features: Sequence[Result],
        rows: np.ndarray,
    ) -> None:
        self._job, self._ladder, self._setting = job, ladder, ladder.rung(champion)
        self._champion, self._folder = champion, trained[ladder.name, champion, FINAL].folder
        self._made, self._features, self._rows = made, features, rows
        self._scores = as_inputs(job, scores)

    def __call__(self, source: str) -> Rung | None:
        """Give the champion's scores without those of a source, (m,); nothing where it does not read them."""
        told = self._inputs
        if score_name(source) not in told.names:
            return None
        values = told.values.copy()
        values[:, told.names.index(score_name(source))] = 0
        model = learnt_model(self._setting, self._folder)
        rest = Inputs(told.names, told.kinds, values, told.ids, told.group)
        return Rung(self._champion, self._ladder.name, model.score(rest))

    @cached_property
    def _inputs(self) -> Inputs:
        examples = self._job.once(("examples", self._made.key), lambda: read_examples(self._made.folder))
        learnt = np.isin(examples.part, taught_parts(self._job.design, FITS[FINAL][0], examples.given))
        words = read_words(self._folder / WORDS)
        table = model_table(self._job, self._made, self._scores, self._features, self._rows, learnt, words)
        return table.without(unread(self._setting)).take(self._rows)
