"""Quotas: bounds on how many of some items stand in the first places, met with the smallest change of the order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from bottega.design.reranking import Quota
from bottega.serving.reranking.conditions import codes, holds
from bottega.serving.reranking.slate import Slate, moved

Codes = npt.NDArray[np.int64]


def meet(stages: Sequence[Quota], slate: Slate) -> Slate:
    """Meet several quotas together, none of them at the cost of one before it, with the smallest change of the order.

    Of all orders those are kept that miss least of the first quota (items too few or too many in the first places,
    summed over a feature's values), of them those that miss least of the second, and so on; of what is left the one
    with the fewest pairs of items turned round is taken. When it is wrong: for several quotas the search ends after
    10,000 looks at an item; the best order found till then stands, no worse than filling place by place. For one
    quota it is always exact. What is missed is told.

    stages: at least one. Errors: `DesignError` for a condition or a feature that cannot be read.
    """
    from bottega.serving.reranking.quotas_kernel import best_order

    kinds = np.stack([_kinds(stage, slate) for stage in stages])  # (q, m)
    firsts = np.array([min(stage.first, len(slate.rows)) for stage in stages], np.int64)
    order = best_order(kinds, _most(stages, kinds, firsts), firsts)
    rows, kinds = slate.rows[order], kinds[:, order]
    told = [
        f"quota {stage.name or stage.where or stage.by}: {text} in the first {first}"
        for stage, counted, first in zip(stages, kinds, firsts.tolist(), strict=True)
        for text in _missed(stage, slate, rows[:first], counted[:first])
    ]
    title = "quota " + " + ".join(str(stage.name or stage.where or stage.by) for stage in stages)
    why = {
        row: f"{title}: {moved(before, after)}"
        for row, before, after in slate.moves(rows)
        if after < before or np.any((before <= firsts) & (firsts < after))
    }
    return slate.then(rows, why, told)


def _kinds(stage: Quota, slate: Slate) -> Codes:
    """Give what each item counts as, (m,): 1 or 0 for a condition, the code of its value for a feature, −1: nothing."""
    if stage.by is not None:
        return codes(slate, stage.by, "Quota.by")[slate.rows]
    return holds(slate, stage.where or "", "Quota.where")[slate.rows].astype(np.int64)


def _most(stages: Sequence[Quota], kinds: Codes, firsts: Codes) -> Codes:
    """Give how many of each kind may stand in the first places, (q, kinds): at least a is at most first − a others."""
    most = np.full((len(stages), max(int(kinds.max(initial=0)) + 1, 2)), kinds.shape[1], np.int64)
    for row, stage, first in zip(most, stages, firsts.tolist(), strict=True):
        if stage.by is not None and stage.at_most is not None:
            row[:] = stage.at_most
            continue
        if stage.at_least is not None:
            row[0] = first - stage.at_least
        if stage.at_most is not None:
            row[1] = stage.at_most
    return most


def _missed(stage: Quota, slate: Slate, rows: np.ndarray, counted: Codes) -> Iterator[str]:
    """Say by what a quota is missed."""
    if stage.by is not None:
        for code, count in enumerate(np.bincount(counted[counted >= 0]).tolist()):
            if count > (stage.at_most or 0):
                value = slate.columns[stage.by][rows[counted == code][0]]
                yield f"{count} of {value!s}, at most {stage.at_most},"
        return
    count = int(counted.sum())
    if stage.at_least is not None and count < stage.at_least:
        yield f"{count} of at least {stage.at_least}"
    if stage.at_most is not None and count > stage.at_most:
        yield f"{count} of at most {stage.at_most}"
