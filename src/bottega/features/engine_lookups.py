"""Look-ups as one Ibis expression: the newest row that was known, for any engine that has `row_number`."""

from __future__ import annotations

from typing import Any

import ibis  # type: ignore[import-untyped]

from bottega.design.features import Lookup
from bottega.design.part import microseconds
from bottega.features.entities import by_columns
from bottega.features.ibis_windows import ARRIVAL, AT, KNOWN, ROW, TIME, key_of
from bottega.features.lookups import lookup_names


def lookup_expression(lookup: Lookup, events: Any, examples: Any) -> Any:
    """Give a table with ROW and the look-up's columns for each example: what `lookup_columns` computes.

    It joins each example with all its key's rows that were known, and takes the last by (time, known, arrival): right
    everywhere, and slow where a key has many rows and many examples. Columns come as the engine holds them.

    events: an Ibis table like `events_table`. examples: an Ibis table with ROW, AT and the columns of `by`, of the same
    types. Tested on DuckDB and Spark.
    """
    by, names = by_columns(lookup.by), lookup_names(lookup)
    rows = events.select(
        **{f"key_{place}": key_of(events, name) for place, name in enumerate(by)},
        **{f"value_{place}": events[name] for place, name in enumerate(lookup.columns)},
        time=events[TIME],
        known=events[KNOWN],
        arrival=events[ARRIVAL],
    )
    asked = examples.select(
        row=examples[ROW], at=examples[AT], **{f"ask_{place}": examples[name] for place, name in enumerate(by)}
    )
    joined = asked.join(rows, [asked[f"ask_{place}"] == rows[f"key_{place}"] for place in range(len(by))])
    joined = joined.filter((joined.time < joined["at"]) & (joined.known <= joined["at"]))
    place = ibis.row_number().over(
        group_by="row", order_by=[joined.time.desc(), joined.known.desc(), joined.arrival.desc()]
    )
    placed = joined.mutate(place=place)
    found = placed.filter(placed.place == 0)
    if lookup.ttl is not None:
        found = found.filter(found.time > found["at"] - microseconds(lookup.ttl))
    found = found.select(of="row", **{name: found[f"value_{place}"] for place, name in enumerate(names)})
    result = asked.select("row").left_join(found, [asked["row"] == found["of"]])
    return result.select(**{ROW: result["row"]}, **{name: result[name] for name in names})
