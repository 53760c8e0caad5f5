"""What is true in a feed world: tastes, what each content is worth, how its interest fades, and what follows a view."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bottega.errors import DataError
from bottega.files import read_json, write_json, writing

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HOUR = 3_600_000_000  # microseconds
DAY = 24 * HOUR
ARCHIVED = 30 * DAY  # after which a content is no longer found
TASKS = {"LIKE": 0.12, "BOOKMARK": 0.05, "COMMENT": 0.03, "FOLLOW": 0.04}
"""What may follow a view, and how often it does on average."""
# Share of a working day's visits by hour, UTC, and of a week's by day, Monday first: those of an office in Brazil.
HOURS = np.array([18, 16, 14, 8, 4, 2, 2, 1, 2, 5, 48, 114, 113, 98, 78, 57, 78, 76, 76, 69, 50, 31, 21, 19])
WEEKDAYS = np.array([193, 189, 192, 197, 186, 23, 20])
FOREIGN = 1  # the code of the language that some do not read
_LOYALTY, _STRANGE = 1.6, -1.6  # what a favourite author adds, and a language that is not read
_LASTING, _SLOW = 0.006, 10 * DAY  # the share of the interest that fades slowly, and how slowly
_LIKED = np.array([1.3, 1.1, 1.0, 0.9])  # how much each task feels that a content pleases
_FOLLOWED = np.array([0.0, 0.0, 0.3, 1.0])  # and that its author is a favourite


@dataclass(frozen=True)
class Settings:
    """The numbers of a world that its truth needs.

    start: midnight before the first day, microseconds. days: length. more: mean views of a visit after its first.
    levels: of each task's log-odds.
    """

    start: int
    days: int
    more: float
    levels: list[float]


@dataclass(frozen=True)
class People:
    """Who reads, (u,) or (u, …) each.

    rate: visits on an average day. joined: moment of the first possible one. taste: (u, topics) what a topic adds to
    the logarithm of the interest. favourites: (u, 4) authors. reads: 1 where the foreign language is read. eager:
    (u, 4) what a person adds to the log-odds of each task.
    """

    id: Ints
    rate: Floats
    joined: Ints
    taste: Floats
    favourites: Ints
    reads: Ints
    eager: Floats


@dataclass(frozen=True)
class Contents:
    """What is read, (c,) each, in order of publication.

    appeal: of the headline, on the logarithm of the interest. quality: what pleases who has read it. fade: time in
    which interest falls to 1/e, microseconds.
    """

    id: Ints
    author: Ints
    topic: Ints
    language: Ints
    published: Ints
    appeal: Floats
    quality: Floats
    fade: Floats


@dataclass(frozen=True)
class Truth:
    """All that the world knows and its log does not say."""

    settings: Settings
    people: People
    contents: Contents

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
                "no truth of a feed world",
                "a folder that FeedWorld.write wrote, one level above",
                "write it again, into a folder of its own: FeedWorld().write(folder)",
            )
        parts: dict[str, Any] = {}
        for name, kind in _PARTS.items():
            with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
                parts[name] = kind(**dict(file))
        return Truth(settings=Settings(**read_json(folder / "world.json")), **parts)

    def offered(self, at: int) -> slice:
        """Give the rows of the contents that can be found at a moment: published before it, and not yet archived."""
        low, high = np.searchsorted(self.contents.published, [at - ARCHIVED, at], side="left")
        return slice(int(low), int(high))

    def interest(self, person: int, at: int, rows: slice) -> Floats:
        """Give how much a person is drawn to contents at a moment, (rows,): views are drawn in proportion to it.

        exp(appeal + taste of the topic + 1.6 of a favourite author − 1.6 of a language not read) · fading, with
        fading = exp(−age / fade) + 0.006 exp(−age / 10 days).
        """
        contents = self.contents
        age = (at - contents.published[rows]).astype(np.float64)
        fading = np.exp(-age / contents.fade[rows]) + _LASTING * np.exp(-age / _SLOW)
        return np.asarray(np.exp(contents.appeal[rows] + self.bond(person, rows)) * fading, np.float64)

    def bond(self, person: int, rows: slice | Ints) -> Floats:
        """Give what lies between a person and contents, whatever their headline and age: (rows,)."""
        people, contents = self.people, self.contents
        strange = (contents.language[rows] == FOREIGN) & (people.reads[person] == 0)
        favourite = self.favourite(np.int64(person), contents.author[rows])
        taste = people.taste[person, contents.topic[rows]]
        return np.asarray(taste + _LOYALTY * favourite + _STRANGE * strange, np.float64)

    def favourite(self, person: Ints | np.int64, author: Ints) -> NDArray[np.bool_]:
        """Say whether authors are among a person's favourites, (n,)."""
        found: NDArray[np.bool_] = (self.people.favourites[person] == author[:, None]).any(axis=-1)
        return found

    def follows(self, person: Ints, content: Ints, levels: Floats) -> Floats:
        """Give the chance of each task after a view, (n, 4): logistic in level + eagerness + what pleases + loyalty."""
        people, contents = self.people, self.contents
        taste = people.taste[person, contents.topic[content]]
        favourite = self.favourite(person, contents.author[content])
        pleased = contents.quality[content] + 0.5 * taste + 0.5 * favourite
        odds = levels + people.eager[person] + pleased[:, None] * _LIKED + favourite[:, None] * _FOLLOWED
        return np.asarray(1 / (1 + np.exp(-odds)), np.float64)


def traffic(start: int, days: int) -> Floats:
    """Give the share of an average day's visits in each hour, (days · 24,): 1 in sum over an average day."""
    weekday = (start // DAY + np.arange(days) + 3) % 7  # the epoch was a Thursday
    return np.asarray((7 * WEEKDAYS[weekday] / WEEKDAYS.sum())[:, None] * (HOURS / HOURS.sum()), np.float64).ravel()


_PARTS: dict[str, type] = {"people": People, "contents": Contents}
