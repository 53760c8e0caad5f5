"""Contributions: how much each feature moved the score of a row away from that of an average row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations as all_orders
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.errors import DataError, DesignError
from bottega.files import write_json
from bottega.models.fusion import FusionModel
from bottega.models.inputs import Inputs
from bottega.models.probability import Corrected, probable
from bottega.models.protocols import Scorer
from bottega.models.storage import new_folder, read_array, read_facts, read_texts, write_arrays, write_texts

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

_CUT = 1e-7  # probabilities nearer to 0 or 1 count as this: a calibrator may say 0, whose log-odds have no end
_ROWS = 65_536  # of one call of the scorer, so that memory stays bounded


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each feature adds to the score of each row: base + Σ values = the row's score.

    names: (f,) of the features: the columns of the inputs, then ids under other names. base: (n,) the mean score of the
    background. values: (n, f). unit: `log-odds` for probabilities, `score` for others.
    """

    names: Sequence[str]
    base: Array
    values: Array
    unit: str = "log-odds"


def contributions(
    scorer: Scorer,
    rows: Inputs,
    background: Inputs,
    permutations: int = 8,
    seed: int = 0,
    wanted: Places | None = None,
) -> Contributions:
    """Share the score of each row out among its features, by Shapley values.

    φ_j = mean over orders of the features of v(those before j, and j) − v(those before j), with v(S) the mean score of
    rows that have the features S of this row and the others of a row of the background; probabilities as log-odds,
    cut at 10⁻⁷ and 1 − 10⁻⁷. Σ φ + base is the row's own score, whatever the orders. Orders are drawn in pairs, one the
    reverse of the other: exact for sums of features and of products of two, and where all orders fit. When it is
    wrong: interactions of three and more features are shared out with the noise of the draw; features that depend on
    each other meet in rows that never occur; it says what moved the score, not what would move the outcome. LightGBM's
    own `pred_contrib` weighs by the rows that reached each node of a tree instead of by a background: it agrees in
    direction and order for strong features, not in value.

    A fusion of places is shared out as it is: each order has what it gives, from 0 for a row without a place, and a
    feature that is no order of it has nothing. Where a calibrator reads the sum, each order has its part of the change.

    scorer: any model; it is only asked for scores. rows: (n, f); of a fusion all that stand in one list. background:
    some training rows with the same columns, say 16; more is steadier and slower. permutations: orders, an even number
    from 2; larger is steadier and slower: a row costs permutations × features × background rows to score. seed: of the
    orders. wanted: (m,) the rows to be shared out; nothing: all. Raises `DesignError` for another number of orders,
    `DataError` where the background is empty or has other columns.

    >>> from bottega.design.scorers import HistoricalRate
    >>> from bottega.models.historical_rate import HistoricalRateModel
    >>> values = np.array([[3], [4], [5], [6]], np.float32)
    >>> rows = Inputs(["hour"], ["number"], values, {"ad": pa.array(["a", "a", "b", "b"])})
    >>> model = HistoricalRateModel(HistoricalRate(by="ad", prior=2))
    >>> model.fit(rows, [1, 1, 0, 0])
    >>> found = contributions(model, rows.take([0, 3]), rows)
    >>> found.names, found.values.round(2).tolist()
    (['hour', 'ad'], [[0.0, 1.1], [0.0, -1.1]])

    Source: E. Štrumbelj and I. Kononenko, Explaining prediction models (2014); R. Mitchell et al., Sampling
    permutations for Shapley value estimation (2022).
    """
    fused = scorer.scorer if isinstance(scorer, Corrected) else scorer
    if isinstance(fused, FusionModel):
        return _of_places(scorer, fused, rows, slice(None) if wanted is None else wanted)
    rows = rows if wanted is None else Inputs(rows.names, rows.kinds, rows.values, rows.ids).take(wanted)
    background.expect(rows.names, rows.kinds)
    if not len(background) or set(background.ids) != set(rows.ids):
        found = f"{len(background)} rows, ids {sorted(background.ids)}"
        raise DataError("background", found, f"rows, ids {sorted(rows.ids)}", "draw it from the inputs of training")
    names = list(dict.fromkeys([*rows.names, *rows.ids]))
    orders = _orders(len(names), permutations, seed)
    odds = probable(scorer.setting)

    def score(inputs: Inputs) -> Array:
        found = scorer.score(inputs).astype(np.float64)
        return _log_odds(found) if odds else found

    base, full = score(background).mean(), score(rows)
    values = np.zeros((len(rows), len(names)))
    rank = np.argsort(orders, axis=1)  # (orders, f) the step at which each feature comes in
    for row, order in _blocks(len(rows), len(orders), (len(names) - 1) * len(background)):
        known = rank[order, None, :] < np.arange(1, len(names))[None, :, None]  # (block, f - 1, f)
        mixed = _mixed(rows, background, row, known, names)
        means = score(mixed).reshape(*known.shape[:2], len(background)).mean(axis=2)
        path = np.column_stack([np.full(len(row), base), means, full[row]])  # (block, f + 1)
        np.add.at(values, (row[:, None], orders[order]), np.diff(path, axis=1))
    return Contributions(names, np.full(len(rows), base), values / max(len(orders), 1), "log-odds" if odds else "score")


def drawn(rows: Places, seed: int = 0, n: int = 16) -> Places:
    """Draw the rows that stand for the others: n at random without repeats, in their order; all where there are fewer.

    rows: (m,) of which to draw. seed: of the draw. n: from 1; larger is steadier and slower. Raises `DesignError` for n
    under 1.

    >>> found = drawn(np.arange(9), n=3)
    >>> len(found), found.tolist() == sorted(set(found.tolist()))
    (3, True)
    """
    if n < 1:
        raise DesignError("drawn.n", n, "a whole number from 1", "n=16")
    places = np.random.default_rng(seed).choice(len(rows), min(n, len(rows)), replace=False)
    return np.asarray(rows[np.sort(places)])


def save_background(rows: Inputs, folder: Path) -> None:
    """Write `values.npy`, a file of texts for each column of ids, and `background.json` into a new folder."""
    with new_folder(folder) as part:
        write_arrays(part, {"values": rows.values})
        for place, ids in enumerate(rows.ids.values()):
            write_texts(part, f"ids_{place}", ids)
        write_json(part / "background.json", {"names": rows.names, "kinds": rows.kinds, "ids": list(rows.ids)})


def load_background(folder: Path) -> Inputs:
    """Read what `save_background` wrote; `BuildError` where a file is damaged."""
    facts = read_facts(folder, "background")
    ids = {name: read_texts(folder, f"ids_{place}") for place, name in enumerate(facts["ids"])}
    return Inputs(facts["names"], facts["kinds"], read_array(folder, "values"), ids)


def _of_places(scorer: Scorer, fused: FusionModel, rows: Inputs, wanted: Places | slice) -> Contributions:
    """What each order gives to the rows that are wanted, of a list of which all rows are there."""
    names, shares = list(dict.fromkeys([*rows.names, *rows.ids])), fused.shares(rows)[wanted]
    base, odds = np.zeros(len(shares)), isinstance(scorer, Corrected) and probable(scorer.setting)
    if isinstance(scorer, Corrected) and odds:
        own, nothing = (
            _log_odds(scorer.probability.of(each).astype(np.float64)) for each in (shares.sum(axis=1), base)
        )
        total = shares.sum(axis=1, keepdims=True)
        shares = shares * np.divide((own - nothing)[:, None], total, out=np.zeros_like(total), where=total > 0)
        base = nothing
    values = np.zeros((len(shares), len(names)))
    for order, name in enumerate(fused.setting.over):
        values[:, names.index(name)] += shares[:, order]
    return Contributions(names, base, values, "log-odds" if odds else "score")


def _log_odds(probability: Array) -> Array:
    cut = np.clip(probability, _CUT, 1 - _CUT)
    found: Array = np.log(cut) - np.log1p(-cut)
    return found


def _orders(features: int, permutations: int, seed: int) -> Places:
    """The orders in which features come in, (orders, f): all of them where they fit, else pairs of opposites."""
    if permutations < 2 or permutations % 2:
        raise DesignError("permutations", permutations, "an even number from 2", "permutations=8")
    if math.factorial(features) <= permutations:
        return np.array(list(all_orders(range(features))), np.int64)
    rng = np.random.default_rng(seed)
    half = np.stack([rng.permutation(features) for _ in range(permutations // 2)])
    return np.concatenate([half, half[:, ::-1]])


def _blocks(rows: int, orders: int, size: int) -> Iterator[tuple[Places, Places]]:
    """Pairs of a row and an order, each of `size` rows to score, as many at once as memory allows."""
    step = max(1, _ROWS // max(size, 1))
    for low in range(0, rows * orders, step):
        row, order = np.divmod(np.arange(low, min(low + step, rows * orders)), orders)
        yield row, order


def _mixed(rows: Inputs, background: Inputs, row: Places, known: npt.NDArray[np.bool_], names: Sequence[str]) -> Inputs:
    """Rows that have what is known of a row, and the rest of each row of the background: (block · steps · b, f)."""
    several = len(background)
    taken = known[:, :, None, : len(rows.names)]
    values = np.where(taken, rows.values[row][:, None, None], background.values)
    ids = {}
    for name, column in rows.ids.items():
        place = np.where(
            known[:, :, None, names.index(name)], row[:, None, None], len(rows) + np.arange(several)
        ).ravel()
        ids[name] = pa.concat_arrays([column, background.ids[name]]).take(pa.array(place))
    return Inputs(rows.names, rows.kinds, values.reshape(math.prod(values.shape[:3]), len(rows.names)), ids)
