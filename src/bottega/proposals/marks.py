"""Labels of words: which of their two values counts as 1, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bottega.data.keys import as_text
from bottega.data.labels import marked
from bottega.errors import DataError
from bottega.proposals.columns import Column

_YES = {"yes", "y", "true", "t", "1", "1.0", "ja", "j", "oui", "si", "sí", "sim", "да", "是", "positive", "pos", "good"}
_NO = {"no", "n", "false", "f", "0", "0.0", "nein", "non", "não", "нет", "否", "negative", "neg", "none", "-1"}
_NO |= {"stayed", "normal"}
_AGAINST = ("no ", "not ", "no_", "not_", "non", "un", "in")  # before a word: the other of the two
FEWEST = 15  # rows of each kind
_GRADES = 31  # the highest that lists are ordered by


@dataclass(frozen=True)
class Marked:
    """A label as numbers. column: 1 and 0, or grades; positive: the value that counts as 1, as `Label.positive` has it;
    nothing: the column holds numbers already. why: it is that one."""

    column: Column
    positive: str | None = None
    why: str = ""


def says_yes(column: Column) -> bool:
    """Say whether a column of two values answers yes or no."""
    values = {str(value).lower() for value in column.values.unique().to_pylist() if value is not None}
    return len(values) == 2 and bool(values & _YES) and bool(values & _NO)


def mark(column: Column, said: str | None, where: str) -> Marked:
    """Read a label: truth values, 0 and 1 and grades from 0 as they are, of two values one as 1.

    said: the value that a person has named. where: the table, for errors. Errors: `DataError` for what is none of
    these, and for a label of one class.
    """
    found = _read(column, said, where)
    values = found.column.numbers
    if not (values > 0).any() or not (values <= 0).any():
        held = f"{column.name!r} is {'always' if (values > 0).any() else 'never'} positive"
        raise DataError(where, held, "both kinds of rows", "a longer table, or another --label")
    fewer = min(np.count_nonzero(values > 0), np.count_nonzero(values <= 0))
    if fewer < FEWEST:
        held = f"{fewer:,} of {np.count_nonzero(np.isfinite(values)):,} rows are of one kind of {column.name!r}"
        raise DataError(
            where, held, f"at least {FEWEST} of each: to learn from, to choose on and to test", "a longer table"
        )
    return found


def _read(column: Column, said: str | None, where: str) -> Marked:
    name = column.name
    if said is not None:
        return _marked(column, said, "It was said to be the one that counts as 1")
    if column.kind == "flag":
        return Marked(column)
    if column.kind in ("text", "whole", "number") and column.distinct == 2:
        return _marked(column, *_positive(column))
    if column.kind == "text":
        some = _some(column)
        held = f"{name!r} holds {column.distinct:,} values: {', '.join(map(repr, some))}"
        fix = f"--label {name}={some[0]}, for which that one counts as 1 and all others as 0" if some else ""
        raise DataError(where, held, "0 and 1, truth values, two words, or grades from 0 up", fix)
    if column.kind not in ("whole", "number"):
        raise DataError(where, f"{name!r} is a column of {column.values.type}", "0 and 1, truth values, two words", "")
    filled = column.numbers[np.isfinite(column.numbers)]
    low, high = float(filled.min()), float(filled.max())
    if column.kind == "number" or low < 0 or high > _GRADES:
        held = f"{name!r} is a quantity: {column.distinct:,} numbers from {low:,.6g} to {high:,.6g}"
        allowed = f"yes or no, or grades from 0 to {_GRADES}: a design ranks and decides, and estimates no amounts"
        raise DataError(where, held, allowed, f"a column that says 1 where {name} is high enough, and --label for it")
    return Marked(column)


def _marked(column: Column, positive: str, why: str) -> Marked:
    truth = {"true": "1", "false": "0"} if column.form == "truth" else {}  # which are kept as numbers here
    values = marked(column.values, truth.get(positive, positive), f"--label {column.name}")
    return Marked(Column(column.name, "flag", pa.chunked_array([values])), positive, why)


def _some(column: Column) -> list[str]:
    """Give the most frequent values."""
    counts = pc.value_counts(as_text(column.values)).to_pylist()
    named = [one for one in counts if one["values"]]
    return [str(one["values"]) for one in sorted(named, key=lambda one: -int(one["counts"]))[:5]]


def _positive(column: Column) -> tuple[str, str]:
    """Choose the value that counts as 1: the one that says yes, the one that the name speaks of, the larger number, the
    rarer word."""
    counts = {str(one["values"]): int(one["counts"]) for one in pc.value_counts(as_text(column.values)).to_pylist()}
    counts.pop("None", None)
    first, other = sorted(counts, key=lambda each: counts[each])
    share = counts[first] / sum(counts.values())
    if column.kind in ("whole", "number"):
        large = max(counts, key=float)
        return large, f"{large} is the larger of the two numbers"
    for one, two in ((first, other), (other, first)):
        yes, no = one.lower(), two.lower()
        if yes in _YES and no not in _YES:
            return one, f"{one!r} says yes, and {two!r} does not"
        if no in _NO or any(no == f"{less}{yes}" for less in _AGAINST):
            return one, f"{two!r} says no"
    named = [one for one in counts if any(len(word) > 3 and (word[:4] in one.lower()) for word in column.words)]
    if len(named) == 1:
        return named[0], f"The column is named after {named[0]!r}"
    return first, f"{first!r} is the rarer of the two, {share:.1%} of the rows"
