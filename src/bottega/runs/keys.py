"""What a step depends on, as one SHA-256: its inputs, the steps before it, its code, the libraries under it."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

Code = str | ModuleType | Callable[..., Any]
"""Code that counts: a module or package (itself, or its dotted name, which is not imported), a function, a class."""


def plain(value: Any) -> Any:
    """Turn parts of a design, mappings and sequences into what JSON can say, with every field, defaults too.

    Defaults are written out because they may differ in the next version. Raises `TypeError` for anything else.

    >>> from bottega.design.tables import MonotoneTime
    >>> plain({"k": (1, 2), "check": MonotoneTime()})
    {'k': [1, 2], 'check': {'MonotoneTime': {'by': []}}}
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, msgspec.Struct):
        fields = {field: plain(getattr(value, field)) for field in value.__struct_fields__}
        return {type(value).__name__: fields}
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise TypeError(f"a step's inputs need text as names, not {list(value)}")
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [plain(item) for item in value]
    raise TypeError(f"a step's inputs cannot hold {value!r}: give numbers, texts, lists, mappings or parts of a design")


def canonical(value: Any) -> bytes:
    """Write a value as the one JSON text that all equal values share: names sorted, no spaces.

    The order of a mapping does not count, that of a list does; 1, 1.0 and true differ. NaN is a `ValueError`.

    >>> canonical({"b": 1, "a": [1.0, True]})
    b'{"a":[1.0,true],"b":1}'
    """
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def fingerprints(code: Iterable[Code]) -> dict[str, str]:
    """Give for each piece of code its name and the SHA-256 of its source; a package counts with all its files."""
    return {_name(item): _source(item) for item in code}


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Give the versions of the Python that runs and of installed libraries, by the names they are installed under."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"python": python, **{name: version(name) for name in libraries}}


def key_of(value: Any) -> str:
    """Give the SHA-256 of a value's canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _name(item: Code) -> str:
    if isinstance(item, str):
        return item
    return item.__name__ if isinstance(item, ModuleType) else f"{item.__module__}.{item.__qualname__}"


def _source(item: Code) -> str:
    if not isinstance(item, (str, ModuleType)):
        return hashlib.sha256(inspect.getsource(item).encode()).hexdigest()
    spec = importlib.util.find_spec(item) if isinstance(item, str) else item.__spec__
    if spec is None or spec.origin is None:
        raise TypeError(f"a step names the code {_name(item)!r}, which is no module with a source")
    origin = Path(spec.origin)
    if spec.submodule_search_locations is None:
        return hashlib.sha256(origin.read_bytes()).hexdigest()
    package = hashlib.sha256()
    for path in sorted(origin.parent.rglob("*.py")):
        package.update(f"{path.relative_to(origin.parent).as_posix()}\0".encode())
        package.update(hashlib.sha256(path.read_bytes()).digest())
    return package.hexdigest()
