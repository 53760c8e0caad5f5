"""What a design leaves out of a table, and why: a column that nobody mentions is missed by nobody."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bottega.proposals.columns import Column
from bottega.proposals.proposal import Seen
from bottega.proposals.roles import Roles

_SHOWN = 6  # names of one reason
_WORDS = "because no rung of a ladder for rows with labels reads words"
_OTHERS = "because enough others tell more alone, or stand before them"


def about_table(seen: Seen, used: Collection[str], words: str = _WORDS, others: str = _OTHERS) -> str:
    """Say of the table how large it is, and what was left out of it, and why.

    used: theirs, the columns that a design reads. words: why texts of many words are not read. others: why all else
    that could be read is not.
    """
    size = f"{seen.rows:,} rows, {len(seen.columns) - (seen.row is not None):,} columns."
    return " ".join(filter(None, [size, _left_out(seen, used, words, others), _other_form(seen), _later(seen)]))


def _later(seen: Seen) -> str:
    """Say from when a row counts, where a column tells that it is known after its event."""
    created, delay = seen.later
    if created is not None:
        return f"{created} lies after the event in nearly every row: a row counts from then on, or later than it must."
    return f"A column of times lies {delay} after the event: a row counts from then on." if delay != "0s" else ""


def _other_form(seen: Seen) -> str:
    """Say where the days of a time could be months as well."""
    time = None if seen.roles.time is None else seen.columns[seen.roles.time]
    if time is None or time.other is None:
        return ""
    return f"{time.name} could also be {time.other}: days and months cannot be told apart in it."


def _left_out(seen: Seen, used: Collection[str], words: str, others: str) -> str:
    """Say which columns no part of a design reads, by reason; nothing where it reads all."""
    known = {one.name for one in seen.leaks}
    said = [f"{one.name} alone tells the label with a ROC-AUC of {one.auc:.3f}, by {one.how}" for one in seen.leaks]
    parts = [f"Left out as known too well to be known before: {'; '.join(said)}."] if said else []
    if seen.tells and not said:
        parts.append("No column alone knows the label.")
    if seen.roles.clocks:
        clocks = _listed(seen.roles.clocks)
        parts.append(f"Left out as telling the time once more, and no day comes again: {clocks}.")
    if seen.ends is not None and seen.ends.told:
        parts.append(f"Left out as telling how long it was until {seen.ends.name}: {_listed(seen.ends.told)}.")
        known.update(seen.ends.told)
    after = [name for name in seen.afterwards if name not in {*known, *used} and seen.tells]
    if after:
        parts.append(f"Left out as known afterwards, by the name: {_listed(after)}.")
    known.update(used, after, [str(seen.later[0])], seen.roles.clocks, seen.of_itself, (str(seen.roles.label),))
    reasons: dict[str, list[str]] = {}
    for name, column in seen.columns.items():
        if name not in known:
            reasons.setdefault(_reason(column, seen.roles, words, others), []).append(name)
    parts += [f"Not read, {reason}: {_listed(names)}." for reason, names in reasons.items()]
    return " ".join(parts)


def _reason(column: Column, roles: Roles, words: str, others: str) -> str:
    if column.kind == "empty" or column.gaps == column.rows:
        return "because nothing stands there"
    if column.kind in ("other", "bytes"):
        return f"because features are numbers and words, and no {column.values.type}"
    if column.distinct == 1:
        return "because all rows have the same"
    if column.kind == "time":
        return "because one time decides when a row counts" if roles.time else "because too few rows have a time"
    if column.is_comma_number:
        return "because numbers with a comma are text: write them with a point"
    if column.kind == "text" and column.is_words:
        return words
    if column.is_category and column.distinct > 0.5 * column.rows:
        return "because hardly a value comes again"
    if column.gaps > 0.98 * column.rows:
        return "because nearly all rows have nothing there"
    return others


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:_SHOWN])} and {more:,} more"
