"""Expressions in Flink's SQL: the same tree once more, since Ibis writes Flink neither infinities nor microseconds.

Numbers are DOUBLE, times BIGINT (microseconds since 1970 UTC), texts STRING, conditions BOOLEAN. What Flink does in its
own way (overflow, division by zero, order of texts by UTF-16, final sigma) is written out, so that it does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from bottega.errors import DesignError
from bottega.features.expression_parsed import Parsed
from bottega.features.expression_tree import COMPARISONS, TIMES, WHOLE, Kind, Node, check, columns_of
from bottega.features.expression_zones import offsets
from bottega.features.expressions import evaluate

LARGEST = f"{float(np.finfo(np.float64).max)!r}".upper()
_LONGEST = 100_000  # letters: many operations say their operand twice
_SHIFT = 604_800 * 10**7  # seconds, a multiple of all parts: what is left of a division is not below 0
_TYPES: dict[Kind, str] = {"number": "DOUBLE", "time": "BIGINT", "text": "STRING"}


def written(parsed: Parsed, kinds: Mapping[str, Kind], column: Callable[[str], str], condition: bool = False) -> str:
    """Write an expression in Flink's SQL.

    kinds: of the columns; column: from a column's name to its SQL, of the type that belongs to its kind, and finite.
    condition: give a BOOLEAN, with a number as "not 0". Errors: `DesignError` for what becomes too long.

    >>> from bottega.features.expressions import parse
    >>> written(parse("price > 2"), {"price": "number"}, quoted, condition=True)
    '(`price` > 2.0E0)'
    """
    writer = _Writer(parsed, kinds, column)
    kind = parsed.kind(kinds)
    return writer.truth(parsed.tree) if condition else writer.value(parsed.tree, kind)


def quoted(name: str) -> str:
    """Write a name as Flink reads it, whatever letters it has."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    r"""Write a text as Flink reads it; letters that control something go as numbers, so that a script keeps its lines.

    >>> literal("it's")
    "'it''s'"
    """
    inner = text.replace("'", "''")
    if text.isprintable():
        return f"'{inner}'"
    coded = "".join(
        letter if letter.isprintable() and letter != "\\" else f"\\{ord(letter):04x}" if letter != "\\" else "\\\\"
        for letter in inner
    )
    return f"U&'{coded}'"


def finite(value: str) -> str:
    """Give a number, or null where it is none: infinite or NaN."""
    return f"CASE WHEN ABS({value}) <= {LARGEST} THEN {value} END"


class _Writer:
    def __init__(self, parsed: Parsed, kinds: Mapping[str, Kind], column: Callable[[str], str]) -> None:
        self.parsed, self.kinds, self.column = parsed, kinds, column

    def kind(self, node: Node) -> Kind:
        return check(node, self.kinds, self.parsed.place)

    def value(self, node: Node, wanted: Kind) -> str:
        """Write a node as DOUBLE, BIGINT or STRING; a null takes the type that is wanted."""
        text = self.written(node, wanted)
        if len(text) > _LONGEST:
            where, found = self.parsed.place(node.at), f"an expression of {len(text):,} letters in Flink's SQL"
            raise DesignError(where, found, f"at most {_LONGEST:,}", "nest less of it")
        return text

    def written(self, node: Node, wanted: Kind) -> str:
        op = node.op
        if not columns_of(node):
            return self.constant(node, wanted)  # Flink's planner fails on some constants, such as a divisor of 0
        if op == "column":
            return self.column(str(node.value))
        if op in COMPARISONS or op in ("and", "or", "not", "isnull"):
            return f"CAST({self.truth(node)} AS DOUBLE)"
        if op in _NUMBERS:
            return _NUMBERS[op](*[self.value(arg, "number") for arg in node.args])
        if op in TIMES:
            return _part(op, node.zone, self.value(node.args[0], "time"))
        if op == "length":
            return f"CAST(CHAR_LENGTH({self.value(node.args[0], 'text')}) AS DOUBLE)"
        if op == "lower":
            return f"LOWER(REPLACE(REPLACE({self.value(node.args[0], 'text')}, 'İ', 'i'), 'Σ', 'σ'))"
        if op == "written":
            return self.digits(node.args[0])
        if op == "case":
            kind = self.kind(node)
            branches = zip(node.args[:-1:2], node.args[1::2], strict=True)
            said = " ".join(f"WHEN {self.truth(when)} THEN {self.value(then, kind)}" for when, then in branches)
            return f"CASE {said} ELSE {self.value(node.args[-1], kind)} END"
        kind = self.kind(node)
        values = [self.value(arg, kind) for arg in node.args]
        if op in ("least", "greatest") and kind == "text":
            return _edge(op, values)
        return f"{op.upper()}({', '.join(values)})"

    def truth(self, node: Node) -> str:
        """Write a node as a condition."""
        op = node.op
        if not columns_of(node):
            value = evaluate(self.alone(node), {}, 1)[0]
            return "CAST(NULL AS BOOLEAN)" if value is None or np.isnan(value) else "TRUE" if value else "FALSE"
        if op in ("and", "or"):
            return f"({f' {op.upper()} '.join(self.truth(arg) for arg in node.args)})"
        if op == "not":
            return f"(NOT {self.truth(node.args[0])})"
        if op == "isnull":
            return f"({self.value(node.args[0], self.kind(node.args[0]))} IS NULL)"
        if op in COMPARISONS:
            kind = check(Node("coalesce", node.args, at=node.at), self.kinds, self.parsed.place)
            left, right = [self.value(arg, kind) for arg in node.args]
            if kind == "text" and op not in ("eq", "ne"):
                left, right = _bytes(left), _bytes(right)
            return f"({left} {COMPARISONS[op]} {right})"
        return f"({self.value(node, 'number')} <> 0E0)"

    def digits(self, node: Node) -> str:
        if self.kind(node) == "text":
            return self.value(node, "text")
        value = self.value(node, "number")
        whole = f"ABS({value}) < {WHOLE!r}E0 AND FLOOR({value}) = {value}"
        return f"CASE WHEN {whole} THEN CAST(CAST({value} AS BIGINT) AS STRING) END"

    def constant(self, node: Node, wanted: Kind) -> str:
        value = evaluate(self.alone(node), {}, 1)[0]
        if value is None or value != value:
            return f"CAST(NULL AS {_TYPES.get(wanted, 'DOUBLE')})"
        return literal(value) if isinstance(value, str) else _number(float(value))

    def alone(self, node: Node) -> Parsed:
        return Parsed(self.parsed.text, self.parsed.zone, self.parsed.where, node, frozenset())


def _number(value: float) -> str:
    text = repr(value).upper()
    return text if "E" in text else f"{text}E0"


def _bytes(text: str) -> str:
    return f"HEX({text})"  # the order of UTF-8 is that of code points


def _edge(op: str, values: list[str]) -> str:
    sign, best = "<=" if op == "least" else ">=", values[0]
    for value in values[1:]:
        missing = f"{best} IS NULL OR {value} IS NULL"
        better = f"WHEN {_bytes(best)} {sign} {_bytes(value)} THEN {best} ELSE {value}"
        best = f"CASE WHEN {missing} THEN CAST(NULL AS STRING) {better} END"
    return best


def _part(part: str, zone: str, time: str) -> str:
    if part == "epoch":
        return f"({time} / 1E6)"
    begins, values = offsets(zone)
    seconds = f"CAST(FLOOR({time} / 1E6) AS BIGINT)"
    if len(begins) > 1:
        later = zip(begins[:0:-1].tolist(), values[:0:-1].tolist(), strict=True)
        said = " ".join(f"WHEN {time} >= {begin}000000 THEN {value}" for begin, value in later)
        seconds = f"({seconds} + CASE {said} ELSE {int(values[0])} END)"
    elif values[0]:
        seconds = f"({seconds} + {int(values[0])})"
    return f"CAST({_PARTS[part](seconds)} AS DOUBLE)"


def _within(seconds: str, longer: int, shorter: int) -> str:
    return f"MOD({seconds} + {_SHIFT}, {longer}) / {shorter}"


def _date(part: str, seconds: str) -> str:
    days = f"CAST(({seconds} + {_SHIFT}) / 86400 - {_SHIFT // 86400} AS INT)"
    return f"EXTRACT({part} FROM TIMESTAMPADD(DAY, {days}, DATE '1970-01-01'))"


_PARTS: dict[str, Callable[[str], str]] = {
    "year": lambda seconds: _date("YEAR", seconds),
    "month": lambda seconds: _date("MONTH", seconds),
    "day": lambda seconds: _date("DAY", seconds),
    "doy": lambda seconds: _date("DOY", seconds),
    "dow": lambda seconds: _within(f"{seconds} + 345600", 604_800, 86_400),  # 1970-01-01 was a Thursday
    "hour": lambda seconds: _within(seconds, 86_400, 3600),
    "minute": lambda seconds: _within(seconds, 3600, 60),
}
_NUMBERS: dict[str, Callable[..., str]] = {
    "add": lambda left, right: finite(f"({left} + {right})"),
    "sub": lambda left, right: finite(f"({left} - {right})"),
    "mul": lambda left, right: finite(f"({left} * {right})"),
    "div": lambda left, right: finite(f"({left} / NULLIF({right}, 0E0))"),
    "neg": lambda value: f"(- {value})",
    "abs": lambda value: f"ABS({value})",
    "ln": lambda value: f"LN(CASE WHEN {value} > 0E0 THEN {value} END)",
    "log2": lambda value: f"LOG2(CASE WHEN {value} > 0E0 THEN {value} END)",
    "sqrt": lambda value: f"SQRT(CASE WHEN {value} >= 0E0 THEN {value} END)",
    "exp": lambda value: finite(f"EXP({value})"),
    "floor": lambda value: f"FLOOR({value})",
    "ceil": lambda value: f"CEIL({value})",
}
