"""Step 7, monitoring: what the design watches, and when it learns again."""

from __future__ import annotations

from bottega.design.design import Design
from bottega.design.monitoring import Canary, Shadow, Watch
from bottega.reporting import numbers
from bottega.reporting.blocks import Block, Facts, Grid, Paragraph, Section, Words
from bottega.reporting.scorecard import Scorecard


def monitoring(design: Design, card: Scorecard) -> Section:  # noqa: ARG001
    """Tell the watches, the retraining and the roll-out, as the design has them."""
    part = design.monitoring
    blocks: list[Block] = []
    if part.watches:
        rows: list[list[Words]] = [[numbers.title(each.metric), _alarm(each), each.every] for each in part.watches]
        blocks.append(Grid("Watches", ["metric", "alarm", "every"], rows, left=3))
    if part.retrain is not None:
        facts: list[tuple[str, Words]] = [("Learns again", f"every {part.retrain.every}")]
        if part.retrain.rollout:
            facts.append(("Roll-out", ", then ".join(_stage(each) for each in part.retrain.rollout)))
        blocks.append(Facts(facts))
    return Section("monitoring", "Monitoring", blocks or [Paragraph("The design watches nothing yet.", quiet=True)], 7)


def _alarm(watch: Watch) -> str:
    if watch.within is not None:
        return f"outside {watch.within[0]:g} to {watch.within[1]:g}"
    return f"under {watch.at_least:g}" if watch.at_least is not None else f"over {watch.at_most:g}"


def _stage(part: Shadow | Canary) -> str:
    if isinstance(part, Canary):
        return f"a canary with {numbers.setting(100 * part.share)} % of the requests for {part.lasts}"
    return f"a shadow for {part.lasts}"
