"""Who takes part in an auction, and at which bid: columns that travel or are looked up, budgets, and pacing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bottega.design.features import Cross, Expression
from bottega.design.serving import Auction, Candidates, Pace
from bottega.errors import BuildError, nearest
from bottega.features.batch import names
from bottega.features.frame import Column, Frame, Values, category, codes, objects, taken
from bottega.models.probability import Corrected, gives_chances
from bottega.models.protocols import Scores
from bottega.serving.auction import Floats, pacing, passed_share, taking_part
from bottega.serving.bundle import Bundle
from bottega.serving.spending import Spending

_NULL = -1


class Bids:
    """The bids of one request's candidates, and why some take no part.

    names, who: the distinct advertisers, and which of them each candidate has, (n,), -1 for none.
    """

    def __init__(self, count: int, rows: np.ndarray) -> None:
        self.clicks: Floats = np.full(count, np.nan)  # (n,) for a click, NaN where it takes no part
        self.chances: Floats = np.zeros(count)  # (n,) P(click)
        self.budgets: Floats = np.full(count, np.inf)  # (n,)
        self.spent: Floats = np.zeros(count)  # (n,) when the bids were made
        self.names: list[str] = []
        self.who = np.full(count, _NULL)
        self.reasons: dict[str, int] = {}
        self.part = np.zeros(count, bool)
        self.part[rows] = True
        self.asked = len(rows)

    def refuse(self, reason: str, wrong: np.ndarray) -> None:
        """Leave out those of the candidates that still take part, (n,) bool, and count them under this reason."""
        if not wrong.any():
            return
        out = self.part & wrong
        if number := int(out.sum()):
            self.reasons[reason] = self.reasons.get(reason, 0) + number
            self.part &= ~wrong
            self.clicks[out] = np.nan

    def told(self) -> list[str]:
        """Say how many were left out, and why."""
        return [f"auction: {number} of {self.asked} {reason}" for reason, number in self.reasons.items()]

    def advertisers(self, rows: np.ndarray) -> list[str]:
        """Name who pays for these candidates."""
        return [self.names[place] for place in self.who[rows].tolist()]


class Bidders:
    """Finds the bids of candidates: what came with them, else the features of those names.

    bundle: with an auction in its path. spending: the accounts.
    Errors: `BuildError` for a column that is neither a travelling one nor a feature, scores that are no probabilities,
    and a pace without budgets.
    """

    def __init__(self, bundle: Bundle, stage: Auction, spending: Spending) -> None:
        path = bundle.design.serving.path
        self._stage, self._spending = stage, spending
        self._pace = next((each for each in path if isinstance(each, Pace)), None)
        travelling = next((each.columns for each in path if isinstance(each, Candidates)), ())
        _check_columns(bundle, stage, travelling)
        if self._pace is not None and stage.budget is None:
            raise BuildError("serving.path: Pace", "an auction without budgets", "budgets to pace", "leave Pace() out")
        for ladder in (stage.click, stage.conversion):
            champion = bundle.champions.get(ladder or "")
            if champion is None or isinstance(champion.scorer, Corrected):
                continue
            if not gives_chances(champion.scorer.setting):
                raise BuildError(
                    f"serving.path: Auction, ladder {ladder!r}",
                    f"{champion.facts.champion} orders, and gives no probability",
                    "a champion with probabilities",
                    "BoostedTrees(objective='binary'), or calibrate it",
                )

    def bids(
        self,
        rows: np.ndarray,
        travelling: Mapping[str, Floats],
        chances: Mapping[str, Scores],
        frame: Frame,
        values: Values,
        at: int,
    ) -> Bids:
        """Give the bids for a click of a request's candidates.

        rows: which of them count. travelling: the columns that came with them, (n,) each. chances: by ladder, (n,). at:
        microseconds since 1970 UTC.
        """
        stage, made = self._stage, Bids(frame.rows, rows)
        made.chances = np.clip(chances[stage.click].astype(np.float64), 0.0, 1.0)
        made.clicks = _number(stage.bid, travelling, frame, values)
        column = _found(stage.advertiser, travelling, frame, values)
        self._name(made, category(column if column is not None else np.full(frame.rows, np.nan)))
        made.refuse("without an advertiser", made.who == _NULL)
        pace = np.ones(1)
        if stage.budget is not None:
            made.budgets = _number(stage.budget, travelling, frame, values)
            made.refuse("without a budget", np.isnan(made.budgets))
            made.spent = np.append(self._spending.spent(made.names, at), 0.0)[made.who]
            made.refuse("over budget", made.spent >= made.budgets)
            if self._pace is not None:
                passed = passed_share(at, self._pace.traffic)
                with np.errstate(divide="ignore", invalid="ignore"):
                    pace = pacing(made.spent / made.budgets, passed, self._pace.strength)
        made.refuse("without a bid above 0", ~taking_part(made.clicks))
        if stage.conversion is not None:
            made.clicks *= np.clip(chances[stage.conversion], 0.0, 1.0)
        made.clicks *= pace
        made.refuse("without a probability", np.isnan(made.clicks) | np.isnan(made.chances))
        made.refuse("below the reserve", ~taking_part(made.clicks, stage.reserve))
        made.clicks[~made.part] = np.nan
        return made

    def _name(self, made: Bids, column: Column) -> None:
        places, first, who = np.unique(codes(column), return_index=True, return_inverse=True)
        known = first[places >= 0]
        made.names = objects(taken(column, known)).tolist()
        made.who = who - (len(places) - len(known))  # the place of null, -1, is the first one


def _number(name: str, travelling: Mapping[str, Floats], frame: Frame, values: Values) -> Floats:
    """Give a number of each candidate, (n,): what came with it, else its feature, else NaN."""
    feature = _found(name, {}, frame, values)
    known = feature if isinstance(feature, np.ndarray) and feature.dtype.kind == "f" else np.full(frame.rows, np.nan)
    given = travelling.get(name)
    return np.array(known if given is None else np.where(np.isnan(given), known, given), np.float64)


def _found(name: str, travelling: Mapping[str, Floats], frame: Frame, values: Values) -> Column | None:
    for row in (travelling, values.row, frame.candidates):
        if name in row:
            return row[name]
    for request in (values.request, frame.requests):
        if name in request:
            return taken(request[name], frame.group)
    return None


def _check_columns(bundle: Bundle, stage: Auction, travelling: Sequence[str]) -> None:
    features, fields = bundle.design.features, bundle.facts.fields
    stored = {
        name: kind for group in bundle.facts.groups for name, kind in zip(group.columns, group.kinds, strict=True)
    }
    made = {name for part in features if isinstance(part, (Expression, Cross)) for name in names(part)}
    numbers = {name for name, kind in {**stored, **fields}.items() if kind == "number"} | made | set(travelling)
    candidate = getattr(bundle.design.data.examples, "candidate", None)
    every = stored.keys() | fields.keys() | made | set(travelling) | ({candidate} if candidate is not None else set())
    for what, name, known in (
        ("bid", stage.bid, numbers),
        ("budget", stage.budget, numbers),
        ("advertiser", stage.advertiser, every),
    ):
        if name is not None and name not in known:
            raise BuildError(
                f"serving.path: Auction.{what}",
                f"no {'column' if known is every else 'number'} {name!r}",
                f"one of {', '.join(sorted(known)) or 'none'}",
                nearest(name, known) or "a Lookup names its columns {by}_{column}; or Candidates(columns=[…])",
            )
