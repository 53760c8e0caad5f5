"""The ads world: a seeded simulator of sponsored search whose true click probabilities are known.

Modelled: searches of people by hour and weekday; queries, people and ads whose frequencies fall by a Zipf law; devices;
people who join and ads that come and end while the log runs; auctions by bid × quality that leave the same ad in
several places; generalised second prices over a reserve; advertisers whose budget of a day ends before the day; clicks
by examination of the place × attraction of the ad; what a search wants and how a day is, which no column tells;
conversions after clicks, some days late, of which the log knows those that came before its end; a drift of tastes and
rates at a chosen day, if asked for.

What makes an ad attract, `interactions` says:

- `none`: levels of user, query, ad, device and age, and the season, add up to a strength;
- `few`: and so do interactions of few values: device × hours of the day × age, interest × topic;
- `ids`: and so does the match of people and queries with ads, each a point in a space of three dimensions that no
  column tells and that only the clicks of its id can.

A probability is position^−0.7 · (1 − exp(−exp(strength + noise))): in log-odds it is no sum, no few
steps of a tree and no product of vectors.

Not modelled: pages that are looked at otherwise than from the top down, and examination that differs by device; clicks
that hang on the other ads of a page, or on what a person saw before; ads that wear out; people and queries that belong
together otherwise than by interest; text whose words say more than the topic; advertisers who change their bids, learn,
or answer to each other; bids that tell how good an ad is; fraud, robots and missing values; holidays.

The prices resemble paid and bid prices of 4,570 won auctions of an advertiser on iPinYou (2013-10-19 and 20): paid over
bid has there a mean of 0.30, a median of 0.24, tenths of 0.05 and 0.68, and a logarithm that spreads by 1.04; here
0.33, 0.24, 0.05, 0.79 and 1.05: too many prices lie near their bid. That is one bidder in real-time bidding with two
bids, 277 and 294, and won auctions alone; here many bid on searches.

Source of the figures: Zhang and others, Real-Time Bidding Benchmarking with iPinYou Dataset, 2014 (arXiv 1407.7073), in
the sample of the R package FeatureHashing. Of the click: the examination hypothesis, Richardson and others, 2007.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from bottega.errors import DesignError
from bottega.worlds import refuse_present
from bottega.worlds.ads_draw import Sizes, draw_ads, draw_queries, draw_tables, draw_users
from bottega.worlds.ads_limit import clicks, limits, true_probabilities
from bottega.worlds.ads_log import WEEKDAYS, Rules, draw_searches, hold
from bottega.worlds.ads_tables import (
    draw_outcomes,
    late_rows,
    write_auctions,
    write_day,
    write_static,
    write_table,
)
from bottega.worlds.ads_truth import DAY, Floats, Settings, Truth, examination

__all__ = ["AdsWorld", "limits", "true_probabilities", "world"]

_KINDS = {"none": (0.0, 0.0), "few": (0.8, 0.0), "ids": (0.0, 1.4)}  # heights of interactions of few values, of ids
_PILOT = 30_000  # impressions by which the level of the rates and the budgets are set
_LEAST = 1_000  # and at least, however short a day is
_CONVERSION = -2.6  # level of conversions: about one click in fourteen
_WRITTEN = ("impressions", "auctions", "truth", "ads.parquet", "advertisers.parquet", "users.parquet")
_ENTERING = 0.12  # share of its searches that an ad is let into


@dataclass(frozen=True)
class AdsWorld:
    """Sponsored search whose truth is known: it writes its log, and `limits` says what could be known from it.

    P(click) = position^−0.7 · (1 − exp(−exp(strength + intent + mood))), and interactions say what the strength is.

    It is wrong wherever a result hangs on what the module's first lines list as not modelled. A model that wins here
    has shown that it finds effects of this form in so many rows, not that it earns more.

    The same settings and seed give the same bytes, on one machine with the same versions of NumPy and PyArrow.

    >>> import tempfile
    >>> home = Path(tempfile.mkdtemp())
    >>> AdsWorld(rows=2_000, days=2, interactions="few").write(home)
    >>> sorted(path.name for path in (home / "impressions").iterdir())
    ['2024-03-06.parquet', '2024-03-07.parquet']
    """

    rows: int = 2_000_000
    """Impressions, 1,000 to 1,000,000,000; a few less come where budgets end. Larger gives each model more to learn."""
    days: int = 14
    """Length of the log, 1 to 365; larger makes a day smaller, and delays and drifts longer beside it. A day on which
    nobody comes has no file."""
    seed: int = 0
    """Start of the random numbers, from 0; another one is another world."""
    interactions: Literal["none", "few", "ids"] = "ids"
    """What the strength of a click is beside a sum: `none`, `few` (of few values) or `ids` (of people and queries with
    ads)."""
    start: date = date(2024, 3, 6)
    """The first day, UTC; it says where the weekends lie. The last two of 14 days are a Monday and a Tuesday."""
    drift_at: int | None = None
    """Day from whose midnight tastes, levels of ads and interactions are others, 1 to days − 1, the first being 0;
    none: they stay."""
    click_rate: float = 0.07
    """Mean click probability aimed at, 0.001 to 0.3; larger makes all effects easier to learn."""
    users: int | None = None
    """People, 1 to 10,000,000; none: one for 2,000 rows. Larger leaves fewer rows for each, and less to learn."""
    queries: int | None = None
    """Texts searched for, 1 to 1,000,000; none: one for 5,000 rows."""
    ads: int | None = None
    """Ads on a day, 1 to 1,000,000; none: one for 4,000 rows. Queries draw from 10 to 40 of them."""
    advertisers: int | None = None
    """Who pays for the ads, 1 to 100,000; none: one for 6 ads."""
    new_ads: float = 0.01
    """Share of the ads that are new on a day, and of those that end, 0 to 0.5; larger leaves more that nothing is known
    of."""
    slots: int = 5
    """Places of a page on a desktop, 1 to 20; a tablet has one less, a phone two."""
    intent: float = 0.3
    """Spread of what a search wants, 0 to 1: what no model can see. Larger lowers what can be known."""
    shock: float = 0.01
    """Spread of a day's mood, 0 to 1; larger makes tomorrow's rate less sure."""
    slow_conversions: float = 0.4
    """Share of the conversions that are days late, 0 to 1; the others come with a mean of one hour."""
    conversion_days: float = 2.0
    """Mean days of the late ones, above 0 to 60; larger leaves more of them behind the log's end."""
    auctions: int = 20_000
    """Searches of the last day whose eligible ads are all written, 0 to 10,000,000; larger gives a surer replay."""

    def __post_init__(self) -> None:
        self._check("rows", 1_000, 1_000_000_000)
        self._check("days", 1, 365)
        self._check("seed", 0, 2**63)
        self._check("drift_at", 1, self.days - 1, none=True)
        self._check("click_rate", 0.001, 0.3, whole=False)
        self._check("users", 1, 10_000_000, none=True)
        self._check("queries", 1, 1_000_000, none=True)
        self._check("ads", 1, 1_000_000, none=True)
        self._check("advertisers", 1, 100_000, none=True)
        self._check("new_ads", 0, 0.5, whole=False)
        self._check("slots", 1, 20)
        self._check("intent", 0, 1, whole=False)
        self._check("shock", 0, 1, whole=False)
        self._check("slow_conversions", 0, 1, whole=False)
        self._check("conversion_days", 1e-6, 60, whole=False)
        self._check("auctions", 0, 10_000_000)
        if self.interactions not in _KINDS:
            allowed = f"one of {', '.join(_KINDS)}"
            raise DesignError("AdsWorld.interactions", repr(self.interactions), allowed, "interactions='ids'")
        if type(self.start) is not date or not 1970 <= self.start.year <= 2200:
            raise DesignError("AdsWorld.start", repr(self.start), "a date from 1970 to 2200", "start=date(2024, 3, 6)")

    @property
    def sizes(self) -> Sizes:
        """How many people, queries, advertisers and ads there are."""
        ads = self.ads or max(60, self.rows // 4_000)
        return Sizes(
            users=self.users or max(40, self.rows // 2_000),
            queries=self.queries or max(20, self.rows // 5_000),
            advertisers=self.advertisers or max(1, ads // 6),
            ads=ads,
        )

    def write(self, folder: Path) -> None:
        """Write the log, its tables and the truth below a folder.

        `impressions/DATE.parquet` a day, in order of time; `users.parquet`, `ads.parquet`, `advertisers.parquet`;
        `auctions/DATE.parquet`, the last day's searches with every eligible ad; `truth/`, what `limits` and
        `true_probabilities` read, and `truth/late.parquet`, what came after the log's end. Memory grows as a day's
        rows. Raises `DataError` where any of them is there.
        """
        refuse_present(folder, _WRITTEN)
        truth, rules = self._truth(), Rules(self.slots, _ENTERING)
        truth.save(folder / "truth")
        write_static(folder, truth)
        first, late, held = 1, [], None
        for day, rows in enumerate(self._quotas(truth)):
            rng = np.random.default_rng([self.seed, 2, day])
            searches = draw_searches(truth, rules, rng, day, int(rows))
            if not len(searches.at):
                continue  # so few rows a day that none came
            shown = hold(truth, rules, rng, searches)
            outcomes = draw_outcomes(truth, rng, searches, shown, self.slow_conversions, self.conversion_days)
            write_day(folder, truth, outcomes, searches, shown, first)
            late.append(late_rows(truth, outcomes, shown, first))
            held = searches, first
            first += len(searches.at)
        if held is not None and self.auctions:
            write_auctions(folder, truth, held[0], self.auctions, held[1])
        write_table(folder / "truth" / "late.parquet", pa.concat_tables(late))

    def _truth(self) -> Truth:
        """Draw the world, then hold a few auctions to set the level of the rates and the budgets."""
        rng, sizes, drifts = np.random.default_rng([self.seed, 0]), self.sizes, self.drift_at is not None
        start = int(np.datetime64(self.start, "us").astype(np.int64))
        few, ids = _KINDS[self.interactions]
        settings = Settings(
            start=start,
            days=self.days,
            drift=start + (self.days if self.drift_at is None else self.drift_at) * DAY,
            base=0.0,
            conversion_base=_CONVERSION,
            intent=self.intent,
            shock=self.shock,
            carried=0.5,
            few=few,
            ids=ids,
            seed=self.seed,
        )
        raw = Truth(
            settings,
            draw_users(rng, sizes, start, self.days, drifts),
            draw_queries(rng, sizes, drifts),
            draw_ads(rng, sizes, start, self.days, self.new_ads, drifts),
            draw_tables(rng, sizes, self.days, self.shock, drifts),
        )
        rng = np.random.default_rng([self.seed, 1])
        rows, rules = int(self._quotas(raw)[0]), Rules(self.slots, _ENTERING)
        shown = hold(raw, rules, rng, draw_searches(raw, rules, rng, 0, min(max(rows, _LEAST), _PILOT)))
        places, strength = examination(shown.position), shown.strength
        base = -3.0
        for _ in range(50):
            base += float(np.log(self.click_rate / (places * clicks(strength + base, self.intent)).mean()))
        chance = places * clicks(strength + base, self.intent)
        spend = np.bincount(raw.ads.advertiser[shown.ad], chance * shown.price, minlength=sizes.advertisers)
        usual = (spend + spend.mean() / 5) * rows / max(len(chance), 1)
        budget = np.round(usual * np.exp(rng.normal(1.0, 0.9, sizes.advertisers)), 2).clip(0.01)
        return replace(raw, settings=replace(settings, base=base), tables=replace(raw.tables, budget=budget))

    def _quotas(self, truth: Truth) -> Floats:
        """Give each day's impressions, by its weekday: (days,)."""
        weekday = (truth.settings.start // DAY + np.arange(self.days) + 3) % 7
        ends = np.cumsum(WEEKDAYS[weekday]) / WEEKDAYS[weekday].sum()
        return np.asarray(np.diff(np.round(ends * self.rows), prepend=0.0), np.float64)

    def _check(self, name: str, low: float, high: float, whole: bool = True, none: bool = False) -> None:
        value = getattr(self, name)
        if none and value is None:
            return
        right = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not (right and low <= value <= high):
            allowed = f"{'a whole' if whole else 'a'} number from {low:g} to {high:g}{', or None' if none else ''}"
            raise DesignError(f"AdsWorld.{name}", repr(value), allowed, f"{name}={type(self).__dict__[name]}")


def world(seed: int, rows: int | None = None, **settings: Any) -> AdsWorld:
    """Give the world as it stands in for a person's data; rows: of its own where none are given."""
    if rows is not None:
        settings["rows"] = rows
    return AdsWorld(seed=seed, **settings)
