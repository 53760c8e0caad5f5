"""Step: the auctions of a past day are held again, by the bundle that will serve, with budgets that run out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from bottega.data.keys import as_text, encode
from bottega.data.log import Log
from bottega.design.serving import Auction, Candidates
from bottega.errors import DataError, nearest
from bottega.features.batch import names
from bottega.features.frame import objects
from bottega.features.stores.memory import MemoryStore
from bottega.files import write_json
from bottega.runs.step import Result
from bottega.runs.steps.bundling import BUNDLE
from bottega.runs.steps.job import Job
from bottega.serving.bundle import load_bundle
from bottega.serving.path import Path as RequestPath
from bottega.serving.spending import Sale, Spending

DAY, HOUR = 86_400_000_000, 3_600_000_000  # microseconds
SEARCHES = 10_000  # of the day, drawn at random where there are more
TOLD = 20  # advertisers in the table
ROUNDING = 1e-9  # of a budget: what a sum of many prices may be off by
Truth = Callable[[Mapping[str, Any], np.ndarray], np.ndarray]
"""From columns of the log and positions to the true probability of a click, (n,)."""


@dataclass(frozen=True)
class Day:
    """The searches of the last day of a table, in order of time.

    rows: (n,) of the log, those of a search together. bounds: (s + 1,) where each search begins. time: (s,)
    microseconds. share: of the day's searches that were drawn.
    """

    log: Log
    rows: np.ndarray
    bounds: np.ndarray
    time: np.ndarray
    share: float

    def plain(self, name: str) -> list[Any]:
        """Give a column of the rows as a request has it."""
        found: list[Any] = self.log.column(name).take(pa.array(self.rows)).to_pylist()
        return found


class Sold(NamedTuple):
    """One slot that was sold: when, to whom, what was paid, whether it was clicked, and what of it was given free."""

    at: int
    advertiser: str
    paid: float
    clicked: bool
    free: float = 0.0


class Ledger(Spending):
    """Accounts that count each charge for all the searches that one of the draw stands for, and remember who won.

    share: of the day's searches that were drawn.
    """

    def __init__(self, share: float) -> None:
        super().__init__(MemoryStore())
        self.share = share
        self.winners: list[str] = []

    def spent(self, advertisers: Sequence[str], at: int) -> np.ndarray:
        """Give what each one would have spent on all searches."""
        return super().spent(advertisers, at) / self.share

    def charge(
        self, advertisers: Sequence[str], amounts: Sequence[float], limits: Sequence[float], at: int
    ) -> np.ndarray:
        """Charge against the share of the budget that falls to the draw."""
        self.winners = list(advertisers)
        return super().charge(advertisers, amounts, [limit * self.share for limit in limits], at)

    def keep(self, request_id: str, sales: Sequence[Sale], at: int) -> None:
        """Keep an answer's sales for their clicks, under the share of the budget that falls to the draw."""
        self.winners = [sale.advertiser for sale in sales]
        shares = [None if sale.budget is None else sale.budget * self.share for sale in sales]
        kept = zip(sales, shares, strict=True)
        super().keep(request_id, [msgspec.structs.replace(sale, budget=budget) for sale, budget in kept], at)


def replay(job: Job, bundle: Result, truth: Truth | None) -> Result | None:
    """Hold the auctions of the replay table's last day again; nothing where the design has no auction or no table.

    truth: where a world knows whether somebody would have clicked; nothing: clicks are drawn by the model's own
    probability, which says what the model expects and not what would have come. When it is wrong: the bundle's store
    holds features as of the log's end, so that what it predicts for the day knows that day's clicks.
    """
    stage = next((part for part in job.design.serving.path if isinstance(part, Auction)), None)
    if stage is None or stage.replay is None:
        return None
    table = stage.replay

    def work(folder: Path, built: Result, _: Result) -> str:
        day = day_of(job, table)
        check_columns(job, stage, day)
        found = sell(job, stage, day, built.folder / BUNDLE, truth)
        write_json(folder / "auction.json", found)
        return f"{found['searches']:,} searches, {found['sold']:,} sold, revenue {found['revenue']:,.2f}"

    return job.runner.step(
        "replay",
        work,
        inputs={"auction": stage, "seed": job.seed, "truth": truth is not None},
        needs=[bundle, job.ingested[table]],
        code=("bottega.serving", "bottega.runs.steps.replaying", "bottega.worlds"),
        libraries=("numpy",),
    )


def day_of(job: Job, table: str) -> Day:
    """Give the searches of the last day in the table, at most `SEARCHES` of them, drawn by the seed."""
    spec = job.design.data.examples
    log = job.log(table)
    if log.time is None:
        raise TypeError("a table of searches has a time")
    rows = np.flatnonzero(log.time >= (log.time.max() // DAY) * DAY)
    named = [encode(log.column(name))[0][rows] for name in getattr(spec, "request", ())]
    keys: list[np.ndarray] = [log.time[rows], *named]
    order = np.lexsort(keys[::-1])
    rows = rows[order]
    new = np.any([np.diff(key[order], prepend=key[order][0] - 1) != 0 for key in keys], axis=0)
    begin = np.flatnonzero(new)
    end = np.append(begin[1:], len(rows))
    drawn = np.arange(len(begin))
    if len(begin) > SEARCHES:
        drawn = np.sort(np.random.default_rng(job.seed).choice(len(begin), SEARCHES, replace=False))
    kept = np.concatenate([rows[low:high] for low, high in zip(begin[drawn], end[drawn], strict=True)])
    bounds = np.concatenate([[0], np.cumsum(end[drawn] - begin[drawn])])
    return Day(log, kept, bounds, log.time[kept[bounds[:-1]]], len(drawn) / len(begin))


def sell(job: Job, stage: Auction, day: Day, bundle: Path, truth: Truth | None) -> dict[str, Any]:
    """Answer each search at its own time, draw the clicks, charge them, and count."""
    loaded = load_bundle(bundle)
    ledger = Ledger(day.share)
    path = RequestPath(loaded, ledger)
    champion = loaded.champions[stage.click].facts.champion
    title = stage.click if len(loaded.champions) > 1 else champion
    ids = as_text(day.log.column(candidate_of(job)).take(pa.array(day.rows))).to_pylist()
    columns = {name: day.plain(name) for name in travelling(job) if name in day.log.rows.column_names}
    fields = {name: day.plain(name) for name in loaded.facts.fields}
    chances = None if truth is None else true_chances(day, stage.slots, truth)
    rng = np.random.default_rng(job.seed)
    sales: list[Sold] = []
    for search, at in enumerate(day.time.tolist()):
        rows = range(day.bounds[search], day.bounds[search + 1])
        request = {
            **{name: values[rows[0]] for name, values in fields.items()},
            "candidates": [
                {"id": ids[row], **{name: values[row] for name, values in columns.items()}} if columns else ids[row]
                for row in rows
            ],
            "request_id": f"search-{search}",
        }
        answer = path.answer(msgspec.convert(request, path.request_type), at)
        place = {ids[row]: row for row in rows}
        for slot, (item, advertiser) in enumerate(zip(answer.items, ledger.winners, strict=False)):
            expected = item.stages[title] or 0.0
            clicked = bool(rng.random() < (expected if chances is None else chances[place[item.id], slot]))
            price = float(item.price or 0.0)
            if stage.pays == "impression":
                sales.append(Sold(at, advertiser, price * expected, clicked))
                continue
            told = path.click(f"search-{search}", item.id, at) if clicked else None
            sales.append(Sold(at, advertiser, told.price if told else 0.0, clicked, told.free if told else 0.0))
    return counted(day, sales, budgets_of(job, stage, day, path), truth is not None)


def budgets_of(job: Job, stage: Auction, day: Day, path: RequestPath) -> dict[str, float]:
    """Give the day's budget of every advertiser that could have taken part, as the auction sees it."""
    if stage.budget is None:
        return {}
    named = as_text(day.log.column(candidate_of(job)).take(pa.array(day.rows))).to_pylist()
    ids = sorted(set(named))
    blank = dict.fromkeys(path.bundle.facts.fields)
    values = path.features(blank, ids, int(day.time[-1]))
    found: dict[str, np.ndarray] = {}
    for name in (stage.advertiser, stage.budget):
        if name in travelling(job) and name in day.log.rows.column_names:
            last = dict(zip(named, day.plain(name), strict=True))
            found[name] = np.array([last[each] for each in ids], object)
        else:
            found[name] = objects(values.row[name])
    pairs = zip(found[stage.advertiser], found[stage.budget], strict=True)
    return {str(who): float(budget) for who, budget in pairs if who is not None and budget is not None}


def check_columns(job: Job, stage: Auction, day: Day) -> None:
    """Refuse a table without what an auction needs of each candidate, where no feature has it."""
    made = {name for feature in job.design.features for name in names(feature)}
    for name in (stage.bid, stage.budget, stage.advertiser):
        if name is not None and name not in made and name not in day.log.rows.column_names:
            held = ", ".join(day.log.rows.column_names)
            raise DataError(
                f"serving.path: Auction(replay={stage.replay!r})",
                f"no column {name!r} in that table, which travels with a candidate",
                f"a column of the table ({held}), or a feature",
                nearest(name, day.log.rows.column_names) or "add the column to the table, or replay another one",
            )


def candidate_of(job: Job) -> str:
    """Give the column that names the candidate."""
    return str(getattr(job.design.data.examples, "candidate", None))


def travelling(job: Job) -> list[str]:
    """Name the columns that travel with a candidate."""
    return [name for part in job.design.serving.path if isinstance(part, Candidates) for name in part.columns]


def true_chances(day: Day, slots: int, truth: Truth) -> np.ndarray:
    """Give the true probability of a click on each candidate in each slot, (n, slots)."""
    at = pa.array(day.rows)
    columns = {name: day.log.column(name).take(at) for name in day.log.rows.column_names}
    return np.column_stack([truth(columns, np.full(len(day.rows), slot)) for slot in range(1, slots + 1)])


def counted(day: Day, sales: Sequence[Sold], budgets: Mapping[str, float], known: bool) -> dict[str, Any]:
    """Count what was sold, for `auction` of the scorecard; amounts are those of all searches of the day."""
    hour = np.array([sale.at % DAY // HOUR for sale in sales], np.int64)
    paid = np.array([sale.paid for sale in sales], np.float64) / day.share
    clicked = np.array([sale.clicked for sale in sales], bool)
    names, who = np.unique(np.array([sale.advertiser for sale in sales], str), return_inverse=True)
    spent = np.bincount(who, paid, len(names))
    clicks = np.bincount(who, clicked / day.share, len(names))
    total = sum(budgets.values())
    by_hour = np.bincount(hour, paid, 24)
    limit = np.array([budgets.get(str(name), np.inf) for name in names])
    excess = np.where(spent > limit * (1 + ROUNDING), spent - limit, 0)
    free = np.array([sale.free for sale in sales], np.float64) / day.share
    order = np.argsort(-spent, kind="stable")[:TOLD]
    searches = len(day.time) / day.share
    return {
        "searches": round(searches),
        "drawn": len(day.time),
        "sold": round(len(sales) / day.share),
        "clicks": float(clicked.sum() / day.share),
        "revenue": float(paid.sum()),
        "revenue_per_1000": float(1000 * paid.sum() / searches) if searches else 0.0,
        "click_through": float(clicked.mean()) if sales else None,
        "by_hour": [
            {
                "hour": place,
                "revenue": float(by_hour[place]),
                "spent_share": float(by_hour[: place + 1].sum() / total) if total else None,
            }
            for place in range(24)
        ],
        "advertisers": [
            {
                "advertiser": str(names[place]),
                "budget": budgets.get(str(names[place])),
                "spent": float(spent[place]),
                "clicks": float(clicks[place]),
                "cost_per_click": float(spent[place] / clicks[place]) if clicks[place] else None,
            }
            for place in order
        ],
        "over_budget": {"advertisers": int((excess > 0).sum()), "largest": float(excess.max(initial=0))},
        "given_free": {"clicks": float((free > 0).sum() / day.share), "worth": float(free.sum())},
        "clicks_from": "the world's truth" if known else "expected by the model",
    }
