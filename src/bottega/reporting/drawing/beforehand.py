"""Of the plan, what happens beforehand: tables, checks, examples, features, ladders, and the judgement of them."""

from __future__ import annotations

from collections.abc import Sequence

from bottega.design.data import GivenSplit, GroupSplit, TimeSplit
from bottega.design.design import Design
from bottega.design.examples import FromPositives, Judged, Logged
from bottega.design.features import Cross, Feature, Lookup, Window
from bottega.design.models import rung_name
from bottega.features.batch import names
from bottega.features.entities import by_columns
from bottega.features.tracks import groups_of
from bottega.reporting import numbers
from bottega.reporting.blocks import STAR
from bottega.reporting.drawing.chart import Edge, Lane, Node
from bottega.reporting.scorecard import Scorecard

SIDE_BY_SIDE = 3
_NAMED = 40  # features up to which each is called by its name


def lane(design: Design, card: Scorecard) -> Lane:
    """Give the boxes of the left lane."""
    rows = [_tables(design), [_checks(design)], [_examples(design)]]
    rows += [[_features(design)]] if design.features else []
    return Lane("beforehand", "beforehand", [*rows, _ladders(design, card), [_judgement(design, card)]])


def edges(design: Design, card: Scorecard) -> list[Edge]:
    """Give the edges between them, with the rows and seconds that a run counted."""
    counts = card.data.tables if card.data is not None else {}
    found = []
    for node in _tables(design):
        counted = counts.get(node.title) if node.key != "tables" else card.data
        found.append(Edge(node.key, "checks", words=_rows(counted.offered if counted is not None else None)))
    found.append(Edge("checks", "examples", words=_rows(card.data.accepted if card.data is not None else None)))
    rows = card.labels[0].rows if card.labels else None
    made = sum(len(names(part)) for part in design.features)
    last = "features" if design.features else "examples"
    if design.features:
        found.append(Edge("examples", "features", words=[f"{numbers.count(rows)} examples"] if rows else ()))
    for place, node in enumerate(_ladders(design, card)):
        if node.key == "ladder_retrieve" and last == "features":  # sources learn from the log itself
            found.append(Edge("examples", node.key, around=place == 0))
        else:
            told = numbers.several(made, "feature") if made else ""
            found.append(Edge(last, node.key, words=[told] if told else ()))
        learnt = _seconds(card, node, design)
        found.append(Edge(node.key, "judgement", words=[f"trained in {numbers.seconds(learnt)}"] if learnt else ()))
    return found


def _tables(design: Design) -> list[Node]:
    tables = design.data.tables
    if len(tables) <= SIDE_BY_SIDE:
        return [Node(f"table_{table.name}", "source", table.name, [_about(table.time, table.key)]) for table in tables]
    lines = [f"{table.name}: {_about(table.time, table.key)}" for table in tables]
    return [Node("tables", "source", numbers.several(len(tables), "table"), lines)]


def _about(time: str | None, key: str | Sequence[str] | None) -> str:
    named = key if isinstance(key, str) or key is None else " × ".join(key)
    told = [f"events by {time}" if time is not None else "no time", f"key {named}" if named is not None else ""]
    return ", ".join(filter(None, told))


def _checks(design: Design) -> Node:
    lines = [
        f"{table.name}: {', '.join(dict.fromkeys(type(each).__name__ for each in table.checks))}"
        for table in design.data.tables
        if table.checks
    ]
    return Node("checks", "step", "quality checks", lines or ["types and times alone"])


def _examples(design: Design) -> Node:
    part = design.data
    made = part.examples
    request = getattr(made, "request", ())
    told = f"{type(made).__name__}({made.table})"
    if request:
        told += f": a request is {' × '.join(request)}"
    if isinstance(made, (Logged, FromPositives, Judged)) and made.candidate is not None:
        told += f", a candidate {made.candidate}"
    lines = [told, f"labels: {', '.join(label.name for label in part.labels)}", f"split: {_split(part.split)}"]
    if part.sampling is not None:
        lines.append(f"sampling: {part.sampling!r}")
    return Node("examples", "step", "examples", lines)


def _split(split: object) -> str:
    if isinstance(split, TimeSplit):
        validate = f", validation {split.validate} before it" if split.validate is not None else ""
        return f"in time, test {split.test}{validate}"
    if isinstance(split, GroupSplit):
        return f"by {split.by}"
    return f"given by {split.column}" if isinstance(split, GivenSplit) else "at random"


def _features(design: Design) -> Node:
    made = [name for part in design.features for name in names(part)]
    title = numbers.several(len(made), "feature") if made else "features"
    found: dict[str, list[str]] = {}
    for part in design.features:
        found.setdefault(_made_of(part), []).extend(() if isinstance(part, Cross) else names(part))
    lines = [
        what if not given else f"{what}: {', '.join(given) if len(made) <= _NAMED else len(given)}"
        for what, given in found.items()
    ]
    return Node("features", "step", title, lines)


def _made_of(part: Feature) -> str:
    """Say what a part of the features is made of."""
    kind = type(part).__name__
    if isinstance(part, (Window, Lookup)):
        kind += f" {part.table} by {' × '.join(by_columns(part.by))}"
        return kind + (f" over {', '.join(part.over)}" if isinstance(part, Window) else "")
    if isinstance(part, Cross):
        return f"{kind} {part.left} × {part.right}"
    return kind if names(part) else f"{kind} of {getattr(part, 'column', '')}".removesuffix(" of ")


def _ladders(design: Design, card: Scorecard) -> list[Node]:
    order = sorted(design.models, key=lambda ladder: ladder != "retrieve")
    found = []
    for ladder in order:
        rungs = [rung_name(rung) for rung in design.models[ladder]]
        best, trained = _champion(card, ladder), {rung.name for rung in card.models} & set(rungs)
        lines = [
            f"{STAR} {name}, champion"
            if name == best
            else f"{place} {name}{', not trained' if trained and name not in trained else ''}"
            for place, name in enumerate(rungs, 1)
        ]
        starred = rungs.index(best) if best in rungs else None
        found.append(Node(f"ladder_{ladder}", "step", f"ladder: {ladder}", lines, starred))
    if len(found) <= SIDE_BY_SIDE:
        return found
    lines = [f"{node.title[len('ladder: ') :]}: {', '.join(node.lines)}" for node in found]
    return [Node("ladders", "step", numbers.several(len(found), "ladder"), lines)]


def _champion(card: Scorecard, ladder: str) -> str | None:
    choice = card.choices.get(ladder)
    return (choice.name if choice is not None else None) or card.champions.get(ladder)


def _seconds(card: Scorecard, node: Node, design: Design) -> float:
    of = [ladder for ladder in design.models if node.key in (f"ladder_{ladder}", "ladders")]
    return sum(rung.seconds or 0 for rung in card.models if rung.stage in of)


def _judgement(design: Design, card: Scorecard) -> Node:
    part = design.evaluation
    lines = [f"champions by {numbers.title(part.primary)}, on validation"]
    if card.goals:
        lines.append(
            f"{sum(goal.met is True for goal in card.goals)} of {numbers.several(len(card.goals), 'goal')} met"
        )
    elif part.goals:
        lines.append(f"{numbers.several(len(part.goals), 'goal')}, on the test")
    if design.serving.compress:
        lines.append(f"compression: {', '.join(type(each).__name__ for each in design.serving.compress)}")
    if card.parity is not None and card.parity.compared:
        differ = numbers.count(card.parity.mismatches or 0)
        lines.append(f"parity: {numbers.count(card.parity.compared)} values, {differ} differ")
    return Node("judgement", "step", "evaluation and gates", lines)


def kept(design: Design) -> list[str]:
    """Say which records the store keeps: by which key, and how many features each holds."""
    return [f"by {' × '.join(group.by)}: {len(group.columns)}" for group in groups_of(design, lambda _, __: "number")]


def _rows(number: int | None) -> list[str]:
    return [] if number is None else [numbers.several(number, "row")]
