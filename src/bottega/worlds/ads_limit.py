"""What could be known in an ads world: true probabilities, and the best prediction from what the log shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bottega.errors import DataError, DesignError
from bottega.worlds.ads_truth import DEVICES, Events, Floats, Ints, Truth, attraction, examination

Columns: TypeAlias = "pa.Table | Mapping[str, Any]"
LABELS = ("clicked", "converted")
_NODES = 15  # of the quadrature: for spreads to 1 its error is below 1e-5 of the probability
_BLOCK = 1 << 18  # rows taken together; bounds the memory


def true_probabilities(
    folder: Path, columns: Columns, position: int | NDArray[Any] | None = None, label: str = "clicked"
) -> Floats:
    """Give the true probability of a click, or of a conversion given a click, for any user, query, ad and place.

        P(click) = position^−0.7 · E_ε[1 − exp(−exp(strength + mood + ε))],  ε ~ N(0, intent²)

    with the strength of `Truth.strength` and the mood of the day as it was. What the search's intent ε was is no
    question that can be asked: it is integrated out, so that the mean over many searches is right, and the clicks of
    one search hang together. P(conversion | click) weighs the intents by the click.

    folder: where `AdsWorld.write` wrote.
    columns: a table, or arrays by name, (n,) each: user_id, query, ad_id, device, shown_at (timestamps, or integers as
        microseconds since 1970 UTC), and position unless it is given.
    position: the place that counts in place of the column's, 1 or more: one for all, or (n,). Larger is clicked less.
    label: `clicked`, or `converted`: at any time after a click, the log's end does not matter.

    Returns (n,) float64 in 0..1. Raises `DesignError` for an unknown label, `DataError` for a missing column, an id
    that the world does not know, a place under 1, or a folder without a truth.

    >>> import tempfile
    >>> from bottega.worlds.ads import AdsWorld
    >>> home = Path(tempfile.mkdtemp())
    >>> AdsWorld(rows=2_000, days=2).write(home)
    >>> import pyarrow.parquet as pq
    >>> log = pq.read_table(home / "impressions")
    >>> first, third = (true_probabilities(home, log, position=place) for place in (1, 3))
    >>> bool(np.allclose(third / first, 3**-0.7))
    True
    """
    return _probabilities(folder, columns, position, label, moody=False)


def limits(folder: Path, columns: Columns, label: str = "clicked") -> Floats:
    """Give the best prediction that sees the log's columns as a model does: the search's intent and the day's mood out.

        P(click | columns) = position^−0.7 · E[1 − exp(−exp(strength + e))],  e ~ N(0, intent² + shock²)

    No model that predicts from what is known before the click has a lower expected log loss. It knows the effect of
    every id, which a model must learn from clicks: a part of its lead cannot be had from a log of any one size, and
    most of that lies on people and ads seen little. It is wrong where a model sees the same day's clicks before the
    event: those tell a little of the day's mood (spread `shock`), and, within one page, of the intent.

    folder, columns, label and errors: as of `true_probabilities`; columns holds the position.

    Returns (n,) float64 in 0..1.

    >>> import tempfile
    >>> from bottega.worlds.ads import AdsWorld
    >>> home = Path(tempfile.mkdtemp())
    >>> AdsWorld(rows=2_000, days=2).write(home)
    >>> import pyarrow.parquet as pq
    >>> limits(home, pq.read_table(home / "impressions")).max() < 1
    np.True_

    Source: Gauss–Hermite quadrature.
    """
    return _probabilities(folder, columns, None, label, moody=True)


def _probabilities(
    folder: Path, columns: Columns, position: int | NDArray[Any] | None, label: str, moody: bool
) -> Floats:
    if label not in LABELS:
        raise DesignError("label", repr(label), f"one of {', '.join(LABELS)}", "label='clicked'")
    truth = Truth.load(folder / "truth")
    events = read_events(truth, columns)
    place = _places(columns, position, len(events.at))
    found = np.empty(len(events.at))
    for start in range(0, len(found), _BLOCK):
        rows = slice(start, start + _BLOCK)
        part = Events(events.user[rows], events.query[rows], events.ad[rows], events.device[rows], events.at[rows])
        strength = truth.strength(part)
        shock = truth.settings.shock if moody else 0.0
        if not moody:
            strength += truth.mood(part.at)
        if label == "clicked":
            found[rows] = examination(place[rows]) * clicks(strength, np.hypot(truth.settings.intent, shock))
        else:
            converts = truth.conversion_strength(part)
            found[rows] = _conversions(strength, converts, truth.settings.intent, truth.settings.carried, shock)
    return found


def clicks(strength: Floats, spread: float) -> Floats:
    """Give the mean attraction over a normal noise of this spread on the strength: (n,)."""
    if spread == 0:
        return attraction(strength)
    nodes, weights = _quadrature()
    return np.asarray(sum(weights[i] * attraction(strength + spread * nodes[i]) for i in range(_NODES)), np.float64)


def _conversions(strength: Floats, converts: Floats, intent: float, carried: float, shock: float) -> Floats:
    """Give P(conversion | click): the mean over intents, each weighed by the chance of the click: (n,)."""
    nodes, weights = _quadrature()
    both, clicked = np.zeros(len(strength)), np.zeros(len(strength))
    for node, weight in zip(intent * nodes, weights, strict=True):
        chance = weight * clicks(strength + node, shock)
        clicked += chance
        both += chance * attraction(converts + carried * node)
    return both / clicked


def _quadrature() -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    return nodes, weights / weights.sum()


def read_events(truth: Truth, columns: Columns) -> Events:
    """Turn a log's columns into the codes of the truth; `DataError` for what it does not know."""
    at = _column(columns, "shown_at")
    if pa.types.is_timestamp(at.type):
        at = at.cast(pa.timestamp("us", at.type.tz), safe=False)
    elif not pa.types.is_integer(at.type):
        raise DataError("columns['shown_at']", f"{at.type}", "timestamps, or integers as microseconds since 1970 UTC")
    user = _codes(columns, "user_id", truth.users.id)
    query = _codes(columns, "query", truth.queries.text)
    ad = _codes(columns, "ad_id", truth.ads.id)
    device = _codes(columns, "device", np.array(DEVICES))
    lengths = {len(at), len(user), len(query), len(ad), len(device)}
    if len(lengths) > 1:
        raise DataError("columns", f"lengths {sorted(lengths)}", "columns of one length (n,)", "give them of one table")
    if at.null_count:
        raise DataError("columns['shown_at']", f"{at.null_count} nulls", "a time in each row", "drop the rows")
    return Events(user, query, ad, device, np.asarray(at.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64))


def _places(columns: Columns, position: int | NDArray[Any] | None, rows: int) -> Floats:
    if position is None:
        values = _column(columns, "position").to_numpy(zero_copy_only=False)
    else:
        values = np.broadcast_to(np.asarray(position), rows) if np.ndim(position) == 0 else np.asarray(position)
    if values.shape != (rows,) or not (values >= 1).all():
        raise DataError("position", f"{values}", f"({rows},) places from 1 on", "1 is the best place")
    return np.asarray(values, np.float64)


def _codes(columns: Columns, name: str, known: NDArray[Any]) -> Ints:
    """Give the place of each value among the known ones."""
    values, among = _column(columns, name), pa.array(known)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    places = pc.index_in(values.cast(among.type), value_set=among)
    if places.null_count:
        strange = values.filter(pc.is_null(places))[0].as_py()
        allowed = f"one that the world has, such as {known[0].item()!r}"
        raise DataError(f"columns[{name!r}]", repr(strange), allowed, "ask about the rows of the world's own log")
    return np.asarray(places.to_numpy(zero_copy_only=False), np.int64)


def _column(columns: Columns, name: str) -> pa.Array:
    names = columns.column_names if isinstance(columns, pa.Table) else list(columns)
    if name not in names:
        raise DataError("columns", f"no {name} among {', '.join(names)}", "the log's columns", f"add {name}")
    values = columns[name]
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks()
    return values if isinstance(values, pa.Array) else pa.array(values)
