"""Step 3, features: what the models see, and whether serving computes the same."""

from __future__ import annotations

from collections.abc import Mapping

from bottega.design.design import Design
from bottega.design.features import Categories, Cross, Expression, Feature, Given, Image, Lookup, TargetRate, Window
from bottega.reporting import numbers
from bottega.reporting.blocks import Block, Code, Grid, Heading, Notice, Paragraph, Section, Words
from bottega.reporting.parts import Parity
from bottega.reporting.scorecard import Scorecard

_OPEN = "as many as there are"


def features(design: Design, card: Scorecard) -> Section:
    """Tell the definitions, and what the parity gate found."""
    rows = [_row(part) for part in design.features]
    total = sum(number or 0 for number, _ in rows)
    blocks: list[Block] = []
    if rows:
        parts = [numbers.several(total, "feature")] if total else []
        parts += ["every number that comes with a candidate"] if any(number is None for number, _ in rows) else []
        told = numbers.begun(f"{' and '.join(parts)}, each as it was known at the request's time")
        head = ["kind", "of", "definition", "over", "features"]
        blocks.append(Grid(told, head, [[*row, _OPEN if n is None else numbers.count(n)] for n, row in rows], left=4))
    else:
        blocks.append(Paragraph("The design names no features.", quiet=True))
    blocks += [*_categories(card), *_crosses(card)]
    if card.ran:
        blocks += [Heading("Parity of training and serving"), *_parity(card.parity)]
    return Section("features", "Features", blocks, 3)


def _categories(card: Scorecard) -> list[Block]:
    """How each column of categories was coded, and what of the test was new."""
    rows: list[list[Words]] = [
        [
            each.column,
            numbers.count(each.values),
            numbers.count(each.own),
            numbers.count(each.hashed_values),
            numbers.count(each.hashed),
            numbers.rate(each.collision_rate),
            numbers.rate(each.unseen_share),
        ]
        for each in card.categories
    ]
    if not rows:
        return []
    head = ["column", "values", "own code", "hashed", "codes for those", "share a code", "new in the test"]
    return [Grid("Categories: frequent values have a code of their own, rarer ones share hashed codes", head, rows)]


def _crosses(card: Scorecard) -> list[Block]:
    """How the pairs of each cross were spread over its codes."""
    rows: list[list[Words]] = [
        [each.column, numbers.count(each.pairs), numbers.count(each.buckets), numbers.rate(each.collision_rate)]
        for each in card.crosses
    ]
    if not rows:
        return []
    return [Grid("Crosses: all pairs share hashed codes", ["column", "pairs", "codes", "share a code"], rows)]


def _row(part: Feature) -> tuple[int | None, list[Words]]:
    """How many features a part gives, nothing where its table will tell; and what it is."""
    kind, everywhere = type(part).__name__, ""
    if isinstance(part, Window):
        definitions = {**part.values, **({"where": part.where} if part.where else {})}
        return len(part.values) * len(part.over), [kind, _by(part), _told(definitions), ", ".join(part.over)]
    if isinstance(part, Lookup):
        told = Code(f"{', '.join(part.columns)} from {part.table}")
        return len(part.columns), [kind, _by(part), told, part.ttl or everywhere]
    if isinstance(part, Expression):
        return len(part.values), [kind, "other features", _told(part.values), everywhere]
    if isinstance(part, Cross):
        return 1, [kind, f"{part.left} × {part.right}", Code(f"{part.buckets:,} buckets"), everywhere]
    if isinstance(part, Categories):
        told = Code(f"own code from {part.own_from:,} rows, else {part.hashed:,} hashed")
        return len(part.columns), [kind, ", ".join(part.columns), told, everywhere]
    if isinstance(part, TargetRate):
        count = len(part.columns)
        made = count + (count * (count - 1) // 2 if part.pairs else 0)
        told = Code(f"rate and count, prior {part.prior:g}{', all pairs' if part.pairs else ''}")
        return 2 * made, [kind, ", ".join(part.columns), told, everywhere]
    if isinstance(part, Given):
        them: Words = Code(", ".join(part.columns)) if part.columns else "numbers that come with it"
        return len(part.columns) or None, [kind, "the candidate", them, everywhere]
    return 1, [kind, part.column, _pixels(part), everywhere]


def _by(part: Window | Lookup) -> str:
    return part.by if isinstance(part.by, str) else " × ".join(part.by)


def _told(definitions: Mapping[str, str]) -> Words:
    """Each definition as code of its own, which HTML sets on a line of its own."""
    found = [(Code(f"{name} = {source}"), " ") for name, source in definitions.items()]
    return tuple(part for pair in found for part in pair)[:-1]


def _pixels(part: Image) -> Code:
    return Code(f"{part.size[0]} × {part.size[1]} pixels, {numbers.several(part.channels, 'channel')}")


def _parity(found: Parity | None) -> list[Block]:
    if found is None or not found.compared:
        return [Paragraph("Not compared in this build.", quiet=True)]
    differ = found.mismatches or 0
    told = f"{numbers.count(found.compared)} values compared, {numbers.count(differ)} differ"
    if not differ:
        return [Notice(True, f"{told}: what serving reads from the store is what the models were trained on.")]
    blocks: list[Block] = [Notice(False, f"{told}: {numbers.listed(found.by_feature)}.")]
    rows: list[list[Words]] = [
        [Code(each.feature), _request(each.request, each.candidate), _value(each.training), _value(each.serving)]
        for each in found.worst
    ]
    if rows:
        head = ["feature", "request", "training", "serving"]
        blocks.append(Grid("The largest differences", head, rows, left=2))
    return blocks


def _request(request: dict[str, object], candidate: str | None) -> str:
    told = [f"{name} {value}" for name, value in request.items()]
    return ", ".join([*told, f"candidate {candidate}"] if candidate is not None else told)


def _value(value: float | str | None) -> str:
    if isinstance(value, float):
        return f"{value:.10g}".replace("-", "−")  # differences may lie in late digits
    return numbers.NONE if value is None else value
