"""Of the chapter on serving: the auction's rules, and a day of auctions replayed."""

from __future__ import annotations

from bottega.design.design import Design
from bottega.design.serving import Auction, Pace
from bottega.reporting import numbers
from bottega.reporting.blocks import Axis, Block, Facts, Grid, Heading, Notice, Paragraph, Plane, Series, Spot, Words
from bottega.reporting.chapters.rungs import label_of
from bottega.reporting.click_parts import GivenFree, Hour, OverBudget, Replay
from bottega.reporting.scorecard import Scorecard

_DAY = (0, 3, 6, 9, 12, 15, 18, 21, 24)


def auction(design: Design, card: Scorecard) -> list[Block]:
    """Show the rules of the design's auction, and the replay: revenue, clicks, budgets by hour and advertiser."""
    blocks: list[Block] = []
    rules = [rule for stage in design.serving.path for rule in _rules(design, stage)]
    if rules:
        blocks.append(Facts(rules))
    found = card.auction
    if found is not None:
        blocks += _replay(found)
    return [Heading("The auction"), *blocks] if blocks else []


def told(found: Replay) -> list[str]:
    """Say what the replay earned, and whether budgets held, in short phrases."""
    phrases = [
        f"{numbers.amount(found.revenue_per_1000)} a thousand searches" if found.revenue_per_1000 is not None else "",
        f"click-through {numbers.rate(found.click_through)}" if found.click_through is not None else "",
        over(found.over_budget) if found.over_budget is not None else "",
        free(found.given_free) if found.given_free is not None else "",
    ]
    return [phrase for phrase in phrases if phrase]


def over(found: OverBudget) -> str:
    """Say how many advertisers were charged more than their budget.

    >>> over(OverBudget(0)), over(OverBudget(2, 0.35))
    ('no advertiser over its budget', '2 advertisers over their budget, the largest by 0.350')
    """
    if not found.advertisers:
        return "" if found.advertisers is None else "no advertiser over its budget"
    some = "1 advertiser over its budget, by" if found.advertisers == 1 else ""
    some = some or f"{numbers.count(found.advertisers)} advertisers over their budget, the largest by"
    return f"{some} {numbers.amount(found.largest)}"


def free(found: GivenFree) -> str:
    """Say what was clicked beyond the budgets, and not charged.

    >>> free(GivenFree(0, 0.0)), free(GivenFree(12, 3.456))
    ('', '12 clicks beyond a budget, worth 3.46 that nobody paid')
    """
    if not found.clicks:
        return ""
    clicks = numbers.several(round(found.clicks), "click")
    return f"{clicks} beyond a budget, worth {numbers.amount(found.worth)} that nobody paid"


def _rules(design: Design, stage: object) -> list[tuple[str, Words]]:
    if isinstance(stage, Pace):
        day = "the day's traffic, hour by hour" if stage.traffic else "an even day"
        return [("Pacing", f"bids shrink while spending runs ahead of {day}; strength {stage.strength:g}")]
    if not isinstance(stage, Auction):
        return []
    worth = stage.bid if stage.conversion is None else f"{stage.bid} × P({label_of(design, stage.conversion)})"
    power = "" if stage.quality == 1 else f"^{stage.quality:g}"
    quality = f" × P({label_of(design, stage.click)}){power}" if stage.quality else ""
    rest = ", at most what is left of the budget" if stage.budget is not None else ""
    pays = f"at a click{rest}" if stage.pays == "click" else "when it is shown, the price times the chance of a click"
    rules: list[tuple[str, Words]] = [
        ("Order", f"{numbers.several(stage.slots, 'slot')} by {worth}{quality}"),
        ("Price", f"the least bid that keeps the slot, at least {stage.reserve:g}; charged {pays}"),
    ]
    held = f"{stage.budget} of each {stage.advertiser}, by the day (UTC)" if stage.budget is not None else "none"
    return [*rules, ("Budget", held)]


def _replay(found: Replay) -> list[Block]:
    facts: list[tuple[str, Words]] = [
        (name, value)
        for name, value in (
            ("Searches", numbers.count(found.searches) + _drawn(found)),
            ("Slots sold", numbers.count(found.sold)),
            ("Clicks", f"{numbers.average(found.clicks)}{_from(found)}" if found.clicks is not None else numbers.NONE),
            ("Click-through", numbers.rate(found.click_through)),
            ("Conversions", numbers.average(found.conversions)),
            ("Revenue", numbers.amount(found.revenue)),
            ("Revenue per 1,000 searches", numbers.amount(found.revenue_per_1000)),
        )
        if value != numbers.NONE
    ]
    blocks: list[Block] = [Heading("A day of auctions, replayed")]
    blocks += [Facts(facts)] if facts else []
    if found.over_budget is not None and found.over_budget.advertisers is not None:
        words = over(found.over_budget)
        good = True if not found.over_budget.advertisers else None
        blocks.append(Notice(good, f"{numbers.begun(words)}."))
    if found.given_free is not None and (words := free(found.given_free)):
        blocks.append(Notice(None, f"{numbers.begun(words)}."))
    known = "The store that predicts holds features as of the log's end: it knows the clicks of the day it replays."
    return [*blocks, *_hours(found.by_hour), *_advertisers(found), Paragraph(known, quiet=True)]


def _drawn(found: Replay) -> str:
    if found.drawn is None or found.drawn == found.searches:
        return ""
    return f", of which {numbers.count(found.drawn)} were drawn and answered; amounts are those of all"


def _from(found: Replay) -> str:
    return f" ({found.clicks_from})" if found.clicks_from else ""


def _hours(hours: list[Hour]) -> list[Block]:
    if not hours:
        return []
    blocks: list[Block] = []
    spent = [
        Spot(each.hour + 1, each.spent_share, f"by {each.hour + 1}:00 {numbers.share(each.spent_share)} spent")
        for each in hours
        if each.spent_share is not None
    ]
    if spent:
        top = max(1.0, *(spot.y for spot in spent))
        across = Axis("hour of the day (UTC)", (0.0, 24.0), marks=_DAY)
        up = Axis("share of all budgets spent", (0.0, top), "percent")
        line = ((0.0, 0.0), (24.0, 1.0), "an even day that spends all")
        series = [Series("spent", [Spot(0.0, 0.0, "nothing spent at 0:00"), *spent], "champion", joined=True)]
        blocks.append(Plane("Spending against the budgets, by the end of each hour", series, across, up, line))
    earned = [
        Spot(each.hour + 0.5, each.revenue, f"{_span(each)}: {numbers.amount(each.revenue)}")
        for each in hours
        if each.revenue is not None
    ]
    if earned:
        across = Axis("hour of the day (UTC)", (0.0, 24.0), marks=_DAY)
        up = Axis("revenue", (0.0, 1.05 * max(spot.y for spot in earned) or 1.0))
        blocks.append(Plane("Revenue by hour", [Series("revenue", earned, "column")], across, up))
    rows: list[list[Words]] = [
        [_span(each), numbers.amount(each.revenue), numbers.rate(each.spent_share)] for each in hours
    ]
    return [*blocks, Grid("Hour by hour", ["hour (UTC)", "revenue", "of the budgets spent by its end"], rows)]


def _span(each: Hour) -> str:
    return f"{each.hour}:00–{each.hour + 1}:00"


def _advertisers(found: Replay) -> list[Block]:
    rows: list[list[Words]] = []
    for each in found.advertisers:
        share = each.spent / each.budget if each.spent is not None and each.budget else None
        cells = [each.budget, each.spent]
        money = [numbers.amount(value) for value in cells]
        clicks, price = numbers.average(each.clicks), numbers.amount(each.cost_per_click)
        rows.append([each.advertiser, *money, numbers.share(share), clicks, price])
    if not rows:
        return []
    head = ["advertiser", "budget", "spent", "of it", "clicks", "a click"]
    return [Grid("The advertisers that spent most", head, rows)]
