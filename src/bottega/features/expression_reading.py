"""From text to tree: sqlglot reads the SQL, and each of its nodes is let in by name or refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import sqlglot
from sqlglot import expressions as sql
from sqlglot.errors import ErrorLevel, ParseError, SqlglotError

from bottega.errors import DesignError, nearest
from bottega.features.expression_tree import PARTS, Node
from bottega.features.expression_zones import offsets

FUNCTIONS = (
    "coalesce", "nullif", "least", "greatest", "abs", "ln", "log2", "sqrt", "exp", "floor", "ceil", "extract", "epoch",
    "length", "lower", "cast",
)  # fmt: skip
_NAMED = ", ".join(FUNCTIONS[:-1]) + ", cast(… as text)"
_ALLOWED = f"+ - * /, = <> < <= > >=, between, in (…), is null, and, or, not, case, {_NAMED}"
_LONGEST, _DEEPEST = 4_000, 120
_BINARY = {
    sql.Add: "add", sql.Sub: "sub", sql.Mul: "mul", sql.Div: "div", sql.And: "and", sql.Or: "or",
    sql.EQ: "eq", sql.NEQ: "ne", sql.LT: "lt", sql.LTE: "le", sql.GT: "gt", sql.GTE: "ge", sql.Nullif: "nullif",
}  # fmt: skip
_UNARY = {
    sql.Neg: "neg", sql.Not: "not", sql.Abs: "abs", sql.Ln: "ln", sql.Sqrt: "sqrt", sql.Exp: "exp",
    sql.Floor: "floor", sql.Ceil: "ceil", sql.TimeToUnix: "epoch", sql.Length: "length", sql.Lower: "lower",
}  # fmt: skip
_MANY = {sql.Coalesce: "coalesce", sql.Least: "least", sql.Greatest: "greatest"}
_TEXT = ("text", "varchar")
_HARMLESS = {"ignore_nulls", "safe", "typed", "big_int"}  # marks of the dialect that change no meaning here


def read(text: str, zone: str, where: str) -> Node:
    """Read one expression; `DesignError` says at which character something outside the subset stands.

    >>> read("a + 1", "UTC", "expression").op
    'add'
    """
    if not isinstance(text, str) or not text.strip():
        raise DesignError(where, f"{text!r}", "an expression in SQL", 'for example "price * quantity"')
    if len(text) > _LONGEST:
        raise DesignError(where, f"{len(text):,} characters", f"at most {_LONGEST:,}", "split it in two")
    offsets(zone, where)
    reader = _Reader(text, zone, where)
    try:
        trees = sqlglot.parse(text, dialect="duckdb")
    except SqlglotError as error:
        raise reader.malformed(error) from None
    except RecursionError:
        raise reader.too_deep() from None
    if len(trees) != 1 or trees[0] is None:
        raise DesignError(f"{where}: {text}", f"{len(trees)} statements", "one expression", "leave out the `;`")
    return reader.node(trees[0], 0)


class _Reader:
    def __init__(self, text: str, zone: str, where: str) -> None:
        self.text, self.zone, self.where = text, zone, where

    def node(self, tree: Any, depth: int) -> Node:
        if depth > _DEEPEST:
            raise self.too_deep()
        if not hasattr(tree, "walk"):
            raise DesignError(f"{self.where}: {self.text}", "an operation without its operand", _ALLOWED)

        def inner(name: str) -> Node:
            return self.node(tree.args[name], depth + 1)

        def several(name: str) -> list[Node]:
            return [self.node(item, depth + 1) for item in tree.args.get(name) or ()]

        kind, at = type(tree), self.at(tree)
        if kind is sql.Paren:
            self.only(tree, "this")
            return inner("this")
        if kind in _BINARY:
            self.only(tree, "this", "expression")
            return Node(_BINARY[kind], (inner("this"), inner("expression")), at=at)
        if kind in _UNARY:
            self.only(tree, "this")
            return Node(_UNARY[kind], (inner("this"),), at=at, zone=self.zone)
        if kind in _MANY:
            self.only(tree, "this", "expressions")
            return Node(_MANY[kind], (inner("this"), *several("expressions")), at=at)
        if kind is sql.Column:
            self.only(tree, "this")
            return Node("column", value=tree.name, at=at)
        if kind is sql.Literal:
            return self.literal(tree, at)
        if kind is sql.Boolean:
            return Node("truth", value=bool(tree.this), at=at)
        if kind is sql.Null:
            return Node("null", at=at)
        if kind is sql.Log and _is_two(tree.this):
            return Node("log2", (inner("expression"),), at=at)
        if kind is sql.Cast and tree.to.is_type(*_TEXT):
            self.only(tree, "this", "to")
            return Node("written", (inner("this"),), at=at)
        if kind is sql.Extract:
            return Node(self.part(tree), (inner("expression"),), at=at, zone=self.zone)
        if kind is sql.Is and type(tree.expression) is sql.Null:
            return Node("isnull", (inner("this"),), at=at)
        if kind is sql.Between:
            self.only(tree, "this", "low", "high")
            value = inner("this")
            low, high = Node("ge", (value, inner("low")), at=at), Node("le", (value, inner("high")), at=at)
            return Node("and", (low, high), at=at)
        if kind is sql.In:
            self.only(tree, "this", "expressions")
            if not tree.expressions:
                raise self.refused(tree, "`in` without values")
            value = inner("this")
            return _fold("or", [Node("eq", (value, item), at=at) for item in several("expressions")], at)
        if kind is sql.Case:
            return self.case(tree, inner, depth)
        raise self.refused(tree)

    def case(self, tree: Any, inner: Callable[[str], Node], depth: int) -> Node:
        self.only(tree, "this", "ifs", "default")
        args: list[Node] = []
        for branch in tree.args["ifs"]:
            condition = self.node(branch.this, depth + 1)
            if tree.this is not None:
                condition = Node("eq", (inner("this"), condition), at=condition.at)
            args += [condition, self.node(branch.args["true"], depth + 1)]
        otherwise = inner("default") if tree.args.get("default") is not None else Node("null", at=self.at(tree))
        return Node("case", (*args, otherwise), at=self.at(tree))

    def literal(self, tree: Any, at: int) -> Node:
        if tree.is_string:
            return Node("text", value=str(tree.this), at=at)
        try:
            value = float(tree.this)
        except ValueError:
            value = math.inf
        if not math.isfinite(value):
            raise DesignError(self.place(at), f"the number {tree.this}", "numbers up to 1.7e308")
        return Node("number", value=value, at=at)

    def part(self, tree: Any) -> str:
        name = str(tree.this.name).lower()
        if name not in PARTS:
            raise DesignError(
                self.place(self.at(tree)), f"extract({name} from …)", ", ".join(PARTS), nearest(name, PARTS)
            )
        return name

    def only(self, tree: Any, *names: str) -> None:
        """Refuse a node that carries more than the subset knows, such as floor's second argument."""
        for name, value in tree.args.items():
            if name not in names and name not in _HARMLESS and value not in (None, False, []):
                raise self.refused(tree, f"`{_written(tree)}`")

    def at(self, tree: Any) -> int:
        starts = [node.meta["start"] for node in tree.walk() if "start" in node.meta]
        return min(starts, default=0)

    def place(self, at: int) -> str:
        return f"{self.where}: {self.text} (character {at + 1})"

    def refused(self, tree: Any, found: str = "") -> DesignError:
        name = str(tree.this) if isinstance(tree, sql.Anonymous) else ""
        fix = nearest(name, FUNCTIONS) if name else _FIXES.get(type(tree), "")
        if not found:
            found = f"the function {name!r}" if name else f"`{_written(tree)}`"
            found += next((why for kind, why in _WHY.items() if isinstance(tree, kind)), "")
        return DesignError(self.place(self.at(tree)), found, _ALLOWED, fix)

    def malformed(self, error: SqlglotError) -> DesignError:
        found, at = "text that is no expression (a quote left open?)", 0
        if isinstance(error, ParseError) and error.errors:
            first = error.errors[0]
            lines = self.text.split("\n")[: int(first.get("line") or 1) - 1]
            at = sum(len(line) + 1 for line in lines) + int(first.get("col") or 1) - len(first.get("highlight") or " ")
            found = f"no expression (something missing, or too much) near {first.get('highlight')!r}"
        return DesignError(self.place(max(at, 0)), found, "one expression in the subset of SQL: " + _ALLOWED)

    def too_deep(self) -> DesignError:
        return DesignError(f"{self.where}: {self.text[:80]}", "an expression nested too deep", f"{_DEEPEST} levels")


def _written(tree: Any) -> str:
    return str(tree.sql(unsupported_level=ErrorLevel.IGNORE))[:80]


def _is_two(base: Any) -> bool:
    return isinstance(base, sql.Literal) and not base.is_string and float(base.this) == 2


def _fold(op: str, nodes: list[Node], at: int) -> Node:
    """Join conditions pairwise, so that a list of hundreds stays shallow."""
    while len(nodes) > 1:
        pairs = [nodes[index : index + 2] for index in range(0, len(nodes), 2)]
        nodes = [Node(op, tuple(pair), at=at) if len(pair) == 2 else pair[0] for pair in pairs]
    return nodes[0]


_WHY: dict[type, str] = {
    sql.AggFunc: ": an aggregate; it belongs in a Window's values",
    sql.Window: ": a window function; use the feature Window",
    sql.Query: ": a query",
    sql.Star: ": all columns",
    sql.Func: ": a function outside the subset",
}
_FIXES: dict[type, str] = {
    sql.Cast: "leave the cast out: every number is a 64-bit float; cast(… as text) makes a category of one",
    sql.Pow: "exp(y * ln(x)), or x * x",
    sql.Mod: "x - y * floor(x / y)",
    sql.Log: "ln(x) or log2(x)",
    sql.Is: "is null, is not null",
    sql.If: "case when … then … else … end",
    sql.Hour: "extract(hour from t)",
    sql.Year: "extract(year from t)",
    sql.Month: "extract(month from t)",
    sql.Day: "extract(day from t)",
    sql.Minute: "extract(minute from t)",
    sql.DayOfWeek: "extract(dow from t)",
}
