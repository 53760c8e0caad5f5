"""From a table to a design: looks at its columns, says what each is, and proposes what fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from msgspec import structs

from bottega.data.source import Place, read
from bottega.design.tables import Table
from bottega.errors import DataError, several
from bottega.proposals.asking import MOST
from bottega.proposals.columns import Column
from bottega.proposals.entities import hints
from bottega.proposals.graded import graded, is_graded
from bottega.proposals.kinds import as_time, columns_of
from bottega.proposals.leaks import SUSPECT, beyond_chance, leaks
from bottega.proposals.logged import logged
from bottega.proposals.marks import mark
from bottega.proposals.naming import plain_names
from bottega.proposals.positives import positives
from bottega.proposals.proposal import Proposal, Seen
from bottega.proposals.roles import PARTS, Roles, roles_of
from bottega.reviewing.seeing import equal_rows
from bottega.reviewing.seen import TELLS

_FEWEST = 50  # rows
_ROOM = 1.0  # days
_FEW_WORDS = 20  # of a column that is called as a label is
_REPEATED = {"R214": "Rows that are equal count as events of their own: name event_id where the source repeats them."}
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
            str(path), several(table.num_rows, "row"), f"at least {_FEWEST}: fewer tell nothing", "a longer table"
        )
    columns = {column.name: column for column in columns_of(table)}
    if said is not None and said.time in columns:
        columns[said.time] = as_time(columns[said.time])
    roles = roles_of(list(columns.values()), said)
    seen = _with_room(Seen(source.name, path.name, columns, roles), said, say)
    roles = seen.roles
    if roles.label is not None:
        marked = mark(columns[roles.label], roles.positive, str(path))
        seen = replace(seen, columns={**columns, roles.label: marked.column}, marked=marked)
    for line in (*_said(seen), *_parts(path), *_no_label(seen)):
        say(line)
    if roles.label is not None:
        made = _labelled(name, seen, say)
        repeated = roles.time is not None and roles.event_id is None and equal_rows(table) > 0
        return (
            replace(made, design=structs.replace(made.design, silenced={**made.design.silenced, **_REPEATED}))
            if repeated
            else made
        )
    for one in _called_label(seen):
        if one.kind == "text" and one.distinct <= _FEW_WORDS:  # rows of all its words would count as taken
            mark(one, None, str(path))
    if roles.time is not None and roles.person is not None and roles.item is not None:
        return positives(seen, name)
    empty = [column.name for column in columns.values() if column.kind == "empty"]
    raise DataError(str(path), _lacking(roles, empty), "a label, or a time with who took what", _how(roles))


def _with_room(seen: Seen, said: Roles | None, say: Callable[[str], None]) -> Seen:
    """Leave a time out that spans too little to part a log in time, where there is a label: a snapshot has one.

    Errors: `DataError` where a person has named it, and where all of its times are refused.
    """
    roles = seen.roles
    if roles.time is None:
        return seen
    column = seen.columns[roles.time]
    if seen.log is None:
        found = f"{column.name!r} has no time from 1900 to 2099"
        raise DataError(seen.source, found, "times of which half at least lie in these years", "--time COLUMN")
    if seen.log.span >= _ROOM or roles.label is None:
        return seen
    found = f"{column.name!r} spans {24 * seen.log.span:.1f} hours"
    if said is not None and said.time is not None:
        allowed = "a day at least: to learn from what came before, and to test on what came after"
        raise DataError(f"--time {said.time}", found, allowed, "a longer table, or no --time")
    say(f"no time   {found}, too little to part it in time: read without")
    return replace(seen, roles=replace(roles, time=None, clocks=(), others=(*roles.others, column.name, *roles.clocks)))


def _labelled(name: str, seen: Seen, say: Callable[[str], None]) -> Proposal:
    roles, columns = seen.roles, seen.columns
    values = columns[str(roles.label)].numbers
    listed = is_graded(seen)
    asked = () if listed or roles.query is None else (roles.query,)
    others = [columns[each] for each in (*asked, *roles.others, *roles.clocks) if columns[each].kind not in _UNREAD]
    alone = {one.name: one for one in leaks(others, values)}
    suspects = [one for one in alone.values() if one.auc >= SUSPECT]
    for one in suspects:
        alike = f": rows of one {one.name} are much alike, or it is not known before"
        look = alike if columns[one.name].is_category else ": look whether it is known before"
        left = ": left out" if one.auc >= TELLS else look
        say(f"leak?     {one.name} alone tells {roles.label} with a ROC-AUC of {one.auc:.3f}{left}")
    known = [one for one in suspects if one.auc >= TELLS]
    seen = replace(seen, leaks=known, tells={name: one.auc for name, one in alone.items()})
    lasting = () if seen.ends is None else seen.ends.told
    gone = {one.name for one in seen.leaks}.union(roles.clocks, lasting)
    context = [one.name for one in others if one.name not in gone and _useful(one)]
    before = [each for each in context if each not in seen.afterwards]
    for each in [each for each in context if each in seen.afterwards] if before else ():
        say(f"later?    {each} is known afterwards, by its name: left out; add it to the request where it is not")
    context = before or context
    if len(context) > MOST:
        telling = beyond_chance([alone[each] for each in alone if each in context], values)
        context = [*telling, *(each for each in context if each not in telling)]
    numbers = [each for each in context if columns[each].is_number]
    if listed and numbers:
        return graded(seen, name, numbers)
    if columns[str(roles.label)].kind != "flag":
        found = f"{roles.label!r} holds grades, and nothing says which rows belong together"
        fix = f"--person COLUMN, or --label {roles.label}=VALUE for the one grade that counts"
        raise DataError(seen.source, found, "a column that names the query or the person, and numbers of each row", fix)
    return logged(seen, name, context)


def plain_table(path: Path) -> str:
    """Name a table after its file, in letters that a design takes."""
    stem = path.parent.absolute().name if "*" in path.name else path.name.split(".")[0] or "rows"
    return next(iter(plain_names([stem], Roles()).values()))


def _useful(column: Column) -> bool:
    filled = 1 - column.gaps / max(column.rows, 1)
    words = column.is_category and column.distinct > (0.2 if column.is_words else 0.5) * column.rows
    read = column.kind != "time" and not words and not column.is_comma_number
    return read and filled > 0.02 and column.distinct > 1


def _said(seen: Seen) -> list[str]:
    """Say what each column was taken for."""
    roles = seen.roles
    lines = [f"table     {seen.rows:,} rows, {len(seen.columns)} columns"]
    for role in ("time", "person", "item", "label", "rating", "kind", "query", "position", "propensity", "part"):
        if (name := getattr(roles, role)) is not None:
            column = seen.columns[name]
            more = f"{column.distinct:,} values" if role in ("person", "item", "kind", "rating") else ""
            if role == "label":
                known = column.numbers[np.isfinite(column.numbers)]
                more = f"{np.mean(known > 0):.2%} positive"
                if seen.marked is not None and seen.marked.positive is not None:
                    more += f" ({seen.marked.positive!r})"
            if role == "time" and seen.log is not None:
                more = f"{seen.log.days:,.0f} days"
            gaps = f"{column.gaps:,} without" if column.gaps else ""
            lines.append(f"{role:<9} {name}" + "".join(f", {part}" for part in (more, gaps) if part))
    later = seen.later[0]
    if later is not None:
        lines.append(f"times     {later} lies after {roles.time}: what is asked when it ends is --time {later}")
    lacking = [role for role in ("person", "item") if getattr(roles, role) is None]
    if roles.label is not None and roles.time is not None and lacking:
        fix = " ".join(f"--{role} COLUMN" for role in lacking)
        lines.append(f"no {' or '.join(lacking)}: no column is called so; {fix} where one is")
    return lines


def _parts(path: Path) -> list[str]:
    """Say where files that are read as one are called as parts of it."""
    if "*" not in path.name:
        return []
    named = [set(re.split(r"[\W_]+", one.name.lower())) & PARTS for one in path.parent.glob(path.name)]
    told = sorted(set().union(*named))
    if len(told) < 2:
        return []
    return [f"parts     files are called {', '.join(told)}: they are read as one table, and parted anew"]


def _no_label(seen: Seen) -> list[str]:
    """Say of a column that is called as a label is why it is none."""
    if seen.roles.label is not None:
        return []
    named, why = _called_label(seen), "neither yes or no, nor grades from 0 up"
    return [f"no label  {one.name}, {several(one.distinct, 'value')}: {why}" for one in named if one.kind != "empty"]


def _called_label(seen: Seen) -> list[Column]:
    return [seen.columns[name] for name in seen.roles.others if hints(seen.columns[name], "label") == 1]


def _lacking(roles: Roles, empty: Sequence[str]) -> str:
    missing = [role for role in ("time", "person", "item") if getattr(roles, role) is None]
    lacks = "no column that looks like a label" + (f", and none like {', '.join(missing)}" if missing else "")
    return f"{lacks}; of {len(empty)} nothing is filled: {', '.join(empty[:6])}" if empty else lacks


def _how(roles: Roles) -> str:
    options = " ".join(f"--{role} COLUMN" for role in ("time", "person", "item") if getattr(roles, role) is None)
    return f"--label COLUMN, or {options}"
