"""Small seeded simulators whose truth is known; one stands in where a person has no data yet."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bottega.errors import DataError, DesignError, nearest


def write_world(name: str, folder: Path, seed: int, rows: int | None = None) -> None:
    """Write a world's tables into a folder, as a person would have them, and its truth beside them.

    name: a module here that has `world(seed)`: `ads`, `shop`. seed: another one makes other people. rows: about how
    many events the log has, for a world whose size is set so; none: the world's own size. Larger gives models more to
    learn.
    Raises `DesignError` for an unknown world, for rows that it cannot have, or rows for one that has no such setting;
    `DataError` for a folder with tables of these names.
    """
    make = _part(name, "world")
    if rows is None:
        make(seed).write(folder)
        return
    if "rows" not in inspect.signature(make).parameters:
        raise DesignError(
            "rows", f"{rows} for the world {name!r}", "none: its size is not set in rows", "leave --rows out"
        )
    try:
        made = make(seed, rows=rows)
    except DesignError as error:  # tell it in what was typed
        typed, fix = f"--{error.where.rpartition('.')[2]}", f"--{error.fix.replace('=', ' ')}"
        raise DesignError(typed, error.found, error.allowed, fix) from None
    made.write(folder)


def best_scores(name: str, folder: Path, people: np.ndarray, items: np.ndarray, at: int, horizon: int) -> np.ndarray:
    """Give the true probability of a positive in [at, at + horizon) for each pair (n,): no model can rank better."""
    scores: np.ndarray = _part(name, "best_scores")(folder, people, items, at, horizon)
    return scores


def limits(name: str, folder: Path, columns: Mapping[str, Any], label: str = "clicked") -> np.ndarray:
    """Give the best prediction of a label from a log's columns, (n,): no model that sees the same is expected better.

    name: a world with a log of impressions, `ads`; the others are the arguments of its own `limits`.
    """
    found: np.ndarray = _part(name, "limits")(folder, columns, label=label)
    return found


def true_probabilities(
    name: str,
    folder: Path,
    columns: Mapping[str, Any],
    position: int | np.ndarray | None = None,
    label: str = "clicked",
) -> np.ndarray:
    """Give the true probability of a label for any request, candidate and place, (n,); arguments as the world's."""
    found: np.ndarray = _part(name, "true_probabilities")(folder, columns, position=position, label=label)
    return found


def refuse_present(folder: Path, names: Sequence[str]) -> None:
    """Raise `DataError` where some of what a world is about to write is there: two logs would be read as one."""
    if present := [name for name in names if (folder / name).exists()]:
        allowed, fix = "a folder without them, so that no two logs are read as one", "name another one, or remove them"
        raise DataError(str(folder), f"{', '.join(present)} from before", allowed, fix)


def _part(name: str, function: str) -> Any:
    """Give what a world offers under a name; `DesignError` for an unknown world, or one that does not offer it."""
    world = _world(name)
    if not hasattr(world, function):
        offers = [other for other in _known() if hasattr(_world(other), function)]
        raise DesignError("data.world", repr(name), f"a world with {function}: {', '.join(offers)}")
    return getattr(world, function)


def _world(name: str) -> Any:
    known = _known()
    if name not in known:
        raise DesignError("data.world", repr(name), f"one of {', '.join(known)}", nearest(name, known))
    return importlib.import_module(f"{__name__}.{name}")


def _known() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if "_" not in module.name)
