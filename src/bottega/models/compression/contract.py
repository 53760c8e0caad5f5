"""The contract of a compression: what was measured before and after, and whether that may be served."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bottega.design.serving import Compression
from bottega.metrics import Estimate, Metric
from bottega.models.inputs import Inputs
from bottega.models.protocols import Scorer

NEAR = 0.05  # share of a time by which two medians of one machine may differ and mean the same
_UNREAD = "*.weight.npy", "*.bias.npy"  # of a network's folder: what training goes on from; serving reads the graph


@dataclass(frozen=True)
class Verdict:
    """Whether a compression keeps its contract, and why, in words with the numbers."""

    accepted: bool
    reason: str


def decide(
    setting: Compression, by: Metric, difference: Estimate, before: float | None, after: float | None, places: int = 4
) -> Verdict:
    """Hold a compression to its contract.

    Accepted if the worse end of the interval of metric(after) − metric(before) loses `tolerance` at most, and
    predicted/observed moves away from 1 by `calibration` at most, its way towards 1 not counted; without a champion
    that gives probabilities the second does not count. When it is wrong: a wide interval refuses what a longer
    validation would accept.

    by: the primary metric, with a direction up or down. difference: paired; without an interval it is refused.
    before, after: predicted over observed, or nothing.

    >>> from bottega.design.serving import Quantize
    >>> from bottega.metrics import metric
    >>> decide(Quantize(), metric("log_loss"), Estimate(0.001, 0.0005, 0.003, 9), 1.0, 1.01).reason
    'log_loss +0.0010 [+0.0005, +0.0030]: it may lose 0.0030, over the tolerance of 0.002'
    """
    gap = f"{by.name} {difference.value:+.{places}f} [{difference.low:+.{places}f}, {difference.high:+.{places}f}]"
    lost = -difference.low if by.direction == "up" else difference.high
    if not math.isfinite(lost):
        return Verdict(False, f"{by.name} has no interval on validation, so that nothing shows what is lost")
    if lost > setting.tolerance:
        told = f"it may lose {lost:.{places}f}, over the tolerance of {setting.tolerance:g}"
        return Verdict(False, f"{gap}: {told}")
    kept = f"{gap}, within the tolerance of {setting.tolerance:g}"
    if before is None and after is None:
        return Verdict(True, kept)
    if before is None or after is None:
        return Verdict(False, f"{kept}; predicted over observed has no value, so that nothing shows it kept")
    moved = max(after - max(before, 1.0), min(before, 1.0) - after, 0.0)
    told = f"predicted over observed went from {before:.{places}f} to {after:.{places}f}"
    if not moved <= setting.calibration:
        return Verdict(False, f"{told}: {moved:.{places}f} away from 1, over the limit of {setting.calibration:g}")
    away = (
        f"{moved:.{places}f} away from 1, within the limit of {setting.calibration:g}" if moved else "no farther from 1"
    )
    return Verdict(True, f"{kept}; {told}, {away}")


def serving_bytes(folder: Path) -> int:
    """Bytes of the files of a model that answers read; what only training goes on from does not count."""
    files = {path for path in folder.rglob("*") if path.is_file()}
    if (folder / "dense.onnx").exists():
        files -= {path for pattern in _UNREAD for path in folder.glob(pattern)}
    return sum(path.stat().st_size for path in files)


def milliseconds(models: Sequence[Scorer], rows: Inputs, size: int, rounds: int = 31, seed: int = 0) -> list[float]:
    """The median time in which each model scores `size` rows, in one thread, the models in turn within each round.

    When it is wrong: on a busy machine; the ratio of two of them is steadier than either. rows: drawn from, with
    repeats; at least one. rounds: from 1; larger is steadier. seed: of the draws.
    """
    bare = Inputs(rows.names, rows.kinds, rows.values, rows.ids)  # rows that were drawn are no requests
    drawn = np.random.default_rng(seed).integers(len(rows), size=(rounds, size))
    took = np.empty((rounds, len(models)))
    for model in models:
        model.score(bare.take(drawn[0]))  # compiled and warm before the clock runs
    for place, block in enumerate(map(bare.take, drawn)):
        for number, model in enumerate(models):
            begin = time.perf_counter()
            model.score(block)
            took[place, number] = 1e3 * (time.perf_counter() - begin)
    return [float(each) for each in np.median(took, axis=0)]


@dataclass(frozen=True)
class Cost:
    """What a model costs to serve. ms: for the candidates of a request. size: bytes of its files."""

    ms: float
    size: int


def fastest(champion: Cost, accepted: Sequence[Cost]) -> int | None:
    """Which of the accepted ones is served: the fastest that gains on the champion, the smallest of equals; or none.

    One gains that is faster, or smaller and not slower; times within 5 % are equal, being noise.

    >>> fastest(Cost(1.0, 100), [Cost(0.98, 60), Cost(0.5, 90), Cost(0.51, 40), Cost(0.3, 200)])
    3
    >>> fastest(Cost(1.0, 100), [Cost(1.02, 60), Cost(1.01, 100)]), fastest(Cost(1.0, 100), [Cost(1.2, 10)])
    (0, None)
    """
    gains = [
        place
        for place, cost in enumerate(accepted)
        if cost.ms < champion.ms * (1 - NEAR) or (cost.ms <= champion.ms * (1 + NEAR) and cost.size < champion.size)
    ]
    if not gains:
        return None
    quickest = min(accepted[place].ms for place in gains)
    equal = [place for place in gains if accepted[place].ms <= quickest * (1 + NEAR)]
    return min(equal, key=lambda place: (accepted[place].size, accepted[place].ms))
