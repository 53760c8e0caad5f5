"""What the service says when it does not answer: a status, and the four parts of an error as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from bottega.errors import nearest

_PLACE = re.compile(r" - at `(.+)`$")
_TYPES = re.compile(r"^Expected `(.+)`, got `(.+)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*)`$", re.DOTALL)
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


def undecodable(error: Exception, fields: Iterable[str] = (), body: str = "body") -> RefusalError:
    """Say why a body could not be read: 400 where it is no JSON, 422 where the JSON is not what was asked for.

    error: what msgspec raised. fields: the names that are known, for the nearest guess.

    >>> undecodable(msgspec.ValidationError("Object contains unknown field `custmer`"), ["customer", "k"]).fault
    Fault(where='custmer', found='an unknown field', allowed='customer, k', fix="did you mean 'customer'?")
    >>> undecodable(msgspec.ValidationError("Expected `int | null`, got `str` - at `$.k`")).fault
    Fault(where='k', found='str', allowed='int | null', fix='send int | null')
    """
    if isinstance(error, RecursionError):
        return RefusalError(400, body, "nested too deeply", "JSON of a few levels", "send a flatter object")
    if not isinstance(error, msgspec.ValidationError):
        return RefusalError(400, body, _said(error), "JSON in UTF-8", 'send for example {"k": 20}')
    text = str(error)
    place = _PLACE.search(text)
    text = _PLACE.sub("", text)
    where = place[1].removeprefix("$").removeprefix(".") if place else ""
    if unknown := _UNKNOWN.match(text):
        known = list(fields)
        name = f"{where}.{unknown[1]}" if where else unknown[1]
        guess = nearest(unknown[1], known) if known else ""
        return RefusalError(422, _short(name), "an unknown field", ", ".join(known), guess or "leave it out")
    if types := _TYPES.match(text):
        return RefusalError(422, where or body, types[2], types[1], f"send {types[1]}")
    return RefusalError(422, where or body, text, "numbers of 64 bits" if "range" in text else "", "change it")


def whole_fault(body: bytes, error: Exception) -> Exception:
    """Prefer the fault that a body as a whole has: JSON that is cut off is no JSON, whatever its first field is.

    error: what was found first.
    """
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError) as fault:
        return fault
    return error


def _said(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"no UTF-8 at byte {error.start}"
    return "nothing" if str(error) == "Input data was truncated" else str(error)


def _short(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
