"""Expressions in NumPy: a tree becomes one closure of closures, typed by the kinds of the columns it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bottega.errors import DataError, DesignError
from bottega.features.expression_parsed import Parsed
from bottega.features.expression_tree import COMPARISONS, TIMES, WHOLE, Kind, Node, check
from bottega.features.expression_zones import reader

Array = np.ndarray[Any, np.dtype[Any]]
Columns = Mapping[str, Array]
Step = Callable[[Columns], Any]  # gives an array of the rows, or one constant for all of them
KINDS: dict[str, Kind] = {
    "f": "number", "i": "number", "u": "number", "b": "number", "M": "time", "O": "text", "U": "text",
}  # fmt: skip
_NULLS: dict[Kind, Any] = {"number": np.nan, "time": np.datetime64("NaT", "us"), "text": None}
_NOTHING: Any = None


def compile_program(parsed: Parsed, columns: tuple[tuple[str, str], ...]) -> Callable[[Columns, int], Array]:
    """Compile for columns given as (name, NumPy's letter of the kind); `DesignError` where the kinds do not fit."""
    kinds: dict[str, Kind] = {}
    for name, letter in columns:
        if letter not in KINDS:
            raise DesignError(f"{parsed.where}: {parsed.text}", f"column {name!r} of NumPy's kind {letter!r}",
                              "numbers, booleans, times (datetime64) and texts")  # fmt: skip
        kinds[name] = KINDS[letter]
    kind = parsed.kind(kinds)
    step = _Compiler(parsed, kinds, dict(columns)).step(parsed.tree)
    dtype = {"time": "datetime64[us]", "text": "object"}.get(kind, "float64")

    def program(values: Columns, rows: int) -> Array:
        for name, _ in columns:
            if values[name].shape != (rows,):
                raise DataError(f"{parsed.where}: column {name!r}", f"shape {values[name].shape}", f"({rows},)")
        with np.errstate(all="ignore"):  # what is undefined is made null below
            result = step(values)
        if isinstance(result, np.ndarray) and result.ndim and result.dtype == dtype:
            return result
        whole = np.empty(rows, dtype)
        whole[:] = _NULLS["number" if dtype == "float64" else kind] if result is None else result
        return whole

    return program


class _Compiler:
    def __init__(self, parsed: Parsed, kinds: Mapping[str, Kind], letters: Mapping[str, str]) -> None:
        self.parsed, self.kinds, self.letters = parsed, kinds, letters

    def kind(self, node: Node) -> Kind:
        return check(node, self.kinds, self.parsed.place)

    def step(self, node: Node, wanted: Kind = "null") -> Step:
        """Compile a node; a null constant becomes the null of the kind that is wanted."""
        op = node.op
        if op == "column":
            return _column(str(node.value), self.letters[str(node.value)])
        if op in ("number", "truth", "text", "null"):
            constant = _NULLS.get(wanted, np.nan) if op == "null" else node.value
            constant = constant if op in ("text", "null") else np.float64(constant)
            return lambda _: constant
        if op in _ARITHMETIC:
            return _apply(_ARITHMETIC[op], [self.step(arg, "number") for arg in node.args])
        if op in ("and", "or", "not"):
            return _apply(_LOGIC[op], [self.truth(arg) for arg in node.args])
        if op in TIMES:
            return _apply(reader(op, node.zone), [self.step(node.args[0], "time")])
        if op in ("length", "lower"):
            function = len if op == "length" else lower
            return _texts(function, self.step(node.args[0], "text"), op == "length")
        if op == "written":
            number = self.step(node.args[0], "number")
            return number if self.kind(node.args[0]) == "text" else lambda columns: _written(number(columns))
        if op == "isnull":
            inner, kind = self.step(node.args[0]), self.kind(node.args[0])
            return lambda columns: _is_null(inner(columns), kind).astype(np.float64)
        if op == "case":
            return self.case(node)
        return self.same(node)

    def truth(self, node: Node) -> Step:
        """Compile a condition: 1, 0 or NaN; a number holds when it is not 0."""
        step = self.step(node, "number")
        if node.op in COMPARISONS or node.op in ("and", "or", "not", "truth", "isnull"):
            return step
        return lambda columns: _known(np.not_equal, step(columns), 0.0)

    def case(self, node: Node) -> Step:
        kind = self.kind(node)
        wanted: Kind = "number" if kind == "null" else kind
        conditions = [self.truth(arg) for arg in node.args[:-1:2]]
        values = [self.step(arg, wanted) for arg in node.args[1::2]]
        otherwise = self.step(node.args[-1], wanted)

        def run(columns: Columns) -> Any:
            result = otherwise(columns)
            for condition, value in zip(reversed(conditions), reversed(values), strict=True):
                result = _choose(condition(columns) == 1.0, value(columns), result, wanted)
            return result

        return run

    def same(self, node: Node) -> Step:
        """Compile what takes operands of one kind: comparisons, coalesce, nullif, least, greatest."""
        kind = check(Node("coalesce", node.args, at=node.at), self.kinds, self.parsed.place)
        wanted: Kind = "number" if kind == "null" else kind
        steps = [self.step(arg, wanted) for arg in node.args]
        if node.op in COMPARISONS:
            compare = _compare_texts if wanted == "text" else _known
            ufunc = _UFUNCS[node.op]
            return lambda columns: compare(ufunc, steps[0](columns), steps[1](columns))
        fold = _FOLDS[node.op]

        def run(columns: Columns) -> Any:
            result = steps[0](columns)
            for step in steps[1:]:
                result = fold(result, step(columns), wanted)
            return result

        return run


def _column(name: str, letter: str) -> Step:
    if letter == "f":
        return lambda columns: _finite(columns[name].astype(np.float64, copy=False))
    if letter in "iub":
        return lambda columns: columns[name].astype(np.float64)
    if letter == "M":
        return lambda columns: columns[name].astype("datetime64[us]")
    return lambda columns: columns[name].astype(object)


def _finite(value: Any) -> Any:
    """Make infinities null; the difference of a finite number with itself is 0, of any other NaN."""
    return value + (value - value)


def _apply(function: Callable[..., Any], steps: list[Step]) -> Step:
    if len(steps) == 1:
        only = steps[0]
        return lambda columns: function(only(columns))
    left, right = steps
    return lambda columns: function(left(columns), right(columns))


def _either(left: Any, right: Any) -> Any:
    return np.where((left == 1.0) | (right == 1.0), 1.0, left + right)


def _both(left: Any, right: Any) -> Any:
    return np.where((left == 0.0) | (right == 0.0), 0.0, left * right)


def _known(compare: Callable[..., Any], left: Any, right: Any) -> Any:
    """Compare numbers or times; null where either is null."""
    known = (left == left) & (right == right)
    return np.where(known, compare(left, right), np.nan)


def _compare_texts(compare: Callable[..., Any], left: Any, right: Any) -> Any:
    operation = _PLAIN[compare]
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        pairs = zip(left.tolist(), right.tolist(), strict=True)
        return np.array([np.nan if a is None or b is None else operation(a, b) for a, b in pairs], np.float64)
    if left is None or right is None:
        return np.float64(np.nan)
    if isinstance(left, np.ndarray):
        return np.array([np.nan if a is None else operation(a, right) for a in left.tolist()], np.float64)
    if isinstance(right, np.ndarray):
        return np.array([np.nan if b is None else operation(left, b) for b in right.tolist()], np.float64)
    return np.float64(operation(left, right))


def _is_null(value: Any, kind: Kind) -> Any:
    if kind == "text":
        return np.asarray(_object(value) == _NOTHING).astype(bool)
    return np.not_equal(value, value)


def _choose(condition: Any, yes: Any, no: Any, kind: Kind) -> Any:
    if kind != "text":
        return np.where(condition, yes, no)
    return np.where(condition, _object(yes), _object(no))


def _object(value: Any) -> Array:
    if isinstance(value, np.ndarray):
        return value
    array = np.empty((), object)
    array[()] = value
    return array


def _coalesce(left: Any, right: Any, kind: Kind) -> Any:
    return _choose(_is_null(left, kind), right, left, kind)


def _nullif(left: Any, right: Any, kind: Kind) -> Any:
    same = _compare_texts(np.equal, left, right) if kind == "text" else _known(np.equal, left, right)
    return _choose(same == 1.0, _NULLS[kind], left, kind)


def _least(left: Any, right: Any, kind: Kind) -> Any:
    return np.minimum(left, right) if kind != "text" else _extreme(np.less_equal, left, right)


def _greatest(left: Any, right: Any, kind: Kind) -> Any:
    return np.maximum(left, right) if kind != "text" else _extreme(np.greater_equal, left, right)


def _extreme(compare: Callable[..., Any], left: Any, right: Any) -> Any:
    first = _compare_texts(compare, left, right)
    return _choose(np.isnan(first), None, _choose(first == 1.0, left, right, "text"), "text")


def lower(text: str) -> str:
    """Lower a text letter by letter, as engines do: no final sigma, and dotted I becomes a plain i.

    >>> lower("ΟΔΟΣ İ")
    'οδοσ i'
    """
    if text.isascii():
        return text.lower()
    return text.replace("\u0130", "i").replace("\u03a3", "\u03c3").lower()


def _texts(function: Callable[[str], Any], step: Step, number: bool) -> Step:
    null = np.nan if number else None

    def run(columns: Columns) -> Any:
        value = step(columns)
        if not isinstance(value, np.ndarray):
            return null if value is None else function(value)
        result = np.empty(len(value), np.float64 if number else object)
        result[:] = [null if item is None else function(item) for item in value.tolist()]
        return result

    return run


def _written(value: Any) -> Any:
    """Write whole numbers in digits; others, and what float64 cannot tell from its neighbours, are null."""
    if not isinstance(value, np.ndarray):
        return _digits(float(value))
    if len(value) == 1:  # a request's own: quicker than to look for equal ones
        return _object(_digits(float(value[0]))).reshape(1)
    known, at = np.unique(value, return_inverse=True)
    words = np.empty(len(known), object)
    words[:] = [_digits(number) for number in known.tolist()]
    return words[at]


def _digits(number: float) -> str | None:
    return str(int(number)) if abs(number) < WHOLE and number == int(number) else None


_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": lambda left, right: _finite(left + right),
    "sub": lambda left, right: _finite(left - right),
    "mul": lambda left, right: _finite(left * right),
    "div": lambda left, right: _finite(left / right),
    "neg": np.negative,
    "abs": np.abs,
    "ln": lambda value: _finite(np.log(value)),
    "log2": lambda value: _finite(np.log2(value)),
    "sqrt": np.sqrt,
    "exp": lambda value: _finite(np.exp(value)),
    "floor": np.floor,
    "ceil": np.ceil,
}
_LOGIC: dict[str, Callable[..., Any]] = {"and": _both, "or": _either, "not": lambda value: 1.0 - value}
_UFUNCS: dict[str, Callable[..., Any]] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip
_PLAIN: dict[Callable[..., Any], Callable[[Any, Any], bool]] = {
    np.equal: lambda a, b: a == b, np.not_equal: lambda a, b: a != b, np.less: lambda a, b: a < b,
    np.less_equal: lambda a, b: a <= b, np.greater: lambda a, b: a > b, np.greater_equal: lambda a, b: a >= b,
}  # fmt: skip
_FOLDS: dict[str, Callable[[Any, Any, Kind], Any]] = {
    "coalesce": _coalesce, "nullif": _nullif, "least": _least, "greatest": _greatest,
}  # fmt: skip
