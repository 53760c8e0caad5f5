"""Expressions over an Ibis table: the same tree, said in Ibis, so that any engine computes the same values.

What engines do differently (division by zero, overflow, NaN, `least` of nulls, floor of huge numbers) is written out
here, so that no engine's own habit shows. Sub-expressions are mentioned once where that can be, as SQL repeats them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import ibis  # type: ignore[import-untyped]
import numpy as np

from bottega.errors import DesignError
from bottega.features.expression_parsed import Parsed
from bottega.features.expression_tree import COMPARISONS, TIMES, WHOLE, Kind, Node, check
from bottega.features.expression_zones import offsets

_LARGEST = float(np.finfo(np.float64).max)
_WHOLE = 2.0**52  # from here on every float is a whole number
_TYPES: dict[Kind, str] = {"number": "float64", "time": "timestamp(6)", "text": "string"}


def build(parsed: Parsed, table: Any, condition: bool) -> Any:
    """Give the expression over the table's columns; `DesignError` for columns of a type that has no meaning here."""
    schema = table.schema()
    parsed.known(dict.fromkeys(schema.names))
    kinds = {name: _kind(parsed, name, schema[name]) for name in parsed.columns}
    parsed.kind(kinds)
    builder = _Builder(parsed, kinds, table)
    return builder.truth(parsed.tree) if condition else builder.value(parsed.tree)


def _kind(parsed: Parsed, name: str, dtype: Any) -> Kind:
    if dtype.is_numeric() or dtype.is_boolean():
        return "number"
    if dtype.is_timestamp() or dtype.is_date():
        return "time"
    if dtype.is_string():
        return "text"
    raise DesignError(f"{parsed.where}: {parsed.text}", f"column {name!r} of type {dtype}", "numbers, times and texts")


class _Builder:
    def __init__(self, parsed: Parsed, kinds: Mapping[str, Kind], table: Any) -> None:
        self.parsed, self.kinds, self.table = parsed, kinds, table

    def kind(self, node: Node) -> Kind:
        return check(node, self.kinds, self.parsed.place)

    def number(self, node: Node) -> Any:
        """Give a node as float64: a condition as 1 or 0."""
        value = self.value(node)
        return value.cast("float64") if value.type().is_boolean() else value

    def truth(self, node: Node) -> Any:
        """Give a node as a condition: a number holds when it is not 0."""
        value = self.value(node)
        return value if value.type().is_boolean() else value != 0.0

    def typed(self, node: Node, kind: Kind) -> Any:
        return self.value(node, kind) if kind in ("text", "time") else self.number(node)

    def value(self, node: Node, wanted: Kind = "number") -> Any:
        op = node.op
        if op == "column":
            return self.column(str(node.value))
        if op == "null":
            return ibis.null(_TYPES.get(wanted, "float64"))
        if op in ("number", "truth", "text"):
            return ibis.literal(node.value)
        if op in _NUMBERS:
            return _NUMBERS[op](*[self.number(arg) for arg in node.args])
        if op in ("and", "or", "not"):
            return _LOGIC[op](*[self.truth(arg) for arg in node.args])
        if op in TIMES:
            return _part(op, node.zone, self.value(node.args[0], "time"))
        if op == "length":
            # some engines count bytes: with each other letter replaced by one of ASCII, bytes are letters everywhere
            return self.value(node.args[0], "text").re_replace(r"[^\x00-\x7F]", "a").length().cast("float64")
        if op == "lower":
            return self.value(node.args[0], "text").lower()
        if op == "written":
            of_text = self.kind(node.args[0]) == "text"
            return self.value(node.args[0], "text") if of_text else _written(self.number(node.args[0]))
        if op == "isnull":
            return self.value(node.args[0], self.kind(node.args[0])).isnull()
        if op == "case":
            kind = self.kind(node)
            conditions = [self.truth(arg) for arg in node.args[:-1:2]]
            values = [self.typed(arg, kind) for arg in node.args[1::2]]
            otherwise = self.typed(node.args[-1], kind)
            return ibis.cases(*zip(conditions, values, strict=True), else_=otherwise)
        kind = check(Node("coalesce", node.args, at=node.at), self.kinds, self.parsed.place)
        values = [self.typed(arg, kind) for arg in node.args]
        if op not in COMPARISONS and op != "nullif":
            return _CHOICE[op](values)
        if any(arg.op == "null" for arg in node.args):  # Ibis would read `x = null` as `x is null`
            return ibis.null("boolean") if op in COMPARISONS else values[0]
        return _COMPARE[op](*values)

    def column(self, name: str) -> Any:
        column, dtype = self.table[name], self.table.schema()[name]
        if self.kinds[name] == "time":
            return column if dtype.is_timestamp() and dtype.timezone is None else column.cast("timestamp(6)")
        if dtype.is_floating() or dtype.is_decimal():
            value = column.cast("float64")
            return value.between(-_LARGEST, _LARGEST).ifelse(value, ibis.null("float64"))
        return column.cast("float64") if dtype.is_integer() else column


def _finite(value: Any) -> Any:
    return value.nullif(float("inf")).nullif(float("-inf"))


def _round(value: Any, function: Callable[[Any], Any]) -> Any:
    small = value.abs() < _WHOLE  # engines round to 64-bit integers, which larger numbers overflow
    return ibis.cases((small, function(small.ifelse(value, 0.0)).cast("float64")), else_=value)


def _written(value: Any) -> Any:
    whole = (value.abs() < WHOLE) & (_round(value, lambda inner: inner.floor()) == value)
    return whole.ifelse(whole.ifelse(value, 0.0).cast("int64").cast("string"), ibis.null("string"))


def _extreme(values: list[Any], function: Callable[..., Any]) -> Any:
    missing = functools.reduce(lambda left, right: left | right, [value.isnull() for value in values])
    return missing.ifelse(ibis.null(values[0].type()), function(*values))


def _part(part: str, zone: str, time: Any) -> Any:
    seconds = time.epoch_seconds().cast("float64").floor()
    if part == "epoch":
        return seconds.cast("float64") + time.microsecond().cast("float64") / 1e6
    begins, values = offsets(zone)
    local = time
    if len(begins) > 1 or values[0] != 0:
        later = [(seconds >= int(begin), int(value)) for begin, value in zip(begins[:0:-1], values[:0:-1], strict=True)]
        shift = ibis.cases(*later, else_=int(values[0])) if later else ibis.literal(int(values[0]))
        local = time + shift.as_interval("s")
    return _PARTS[part](local).cast("float64")


_PARTS: dict[str, Callable[[Any], Any]] = {
    "year": lambda time: time.year(),
    "month": lambda time: time.month(),
    "day": lambda time: time.day(),
    "dow": lambda time: (time.day_of_week.index() + 1) % 7,  # Ibis counts from Monday
    "doy": lambda time: time.day_of_year(),
    "hour": lambda time: time.hour(),
    "minute": lambda time: time.minute(),
}
_NUMBERS: dict[str, Callable[..., Any]] = {
    "add": lambda left, right: _finite(left + right),
    "sub": lambda left, right: _finite(left - right),
    "mul": lambda left, right: _finite(left * right),
    "div": lambda left, right: _finite(left / right.nullif(0.0)),
    "neg": lambda value: -value,
    "abs": lambda value: value.abs(),
    "ln": lambda value: ibis.greatest(value, 0.0).nullif(0.0).ln(),
    "log2": lambda value: ibis.greatest(value, 0.0).nullif(0.0).log2(),
    "sqrt": lambda value: (value >= 0.0).ifelse(value, ibis.null("float64")).sqrt(),
    "exp": lambda value: _finite(value.exp()),
    "floor": lambda value: _round(value, lambda inner: inner.floor()),
    "ceil": lambda value: _round(value, lambda inner: inner.ceil()),
}
_LOGIC: dict[str, Callable[..., Any]] = {
    "and": lambda left, right: left & right,
    "or": lambda left, right: left | right,
    "not": lambda value: ~value,
}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
    "nullif": lambda left, right: (left == right).fill_null(False).ifelse(ibis.null(left.type()), left),
}
_CHOICE: dict[str, Callable[[list[Any]], Any]] = {
    "coalesce": lambda values: ibis.coalesce(*values),
    "least": lambda values: _extreme(values, ibis.least),
    "greatest": lambda values: _extreme(values, ibis.greatest),
}
