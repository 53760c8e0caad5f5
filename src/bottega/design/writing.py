"""Write a design as YAML, as a Python file, or describe what one may hold as a JSON Schema."""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

import msgspec

from bottega.design.design import Design
from bottega.design.part import Part
from bottega.design.reading import checked

_NAMED = ("Design", "Scope", "Data", "Evaluation", "Serving", "Monitoring", "Traffic")  # parts written by names alone


def to_yaml(design: Design) -> str:
    """Write the design as YAML that loads as an equal one."""
    return msgspec.yaml.encode(msgspec.to_builtins(design, builtin_types=(dict, list))).decode()


def to_json(design: Design) -> bytes:
    """Write the design as JSON with sorted keys: equal designs give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(checked(design), order="deterministic"), indent=2)


def to_python(design: Design, notes: Mapping[str, str] | None = None, about: str = "") -> str:
    """Write the design as a Python file that loads as an equal one.

    notes: by place (`data.split`, `features[2]`) what is to stand above it as a comment. about: the file's docstring.
    """
    head = f'"""{about.strip()}"""\n\n'.replace("\\", "\\\\") if about else ""
    return f"{head}import bottega as bt\n\ndesign = {_source(design, 0, '', notes or {})}\n"


def schema() -> dict[str, Any]:
    """Give the JSON Schema of a design, with each field's description.

    >>> schema()["$ref"]
    '#/$defs/Design'
    """
    result = msgspec.json.schema(Design)
    for name, entry in result["$defs"].items():
        part = _parts()[name]
        entry["description"] = inspect.getdoc(part)
        docs = field_docs(part)
        for field, rule in entry.get("properties", {}).items():
            if field in docs:
                rule["description"] = docs[field]
    return result


def field_docs(part: type[Part]) -> dict[str, str]:
    """Give the text below each field of a part, its parents' fields too."""
    docs: dict[str, str] = {}
    for owner in reversed([item for item in part.__mro__ if issubclass(item, Part)]):
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        lines = body.body if isinstance(body, ast.ClassDef) else []
        for field, text in itertools.pairwise(lines):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
                and isinstance(text.value.value, str)
            ):
                docs[field.target.id] = " ".join(text.value.value.split())
    return docs


def _parts() -> dict[str, type[Part]]:
    found: dict[str, type[Part]] = {}
    todo: list[type[Part]] = [Part]
    while todo:
        for child in todo.pop().__subclasses__():
            if child.__module__ in sys.modules:
                found[child.__name__] = child
                todo.append(child)
    return found


def _source(value: object, indent: int, place: str, notes: Mapping[str, str]) -> str:
    def item(written: str, inner: object, at: str) -> tuple[str, str]:
        return f"{written}{_source(inner, indent + 4, at, notes)}", notes.get(at, "")

    if isinstance(value, Part):
        defaults = dict(zip(reversed(value.__struct_fields__), reversed(value.__struct_defaults__), strict=False))
        names = value.__struct_fields__
        first = names[0] if names and names[0] not in defaults and type(value).__name__ not in _NAMED else None
        items = [
            item("" if name == first else f"{name}=", getattr(value, name), f"{place}.{name}".lstrip("."))
            for name in value.__struct_fields__
            if name not in defaults or getattr(value, name) != _default(defaults[name])
        ]
        return _wrapped(f"bt.{type(value).__name__}(", items, ")", indent)
    if isinstance(value, Mapping):
        named = [item(f"{_source(key, 0, '', {})}: ", inner, f"{place}.{key}") for key, inner in value.items()]
        return _wrapped("{", named, "}", indent)
    if isinstance(value, (tuple, list)):
        return _wrapped("[", [item("", inner, f"{place}[{at}]") for at, inner in enumerate(value)], "]", indent)
    return _text(value) if isinstance(value, str) else repr(value)


def _text(text: str) -> str:
    """Write a text in double quotes, as most people's formatters do."""
    written = repr(text)
    if written[0] == '"' or '"' in text:
        return written
    return '"' + written[1:-1] + '"'


def _default(default: object) -> object:
    factory = getattr(default, "factory", None)
    return factory() if factory is not None else default


def _wrapped(start: str, items: list[tuple[str, str]], end: str, indent: int) -> str:
    line = start + ", ".join(text for text, _ in items) + end
    if len(line) + indent <= 100 and "\n" not in line and not any(note for _, note in items):
        return line
    pad = " " * (indent + 4)
    lines = [f"{_comment(note, pad)}{pad}{text},\n" for text, note in items]
    return start + "\n" + "".join(lines) + " " * indent + end


def _comment(note: str, pad: str) -> str:
    lines = textwrap.wrap(note, max(40, 98 - len(pad)), break_long_words=False, break_on_hyphens=False)
    return "".join(f"{pad}# {line}\n" for line in lines)
