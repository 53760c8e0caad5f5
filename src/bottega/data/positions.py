"""The places in which candidates stood, and the chance that each place is looked at."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bottega.data.labels import numbers_of
from bottega.data.log import Log
from bottega.design.data import PositionFeature
from bottega.errors import DataError

_FEW = 10  # clicks: with fewer, a place has no chance of its own
_FAR = 10.0  # of log θ: clicks all on one side would drive it to infinity
_CLOSE = 1e-10  # of the loss for each click, at which the search ends

Floats = NDArray[np.float32]


def positions(name: str, log: Log, row: NDArray[np.int64]) -> Floats:
    """Read the place in which the candidate of each row stood: 1 is the best.

    name: the column, of numbers or of text that holds some; row: (n,) rows of the log.
    Gives (n,), NaN where the place is not known. Raises `DataError`: no such column, no place at all, a place that is
    no whole number from 1.
    """
    where = "data.position.column"
    allowed = "whole numbers from 1, the best place, and nothing where it is not known"
    values = numbers_of(log, name, where, allowed)[row]
    known = ~np.isnan(values)
    bad = known & ((values < 1) | (values != np.floor(values)))
    if bad.any():
        shown = ", ".join(f"{value:g}" for value in np.unique(values[bad])[:3])
        raise DataError(
            where,
            f"{name!r} holds {shown} in {np.count_nonzero(bad):,} of {len(values):,} examples",
            allowed,
            f"a log that counts from 1; checks=[bt.Range({name!r}, at_least=1)] puts other rows into quarantine",
        )
    if not known.any():
        raise DataError(where, f"{name!r} is empty in all {len(values):,} examples", allowed)
    return values.astype(np.float32)


def place_codes(position: ArrayLike, places: int) -> NDArray[np.float64]:
    """Give the code of each place as a category: 0 the best, −1 where it is not known.

    position: (n,), NaN is unknown; places: codes, of which the last is for all places from there on.

    >>> place_codes([1, 3, np.nan, 40], 20).tolist()
    [0.0, 2.0, -1.0, 19.0]
    """
    codes = np.minimum(np.asarray(position, np.float64), places) - 1
    return np.where(np.isnan(codes), -1.0, codes)


def served_code(treatment: PositionFeature) -> float:
    """Give the code of the place in which all candidates are served.

    >>> served_code(PositionFeature("place", served_as=40)), served_code(PositionFeature("place"))
    (19.0, 0.0)
    """
    return float(place_codes([treatment.served_as], treatment.places)[0])


def propensities(position: Floats, click: Floats, cell: NDArray[np.int64], most: float) -> dict[int, float]:
    """Measure the chance that each place is looked at, relative to the best, by what stood in several places.

    The chance of a click is γ·θ: γ of what is compared, θ of the place. Given how many clicks a cell has, and how
    often it stood in each place, γ drops out, and Σ over clicks of log(n_k θ_k / Σ_j n_j θ_j) is greatest at the true
    θ: cells with few clicks add noise and no bias. θ of the best place is 1; it is not forced to fall from place to
    place. A place with fewer than ten clicks in cells that stood in several places takes the chance of the next better
    one that has them.

    It is wrong where a place depends on more than the cell says: a ranker that puts a candidate higher for those who
    like it makes lower places seem less looked at than they are (then compare within finer cells). And where cells
    changed their worth while they changed their place.

    position, click: (n,), NaN is unknown; cell: (n,) the number of what is compared, such as a query with an ad, from
    0 up, −1 for none; most: largest weight, so that no chance is below 1/most.
    Gives place → chance, up to `most`. Raises `DataError`: the best place has too few clicks to compare with others.
    Source: Agarwal et al., Estimating Position Bias without Intrusive Interventions, WSDM 2019; the likelihood is that
    of Poisson regression with an effect for each cell (Hausman, Hall, Griliches 1984).
    """
    from scipy.optimize import minimize

    use = ~np.isnan(position) & (cell >= 0)
    places = np.unique(position[use]).astype(np.int64)
    clicked = np.bincount(cell[use], click[use] > 0) > 0
    use[use] = clicked[cell[use]]  # the others say nothing
    place = np.searchsorted(places, position[use])
    pair, pairs = np.unique(cell[use] * len(places) + place, return_inverse=True)
    shown = np.bincount(pairs).astype(np.float64)  # (p,) of each pair of cell and place that occurs
    clicks = np.bincount(pairs, click[use] > 0).astype(np.float64)
    cell, place = pair // max(len(places), 1), pair % max(len(places), 1)
    compared = _compared(cell, place, clicks, len(places))
    if not compared.any() or place[compared].min() > 0:
        best = f"place {places[0]}" if len(places) else "the best place"
        raise DataError(
            "data.position",
            f"{best} has fewer than {_FEW} clicks on candidates that stood in other places too",
            "candidates that were clicked in the best place and stood in others",
            "a longer log, or position=bt.PositionFeature(…), which needs none",
        )
    _, cell = np.unique(cell[compared], return_inverse=True)
    own, place = np.unique(place[compared], return_inverse=True)
    shown, clicks = shown[compared], clicks[compared]
    total, wins = np.bincount(cell, clicks), np.bincount(place, clicks)

    def loss(free: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        mass = shown * np.exp(np.r_[0.0, free])[place]
        sums = np.bincount(cell, mass)
        slope = np.bincount(place, mass * (total / sums)[cell]) - wins
        value = total @ np.log(sums) - wins[1:] @ free
        return value / wins.sum(), slope[1:] / wins.sum()

    bounds = [(-_FAR, _FAR)] * (len(own) - 1)
    found = minimize(loss, np.zeros(len(own) - 1), jac=True, method="L-BFGS-B", bounds=bounds, tol=_CLOSE)
    chance = np.maximum(np.exp(np.r_[0.0, found.x]), 1 / most)
    above = np.searchsorted(own, np.arange(len(places)), side="right") - 1  # (places,) the next better one with its own
    return dict(zip(places.tolist(), chance[above].tolist(), strict=True))


def _compared(
    cell: NDArray[np.int64], place: NDArray[np.int64], clicks: NDArray[np.float64], size: int
) -> NDArray[np.bool_]:
    """Mark the pairs (p,) of clicked cells with several places, of places with enough clicks that hang together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    use = np.ones(len(cell), np.bool_)
    while use.any():
        _, number = np.unique(cell, return_inverse=True)
        several = np.bincount(number, use) > 1
        clicked = np.bincount(number, clicks * use) > 0
        left = use & several[number] & clicked[number]
        nodes = size + len(several)
        graph = coo_array((np.ones(np.count_nonzero(left)), (place[left], size + number[left])), shape=(nodes, nodes))
        _, part = connected_components(graph, directed=False)
        enough = (np.bincount(place[left], clicks[left], minlength=size) >= _FEW) & (part[:size] == part[0])
        left &= enough[place]
        if (left == use).all():
            break
        use = left
    return use


def propensity_weights(position: Floats, click: Floats, chances: Mapping[int, float], most: float) -> Floats:
    """Give each click one over the chance that its place is looked at, at most `most`, and every other row 1.

    What is learnt with these weights is the probability of a click in the best place, not in the places where the
    candidates stood: predicted over observed lies above 1 on the log. It is a little too low where clicks are frequent:
    with the probability r of a click in the best place and the chance θ, r / (1 + r (1 − θ)).

    position, click: (n,); chances: as `propensities` gives them; most: largest weight, at least 1, larger is less
    biased and noisier. Clicks in an unknown place, or in one that `chances` lacks, weigh 1. Gives (n,).

    >>> position, click = np.array([[1, 3, 3], [1, 1, 0]], np.float32)
    >>> propensity_weights(position, click, {1: 1.0, 3: 0.25}, most=20).tolist()
    [1.0, 4.0, 1.0]
    """
    weight = np.ones(len(position), np.float32)
    for place, chance in chances.items():
        weight[(position == place) & (click > 0)] = min(1 / chance, most)
    return weight
