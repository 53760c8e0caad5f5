"""What models see of a request: features read from the store and derived, then the matrix of each ladder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bottega.data.positions import place_codes
from bottega.design.data import PositionFeature
from bottega.design.features import Categories, Cross, Expression
from bottega.design.serving import Auction
from bottega.features.batch import derive, names, needs, score_name, time_name
from bottega.features.expressions import parse
from bottega.features.frame import Column, Frame, Values, codes, objects
from bottega.features.matrix import matrix
from bottega.features.stores.keys import key
from bottega.features.vocabulary import Coding
from bottega.models.inputs import Inputs
from bottega.models.protocols import Scores
from bottega.serving.bundle import Bundle, Champion

Derived = Expression | Cross | Categories
_FIRST = pa.array([0], pa.int32())


class Reading:
    """Reads features and makes inputs of them; it learns nothing, and threads may share it.

    bundle: what `load_bundle` gave.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle, design = bundle, bundle.design
        self._derived = [part for part in design.features if isinstance(part, (Expression, Cross, Categories))]
        self._read, used = _read(self._derived, bundle)
        self._rates = [table for table in bundle.rates if used & set(names(table.feature))]
        position = design.data.position
        self._place = None
        if isinstance(position, PositionFeature):
            self._place = position.column, place_codes([position.served_as], position.places)
        self._time_name = time_name(design)
        self._words = _coded_words(bundle)

    def frame(self, columns: Mapping[str, Any], at: int, candidates: Column | None, keys: list[bytes]) -> Frame:
        """Give a request and its candidates as what features are computed for.

        columns: the request's. at: its time, microseconds since 1970 UTC. candidates: their ids, (n,). keys: the same
        as the store's keys.
        """
        fields = self._bundle.facts.fields
        requests = {name: _one(value, fields[name]) for name, value in columns.items()}
        parts = {name: [key([value])] for name, value in columns.items() if fields[name] == "id"}
        time, group = np.array([at], np.int64), np.zeros(len(keys), np.int32)
        name = getattr(self._bundle.design.data.examples, "candidate", None)
        if name is None or candidates is None:
            return Frame(requests, time, group, {}, parts)
        return Frame(requests, time, group, {name: candidates}, {**parts, name: keys})

    def values(self, frame: Frame, scores: Mapping[str, Scores], every: bool = False) -> Values:
        """Read what the store has, add the retrievers' scores and the place that all stand in, and derive the rest.

        scores: of the retrievers, (n,) each; one that was left out has no evidence, as for an item it does not know.
        every: derive all features, not only those that something of the path reads.
        """
        values = self._bundle.reader.read(frame)
        if self._place is not None:
            values.row[self._place[0]] = np.repeat(self._place[1], frame.rows)
        for name in self._bundle.retrievers:
            found = scores.get(name)
            values.row[score_name(name)] = np.zeros(frame.rows) if found is None else found.astype(np.float64)
        for table in self._bundle.rates if every else self._rates:
            values.update(table.values(frame))
        for part in self._derived if every else self._read:
            values.update(derive(part, frame, values, self._time_name))
        return values

    def inputs(self, ladder: str, champion: Champion, frame: Frame, values: Values) -> Inputs:
        """Give what a ladder's champion reads, a row for each candidate."""
        facts, words = champion.facts, self._words[ladder]
        row = dict(values.row)
        for name in words.keys() & row.keys():  # a text's place in the store's words says its code
            if isinstance(column := row[name], pa.DictionaryArray):
                row[name] = words[name][codes(column)]
        ids: dict[str, pa.StringArray] = {}
        looked_up = getattr(champion.scorer.setting, "by", None)
        if looked_up is not None:  # HistoricalRate reads ids
            every = Values(dict(frame.requests), dict(frame.candidates))
            ids[looked_up] = pa.array(objects(every.at_rows(looked_up, frame.group)), pa.string())
        filled = matrix(facts.names, Values(values.request, row), frame, champion.words)
        return Inputs(facts.names, facts.kinds, filled, ids, frame.group)


def _read(derived: Sequence[Derived], bundle: Bundle) -> tuple[list[Derived], set[str]]:
    """Leave out the features that nothing of a bundle reads; gives those that stay, and the names of what is read."""
    design = bundle.design
    used = {name for champion in bundle.champions.values() for name in champion.facts.names}
    used |= {name for view in design.evaluation.views for name in parse(view.where).columns}
    for stage in design.serving.path:
        if isinstance(stage, Auction):
            used |= {name for name in (stage.bid, stage.budget, stage.advertiser) if name is not None}
    kept: list[Derived] = []
    for part in reversed(derived):  # one may read what stands before it
        if used & set(names(part)):
            used |= needs(part)
            kept.insert(0, part)
    return kept, used


def _coded_words(bundle: Bundle) -> dict[str, dict[str, np.ndarray]]:
    """Give for each ladder and text column of the store the code of each of its words, then -1, which is null's."""
    return {
        ladder: {
            name: _codes(champion.words[name], words)
            for name, words in bundle.reader.words.items()
            if name in champion.words
        }
        for ladder, champion in bundle.champions.items()
    }


def _codes(coding: Coding, words: pa.Array) -> np.ndarray:
    return np.append(coding.codes(words), np.int32(-1))


def _one(value: Any, kind: str) -> Column:
    """Give a request's value as a column of one row."""
    if kind == "number":
        return np.array([np.nan if value is None else value], np.float64)
    if kind == "time":
        return np.array(["NaT" if value is None else value], "datetime64[us]")
    return pa.DictionaryArray.from_arrays(_FIRST, pa.array([value], pa.string()))
