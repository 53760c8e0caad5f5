"""Of the chapter on serving: what was tried to make the champion smaller and faster, within its contract."""

from __future__ import annotations

from collections.abc import Mapping

from bottega.design.design import Design
from bottega.reporting import numbers
from bottega.reporting.blocks import Block, Code, Grid, Heading, Notice, Paragraph, Status, Words
from bottega.reporting.click_parts import Compressed, Footing, Tried
from bottega.reporting.measured import as_measured
from bottega.reporting.scorecard import Scorecard


def compression(design: Design, card: Scorecard) -> list[Block]:
    """Show the contracts of the design, and each compression beside the champion as it was."""
    blocks: list[Block] = []
    if design.serving.compress:
        rows: list[list[Words]] = [
            [Code(repr(part)), numbers.setting(part.tolerance), f"± {numbers.setting(part.calibration)}"]
            for part in design.serving.compress
        ]
        head = [
            "compression",
            f"{numbers.title(design.evaluation.primary)} may lose",
            "predicted/observed may move away from 1",
        ]
        blocks.append(Grid("The contract: what each may cost", head, rows))
    tried = {ladder: found for ladder, found in card.compression.items() if found.tried or found.served}
    for ladder, found in tried.items():
        of_ladder = f"{ladder}: " if len(tried) > 1 else ""
        blocks += [Notice(True if found.served else None, f"{of_ladder}{served(found)}.")]
        blocks += [*_verdicts(design, found), *_measures(found)]
    if design.serving.compress and card.ran and not tried:
        blocks.append(Paragraph("Not tried in this build.", quiet=True))
    return [Heading("Compression"), *blocks] if blocks else []


def served(found: Compressed) -> str:
    """Say which one is served, and what it saves."""
    refused = sum(not each.accepted for each in found.tried)
    tried = f"{refused} of {len(found.tried)} tried refused" if refused else f"{len(found.tried)} tried"
    chosen = next((each for each in found.tried if each.name == found.served), None)
    if chosen is None:
        return f"The champion is served as it is; {tried}"
    before = found.before or Footing()
    saved = [
        f"{numbers.size(before.bytes)} → {numbers.size(chosen.bytes)}" if chosen.bytes is not None else "",
        f"{_ms(before.ms_200)} → {_ms(chosen.ms_200)} ms for 200 candidates" if chosen.ms_200 is not None else "",
    ]
    told = ", ".join(filter(None, saved))
    return f"{chosen.name} is served{f': {told}' if told else ''}; {tried}"


def _measures(found: Compressed) -> list[Block]:
    """What was measured where it is decided, and once more on the test for what was accepted."""
    tests: dict[str, Footing] = {each.name: each.test for each in found.tried if each.test is not None}
    tables: list[tuple[str, Footing | None, Mapping[str, Footing]]] = [
        ("on validation, where it is decided", found.before, {each.name: each for each in found.tried}),
        ("on the test, of what may serve", found.test, tests),
    ]
    return [_grid(told, before, rows, found) for told, before, rows in tables if before is not None and rows]


def _grid(told: str, before: Footing, measured: Mapping[str, Footing], found: Compressed) -> Grid:
    names = dict.fromkeys(name for each in (before, *measured.values()) for name in each.metrics)
    aside = ("predicted_over_observed", "ece")
    asked = [name for name in names if name not in aside]

    def cells(each: Footing) -> list[Words]:
        metrics = [*(each.metrics.get(name) for name in asked)]
        told = [
            numbers.NONE if at is None else numbers.estimate(at.value, at.low, at.high, numbers.places(name))
            for name, at in zip(asked, metrics, strict=True)
        ]
        for name in aside:
            at = as_measured(getattr(each, name) if getattr(each, name) is not None else each.metrics.get(name))
            told.append(numbers.estimate(at.value, at.low, at.high, numbers.places(name)))
        return [*told, numbers.size(each.bytes), _ms(each.ms_1), _ms(each.ms_200)]

    rows: list[list[Words]] = [
        ["as it was", *cells(before)],
        *([_name(each), *cells(measured[each.name])] for each in found.tried if each.name in measured),
    ]
    strong = frozenset(place for place, name in enumerate(measured, 1) if name == found.served)
    head = ["model", *map(numbers.title, [*asked, *aside]), "size", "ms at 1", "ms at 200"]
    return Grid(f"Before and after, {told}; the one served stands out", head, rows, strong=strong)


def _verdicts(design: Design, found: Compressed) -> list[Block]:
    rows: list[list[Words]] = []
    for each in found.tried:
        gap = each.difference
        told = numbers.NONE if gap is None else numbers.difference(gap.value, gap.low, gap.high)
        result: Words = Status(each.accepted, "accepted" if each.accepted else "refused")
        rows.append([_name(each), result, each.reason, told])
    if not rows:
        return []
    caption = f"Accepted or refused, by the paired difference of {numbers.title(design.evaluation.primary)}"
    return [Grid(caption, ["compression", "result", "reason", "difference"], rows, left=3)]


def _name(each: Tried) -> str:
    return each.name if not each.kind or each.kind == each.name else f"{each.name} ({each.kind})"


def _ms(value: float | None) -> str:
    """Milliseconds that may be far under one."""
    return numbers.amount(value)
