"""What a shell may complete: designs, rules of review and bundled systems; nothing heavy is loaded for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_KINDS = (".py", ".yaml", ".yml", ".json")


def designs(incomplete: str) -> list[str]:
    """Give the bundled designs and the files of designs that begin so; of a folder, the files in it."""
    return [*systems(incomplete), *sorted(_files(incomplete))]


def systems(incomplete: str) -> list[str]:
    """Give the names of the bundled systems that begin so.

    >>> systems("shop-")
    ['shop-recommendation']
    """
    from bottega.systems import names

    return [name for name in names() if name.startswith(incomplete)]


def rules(incomplete: str) -> list[tuple[str, str]]:
    """Give the codes of the rules that begin so, in capitals or not, each with its title.

    >>> rules("r201")
    [('R201', 'The split is random, and the table has event times.')]
    """
    from bottega.reviewing.rules import RULES

    return [(rule.code, rule.title) for rule in RULES if rule.code.startswith(incomplete.upper())]


def _files(incomplete: str) -> Iterator[str]:
    begun, slash, name = incomplete.rpartition("/")
    for path in _inside(Path(begun + slash).expanduser()):
        hidden = path.name.startswith(".") and not name.startswith(".")
        if hidden or not path.name.startswith(name):
            continue
        told = f"{begun}{slash}{path.name}"
        if path.is_dir():
            inner = [f"{told}/{one.name}" for one in _inside(path) if one.suffix in _KINDS]
            yield from inner or ([f"{told}/"] if any(one.is_dir() for one in _inside(path)) else [])
        elif path.suffix in _KINDS:
            yield told


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # a folder that is not there, or that nobody may read, completes nothing
        return []
