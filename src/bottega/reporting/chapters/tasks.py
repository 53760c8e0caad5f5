"""Of the chapter on models: each label by itself, where a network learns several."""

from __future__ import annotations

from bottega.reporting import numbers
from bottega.reporting.blocks import Block, Grid, Heading, Paragraph, Words
from bottega.reporting.scorecard import Comparison, Scorecard, Task


def tasks(card: Scorecard) -> list[Block]:
    """Show of each label how every rung that says something of it does, and what sharing gains or costs."""
    if not card.tasks:
        return []
    blocks: list[Block] = [Heading("Each label by itself")]
    several = len({task.ladder for task in card.tasks}) > 1
    for task in card.tasks:
        title = f"{task.ladder}: {task.label}" if several and task.ladder else task.label
        blocks.append(_grid(title, task))
    told = "A network for several labels is judged by its probability of each, other rungs by their score. Differences "
    told += "are those of the first network for several labels less the rung, paired."
    return [*blocks, Paragraph(told, quiet=True)]


def _grid(title: str, task: Task) -> Grid:
    metrics = list(dict.fromkeys(name for rung in task.models for name in rung.metrics))
    gaps = {(pair.b, pair.metric): pair for pair in task.comparisons if pair.a == task.comparisons[0].a}
    rows: list[list[Words]] = []
    for rung in task.models:
        row: list[Words] = [rung.name]
        for name in metrics:
            at = rung.metrics.get(name)
            row.append(
                numbers.NONE if at is None else numbers.estimate(at.value, at.low, at.high, numbers.places(name))
            )
            row.append(_gap(gaps.get((rung.name, name))))
        rows.append(row)
    heads = [head for name in metrics for head in (numbers.title(name), "difference")]
    return Grid(f"{title} ({numbers.count(task.positives)} positives)", ["model", *heads], rows, left=1)


def _gap(pair: Comparison | None) -> str:
    return numbers.NONE if pair is None else numbers.difference(pair.difference, pair.low, pair.high)
