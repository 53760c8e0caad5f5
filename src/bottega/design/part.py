"""What every part of a design is: plain frozen data, with lists kept as tuples."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, get_type_hints

import msgspec

from bottega.errors import DesignError, nearest

_UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_UNITS["w"] = 7 * _UNITS["d"]
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|min|h|d|w)")
_MISSING = re.compile(r"Missing required argument '(\w+)'")


class _Named(msgspec.StructMeta):
    """Lets a part whose arguments do not fit be told by its name, which the `TypeError` of a struct does not."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        known: tuple[str, ...] = self.__struct_fields__
        if slip := next((name for name in named if name not in known), None):
            raise unknown_field(self.__name__, slip, known)
        try:
            return super().__call__(*given, **named)
        except TypeError as error:
            if missing := _MISSING.fullmatch(str(error)):
                where, allowed = f"{self.__name__}.{missing[1]}", "a value: it has no default"
                raise DesignError(where, "nothing", allowed, f"{missing[1]}=…") from None
            if len(given) > len(known):
                found, allowed = f"{len(given)} values without a name", f"at most {len(known)}: {', '.join(known)}"
                raise DesignError(self.__name__, found, allowed) from None
            raise


class Part(
    msgspec.Struct,
    metaclass=_Named,
    frozen=True,
    forbid_unknown_fields=True,
    repr_omit_defaults=True,
    omit_defaults=True,
):
    """A piece of a design: frozen, comparable, without behaviour; lists given to it become tuples."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, (list, tuple, dict)):
                msgspec.structs.force_setattr(self, name, _frozen(value))
        try:
            self.check()
        except (TypeError, AttributeError) as error:  # a check met a value of another type than it was declared
            raise self._misfit() or error from None

    def _misfit(self) -> DesignError | None:
        """Find the field whose value is not of its declared type."""
        for name, declared in get_type_hints(type(self)).items():
            try:
                msgspec.convert(getattr(self, name), declared)
            except (msgspec.ValidationError, TypeError):
                value = getattr(self, name)
                kinds = str(declared).replace("typing.", "").replace("bottega.design.", "")
                return self.refuse(name, f"{value!r}", getattr(declared, "__name__", kinds))
        return None

    def check(self) -> None:
        """Refuse what the types alone cannot: a part that needs it overrides this and raises `DesignError`."""

    def refuse(self, field: str, found: object, allowed: str, fix: str = "") -> DesignError:
        """Make the error for one of this part's own fields."""
        return DesignError(f"{type(self).__name__}.{field}", found, allowed, fix)

    def check_span(self, *fields: str, also: str | None = None) -> None:
        """Refuse a field that holds neither nothing, nor the word `also`, nor spans such as `30d`."""
        for field in fields:
            value = getattr(self, field)
            for item in value if isinstance(value, tuple) else (value,):
                if item is not None and item != also:
                    try:
                        microseconds(item)
                    except DesignError as error:
                        raise self.refuse(field, error.found, error.allowed, error.fix) from None

    def check_range(self, field: str, low: float, high: float, low_open: bool = False) -> None:
        """Refuse a number outside low..high (`low_open`: low itself is out too); nothing set passes."""
        value: Any = getattr(self, field)
        if value is None:
            return
        inside = isinstance(value, (int, float)) and (low < value if low_open else low <= value) and value <= high
        if not inside:
            bound = f"a number {'above' if low_open else 'from'} {low:g} {'up ' if low_open else ''}to {high:g}"
            raise self.refuse(field, f"{value!r}", bound)


def _frozen(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    return {key: _frozen(item) for key, item in value.items()} if isinstance(value, dict) else value


def unknown_field(part: str, field: str, known: Sequence[str]) -> DesignError:
    """Make the error for a field that a part does not have, with the nearest of those that it has.

    >>> print(unknown_field("DCN", "layer", ["layers", "seed"]))
    DCN.layer: DCN has no such field
           allowed  layers, seed
           fix      did you mean 'layers'?
    """
    return DesignError(f"{part}.{field}", f"{part} has no such field", ", ".join(known), nearest(field, known))


class Choice(Part, frozen=True, tag_field="kind", tag=True):
    """A part that stands where one of several kinds may stand; in YAML its `kind` says which."""


def microseconds(span: str) -> int:
    """Read a length of time such as `30d`, `12h`, `5min`, `90s` as microseconds.

    Units: us, ms, s, min, h, d (24 h), w (7 d). A month has no fixed length and is no unit. Raises `DesignError`.

    >>> microseconds("1.5h")
    5400000000
    """
    match = _SPAN.fullmatch(span.strip()) if isinstance(span, str) else None
    if match is None:
        raise DesignError("span", f"{span!r}", "a number and a unit: 90s, 5min, 12h, 30d, 4w", "for example '30d'")
    return round(float(match[1]) * _UNITS[match[2]])
