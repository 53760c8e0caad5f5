"""How loops are compiled; importing this loads Numba, so import it where it is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function at its first call for given types, without the interpreter's lock, and keep it on disk.

    It is kept beside the source, else in the person's own cache; where neither can be written, each process compiles
    for itself. A folder that others can write to is never used: what is kept there is code.
    """
    try:
        made: Callable[P, R] = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        made = numba.njit(nogil=True)(function)
    return made
