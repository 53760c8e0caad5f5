"""What a proposal is: a design, the reason of each part, and what was seen in the table on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bottega.design.design import Design
from bottega.design.tables import Check, Table
from bottega.proposals.columns import Column
from bottega.proposals.facts import Log, facts_of
from bottega.proposals.leaks import Knows
from bottega.proposals.naming import plain_names
from bottega.proposals.roles import Roles
from bottega.reviewing.rules_tables import PERSONAL


@dataclass(frozen=True)
class Proposal:
    """notes: by place in the design, why it stands there. told: what a person should know, a line each."""

    design: Design
    notes: Mapping[str, str]
    told: Sequence[str]


@dataclass(frozen=True)
class Seen:
    """What was seen in a table. source: as `Table.source` has it. leaks: columns that know the label."""

    name: str
    source: str
    columns: Mapping[str, Column]
    roles: Roles
    leaks: Sequence[Knows] = ()

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
        return np.flatnonzero(self.columns[self.roles.time].time > np.iinfo(np.int64).min)

    @cached_property
    def log(self) -> Log | None:
        """What its times tell of its traffic; nothing where it has none."""
        if self.roles.time is None:
            return None
        person = self.roles.person
        codes = None if person is None else self.columns[person].codes[self.known]
        return facts_of(self.columns[self.roles.time].time[self.known], codes)

    def of(self, role: str) -> str | None:
        """Our name of the column with a role."""
        name = getattr(self.roles, role)
        return None if name is None else self.ours[name]

    @property
    def of_itself(self) -> list[str]:
        """Their names of the columns that the table needs, whatever reads it: its time, its id, places and parts."""
        roles = self.roles
        named = (roles.time, roles.event_id, roles.position, roles.propensity, roles.part, roles.kind, roles.rating)
        return [name for name in named if name is not None]

    def personal(self, used: Sequence[str]) -> list[str]:
        """Name the columns that are about somebody, ours where they are used: who asks, and those that say so."""
        named = [name for name in self.columns if PERSONAL.search(name) or name == self.roles.person]
        return [self.ours[name] if name in {*used, *self.of_itself} else name for name in named]

    def table(self, used: Sequence[str], checks: Sequence[Check], **more: Any) -> Table:
        """Give the table as a design has it: its time, and our names for the columns that are used.

        used: their names of the columns that something reads. more: further fields of it.
        """
        time = self.roles.time
        return Table(
            self.name,
            self.source,
            time=self.of("time"),
            time_format=None if time is None else self.columns[time].form,
            columns={self.ours[name]: name for name in dict.fromkeys(used) if self.ours[name] != name},
            checks=checks,
            licence="Your own: say here on which ground they are used",
            **more,
        )
