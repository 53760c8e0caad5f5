"""Ingestion: a table is read and checked; what passes is accepted, what does not is kept with its reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bottega.data.checks import Refusal, infinite, missing, numbers, refusals, repeated, with_points
from bottega.data.keys import is_long
from bottega.data.labels import marked
from bottega.data.log import Log
from bottega.data.source import Place, read
from bottega.data.times import BEYOND, STRAYED, Times, beyond, check_unit, parse, strayed
from bottega.design.part import microseconds
from bottega.design.tables import Range, Table
from bottega.errors import DataError
from bottega.files import read_json, write_json, writing

ACCEPTED, QUARANTINED, INGESTED = "accepted.parquet", "quarantined.parquet", "ingested.json"

_NO_LABELS: Mapping[str, str | None] = MappingProxyType({})
_TOP = 3  # reasons named when nothing is left


@dataclass(frozen=True)
class Ingested:
    """How many rows of a table were accepted, and why the others were not: `accepted + quarantined == offered`."""

    offered: int
    """Rows of the source."""
    accepted: int
    """Rows that passed everything."""
    quarantined: int
    """Rows that did not."""
    reasons: dict[str, int]
    """Rows by the first reason in the order of declaration; they sum to `quarantined`."""
    repeated: int = 0
    """Accepted rows whose key, at an equal time, stands in an earlier one: of equal keys the last row counts."""

    def told(self) -> str:
        """Say how many rows were offered, accepted and put aside, why, and how many keys are repeated.

        >>> Ingested(9, 7, 2, {"time: missing": 2}, 3).told()
        '9 offered   7 accepted   2 quarantined (time: missing: 2)   3 keys repeated (the last row counts)'
        """
        why = ", ".join(f"{reason}: {count:,}" for reason, count in sorted(self.reasons.items(), key=lambda x: -x[1]))
        said = [
            f"{self.offered:,} offered",
            f"{self.accepted:,} accepted",
            f"{self.quarantined:,} quarantined{f' ({why})' if why else ''}",
        ]
        if self.repeated:
            noun = "key" if self.repeated == 1 else "keys"
            said.append(f"{self.repeated:,} {noun} repeated (the last row counts)")
        return "   ".join(said)

    def alarm(self) -> str:
        """Say that more than half of the rows were put aside, and mostly why; nothing where it was less.

        >>> Ingested(9, 3, 6, {"points: not a number": 5, "time: missing": 1}).alarm()
        '67 % of the rows are quarantined, mostly: points: not a number'
        """
        if 2 * self.quarantined <= self.offered:
            return ""
        share = 100 * self.quarantined / self.offered
        most = max(self.reasons, key=lambda reason: self.reasons[reason])
        return f"{'over 99' if share > 99 else f'{share:.0f}'} % of the rows are quarantined, mostly: {most}"


def ingest(
    table: Table,
    place: Place,
    folder: Path,
    text: Collection[str] = (),
    labels: Mapping[str, str | None] = _NO_LABELS,
) -> Ingested:
    """Read a table, judge its rows, and write what was accepted and what was not.

    Reasons come in this order: `time: missing`, `time: not a time`, `time: before 1900 or after 2099`, `time: in 1970,
    unlike most` (a number that is 0, or counts another unit), the same of `created`, `infinite` of each label, the
    checks as declared, `event_id: repeated` (an earlier row that passed all else has the same id). A row that fails
    several counts under the first, and its `reason` names all, joined by `; `. Another float that is not finite is null
    in what is accepted, and the text column of a `Range` in numbers becomes numbers there, decimal commas (`4,5`) too.

    `folder/accepted.parquet`: our columns in the order of arrival, but for lists and structures, which no part of a
    design reads and no event holds; the columns of `time` and `created` as timestamp[us, UTC].
    `folder/quarantined.parquet`: the columns as the source has them, and `reason` (`_reason` where the source has one).
    `folder/ingested.json`: the counts. The same data give the same bytes.

    table: as the design has it; place: where its source is; text: columns of ids, which CSV must keep as text; so are
    ids that are whole numbers which no float64 holds. labels: columns that may not be infinite, where they are there,
    each with the value that counts as 1 where it has one.
    Raises `DataError`: what `read` refuses, a column that a check names and that is not there, no row left.
    """
    source = _exact(read(table, place, text), text)
    rows = _pointed(table, source)
    times = {
        name: parse(rows.column(name), f"data.tables[{table.name}].{field}", table.timezone, table.time_format)
        for field, name in (("time", table.time), ("created", table.created))
        if name is not None
    }
    for field, name in (("time", table.time), ("created", table.created)):
        if name is not None:
            where = f"data.tables[{table.name}].{field}"
            check_unit(rows.column(name), times[name], where, table.time_format)
    refused = [refusal for refusal in _judge(table, rows, times, labels) if refusal.rows.any()]
    good = np.ones(rows.num_rows, np.bool_)
    reasons: dict[str, int] = {}
    for refusal in refused:
        reasons[refusal.reason] = reasons.get(refusal.reason, 0) + int(np.count_nonzero(refusal.rows & good))
        good &= ~refusal.rows
    reasons = {reason: count for reason, count in reasons.items() if count}
    accepted = int(np.count_nonzero(good))
    if accepted == 0:
        raise _nothing_left(table, rows.num_rows, reasons)
    if accepted < rows.num_rows:
        bad = source.filter(pa.array(~good))
        rows = rows.filter(pa.array(good))
    else:
        bad = source.slice(0, 0)
    name = "reason" if "reason" not in bad.column_names else "_reason"
    _write(bad.append_column(name, _reasons(refused, ~good)), folder / QUARANTINED)
    _write(_labelled(_flat(_typed(table, rows, times, good)), labels), folder / ACCEPTED)
    result = Ingested(len(good), accepted, len(good) - accepted, reasons, _repeated(table, rows))
    write_json(folder / INGESTED, asdict(result))
    return result


def read_ingested(folder: Path) -> Ingested:
    """Read the counts that `ingest` wrote."""
    return Ingested(**read_json(folder / INGESTED))


def read_log(table: Table, folder: Path) -> Log:
    """Read what `ingest` accepted as a log; its columns lie in memory, its times are views of theirs.

    `known` is the later of `time` and `created`, plus `available_after`.
    """
    with pq.ParquetFile(folder / ACCEPTED, memory_map=True) as file:
        rows = file.read()
    time = None if table.time is None else _microseconds(rows, table.time)
    created = None if table.created is None else _microseconds(rows, table.created)
    known = time if created is None else created if time is None else np.maximum(time, created)
    delay = microseconds(table.available_after)
    return Log(table.name, rows, time, known + delay if known is not None and delay else known)


def _repeated(table: Table, rows: pa.Table) -> int:
    """Count the rows whose key, at an equal time, stands in an earlier one."""
    key = [table.key] if isinstance(table.key, str) else list(table.key or ())
    columns = [*key, *([table.time] if table.time is not None else [])]
    if not key or not set(columns) <= set(rows.column_names):
        return 0
    return int(np.count_nonzero(repeated(rows, columns, np.ones(rows.num_rows, np.bool_))))


def _judge(table: Table, rows: pa.Table, times: dict[str, Times], labels: Collection[str]) -> list[Refusal]:
    found = []
    for field, name in (("time", table.time), ("created", table.created)):
        if name is not None:
            found.append(Refusal(f"{field}: missing", times[name].missing))
            found.append(Refusal(f"{field}: not a time", times[name].broken))
            found.append(Refusal(f"{field}: {BEYOND}", beyond(times[name])))
            found.append(Refusal(f"{field}: {STRAYED}", strayed(times[name], table.time_format)))
    there = [name for name in labels if name in rows.column_names]
    found.extend(Refusal(f"{name}: infinite", infinite(rows.column(name))) for name in there)
    found.extend(refusals(table, rows, times, _without(found, rows.num_rows)))
    if table.event_id is not None:
        found.append(Refusal("event_id: repeated", repeated(rows, [table.event_id], _without(found, rows.num_rows))))
    return found


def _without(refused: Sequence[Refusal], n: int) -> NDArray[np.bool_]:
    good = np.ones(n, np.bool_)
    for refusal in refused:
        good &= ~refusal.rows
    return good


def _reasons(refused: Sequence[Refusal], bad: NDArray[np.bool_]) -> pa.Array:
    """Join the reasons of each bad row: one text for each combination that occurs, then a look-up."""
    if not refused or not bad.any():
        return pa.array([], pa.string())
    failed = np.stack([refusal.rows[bad] for refusal in refused])  # (checks, bad rows)
    packed = np.ascontiguousarray(np.packbits(failed, axis=0).T)  # (bad rows, bytes)
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    texts = ["; ".join(refused[row].reason for row in np.flatnonzero(failed[:, at]).tolist()) for at in first]
    return pa.array(texts, pa.string()).take(pa.array(which))


def _pointed(table: Table, rows: pa.Table) -> pa.Table:
    """Give the columns that a `Range` judges, where they are text, with points for decimal commas."""
    for name in {check.column for check in table.checks if isinstance(check, Range)} & set(rows.column_names):
        column = rows.column(name)
        is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        if is_text and name not in (table.time, table.created):
            rows = rows.set_column(rows.column_names.index(name), name, with_points(column))
    return rows


def _typed(table: Table, rows: pa.Table, times: dict[str, Times], good: NDArray[np.bool_]) -> pa.Table:
    """Give the accepted rows the types that everything after counts on."""
    measured = {check.column for check in table.checks if isinstance(check, Range)}
    for place, field in enumerate(rows.schema):
        column = rows.column(place)
        is_text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        if field.name in times:
            new = pa.array(times[field.name].values[good]).view(pa.timestamp("us", "UTC"))
        elif field.name in measured and is_text:
            new = _as_numbers(column)
        elif pa.types.is_floating(field.type) and (missing(column) & column.is_valid().to_numpy()).any():
            new = pc.if_else(pa.array(~missing(column)), column, pa.scalar(None, field.type))
        else:
            continue
        rows = rows.set_column(place, field.name, new)
    return rows


def _flat(rows: pa.Table) -> pa.Table:
    return rows.select([field.name for field in rows.schema if not pa.types.is_nested(field.type)])


def _labelled(rows: pa.Table, labels: Mapping[str, str | None]) -> pa.Table:
    """Write labels of words as 1 and 0."""
    for place, (name, positive) in enumerate(labels.items()):
        if positive is not None and name in rows.column_names:
            values = marked(rows.column(name), positive, f"data.labels[{place}]")
            rows = rows.set_column(rows.column_names.index(name), name, values)
    return rows


def _as_numbers(column: pa.ChunkedArray) -> pa.Array:
    values, _ = numbers(column)
    filled = ~np.isnan(values)
    whole = bool((values[filled] == np.floor(values[filled])).all() and (np.abs(values[filled]) < 2**53).all())
    kept = np.where(filled, values, 0).astype(np.int64) if whole else values
    return pa.array(kept, mask=~filled)


def _microseconds(rows: pa.Table, name: str) -> NDArray[np.int64]:
    values: NDArray[np.int64] = rows.column(name).cast(pa.int64()).to_numpy()
    return values


def _write(rows: pa.Table, path: Path) -> None:
    with writing(path) as part:
        pq.write_table(rows, part, compression="zstd", compression_level=1)


def _nothing_left(table: Table, offered: int, reasons: dict[str, int]) -> DataError:
    top = sorted(reasons.items(), key=lambda item: -item[1])[:_TOP]
    return DataError(
        f"data.tables[{table.name}]",
        f"all {offered:,} rows are refused: " + ", ".join(f"{reason} ({count:,})" for reason, count in top),
        "at least one row that passes time and checks",
        "look whether the columns, the units and the checks of the table are meant so",
    )


def _exact(rows: pa.Table, ids: Collection[str]) -> pa.Table:
    """Write ids that are whole numbers beyond 2^53 as text: as numbers, two of them could become one."""
    for place, field in enumerate(rows.schema):
        if field.name in ids and is_long(rows.column(place)):
            rows = rows.set_column(place, field.name, rows.column(place).cast(pa.string()))
    return rows
