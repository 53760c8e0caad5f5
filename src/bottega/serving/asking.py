"""What a request asks for, once it is read: its columns as the log has them, and what was wrong with it by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from bottega.design.serving import Candidates, Show
from bottega.serving.wire import Id, RequestError, as_id

LONGEST_ID = 1024  # characters; nothing that names an entity is longer
LONGEST_TEXT = 32_768  # characters that are searched for


class Asked(msgspec.Struct):
    """A request that can be answered."""

    columns: dict[str, Any]
    """The request's own columns, ids as text, times as datetime64 in UTC."""
    k: int
    """How many to show."""
    view: str | None
    """The view to answer under; nothing: all candidates."""
    given: list[str] | None
    """The candidates that it brought, each once; nothing: they are to be found."""
    degradations: list[str]
    """What was missing or too much, by name."""
    travelling: dict[str, np.ndarray] = {}
    """The numbers that came with the candidates, (n,) float64 each, NaN where none was given."""


def read_request(
    request: msgspec.Struct, fields: Mapping[str, str], show: Show, limit: Candidates, views: Collection[str]
) -> Asked:
    """Read a request of the design's own type.

    fields: the kind of each column. show, limit: the stages that say how many. views: the names that may be asked for.
    Errors: `RequestError` for k below 1, an unknown view, too many candidates, an id that is too long, a time that is
    none.
    """
    values = msgspec.structs.asdict(request)
    asked = Asked({}, show.k if values["k"] is None else values["k"], values["view"], None, [])
    if asked.k < 1:
        raise RequestError("k", asked.k, "1 or more")
    if asked.view is not None and asked.view not in views:
        raise RequestError("view", repr(asked.view), f"one of {sorted(views)}")
    for name, kind in fields.items():
        asked.columns[name] = _read(name, values[name], kind)
        if asked.columns[name] is None:
            asked.degradations.append(f"{name}: missing")
    if asked.k > show.at_most:
        asked.degradations.append(f"k: {show.at_most} of {asked.k}, the most that is shown")
        asked.k = show.at_most
    if values["candidates"] is not None:
        _take(values["candidates"], limit, asked)
    return asked


def _take(given: list[Any], limit: Candidates, asked: Asked) -> None:
    """Read the candidates, each once: of repeated ones the first counts, with what came along."""
    if len(given) > limit.at_most:
        raise RequestError("candidates", f"{len(given)} ids", f"at most {limit.at_most}")
    travels = bool(limit.columns) and any(isinstance(value, msgspec.Struct) for value in given)
    ids = [getattr(one, "id", one) for one in given] if travels else given
    if not set(map(type, ids)) <= {str} or len(max(ids, key=len, default="")) > LONGEST_ID:
        ids = [_checked_id("candidates", value) or "" for value in ids]
    rows: list[int] | None = None
    distinct = set(ids)
    if len(distinct) < len(ids) or "" in distinct:
        rows = sorted({name: row for row, name in reversed(list(enumerate(ids))) if name}.values())
        asked.degradations.append(f"candidates: {len(ids) - len(rows)} repeated or empty")
        ids = [ids[row] for row in rows]
    asked.given = ids
    if travels:
        asked.travelling = {name: _numbers(given, name, rows) for name in limit.columns}


def _numbers(given: list[Any], name: str, rows: list[int] | None) -> np.ndarray:
    column = np.array([getattr(one, name, None) for one in given], np.float64)
    return column if rows is None else column[rows]


def _read(name: str, value: Any, kind: str) -> Any:
    if kind == "id":
        return _checked_id(name, value)
    if kind == "text":
        if value is not None and len(value) > LONGEST_TEXT:
            raise RequestError(name, f"{len(value):,} characters", f"at most {LONGEST_TEXT:,}")
        return value or None
    if kind != "time" or value is None:
        return value
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        raise RequestError(name, repr(value[:LONGEST_ID]), "a time as ISO 8601: 2011-12-09T12:50:00Z") from None
    return np.datetime64(when if when.tzinfo is None else when.astimezone(UTC).replace(tzinfo=None), "us")


def _checked_id(field: str, value: Id) -> str | None:
    text = as_id(value)
    if text is not None and len(text) > LONGEST_ID:
        raise RequestError(field, f"{len(text)} characters", f"at most {LONGEST_ID}")
    return text
