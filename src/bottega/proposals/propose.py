"""From a table to a design: looks at its columns, says what each is, and proposes what fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bottega.data.source import Place, read
from bottega.design.tables import Table
from bottega.errors import DataError
from bottega.proposals.columns import Column, columns_of
from bottega.proposals.graded import graded, is_graded
from bottega.proposals.leaks import KNOWS, SUSPECT, leaks
from bottega.proposals.logged import MOST, logged
from bottega.proposals.naming import plain_names
from bottega.proposals.positives import positives
from bottega.proposals.proposal import Proposal, Seen
from bottega.proposals.roles import Roles, roles_of

_FEWEST = 50  # rows
_UNREAD = ("empty", "other", "bytes")


def propose(name: str, path: Path, said: Roles | None = None, say: Callable[[str], None] = lambda _: None) -> Proposal:
    """Propose a design for a table.

    name: of the design. path: of a file of any form that `Table.source` takes. said: roles that a person has named.
    say: is told what was found, a line each.
    Errors: `DataError` for what cannot be read, and where no design fits: it says what is missing, and how to name it.
    """
    source = Table(plain_table(path), path.name)
    table = read(source, Place(path.parent.absolute()))
    if table.num_rows < _FEWEST:
        raise DataError(
            str(path), f"{table.num_rows:,} rows", f"at least {_FEWEST}: fewer tell nothing", "a longer table"
        )
    columns = {column.name: column for column in columns_of(table)}
    roles = roles_of(list(columns.values()), said)
    seen = Seen(source.name, path.name, columns, roles)
    for line in _said(seen):
        say(line)
    if roles.label is not None:
        return _labelled(name, seen, path, say)
    if roles.time is not None and roles.person is not None and roles.item is not None:
        return positives(seen, name)
    raise DataError(str(path), _lacking(roles), "a label, or a time with who took what", _how(roles))


def _labelled(name: str, seen: Seen, path: Path, say: Callable[[str], None]) -> Proposal:
    roles, columns = seen.roles, seen.columns
    values = _values_of(columns[str(roles.label)], path)
    others = [columns[each] for each in (*roles.others, *roles.clocks) if columns[each].kind not in _UNREAD]
    alone = {one.name: one for one in leaks(others, values)}
    suspects = [one for one in alone.values() if one.auc >= SUSPECT]
    for one in suspects:
        left = ": left out" if one.auc >= KNOWS else ": look whether it is known before"
        say(f"leak?     {one.name} alone tells {roles.label} with a ROC-AUC of {one.auc:.3f}{left}")
    seen = replace(seen, leaks=[one for one in suspects if one.auc >= KNOWS])
    gone = {one.name for one in seen.leaks}.union(roles.clocks)
    context = [one.name for one in others if one.name not in gone and _useful(one)]
    if len(context) > MOST:
        context.sort(key=lambda each: -alone[each].auc if each in alone else -0.5)
    numbers = [each for each in context if columns[each].kind in ("number", "whole", "flag")]
    return graded(seen, name, numbers) if is_graded(seen) and numbers else logged(seen, name, context)


def _values_of(label: Column, path: Path) -> NDArray[np.float64]:
    """Give the label as numbers. Errors: `DataError` for what is none, and for one of one class."""
    if label.kind not in ("flag", "whole", "number"):
        some = " and ".join(repr(each) for each in label.values.unique().to_pylist()[:2])
        found = (
            f"{label.name!r} holds {some}" if label.kind == "text" else f"{label.name!r} is a column of {label.kind}"
        )
        raise DataError(str(path), found, "0 and 1, truth values, or grades from 0 up", "write it as 0 and 1")
    values = label.numbers
    if not (values > 0).any() or not (values <= 0).any():
        found = f"{label.name!r} is {'always' if (values > 0).any() else 'never'} positive"
        raise DataError(str(path), found, "both kinds of rows", "a longer table, or another --label")
    return values


def plain_table(path: Path) -> str:
    """Name a table after its file, in letters that a design takes."""
    stem = path.parent.absolute().name if "*" in path.name else path.name.split(".")[0] or "rows"
    return next(iter(plain_names([stem], Roles()).values()))


def _useful(column: Column) -> bool:
    filled = 1 - column.gaps / max(column.rows, 1)
    words = column.kind == "text" and column.distinct > 0.5 * column.rows
    return filled > 0.02 and column.distinct > 1 and not words and column.kind != "time"


def _said(seen: Seen) -> list[str]:
    """Say what each column was taken for."""
    roles = seen.roles
    lines = [f"table     {seen.rows:,} rows, {len(seen.columns)} columns"]
    for role in ("time", "person", "item", "label", "rating", "kind", "query", "position", "propensity", "part"):
        if (name := getattr(roles, role)) is not None:
            column = seen.columns[name]
            more = f"{column.distinct:,} values" if role in ("person", "item", "kind", "rating") else ""
            if role == "label":
                more = f"{np.nanmean(column.numbers > 0):.2%} positive" if column.kind != "text" else ""
            if role == "time" and seen.log is not None:
                more = f"{seen.log.days:,.0f} days"
            gaps = f"{column.gaps:,} without" if column.gaps else ""
            lines.append(f"{role:<9} {name}" + "".join(f", {part}" for part in (more, gaps) if part))
    return lines


def _lacking(roles: Roles) -> str:
    missing = [role for role in ("time", "person", "item") if getattr(roles, role) is None]
    return f"no column that looks like a label, and none like {', '.join(missing)}"


def _how(roles: Roles) -> str:
    options = " ".join(f"--{role} COLUMN" for role in ("time", "person", "item") if getattr(roles, role) is None)
    return f"--label COLUMN, or {options}"
