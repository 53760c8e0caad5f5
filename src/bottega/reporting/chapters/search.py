"""Of the chapter on evaluation: what the encoder loses, and what the codes or the index lose besides."""

from __future__ import annotations

from bottega.reporting import numbers
from bottega.reporting.blocks import Block, Grid, Heading, Notice, Paragraph, Words
from bottega.reporting.scorecard import Scorecard
from bottega.reporting.search_parts import Loss, Search


def search(card: Scorecard) -> list[Block]:
    """Show each metric at its best, after the encoder, and after the index."""
    found = card.search
    if found is None:
        return []
    blocks: list[Block] = [Heading("What the search loses")]
    if told := served(found):
        blocks.append(Notice(found.accepted, f"{numbers.begun(told)}."))
    if told := held(found):
        blocks.append(Paragraph(f"{numbers.begun(told)}.", quiet=True))
    rows: list[list[Words]] = []
    for metric in dict.fromkeys(loss.metric for loss in found.losses):
        for place, loss in enumerate(each for each in found.losses if each.metric == metric):
            rows.append([numbers.title(metric) if not place else "", loss.name, *_cells(loss)])
    if rows:
        head = ["metric", "searched by", "value", "lost here"]
        blocks.append(Grid("Lost by the encoder, and then by the way of search, on the test", head, rows, left=2))
        told = "The encoder's loss is counted from the best order that there is, all vectors compared; that of codes or"
        blocks.append(Paragraph(f"{told} an index from the encoder, on the same questions.", quiet=True))
    if found.recall is not None and found.recall.n:
        told = numbers.share_interval(found.recall.value, found.recall.low, found.recall.high)
        blocks.append(Paragraph(f"The index finds {told} of what comparing all vectors finds."))
    return blocks


def held(found: Search) -> str:
    """Say how many items the service searches, and how many were held out when it was judged."""
    items = found.items if found.served_items is None else found.served_items
    if items is None:
        return ""
    told = f"{numbers.several(items, 'item')} searched"
    if found.held_out:
        told += f", {numbers.count(found.held_out)} of them held out when it was judged"
    if found.left_out:
        told += f", without the {numbers.count(found.left_out)} of the test, which are questions alone"
    return told


def served(found: Search) -> str:
    """Say how the gallery is searched, and why."""
    if found.asked == found.served == "exact":
        return ""
    reason = f": on validation it {found.reason}" if found.reason else ""
    if found.accepted:
        return f"searched by {found.served}{reason}"
    return f"all vectors are compared, {found.asked} being refused{reason}"


def lost(found: Search) -> list[str]:
    """Say in short what each way loses of the primary metric."""
    first = next((loss.metric for loss in found.losses), None)
    return [
        f"lost by {loss.name} {numbers.amount(loss.lost.value)} of {numbers.title(loss.metric)}"
        for loss in found.losses
        if loss.metric == first and loss.lost is not None and loss.lost.value is not None
    ]


def _cells(loss: Loss) -> list[Words]:
    value, gap = loss.value, loss.lost
    return [
        numbers.NONE if value is None else numbers.estimate(value.value, value.low, value.high),
        numbers.NONE if gap is None else numbers.estimate(gap.value, gap.low, gap.high),
    ]
