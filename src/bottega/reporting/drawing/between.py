"""Of the plan, what training and serving share: what was refused, labels, the stream, the store, the bundle."""

from __future__ import annotations

from bottega.design.data import Label
from bottega.design.design import Design
from bottega.design.features import Window
from bottega.design.monitoring import Canary
from bottega.reporting import numbers
from bottega.reporting.drawing.beforehand import kept
from bottega.reporting.drawing.chart import Edge, Lane, Node
from bottega.reporting.scorecard import Scorecard


def lane(design: Design, card: Scorecard) -> Lane:
    """Give the boxes of the lane in the middle."""
    refused = card.data.quarantined if card.data is not None else None
    told = f"{numbers.several(refused, 'row')} with the reason of each" if refused else "each row with its reason"
    nodes = [Node("quarantine", "refused", "quarantine", [told if refused != 0 else "no row"], beside="checks")]
    labels = [_known(label) for label in design.data.labels]
    nodes.append(Node("labels", "seam", "seam: labels", labels, beside="examples"))
    if stored := kept(design):
        if tables := _streamed(design):
            nodes.append(Node("stream", "source", "stream", [f"new rows of {', '.join(tables)}"]))
        nodes.append(Node("store", "seam", "seam: features", ["records of the store", *stored], beside="features"))
    if design.monitoring.retrain is not None:
        nodes.append(Node("retrain", "step", "learn again", _retraining(design), beside=_last_ladder(design)))
    nodes.append(Node("bundle", "kept", "bundle", ["champions, indexes, profile"], beside="judgement"))
    return Lane("between", "shared by both", [[node] for node in nodes])


def edges(design: Design, card: Scorecard) -> list[Edge]:
    """Give the edges into and out of it on the side of training."""
    refused = card.data.quarantined if card.data is not None else None
    found = [Edge("checks", "quarantine", "refused", [numbers.several(refused, "row")] if refused is not None else ())]
    found.append(Edge("labels", "examples", "seam"))
    if kept(design):
        found.append(Edge("features", "store", "seam"))
        if _streamed(design):
            arrival = card.arrival.median if card.arrival is not None else None
            fresh = [] if arrival is None else [f"found after {numbers.milliseconds(1e3 * arrival)}"]
            found.append(Edge("stream", "store", words=fresh))
    if design.monitoring.retrain is not None:
        found.append(Edge("retrain", _last_ladder(design), "loop"))
    passed = {True: ["released"], False: ["not released"]}
    told = passed[card.release.released] if card.release is not None else []
    return [*found, Edge("judgement", "bundle", words=told)]


def _known(label: Label) -> str:
    when = "known at once" if label.matures_after == "0s" else f"final after {label.matures_after}"
    return f"{label.name}: {when}"


def _streamed(design: Design) -> list[str]:
    """The tables whose new rows change the features while requests are answered."""
    return list(dict.fromkeys(part.table for part in design.features if isinstance(part, Window)))


def _last_ladder(design: Design) -> str:
    """The ladder beside the middle lane, as `beforehand` orders them."""
    order = sorted(design.models, key=lambda ladder: ladder != "retrieve")
    return f"ladder_{order[-1]}" if len(order) <= 3 else "ladders"


def _retraining(design: Design) -> list[str]:
    part = design.monitoring.retrain
    if part is None:
        return []
    steps = [f"canary {100 * each.share:g} %" if isinstance(each, Canary) else "shadow" for each in part.rollout]
    return [f"every {part.every}", *([f"then {', '.join(steps)}"] if steps else [])]
