"""The table that scorers read: the features of the rows that a fit needs, as one matrix, and its words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from bottega.data.positions import place_codes
from bottega.design.data import PositionFeature
from bottega.design.features import Categories, Cross
from bottega.design.models import Model
from bottega.features.batch import names as feature_names
from bottega.features.codebook import Codebook
from bottega.features.frame import Frame, Values, objects, taken
from bottega.features.matrix import matrix, model_columns
from bottega.features.vocabulary import Coding, Vocabulary
from bottega.models.inputs import Inputs
from bottega.runs.step import Result
from bottega.runs.steps.examples import Examples, read_examples
from bottega.runs.steps.features import frame, load
from bottega.runs.steps.job import Job

WORDS = "words"
"""The folder of the words beside a trained model, a file for each text column."""


@dataclass(frozen=True)
class Table:
    """What the rungs of a ladder read in one fit.

    inputs: of the rows (t,). rows: (t,) which rows of the examples they are, ascending. words: of each text column.
    """

    inputs: Inputs
    rows: np.ndarray
    words: Mapping[str, Coding]

    def take(self, rows: np.ndarray) -> Inputs:
        """Give the inputs of rows of the examples, ascending, which must be in the table."""
        return self.inputs.take(np.searchsorted(self.rows, rows))

    def without(self, names: Collection[str]) -> Table:
        """Give the table without some columns; those that are not in it are passed over."""
        if not set(names) & set(self.inputs.names):
            return self
        whole = self.inputs
        kept = [place for place, name in enumerate(whole.names) if name not in names]
        inputs = Inputs(
            [whole.names[place] for place in kept],
            [whole.kinds[place] for place in kept],
            np.ascontiguousarray(whole.values[:, kept]),
            whole.ids,
            whole.group,
        )
        return Table(inputs, self.rows, {name: words for name, words in self.words.items() if name not in names})

    def mixed(self, rows: np.ndarray) -> Inputs:
        """Give the inputs of rows of the examples in any order, and so without their requests."""
        whole = self.inputs
        inputs = Inputs(whole.names, whole.kinds, whole.values, whole.ids)
        return inputs.take(np.searchsorted(self.rows, rows))


def model_table(
    job: Job,
    made: Result,
    scores: Mapping[str, Result],
    features: Sequence[Result],
    need: np.ndarray,
    learnt: np.ndarray,
    known: Mapping[str, Coding] | None = None,
) -> Table:
    """Put scores and features side by side; categories get their words from the rows that are learnt from alone.

    need: (t,) the rows, ascending. learnt: (n,) marks the rows of the parts that are learnt from. known: words of text
    columns that a model has learnt already, to be used instead.
    """
    rows = job.once(("examples", made.key), lambda: read_examples(made.folder))
    asked, values = frame(rows, list(scores.items())), load(features)
    values.row.update({name: column for name, column in asked.candidates.items() if name != rows.name})
    categories = [name for part in job.design.features if isinstance(part, Cross) for name in feature_names(part)]
    treatment = job.design.data.position
    if isinstance(treatment, PositionFeature) and rows.more is not None and rows.more.position is not None:
        values.row[treatment.column] = place_codes(rows.more.position, treatment.places)
        categories.append(treatment.column)
    names, kinds = model_columns(values, categories)
    group = rows.group[need]
    part = Frame({}, np.zeros(2, np.int64), np.arange(len(need)), {})  # every column is at the level of rows here
    filled = np.empty((len(need), len(names)), np.float32)
    words: dict[str, Coding] = {}
    for place, name in enumerate(names):
        column = taken(values.row[name], need) if name in values.row else taken(values.request[name], group)
        if isinstance(column, pa.DictionaryArray):
            given = (known or {}).get(name)
            words[name] = words_of(job, values, rows, name, learnt) if given is None else given
        filled[:, place] = matrix([name], Values({}, {name: column}), part, words)[:, 0]
    ids = {name: _ids(asked, name, need) for name in sorted(rate_columns(job))}
    inputs = Inputs(names, kinds, filled, ids, group)  # type: ignore[arg-type]
    return Table(inputs, need, words)


def words_of(job: Job, values: Values, rows: Examples, name: str, learnt: np.ndarray) -> Coding:
    """Learn a category's words from what is learnt from."""
    setting = next(
        (part for part in job.design.features if isinstance(part, Categories) and name in part.columns), None
    )
    if setting is not None:
        column = taken(values.at_rows(name, rows.group), np.flatnonzero(learnt))
        return Codebook.learn(column, setting.own_from, setting.hashed)
    if name in values.request:
        return Vocabulary(objects(values.request[name])[np.unique(rows.group[learnt])])
    return Vocabulary(objects(values.row[name])[learnt])


def save_words(words: Mapping[str, Coding], folder: Path) -> None:
    """Write the words of each text column into a new folder, as a bundle keeps them."""
    folder.mkdir()
    for column, coding in words.items():
        coding.save(folder / f"{column}.json")


def rate_columns(job: Job) -> set[str]:
    """Name the id columns that a rung looks up by itself."""
    rungs: list[Model] = [rung for ladder in job.ladders for rung in ladder.rungs]
    return {by for rung in rungs if (by := getattr(rung, "by", None))}


def _ids(asked: Frame, name: str, need: np.ndarray) -> pa.StringArray:
    column = asked.candidates.get(name)
    found = taken(column, need) if column is not None else taken(asked.requests[name], asked.group[need])
    return found.dictionary_decode() if isinstance(found, pa.DictionaryArray) else pa.array(found).cast(pa.string())
