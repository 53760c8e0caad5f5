"""Writing what a person asked for into a folder of their choice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bottega.errors import BuildError
from bottega.files import write_bytes


def save(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder, made when missing, and say where they are; `BuildError` where that cannot be done."""
    try:
        for name, content in files.items():
            write_bytes(folder / name, content)
    except OSError as error:
        raise BuildError(
            str(folder), f"cannot be written: {error.strerror}", "a folder that can be written", "--out DIR names one"
        ) from error
    return [folder / name for name in files]
