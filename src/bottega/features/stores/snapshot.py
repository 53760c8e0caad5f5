"""A store's rows as plain files: what a build carries, and what any other store is filled from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from bottega.errors import BuildError, ServeError
from bottega.features.stores.protocol import Found, Store, Values, fitting

_MARKS = "marks.json"


class SnapshotStore:
    """A folder of Arrow files, written once and never read by key: a store for building, not for serving.

    folder: a new or empty folder; each written batch becomes a file, and the marks stand in `marks.json`.

    >>> import tempfile
    >>> from bottega.features.stores.memory import MemoryStore
    >>> folder = Path(tempfile.mkdtemp())
    >>> SnapshotStore(folder).write("product", [b"p1"], np.array([[3.0, 0.5]]), {"as_of": b"7"})
    >>> memory = MemoryStore()
    >>> restore(folder, memory)
    >>> memory.read("product", [b"p1"])[0].tolist(), memory.marked("as_of")
    ([[3.0, 0.5]], b'7')
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._batches: list[str] = []
        self._marks: dict[str, bytes] = {}

    def read(self, group: str, keys: Sequence[bytes]) -> tuple[Values, Found]:
        """Refuse: a snapshot has no keys to look up by."""
        del group, keys
        raise BuildError("store", "a snapshot", "a store to read from", "restore it into memory: or lmdb: first")

    def write(
        self, group: str, keys: Sequence[bytes], values: Values, marks: Mapping[str, bytes] | None = None
    ) -> None:
        """Write a batch as a file of its own; see `Store`."""
        if len(keys):
            rows = fitting(group, keys, values, None)
            lists = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
            batch = pa.record_batch([pa.array(keys, pa.binary()), lists], names=["key", "values"])
            batch = batch.replace_schema_metadata({"group": group})
            name = f"{len(self._batches):03}.arrow"
            with pa.ipc.new_file(str(self.folder / name), batch.schema) as file:
                file.write(batch)
            self._batches.append(name)
        self._marks.update(marks or {})
        told = {name: value.decode() for name, value in self._marks.items()}
        (self.folder / _MARKS).write_bytes(msgspec.json.encode(told, order="deterministic"))

    def add(
        self,
        group: str,
        keys: Sequence[bytes],
        amounts: Sequence[float],
        limits: Sequence[float] | None = None,
        marks: Mapping[str, bytes] | None = None,
    ) -> Found | None:
        """Refuse: what a snapshot holds does not change."""
        del group, keys, amounts, limits, marks
        raise _written_once()

    def forget(self, begin: str, end: str, most: int = 1000) -> int:
        """Refuse: what a snapshot holds does not change."""
        del begin, end, most
        raise _written_once()

    def marked(self, name: str) -> bytes | None:
        """Give a mark; see `Store`."""
        return self._marks.get(name)

    def describe(self) -> dict[str, Any]:
        """Say what it holds, without its groups."""
        return {"kind": "snapshot", "bytes": sum(path.stat().st_size for path in self.folder.iterdir()), "groups": {}}

    def close(self) -> None:
        """Do nothing: every batch is closed when it is written."""


def _written_once() -> BuildError:
    return BuildError("store", "a snapshot", "a store that changes", "restore it into memory: or lmdb: first")


def restore(folder: Path, store: Store) -> None:
    """Write all rows and marks of a snapshot into a store, the marks last: a mark says that all rows are there.

    Errors: `ServeError` for a snapshot that is missing or damaged; what the store raises when it is full.
    """
    try:
        marks = msgspec.json.decode((folder / _MARKS).read_bytes(), type=dict[str, str])
        for path in sorted(folder.glob("*.arrow")):
            with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
                batch = file.get_batch(0)
                group = batch.schema.metadata[b"group"].decode()
                lists = batch.column("values")
                values = np.asarray(lists.flatten()).reshape(len(batch), lists.type.list_size)
                store.write(group, batch.column("key").to_pylist(), values)
    except (OSError, pa.ArrowInvalid, msgspec.DecodeError, KeyError) as error:
        raise ServeError(str(folder), f"no readable snapshot: {error}", "the files that the build wrote") from error
    store.write("", [], np.empty((0, 0)), {name: value.encode() for name, value in marks.items()})
