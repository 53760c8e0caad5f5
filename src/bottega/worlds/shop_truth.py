"""What is true in a shop world: its calendar, its people, how a basket is filled, and so the best possible scores."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bottega.errors import DataError, DesignError
from bottega.files import read_json, write_json, writing
from bottega.worlds.shop_catalogue import Catalogue, Floats, Ints

LOG = Path("online_retail", "online_retail.parquet")
MINUTES = 1440
DAY = MINUTES * 60_000_000  # microseconds
HABIT_DAYS = 120.0  # a purchase's pull on the next ones falls to 1/e in so many days
HABIT_HALF = 2.5  # sum of pulls at which half of a customer's ceiling of repeats is reached
SHAPE = 1.5  # of the gamma law of a visit's size: 1 is exponential, larger is more even
PROMOTION_DAYS, PROMOTION_ELASTICITY = 7, 3.0
# Invoices per day by month, January first, relative to their mean; the log's, divided by its growth in customers.
MONTHS = np.array([0.89, 0.85, 0.96, 0.83, 1.04, 0.92, 0.82, 0.75, 1.03, 1.05, 1.46, 1.40])
WEEKDAYS = 7 * np.array([0.154, 0.172, 0.187, 0.217, 0.153, 0.0, 0.117])  # Monday first; Saturday is closed
HOURS = np.array([0.001, 0.022, 0.055, 0.095, 0.123, 0.181, 0.161, 0.136, 0.114, 0.061, 0.033, 0.018])  # from 7:00
OPENS = 7
_BLOCK = 512  # customers scored together; bounds the memory
Weights = NDArray[np.float32]


@dataclass(frozen=True)
class People:
    """The customers, one entry each in every array of (c,) or (c, d).

    id: CustomerID. rate: visits per day on an average day. lines: mean lines of a visit. repeat: ceiling of the share
    of lines drawn from habit. sensitivity: fall of the logit per log unit of price. joined: first day, 0 is the log's
    first. taste: (c, STYLE_SIZE + categories) its product with a style is the logit. country: index of its country.
    """

    id: Ints
    rate: Floats
    lines: Floats
    repeat: Floats
    sensitivity: Floats
    joined: Ints
    taste: Floats
    country: Ints


@dataclass(frozen=True)
class Promotions:
    """Price cuts: row of the product, first day (each lasts PROMOTION_DAYS), share taken off the list price."""

    product: Ints
    day: Ints
    off: Floats


@dataclass(frozen=True)
class Truth:
    """All that the world knows and its log does not say."""

    start: date
    products: Catalogue
    people: People
    promotions: Promotions

    def save(self, folder: Path) -> None:
        """Write the truth as plain Parquet and JSON, for people to read as well."""
        write_json(folder / "world.json", {"start": self.start.isoformat()})
        for name in _PARTS:
            part = getattr(self, name)
            columns = {field.name: getattr(part, field.name) for field in fields(part)}
            with writing(folder / f"{name}.parquet") as path:
                pq.write_table(pa.table({key: _column(values) for key, values in columns.items()}), path)

    @staticmethod
    def load(folder: Path) -> Truth:
        """Read what `save` wrote; `DataError` where there is none."""
        if not (folder / "world.json").exists():
            raise DataError(
                str(folder),
                "no truth of a shop world",
                "a folder that ShopWorld.write wrote, one level above",
                "write it again, into a folder of its own: ShopWorld().write(folder)",
            )
        parts: dict[str, Any] = {}
        for name, kind in _PARTS.items():
            table = pq.read_table(folder / f"{name}.parquet")
            parts[name] = kind(**{key: _array(table[key]) for key in table.column_names})
        return Truth(start=date.fromisoformat(read_json(folder / "world.json")["start"]), **parts)

    def likings(self) -> NDArray[np.float32]:
        """Give each customer's lasting weight of each product, exp(taste · style − sensitivity · log price): (c, p)."""
        people, products = self.people, self.products
        traits = np.hstack([people.taste, -people.sensitivity[:, None]]).astype(np.float32)
        looks = np.hstack([products.style, np.log(products.price / 2)[:, None]]).astype(np.float32)
        return np.asarray(np.exp(traits @ looks.T), np.float32)

    def traffic(self, days: Ints) -> Floats:
        """Give the factor on every customer's rate of visits, by month, weekday and closing days: (days,)."""
        dates = np.datetime64(self.start) + days
        month = dates.astype("M8[M]").astype(np.int64) % 12
        in_month = (dates - dates.astype("M8[M]")).astype(np.int64) + 1
        closed = ((month == 11) & (in_month >= 24)) | ((month == 0) & (in_month <= 3))
        weekday = (dates.astype(np.int64) + 3) % 7  # the epoch was a Thursday
        return np.asarray(MONTHS[month] * WEEKDAYS[weekday] * ~closed, np.float64)

    def discounts(self, days: Ints) -> Floats:
        """Give what stands against the list price, 1 or the promotion's: (p, days)."""
        kept = np.ones((len(self.products.code), len(days)))
        since = days[None, :] - self.promotions.day[:, None]
        which, when = np.nonzero((since >= 0) & (since < PROMOTION_DAYS))
        np.minimum.at(kept, (self.promotions.product[which], when), 1 - self.promotions.off[which])
        return kept

    def pulls(self, days: Ints) -> Floats:
        """Give the weight of each product that is the same for all people, 0 before its launch: (p, days).

        exp(appeal + swing · cos(2π (day of year − peak) / 365)) · discount^−3.
        """
        goods, dates = self.products, np.datetime64(self.start) + days
        in_year = (dates - dates.astype("M8[Y]")).astype(np.float64)
        season = goods.swing[:, None] * np.cos(2 * np.pi * (in_year[None, :] - goods.peak[:, None]) / 365)
        launched = goods.launch[:, None] <= days[None, :]
        promoted = self.discounts(days) ** -PROMOTION_ELASTICITY
        return np.asarray(np.exp(goods.appeal[:, None] + season) * promoted * launched, np.float64)


_PARTS: dict[str, type] = {"products": Catalogue, "people": People, "promotions": Promotions}


def share_of_day(minute: Floats) -> Floats:
    """Give the share of a day's visits that come before a minute of the day, 0 to 1440."""
    ends = np.concatenate([[0.0], np.cumsum(HOURS)]) / HOURS.sum()
    return np.asarray(np.interp(minute, (OPENS + np.arange(len(ends))) * 60.0, ends), np.float64)


def best_scores(folder: Path, customers: NDArray[Any], products: NDArray[Any], at: int, horizon: int) -> Floats:
    """Give the true P(customer buys product in [at, at + horizon)): no ranking can be expected to beat theirs.

    A basket's size is Poisson around a gamma(k, θ = lines / k), and each line is drawn with chance q, so a visit on day
    d buys the product with p(d) = 1 − (1 + θ q(d))^−k; visits are Poisson, so P = 1 − exp(−Σ_d visits(d) · p(d)), with

        visits(d) = rate · traffic(d) · (share of the day's opening hours inside the horizon)
        q(d) = (1 − r H / (h + H)) · liking · pull(d) / Σ liking · pull(d)  +  r w / (h + H)
        w = habit of the product · Σ over its past purchases exp(−(d − their day) / 120 days),  H = Σ w over products

    where r is the customer's ceiling of repeats and h = 2.5. Purchases count in w from the midnight after them.

    It is wrong in one thing: H also grows by what the customer buys inside the horizon, and that is replaced by its
    mean, given a visit so far or none. (That w holds only what was bought before `at` is no error: only the first
    purchase counts.) Over a day nothing is lost; over five busy weeks the scores are 1 to 2 % low in sum. It knows the
    launches, promotions and season inside the horizon, and when people join, which no model can: a part of its lead
    cannot be learnt.

    folder: where `ShopWorld.write` wrote. Of the log there, rows at `at` or later, cancellations, rows of no customer
        and zero prices are not read; equal lines of one invoice count once.
    customers: (n,) CustomerID, integers; one that the world does not know scores 0.
    products: (n,) StockCode, text; one that is no product (POST, M…) scores 0.
    at: microseconds since 1970-01-01 UTC.
    horizon: microseconds, above 0; larger gives larger scores.

    Returns (n,) float64 in 0..1. Raises `DesignError` for arrays or a horizon that cannot be, `DataError` where no
    shop world was written.

    >>> import tempfile
    >>> from bottega.worlds.shop import ShopWorld
    >>> home = Path(tempfile.mkdtemp())
    >>> ShopWorld(customers=50, products=50, days=90).write(home)
    >>> november = int(np.datetime64("2011-11-01", "us").astype(int))
    >>> best_scores(home, np.array([0]), np.array(["POST"]), november, 30 * DAY)
    array([0.])

    Source: Poisson thinning, and the Laplace transform of the gamma law.
    """
    customers, products = np.asarray(customers), np.asarray(products)
    if customers.ndim != 1 or customers.shape != products.shape:
        found = f"shapes {customers.shape} and {products.shape}"
        raise DesignError("best_scores(customers, products)", found, "two arrays of one shape (n,)", "give pairs")
    if len(customers) == 0:
        return np.zeros(0)
    if customers.dtype.kind not in "iu" or products.dtype.kind not in "UOT":
        found = f"{customers.dtype} and {products.dtype}"
        raise DesignError("best_scores(customers, products)", found, "whole numbers and text", "drop nulls, then cast")
    if horizon <= 0:
        raise DesignError("best_scores(horizon)", horizon, "microseconds above 0", "30 days: 30 * 86_400_000_000")
    truth = Truth.load(folder / "truth")
    who, what = _index(customers, truth.people.id), _index(products, truth.products.code)
    known = (who >= 0) & (what >= 0)
    scores = np.zeros(len(customers))
    scores[known] = _scores(truth, folder / LOG, who[known], what[known], at, horizon)
    return scores


def _scores(truth: Truth, log: Path, who: Ints, what: Ints, at: int, horizon: int) -> Floats:
    origin = int(np.datetime64(truth.start, "us").astype(np.int64))
    begin, end = at - origin, at - origin + horizon
    first = begin // DAY
    days = np.arange(max(first, 0), -(-end // DAY))
    # Log times are whole minutes, so a minute is inside where its first microsecond is.
    inside = np.ceil(np.stack([begin - days * DAY, end - days * DAY]) / (DAY / MINUTES)).clip(0, MINUTES)
    traffic = truth.traffic(days) * (share_of_day(inside[1]) - share_of_day(inside[0]))
    pulls, likings = truth.pulls(days).astype(np.float32), truth.likings()
    shoppers, row = np.unique(who, return_inverse=True)
    buyer, product, day = _history(truth, log, shoppers, at, origin)
    pull = truth.products.habit[product] * np.exp((day - first) / HABIT_DAYS)  # as it stands at the first midnight
    expected = np.zeros(len(who))
    for start in range(0, len(shoppers), _BLOCK):
        block = shoppers[start : start + _BLOCK]
        rows, pairs = ((index >= start) & (index < start + _BLOCK) for index in (buyer, row))
        past = np.zeros((2, len(block), len(truth.products.code)), np.float32)
        late = (day[rows] == first).astype(np.int64)  # what was bought on the first day counts from its midnight
        np.add.at(past, (late, buyer[rows] - start, product[rows]), pull[rows].astype(np.float32))
        purchases = _purchases(truth, block, likings[block], past, days, days - first, traffic, pulls)
        expected[pairs] = purchases[row[pairs] - start, what[pairs]]
    return np.asarray(-np.expm1(-expected), np.float64)


def _purchases(
    truth: Truth, block: Ints, liking: Weights, past: Weights, days: Ints, ages: Ints, traffic: Floats, pulls: Weights
) -> Weights:
    """Sum, over the days, the visits times the chance that one buys: (customers, p)."""
    people = truth.people
    habit = truth.products.habit.astype(np.float32)
    repeat, scale = (column[block, None].astype(np.float32) for column in (people.repeat, people.lines / SHAPE))
    own, grown, expected, came = past[0], np.zeros_like(liking), np.zeros_like(liking), np.zeros_like(repeat)
    for i, age in enumerate(ages):
        if i and age:
            fade = np.float32(np.exp(-1 / HABIT_DAYS))
            own, grown = (own + past[1] if age == 1 else own) * fade, grown * fade
        if traffic[i] == 0:
            continue
        visits = (people.rate[block] * traffic[i] * (people.joined[block] <= days[i])).astype(np.float32)[:, None]
        quiet = np.exp(-came)  # chance of no visit since `at`: then nothing has grown
        total = own.sum(axis=1, keepdims=True)
        more = grown.sum(axis=1, keepdims=True) / np.maximum(1 - quiet, np.float32(1e-9))
        after = 1 / (HABIT_HALF + total + more)
        inverse = quiet / (HABIT_HALF + total) + (1 - quiet) * after  # the mean of 1 / (h + H)
        explore = liking * pulls[:, i]
        explore *= (1 - repeat * (1 - HABIT_HALF * inverse)) / explore.sum(axis=1, keepdims=True)
        chance = explore + repeat * inverse * own
        expected += visits * -np.expm1(-SHAPE * np.log1p(scale * chance))
        chance += repeat * after * grown
        grown += visits * habit * -np.expm1(-SHAPE * np.log1p(scale * chance))
        came += visits
    return expected


def _history(truth: Truth, log: Path, shoppers: Ints, at: int, origin: int) -> tuple[Ints, Ints, Ints]:
    """Read who (row in `shoppers`) bought what on which day before `at`, once for each product of an invoice."""
    keep = (pc.field("InvoiceDate") < pa.scalar(at, pa.timestamp("us"))) & (pc.field("Quantity") > 0)
    keep &= (pc.field("UnitPrice") > 0) & pc.field("CustomerID").is_valid()
    table = pq.read_table(log, columns=["InvoiceNo", "StockCode", "InvoiceDate", "CustomerID"], filters=keep)
    who = _index(table["CustomerID"].to_numpy(), truth.people.id[shoppers])
    what = _index(table["StockCode"], truth.products.code)
    day = (table["InvoiceDate"].to_numpy().astype("M8[us]").astype(np.int64) - origin) // DAY
    invoice = table["InvoiceNo"].combine_chunks().dictionary_encode().indices.to_numpy()
    rows = np.flatnonzero((who >= 0) & (what >= 0))
    _, once = np.unique(invoice[rows].astype(np.int64) * len(truth.products.code) + what[rows], return_index=True)
    rows = rows[once]
    return who[rows], what[rows], day[rows]


def _index(values: Any, known: NDArray[Any]) -> Ints:
    """Give the place of each value among the known ones, −1 where it is none of them."""
    found = pa.array(known)
    given = values if isinstance(values, pa.ChunkedArray) else pa.array(values)
    places = pc.fill_null(pc.index_in(given.cast(found.type), value_set=found), -1)
    return np.asarray(places.to_numpy(), np.int64)


def _column(values: NDArray[Any]) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def _array(column: pa.ChunkedArray) -> NDArray[Any]:
    whole = column.combine_chunks()
    if pa.types.is_fixed_size_list(whole.type):
        return np.asarray(whole.flatten().to_numpy().reshape(len(whole), -1))
    values = whole.to_numpy(zero_copy_only=False)
    return values.astype(np.str_) if values.dtype == object else np.asarray(values)
