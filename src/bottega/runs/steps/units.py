"""Units of time that a design leaves to the table: `epoch` becomes seconds, milli-, micro- or nanoseconds."""

from __future__ import annotations

import msgspec

from bottega.data.source import Place, is_there, read
from bottega.data.time_text import COUNTED, TOLD_BY_SIZE
from bottega.data.times import unit_of_column
from bottega.design.design import Design
from bottega.design.tables import Table


def with_units(design: Design, place: Place) -> tuple[Design, list[str]]:
    """Write into each table whose times count in a unit that their size tells which one it is; and what is to be told.

    It is that by which most lie in our days; ingestion puts the others aside. Times that are no numbers, and numbers
    that lie in our days by no unit, are left to be read, or refused, as seconds.
    """
    told: list[str] = []

    def known(table: Table) -> Table:
        if table.time_format != TOLD_BY_SIZE:
            return table
        form = None
        if table.time is not None and is_there(table, place):
            rows = read(table, place)
            form = unit_of_column(rows.column(table.time)) if table.time in rows.column_names else None
        if form is not None and form != "%s":
            told.append(f"{table.name}: {table.time} counts {COUNTED[form]} since 1970")
        return msgspec.structs.replace(table, time_format=form or "%s")

    tables = [known(table) for table in design.data.tables]
    return msgspec.structs.replace(design, data=msgspec.structs.replace(design.data, tables=tables)), told
