"""Exploration: an order that is drawn, with the true chance of each item in its place."""

from __future__ import annotations

import numpy as np

from bottega.design.reranking import Explore
from bottega.serving.reranking.conditions import column
from bottega.serving.reranking.epsilon import draw as draw_places
from bottega.serving.reranking.epsilon import epsilon_chances
from bottega.serving.reranking.slate import Array, Floats, Slate, moved
from bottega.serving.reranking.thompson import Beliefs, beta_beliefs, normal_beliefs, thompson_chances
from bottega.serving.reranking.thompson import draw as draw_values


def explore(stage: Explore, slate: Slate, rng: np.random.Generator) -> Slate:
    """Draw the order of the pool, and give the chances of what will be shown.

    `propensity`, (shown,): the chance, over all draws, that this item stands in this place. `given_above`, (shown,):
    the chance that it does when those above it are as they are; their product is the chance of exactly this list. Both
    are for these candidates in this order: what the stages before did is given. For `epsilon` they are exact, for
    `thompson` integrals with an error below 1e-3 of the chance.

    rng: the same one draws the same. Errors: `DesignError` for a feature that is not there.
    """
    name = f"explore {stage.name or stage.method}"
    m, shown = len(slate.rows), min(slate.k, len(slate.rows))
    if stage.method == "epsilon":
        pool, first = min(stage.pool, m), stage.first or slate.k
        order = draw_places(m, pool, first, stage.epsilon, rng)
        propensity, given_above = epsilon_chances(order[:shown], pool, first, stage.epsilon)
    else:
        places, beliefs = _beliefs(stage, slate)
        drawn = np.argsort(-draw_values(beliefs, rng), kind="stable")
        order = np.concatenate([places[drawn], np.delete(np.arange(m), places)])
        chances = thompson_chances(beliefs.take(drawn), min(shown, len(drawn)))
        sure = np.ones(shown - len(chances[0]))  # what comes after the pool stands there always
        propensity, given_above = (np.concatenate([each, sure]) for each in chances)
    rows = slate.rows[order]
    why = {row: f"{name}: {moved(before, after)}" for row, before, after in slate.moves(rows)}
    return slate.then(rows, why, propensity=propensity, given_above=given_above)


def _beliefs(stage: Explore, slate: Slate) -> tuple[Array, Beliefs]:
    """Give the places of the pool whose values can be drawn, and what is believed of them."""
    pool = slate.rows[: stage.pool]
    if stage.successes is not None and stage.trials is not None:
        successes = column(slate, stage.successes, "Explore.successes")[pool]
        trials = column(slate, stage.trials, "Explore.trials")[pool]
        return np.arange(len(pool)), beta_beliefs(_counts(successes), _counts(trials), stage.prior)
    scores = slate.scores[pool]
    places = np.flatnonzero(np.isfinite(scores))
    return places, normal_beliefs(scores[places], stage.std or 0.0)


def _counts(values: Array) -> Floats:
    return np.asarray(values, np.float64)
