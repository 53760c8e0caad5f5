"""What the contract of a model is checked on: a shop and a search for retrievers, rows with a signal for scorers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.models.inputs import Inputs
from bottega.models.interactions import Interactions

DAY = 86_400_000_000
AT = 60 * DAY
PEOPLE, ITEMS, GROUPS, STRANGER = 60, 30, 3, "nobody-knows-me"


@dataclass(frozen=True, eq=False)
class World:
    """A log to learn from until `AT`, and what a retriever should find for whom."""

    log: Interactions
    later: Sequence[tuple[str, str]]
    """Pairs of somebody and an item that are right after `AT`."""
    people: Sequence[str]
    """Some who are asked for."""
    column: str = ""
    """The column of a request that says who asks; nothing: a request says no more."""

    def requests(self, people: Sequence[str]) -> list[Mapping[str, Any]]:
        """The columns of each one's request."""
        return [{self.column: person} if self.column else {} for person in people]

    def begin(self) -> int:
        """The first moment at which anything is known."""
        known = np.zeros(0, np.int64) if self.log.known is None else self.log.known
        return int(min([*self.log.time, *known]))


def shop_world() -> World:
    """The log of `shop`, in which a request says no more than who asks."""
    log, later = shop()
    return World(log, later, [f"person-{p}" for p in range(0, PEOPLE, 5)])


def search_world() -> World:
    """A catalogue of documents about a few subjects, and judged questions in words of theirs, each a `text`.

    Some documents come after `AT`, one has no text, and one question has two right ones.

    >>> world = search_world()
    >>> len(world.log.before(AT).items) < len(world.log.items), world.requests(["cats"])
    (True, [{'text': 'cats'}])
    """
    rng = np.random.default_rng(0)
    subjects = [[f"{kind}{n}" for n in range(12)] for kind in ("cat", "tea", "gen")]
    ids = [f"doc-{d:02}" for d in range(40)]
    texts: list[str | None] = []
    for d in range(40):
        words = rng.choice(subjects[d % 3], 9).tolist()
        texts.append(" ".join(["the", f"rare{d}", *words]))
    texts[7] = None
    titles = [f"Document {d}" if d % 4 else None for d in range(40)]
    known = np.where(np.arange(40) % 8 == 5, AT + DAY, DAY * (1 + np.arange(40) % 3))
    asked, right, time = [], [], []
    for q in range(60):
        d = int(rng.choice(np.flatnonzero((known < AT) & (np.arange(40) != 7))))
        own = rng.choice(str(texts[d]).split()[1:], 3).tolist()
        asked.append(" ".join([*own, f"Asked {q}?"]))
        right.append(ids[d])
        time.append(AT - DAY if q < 40 else AT + DAY)
    asked.append(asked[0])
    right.append(ids[0])
    time.append(AT - DAY)
    log = Interactions.of(asked, right, np.array(time)).with_catalogue(ids, {"title": titles, "text": texts}, known)
    later = [(person, item) for person, item, at in zip(asked, right, time, strict=True) if at >= AT]
    return World(log.asked_by("text"), later, [asked[q] for q in (0, 3, 9, 41, 50)], "text")


def shop(seed: int = 0) -> tuple[Interactions, list[tuple[str, str]]]:
    """A log over 90 days in which groups of people like groups of items, some items are liked by all, and many come
    again, with a `text` of each item that tells its group; and the pairs of people and items after `AT`, both known
    before, that a retriever should find.

    >>> log, later = shop()
    >>> len(log.before(AT)) < len(log), len(later) > 100
    (True, True)
    """
    rng = np.random.default_rng(seed)
    fame = 1 / (1 + np.arange(ITEMS) % (ITEMS // GROUPS))  # the first items of each group are the famous ones
    person, item = [], []
    for p in range(PEOPLE):
        taste = fame * np.where(np.arange(ITEMS) * GROUPS // ITEMS == p % GROUPS, 6, 1)
        own = rng.choice(ITEMS, 12, p=taste / taste.sum())
        person += [p] * 24
        item += rng.choice(own, 24).tolist()
    time = rng.integers(0, 90 * DAY, len(person))
    names = [f"person-{p}" for p in person]
    things = [f"item-{i:02}" for i in item]
    colours = ("Red", "Green", "Blue")
    texts = [
        f"{colours[i * GROUPS // ITEMS]} thing No. {i}{' new' if t > AT // 2 else ''}"
        for i, t in zip(item, time, strict=True)
    ]
    log = Interactions.of(names, things, time, {"text": texts})
    known = set(log.before(AT).people.to_pylist()), set(log.before(AT).items.to_pylist())
    later = {(p, i) for p, i, t in zip(names, things, time, strict=True) if t >= AT and p in known[0] and i in known[1]}
    return log, sorted(later)


def rows(count: int = 1200, seed: int = 0) -> tuple[Inputs, npt.NDArray[np.float32]]:
    """Inputs of requests with ten rows each, and labels 0 or 1 that a number, a category and an item each foretell.

    >>> inputs, label = rows(40)
    >>> inputs.names, len(label)
    (('price', 'rate', 'colour', 'shelf'), 40)
    """
    rng = np.random.default_rng(seed)
    price, rate = rng.normal(10, 3, count), rng.random(count)
    colour, shelf, item = rng.integers(-1, 5, count), rng.integers(0, 9, count), rng.integers(0, 12, count)
    margin = (10 - price) / 2 + np.where(colour % 2 == 1, 1.5, -1.5) + (item % 3) - 1
    label = (rng.random(count) < 1 / (1 + np.exp(-margin))).astype(np.float32)
    rate[rng.random(count) < 0.2] = np.nan
    price[rng.random(count) < 0.05] = np.nan
    values = np.column_stack([price, rate, colour, shelf]).astype(np.float32)
    ids = {"item": pa.array([f"i{i}" for i in item]), "person": pa.array([f"p{i % 7}" for i in range(count)])}
    group = (np.arange(count) // 10).astype(np.int32)
    return Inputs(["price", "rate", "colour", "shelf"], ["number", "number", "category", "category"], values, ids,
                  group), label  # fmt: skip
