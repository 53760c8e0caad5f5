"""What the service says when it does not answer: a status, and the four parts of an error as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from bottega.errors import broken_json, nearest

_PLACE = re.compile(r" - at `(.+)`$")
_TYPES = re.compile(r"^Expected `(.+)`, got `(.+)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*)`$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(.*)`$")
_LONGEST = 200


class Fault(msgspec.Struct):
    """What was wrong: where, what was found there, what is allowed, and what to do."""

    where: str
    found: str
    allowed: str
    fix: str


class Refused(msgspec.Struct):
    """The body of every answer that is none."""

    error: Fault


class RefusalError(Exception):
    """Ends the handling of a request with a status of its own; not for bugs."""

    def __init__(self, status: int, where: str, found: object, allowed: str = "", fix: str = "") -> None:
        self.status = status
        self.fault = Fault(where, _short(str(found)), allowed, fix)
        super().__init__(status, where, found)

    def body(self) -> bytes:
        """Give the JSON that is sent."""
        return msgspec.json.encode(Refused(self.fault))


def undecodable(error: Exception, data: bytes | None = None, kind: type[msgspec.Struct] | None = None) -> RefusalError:
    """Say why a body could not be read: 400 where it is no JSON, 422 where the JSON is not what was asked for.

    What is cut off is no JSON, whatever its first field is. error: what msgspec raised. data: the body; nothing: it
    is JSON. kind: what was asked for, whose fields are told where one is unknown.

    >>> class Request(msgspec.Struct, forbid_unknown_fields=True):
    ...     customer: int = 0
    ...     k: int | None = None
    >>> undecodable(msgspec.ValidationError("Object contains unknown field `custmer`"), None, Request).fault
    Fault(where='custmer', found='an unknown field', allowed='customer, k', fix="did you mean 'customer'?")
    >>> undecodable(msgspec.ValidationError("Expected `int | null`, got `str` - at `$.k`")).fault
    Fault(where='k', found='str', allowed='int | null', fix='send int | null')
    """
    error = error if data is None else _whole_fault(error, data)
    if isinstance(error, RecursionError):
        return RefusalError(400, "body", "nested too deeply", "JSON of a few levels", "send a flatter object")
    if not isinstance(error, msgspec.ValidationError):
        return RefusalError(400, "body", _said(error, data), "JSON in UTF-8", 'send for example {"k": 20}')
    text = str(error)
    place = _PLACE.search(text)
    text = _PLACE.sub("", text)
    where = place[1].removeprefix("$").removeprefix(".") if place else ""
    if unknown := _UNKNOWN.match(text):
        known = _fields(kind, where)
        guess = nearest(unknown[1], known) if known else ""
        name = f"{where}.{unknown[1]}" if where else unknown[1]
        return RefusalError(422, _short(name), "an unknown field", ", ".join(known), guess or "leave it out")
    if missing := _MISSING.match(text):
        name = f"{where}.{missing[1]}" if where else missing[1]
        return RefusalError(422, name, "nothing", "a value", f"send {missing[1]}")
    if types := _TYPES.match(text):
        return RefusalError(422, where or "body", types[2], types[1], f"send {types[1]}")
    return RefusalError(422, where or "body", text, "numbers of 64 bits" if "range" in text else "", "change it")


def _whole_fault(error: Exception, data: bytes) -> Exception:
    """Give the fault that a body as a whole has, where it is no JSON, else what was found first."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError) as fault:
        return fault
    return error


def _said(error: Exception, data: bytes | None) -> str:
    if data is None:
        return str(error)
    return (broken_json(data) or str(error)) if data.strip() else "nothing"


def _fields(kind: Any, where: str) -> tuple[str, ...]:
    """Give the fields of a type, or of the objects that may stand at a place in it."""
    for name in filter(None, re.split(r"\[\d+\]|\.", where)):
        fields = msgspec.structs.fields(kind) if kind is not None else ()
        kind = next((one for field in fields if field.name == name for one in _structs(field.type)), None)
    return () if kind is None else tuple(kind.__struct_fields__)


def _structs(declared: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(declared, type) and issubclass(declared, msgspec.Struct):
        yield declared
    for inner in get_args(declared):
        yield from _structs(inner)


def _short(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
