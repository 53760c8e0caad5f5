"""What advertisers have spent, and what was sold to them: shared by all workers, kept across builds and restarts."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec
import numpy as np

from bottega.features.stores.keys import keys
from bottega.features.stores.lmdb import LmdbStore
from bottega.features.stores.protocol import Found, Store, amount, mark
from bottega.serving.auction import HOUR, Floats

HOURS = 6
"""How long a sale can be clicked, to the end of the hour; later clicks are not charged, and the sale is dropped."""
_GROUP = "spending"
_CLEAN_EVERY, _CLEANED = 256, 512  # sales that are kept between two looks for old ones, and how many go at once


class Sale(msgspec.Struct, frozen=True, array_like=True):
    """One slot of an answer: the candidate in it, who pays, the price of a click, and the budget of the day."""

    id: str
    advertiser: str
    price: float
    budget: float | None = None
    """Under which it was sold; none: no budget holds."""


class Clicked(msgspec.Struct, frozen=True):
    """What a click is answered with."""

    request_id: str
    id: str
    price: float
    """What the advertiser pays for it: at most what was left of its budget."""
    charged: bool
    """Whether it was charged now; a second click of one sale is not."""
    free: float
    """What it costs beyond the budget, which nobody pays; 0 where the budget held."""


class _Paid(msgspec.Struct, frozen=True, array_like=True):
    paid: float
    price: float


class Spending:
    """Accounts by UTC day and advertiser, and the sales that may still be clicked.

    store: which all workers share. Its operations are atomic, so no account passes its limit, whoever else charges it.

    >>> from bottega.features.stores.memory import MemoryStore
    >>> spending = Spending(MemoryStore())
    >>> spending.charge(["adv-7"], [2.0], [3.0], at=0).tolist(), spending.charge(["adv-7"], [2.0], [3.0], at=0).tolist()
    ([True], [False])
    >>> spending.spent(["adv-7", "adv-8"], at=0).tolist()
    [2.0, 0.0]
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._kept = 0

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the accounts in a folder, made when missing; they survive the end of any process, not a power cut.

        Errors: `ServeError` for a folder that holds something else, or a damaged store.
        """
        return cls(LmdbStore(folder, sync=False))

    def spent(self, advertisers: Sequence[str], at: int) -> Floats:
        """Give what each one spent on the UTC day of a moment, (n,). at: microseconds since 1970 UTC."""
        return np.array([amount(row) for row in self.store.read(_GROUP, _accounts(advertisers, at))], np.float64)

    def charge(self, advertisers: Sequence[str], amounts: Sequence[float], limits: Sequence[float], at: int) -> Found:
        """Charge all of them, or nobody where one would pass its limit; says whose amount fits, (n,) bool."""
        fits = self.store.add(_GROUP, _accounts(advertisers, at), amounts, limits)
        return np.ones(len(advertisers), bool) if fits is None else fits

    def keep(self, request_id: str, sales: Sequence[Sale], at: int) -> None:
        """Keep an answer's sales for their clicks, and now and then drop those that are too old.

        Of two answers under one id the later one counts; what was clicked of the earlier one stays paid, and is not
        charged again.
        """
        mark(self.store, _name(at, request_id), msgspec.json.encode(sales))
        self._kept += 1
        if self._kept % _CLEAN_EVERY == 0:
            self.store.forget("sale ", f"sale {_hour(at - HOURS * HOUR)}", _CLEANED)

    def click(self, request_id: str, item: str, at: int) -> Clicked | None:
        """Charge a click of something sold, once, with what is left of its budget; nothing where no such sale is kept.

        at: of the click, microseconds since 1970 UTC; its UTC day is charged, and the budget is that of the sale.
        """
        names = [_name(at - hours * HOUR, request_id) for hours in range(HOURS + 1)]
        for place, name in enumerate(names):
            if (kept := self.store.marked(name)) is None:
                continue
            for sale in msgspec.json.decode(kept, type=list[Sale]):
                if sale.id == item:
                    once = [_once(each, item) for each in names[place:]]  # the answer of an earlier hour was clicked?
                    paid, charged = next(filter(None, map(self._paid, once[1:])), None), False
                    if paid is None:
                        paid, charged = self._charge_once(sale, once[0], at)
                    return Clicked(request_id, item, paid.paid, charged, paid.price - paid.paid)
        return None

    def _paid(self, name: str) -> _Paid | None:
        found = self.store.marked(name)
        return None if found is None else msgspec.json.decode(found, type=_Paid)

    def _charge_once(self, sale: Sale, name: str, at: int) -> tuple[_Paid, bool]:
        """Give what is paid for a sale, and whether it is paid now; it stands in the mark of this name from then on."""
        account = _accounts([sale.advertiser], at)
        while True:
            paid = affordable(sale.price, sale.budget, amount(self.store.read(_GROUP, account)[0]))
            limits = [sale.budget] if sale.budget is not None and paid else None
            told = _Paid(paid, sale.price)
            fits = self.store.add(_GROUP, account, [paid], limits, {name: msgspec.json.encode(told)})
            if fits is None:
                return self._paid(name) or told, False
            if fits.all():
                return told, True  # else the account was charged since it was read


def affordable(price: float, budget: float | None, spent: float) -> float:
    """Give what of a price can be paid: min(price, budget − spent), at least 0; with `spent` never above the budget.

    >>> affordable(2.0, 5.0, 1.0), affordable(2.0, 5.0, 4.5), affordable(2.0, 5.0, 7.0), affordable(2.0, None, 7.0)
    (2.0, 0.5, 0.0, 2.0)
    """
    if budget is None or spent + price <= budget:
        return price
    left = max(budget - spent, 0.0)
    return left if spent + left <= budget else max(math.nextafter(left, 0.0), 0.0)  # the difference was rounded up


def _accounts(advertisers: Sequence[str], at: int) -> list[bytes]:
    """Give the key of each account, such as `2026-11-21/adv-7`."""
    day = f"{_moment(at):%Y-%m-%d}/"
    return keys([[day + name for name in advertisers]])


def _name(at: int, request_id: str) -> str:
    return f"sale {_hour(at)} {request_id}"  # an id has no blank in it


def _once(name: str, item: str) -> str:
    return f"{name} {hashlib.blake2b(item.encode(), digest_size=16).hexdigest()}"


def _hour(at: int) -> str:
    return f"{_moment(at):%Y-%m-%dT%H}"


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at // 1_000_000, UTC)
