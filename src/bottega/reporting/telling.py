"""What the terminal shows of a load test and of an explained request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len

from bottega.reporting import numbers
from bottega.reporting.reasons import empty, reasons
from bottega.reviewing.writing_text import fill

_GAP = "   "
_WIDE = 118  # columns, where nothing is said of them
_FEATURES = 6  # of an item that are shown; --json has all
_SOLD = ("slot", "bid", "price")


def load_test(test: Mapping[str, Any], width: int = _WIDE) -> str:
    """Tell of one test of a search on one line, or more where they are short."""
    parts = [f"{test['rate']:8,.0f} requests/s"]
    parts += [f"{name} {numbers.milliseconds(test[name]['value'])}" for name in ("p50", "p99")]
    parts += [f"{test['failed']:,} failed"] if test["failed"] else []
    parts += ["the generator itself was late"] if test["saturated"] else []
    return "\n".join(laid(" " * 4, parts, width))


def consistency_summary(found: Mapping[str, Any], width: int = _WIDE) -> str:
    """Tell whether features were served as a batch computes them, and where not."""
    told = f"{found['decisions']:,} answers of build {found['build']}: {found['compared']:,} values compared, "
    lines = fill(f"{told}{found['mismatches']:,} differ", width)
    for name, count in found["by_feature"].items():
        lines += fill(f"{name}: {count:,} differ", width, " " * 4, " " * 8)
    for one in found["worst"]:
        asked = ", ".join(f"{name} {value}" for name, value in one["request"].items() if not isinstance(value, list))
        served = f"{one['feature']}: served {one['serving']}, batch {one['training']}"
        lines += fill(f"{served}{_GAP}{asked}, {one['candidate']}", width, " " * 4, " " * 8)
    return "\n".join(lines)


def load_summary(found: Mapping[str, Any], width: int = _WIDE) -> str:
    """Tell what a load test found: the answer first, then how it was measured."""
    quantiles = [
        f"{name} {numbers.milliseconds(found[name]['value'], [found[name]['low'], found[name]['high']])}"
        for name in ("p50", "p95", "p99")
    ]
    limit = numbers.milliseconds(found["limit_ms"])
    if not found["tried"]:
        verdict = f"{found['rate']:,.0f} requests/s asked for, {found['requests_per_s']:,.0f} answered"
    elif found["holds"]:
        verdict = f"{found['rate']:,.0f} requests/s is the highest rate tried that keeps p99 within {limit}"
    else:
        verdict = f"no rate tried keeps p99 within {limit}"
    lines = [f"{found['requests']:,} requests, open loop, {found['failed']:,} failed"]
    if found["degraded"]:
        named = reasons(found["degradations"])
        lines.append(f"{numbers.share(found['degraded'])} of the answers were degraded: {named}")
    if found.get("unasked"):
        lines.append(f"asked without, as the log has it: {empty(found['unasked'])}")
    if found["shortfalls"]:
        lines.append(f"fewer than asked for, which is no degradation: {reasons(found['shortfalls'])}")
    if found["saturated"]:
        lines.append("the generator was late by itself: these figures say nothing of the service")
    rest = [part for line in lines for part in fill(line, width, "", " " * 4)]
    return "\n".join([*fill(verdict, width, "", " " * 4), *laid("", quantiles, width), *rest])


def explained(items: Sequence[Mapping[str, Any]], width: int = _WIDE) -> str:
    """Tell of each item which source brought it, how each stage scored it, what moved that, and its first features.

    Of an item's `contributions`, by feature, with the `base` that they start from and their `unit`, the largest are
    shown, with their sign, and the rest as one sum; where several ladders ranked, `contributions` holds for each of
    them `base`, `values` and `unit`. Of an auction's items it tells `slot`, `bid` and `price`, of a list that
    was ordered again, `reranked`, what each stage did. What an item does not
    have is left out.

    width: columns; lines break between their parts.
    """
    lines = []
    for item in items:
        sources = ", ".join(f"{name} at {place}" for name, place in item["sources"].items()) or "the request"
        sold = [f"{name} {_plain(item[name])}" for name in _SOLD if item.get(name) is not None]
        lines += laid(f"{item['rank']:3}  ", [str(item["id"]), f"brought by {sources}", *sold], width)
        stages = [f"{name} {numbers.amount(score)}" for name, score in item["stages"].items()]
        lines += laid("     scores    ", stages, width)
        for why in _whys(item):
            lines += laid("     why       ", why, width)
        for told in item.get("reranked") or ():
            lines += fill(told, width, "     moved     ", " " * 15)
        first = list(item["features"].items())[:_FEATURES]
        shown = [f"{name} {_plain(value)}" for name, value in first]
        more = len(item["features"]) - len(first)
        lines += laid("     features  ", [*shown, *([f"and {more} more with --json"] if more > 0 else [])], width)
    return "\n".join(lines) if lines else "nothing was shown for this request"


def laid(head: str, parts: Sequence[str], width: int) -> list[str]:
    """Lay parts side by side, and break between them where the line is full; inside one only where it is wider."""
    lines: list[str] = []
    line, empty, indent = head, True, " " * len(head)
    for part in parts:
        if not empty and cell_len(line + _GAP + part) > width:
            lines.append(line)
            line, empty = indent, True
        *full, line = fill(part, width, line if empty else line + _GAP, indent)
        lines += full
        empty = False
    return [*lines, line.rstrip()]


def _whys(item: Mapping[str, Any]) -> list[list[str]]:
    """What moved the score, for each ladder that ranked."""
    found = item.get("contributions") or {}
    if not any(isinstance(part, Mapping) for part in found.values()):
        return [_why(found, item.get("base"), item.get("unit"))] if found else []
    named = len(found) > 1
    whys = {ladder: _why(part["values"], part.get("base"), part.get("unit")) for ladder, part in found.items()}
    return [[f"{ladder}: {base}" if named else base, *rest] for ladder, (base, *rest) in whys.items()]


def _why(parts: Mapping[str, float], base: float | None, unit: str | None) -> list[str]:
    """The base, the largest contributions by size, the rest as one, and what they add up to."""
    start = base or 0.0
    order = sorted(parts, key=lambda name: -abs(parts[name]))
    shown = [f"{numbers.signed(parts[name])} {name}" for name in order[:_FEATURES]]
    rest = order[_FEATURES:]
    if rest:
        shown.append(f"{numbers.signed(sum(parts[name] for name in rest))} {len(rest)} more")
    whole = numbers.signed(start + sum(parts.values()))
    return [f"base {numbers.signed(start)}", *shown, f"= {whole} {unit or 'log-odds'}"]


def _plain(value: object) -> str:
    if isinstance(value, int):
        return numbers.count(value)
    return numbers.amount(value) if isinstance(value, float) else str(value or numbers.NONE)
