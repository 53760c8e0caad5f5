"""What the fields of an event become: each the type that its column has in what the batch accepted."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bottega.data.checks import numbers
from bottega.data.keys import as_text

Mask = NDArray[np.bool_]
ODD = re.compile(r'["\\\x00-\x1f]')
"""What a name of a field cannot have: msgspec takes no such name."""


@dataclass(frozen=True)
class Field:
    """A column of a table, and what an event may hold for it."""

    name: str
    """Its name, which is also that of the event's field."""
    type: pa.DataType
    """Of what the batch accepted."""
    measured: bool = False
    """A `Range` judges it: text that holds a number is a number, as it is in a batch."""
    names: bool = False
    """It holds ids: text that holds a number is one, since requests and answers write ids as text."""

    @property
    def may_be(self) -> Any:
        """Give what the JSON decoder takes for it; all else is a changed type."""
        kind, types = self.type, pa.types
        if types.is_boolean(kind):
            return bool | None
        if types.is_string(kind) or types.is_large_string(kind):
            return str | int | float | bool | None
        if types.is_integer(kind):
            return int | str | None if self.measured or self.names else int | None
        if types.is_floating(kind):
            return float | str | None if self.measured or self.names else float | None
        if types.is_decimal(kind):
            return Decimal | None
        if types.is_timestamp(kind) or types.is_date(kind):
            return str | None
        if types.is_binary(kind) or types.is_large_binary(kind):
            return bytes | None  # JSON has them in base64
        return None

    @property
    def refusal(self) -> str:
        """Say what is wrong with a value that does not fit: `quantity: not a whole number`."""
        kind, types = self.type, pa.types
        if types.is_boolean(kind):
            words = "not true or false"
        elif types.is_string(kind) or types.is_large_string(kind):
            words = "not a text"
        elif types.is_integer(kind):
            words = f"not a whole number of {kind.bit_width} bits"
        elif types.is_floating(kind) or types.is_decimal(kind):
            words = "not a number"
        elif types.is_timestamp(kind) or types.is_date(kind):
            words = "not a time"
        elif types.is_binary(kind) or types.is_large_binary(kind):
            words = "not bytes in base64"
        else:
            words = f"an event cannot hold {kind}" if not types.is_null(kind) else "never filled in the batch"
        return f"{self.name}: {words}"

    def column(self, values: list[Any]) -> tuple[pa.Array, pa.Array, Mask]:
        """Give values (n,) in the column's type, as the checks are to see them, and which do not fit, those being null.

        The checks see a measured column as text where some of its values are text.
        """
        kind, types = self.type, pa.types
        if types.is_string(kind) or types.is_large_string(kind):
            typed, bad = array_of(_texts(values), kind)
            return typed, typed, bad
        if types.is_timestamp(kind) or types.is_date(kind):
            typed, bad = _from_text(values, kind)
            return typed, typed, bad
        if (self.measured or self.names) and str in set(map(type, values)):
            seen = pa.array(_texts(values), pa.string())
            read = _measured(values, seen)
            broken = [types.is_integer(kind) and type(value) is float for value in read]  # which Arrow would cut off
            if self.names:
                broken = [
                    one or (was is not None and value is None)
                    for one, was, value in zip(broken, values, read, strict=True)
                ]
            typed, bad = array_of([None if one else value for one, value in zip(broken, read, strict=True)], kind)
            bad |= np.array(broken, np.bool_)
            return typed, seen if self.measured else typed, bad
        typed, bad = array_of(values, kind)
        return typed, typed, bad


def array_of(values: Sequence[Any], kind: pa.DataType) -> tuple[pa.Array, Mask]:
    """Make an array of one type, null where a value does not fit."""
    bad = np.zeros(len(values), np.bool_)
    try:
        array = pa.array(values, kind)
    except _UNFIT:
        kept = list(values)
        for place, value in enumerate(values):
            try:
                pa.array([value], kind)
            except _UNFIT:
                kept[place], bad[place] = None, True
        array = pa.array(kept, kind)
    if pa.types.is_floating(kind) and kind.bit_width < 64:
        bad |= ~pc.fill_null(pc.is_finite(array), True).to_numpy(zero_copy_only=False)
        array = pc.if_else(pa.array(bad), pa.scalar(None, kind), array)
    return array, bad


_UNFIT = (pa.ArrowException, OverflowError, UnicodeEncodeError)


def _texts(values: list[Any]) -> Sequence[str | None] | pa.Array:
    """Write values as ids are written everywhere."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {str}:
        return values
    if kinds == {int}:
        with contextlib.suppress(OverflowError):
            return pa.array(values, pa.int64()).cast(pa.string())
    return [value if value is None or type(value) is str else _text(value) for value in values]


def _text(value: float | bool) -> str:
    if type(value) is float:
        text: str = as_text(pa.array([value]))[0].as_py()
        return text
    return str(value).lower() if type(value) is bool else str(value)


def _from_text(values: list[Any], kind: pa.DataType) -> tuple[pa.Array, Mask]:
    texts, bad = array_of(values, pa.string())
    try:
        return texts.cast(kind), bad
    except pa.ArrowInvalid:
        kept = texts.to_pylist()
    for place, text in enumerate(kept):
        try:
            pa.array([text], pa.string()).cast(kind)
        except pa.ArrowInvalid:
            kept[place], bad[place] = None, True
    return pa.array(kept, pa.string()).cast(kind), bad


def _measured(values: list[Any], seen: pa.Array) -> list[Any]:
    """Read the texts among numbers; those that hold none are null, and left to the check."""
    read, _ = numbers(pa.chunked_array([seen]))
    return [
        value if type(value) is not str else None if np.isnan(number) else int(number) if number % 1 == 0 else number
        for value, number in zip(values, read.tolist(), strict=True)
    ]
