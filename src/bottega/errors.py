"""Every exception that bottega raises on purpose, in one short file.

Each carries four parts, so that a message always says *where* it went wrong, *what was found* there, *what is
allowed*, and *what to type* next. What a person can get wrong is raised as one of these, never asserted.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable


class BottegaError(Exception):
    """The parent of all of them: catch it to catch whatever bottega refuses, and nothing else.

    It is not for bugs: an `AttributeError` of our own making stays one, with its traceback.

    where: the place, as a person would look for it (`data.tables[0].time`, `orders.csv:17`, `rank.txt`).
    found: what stands there.
    allowed: what may stand there.
    fix: what to type or do next.
    """

    exit_code = 2

    def __init__(self, where: str, found: object, allowed: str = "", fix: str = "") -> None:
        self.where, self.found, self.allowed, self.fix = where, found, allowed, fix
        super().__init__(where, found, allowed, fix)

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.found}"]
        if self.allowed:
            lines.append(f"allowed  {self.allowed}")
        if self.fix:
            lines.append(f"fix      {self.fix}")
        return "\n       ".join(lines)


class DesignError(BottegaError, ValueError):
    """The design says something that cannot be: not for data that disagree with a sound design (`DataError`).

    It is a `ValueError` as well, so that the decoder adds the path of the field in which it was raised.
    """


class DataError(BottegaError):
    """The data cannot be read, or do not fit the design: not for single bad rows, which go into quarantine."""


class BuildError(BottegaError):
    """A run cannot start or go on: a locked workspace, a full disk, a part that nothing builds."""


class BusyError(BuildError):
    """Another process holds the workspace: not for a workspace that cannot be written."""


class ServeError(BottegaError):
    """A bundle or a service cannot start or answer: a damaged file, a port in use. Not for a request's own faults."""


class ReleaseError(BottegaError):
    """A build failed its gates and did not become current; the running version is untouched."""

    exit_code = 4


def nearest(name: str, known: Iterable[str]) -> str:
    """Guess the slip: `did you mean 'InvoiceDate'?`, or nothing where no known name is near.

    >>> nearest("invoice_date", ["InvoiceNo", "InvoiceDate"])
    "did you mean 'InvoiceDate'?"
    >>> nearest("xyz", ["InvoiceDate"])
    ''
    """
    plain = {_plain(item): item for item in known}
    close = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.6)
    return f"did you mean {plain[close[0]]!r}?" if close else ""


def several(number: float, one: str, many: str = "") -> str:
    """Write a number with its noun.

    >>> several(1, "row"), several(1200, "entry", "entries")
    ('1 row', '1,200 entries')
    """
    return f"{number:,.0f} {one if number == 1 else many or one + 's'}"


def broken_json(data: bytes) -> str:
    """Say what was expected where bytes stop being JSON, and where that is; nothing where they are JSON.

    What JSON alone forbids and Python reads, such as `NaN`, is not found.

    >>> broken_json(b'{"k": 20,}')
    'Expecting property name enclosed in double quotes: line 1 column 10 (char 9)'
    >>> broken_json(b'{"k": 20}')
    ''
    """
    try:
        json.loads(data.decode(), parse_int=str, parse_float=str)  # as text: Python refuses numbers of many digits
    except UnicodeDecodeError as error:
        return f"no UTF-8 at byte {error.start}"
    except json.JSONDecodeError as error:
        return str(error)
    except RecursionError:
        return "nested too deeply"
    return ""


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
