"""The re-ranking stages of a path, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from bottega.design.reranking import Deduplicate, Diversify, Explore, Quota, Reranking, Rule, check_exploring_last
from bottega.serving.reranking.diversity import diversify
from bottega.serving.reranking.duplicates import deduplicate
from bottega.serving.reranking.exploring import explore
from bottega.serving.reranking.quotas import meet
from bottega.serving.reranking.rules import rule
from bottega.serving.reranking.slate import Slate


def rerank(stages: Sequence[Reranking], slate: Slate, rng: np.random.Generator) -> Slate:
    """Take candidates through the re-ranking stages of a path, in their order.

    Quotas that follow one another are met together. Without candidates every stage does nothing. The first call of a
    kind of stage loads and compiles its code.

    stages: `Explore` as the last one. slate: the order so far; it is not changed. rng: for `Explore` alone; the same
    one draws the same.
    Errors: `DesignError` for a feature that the slate lacks, a condition that cannot be read, or a stage after
    `Explore`.

    >>> price = {"price": np.array([9.0, 30.0, 12.0])}
    >>> slate = Slate(np.arange(3), np.array([0.9, 0.8, 0.7]), price, ["a", "b", "c"], k=2)
    >>> done = rerank([Rule(where="price > 20", drop=True, name="dear")], slate, np.random.default_rng(0))
    >>> done.shown.tolist(), done.why
    ([0, 2], {1: ('rule dear: dropped',)})
    """
    check_exploring_last(stages)
    for kind, group in groupby(stages, type):
        if kind is Quota:
            slate = meet([one for one in group if isinstance(one, Quota)], slate) if len(slate.rows) else slate
            continue
        for stage in group:
            slate = _once(stage, slate, rng)
    return slate


def _once(stage: Reranking, slate: Slate, rng: np.random.Generator) -> Slate:
    match stage:
        case Explore():
            return explore(stage, slate, rng)
        case _ if not len(slate.rows):
            return slate
        case Diversify():
            return diversify(stage, slate)
        case Deduplicate():
            return deduplicate(stage, slate)
        case Rule():
            return rule(stage, slate)
        case Quota():
            return meet([stage], slate)
