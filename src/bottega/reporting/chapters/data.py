"""Step 2, data: what came in, what was quarantined, and how examples are made and parted."""

from __future__ import annotations

from collections.abc import Mapping

from bottega.design.design import Design
from bottega.reporting import numbers, wording
from bottega.reporting.blocks import Block, Code, Facts, Grid, Notice, Paragraph, Section, Words
from bottega.reporting.chapters.examples import chances, labels, position, sampling
from bottega.reporting.parts import TableCount
from bottega.reporting.scorecard import Scorecard


def data(design: Design, card: Scorecard) -> Section:
    """Tell the source, the rows by table and reason, and the definition of the examples."""
    blocks: list[Block] = []
    if card.source is not None and card.source.text:
        blocks.append(Paragraph(f"Input: {card.source.text}."))
    counts = card.data
    if counts is not None and counts.offered is not None:
        blocks.append(
            Paragraph(
                f"{numbers.count(counts.offered)} rows offered, {numbers.count(counts.accepted)} accepted, "
                f"{numbers.count(counts.quarantined)} quarantined."
            )
        )
    if counts is not None and counts.tables:
        blocks += [Notice(False, told) for told in map(_mostly_refused, counts.tables, counts.tables.values()) if told]
        blocks.append(_rows(counts.tables))
    if counts is None and card.ran:
        blocks.append(Paragraph("No rows were counted.", quiet=True))
    part = design.data
    facts: list[tuple[str, Words]] = [(f"Table {each.name}", wording.table(each)) for each in part.tables]
    facts.append(("An example", (f"{wording.examples(part.examples)}: ", Code(repr(part.examples)))))
    facts += [(f"Label {each.name}", (f"{wording.label(each)}: ", Code(repr(each)))) for each in part.labels]
    facts.append(("Parted", (f"{wording.split(part.split)}: ", Code(repr(part.split)))))
    if part.sampling is not None:
        facts.append(("Sampling", (Code(repr(part.sampling)), f": {sampling(part.sampling)}")))
    if part.position is not None:
        facts.append(("Position", (Code(repr(part.position)), f": {position(part.position)}")))
    facts += [(f"Licence of {table.name}", table.licence) for table in part.tables if table.licence]
    return Section("data", "Data", [*blocks, Facts(facts), *labels(design, card), *chances(card)], 2)


def _mostly_refused(name: str, table: TableCount) -> Words:
    """Say that more than half of a table is quarantined; nothing where it is less."""
    refused, offered = table.quarantined or 0, table.offered or 0
    if not offered or 2 * refused <= offered:
        return ""
    most = max(table.reasons, key=lambda reason: table.reasons[reason] or 0, default="")
    why = f", most of them for “{most}”" if most else ""
    return (
        f"{numbers.share(refused / offered)} of the rows of {name} are quarantined{why}: the rest may not be like them."
    )


def _rows(tables: Mapping[str, TableCount]) -> Grid:
    rows: list[list[Words]] = []
    strong = set()
    for name, table in tables.items():
        strong.add(len(rows))
        rows.append([name, "offered", numbers.count(table.offered)])
        rows.append(["", "accepted", numbers.count(table.accepted)])
        rows.append(["", "quarantined", numbers.count(table.quarantined)])
        for reason, number in sorted(table.reasons.items(), key=lambda item: -item[1]):
            rows.append(["", f"– {reason}", numbers.count(number)])
    caption = "Rows by table, and why rows were quarantined"
    return Grid(caption, ["table", "", "rows"], rows, left=2, strong=frozenset(strong))
