"""The union of lists against the sentence that defines it, in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bottega.models.union import union


def in_turn(lists: list[list[int]], k: int) -> list[int]:
    """Take the first of each list, then the second of each, each item once, k at most."""
    kept: list[int] = []
    for place in range(max(map(len, lists))):
        for listed in lists:
            if place < len(listed) and listed[place] >= 0 and listed[place] not in kept and len(kept) < k:
                kept.append(listed[place])
    return kept + [-1] * (k - len(kept))


@st.composite
def blocks(draw: st.DrawFn) -> list[np.ndarray]:
    rows = draw(st.integers(0, 5))
    widths = draw(st.lists(st.integers(0, 6), min_size=1, max_size=5))
    item = st.integers(-1, 9) | st.sampled_from([-1, 2**20])
    return [
        np.array(
            draw(st.lists(st.lists(item, min_size=w, max_size=w), min_size=rows, max_size=rows)), np.int32
        ).reshape(rows, w)
        for w in widths
    ]


@given(blocks(), st.integers(1, 40))
def test_the_union_takes_turns(lists: list[np.ndarray], k: int) -> None:
    before = [part.copy() for part in lists]
    found = union(lists, k)
    assert found.dtype == np.int32
    assert found.tolist() == [in_turn([part[row].tolist() for part in lists], k) for row in range(len(lists[0]))]
    for part, kept in zip(lists, before, strict=True):
        np.testing.assert_array_equal(part, kept)


def test_one_request_has_the_same_union_as_among_many() -> None:
    rng = np.random.default_rng(0)
    lists = [np.stack([rng.permutation(300)[:width] for _ in range(20)]).astype(np.int32) for width in (100, 40, 70)]
    together = union(lists, 150)
    for row in range(20):
        np.testing.assert_array_equal(union([part[row : row + 1] for part in lists], 150)[0], together[row])


def merged(lists: list[list[int]], k: int, merge: str, sure: list[int]) -> list[int]:
    """The definition: order all items, keep the sure ones, fill up from the top, and give them in that order."""
    every = [item for item in in_turn(lists, 10**6) if item >= 0]
    value = {
        item: sum(1 / (61 + listed.index(item)) for listed in lists if item in listed) if merge == "rrf" else 0
        for item in every
    }
    order = sorted(every, key=lambda item: (-value[item], every.index(item)))
    held = {item for listed, first in zip(lists, sure, strict=True) for item in listed[:first] if item >= 0}
    chosen = [*(item for item in order if item in held), *(item for item in order if item not in held)][:k]
    found = [item for item in order if item in chosen]
    return found + [-1] * (k - len(found))


@st.composite
def distinct(draw: st.DrawFn) -> list[np.ndarray]:
    """Lists in which no item stands twice, ended by -1, as retrievers give them."""
    rows, widths = draw(st.integers(0, 4)), draw(st.lists(st.integers(0, 6), min_size=1, max_size=4))
    parts = []
    for width in widths:
        listed = [draw(st.lists(st.integers(0, 9), max_size=width, unique=True)) for _ in range(rows)]
        padded = [one + [-1] * (width - len(one)) for one in listed]
        parts.append(np.array(padded, np.int32).reshape(rows, width))
    return parts


@given(distinct(), st.integers(1, 12), st.sampled_from(["turns", "rrf"]), st.data())
def test_merging_by_places_with_quotas(lists: list[np.ndarray], k: int, merge: Any, data: st.DataObject) -> None:
    left, sure = k, []
    for _ in lists:
        sure.append(data.draw(st.integers(0, left)))
        left -= sure[-1]
    found = union(lists, k, merge, sure)
    for row in range(len(lists[0])):
        assert found[row].tolist() == merged([part[row].tolist() for part in lists], k, merge, sure)
