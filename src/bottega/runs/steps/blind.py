"""A champion that a source tells nothing: what it says of the test where that retriever's scores are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from bottega.data.lessons import taught_parts
from bottega.design.features import Cross, Expression
from bottega.evaluation.outcome import Rung
from bottega.features.batch import derive, hanging, needs, score_name, time_name
from bottega.features.frame import Column, Frame, Values, taken
from bottega.features.matrix import matrix
from bottega.models.inputs import Inputs
from bottega.runs.step import Result
from bottega.runs.steps.examples import Examples, read_examples
from bottega.runs.steps.features import frame, load
from bottega.runs.steps.job import Job
from bottega.runs.steps.ladders import Ladder
from bottega.runs.steps.lessons import FINAL, FITS
from bottega.runs.steps.retrieving import as_inputs
from bottega.runs.steps.tabling import WORDS, Table, model_table
from bottega.runs.steps.training import Trained, learnt_model, read_columns, unread
from bottega.serving.bundle import read_words


class Blind:
    """Scores rows of the test by a ladder's champion as a service does for which a source gave no answer.

    Its scores are 0 then, as for items that it does not know, and what is derived from them is derived again.

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
        self._names, self._scores = set(scores), as_inputs(job, scores)

    def __call__(self, source: str) -> tuple[Rung | None, dict[str, Column]]:
        """Give the champion's scores without those of a source, (m,), and the columns (m,) that are others then.

        No scores where the champion reads none of these columns.
        """
        changed = self._changed(source)
        if changed.keys().isdisjoint(read_columns(self._folder)[0]):
            return None, changed
        table = self._table
        told, values = table.inputs, table.inputs.values.copy()
        one = Frame({}, np.zeros(2, np.int64), np.arange(len(told)), {})  # each column is at the level of rows
        for place, name in enumerate(told.names):
            if name in changed:
                values[:, place] = matrix([name], Values({}, {name: changed[name]}), one, table.words)[:, 0]
        model = learnt_model(self._setting, self._folder)
        rest = Inputs(told.names, told.kinds, values, told.ids, told.group)
        return Rung(self._champion, self._ladder.name, model.score(rest)), changed

    def _changed(self, source: str) -> dict[str, Column]:
        """Give the source's scores, all 0, and what hangs on them."""
        if source not in self._names:
            return {}
        whole, known = self._asked, self._known
        asked = Frame(
            whole.requests,
            whole.time,
            whole.group[self._rows],
            {name: taken(column, self._rows) for name, column in whole.candidates.items() if name not in known.row},
        )
        changed: dict[str, Column] = {score_name(source): np.zeros(len(self._rows))}
        for part in self._job.design.features:
            if not isinstance(part, (Expression, Cross)) or not (others := hanging(part, changed)):
                continue
            beside = (needs(part) & known.row.keys()) - changed.keys()
            row = {name: taken(known.row[name], self._rows) for name in sorted(beside)}
            made = derive(part, asked, Values(known.request, {**row, **changed}), time_name(self._job.design))
            changed |= {name: made.row[name] for name in others}
        return changed

    @cached_property
    def _examples(self) -> Examples:
        return self._job.once(("examples", self._made.key), lambda: read_examples(self._made.folder))

    @cached_property
    def _asked(self) -> Frame:
        return frame(self._examples, list(self._scores.items()))

    @cached_property
    def _known(self) -> Values:
        """Features and scores of all examples."""
        values = load(self._features)
        values.row.update({score_name(name): self._asked.candidates[score_name(name)] for name in self._scores})
        return values

    @cached_property
    def _table(self) -> Table:
        """What the champion reads of the rows."""
        examples = self._examples
        learnt = np.isin(examples.part, taught_parts(self._job.design, FITS[FINAL][0], examples.given))
        words = read_words(self._folder / WORDS)
        table = model_table(self._job, self._made, self._scores, self._features, self._rows, learnt, words)
        return table.without(unread(self._setting))
