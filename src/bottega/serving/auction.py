"""The arithmetic of an auction: who wins which slot, at which price, and how a budget is spread over the day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bottega.serving.ordering import best

HOUR = 3_600_000_000  # microseconds
DAY = 24 * HOUR

Floats = npt.NDArray[np.float64]


class Sold(NamedTuple):
    """The slots of one auction, the best first."""

    rows: npt.NDArray[np.intp]  # (m,) the candidate in each
    prices: Floats  # (m,) what it pays for a click


def taking_part(bids: npt.ArrayLike, reserve: float = 0.0) -> npt.NDArray[np.bool_]:
    """Say which bids take part, (n,): finite numbers above 0 that reach the reserve.

    >>> taking_part([2.0, 0.0, -1.0, np.nan, np.inf, 0.4], reserve=0.5).tolist()
    [True, False, False, False, False, False]
    """
    given = np.asarray(bids, np.float64)
    return np.isfinite(given) & (given > 0) & (given >= reserve)


def worth(bids: npt.ArrayLike, chances: npt.ArrayLike, quality: float = 1.0) -> Floats:
    """Give the number by which candidates are ordered, (n,): bid · P(click)^quality.

    bids: (n,) for a click. chances: (n,) P(click), 0 to 1. quality: 0 orders by bid alone, larger rewards good ads.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(bids, np.float64) * np.asarray(chances, np.float64) ** quality


def generalized_second_price(
    bids: npt.ArrayLike,
    chances: npt.ArrayLike,
    slots: int,
    reserve: float = 0.0,
    quality: float = 1.0,
    ids: Sequence[str] = (),
) -> Sold:
    """Sell slots: each winner pays for a click the least bid that would have kept its slot.

    price_i = min(bid_i, max(reserve, score_{i+1} / P_i^quality)), score = bid · P(click)^quality; the last one, whom
    nobody follows, pays the reserve. It is no truthful auction: bidding less than a click is worth may pay. With
    quality above 0 a higher reserve can lower a winner's price, where it puts out the one whom the winner had to beat;
    never where all chances are alike.

    bids: (n,) for a click; those that `taking_part` refuses have no part. chances: (n,) P(click), 0 to 1; one that is
    no number has no part. slots: how many are sold at most. reserve: lowest bid and price. quality: exponent of
    P(click) in the order, 0 or more. ids: (n,) names that decide between equal scores, the lower one first; nothing:
    the place.

    >>> sold = generalized_second_price([10.0, 4.0, 2.0], [0.1, 0.1, 0.1], slots=2)
    >>> sold.rows.tolist(), sold.prices.round(6).tolist()
    ([0, 1], [4.0, 2.0])

    Source: B. Edelman, M. Ostrovsky and M. Schwarz, Internet Advertising and the Generalized Second-Price Auction,
    American Economic Review 97(1), 2007; with quality: H. Varian, Position Auctions, International Journal of
    Industrial Organization 25(6), 2007.
    """
    bid, chance = np.asarray(bids, np.float64), np.asarray(chances, np.float64)
    scores = worth(bid, chance, quality)
    rows = np.flatnonzero(taking_part(bid, reserve) & np.isfinite(scores))
    order = best(scores, rows, slots + 1, ids)
    won, following = order[:slots], scores[order[1 : slots + 1]]
    beaten = np.zeros(len(won))  # the score that each winner had to reach
    beaten[: len(following)] = following
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        least = beaten / chance[won] ** quality
    least[np.isnan(least)] = 0.0  # 0 / 0: any bid would have kept the slot
    return Sold(won, np.minimum(np.maximum(least, reserve), bid[won]))


def pacing(spent: npt.ArrayLike, passed: float, strength: float = 1.0) -> Floats:
    """Give what a bid is multiplied by, 0 to 1, (n,): min(1, ((1 − spent) / (1 − passed))^strength).

    spent: (n,) share of the budget that is gone; 1 or more gives 0, unless strength is 0. passed: share of the day's
    traffic that is over, 0 to 1; at 1 nothing is held back. strength: 0 does nothing, larger brakes harder.

    >>> pacing([0.1, 0.6, 1.0], passed=0.5).round(3).tolist()
    [1.0, 0.8, 0.0]
    """
    left = np.maximum(1 - np.asarray(spent, np.float64), 0.0)
    if passed >= 1:
        return (left > 0).astype(np.float64)
    return np.asarray(np.minimum(1.0, (left / (1 - passed)) ** strength), np.float64)


def passed_share(at: int, traffic: Sequence[float] = ()) -> float:
    """Give the share of the day's traffic that is over, 0 to 1.

    at: microseconds since 1970 UTC. traffic: of each hour (UTC), in any unit; nothing: every hour alike. Within an hour
    traffic is even.

    >>> passed_share(6 * HOUR), passed_share(90 * 60_000_000, [3.0, 1.0] + [0.0] * 22)
    (0.25, 0.875)
    """
    hours = at % DAY / HOUR
    if not traffic:
        return hours / 24
    whole = int(hours)
    return (sum(traffic[:whole]) + (hours - whole) * traffic[whole]) / sum(traffic)
