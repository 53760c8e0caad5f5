"""What is true in a search world: which pages answer which queries how well, and the chance of a click on each."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bottega.errors import DataError, DesignError
from bottega.files import read_json, write_json, writing

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Texts = NDArray[np.str_]

GRADES = 5  # 0 answers nothing, 4 is what was looked for
_LEAST, _MORE = 0.04, 0.66  # chance of a click on grade 0 that is looked at, and how much more on grade 4


@dataclass(frozen=True)
class Settings:
    """The numbers of a world that its truth needs.

    start: midnight before the first day, microseconds. days: length. bias: places are looked at as 1 / place^bias.
    slots: places of a page. noise: spread of what the log's ranker adds to its score in a search, of which 1 is the
    spread of the score. shuffled: share of the searches whose page came in random order.
    """

    start: int
    days: int
    bias: float
    slots: int
    noise: float
    shuffled: float


@dataclass(frozen=True)
class Queries:
    """The texts searched for, (q,) each.

    weight: share of the searches. fresh: 1 where only what is new answers. own: 1 where one certain document is looked
    for. part: of the editors' judgements, 0 train, 1 validate, 2 test, −1 not judged.
    """

    id: Ints
    text: Texts
    topic: Ints
    weight: Floats
    fresh: Ints
    own: Ints
    part: Ints


@dataclass(frozen=True)
class Documents:
    """What can be found, (d,) each. quality: 0 is the mean, spread 1. spam: 1 where text promises what is not there."""

    id: Ints
    topic: Ints
    published: Ints
    quality: Floats
    spam: Ints
    words: Ints


@dataclass(frozen=True)
class Pairs:
    """Each query's candidates, (p,) each, in order of the queries, then of the documents.

    query, document: rows. relevance: on a scale whose cuts give the grade, 0 to 4. score: by which the log's ranker
    sorts, spread 1 within all. begin: (q + 1,) where a query's pairs begin.
    """

    query: Ints
    document: Ints
    relevance: Floats
    grade: Ints
    score: Floats
    begin: Ints


@dataclass(frozen=True)
class Truth:
    """All that the world knows and its log does not say."""

    settings: Settings
    queries: Queries
    documents: Documents
    pairs: Pairs

    def save(self, folder: Path) -> None:
        """Write the truth as plain arrays and JSON."""
        write_json(folder / "world.json", asdict(self.settings))
        for name, kind in _PARTS.items():
            part = getattr(self, name)
            with writing(folder / f"{name}.npz") as path, path.open("wb") as file:
                np.savez(file, **{field.name: getattr(part, field.name) for field in fields(kind)})

    @staticmethod
    def load(folder: Path) -> Truth:
        """Read what `save` wrote; `DataError` where there is none."""
        if not (folder / "world.json").exists():
            raise DataError(
                str(folder),
                "no truth of a search world",
                "a folder that SearchWorld.write wrote, one level above",
                "write it again, into a folder of its own: SearchWorld().write(folder)",
            )
        parts: dict[str, Any] = {}
        for name, kind in _PARTS.items():
            with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
                parts[name] = kind(**dict(file))
        return Truth(settings=Settings(**read_json(folder / "world.json")), **parts)

    def rows(self, queries: Ints, documents: Ints) -> Ints:
        """Give the row of the pair of each query and document, by their ids, (n,); −1 where there is none."""
        known = self.queries.id[self.pairs.query] * _WIDE + self.documents.id[self.pairs.document]
        order = np.argsort(known)
        asked = queries * _WIDE + documents
        place = np.minimum(np.searchsorted(known, asked, sorter=order), len(known) - 1)
        return np.where(known[order[place]] == asked, order[place], -1)


def examination(position: NDArray[Any], bias: float) -> Floats:
    """Give the chance that a place is looked at, position^−bias: 1 for the best, (n,)."""
    return np.asarray(np.asarray(position, np.float64) ** -bias, np.float64)


def attraction(grade: NDArray[Any]) -> Floats:
    """Give the chance that what is looked at is clicked: 0.04 + 0.66 (2^grade − 1) / 15, (n,)."""
    return np.asarray(_LEAST + _MORE * (2.0 ** np.asarray(grade) - 1) / (2 ** (GRADES - 1) - 1), np.float64)


def check_number(world: object, name: str, low: float, high: float, whole: bool = True, none: bool = False) -> None:
    """Raise `DesignError` where a world's setting is no number from `low` to `high`."""
    value = getattr(world, name)
    if none and value is None:
        return
    right = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not (right and low <= value <= high):
        kind = type(world)
        allowed = f"{'a whole' if whole else 'a'} number from {low:g} to {high:g}{', or None' if none else ''}"
        raise DesignError(f"{kind.__name__}.{name}", repr(value), allowed, f"{name}={kind.__dict__[name]}")


_WIDE = 2**31  # above every id
_PARTS: dict[str, type] = {"queries": Queries, "documents": Documents, "pairs": Pairs}
