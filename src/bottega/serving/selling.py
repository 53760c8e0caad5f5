"""The last stage of a path that sells: the auction, and who is charged for what it showed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bottega.design.serving import Auction
from bottega.features.frame import Frame
from bottega.serving.auction import Floats, Sold, generalized_second_price, worth
from bottega.serving.bidding import Bidders, Bids
from bottega.serving.bundle import Bundle
from bottega.serving.finding import Candidacy
from bottega.serving.request_ids import usable
from bottega.serving.spending import Sale, Spending
from bottega.serving.wire import RequestError

_NOBODY = Sold(np.zeros(0, np.intp), np.zeros(0))


@dataclass
class Outcome:
    """What an auction sold."""

    bids: Floats  # (n,) for a click after pacing, NaN where a candidate took no part
    scores: Floats  # (n,) by which they were ordered
    sold: Sold = field(default=_NOBODY)
    charged: float = 0.0  # at once


class Seller:
    """Runs the auction at the end of a path; threads and processes may share the accounts.

    bundle: with an auction in its path. spending: the accounts. Errors: as of `Bidders`.
    """

    def __init__(self, bundle: Bundle, stage: Auction, spending: Spending) -> None:
        self._stage, self._spending = stage, spending
        self._bidders = Bidders(bundle, stage, spending)

    def sell(
        self, found: Candidacy, frame: Frame, rows: np.ndarray, request_id: str, at: int, charge: bool = True
    ) -> Outcome:
        """Sell as many slots as were asked for to some rows of the candidates.

        A winner who cannot pay for being shown falls out, and the auction is run again without it. request_id: under
        which clicks will come. at: microseconds since 1970 UTC. charge: keep sales and take money; an explanation does
        neither.
        """
        stage, told, n = self._stage, found.asked.degradations, len(found.ids)
        outcome = Outcome(np.full(n, np.nan), np.full(n, np.nan))
        if charge and not usable(request_id):
            raise RequestError("request_id", repr(request_id)[:200], "1 to 128 visible ASCII characters")
        if not n:
            told.append("auction: no ads")
            return outcome
        needed = [stage.click] if stage.conversion is None else [stage.click, stage.conversion]
        if missing := [ladder for ladder in needed if ladder not in found.ranked]:
            told.append(f"auction: nothing sold without {' and '.join(missing)}")
            return outcome
        bids = self._bidders.bids(rows, found.asked.travelling, found.ranked, frame, found.values, at)
        while True:
            outcome.sold = generalized_second_price(
                bids.clicks, bids.chances, found.asked.k, stage.reserve, stage.quality, found.ids
            )
            refused = self._settle(outcome, bids, found, request_id, at) if charge else _NOBODY.rows
            if not len(refused):
                break
            bids.refuse("over budget", np.isin(np.arange(n), refused))
        outcome.bids, outcome.scores = bids.clicks, worth(bids.clicks, bids.chances, stage.quality)
        told += bids.told()
        if (count := len(outcome.sold.rows)) < found.asked.k:
            told.append(f"auction: {count} of {found.asked.k} slots sold")
        return outcome

    def _settle(self, outcome: Outcome, bids: Bids, found: Candidacy, request_id: str, at: int) -> np.ndarray:
        """Keep the sales for their clicks, or charge at once; gives the rows of winners who cannot pay."""
        rows, prices = outcome.sold
        if not len(rows):
            return rows
        advertisers = bids.advertisers(rows)
        if self._stage.pays == "click":
            ids = [found.ids[row] for row in rows.tolist()]
            budgets = [None if np.isinf(budget) else budget for budget in bids.budgets[rows].tolist()]
            kept = zip(ids, advertisers, prices.tolist(), budgets, strict=True)
            self._spending.keep(request_id, [Sale(*sale) for sale in kept], at)
            return _NOBODY.rows
        amounts = prices * bids.chances[rows]
        fits = bids.spent[rows] + amounts <= bids.budgets[rows]  # who cannot pay now will not later
        if fits.all():
            fits = self._spending.charge(advertisers, amounts.tolist(), bids.budgets[rows].tolist(), at)
        if fits.all():
            outcome.charged = float(amounts.sum())
        refused: np.ndarray[Any, np.dtype[np.intp]] = rows[~fits]
        return refused
