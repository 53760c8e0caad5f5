"""What is true in an ads world: its people, queries and ads, and the strength by which an ad draws a click."""

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
Texts = NDArray[np.str_]

HOUR = 3_600_000_000  # microseconds
DAY = 24 * HOUR
DEVICES = ("desktop", "phone", "tablet")
DEVICE_SHARES = np.array([0.40, 0.52, 0.08])
AGES = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
INTERESTS = ("home", "sport", "travel", "money", "health", "music", "study", "garden")
BAND = 6  # hours of a band of the day, of which few-valued interactions know
EXAMINATION_FALL = 0.7  # places are looked at as 1 / place^0.7
_BENT = 1.6  # the height at which a match of tastes no longer gains


@dataclass(frozen=True)
class Settings:
    """The numbers of a world that its truth needs.

    start: midnight before the first day. days: length. drift: the moment from which the second phase counts.
    base, conversion_base: level of the click's and the conversion's strength. intent: spread of what a search wants,
    which no column tells. shock: spread of a day's mood. carried: how much of the intent a conversion feels.
    few, ids: heights of the interactions of few values, and of ids. seed: of the world.
    """

    start: int
    days: int
    drift: int
    base: float
    conversion_base: float
    intent: float
    shock: float
    carried: float
    few: float
    ids: float
    seed: int


@dataclass(frozen=True)
class Users:
    """The people, (u,) or (u, d) each; of two phases, before and after a drift, (2, u, d).

    weight: share of the searches. joined: moment of the first possible search. age, interest, device: codes; the
    device is the one mostly used. level, converts: on the strength of clicks and of conversions. taste: (2, u, d).
    """

    id: Ints
    weight: Floats
    joined: Ints
    age: Ints
    interest: Ints
    device: Ints
    level: Floats
    converts: Floats
    taste: Floats


@dataclass(frozen=True)
class Queries:
    """The texts searched for, (q,) each. wide: how many ads compete for one. need: (2, q, d), as a taste."""

    text: Texts
    weight: Floats
    topic: Ints
    level: Floats
    wide: Ints
    need: Floats


@dataclass(frozen=True)
class Ads:
    """The ads, (a,) each; those of all days. ended: moment from which it is no longer shown; style: (a, d)."""

    id: Ints
    advertiser: Ints
    topic: Ints
    bid: Floats
    created: Ints
    ended: Ints
    level: Floats  # (2, a)
    converts: Floats
    style: Floats


@dataclass(frozen=True)
class Tables:
    """What holds for few values, and for days.

    device, age: on the strength of a click. moment: (2, devices, bands, ages) and match: (2, interests, topics), the
    interactions of few values. mood: (days,) shocks. budget: (advertisers,) a day. topics: (t,) their names.
    """

    device: Floats
    age: Floats
    moment: Floats
    match: Floats
    mood: Floats
    budget: Floats
    topics: Texts


@dataclass(frozen=True)
class Events:
    """Whom a question is about: codes of user, query, ad and device, and the moment in microseconds; (n,) each."""

    user: Ints
    query: Ints
    ad: Ints
    device: Ints
    at: Ints


@dataclass(frozen=True)
class Truth:
    """All that the world knows and its log does not say."""

    settings: Settings
    users: Users
    queries: Queries
    ads: Ads
    tables: Tables

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
                "no truth of an ads world",
                "a folder that AdsWorld.write wrote, one level above",
                "write it again, into a folder of its own: AdsWorld().write(folder)",
            )
        parts: dict[str, Any] = {}
        for name, kind in _PARTS.items():
            with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
                parts[name] = kind(**dict(file))
        return Truth(settings=Settings(**read_json(folder / "world.json")), **parts)

    def mood(self, at: Ints) -> Floats:
        """Give the shock of each moment's day, (n,)."""
        day = np.clip((at - self.settings.start) // DAY, 0, self.settings.days - 1)
        return np.asarray(self.tables.mood[day], np.float64)

    def strength(self, events: Events) -> Floats:
        """Give what draws a click, (n,), without the search's intent and the day's mood.

        base + levels of user, query, ad, device and age + season + interactions of few values + match of ids, with
        match = ids · b tanh(x / b) and x = style of the ad · (taste of the user + need of the query).
        """
        who, what, ad, tables, phase = events.user, events.query, events.ad, self.tables, self.phase(events.at)
        users, ads = self.users, self.ads
        found = self.settings.base + season(events.at) + users.level[who] + self.queries.level[what]
        found += ads.level[phase, ad] + tables.device[events.device] + tables.age[users.age[who]]
        if self.settings.few:
            band = events.at % DAY // (BAND * HOUR)
            some = tables.moment[phase, events.device, band, users.age[who]]
            found += self.settings.few * (some + tables.match[phase, users.interest[who], ads.topic[ad]])
        if self.settings.ids:
            found += self.settings.ids * self.match(who, what, ad, phase)
        return np.asarray(found, np.float64)

    def match(self, who: Ints, what: Ints, ad: Ints, phase: Ints) -> Floats:
        """Give how near an ad's style is to the taste of a user and the need of a query, bent at both ends: (n,)."""
        wanted = self.users.taste[phase, who] + self.queries.need[phase, what]
        return np.asarray(_BENT * np.tanh(np.einsum("nd,nd->n", wanted, self.ads.style[ad]) / _BENT), np.float64)

    def conversion_strength(self, events: Events) -> Floats:
        """Give what draws a conversion after a click, (n,), without the search's intent."""
        found = (
            self.users.converts[events.user] + self.ads.converts[events.ad] - 0.3 * self.tables.device[events.device]
        )
        return np.asarray(self.settings.conversion_base + found, np.float64)

    def phase(self, at: Ints) -> Ints:
        """Give 0 before the drift and 1 after, (n,)."""
        return np.asarray(at >= self.settings.drift, np.int64)


def season(at: Ints) -> Floats:
    """Give the hour's and the weekday's pull on the strength of a click, (n,): most in the evening and at weekends."""
    hour = at % DAY / HOUR
    weekday = (at // DAY + 3) % 7  # the epoch was a Thursday
    return np.asarray(0.2 * np.cos(2 * np.pi * (hour - 20.5) / 24) + 0.1 * (weekday >= 5), np.float64)


def examination(position: NDArray[Any]) -> Floats:
    """Give the chance that a place is looked at: position^−0.7, 1 for the best."""
    return np.asarray(np.asarray(position, np.float64) ** -EXAMINATION_FALL, np.float64)


def attraction(strength: Floats) -> Floats:
    """Give the chance that what is looked at is clicked: 1 − exp(−exp(strength))."""
    return np.asarray(-np.expm1(-np.exp(strength)), np.float64)


_PARTS: dict[str, type] = {"users": Users, "queries": Queries, "ads": Ads, "tables": Tables}
