"""Clicks that come over HTTP: each names the answer and the item that was sold in it."""

from __future__ import annotations

import msgspec

from bottega.serving.refusals import RefusalError, undecodable
from bottega.serving.spending import HOURS
from bottega.serving.wire import as_id


class Click(msgspec.Struct, forbid_unknown_fields=True):
    """A click on an item that an answer sold."""

    request_id: str
    """Of the answer."""
    id: str | int | float
    """Of the item."""


_DECODER = msgspec.json.Decoder(Click)


def read_click(body: bytes) -> tuple[str, str]:
    """Read a click: the answer's id, and the item's as the answer named it.

    Errors: `RefusalError`, 400 for what is no JSON and 422 for what is no click.

    >>> read_click(b'{"request_id": "r1", "id": 7}')
    ('r1', '7')
    """
    try:
        click = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise undecodable(error, body, Click) from None
    return click.request_id, as_id(click.id) or ""


def unknown_click(request_id: str, item: str) -> RefusalError:
    """Say that no such sale is known."""
    return RefusalError(
        404,
        "request_id",
        f"nothing sold as {item!r} in {request_id!r}",
        f"what an auction that charges by the click sold in the last {HOURS} hours",
        "send the request_id and the id of the answer",
    )
