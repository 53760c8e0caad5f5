"""Examples that are rows of a log: one candidate shown, or one event to decide on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.examples import PART_NAMES, TEST, VALIDATE, Borders, Examples, Requests
from bottega.data.grouped import in_requests, once, relevant, renumbered, request_columns, starts
from bottega.data.keys import as_text, encode, identifiers
from bottega.data.labels import Matured, asked, column_of, matured, numbers_of
from bottega.data.log import Log
from bottega.data.positions import place_codes, positions, served_code
from bottega.data.splits import (
    Part,
    at_random,
    borders,
    by_chance,
    by_group,
    by_time,
    check_parts,
    given,
    held_out,
)
from bottega.data.times import empty_days
from bottega.design.data import (
    GivenSplit,
    GroupSplit,
    InversePropensity,
    Label,
    PositionFeature,
    RandomSplit,
    TimeSplit,
)
from bottega.design.design import Design
from bottega.design.examples import Logged
from bottega.design.part import microseconds
from bottega.errors import DataError


def logged(design: Design, log: Log) -> Examples:
    """Make the examples of a log, each row one, and part them.

    Rows whose main label is missing, censored, not final when the log ends, or given another that is not above 0, are
    no examples. Nor are rows without a candidate where there should be one, and rows that repeat a candidate of their
    request, of which the first stays. `dropped` counts them all. Of further labels values that are missing, not final
    or not asked are NaN; a row without its main label is no example, whatever they say.

    Rows with equal request columns at an equal time are one request; without a candidate each row is a request of its
    own. Requests come in the order of time, then of arrival; the relevant of a request are its candidates with a main
    label above 0. A day without rows changes nothing and is noted, as are labels that came too late to count.

    design: with Logged; log: of its table.
    Gives examples with `row`, the row of the log that each is. Raises `DataError`: a column that is not there, an
    empty part, a part with one value of the label alone, a group or given part that differs within one request, places
    that are no whole numbers from 1, propensities that are missing or outside (0, 1].
    """
    examples, data = design.data.examples, design.data
    if not isinstance(examples, Logged):
        raise DataError("data.examples", type(examples).__name__, "Logged")
    table = next(table for table in data.tables if table.name == examples.table)
    read = [matured(label, table, log, f"data.labels[{place}]") for place, label in enumerate(data.labels)]
    end = None if log.time is None else log.end()
    known = asked(data.labels, read, end)
    at = None
    if isinstance(data.split, TimeSplit):
        at = borders(data.split, log, max(microseconds(label.matures_after) for label in data.labels))
    use, dropped = _usable(data.labels[0], read[0], known[0], end)
    row = np.flatnonzero(use)
    time = np.zeros(len(row), np.int64) if log.time is None else log.time[row]
    order = np.argsort(time, kind="stable")
    row, time = row[order], time[order]
    first, group = in_requests(examples, log, row, time)
    rank = np.argsort(group, kind="stable")  # rows of one request together, in the order of arrival
    row, group = row[rank], group[rank]
    candidate = None
    if examples.candidate is not None:
        candidate = as_text(column_of(log, examples.candidate, "data.examples.candidate")).take(pa.array(row))
        stays = once(group, candidate)
        if repeated := int(np.count_nonzero(~stays)):
            dropped[f"{examples.candidate}: missing or repeated in its request"] = repeated
            row, group, candidate = row[stays], group[stays], candidate.filter(pa.array(stays))
        first, group = renumbered(first, group)
    times, value = time[first], known[0].value[row]
    part, unit = _part(data.split, at, log, row, group, times, known[0].final, examples.request[0])
    check_parts(part)
    _check_classes(value, part[group], data.labels[0].name)
    columns = request_columns(examples, log, identifiers(design), row[starts(group)])
    named = dict(zip((label.name for label in data.labels), known, strict=True))
    return Examples(
        Requests(columns, times, part, *relevant(group, candidate, value)),
        group,
        candidate,
        value,
        np.ones(len(value), np.float32),
        {name: label.value[row] for name, label in named.items()} if len(named) > 1 else {},
        row,
        {name: label.final[row] for name, label in named.items()},
        {name: label.early[row] for name, label in named.items() if label.early is not None},
        {name: label.ripe[row] for name, label in named.items() if label.ripe is not None},
        None if data.position is None else _positions(data.position, log, row),
        None if examples.propensity is None else _propensities(examples.propensity, log, row),
        unit,
        at,
        isinstance(data.split, GivenSplit) and _says_validation(data.split, log),
        dropped,
        _noted(named, log),
    )


def _positions(treatment: PositionFeature | InversePropensity, log: Log, row: NDArray[np.int64]) -> NDArray[np.float32]:
    """Give the place of each row, (n,); a model must have learnt the one in which all are served."""
    found = positions(treatment.column, log, row)
    if isinstance(treatment, PositionFeature) and served_code(treatment) not in place_codes(found, treatment.places):
        least, most = np.nanmin(found), np.nanmax(found)
        raise DataError(
            "data.position.served_as",
            f"place {treatment.served_as}, in which no example stood: they stood in {least:g} to {most:g}",
            "a place of the log, of which models can learn",
            f"served_as={least:g}, with places={int(least)} or more",
        )
    return found


def _usable(label: Label, read: Matured, known: Matured, end: int | None) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Mark the rows (n,) whose main label can be learnt or judged, and count why the others cannot."""
    use = ~np.isnan(known.value)
    left, dropped = ~use, {}
    for reason, bad in (
        ("censored", read.censored),
        ("not mature when the log ends", np.zeros_like(use) if end is None else known.final > end),
        ("missing", np.isnan(read.value)),
        (f"{label.given} is not above 0, or not known", left),
    ):
        if count := int(np.count_nonzero(left & bad)):
            dropped[f"{label.name}: {reason}"] = count
        left = left & ~bad
    if not use.any():
        raise DataError(
            "data.labels[0]", f"no row is an example: {dropped}", "rows whose label is there and final", "a longer log"
        )
    return use, dropped


def _noted(labels: Mapping[str, Matured], log: Log) -> dict[str, int]:
    noted = {f"{name}: above 0 too late, counted as 0": label.late for name, label in labels.items() if label.late}
    if log.time is not None and (days := empty_days(log.time)):
        noted["days without a row"] = days
    return noted


def _propensities(name: str, log: Log, row: NDArray[np.int64]) -> NDArray[np.float32]:
    """Read the probability by which each candidate was shown, (n,)."""
    where = "data.examples.propensity"
    values = numbers_of(log, name, where, "a probability above 0 to 1 in every row")[row]
    counts = {
        "missing": int(np.count_nonzero(np.isnan(values))),
        "0 or less": int(np.count_nonzero(values <= 0)),
        "above 1": int(np.count_nonzero(values > 1)),
    }
    if any(counts.values()):
        found = ", ".join(f"{count:,} {reason}" for reason, count in counts.items() if count)
        raise DataError(
            where,
            f"{name!r} of {len(values):,} examples: {found}",
            "a probability above 0 to 1 in every row",
            f"checks=[bt.NotNull([{name!r}]), bt.Range({name!r}, above=0, at_most=1)] put such rows into quarantine",
        )
    return values.astype(np.float32)


def _part(
    split: TimeSplit | GroupSplit | GivenSplit | RandomSplit,
    at: Borders | None,
    log: Log,
    row: NDArray[np.int64],
    group: NDArray[np.int32],
    times: NDArray[np.int64],
    final: NDArray[np.int64],
    asked_by: str,
) -> tuple[Part, NDArray[np.int32] | None]:
    """Give the part of each request (r,), and its group where the split goes by groups."""
    if at is not None:
        last = np.full(len(times), np.iinfo(np.int64).min)
        np.maximum.at(last, group, final[row])
        return by_time(at, times, last), None
    if isinstance(split, GroupSplit):
        values = _of_requests(log, split.by, "data.split.by", row, group)
        return by_group(split, values), encode(values)[0]
    if isinstance(split, GivenSplit):
        asked = column_of(log, asked_by, "data.examples.request")
        names = as_text(asked).take(pa.array(row[starts(group)]))  # all requests of one person stay together
        if split.otherwise is not None and split.column not in log.rows.column_names:
            return by_chance(split.otherwise, names), None
        part = given(split, _of_requests(log, split.column, "data.split.column", row, group))
        return held_out(split, part, names), None
    if isinstance(split, RandomSplit):
        return at_random(split, len(times)), None
    raise DataError("data.split", f"TimeSplit, and {log.name!r} has no time", "a table with a time")


def _says_validation(split: GivenSplit, log: Log) -> bool:
    if not isinstance(split.validate, str) or split.column not in log.rows.column_names:
        return False
    return bool((given(split, log.column(split.column)) == VALIDATE).any())


def _of_requests(log: Log, name: str, where: str, row: NDArray[np.int64], group: NDArray[np.int32]) -> pa.StringArray:
    """Give a column's value of each request (r,), the same in all of its rows."""
    values = as_text(column_of(log, name, where)).take(pa.array(row))
    codes, _ = encode(values)
    begin = starts(group)
    if (codes != codes[begin][group]).any():
        raise DataError(
            where,
            f"{name!r} differs between rows of one request",
            "one value for all rows of a request",
            f"add {name!r} to the columns of the request, or split by another",
        )
    return values.take(pa.array(begin))


def _check_classes(value: NDArray[np.float32], part: Part, name: str) -> None:
    for number in range(TEST + 1):
        found = np.unique(value[part == number])
        if len(found) < 2:
            raise DataError(
                "data.labels[0]",
                f"{name!r} is {found[0]:g} in every example of the {PART_NAMES[number]} part",
                "at least two values in each part",
                "look whether the label's column is meant so, or take longer parts",
            )
