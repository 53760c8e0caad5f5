"""Read a design from a Python file or from YAML, and say precisely what is wrong with it."""

from __future__ import annotations

import re
import sys
import traceback
import types
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from bottega.design.design import Design
from bottega.design.part import Part, unknown_field
from bottega.errors import DesignError, broken_json, nearest

_STEP = re.compile(r"([A-Za-z_]\w*)|\[(\d+)\]")
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")


def load(path: str | Path) -> Design:
    """Read the design of a file: `design = bt.Design(…)` in Python, or the same structure in YAML or JSON.

    path: a file ending in `.py`, `.yaml`, `.yml` or `.json`.
    Errors: `DesignError` with the line (Python) or the path of the field (YAML).
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise DesignError(str(path), found, "a design in .py, .yaml or .json", "" if path.is_dir() else _beside(path))
    if path.suffix == ".py":
        return checked(_from_python(path), str(path))
    if path.suffix == ".json":
        text = path.read_bytes()
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DesignError(str(path), broken_json(text) or _one_line(error), "valid JSON") from None
        return _decode(value, str(path))
    if path.suffix in (".yaml", ".yml"):
        try:
            value = msgspec.yaml.decode(path.read_bytes())
            if value is None:
                raise DesignError(str(path), "nothing in the file", "YAML with the fields of a design")
            return _decode(value, str(path))
        except msgspec.DecodeError as error:
            raise DesignError(str(path), _one_line(error), "YAML with the fields of a design") from None
        except Exception as error:
            if type(error).__module__.startswith("yaml"):
                raise DesignError(str(path), _one_line(error), "valid YAML") from None
            raise
    raise DesignError(str(path), f"a file ending in {path.suffix!r}", ".py, .yaml, .yml or .json")


def checked(design: object, where: str = "design") -> Design:
    """Hold a design that Python made against its declared types, which Python itself does not look at."""
    if not isinstance(design, Design):
        raise DesignError(where, f"an object of type {type(design).__name__}", "a bt.Design", "design = bt.Design(…)")
    return _decode(msgspec.to_builtins(design), where)


def _decode(value: Any, where: str) -> Design:
    try:
        return msgspec.convert(value, Design)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        place = path.strip("`").removeprefix("$").lstrip(".").replace("[...]", ".…")
        cause = error.__cause__
        if isinstance(cause, DesignError):
            field = cause.where.rpartition(".")[2] if cause.where[:1].isupper() else cause.where
            full = f"{place}.{field}" if place else field
            raise DesignError(f"{where}: {full}", cause.found, cause.allowed, cause.fix) from None
        if (slip := _UNKNOWN.search(message)) and (strange := _strange(slip[1], value, [Design])):
            place, part = strange
            told = unknown_field(part.__name__, slip[1], part.__struct_fields__)
            raise DesignError(f"{where}: {place}", told.found, told.allowed, told.fix) from None
        place = _spelled_out(value, place, str(error))
        words = _words(value, place)
        found = f"{_at(value, place)!r}" if words else message
        fix = _guess(message) or _pointed(value, place)
        raise DesignError(f"{where}: {place or 'design'}", found, words or _allowed(message), fix) from None


def _spelled_out(value: Any, place: str, said: str) -> str:
    """Name the key of a mapping that an error leaves open, `models.…[0].k`: by itself it makes the same error."""
    before, left_open, after = place.partition(".…")
    found = _at(value, before) if left_open else None
    held: dict[str, Any] = found if isinstance(found, dict) else {}
    for key in held:
        try:
            msgspec.convert(_with(value, before.split("."), {key: held[key]}), Design)
        except msgspec.ValidationError as error:
            if str(error) == said:
                return f"{before}.{key}{after}"
    return place


def _with(value: Any, names: list[str], inner: Any) -> Any:
    """Give a copy of nested mappings in which one of them is another; through lists no way leads."""
    if not names:
        return inner
    return {**value, names[0]: _with(value[names[0]], names[1:], inner)} if isinstance(value, dict) else value


def _words(value: Any, place: str) -> str:
    """Name the words that a field takes, where its type lists them."""
    parts: list[type[Part]] = [Design]
    declared: Any = None
    for name, number in _STEP.findall(place):
        part = next((one for one in parts if isinstance(value, dict) and _is_kind(one, value)), None)
        if name and part is not None:
            declared = get_type_hints(part).get(name)
            parts = _parts(declared)
        value = _at(value, name or f"[{number}]")
    words = _literals(declared)
    empty = ["None"] if words and type(None) in get_args(declared) else []
    return ", ".join([*words, *empty])


def _is_kind(part: type[Part], value: dict[str, Any]) -> bool:
    return bool(part.__struct_config__.tag == value.get("kind"))


def _literals(declared: Any) -> list[str]:
    if get_origin(declared) is Literal:
        return [repr(word) for word in get_args(declared)]
    return [word for one in get_args(declared) for word in _literals(one)]


def _at(value: Any, place: str) -> Any:
    """Give what lies at a place, or at the nearest around it."""
    for name, number in _STEP.findall(place):
        value = value.get(name) if name and isinstance(value, dict) else value
        value = value[int(number)] if number and isinstance(value, (list, tuple)) else value
    return value


def _pointed(value: Any, place: str) -> str:
    """Say how a number is written that YAML reads as text, for want of a point before its exponent."""
    value = _at(value, place)
    exponent = re.fullmatch(r"([+-]?\d+)([eE][+-]?\d+)", value) if isinstance(value, str) else None
    return f"{exponent[1]}.0{exponent[2]}: YAML reads {value} as text" if exponent else ""


def _from_python(path: Path) -> object:
    module = types.ModuleType("bottega_design")
    module.__file__ = str(path)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except DesignError as error:
        raise DesignError(f"{_line(path, error)}{error.where}", error.found, error.allowed, error.fix) from None
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""  # bytes that are no text have none
        raise DesignError(f"{path}{line}", error.msg, "valid Python") from None
    except Exception as error:
        raise DesignError(
            f"{_line(path, error)}{type(error).__name__}",
            _one_line(error),
            "a file that only makes a design",
            _guess(str(error)),
        ) from error
    finally:
        sys.path.pop(0)
    if not hasattr(module, "design"):
        others = [name for name, value in vars(module).items() if isinstance(value, Design)]
        found = f"no `design`, and {' and '.join(others)} beside it" if others else "no `design`"
        fix = f"design = {others[-1]}" if others else ""
        raise DesignError(str(path), found, "a file with `design = bt.Design(…)`", fix)
    return module.design


def _line(path: Path, error: BaseException) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}:{lines[-1]}: " if lines else f"{path}: "


def _one_line(error: BaseException) -> str:
    return re.sub(r"\s+", " ", str(error)).strip()


def _strange(field: str, value: Any, parts: list[type[Part]], place: str = "") -> tuple[str, type[Part]] | None:
    """Find the first place with a field of this name that its part does not have; gives the place and the part.

    parts: those that may stand here, as such, in a list, or under the keys of a mapping.
    """
    if isinstance(value, dict):
        part = next((one for one in parts if one.__struct_config__.tag == value.get("kind")), None)
        if part is not None and field in value and field not in ("kind", *part.__struct_fields__):
            return f"{place}.{field}".lstrip("."), part
        declared = {} if part is None else get_type_hints(part)
        inner = [
            (item, _parts(declared[name]) if name in declared else parts, f"{place}.{name}")
            for name, item in value.items()
        ]
    else:
        inner = [(item, parts, f"{place}[{n}]") for n, item in enumerate(value if isinstance(value, list) else ())]
    return next((found for item in inner if (found := _strange(field, *item)) is not None), None)


def _parts(declared: Any) -> list[type[Part]]:
    """Give the parts that a declared type speaks of."""
    if inside := get_args(declared):
        return [part for one in inside for part in _parts(one)]
    return [declared] if isinstance(declared, type) and issubclass(declared, Part) else []


def _kinds(part: type) -> list[str]:
    children: list[type] = part.__subclasses__()
    return [name for child in children for name in (child.__name__, *_kinds(child))]


def _guess(message: str) -> str:
    if "unknown field `kind`" in message:
        return "another part stands where this one belongs: look at what the field takes"
    slip = re.search(r"module 'bottega\S*' has no attribute '([^']+)'", message)
    return nearest(slip[1], sorted(set(_kinds(Part)))) if slip else ""


def _allowed(message: str) -> str:
    expected = re.search(r"[Ee]xpected (.+?)(?:, got .*)?$", message)
    return expected[1] if expected else "the fields that `bottega.schema()` lists"


def _beside(path: Path) -> str:
    folder = path.parent if path.parent.is_dir() else Path()
    return nearest(path.name, [item.name for item in folder.iterdir() if item.exists()])
