"""The path of a request: retrieve, rank, then show or sell, each stage with a defined answer to whatever is missing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, TypeVar, get_args

import msgspec
import numpy as np

from bottega.design.design import Design
from bottega.design.reranking import Reranking
from bottega.design.serving import Auction, Candidates, Pace, Rank, Retrieve, Show, Stage
from bottega.errors import BuildError
from bottega.features.batch import given_columns
from bottega.features.expressions import evaluate, parse
from bottega.features.frame import Column, Frame, Values, dictionary, objects
from bottega.features.stores.memory import MemoryStore
from bottega.models.contributions import contributions, load_background
from bottega.serving.arrivals import Arriving
from bottega.serving.asking import Asked, read_request
from bottega.serving.bundle import Bundle
from bottega.serving.filtering import Filter
from bottega.serving.finding import Candidacy, Finder, May, milliseconds
from bottega.serving.ordering import best
from bottega.serving.parity import readable
from bottega.serving.reading import Reading
from bottega.serving.reordering import Reorderer
from bottega.serving.request_ids import request_id
from bottega.serving.reranking.slate import Slate
from bottega.serving.selling import Outcome, Seller
from bottega.serving.spending import Clicked, Spending
from bottega.serving.wire import (
    Answer,
    Auctioned,
    Explained,
    Explored,
    Item,
    Moved,
    RequestError,
    Trace,
    Traced,
    request_type,
)

Kind = TypeVar("Kind", bound=Stage)
_SERVED = (Candidates, Retrieve, Rank, Show, Pace, Auction, *get_args(Reranking))


class Path:
    """Answers requests with a loaded bundle; it learns nothing, and threads may share it.

    bundle: what `load_bundle` gave. spending: the accounts of an auction, which all workers share; nothing: some that
    live as long as this path.
    Errors: `BuildError` for a design with a stage that nothing serves yet, or an auction without its columns;
    `RequestError` for a faulty request.
    """

    def __init__(self, bundle: Bundle, spending: Spending | None = None) -> None:
        self.bundle = bundle
        self.version = bundle.version
        self.design = bundle.design
        stages = self.design.serving.path
        if unknown := [type(stage).__name__ for stage in stages if not isinstance(stage, _SERVED)]:
            allowed = ", ".join(kind.__name__ for kind in _SERVED)
            raise BuildError("serving.path", ", ".join(unknown), allowed, "nothing serves this stage yet")
        self._views = {view.name: parse(view.where) for view in self.design.evaluation.views}
        self._ranks = [stage for stage in stages if isinstance(stage, Rank) and stage.ladder in bundle.champions]
        self._titles = _titles(bundle)
        self._show, self._limit = self._stage(Show) or Show(), with_given(self.design, self._stage(Candidates))
        self._given = given_columns(self.design.features)
        self.request_type = request_type(bundle.facts.fields, self._limit.columns)
        retrieval = self._stage(Retrieve)
        self._finder, self._reading = Finder(bundle, retrieval), Reading(bundle)
        where = None if retrieval is None else retrieval.where
        self._filter = None if where is None else Filter(where, bundle)
        self._reorderer = Reorderer(stages, self.version)
        self._seller: Seller | None = None
        self._accounts: Spending | None = None
        if (auction := self._stage(Auction)) is not None:
            if self._stage(Show) is not None or stages[-1] is not auction:
                raise BuildError("serving.path", "an auction, and a stage after it or Show()", "Auction() as the last")
            self._show = Show(k=auction.slots, at_most=auction.slots)
            accounts = spending or Spending(MemoryStore())
            self._seller = Seller(bundle, auction, accounts)
            self._accounts = accounts if auction.pays == "click" else None

    def warm(self) -> None:
        """Answer for somebody, for nobody, and under each view, so that the first request finds all code compiled."""
        person = self._finder.somebody()
        first = next(iter(self.bundle.facts.fields), None)
        who = {first: person} if first is not None and self.bundle.facts.fields[first] == "id" else {}
        finds = self._finder.stage is not None
        for view in (None, *self._views):
            for asked in ({**who, "candidates": None if finds else ["0"]}, {"candidates": ["0", "1"]}):
                self._answer(self.request_type(**asked, view=view), None, charge=False)

    def arriving(self, at: int | None = None) -> Arriving:
        """Give what takes in the items, and what was taken, that the store is told of since the build; one for a path.

        at: the moment up to which; nothing: what the clock for features says.
        """
        as_of, clock = self.bundle.reader.as_of if at is None else at, self.bundle.clock
        tells = clock if at is None and clock is not None else lambda: as_of  # without this path, which may go
        return Arriving(self._finder, self.bundle.reader.store, self.design, tells)

    def follow(self) -> None:
        """Take in what arrived, and then whatever arrives, in a thread of its own. Errors: those of the store."""
        if self.bundle.retrievers:
            arriving = self.arriving()
            arriving.look()
            arriving.start()

    def answer(self, request: msgspec.Struct, at: int | None = None) -> Answer:
        """Rank candidates for a request; whatever is unknown or missing has a defined answer and is named in it.

        at: the moment of the answer in microseconds since 1970 UTC: features are read as of it, and it says on which
        day an auction charges and how much of its traffic has passed; nothing: what the clocks say.
        """
        return self._answer(request, at, charge=True)

    def click(self, request_id: str, item: str, at: int | None = None) -> Clicked | None:
        """Charge a click on something that an auction sold, once; nothing where no such sale is known, or none is kept.

        at: the moment of the click in microseconds since 1970 UTC; nothing: the clock.
        """
        return None if self._accounts is None else self._accounts.click(request_id, item, _now() if at is None else at)

    def explain(self, request: msgspec.Struct, at: int | None = None, sold_at: int | None = None) -> list[Explained]:
        """Tell of each shown candidate which source brought it, its score at each stage, and what moved it.

        Budgets do not hold here, and nobody is charged: an answer whose stages were late, or that was given when other
        sums were spent, differs from its explanation, and says so itself. What reached the store since `at` may count.

        at: the moment as of which features are read. sold_at: that of the auction. Nothing: what the clocks say.
        """
        found, frame, rows = self._follow(request, at, limited=False)
        name = getattr(request, "request_id", None) or request_id()
        shown, outcome, slate = self._end(
            found, frame, rows, name, _now() if sold_at is None else sold_at, charge=False
        )
        moved = self._moved(found, frame, shown)
        group = np.zeros(len(found.ids), np.int32)
        names = [*found.values.request, *found.values.row]
        columns = {name: objects(found.values.at_rows(name, group)) for name in names}
        told = [
            Explained(
                found.ids[row],
                place,
                found.sources(row),
                {name: _numbers(column, [row])[0] for name, column in found.scores.items()},
                {name: readable(column[row]) for name, column in columns.items()},
                {title: each[place - 1] for title, each in moved.items()},
                [] if slate is None else list(slate.why.get(row, ())),
            )
            for place, row in enumerate(shown.tolist(), 1)
        ]
        if outcome is not None:
            for slot, (item, row) in enumerate(zip(told, shown.tolist(), strict=True), 1):
                item.slot, item.bid, item.price = slot, float(outcome.bids[row]), float(outcome.sold.prices[slot - 1])
        return told

    def find(self, request: msgspec.Struct, at: int | None = None) -> Candidacy:
        """Give the candidates of a request as they come from retrieval, without a time limit.

        at: the moment as of which conditions read the store; nothing: what the clock says.
        """
        found = self._asked(request)
        self._finder.find(found, False, self._may(found.asked.columns, self._moment() if at is None else at))
        return found

    def features(
        self, columns: dict[str, Any], candidates: list[str], at: int, brought: dict[str, np.ndarray] | None = None
    ) -> Values:
        """Read and compute what a model sees of one request's candidates: the very code that answers.

        columns: the request's, ids as text. at: the time of the request, microseconds since 1970 UTC. brought: numbers
        that came with the candidates.
        """
        found = Candidacy(Asked(columns, len(candidates), None, candidates, []))
        self._finder.find(found, limited=False)
        values = self._reading.values(self._frame(found, at), found.scores, every=True, brought=brought)
        return Values(_as_in_a_batch(values.request), _as_in_a_batch(values.row))

    def _answer(self, request: msgspec.Struct, at: int | None, charge: bool) -> Answer:
        found, frame, rows = self._follow(request, at)
        name = getattr(request, "request_id", None) or request_id()
        shown, outcome, slate = self._end(found, frame, rows, name, _now() if at is None else at, charge)
        titles = list(dict.fromkeys([*self.bundle.retrievers, *found.scores]))
        columns = [_numbers(found.scores.get(title), shown) for title in titles]
        last = next((title for ladder, title in reversed(self._titles.items()) if ladder in found.ranked), None)
        final = found.scores.get(last or "") if outcome is None else outcome.scores
        if slate is not None and final is not None:
            final = slate.scores
        stages = [dict(zip(titles, each, strict=True)) for each in zip(*columns, strict=True)] or [{} for _ in shown]
        ids = [found.ids[row] for row in shown.tolist()]
        items = list(map(Item, ids, _numbers(final, shown), stages))
        if outcome is not None:
            for slot, (item, price) in enumerate(zip(items, outcome.sold.prices.tolist(), strict=True), 1):
                item.slot, item.price = slot, price
        trace = self._trace(found, frame, shown, outcome, slate)
        return Traced(name, self.version, items, found.asked.degradations, found.stage_ms, trace)

    def _follow(
        self, request: msgspec.Struct, at: int | None, limited: bool = True
    ) -> tuple[Candidacy, Frame, np.ndarray]:
        """Take a request through all stages but the last; gives the rows that its view leaves.

        at: the moment of the request; nothing: what the clock for features says. limited: whether the stages' budgets
        hold; an explanation has time.
        """
        found = self._asked(request)
        asked = found.asked
        moment = self._moment() if at is None else at
        self._finder.find(found, limited, self._may(asked.columns, moment))
        if self._given and (bare := _bare(asked, self._given)):
            asked.degradations.append(f"candidates: {bare} without a number")
        begin = time.perf_counter()
        frame = self._frame(found, moment)
        found.values = self._reading.values(frame, found.scores, brought=asked.travelling)
        if not self._finder.retrievers:  # they say themselves whom they do not know
            for name, count in found.values.unknown.items():
                if name not in asked.columns:
                    asked.degradations.append(f"candidates: {count} unknown")
                elif asked.columns[name] is not None:  # it is said to be missing
                    asked.degradations.append(f"{name}: unknown")
        asked.degradations += [f"store: {name} unread" for name in found.values.unread]
        found.stage_ms["features"] = milliseconds(begin)
        for stage in self._ranks:
            self._rank(stage, found, frame, begin, limited)
        rows = np.arange(len(found.ids))
        if asked.view is not None:
            parsed = self._views[asked.view]
            columns = {item: objects(found.values.at_rows(item, frame.group)) for item in parsed.columns}
            rows = np.flatnonzero(evaluate(parsed, columns, frame.rows) == 1)
        return found, frame, rows

    def _asked(self, request: msgspec.Struct) -> Candidacy:
        found = Candidacy(read_request(request, self.bundle.facts.fields, self._show, self._limit, self._views))
        if found.asked.given is None and self._finder.stage is None:
            raise RequestError("candidates", "none", "a list of ids, which this design does not find by itself")
        return found

    def _rank(self, stage: Rank, found: Candidacy, frame: Frame, begin: float, limited: bool) -> None:
        """Let a ladder's champion score the candidates, if what came before has left it time."""
        ladder, gone, start = stage.ladder, milliseconds(begin), time.perf_counter()
        if limited and stage.budget_ms is not None and gone > stage.budget_ms:
            told = f"{ladder}: left out, features took {gone:.1f} of {stage.budget_ms:g} ms"
            found.asked.degradations.append(told)
        elif found.ids:
            champion = self.bundle.champions[ladder]
            inputs = self._reading.inputs(champion, frame, found.values)
            found.inputs[ladder] = inputs.values
            found.scores[self._titles[ladder]] = found.ranked[ladder] = champion.scorer.score(inputs)
        found.stage_ms[ladder] = milliseconds(start)

    def _end(
        self, found: Candidacy, frame: Frame, rows: np.ndarray, name: str, at: int, charge: bool
    ) -> tuple[np.ndarray, Outcome | None, Slate | None]:
        """Sell, or show the first by the last score and what re-ranking makes of it; gives the rows, best first."""
        asked, begin = found.asked, time.perf_counter()
        if self._seller is not None:
            outcome = self._seller.sell(found, frame, rows, name, at, charge)
            found.stage_ms["auction"] = milliseconds(begin)
            return outcome.sold.rows, outcome, None
        scores = next((found.ranked[ladder] for ladder in reversed(self._titles) if ladder in found.ranked), None)
        slate = None
        if self._reorderer.stages:
            slate = self._reorderer.order(found, frame, scores, rows, name, list(found.retrievers.values()))
            shown = slate.shown
            asked.degradations += slate.told
            found.stage_ms["rerank"] = milliseconds(begin)
        else:
            shown = rows[: asked.k] if scores is None else best(scores, rows, asked.k, found.ids)
        if len(shown) < asked.k:
            asked.degradations.append(f"k: {len(shown)} of {asked.k} found")
        return shown, None, slate

    def _moved(self, found: Candidacy, frame: Frame, shown: np.ndarray) -> dict[str, list[Moved]]:
        """Share the scores of the shown candidates out among the features, for each ladder that ranked."""
        told: dict[str, list[Moved]] = {}
        for ladder in found.ranked:
            folder = self.bundle.folder / "background" / ladder
            if not len(shown) or not folder.exists():
                continue
            scorer = self.bundle.champions[ladder].scorer
            inputs = self._reading.inputs(self.bundle.champions[ladder], frame, found.values)
            parts = contributions(scorer, inputs, load_background(folder), wanted=shown)
            told[self._titles[ladder]] = [
                Moved(base, dict(zip(parts.names, values, strict=True)), parts.unit)
                for base, values in zip(parts.base.tolist(), parts.values.tolist(), strict=True)
            ]
        return told

    def _trace(
        self, found: Candidacy, frame: Frame, shown: np.ndarray, outcome: Outcome | None, slate: Slate | None
    ) -> Trace:
        scores = {ladder: column.astype("<f4").tobytes() for ladder, column in found.ranked.items()}
        features = {ladder: column[shown].astype("<f4").tobytes() for ladder, column in found.inputs.items()}
        sold = msgspec.UNSET if outcome is None else Auctioned(outcome.bids.astype("<f8").tobytes(), outcome.charged)
        drawn: Explored | msgspec.UnsetType = msgspec.UNSET
        if slate is not None and slate.propensity is not None and slate.given_above is not None:
            drawn = Explored(slate.propensity.astype("<f8").tobytes(), slate.given_above.astype("<f8").tobytes())
        return Trace(found.ids, scores, features, int(frame.time[0]), sold, drawn)

    def _moment(self) -> int:
        clock = self.bundle.clock
        return self.bundle.reader.as_of if clock is None else clock()

    def _frame(self, found: Candidacy, at: int) -> Frame:
        return self._reading.frame(found.asked.columns, at, self._finder.column(found.ids))

    def _may(self, columns: dict[str, Any], at: int) -> May | None:
        """Give what says of candidates whether the condition of retrieval holds for them at a moment."""
        if (limit := self._filter) is None:
            return None
        return lambda ids: limit.holds(self._reading.frame(columns, at, self._finder.column(ids)))

    def _stage(self, kind: type[Kind]) -> Kind | None:
        return next((stage for stage in self.design.serving.path if isinstance(stage, kind)), None)


def with_given(design: Design, stage: Candidates | None) -> Candidates:
    """Give the stage that takes candidates, with all columns that a request may bring with them."""
    stage = stage or Candidates()
    given = given_columns(design.features)
    return msgspec.structs.replace(stage, columns=tuple(dict.fromkeys([*stage.columns, *given])))


def _bare(asked: Asked, names: Sequence[str]) -> int:
    """Count the candidates that none of the numbers came with which features take as they come."""
    if not asked.travelling:
        return len(asked.given or ())
    return int(np.all([np.isnan(asked.travelling[name]) for name in names], axis=0).sum())


def _titles(bundle: Bundle) -> dict[str, str]:
    """Say under which name each ladder's scores stand: its champion's, or the ladder's where there are several."""
    champions = bundle.champions
    return {ladder: ladder if len(champions) > 1 else one.facts.champion for ladder, one in champions.items()}


def _as_in_a_batch(columns: dict[str, Column]) -> dict[str, Column]:
    return {name: one if isinstance(one, np.ndarray) else dictionary(one) for name, one in columns.items()}


def _now() -> int:
    return time.time_ns() // 1000


def _numbers(column: np.ndarray | None, rows: Any) -> list[float | None]:
    """Give a column's values at some rows as JSON has them: null for what is no number."""
    if column is None:
        return [None] * len(rows)
    values = column[rows]
    if np.isfinite(values).all():
        return list(values.tolist())
    return [value if np.isfinite(value) else None for value in values.tolist()]
