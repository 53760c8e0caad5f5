"""Steps: each picture is decoded or put aside, and has its part."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bottega.data.examples import PART_NAMES, TEST, TRAIN, VALIDATE
from bottega.data.keys import as_text, encode
from bottega.data.log import Log
from bottega.data.splits import at_random, by_chance, by_group, check_parts, given, held_out
from bottega.design.data import GivenSplit, GroupSplit, RandomSplit
from bottega.design.design import Design
from bottega.design.examples import SameValue
from bottega.design.features import Image
from bottega.errors import DataError, nearest
from bottega.files import read_json, write_json
from bottega.models.images.decoding import Pictures, decode_one
from bottega.runs.step import Result
from bottega.runs.steps.job import Job

_BLOCK = 1024  # pictures decoded by a thread at once
_COUNTS = "refused.json"


@dataclass(frozen=True, eq=False)
class Items:
    """The pictures of a run, in the order of their ids.

    ids: (n,). row: (n,) of the table's accepted rows. pictures: (n, height, width, channels), mapped from a file.
    value: (n,) code of what makes items alike, −1 where there is none. part: (n,).
    """

    ids: pa.StringArray
    row: npt.NDArray[np.int64]
    pictures: Pictures
    value: npt.NDArray[np.int32]
    part: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.row)


def picture_of(design: Design) -> Image:
    """Give the one picture among a design's features."""
    return next(feature for feature in design.features if isinstance(feature, Image))


def same_value(design: Design) -> SameValue:
    """Give the examples of a design that searches pictures."""
    examples = design.data.examples
    if not isinstance(examples, SameValue):
        raise TypeError("only items that share values are searched by pictures")
    return examples


def decode_pictures(job: Job) -> Result:
    """Decode each picture of the table; those that cannot be are counted by reason, and the run goes on.

    Of rows with one id the last counts. Raises `DataError` where the table lacks a column, or nothing is left.
    """
    picture, table = picture_of(job.design), job.tables[same_value(job.design).table]

    def work(folder: Path, _: Result) -> str:
        log = job.log(table.name)
        ids = as_text(column(log, str(table.key), f"data.tables[{table.name}].key"))
        images = column(log, picture.column, "features: Image.column")
        _check_bytes(images, picture.column)
        row = _last(ids)
        found = np.lib.format.open_memmap(
            folder / "pictures.npy", "w+", np.uint8, (len(row), *picture.size, picture.channels)
        )
        reasons = _decoded(images, row, picture, found)
        good = np.array([reason is None for reason in reasons], np.bool_)
        counts: Counter[str] = Counter(f"{picture.column}: {reason}" for reason in reasons if reason is not None)
        if lost := len(ids) - int(pc.sum(ids.is_valid()).as_py() or 0):
            counts[f"{table.key}: missing"] = lost
        if not good.any():
            found_ = ", ".join(f"{reason} ({count:,})" for reason, count in counts.most_common(3))
            raise DataError(f"data.tables[{table.name}]", f"no picture is left: {found_}", "one that can be decoded")
        if not good.all():
            kept = np.flatnonzero(good)
            for low in range(
                0, len(kept), _BLOCK
            ):  # forwards within one file: what is read lies behind what is written
                found[low : low + len(kept[low : low + _BLOCK])] = found[kept[low : low + _BLOCK]]
        found.flush()
        np.save(folder / "row.npy", row[good])
        refused = {"row": row[~good], "reason": [reason for reason in reasons if reason is not None]}
        pq.write_table(pa.table({"id": ids.take(pa.array(row[~good])), **refused}), folder / "quarantined.parquet")
        write_json(folder / _COUNTS, dict(counts))
        colour = "colour" if picture.channels > 2 else "grey"
        told = f"{int(good.sum()):,} read as {picture.size[0]} × {picture.size[1]} in {colour}"
        return told + "".join(f"; {count:,} {reason}" for reason, count in counts.items())

    return job.runner.step(
        "pictures",
        work,
        inputs={"image": picture, "key": table.key},
        needs=[job.ingested[table.name]],
        code=("bottega.models.images.decoding", "bottega.runs.steps.pictures.items"),
        libraries=("numpy", "pyarrow", "pillow"),
        note=picture.column,
    )


def refused(decoded: Result) -> dict[str, int]:
    """Give how many pictures were put aside, by reason."""
    found: dict[str, int] = read_json(decoded.folder / _COUNTS)
    return found


def with_refused(counts: dict[str, Any], table: str, decoded: Result) -> dict[str, Any]:
    """Add the pictures that were put aside to the counts of their table."""
    told, bad = counts[table], refused(decoded)
    lost = sum(bad.values())
    changed = {"accepted": told["accepted"] - lost, "quarantined": told["quarantined"] + lost}
    return {**counts, table: {**told, **changed, "reasons": {**told["reasons"], **bad}}}


def part_pictures(job: Job, decoded: Result) -> Result:
    """Give each picture its part, as the split says; `DataError` where one of them is empty."""
    spec, split = same_value(job.design), job.design.data.split

    def work(folder: Path, made: Result) -> str:
        log, row = job.log(spec.table), np.load(made.folder / "row.npy")
        ids = as_text(log.column(str(job.tables[spec.table].key))).take(pa.array(row))
        value = encode(as_text(column(log, spec.column, "data.examples.column")).take(pa.array(row)))[0]
        part = _parts(split, log, row, ids)
        check_parts(part)
        np.save(folder / "part.npy", part)
        np.save(folder / "value.npy", value)
        known = ", ".join(f"{PART_NAMES[number]} {np.count_nonzero(part == number):,}" for number in range(TEST + 1))
        return f"{known} pictures, {len(np.unique(value[value >= 0])):,} different {spec.column}"

    return job.runner.step(
        "parts",
        work,
        inputs={"split": split, "examples": spec},
        needs=[decoded],
        code=("bottega.data.splits", "bottega.runs.steps.pictures.items"),
        libraries=("numpy", "pyarrow"),
    )


def read_items(job: Job, decoded: Result, parted: Result) -> Items:
    """Read what the two steps wrote, once a run."""

    def read() -> Items:
        row, value = np.load(decoded.folder / "row.npy"), np.load(parted.folder / "value.npy")
        table = same_value(job.design).table
        ids = as_text(job.log(table).column(str(job.tables[table].key))).take(pa.array(row))
        pictures = np.load(decoded.folder / "pictures.npy", mmap_mode="r")[: len(row)]
        return Items(ids, row, pictures, value.astype(np.int32), np.load(parted.folder / "part.npy"))

    return job.once(("items", decoded.key, parted.key), read)


def column(log: Log, name: str, where: str) -> pa.ChunkedArray:
    """Give a column of a table; `DataError` with the nearest one where it is not there."""
    if name not in log.rows.column_names:
        known = log.rows.column_names
        raise DataError(where, f"no column {name!r} in {log.name}", ", ".join(known), nearest(name, known))
    return log.rows.column(name)


def _parts(split: Any, log: Log, row: npt.NDArray[np.int64], ids: pa.StringArray) -> npt.NDArray[np.int8]:
    if isinstance(split, RandomSplit):
        return at_random(split, len(row))
    name = split.by if isinstance(split, GroupSplit) else split.column
    if isinstance(split, GivenSplit) and split.otherwise is not None and name not in log.rows.column_names:
        return by_chance(split.otherwise, ids)
    where = "data.split.by" if isinstance(split, GroupSplit) else "data.split.column"
    values = as_text(column(log, name, where)).take(pa.array(row))
    if isinstance(split, GroupSplit):
        return by_group(split, values)
    part = held_out(split, given(split, values), ids)
    if split.otherwise is not None and not (part == VALIDATE).any():
        part = np.where((part == TRAIN) & (by_chance(split.otherwise, ids) == VALIDATE), VALIDATE, part)
    return part.astype(np.int8)


def _last(ids: pa.StringArray) -> npt.NDArray[np.int64]:
    """The last row of each id, in the order of the ids; rows without one are left out."""
    codes, names = encode(ids)
    last = np.full(len(names), -1, np.int64)
    last[codes[codes >= 0]] = np.flatnonzero(codes >= 0)
    return last


def _check_bytes(images: pa.ChunkedArray, name: str) -> None:
    if not (pa.types.is_binary(images.type) or pa.types.is_large_binary(images.type)):
        raise DataError(
            "features: Image.column",
            f"{name!r} is {images.type}",
            "bytes of picture files: binary",
            "write the files' bytes into a column of Parquet",
        )


def _decoded(
    images: pa.ChunkedArray, row: npt.NDArray[np.int64], picture: Image, found: Pictures
) -> Sequence[str | None]:
    """Fill `found`, and say of each picture why it is none."""
    taken = images.take(pa.array(row))

    def block(low: int) -> list[str | None]:
        reasons: list[str | None] = []
        for place, data in enumerate(taken.slice(low, _BLOCK).to_pylist(), low):
            try:
                found[place] = decode_one(data, picture.size, picture.channels)
                reasons.append(None)
            except DataError as error:
                reasons.append(_reason(data, error))
        return reasons

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [reason for part in pool.map(block, range(0, len(row), _BLOCK)) for reason in part]


def _reason(data: bytes | None, error: DataError) -> str:
    if data is None:
        return "missing"
    if not data:
        return "empty"
    return "too many pixels" if "pixels" in error.allowed else "cannot be decoded"


def of_parts(items: Items, *parts: int) -> npt.NDArray[np.int64]:
    """Give the places of the items of some parts, ascending.

    >>> none = pa.array([], pa.string())
    >>> items = Items(none, np.arange(3), np.zeros((3, 1, 1, 1), np.uint8), np.zeros(3, np.int32), np.array([0, 2, 0]))
    >>> of_parts(items, TRAIN).tolist()
    [0, 2]
    """
    return np.flatnonzero(np.isin(items.part, parts))
