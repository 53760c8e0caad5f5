"""A fix in the language of the design: rules write Python, and a design may stand in YAML or JSON."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from typing import Any

import yaml

from bottega.design.part import Choice
from bottega.reviewing.lines_python import part_named

_BEGIN = re.compile(r"(?<![\w.\"'])(?:bt\.\w+\(|[a-z]\w*=(?=[\"'\[{(\d-]|bt\.|None\b|True\b|False\b))")
_OPEN, _CLOSE = "([{", ")]}"


def in_language(fix: str, suffix: str) -> str:
    """Write the parts of Python in a fix as YAML or JSON, by the ending of the design's file; words stay.

    >>> in_language('split=bt.TimeSplit(test="7d"), or leave it', ".yaml")
    'split: {kind: TimeSplit, test: 7d}, or leave it'
    >>> in_language('bt.Watch("drift", at_most=0.2)', ".json")
    '{"metric": "drift", "at_most": 0.2}'
    """
    write = {".yaml": _yaml, ".yml": _yaml, ".json": _json}.get(suffix)
    if write is None:
        return fix
    out, at = "", 0
    while (found := _BEGIN.search(fix, at)) is not None:
        end = _end(fix, found.end())
        out += fix[at : found.start()] + _written(fix[found.start() : end], write)
        at = end
    return out + fix[at:]


def _end(text: str, at: int) -> int:
    """Give where the expression ends whose first sign, or whose opening bracket, stands before `at`."""
    depth = 1 if text[at - 1] == "(" else 0
    quote = ""
    for place in range(at, len(text)):
        sign = text[place]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in _OPEN:
            depth += 1
        elif sign in _CLOSE:
            depth -= 1
            if depth <= 0:
                return place + (depth == 0)
        elif depth == 0 and (sign in " ;:" or (sign == "," and not text[place + 1 : place + 2].isdigit())):
            return place
    return len(text)


def _written(code: str, write: Callable[[Any], str]) -> str:
    """Write a part, or a field with its value; what is no expression stays as it is."""
    try:
        tree = ast.parse(f"_({code.replace('…', '...')})", mode="eval").body
    except SyntaxError:
        return code
    if not isinstance(tree, ast.Call) or len(tree.args) + len(tree.keywords) != 1:
        return code
    try:
        if tree.args:
            return write(_value(tree.args[0]))
        (field,) = tree.keywords
        return write({field.arg: _value(field.value)})[1:-1]
    except ValueError:  # no value, but a name
        return code


def _value(node: ast.expr) -> Any:
    """Give what an expression of a fix stands for, as JSON has it."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func).rpartition(".")[2]
        part = part_named(name)
        fields = part.__struct_fields__ if part is not None else ()
        kind = {"kind": name} if part is not None and issubclass(part, Choice) else {}
        given = {field: _value(one) for field, one in zip(fields, node.args, strict=False)}
        return kind | given | {str(one.arg): _value(one.value) for one in node.keywords}
    if isinstance(node, ast.Dict):
        return {_value(key): _value(one) for key, one in zip(node.keys, node.values, strict=True) if key is not None}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(one) for one in node.elts]
    value = None if isinstance(node, ast.Set) else ast.literal_eval(node)
    return "…" if value in (..., "...") or isinstance(node, ast.Set) else value  # {…} is a set to Python


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _yaml(value: Any) -> str:
    """Write a value on one line, with quotes where YAML would read something else."""
    told: str = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False)
    return told.removesuffix("\n...\n").strip()
