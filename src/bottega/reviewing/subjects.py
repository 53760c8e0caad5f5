"""Of which designs a rule speaks: where it has nothing to look at, that it found nothing says nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from bottega.design.design import Design
from bottega.design.part import Part
from bottega.reviewing.seen import Seen

About = Callable[[Design, Seen | None], bool]
"""Says whether a rule speaks of a design; of one whose tables were not looked at, by the design alone."""


def every(_: Design, __: Seen | None) -> bool:
    """Say yes: the rule speaks of any design."""
    return True


def of(*kinds: type[Part]) -> About:
    """Give what says yes where a design has a part of one of some kinds.

    >>> from bottega import systems
    >>> from bottega.design.serving import Auction
    >>> of(Auction)(systems.find("shop-recommendation"), None)
    False
    """
    return lambda design, _: any(isinstance(part, kinds) for part in _parts(design))


def having(ask: Callable[[Design], object]) -> About:
    """Give what says yes where a design has something: what `ask` gives of it is true, not empty and not nothing."""
    return lambda design, _: bool(ask(design))


def having_seen(ask: Callable[[Seen], object]) -> About:
    """Give what says yes where something was seen in the tables, or nobody looked."""
    return lambda _, seen: seen is None or bool(ask(seen))


def both(*abouts: About) -> About:
    """Give what says yes where each of some does."""
    return lambda design, seen: all(about(design, seen) for about in abouts)


def _parts(value: object) -> Iterator[Part]:
    """Give a part and all that are in it."""
    if isinstance(value, Part):
        yield value
        for name in value.__struct_fields__:
            yield from _parts(getattr(value, name))
    elif isinstance(value, (tuple, list, Mapping)):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _parts(one)
