"""The shop world: a seeded simulator that writes the log of a shop, in the columns of UCI Online Retail.

Modelled, after the figures of the real log (2010-12-01 to 2011-12-09): heavy-tailed visits of customers, who join over
the year; basket sizes; skewed popularity; a share of repeat purchases that grows with a customer's history; tastes
that follow the words of the descriptions, and that groups of customers share; prices, price sensitivity, weekly
promotions; new products; hours, weekdays (Saturday closed), the closing days around New Year, the busy autumn and the
Christmas goods; lines without customer (a quarter), cancellations, POST, DOT and M lines, equal lines, stock
adjustments at price 0 with odd or no description.

Not modelled: products that end or run out of stock; customers who leave, move or change their taste; complements
inside one basket; word of mouth; a reaction of repeats to price or season; descriptions or prices that change
otherwise than by promotion; the higher prices for lines without customer; spelling slips; other public holidays;
discount codes and negative prices. The default shop is smaller, and so are its baskets: 10 lines for the log's 21, out
of 800 products for its 3,659; about 0.42 of its lines are repeats for the log's 0.31. `ShopWorld(customers=4400,
products=3660, lines=22)` is about the log's size.

Source: D. Chen, Online Retail, UCI Machine Learning Repository, 2015 (doi 10.24432/C5BW33).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from bottega.errors import DesignError
from bottega.files import writing
from bottega.worlds import refuse_present
from bottega.worlds.shop_catalogue import CATEGORIES, STYLE_SIZE, Floats, Ints, draw_catalogue
from bottega.worlds.shop_log import COUNTRY_SHARES, Sales, log_table
from bottega.worlds.shop_truth import HABIT_DAYS, HABIT_HALF, LOG, SHAPE, People, Promotions, Truth, best_scores

__all__ = ["ShopWorld", "best_scores", "world"]

_GUEST_LINES, _GUEST_SHAPE = 3.0, 0.35  # visits without customer: mean lines over a customer's; far more uneven
_SEGMENTS = 8  # groups of customers who share most of a taste


@dataclass(frozen=True)
class ShopWorld:
    """A shop whose true tastes are known: it writes its log, and `best_scores` says what could be known from it.

    It is wrong wherever a result hangs on what the module's first lines list as not modelled; a model that wins here
    has shown that it finds tastes, habits and seasons of this form, not that it sells more.

    The same settings and seed give the same bytes, on one machine with the same versions of NumPy and PyArrow.

    >>> import tempfile
    >>> home = Path(tempfile.mkdtemp())
    >>> ShopWorld(customers=50, products=50, days=90).write(home)
    >>> pq.read_schema(home / LOG).names[:4]
    ['InvoiceNo', 'StockCode', 'Description', 'Quantity']
    """

    customers: int = 1500
    """People who may come, 1 to 1,000,000; not all do. Larger gives more lines and better co-purchase counts."""
    products: int = 800
    """Goods ever on sale, 1 to 60,000; larger makes each rarer, so that ranking is harder and cold goods are more."""
    days: int = 373
    """Length of the log, 1 to 3,650; larger gives longer histories and more repeat purchases."""
    seed: int = 0
    """Start of the random numbers, from 0; another one is another shop."""
    end: date = date(2011, 12, 9)
    """The log's last day, UTC; with `days` it says which seasons the log sees."""
    visits: float = 5.0
    """Mean visits of a customer in a year, above 0 to 365; larger gives more lines, repeats, and surer tastes."""
    lines: float = 12.0
    """Mean draws of a customer's visit, above 0 to 500; draws of one product are one line, so lines are about a sixth
    fewer. Larger gives more lines, repeats, and surer tastes."""
    repeats: float = 0.35
    """Mean ceiling of the share of lines drawn from habit, 0 to 0.99; larger makes personal history stronger."""
    taste: float = 1.7
    """Spread of personal logits, 0 to 4; 0 makes all people alike, larger gives collaborative models more to find."""
    guests: float = 0.25
    """Share of lines without CustomerID, 0 to 0.9; larger leaves less to learn from in a log of one size."""

    def __post_init__(self) -> None:
        self._check("customers", 1, 1_000_000, whole=True)
        self._check("products", 1, 60_000, whole=True)
        self._check("days", 1, 3_650, whole=True)
        self._check("seed", 0, 2**63, whole=True)
        self._check("visits", 1e-6, 365)
        self._check("lines", 1e-6, 500)
        self._check("repeats", 0, 0.99)
        self._check("taste", 0, 4)
        self._check("guests", 0, 0.9)
        if type(self.end) is not date or self.end.year < 1900:
            raise DesignError("ShopWorld.end", repr(self.end), "a date from 1900 on", "end=date(2011, 12, 9)")

    def write(self, folder: Path) -> None:
        """Write `online_retail/online_retail.parquet`, the log, and `truth/`, what `best_scores` reads, under a folder.

        Memory grows as customers × products (8 bytes) and as the lines. Raises `DataError` where one of them is there.
        """
        refuse_present(folder, (Path(LOG).parts[0], "truth"))
        streams = [np.random.default_rng([self.seed, part]) for part in range(3)]
        truth = Truth(
            start=self.end - timedelta(days=self.days - 1),
            products=draw_catalogue(streams[0], self.products, self.days),
            people=self._people(streams[1]),
            promotions=self._promotions(streams[1]),
        )
        table = log_table(streams[2], truth, self._sell(truth, streams[2]), self.days)
        truth.save(folder / "truth")
        with writing(folder / LOG) as path:
            pq.write_table(table, path)

    def _check(self, name: str, low: float, high: float, whole: bool = False) -> None:
        value = getattr(self, name)
        right = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not (right and low <= value <= high):
            allowed = f"{'a whole' if whole else 'a'} number from {low:g} to {high:g}"
            raise DesignError(f"ShopWorld.{name}", repr(value), allowed, f"{name}={type(self).__dict__[name]}")

    def _people(self, rng: np.random.Generator) -> People:
        n, spread = self.customers, 1.3  # the log's visits: median 2, mean 4.2, 99 of 100 below 30
        centres = rng.standard_normal((_SEGMENTS, STYLE_SIZE + len(CATEGORIES)))
        taste = 0.9 * centres[rng.integers(_SEGMENTS, size=n)] + 0.44 * rng.standard_normal((n, centres.shape[1]))
        taste[:, :STYLE_SIZE] /= np.sqrt(STYLE_SIZE)  # half of the variance to styles, half to categories
        return People(
            id=12346 + np.sort(rng.choice(n + n // 3 + 1, n, replace=False)),
            rate=self.visits / 365 * np.exp(rng.normal(-(spread**2) / 2, spread, n)),
            lines=self.lines * np.exp(rng.normal(-0.125, 0.5, n)),
            repeat=rng.beta(5 * self.repeats, 5 * (1 - self.repeats), n) if self.repeats else np.zeros(n),
            sensitivity=rng.lognormal(-1.2, 0.5, n),
            joined=np.where(rng.random(n) < 0.6, 0, rng.integers(0, self.days, n)),
            taste=self.taste / np.sqrt(2) * taste,
            country=rng.choice(len(COUNTRY_SHARES), n, p=list(COUNTRY_SHARES.values())),
        )

    def _promotions(self, rng: np.random.Generator) -> Promotions:
        count = rng.poisson(self.products * self.days / 180)
        return Promotions(
            product=rng.integers(0, self.products, count),
            day=rng.integers(0, self.days, count),
            off=rng.choice([0.1, 0.15, 0.2, 0.25], count),
        )

    def _sell(self, truth: Truth, rng: np.random.Generator) -> Sales:
        """Let the days go by: who comes, what each takes, and what that leaves as habit for the days after."""
        people, goods, calendar = truth.people, truth.products, np.arange(self.days)
        traffic, pulls, likings = truth.traffic(calendar), truth.pulls(calendar), truth.likings()
        habits = np.zeros_like(likings)  # (c, p) each purchase's pull, as if it were of day 0
        guests = self.customers * self.visits / 365 * self.guests / (1 - self.guests) / _GUEST_LINES
        comers, carts, visits = [np.empty((2, 0), np.int64)], [np.empty((2, 0), np.int64)], 0
        for day in np.flatnonzero(traffic > 0):
            regulars = np.repeat(
                np.arange(self.customers), rng.poisson(people.rate * traffic[day] * (people.joined <= day))
            )
            guest_tastes = rng.integers(self.customers, size=rng.poisson(guests * traffic[day]))
            who = np.concatenate([regulars, guest_tastes])  # (v,) a guest has somebody's taste, and no history
            named = np.arange(len(who)) < len(regulars)
            explore = likings[who] * pulls[:, day]  # (v, p)
            explore /= explore.sum(axis=1, keepdims=True)
            own = habits[who] * (np.exp(-day / HABIT_DAYS) * named)[:, None]
            total = own.sum(axis=1, keepdims=True)
            repeat = people.repeat[who, None] / (HABIT_HALF + total)
            chance = (1 - repeat * total) * explore + repeat * own
            shape = np.where(named, SHAPE, _GUEST_SHAPE)
            mean = np.where(named, people.lines[who], self.lines * _GUEST_LINES)
            visit, product = _fill(rng, chance, rng.poisson(rng.gamma(shape, mean / shape)))
            line = named[visit]
            pull = goods.habit[product[line]] * np.exp(day / HABIT_DAYS)
            np.add.at(habits, (who[visit[line]], product[line]), pull.astype(np.float32))
            comers.append(np.stack([np.full(len(who), day), np.where(named, who, -1)]))
            carts.append(np.stack([visit + visits, product]))
            visits += len(who)
        (days, whose), (visit, product) = np.hstack(comers), np.hstack(carts)
        return Sales(days, whose, visit, product)


def world(seed: int) -> ShopWorld:
    """Give the world as it stands in for a person's data."""
    return ShopWorld(seed=seed)


def _fill(rng: np.random.Generator, chance: Floats, lines: Ints) -> tuple[Ints, Ints]:
    """Draw each visit's lines, with replacement, by its row of chances (v, p); give visit and product, once a pair."""
    size = chance.shape[1]
    sums = np.cumsum(chance, axis=1)
    sums = sums / sums[:, -1:] + np.arange(len(chance))[:, None]  # row i climbs from i to i + 1: one search for all
    visit = np.repeat(np.arange(len(chance)), lines)
    product = np.searchsorted(sums.ravel(), visit + rng.random(len(visit)), side="right") - visit * size
    pairs = np.unique(visit * size + np.minimum(product, size - 1))
    return pairs // size, pairs % size
