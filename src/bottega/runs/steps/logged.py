"""What a run keeps of logged examples beside the rows: every label, when it is known, places and propensities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bottega.data.examples import Borders, Examples, Requests
from bottega.files import read_json, write_json

FILE, FACTS = "logged.parquet", "logged.json"


def write_logged(found: Examples, folder: Path) -> None:
    """Write the columns of logged examples as Parquet, and the rest as JSON."""
    columns: dict[str, np.ndarray] = {}
    for kind in ("labels", "final", "early", "ripe"):
        columns.update({f"{kind}:{name}": values for name, values in getattr(found, kind).items()})
    for name in ("position", "propensity", "row"):
        if (values := getattr(found, name)) is not None:
            columns[name] = values
    pq.write_table(pa.table(columns), folder / FILE, compression="zstd")
    if found.unit is not None:
        np.save(folder / "unit.npy", found.unit, allow_pickle=False)
    borders = None if found.borders is None else vars(found.borders)
    facts = {"borders": borders, "given": found.given, "dropped": dict(found.dropped), "noted": dict(found.noted)}
    write_json(folder / FACTS, facts)


def read_logged(
    folder: Path, requests: Requests, group: np.ndarray, candidate: pa.Array | None, label: np.ndarray
) -> Examples | None:
    """Read what `write_logged` wrote, to go with these rows; nothing where the examples are not of a log."""
    if not (folder / FILE).exists():
        return None
    table = pq.read_table(folder / FILE)
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    facts = read_json(folder / FACTS)

    def named(kind: str) -> dict[str, np.ndarray]:
        return {name.partition(":")[2]: values for name, values in columns.items() if name.startswith(f"{kind}:")}

    borders = facts["borders"]
    return Examples(
        requests,
        group,
        candidate,
        label,
        np.ones(len(label), np.float32),
        labels=named("labels"),
        row=columns.get("row"),
        given=facts["given"],
        dropped=facts["dropped"],
        final=named("final"),
        early=named("early"),
        ripe=named("ripe"),
        position=columns.get("position"),
        propensity=columns.get("propensity"),
        unit=np.load(folder / "unit.npy", allow_pickle=False) if (folder / "unit.npy").exists() else None,
        borders=None if borders is None else Borders(**borders),
        noted=facts["noted"],
    )
