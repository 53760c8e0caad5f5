"""Logs with a known structure, for two towers."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from bottega.models.interactions import Interactions

needs_torch = pytest.mark.skipif(
    find_spec("torch") is None, reason="not installed: torch (pip install 'bottega[deep]')"
)
DAY = 86_400_000_000
SMALL: dict[str, Any] = {"embedding_size": 8, "layers": [16], "batch": 64, "learning_rate": 0.01, "half_life": None}


def log_of(rows: list[tuple[int, int, int]]) -> Interactions:
    return Interactions.of([f"p{row[0]}" for row in rows], [f"i{row[1]}" for row in rows], [row[2] for row in rows])


def groups(people: int = 120, items: int = 40, events: int = 20, seed: int = 0) -> tuple[Interactions, dict[str, Any]]:
    """People of four groups take items of their own group, never one twice; each item's text names its group."""
    rng = np.random.default_rng(seed)
    each = items // 4
    person, item, time = [], [], []
    left: dict[str, Any] = {}
    for p in range(people):
        own = rng.permutation(each)[: min(events, each - 3)] + (p % 4) * each
        left[f"p{p:03}"] = sorted(
            {f"i{i:03}" for i in range((p % 4) * each, (p % 4 + 1) * each)} - {f"i{i:03}" for i in own}
        )
        person += [f"p{p:03}"] * len(own)
        item += [f"i{i:03}" for i in own]
        time += (rng.permutation(1000)[: len(own)] + 1).tolist()
    colour = ["red", "green", "blue", "black"]
    texts = [f"{colour[int(name[1:]) // each]} thing" for name in item]
    return Interactions.of(person, item, time, {"text": texts}), left
