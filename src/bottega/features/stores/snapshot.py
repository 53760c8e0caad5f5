"""A store's rows as plain files: what a build carries, and what any other store is filled from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from bottega.errors import BuildError, ServeError
from bottega.features.stores.protocol import Found, Rows, Store, check_rows

_MARKS = "marks.json"


class SnapshotStore:
    """A folder of Arrow files, written once and never read by key: a store for building, not for serving.

    folder: a new or empty folder; each written batch becomes a file, and the marks stand in `marks.json`. What a batch
    is kept for begins when it is restored.

    >>> import tempfile
    >>> from bottega.features.stores.memory import MemoryStore
    >>> folder = Path(tempfile.mkdtemp())
    >>> SnapshotStore(folder).write("product", [b"p1"], [b"three"], {"as_of": b"7"})
    >>> memory = MemoryStore()
    >>> restore(folder, memory)
    >>> memory.read("product", [b"p1"]), memory.marked("as_of")
    ([b'three'], b'7')
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._batches: list[str] = []
        self._marks: dict[str, bytes] = {}

    def read(self, group: str, keys: Sequence[bytes]) -> Rows:
        """Refuse: a snapshot has no keys to look up by."""
        del group, keys
        raise BuildError("store", "a snapshot", "a store to read from", "restore it into memory: or lmdb: first")

    def write(
        self,
        group: str,
        keys: Sequence[bytes],
        rows: Sequence[bytes],
        marks: Mapping[str, bytes] | None = None,
        keep_s: float | None = None,
    ) -> None:
        """Write a batch as a file of its own; see `Store`."""
        check_rows(group, keys, rows, keep_s)
        if len(keys):
            columns = [pa.array(keys, pa.binary()), pa.array(rows, pa.large_binary())]
            batch = pa.record_batch(columns, names=["key", "row"])
            kept = {} if keep_s is None else {"keep_s": repr(float(keep_s))}
            batch = batch.replace_schema_metadata({"group": group, **kept})
            name = f"{len(self._batches):03}.arrow"
            with pa.ipc.new_file(str(self.folder / name), batch.schema) as file:
                file.write(batch)
            self._batches.append(name)
        self._marks.update(marks or {})
        told = {name: value.decode() for name, value in self._marks.items()}
        (self.folder / _MARKS).write_bytes(msgspec.json.encode(told, order="deterministic"))

    def swap(
        self,
        group: str,
        keys: Sequence[bytes],
        before: Sequence[bytes | None],
        after: Sequence[bytes],
        keep_s: float | None = None,
    ) -> list[bool]:
        """Refuse: what a snapshot holds does not change."""
        del group, keys, before, after, keep_s
        raise _written_once()

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

    def sweep(self, now: float, most: int = 10_000) -> int:
        """Refuse: what a snapshot holds does not change."""
        del now, most
        raise _written_once()

    def version(self) -> int | None:
        """Say nothing: it is not read by key; see `Store`."""
        return None

    def marked(self, name: str) -> bytes | None:
        """Give a mark; see `Store`."""
        return self._marks.get(name)

    def describe(self) -> dict[str, Any]:
        """Say what it is, and the size of its files."""
        return {"kind": "snapshot", "bytes": sum(path.stat().st_size for path in self.folder.iterdir())}

    def close(self) -> None:
        """Do nothing: every batch is closed when it is written."""


def _written_once() -> BuildError:
    return BuildError("store", "a snapshot", "a store that changes", "restore it into memory: or lmdb: first")


def marks_of(folder: Path) -> dict[str, str]:
    """Read the marks of a snapshot. Errors: `ServeError` where it is missing or damaged."""
    try:
        return msgspec.json.decode((folder / _MARKS).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError) as error:
        raise _unreadable(folder, error) from error


def restore(folder: Path, store: Store, for_ever: bool = False) -> None:
    """Write all rows and marks of a snapshot into a store, the marks last: a mark says that all rows are there.

    for_ever: drop none of them, however long ago it is written.
    Errors: `ServeError` for a snapshot that is missing or damaged; what the store raises when it is full.
    """
    marks = marks_of(folder)
    try:
        for path in sorted(folder.glob("*.arrow")):
            with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
                batch = file.get_batch(0)
                facts = batch.schema.metadata
                keep_s = float(facts[b"keep_s"]) if b"keep_s" in facts and not for_ever else None
                keys, rows = (batch.column(name).to_pylist() for name in ("key", "row"))
                store.write(facts[b"group"].decode(), keys, rows, keep_s=keep_s)
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise _unreadable(folder, error) from error
    store.write("", [], [], {name: value.encode() for name, value in marks.items()})


def _unreadable(folder: Path, error: Exception) -> ServeError:
    return ServeError(str(folder), f"no readable snapshot: {error}", "the files that the build wrote")
