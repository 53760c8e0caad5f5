"""Merging tiles as one Ibis expression: a state, and what became usable since, make the state of a later moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis  # type: ignore[import-untyped]

from bottega.features.ibis_tiles import AS_OF, BUCKET, ROWS, VALUE, oldest_of, weight
from bottega.features.tracks import Track

_METHODS = {ROWS: "sum", "count": "sum", "sum": "sum", "min": "min", "max": "max"}


def merged_expression(track: Track, by: Sequence[str], states: Sequence[Any], at: int) -> Any:
    """Give the state of a moment from states of rows that are all different: what `state_expression` gives of them all.

    So a log need not be read whole: yesterday's state and that of the rows that became usable `after` it are enough.
    Wrong where a row is in two of the states: it counts twice.

    states: Ibis tables, at least one, as `state_expression` gives them of this track, of `at` or of moments before. at:
    microseconds since 1970 UTC; what no cell reaches from there on is left out.
    """
    columns = states[0].columns
    rows = ibis.union(*states, distinct=False) if len(states) > 1 else states[0]
    oldest = oldest_of(track, at)
    if oldest is not None:
        rows = rows.filter((rows[BUCKET] * track.hop if track.kind == "tiles" else rows.time) >= oldest)
    if track.kind == "distinct":
        return rows.group_by([*by, VALUE]).aggregate(time=rows.time.max())
    if track.kind != "tiles":
        place = ibis.row_number().over(group_by=list(by), order_by=[rows.time.desc(), rows.known.desc()])
        placed = rows.mutate(place=place)
        return placed.filter(placed.place == 0).select(columns)
    parts: dict[str, Any] = {}
    for name in (name for name in columns if name not in (*by, BUCKET, AS_OF)):
        kind, *numbers = name.split("_")
        if kind == "decayed":
            parts[name] = (rows[name] * weight(at - rows[AS_OF], int(numbers[1]))).sum()
        else:
            parts[name] = getattr(rows[name], _METHODS[kind])()
    made = rows.group_by([*by, BUCKET]).aggregate(**parts)
    return made.mutate(**{AS_OF: ibis.literal(at, "int64")}).select(columns) if AS_OF in columns else made
