"""De-duplication: of items with the same value the best placed stays."""

from __future__ import annotations

import numpy as np

from bottega.design.reranking import Deduplicate
from bottega.serving.reranking.conditions import codes
from bottega.serving.reranking.slate import Slate


def deduplicate(stage: Deduplicate, slate: Slate) -> Slate:
    """Leave out every item whose value of a feature stands above it already; null is never a duplicate.

    Errors: `DesignError` for a feature that is not there.
    """
    value = codes(slate, stage.by, "Deduplicate.by")[slate.rows]
    _, first, which = np.unique(value, return_index=True, return_inverse=True)
    best = first[which]  # (m,) where the same value stands first
    stays = (value < 0) | (best == np.arange(len(value)))
    name = stage.name or stage.by
    why = {
        int(slate.rows[place]): f"duplicate {name}: as {slate.ids[slate.rows[best[place]]]!r} above"
        for place in np.flatnonzero(~stays[: slate.k]).tolist()
    }
    return slate.then(slate.rows[stays], why)
