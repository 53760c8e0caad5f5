"""The tree of an expression: few kinds of node, each with its place in the text; and the rule of kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from bottega.errors import DesignError

Kind = Literal["number", "time", "text", "null", "any"]
PARTS = ("year", "month", "day", "dow", "doy", "hour", "minute")
COMPARISONS = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
NUMERIC = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "neg": "-", "and": "and", "or": "or", "not": "not",
    "abs": "abs", "ln": "ln", "log2": "log2", "sqrt": "sqrt", "exp": "exp", "floor": "floor", "ceil": "ceil",
}  # fmt: skip
SAME = {"coalesce": "coalesce", "nullif": "nullif", "least": "least", "greatest": "greatest"}
TIMES = {**{part: f"extract({part} from …)" for part in PARTS}, "epoch": "epoch"}
TEXTS = {"length": "length", "lower": "lower"}
WRITTEN = "cast(… as text)"
WHOLE = 2.0**53  # below it float64 tells all whole numbers apart


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: `op` is column, number, truth, text, null, case, isnull, written, or a key of the tables above.

    `args` are its operands; a `case` has condition, value, condition, value, …, and at last what holds otherwise.
    `value` is a column's name or a literal; `zone` is set on parts of a time; `at` counts characters from 0.
    """

    op: str
    args: tuple[Node, ...] = ()
    value: str | float | bool | None = None
    at: int = 0
    zone: str = "UTC"


def columns_of(node: Node) -> frozenset[str]:
    """Collect the names of the columns that a tree uses."""
    own = frozenset([str(node.value)]) if node.op == "column" else frozenset()
    return own.union(*(columns_of(arg) for arg in node.args))


def check(node: Node, columns: Mapping[str, Kind], place: Callable[[int], str]) -> Kind:
    """Give the kind of a node's value, or raise `DesignError` where an operation meets a kind it is not for."""
    kinds = [check(arg, columns, place) for arg in node.args]
    if node.op == "column":
        return columns[str(node.value)]
    if node.op in ("number", "truth"):
        return "number"
    if node.op in ("text", "null"):
        return "text" if node.op == "text" else "null"
    if node.op in NUMERIC:
        return _all(node, kinds, "number", NUMERIC[node.op], place)
    if node.op in TIMES:
        _all(node, kinds, "time", TIMES[node.op], place)
        return "number"
    if node.op in TEXTS:
        _all(node, kinds, "text", TEXTS[node.op], place)
        return "number" if node.op == "length" else "text"
    if node.op == "written":
        if kinds[0] != "text":
            _all(node, kinds, "number", WRITTEN, place)
        return "text"
    if node.op in COMPARISONS:
        _same(node.args, kinds, COMPARISONS[node.op], place)
        return "number"
    if node.op == "isnull":
        return "number"
    if node.op == "case":
        conditions = range(0, len(kinds) - 1, 2)
        _all(node, [kinds[index] for index in conditions], "number", "case when …", place)
        values = [index for index in range(len(kinds)) if index not in conditions]
        return _same([node.args[i] for i in values], [kinds[i] for i in values], "case", place)
    return _same(node.args, kinds, SAME[node.op], place)


def _all(node: Node, kinds: list[Kind], wanted: Kind, name: str, place: Callable[[int], str]) -> Kind:
    for index, kind in enumerate(kinds):
        if kind not in (wanted, "null", "any"):
            at = node.args[index].at if len(kinds) == len(node.args) else node.args[2 * index].at
            fix = "seconds between two times are epoch(a) - epoch(b)" if kind == "time" and wanted == "number" else ""
            raise DesignError(place(at), f"a {kind} as operand of `{name}`", f"a {wanted}", fix)
    return wanted


def _same(args: tuple[Node, ...] | list[Node], kinds: list[Kind], name: str, place: Callable[[int], str]) -> Kind:
    known: Kind = "null"
    for arg, kind in zip(args, kinds, strict=True):
        if "any" not in (kind, known) and "null" not in (kind, known) and kind != known:
            raise DesignError(place(arg.at), f"a {kind} beside a {known} in `{name}`", "operands of one kind")
        if known in ("null", "any") and kind != "null":
            known = kind
    return known
