"""What is true in a films world: tastes, what each film is worth, who is there when, and how a film is rated."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from bottega.errors import DataError
from bottega.files import read_json, write_json, writing

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HOUR = 3_600_000_000  # microseconds
DAY = 24 * HOUR
GOOD = 4.0
"""The least rating of a film that was liked."""
# Share of a day's visits by hour, UTC: none in the last one, so that a visit ends on its day. Weekdays from Monday.
HOURS = np.array([3, 1, 1, 0, 0, 1, 2, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 11, 14, 20, 26, 22, 12, 0])
WEEKDAYS = np.array([0.85, 0.85, 0.85, 0.9, 1.15, 1.3, 1.1])
_LASTING = 0.15  # the share of the interest at the release that stays
_JOY = 0.4  # points that a liking of 1 adds to a rating
_NOISE = 0.75  # points: spread of a rating around what is expected of it


@dataclass(frozen=True)
class Settings:
    """The numbers of a world that its truth needs.

    start: midnight before the first day, microseconds. days: length. more: mean ratings of a visit after its first.
    """

    start: int
    days: int
    more: float


@dataclass(frozen=True)
class People:
    """Who watches, (u,) or (u, …) each.

    rate: visits on an average day. joined, left: the first day and the one after the last, 0 is the log's first. level:
    of the ratings, points. drift: of the level in a year since joining. genres: (u, genres) what a genre adds to the
    liking. traits: (u, factors) the same of what has no name.
    """

    id: Ints
    rate: Floats
    joined: Ints
    left: Ints
    level: Floats
    drift: Floats
    genres: Floats
    traits: Floats


@dataclass(frozen=True)
class Films:
    """What is watched, (f,) or (f, …) each.

    genres: (f, genres) 1 where it is of the genre. traits: (f, factors). released: day, below 0 before the log. appeal:
    on the logarithm of the interest. quality: points. fade: days in which the interest in a new film falls to 1/e.
    """

    id: Ints
    genres: Ints
    traits: Floats
    released: Ints
    appeal: Floats
    quality: Floats
    fade: Floats


@dataclass(frozen=True)
class Truth:
    """All that the world knows and its tables do not say."""

    settings: Settings
    people: People
    films: Films

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
                "no truth of a films world",
                "a folder that FilmsWorld.write wrote, one level above",
                "write it again, into a folder of its own: FilmsWorld().write(folder)",
            )
        parts: dict[str, Any] = {}
        for name, kind in _PARTS.items():
            with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
                parts[name] = kind(**dict(file))
        return Truth(settings=Settings(**read_json(folder / "world.json")), **parts)

    def liking(self, people: Ints) -> Floats:
        """Give how much people like films, whatever others say of them: (p, f).

        The mean of what the film's genres add, and the product of the traits of both.
        """
        films = self.films
        share = films.genres / films.genres.sum(axis=1, keepdims=True)
        taste = np.hstack([self.people.genres[people], self.people.traits[people]])
        looks = np.hstack([share, films.traits])
        found = np.einsum("pk,fk->pf", taste, looks)  # a library's threads cost more than they give
        return np.asarray(found, np.float64)

    def pull(self, liking: Floats, day: int) -> Floats:
        """Give the logarithm of the interest of people in films on a day, (p, f): films are drawn in proportion to it.

        appeal + liking + ln(0.15 + 0.85 exp(−age / fade)) from the release on, before it −∞.
        """
        films = self.films
        age = np.maximum(day - films.released, 0)
        fading = np.log(_LASTING + (1 - _LASTING) * np.exp(-age / films.fade))
        return np.asarray(np.where(films.released <= day, films.appeal + fading, -np.inf) + liking, np.float64)

    def expected(self, people: Ints, liking: Floats, day: Ints | int) -> Floats:
        """Give the mean of a rating before noise and rounding, points: level + drift + quality + 0.4 liking.

        liking: (p, f) of all films. day: of the rating, (p,) or one for all.
        """
        known = self.people
        level = known.level[people] + known.drift[people] * (day - known.joined[people]) / 365
        return np.asarray(level[:, None] + self.films.quality + _JOY * liking, np.float64)

    def visits(self, people: Ints, day: int) -> Floats:
        """Give the chance that people come on a day, (p,): once at most."""
        known = self.people
        there = (known.joined[people] <= day) & (day < known.left[people])
        weekday = (self.settings.start // DAY + day + 3) % 7  # the epoch was a Thursday
        return np.asarray(-np.expm1(-known.rate[people] * WEEKDAYS[weekday]) * there, np.float64)


def rated(rng: np.random.Generator, expected: Floats) -> Floats:
    """Draw ratings around what is expected of them: rounded to halves, from 1 to 5."""
    return np.asarray(np.clip(np.round(2 * rng.normal(expected, _NOISE)) / 2, 1, 5), np.float64)


def chance_of_good(expected: Floats) -> Floats:
    """Give the chance of a rating of at least 4, as `rated` draws and rounds it."""
    return np.asarray(ndtr((expected - (GOOD - 0.25)) / _NOISE), np.float64)


def share_of_day(moment: int) -> float:
    """Give the share of a day's visits that begin before a moment of it, 0 to a day, in microseconds."""
    passed = np.append(0.0, np.cumsum(HOURS)) / HOURS.sum()
    return float(np.interp(moment, np.arange(len(passed)) * HOUR, passed))


_PARTS: dict[str, type] = {"people": People, "films": Films}
