"""What models see of a request: features read from the store and derived, then the matrix of each ladder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bottega.data.positions import served_code
from bottega.design.data import PositionFeature
from bottega.design.features import Categories, Cross, Expression
from bottega.design.serving import Auction
from bottega.features.batch import derive, given_columns, names, needs, score_name, time_name
from bottega.features.expressions import parse
from bottega.features.frame import Column, Frame, Values, objects
from bottega.features.matrix import matrix
from bottega.features.words import Known, TextColumn
from bottega.models.inputs import Inputs
from bottega.models.protocols import Scores
from bottega.serving.bundle import Bundle, Champion
from bottega.serving.reranking.conditions import needed_columns

Derived = Expression | Cross | Categories


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
            self._place = position.column, served_code(position)
        self._time_name = time_name(design)
        self._given = given_columns(design.features)
        self._candidate = getattr(design.data.examples, "candidate", None)
        self._known = {name: Known() for name, kind in bundle.facts.fields.items() if kind not in ("number", "time")}

    def frame(self, columns: Mapping[str, Any], at: int, candidates: Column) -> Frame:
        """Give a request and its candidates as what features are computed for.

        columns: the request's. at: its time, microseconds since 1970 UTC. candidates: their ids, (n,).
        """
        requests = {name: self._one(name, value) for name, value in columns.items()}
        time, group = np.array([at], np.int64), np.zeros(len(candidates), np.int32)
        return Frame(requests, time, group, {} if self._candidate is None else {self._candidate: candidates})

    def values(
        self,
        frame: Frame,
        scores: Mapping[str, Scores],
        every: bool = False,
        brought: Mapping[str, np.ndarray] | None = None,
    ) -> Values:
        """Read what the store has, add the retrievers' scores and the place that all stand in, and derive the rest.

        scores: of the retrievers, (n,) each; one that was left out has no evidence, as for an item it does not know.
        every: derive all features, not only those that something of the path reads. brought: numbers that came with the
        candidates, (n,) each.
        """
        values = self._bundle.reader.read(frame)
        if self._place is not None:
            values.row[self._place[0]] = np.full(frame.rows, self._place[1])
        for name in self._given:
            came = (brought or {}).get(name)
            values.row[name] = np.full(frame.rows, np.nan) if came is None else came
        for name in self._bundle.retrievers:
            found = scores.get(name)
            values.row[score_name(name)] = np.zeros(frame.rows) if found is None else found.astype(np.float64)
        for table in self._bundle.rates if every else self._rates:
            values.update(table.values(frame))
        for part in self._derived if every else self._read:
            values.update(derive(part, frame, values, self._time_name, _texts))
        return values

    def inputs(self, champion: Champion, frame: Frame, values: Values) -> Inputs:
        """Give what a champion reads, a row for each candidate."""
        facts = champion.facts
        ids: dict[str, pa.StringArray] = {}
        looked_up = getattr(champion.scorer.setting, "by", None)
        if looked_up is not None:  # HistoricalRate reads ids
            every = Values(dict(frame.requests), dict(frame.candidates))
            ids[looked_up] = pa.array(objects(every.at_rows(looked_up, frame.group)), pa.string())
        filled = matrix(facts.names, values, frame, champion.words)
        return Inputs(facts.names, facts.kinds, filled, ids, frame.group)

    def _one(self, name: str, value: Any) -> Column:
        """Give a request's value as a column of one row."""
        kind = self._bundle.facts.fields[name]
        if kind == "number":
            return np.array([np.nan if value is None else value], np.float64)
        if kind == "time":
            return np.array(["NaT" if value is None else value], "datetime64[us]")
        return self._known[name].column([value])


def _read(derived: Sequence[Derived], bundle: Bundle) -> tuple[list[Derived], set[str]]:
    """Leave out the features that nothing of a bundle reads; gives those that stay, and the names of what is read."""
    design = bundle.design
    used = {name for champion in bundle.champions.values() for name in champion.facts.names}
    used |= {name for view in design.evaluation.views for name in parse(view.where).columns}
    used |= needed_columns(design.serving.path)
    for stage in design.serving.path:
        if isinstance(stage, Auction):
            used |= {name for name in (stage.bid, stage.budget, stage.advertiser) if name is not None}
    kept: list[Derived] = []
    for part in reversed(derived):  # one may read what stands before it
        if used & set(names(part)):
            used |= needs(part)
            kept.insert(0, part)
    return kept, used


def _texts(texts: np.ndarray) -> TextColumn:
    return TextColumn.over(texts.tolist())
