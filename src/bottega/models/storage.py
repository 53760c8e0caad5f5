"""How a model lies in its folder: arrays as .npy, vocabularies as Arrow files, the rest as JSON; never pickle."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.errors import BuildError
from bottega.files import read_json, writing


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes `folder` at the end, whole or not at all.

    Raises `BuildError` where something stands at `folder` already.
    """
    if folder.exists():
        raise BuildError(
            str(folder),
            "it exists already",
            "a folder that does not exist yet",
            "name another folder, or remove this one first",
        )
    with writing(folder) as part:
        part.mkdir()
        yield part


def write_arrays(folder: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write each array as `name.npy`."""
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(values), allow_pickle=False)


def read_array(folder: Path, name: str) -> npt.NDArray[Any]:
    """Map an array read-only into memory, so that many processes share one copy; `BuildError` where it is damaged."""
    path = folder / f"{name}.npy"
    try:
        mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        return mapped.view(np.ndarray)  # slicing a plain array is quicker
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(path, error) from error


def touch(values: npt.NDArray[Any]) -> None:
    """Read a byte of every page of a mapped array, so that the first request does not wait for the disk."""
    np.add.reduce(values.reshape(-1)[:: mmap.PAGESIZE // values.itemsize])


def write_texts(folder: Path, name: str, values: pa.StringArray) -> None:
    """Write texts as `name.arrow`, an Arrow IPC file with one column."""
    table = pa.table({name: values})
    with pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def read_texts(folder: Path, name: str) -> pa.StringArray:
    """Map texts read-only into memory; `BuildError` where the file is damaged."""
    path = folder / f"{name}.arrow"
    try:
        column = pa.ipc.open_file(pa.memory_map(str(path))).read_all().column(name)
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise _damaged(path, error) from error
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def read_bytes(path: Path) -> bytes:
    """Read a file of bytes; `BuildError` where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _damaged(path, error) from error


def read_facts(folder: Path, name: str) -> Any:
    """Read what stands in `name.json`; `BuildError` where it is damaged."""
    path = folder / f"{name}.json"
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def read_text(path: Path) -> str:
    """Read a text file; `BuildError` where it is damaged."""
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> BuildError:
    return BuildError(
        str(path),
        f"cannot be read ({error})",
        "the file as the model wrote it",
        "fit and save the model again, or restore the folder from a copy",
    )
