"""The reading half of the parity gate: a process of its own that reads examples' features by the code that serves.

`python -m bottega.serving.parity_reading SPEC`: it answers each frame on its standard input, a request as MessagePack
after its length in 4 bytes, by a frame with the columns that serving reads for it then.
"""

from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import msgspec
import numpy as np

from bottega.design.design import Design
from bottega.design.features import TargetRate
from bottega.design.models import rung_name
from bottega.errors import BuildError
from bottega.features.frame import objects
from bottega.features.rate_table import RateTable
from bottega.features.reader import Reader
from bottega.features.stores.opening import open_store
from bottega.features.tracks import Group
from bottega.models.making import retriever_class
from bottega.serving.bundle import Bundle, Facts, rates_folder
from bottega.serving.path import Path as RequestPath
from bottega.serving.service import worker_environment

_LENGTH = struct.Struct("<I")


class Spec(msgspec.Struct, frozen=True):
    """What the reading process is started with."""

    design: Design
    groups: tuple[Group, ...]
    fields: dict[str, str]
    """The columns of a request, each `id`, `number` or `time`."""
    store: str
    """The URL of the store that the other half writes."""


class Asked(msgspec.Struct, frozen=True):
    """One request to read for."""

    at: int
    """Its time, microseconds since 1970 UTC."""
    columns: dict[str, Any]
    candidates: list[str]
    retrievers: dict[str, str] = {}
    """The folder of each retriever's model."""
    rates: str | None = None
    """The folder of the tables of target rates at that time."""
    brought: dict[str, list[float | None]] = {}
    """Numbers that come with the candidates."""


class Told(msgspec.Struct, frozen=True):
    """What was read: a value for each candidate; times in microseconds."""

    columns: dict[str, list[Any]] = {}
    error: str = ""


class Reading:
    """The process, as its parent sees it.

    spec: what it reads. folder: for its messages.
    """

    def __init__(self, spec: Spec, folder: Path) -> None:
        path = folder / "spec.json"
        path.write_bytes(msgspec.json.encode(spec))
        self._errors = (folder / "reading.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bottega.serving.parity_reading", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=worker_environment(),
        )
        self._log = folder / "reading.log"

    def __enter__(self) -> Reading:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):  # it ended before it had read all
                if stream is not None:
                    stream.close()
        self._process.wait(30)
        self._errors.close()

    def ask(self, asked: Asked) -> dict[str, list[Any]]:
        """Give the columns that serving reads for a request now; `BuildError` with what the process said."""
        if self._process.stdin is None or self._process.stdout is None:
            raise TypeError("a process with pipes")
        try:
            _send(self._process.stdin, asked)
            frame = _receive(self._process.stdout)
        except BrokenPipeError:
            frame = None
        if frame is None:
            self._process.wait(30)
            last = self._log.read_text("utf-8", "replace").strip().splitlines()[-1:]
            raise BuildError("parity", f"the reading process ended: {''.join(last)}", "", f"read {self._log}")
        told = msgspec.msgpack.decode(frame, type=Told)
        if told.error:
            raise BuildError("parity", told.error, "a request that serving can read features for")
        return told.columns


class _Paths:
    """The code that serves, over the models and rates of each moment."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._reader = Reader(open_store(spec.store, Path(), readonly=True), spec.groups)
        self._held: dict[Any, RequestPath] = {}

    def path(self, retrievers: Mapping[str, str], rates: str | None) -> RequestPath:
        key = tuple(retrievers.items()), rates
        if key not in self._held:
            design = self._spec.design
            models = {
                rung_name(setting): retriever_class(setting).load(Path(retrievers[rung_name(setting)]), setting)
                for setting in design.models.get("retrieve", ())
                if rung_name(setting) in retrievers
            }
            tables = tuple(
                RateTable.load(rates_folder(Path(rates), place), part)
                for place, part in enumerate(design.features)
                if isinstance(part, TargetRate) and rates is not None
            )
            facts = Facts({}, self._spec.fields, self._spec.groups)
            bundle = Bundle("parity", Path(), design, facts, models, {}, self._reader, tables)
            self._held = {key: RequestPath(bundle)}  # the moments come one after the other
        return self._held[key]


def _main(path: str) -> None:
    paths = _Paths(msgspec.json.decode(Path(path).read_bytes(), type=Spec))
    while (frame := _receive(sys.stdin.buffer)) is not None:
        asked = msgspec.msgpack.decode(frame, type=Asked)
        brought = {name: np.array(column, np.float64) for name, column in asked.brought.items()}
        serving = paths.path(asked.retrievers, asked.rates)
        values = serving.features(asked.columns, asked.candidates, asked.at, brought)
        group = np.zeros(len(asked.candidates), np.int32)
        names = [*values.request, *values.row]
        _send(sys.stdout.buffer, Told({name: _plain(objects(values.at_rows(name, group))) for name in names}))


def _plain(column: np.ndarray) -> list[Any]:
    if column.dtype.kind == "M":
        whole: Sequence[int] = column.astype("datetime64[us]").view(np.int64).tolist()
        return [None if missing else value for value, missing in zip(whole, np.isnat(column).tolist(), strict=True)]
    return list(column.tolist())


def _send(stream: IO[bytes], value: Asked | Told) -> None:
    frame = msgspec.msgpack.encode(value)
    stream.write(_LENGTH.pack(len(frame)) + frame)
    stream.flush()


def _receive(stream: IO[bytes]) -> bytes | None:
    head = stream.read(_LENGTH.size)
    return stream.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else None


if __name__ == "__main__":
    _main(sys.argv[1])
