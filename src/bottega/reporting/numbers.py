"""How numbers are written, in one place: page, screen and file show the same value the same way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from bottega.errors import several as several  # one helper for all rooms, found here among its kind

NONE = "–"
_TITLES = {
    "ndcg": "NDCG",
    "map": "MAP",
    "mrr": "MRR",
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "log_loss": "log loss",
    "normalized_entropy": "normalised entropy",
    "predicted_over_observed": "predicted/observed",
    "brier": "Brier score",
    "ece": "ECE",
    "ece_plain": "ECE (plain)",
    "hit_rate": "hit rate",
}
_PLACES = {"log_loss": 4, "normalized_entropy": 4, "roc_auc": 4, "pr_auc": 4, "predicted_over_observed": 3}
_FINE = 99.95  # milliseconds from which on a tenth says nothing
_ROUNDING = 1e-9  # of a value: an interval narrower than that is none
_LOPSIDED = 1.25  # one arm of an interval over the other, from which on ± would hide which way it leans


def title(metric: str) -> str:
    """Give a metric's name as a heading.

    >>> title("ndcg@20"), title("pr_auc"), title("recall@20")
    ('NDCG@20', 'PR-AUC', 'recall@20')
    """
    base, at, cut = metric.partition("@")
    return _TITLES.get(base, base.replace("_", " ")) + at + cut


def places(metric: str) -> int:
    """Give the least decimals of a metric: rungs differ late in a loss or an area, and early in others.

    >>> places("log_loss"), places("recall@20")
    (4, 0)
    """
    return _PLACES.get(metric.partition("@")[0], 0)


def count(value: float | None) -> str:
    """Write a whole number.

    >>> count(541909), count(None)
    ('541,909', '–')
    """
    return NONE if value is None else f"{value:,.0f}"


def amount(value: float | None, least: int = 0) -> str:
    """Write a quantity with three significant digits, and with three decimals from 0.01 to 1, so that columns align.

    least: fewest decimals, as `places` gives them.

    >>> amount(0.3721), amount(0.0812), amount(0.00559), amount(1.024), amount(12.345), amount(45210.3)
    ('0.372', '0.081', '0.00559', '1.02', '12.3', '45,210')
    """
    return NONE if value is None else _fixed(value, max(_decimals(value), least))


def plus_minus(value: float | None, low: float | None, high: float | None, least: int = 0) -> str:
    """Write a value with half the width of its interval. least: as in `amount`.

    >>> plus_minus(0.3721, 0.3651, 0.3791), plus_minus(0.5, None, None), plus_minus(0.37, 0.3699, 0.3701)
    ('0.372 ± 0.007', '0.500', '0.3700 ± 0.0001')
    >>> plus_minus(0.0054, 0.0002, 0.0106), plus_minus(0.00559, 0.00549, 0.00569)
    ('0.0054 ± 0.0052', '0.00559 ± 0.00010')
    """
    if value is None or low is None or high is None:
        return amount(value, least)
    half = (high - low) / 2
    if half <= _ROUNDING * abs(value):
        return f"{amount(value, least)} ± 0"
    decimals = _beside(value, half, least)
    return f"{_fixed(value, decimals)} ± {_fixed(half, decimals)}"


def estimate(value: float | None, low: float | None, high: float | None, least: int = 0) -> str:
    """Write a value with its interval: as ± where it lies in the middle, else with both ends. least: as in `amount`.

    >>> estimate(0.372, 0.365, 0.379), estimate(0.073, 0.044, 0.118)
    ('0.372 ± 0.007', '0.073 [0.044, 0.118]')
    """
    if value is None or low is None or high is None:
        return amount(value, least)
    arms = sorted((abs(value - low), abs(high - value)))
    if arms[1] <= _LOPSIDED * arms[0] or high - low <= 2 * _ROUNDING * abs(value):
        return plus_minus(value, low, high, least)
    decimals = _beside(value, (high - low) / 2, least)
    return f"{_fixed(value, decimals)} [{_fixed(low, decimals)}, {_fixed(high, decimals)}]"


def difference(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Write a difference, with its sign, and the interval where there is one.

    >>> difference(0.0413, 0.03, 0.0526), difference(-0.002)
    ('+0.041 [+0.030, +0.053]', '−0.00200')
    """
    if value is None:
        return NONE
    if low is None or high is None:
        return _fixed(value, _decimals(value), "+")
    decimals = _enough(min(_decimals(max(abs(value), abs(low), abs(high))), 3), (high - low) / 2)
    return f"{_fixed(value, decimals, '+')} [{_fixed(low, decimals, '+')}, {_fixed(high, decimals, '+')}]"


def signed(value: float) -> str:
    """Write a part of a sum, with its sign and three decimals.

    >>> signed(0.8214), signed(-1.5), signed(-0.0001)
    ('+0.821', '−1.500', '0.000')
    """
    return _fixed(value, 3, "+")


def average(value: float | None) -> str:
    """Write a mean number of things.

    >>> average(279.4), average(57.44), average(20.0), average(None)
    ('279', '57.4', '20', '–')
    """
    if value is None:
        return NONE
    return _fixed(value, 0 if value >= 99.95 or round(value, 1) == round(value) else 1)


def with_noun(told: str, one: str) -> str:
    """Write a number that is written already with its noun.

    >>> with_noun("1", "request"), with_noun("1.4", "request"), with_noun("2,000", "request")
    ('1 request', '1.4 requests', '2,000 requests')
    """
    return f"{told} {one}{'' if told == '1' else 's'}"


def setting(value: float | None) -> str:
    """Write a number as a person set it.

    >>> setting(20.0), setting(0.0005), setting(None)
    ('20', '0.0005', '–')
    """
    return NONE if value is None else f"{value:,.12g}".replace("-", "−")


def share(value: float | None) -> str:
    """Write a share as percent; what is not all is never written as 100 %, what is not nothing never as 0 %.

    >>> share(0.6123), share(0.0421), share(0.9996), share(1.0), share(0.0002), share(None)
    ('61 %', '4.2 %', 'over 99.9 %', '100 %', 'under 0.1 %', '–')
    """
    if value is None:
        return NONE
    if 0 < value < 0.0005:
        return "under 0.1 %"
    if 0.9995 <= value < 1:
        return "over 99.9 %"
    percent = 100 * value
    return f"{_fixed(percent, 0 if abs(value) in (0, 1) or 9.95 <= abs(percent) < 99.5 else 1)} %"


def rate(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Write a share that may be small as percent, with three significant digits, and its interval where there is one.

    >>> rate(0.00512), rate(0.0051, 0.0047, 0.0057), rate(0.0), rate(None)
    ('0.512 %', '0.510 [0.470, 0.570] %', '0 %', '–')
    """
    if value is None:
        return NONE
    if low is None and (value in (0, 1) or 0.9995 <= value < 1):
        return share(value)
    ends = [None if end is None else 100 * end for end in (low, high)]
    return f"{estimate(100 * value, ends[0], ends[1])} %"


def share_interval(value: float | None, low: float | None, high: float | None) -> str:
    """Write a share with half the width of its interval.

    >>> share_interval(0.7412, 0.7321, 0.7511), share_interval(0.7412, None, None)
    ('74.1 ± 1.0 %', '74 %')
    """
    if value is None or low is None or high is None:
        return share(value)
    return f"{_fixed(100 * value, 1)} ± {_fixed(50 * (high - low), 1)} %"


def milliseconds(value: float | None, interval: Sequence[float | None] | None = None, unit: bool = True) -> str:
    """Write a latency, from 100 ms on without decimals.

    interval: its two ends; the half width is written where they are known. unit: whether `ms` stands after it.

    >>> milliseconds(6.31, [5.4, 7.2]), milliseconds(136.2), milliseconds(0.02), milliseconds(None)
    ('6.3 ± 0.9 ms', '136 ms', 'under 0.1 ms', '–')
    """
    if value is None:
        return NONE
    decimals = 1 if value < _FINE else 0
    told = "under 0.1" if 0 < value < 0.05 else _fixed(value, decimals)
    low, high = interval if interval is not None and len(interval) == 2 else (None, None)
    if low is not None and high is not None:
        told += f" ± {_fixed((high - low) / 2, decimals)}"
    return f"{told} ms" if unit else told


def seconds(value: float | None, cached: bool | None = False) -> str:
    """Write how long something took.

    >>> seconds(3.94), seconds(1234.5), seconds(0.01, cached=True), seconds(None)
    ('3.9 s', '1,234 s', 'cached', '–')
    """
    if cached:
        return "cached"
    return NONE if value is None else f"{_fixed(value, 1 if value < 99.95 else 0)} s"


def megabytes(value: float | None) -> str:
    """Write an amount of memory.

    >>> megabytes(807), megabytes(16042)
    ('807 MB', '16,042 MB')
    """
    return NONE if value is None else f"{value:,.0f} MB"


def size(value: float | None) -> str:
    """Write the size of a file, from bytes.

    >>> size(812), size(3_140_000), size(45_300_000), size(None)
    ('812 bytes', '3.1 MB', '45 MB', '–')
    """
    if value is None:
        return NONE
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= unit:
            return f"{_fixed(value / unit, 1 if value / unit < 9.95 else 0)} {name}"
    return f"{value:,.0f} bytes"


def enumerated(names: Iterable[str], last: str = "and") -> str:
    """Write names as a list in a sentence. last: what joins the last two.

    >>> enumerated({"a": 1}), enumerated(["a", "b", "c"]), enumerated([])
    ('a', 'a, b and c', '')
    """
    *others, end = [*names] or [""]
    return f"{', '.join(others)} {last} {end}" if others else end


def listed(named: Mapping[str, float]) -> str:
    """Write reasons with how often each held, the most frequent first.

    >>> listed({"price: not above 0": 33, "k: n of n found": 1200})
    'k: n of n found: 1,200 ×, price: not above 0: 33 ×'
    """
    return ", ".join(f"{name}: {count(number)} ×" for name, number in sorted(named.items(), key=lambda item: -item[1]))


def begun(told: str) -> str:
    """Begin with a capital letter, and leave the other letters as they are.

    >>> begun("p99 over the limit of LMDB")
    'P99 over the limit of LMDB'
    """
    return told[:1].upper() + told[1:]


def _decimals(value: float) -> int:
    size = abs(value)
    if size == 0 or 0.01 <= size < 1:
        return 3
    return min(max(2 - math.floor(math.log10(size)), 0), 9)


def _beside(value: float, half: float, least: int) -> int:
    """As many decimals as tell a value with its half width: of a small one no more than that has two digits for."""
    two = 1 - math.floor(math.log10(half)) if half > 0 else 0
    return _enough(max(min(_decimals(value), max(3, two)), least), half)


def _enough(places: int, half: float) -> int:
    """As many decimals as the half width needs to be more than zero, if it is."""
    while half > 0 and places < 12 and round(half, places) == 0:
        places += 1
    return places


def _fixed(value: float, places: int, sign: str = "") -> str:
    told = f"{value:{sign},.{places}f}"
    if float(told.replace(",", "")) == 0:  # a rounded zero has no side
        told = told.lstrip("+-")
    return told.replace("-", "−")
