"""What a proposal is: a design, the reason of each part, and what was seen in the table on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.design.design import Design
from bottega.design.tables import Check, Table
from bottega.proposals.columns import Column
from bottega.proposals.entities import hints
from bottega.proposals.facts import Log, facts_of
from bottega.proposals.leaks import Knows
from bottega.proposals.marks import Marked
from bottega.proposals.naming import plain_names
from bottega.proposals.roles import Roles
from bottega.proposals.words import names_afterwards
from bottega.reviewing.rules_tables import PERSONAL

_NEVER = np.iinfo(np.int64).min
_NEARLY, _MOST, _ALIKE = 0.9, 0.99, 0.95  # of the rows that have both times; of those that end; a correlation


@dataclass(frozen=True)
class Ends:
    """When rows end. name: theirs, the column of that time. late: after how many microseconds nearly all have ended.
    told: columns that say how long it took, which nobody knows before."""

    name: str
    late: float
    told: Sequence[str]


@dataclass(frozen=True)
class Proposal:
    """notes: by place in the design, why it stands there. told: what a person should know, a line each."""

    design: Design
    notes: Mapping[str, str]
    told: Sequence[str]


@dataclass(frozen=True)
class Seen:
    """What was seen in a table. source: as `Table.source` has it. leaks: columns that know the label. tells: of all the
    ROC-AUC of each alone. marked: the label as numbers. row: the name of a column that numbers the rows, where the
    table itself names none."""

    name: str
    source: str
    columns: Mapping[str, Column]
    roles: Roles
    leaks: Sequence[Knows] = ()
    tells: Mapping[str, float] = field(default_factory=dict)
    marked: Marked | None = None
    row: str | None = None

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return next(iter(self.columns.values())).rows

    @cached_property
    def ours(self) -> dict[str, str]:
        """Our name of each column."""
        return plain_names(list(self.columns), self.roles)

    @cached_property
    def known(self) -> NDArray[np.int64]:
        """The rows that have a time, or all where there is none."""
        if self.roles.time is None:
            return np.arange(self.rows)
        return np.flatnonzero(self.columns[self.roles.time].time > _NEVER)

    @cached_property
    def log(self) -> Log | None:
        """What its times tell of its traffic; nothing where it has none."""
        if self.roles.time is None or not len(self.known):
            return None
        person = self.roles.person
        codes = None if person is None else self.columns[person].codes[self.known]
        return facts_of(self.columns[self.roles.time].time[self.known], codes)

    @cached_property
    def later(self) -> tuple[str | None, str]:
        """The column that says when a row was known, where one lies after the event in nearly every row; with gaps
        nothing, and how long after the event half of the rows were known instead."""
        if self.roles.time is None:
            return None, "0s"
        begin, found = self.columns[self.roles.time], list[tuple[int, float, str]]()
        for name in self.roles.others:
            column = self.columns[name]
            if column.kind == "time" and column.is_read_as(begin) and column.gaps < 0.1 * self.rows:
                both = (column.time > _NEVER) & (begin.time > _NEVER)
                after = (column.time - begin.time)[both]
                if len(after) and (after > 0).mean() >= _NEARLY:
                    found.append((column.gaps, float(np.median(after)), name))
        if not found:
            return None, "0s"
        gaps, _, name = max(found, key=lambda one: (-one[0], one[1]))
        return (name, "0s") if not gaps else (None, f"{math.ceil(max(one[1] for one in found) / 60e6)}min")

    @cached_property
    def afterwards(self) -> list[str]:
        """Columns that are called as what is known when all is over."""
        columns = (self.columns[name] for name in self.roles.others)
        return [one.name for one in columns if one.kind != "time" and names_afterwards(one.words)]

    @cached_property
    def ends(self) -> Ends | None:
        """The time by which a row has ended, where there is one; nothing: rows are moments."""
        name, begin = self.later[0], self.columns.get(str(self.roles.time))
        if name is None or begin is None:
            return None
        both = (self.columns[name].time > _NEVER) & (begin.time > _NEVER)
        lasts = np.where(both, self.columns[name].time - begin.time, 0).astype(np.float64)
        numbers = [one for one in self.roles.others if self.columns[one].kind in ("number", "whole")]
        told = tuple(one for one in numbers if _alike(self.columns[one].numbers[both], lasts[both]))
        return Ends(name, float(np.quantile(lasts[both], _MOST)), told)

    def of(self, role: str) -> str | None:
        """Our name of the column with a role."""
        name = getattr(self.roles, role)
        return None if name is None else self.ours[name]

    @property
    def positive(self) -> str | None:
        """The label's value that counts as 1; nothing: it holds numbers already."""
        return None if self.marked is None else self.marked.positive

    def numbered(self) -> Seen:
        """Give the same with a column that numbers the rows, for a table in which nothing names what is judged."""
        name = next(name for name in ("row", "row_number", "number_of_the_row") if name not in self.ours.values())
        rows = Column(name, "whole", pa.chunked_array([np.arange(1, self.rows + 1)]))
        return replace(self, columns={**self.columns, name: rows}, row=name)

    def names_once(self, name: str) -> bool:
        """Say whether a column names each row once: nothing is known of it before, and nothing comes again."""
        return self.columns[name].distinct == self.rows

    def names_people(self, name: str | None) -> bool:
        """Say whether a column is called as one that names people is."""
        return name is not None and hints(self.columns[name], "person") > hints(self.columns[name], "item")

    @property
    def of_itself(self) -> list[str]:
        """Their names of the columns that the table needs, whatever reads it: its time, its id, places and parts."""
        roles = self.roles
        named = (roles.time, roles.event_id, roles.position, roles.propensity, roles.part, roles.kind, roles.rating)
        return [name for name in named if name is not None]

    def personal(self, used: Sequence[str]) -> list[str]:
        """Name the columns that are about somebody, ours where they are used: who asks, and those that say so."""
        roles = self.roles
        asks = None if roles.turn is not None and not self.names_people(roles.person) else roles.person
        named = [
            name for name in self.columns
            if PERSONAL.search(name) or name == asks or (name == roles.event_id and self.names_people(name))
        ]  # fmt: skip
        return [self.ours[name] if name in {*used, *self.of_itself} else name for name in named]

    def table(self, used: Sequence[str], checks: Sequence[Check], **more: Any) -> Table:
        """Give the table as a design has it: its time, and our names for the columns that are used.

        used: their names of the columns that something reads. more: further fields of it.
        """
        time = None if self.roles.time is None else self.columns[self.roles.time]
        created, delay = self.later
        used = [*used, *([created] if created is not None else [])]
        named = [name for name in dict.fromkeys(used) if self.ours[name] != name and name != self.row]
        return Table(
            self.name,
            self.source,
            time=self.of("time"),
            row=self.row,
            created=None if created is None else self.ours[created],
            available_after=delay,
            time_format=None if time is None else time.form,
            columns={self.ours[name]: name for name in named},
            checks=checks,
            licence="Your own: say here on which ground they are used",
            **more,
        )


def _alike(values: NDArray[np.float64], lasts: NDArray[np.float64]) -> bool:
    """Say whether numbers (n,) grow with how long something lasts."""
    there = np.isfinite(values)
    if there.sum() < 3 or np.ptp(values[there]) == 0 or np.ptp(lasts[there]) == 0:
        return False
    return bool(np.corrcoef(values[there], lasts[there])[0, 1] > _ALIKE)
