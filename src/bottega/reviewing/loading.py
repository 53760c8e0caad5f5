"""A design's file, loaded within a time limit: in a process of its own, where it may loop, print and fail."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from bottega.design.design import Design
from bottega.design.reading import load
from bottega.errors import DesignError
from bottega.reviewing.lines import lines_of

LIMIT_S = 30.0
"""Seconds that a file may take to make its design."""

_MOST_BYTES = 2**24  # of a file that it may write: a design that prints for ever fills no disk
_PROGRAM = "import sys; from bottega.reviewing.loading import tell; tell(sys.argv[1], sys.argv[2])"


class Told(msgspec.Struct, frozen=True):
    """What the process says: the design, or the four parts of its error."""

    design: Design | None = None
    error: tuple[str, str, str, str] | None = None


def load_within(
    path: str | Path, limit_s: float = LIMIT_S, meanwhile: Callable[[], object] = lambda: None
) -> tuple[Design, str]:
    """Load a design's file, and give with it whatever the file printed.

    A Python file runs in a process of its own, which is ended after `limit_s` seconds; larger waits longer. YAML and
    JSON run nothing, and are read here. meanwhile: what to do until the process answers. Errors: `DesignError` as
    `bottega.load_design` raises it, and for a file that takes too long or ends the process.
    """
    if Path(path).suffix != ".py":
        try:
            return load(path), ""
        except DesignError as error:
            where = _with_line(Path(path), error.where)
            raise DesignError(where, error.found, error.allowed, error.fix) from None
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "design.json"
        command = [sys.executable, "-c", _PROGRAM, str(path), str(answer)]
        said = Path(folder) / "said.txt"
        with said.open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            meanwhile()
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise DesignError(
                str(path),
                f"its design is not there after {limit_s:g} s",
                "a file that only makes a design",
                "read data, and train, in bottega run: a design only names them",
            ) from None
        finally:
            _end(process)
        printed = said.read_text("utf-8", errors="replace")
        if not answer.is_file():
            last = "".join(f": {line}" for line in printed.strip().splitlines()[-1:])
            found = f"its process ended with {process.returncode}, without a design{last[:200]}"
            raise DesignError(str(path), found, "a file with `design = bt.Design(…)`")
        told = msgspec.json.decode(answer.read_bytes(), type=Told)
    if told.error is not None or told.design is None:
        place, *others = told.error or (str(path), "no design", "", "")
        raise DesignError(_with_line(Path(path), place), *others)
    return told.design, printed


def _with_line(path: Path, place: str) -> str:
    """Put the line of a part that an error names beside the file, where the error knows the part alone."""
    file, sign, part = place.partition(f"{path}: ")
    line, _ = lines_of(path).spot(part) if sign and not file and "." in part else (0, 0)
    return f"{path}:{line}: {part}" if line else place


def tell(path: str, answer: str) -> None:
    """Load a file, write its design or its error as JSON, and end, whatever the file left running: the process."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_BYTES, _MOST_BYTES))
    try:
        told = Told(design=load(path))
    except DesignError as error:
        told = Told(error=(error.where, str(error.found), error.allowed, error.fix))
    Path(answer).write_bytes(msgspec.json.encode(told))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a thread that the file began would be waited for


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process, if it has not, and whatever it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
