"""What stores on a network share: their URL, taken apart, and the errors that never show its secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from bottega.errors import BuildError, ServeError, nearest

T = TypeVar("T")
PASSWORD = "BOTTEGA_STORE_PASSWORD"
"""The environment's variable with the password, where the URL has none: a command line can be read by others."""
_TIMEOUT_MS = 500


@dataclass(frozen=True)
class Address:
    """A store's URL, taken apart."""

    told: str
    """The URL for messages, without user and password."""
    host: str
    port: int | None
    path: str
    """Without the slash at its beginning."""
    user: str | None
    password: str | None
    options: Mapping[str, str]
    prefix: str
    """What all names of this store's rows begin with, so that several stores in one place do not meet."""
    timeout_s: float
    """How long an answer is waited for."""

    @classmethod
    def of(cls, url: str, options: Collection[str] = ()) -> Address:
        """Take a URL apart. options: what its query may say beside `prefix` and `timeout_ms`.

        >>> address = Address.of("redis://me:secret@host:6380/1?prefix=shop&timeout_ms=200")
        >>> address.told, address.host, address.port, address.path, address.prefix, address.timeout_s
        ('redis://***@host:6380/1?prefix=shop&timeout_ms=200', 'host', 6380, '1', 'shop', 0.2)
        """
        told = re.sub(r"://.*@", "://***@", url)
        where = f"--store {told.partition('?')[0]}"
        try:
            parts = urlsplit(url)
            port = parts.port
            found = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        except ValueError as error:
            raise BuildError(
                where, "no URL", "scheme://host:port/path?name=value, special characters as %40"
            ) from error
        known = ["prefix", "timeout_ms", *options]
        for name in found:
            if name not in known:
                raise BuildError(where, f"the option {name!r}", ", ".join(known), nearest(name, known))
        prefix, timeout = found.pop("prefix", "bottega"), found.pop("timeout_ms", str(_TIMEOUT_MS))
        if not re.fullmatch(r"[\w./-]{1,200}", prefix, re.ASCII):
            raise BuildError(where, f"prefix={prefix}", "letters, digits and . / - _, at most 200")
        if not re.fullmatch(r"[1-9][0-9]{0,5}", timeout):
            raise BuildError(where, f"timeout_ms={timeout}", "milliseconds, 1 to 999999")
        user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
        password = password or os.environ.get(PASSWORD)
        host, path = parts.hostname or "", unquote(parts.path.removeprefix("/"))
        return cls(told, host, port, path, user or None, password, found, prefix, int(timeout) / 1000)

    def name(self, *parts: str) -> bytes:
        """Give the beginning of the names of a kind of things: no two lists of parts give beginnings of each other.

        >>> Address.of("redis://host").name("g", "user")
        b'bottega:1:g:4:user:'
        """
        return f"{self.prefix}:{''.join(f'{len(part.encode())}:{part}:' for part in parts)}".encode()

    def unknown(self, found: str, allowed: str) -> BuildError:
        """Give the error for a URL that says something else than it may."""
        return BuildError(f"--store {self.told}", found, allowed)

    def gone(self, error: BaseException) -> ServeError:
        """Give the error for a server that does not answer, or does not as it should."""
        return ServeError(
            self.told, f"the store does not answer: {_said(error)}", f"a server that answers within {self.timeout_s} s",
            "look whether it runs, and at its address, user and password; timeout_ms= in the URL waits longer",
        )  # fmt: skip

    def refused(self, error: BaseException | str, fix: str = "") -> BuildError:
        """Give the error for a write that the server refuses: it is full, or the user may not write."""
        found = error if isinstance(error, str) else _said(error)
        return BuildError(self.told, f"the store refuses the write: {found}", "room, and the right to write", fix)

    def readonly(self) -> BuildError:
        """Give the error for a write to a store that was opened for reading."""
        return BuildError(self.told, "a write to a store opened for reading", "open it with readonly=False")


def chunks(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """Cut a list into parts of at most so many items.

    >>> [*chunks("abcde", 2)]
    ['ab', 'cd', 'e']
    """
    return (items[at : at + most] for at in range(0, len(items), most))


def missing(extra: str, error: ImportError) -> BuildError:
    """Give the error for a kind of store whose client is not installed."""
    return BuildError(
        f"--store {extra}://", f"the client is not installed: {error}", "the extra of that name",
        f"pip install 'bottega[{extra}]'",
    )  # fmt: skip


def _said(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"
