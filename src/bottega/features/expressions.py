"""Expressions: a stated subset of SQL, read once, run by NumPy when serving and by any Ibis engine in batch.

The subset: columns, numbers, 'texts', true, false, null; + - * /; = <> < <= > >=; between, in (…), is [not] null; and,
or, not; case; coalesce, nullif, least, greatest, abs, ln, log2, sqrt, exp, floor, ceil, epoch, length, lower;
extract(year|month|day|dow|doy|hour|minute from t); and cast(x as text). Its meaning, the same in every engine:

- A value is a number (64-bit float), a time (microseconds, UTC) or a text, and any of them may be null. A condition
  is the number 1 or 0; a number stands for a condition as "not 0". NaN and infinity count as null.
- Nulls spread: a result is null when an argument is (`least` and `greatest` too). Exceptions: `coalesce`, `case` (a
  null condition does not hold), `is null`, `nullif(a, null)` = a, three-valued `and`, `or` (false and null = false).
- x / 0, ln and log2 of x ≤ 0, sqrt of x < 0, and whatever overflows are null. A division never rounds.
- Texts compare by code point, `length` counts code points, `lower` works letter by letter (no final sigma).
- cast(x as text) writes a whole number below 2⁵³ in digits; any other number is null, since it names no category.
- Parts of a time are read in one zone; `dow` is 0 on Sunday to 6 on Saturday; epoch(t) is seconds with their fraction.
  Offsets are known for 1970 to 2100; before and after, the nearest known one holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bottega.features.expression_parsed import Parsed
from bottega.features.expression_tree import columns_of

if TYPE_CHECKING:
    import ibis.expr.types as ir  # type: ignore[import-untyped]

Array = np.ndarray[Any, np.dtype[Any]]
__all__ = ["Parsed", "evaluate", "parse", "to_ibis"]


def parse(text: str, zone: str = "UTC", where: str = "expression") -> Parsed:
    """Read an expression of the subset; anything outside it is a `DesignError` that names the fragment.

    zone: IANA name of the zone in which parts of times are read. where: what an error calls the place.

    >>> parse("price * quantity").columns == {"price", "quantity"}
    True
    """
    from bottega.features.expression_reading import read  # sqlglot loads slowly: only when needed

    tree = read(text, zone, where)
    parsed = Parsed(text, zone, where, tree, columns_of(tree))
    parsed.kind(dict.fromkeys(parsed.columns, "any"))
    return parsed


def evaluate(parsed: Parsed, columns: Mapping[str, Array], rows: int) -> Array:
    """Compute the expression with NumPy: numbers as float64 with NaN, times as datetime64[us], texts as objects.

    The first call for given kinds of columns compiles the program; later calls only run it. Columns may be floats,
    integers or booleans (NaN is null; integers beyond 2⁵³ lose digits), datetime64 (NaT), or texts as objects (None)
    or as NumPy strings; each has `rows` values. Raises `DesignError` where kinds do not fit. Inputs are not changed.

    >>> evaluate(parse("revenue / orders"), {"revenue": np.array([6.0, 1.0]), "orders": np.array([3, 0])}, 2)
    array([ 2., nan])
    """
    try:
        kinds = tuple((name, columns[name].dtype.kind) for name in parsed.columns)
    except KeyError:
        parsed.known(columns)
        raise
    program = parsed._programs.get(kinds)
    if program is None:
        from bottega.features.expression_numpy import compile_program  # only where values are computed

        program = parsed._programs[kinds] = compile_program(parsed, kinds)
    return program(columns, rows)


def to_ibis(parsed: Parsed, table: ir.Table, condition: bool = False) -> ir.Value:
    """Give the same expression over an Ibis table, for any engine.

    condition: give a boolean that `table.filter` takes, with a number as "not 0"; else a comparison or a column of
    booleans stays boolean and other numbers are float64. Times of the table are UTC, with or without a zone. Raises
    `DesignError` for unknown columns or kinds. Tested over DuckDB and Polars.

    >>> import ibis
    >>> to_ibis(parse("price > 2"), ibis.table({"price": "float64"}, name="t")).type().is_boolean()
    True
    """
    from bottega.features.expression_ibis import build  # Ibis loads slowly: only when needed

    return build(parsed, table, condition)
