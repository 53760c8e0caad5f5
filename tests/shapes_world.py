"""A small world of pictures: squares and crosses, as a table on the disk, and a design that finds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import bottega as bt
from bottega.data.idx import png
from bottega.testing.encoder_checks import shapes

COUNT = 240
BAD = {"b-null": None, "b-empty": b"", "b-text": b"no picture at all", "b-cut": png(np.zeros((12, 12), np.uint8))[:30]}
"""Pictures that are none, by their ids."""


def design(**fields: Any) -> bt.Design:
    """Give a design over the world: one rung that learns nothing."""
    made = bt.Design(
        name="shapes",
        scope=bt.Scope(question="Which pictures show the same shape?", limits=bt.Limits(p99_ms=200)),
        data=bt.Data(
            tables=[bt.Table("pictures", "pictures.parquet", key="id")],
            examples=bt.SameValue("pictures", column="shape"),
            labels=[bt.Label("alike")],
            split=bt.GivenSplit("part", validate=0.3),
        ),
        features=[bt.Image("image", size=(12, 12))],
        models={"encode": [bt.RawPixels()]},
        evaluation=bt.Evaluation(
            primary="map@20", metrics=["precision@1", "recall@20"], slices=["shape"],
            goals=[bt.Goal("precision@1", at_least=0.5)],
        ),
        serving=bt.Serving(path=[bt.Nearest(k=5)], workers=1),
    )  # fmt: skip
    return msgspec.structs.replace(made, **fields)


def with_data(made: bt.Design, **fields: Any) -> bt.Design:
    """Give a design with other fields of its data."""
    return msgspec.structs.replace(made, data=msgspec.structs.replace(made.data, **fields))


def pictures(count: int = COUNT, seed: int = 0) -> dict[str, tuple[bytes, str]]:
    """Give pictures as PNG, and what each shows, by id."""
    drawn, label = shapes(count, seed)
    return {
        f"p{place:03}": (png(one[..., 0]), str(kind))
        for place, (one, kind) in enumerate(zip(drawn, label, strict=True))
    }


def write(folder: Path, bad: bool = True, count: int = COUNT) -> dict[str, tuple[bytes, str]]:
    """Write the table; every third picture is the test's. bad: whether broken pictures, a repeated id and one without
    are among them. Gives the good ones."""
    good = pictures(count)
    parts = ["test" if place % 3 == 0 else "train" for place in range(len(good))]
    rows: list[tuple[Any, ...]] = [
        (name, *shown, part) for (name, shown), part in zip(good.items(), parts, strict=True)
    ]
    if bad:
        rows = [("p001", rows[0][1], "square", "train"), *rows]  # the later row of this id counts
        rows += [(name, image, "square", "train") for name, image in BAD.items()]
        rows += [(None, rows[1][1], "square", "train"), ("q-nothing", rows[1][1], None, "train")]
    columns = zip(("id", "image", "shape", "part"), zip(*rows, strict=True), strict=True)
    kinds = {"image": pa.binary()}
    table = pa.table({name: pa.array(values, kinds.get(name, pa.string())) for name, values in columns})
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "pictures.parquet")
    return good
