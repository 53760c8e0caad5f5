"""Entities: which column names who asks, what is shown or taken, and whose rows belong together."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bottega.proposals.columns import Column
from bottega.proposals.words import HINTS, core, fold, names_thing

_EMPTY = {"id", "ids", "is", "has", "the", "tx", "num", "no", "code", "key", "name", "nr"}  # say nothing of a role
_COUNTS = {"num", "n", "number", "count", "counts", "total", "sum", "qty", "quantity", "avg", "mean", "max", "min"}
_FEWEST, _ENTITY = 3, 0.5  # values of an entity at least, and of the rows at most
_LISTS = 0.2  # of the filled texts that hold a list, from which on a column holds lists
_NOTHING = {"null", "none", "nan", "na", "n/a", "unknown", "-", "?", "\\n"}  # texts that name nobody
_LOOKED_AT = 60  # columns that may name or count a series
_SERIES, _REGULAR = 5, 0.9  # rows of one thing in the mean; how many of the things are counted without a gap
_TURNS = {"cycle", "cycles", "step", "turn", "round", "visit", "week", "day", "month", "period", "t", "index", "seq"}


def hints(column: Column, role: str) -> float:
    """Say how much of a column's name speaks of a role, 0 to 1: `fraud` is more of a label than `fraud_scenario`."""
    words = [fold(word) for word in column.words if word not in _EMPTY] or [fold(word) for word in column.words]
    if "".join(words) in HINTS[role] or core(column.name) in HINTS[role]:
        return 1.0
    known = [word in HINTS[role] or word.rstrip("s") in HINTS[role] or core(word) in HINTS[role] for word in words]
    return sum(known) / max(len(words), 1)


def entity(columns: Sequence[Column], role: str, other: str) -> str | None:
    """Take the column that is named so, whose values come again, and are no lists."""
    fit = [
        column for column in columns
        if column.kind in ("text", "whole", "flag") and hints(column, role) > hints(column, other)
        and max(_FEWEST, column.rows**0.25) <= column.distinct < column.rows
        and not column.is_words and not _counts(column) and not _is_list(column)
    ]  # fmt: skip
    best = sorted(fit, key=lambda one: (_nobody(one) > one.rows / 2, -hints(one, role), -one.distinct))
    return best[0].name if best else None


def _nobody(column: Column) -> int:
    """Count the rows that name nobody: nothing stands there, or a word for it."""
    if column.kind != "text":
        return column.gaps
    words = pc.utf8_lower(pc.utf8_trim_whitespace(column.values))
    return column.gaps + int(pc.sum(pc.is_in(words, pa.array(sorted(_NOTHING), words.type))).as_py() or 0)


def _is_list(column: Column) -> bool:
    """Say whether texts hold several values each, now more and now fewer: tags of somebody name nobody."""
    if column.kind != "text":
        return False
    parts = [len(re.split(r"[,;|]", text)) for text in column.values.slice(0, 2000).to_pylist() if text]
    several = [many for many in parts if many > 1]
    return len(several) >= _LISTS * len(parts) > 0 and len(set(several)) > 2


def _counts(column: Column) -> bool:
    """Say whether a column says how many there are of what it is named after: `num_items`, `item_count`."""
    words = column.words
    return column.kind == "whole" and len(words) > 1 and (words[0] in _COUNTS or words[-1] in _COUNTS)


def unnamed(columns: Sequence[Column]) -> str | None:
    """Take the column that looks most like an entity, whatever it is called: many values, each coming again."""
    fit = [
        column for column in columns
        if column.kind in ("text", "whole") and 10 <= column.distinct <= _ENTITY * column.rows and not column.is_words
        and column.gaps < column.rows / 2
    ]  # fmt: skip
    best = sorted(fit, key=lambda one: (one.kind != "text" and not one.name.lower().endswith("id"), -one.distinct))
    return best[0].name if best else None


def in_turn(columns: Sequence[Column]) -> tuple[str, str] | None:
    """Find whose rows follow each other, and the column that counts them: the cycles of a machine, the visits of a
    patient. Each of its values comes in many rows, and within it another column counts on by one.

    Of two that both do, as where all series are equally long, that with a name of its kind is taken, else the one that
    the rows are ordered by.
    """
    full = [one for one in columns if one.kind in ("text", "whole") and not one.gaps][:_LOOKED_AT]
    whole, named = [one for one in full if one.kind == "whole"], [one for one in full if not one.is_words]
    fit = [
        (unit, turn) for unit in named if _FEWEST <= unit.distinct <= unit.rows / _SERIES
        for turn in whole if turn is not unit and _count_on(unit, turn)
    ]  # fmt: skip
    if not fit:
        return None
    unit, turn = max(fit, key=lambda pair: (_called(*pair), _ordered(*pair)))
    return unit.name, turn.name


def _called(unit: Column, turn: Column) -> int:
    known = names_thing(unit.words) or unit.is_id or hints(unit, "person") > 0 or hints(unit, "somebody") > 0
    return int(known) + bool(_TURNS & set(turn.words)) - bool(_TURNS & set(unit.words))


def _count_on(unit: Column, turn: Column) -> bool:
    """Say whether a column counts on by one within nearly all values of another."""
    low, high = (np.full(unit.distinct, start) for start in (np.inf, -np.inf))
    np.minimum.at(low, unit.codes, turn.numbers)
    np.maximum.at(high, unit.codes, turn.numbers)
    if turn.distinct < _SERIES or (high - low + 1 != (rows := np.bincount(unit.codes))).mean() > 1 - _REGULAR:
        return False
    pairs = np.unique(unit.codes * np.int64(turn.distinct) + turn.codes)
    return len(pairs) == unit.rows and bool((rows > 1).mean() >= _REGULAR)


def _ordered(unit: Column, turn: Column) -> float:
    """Give the share of rows after which the same one's next follows."""
    return float(((np.diff(unit.codes) == 0) & (np.diff(turn.numbers) == 1)).mean())
