"""What a retriever must hold when items arrive while it answers: the part of its contract about `with_arrived`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bottega.models.arriving import Arrived, with_arrived
from bottega.models.interactions import NEVER
from bottega.models.protocols import Retriever
from bottega.models.vocabulary import Codes
from bottega.testing.model_examples import AT, DAY, STRANGER, World, shop_world

_SAYS = "red tea of the kind that is new", None, ""


def check_arrivals(make: Callable[[], Retriever], world: Callable[[], World] = shop_world) -> None:
    """New items, some without a text, and what is taken of them, come twice: lists keep their shape, and whoever asked
    the model before is answered as before. A model that cannot know what arrives has no evidence of it.

    make, world: as for `check_retriever`. Raises `AssertionError` that names the model and what was found.
    """
    this, model = world(), make()
    model.fit(this.log, AT)
    people = [*this.people, STRANGER, ""]
    requests = this.requests(people)
    first = len(model.items)
    every = np.arange(first + 6, dtype=np.int32)
    before = [one.of(every[:first]) for one in map(model.ask, people, requests)]
    texts = {name: list(_SAYS) for name in (*this.log.catalogue, *this.log.texts)}
    now: Any = model
    for step in range(2):
        names = [f"arrived-{step}-{n}" for n in range(3)]
        since = np.array([AT + DAY, AT, NEVER], np.int64)
        item = np.array([first + 3 * step, 0, first + 3 * step + 2], np.int32)
        now = with_arrived(now, Arrived(first + 3 * step, names, texts, since, item, AT + np.arange(3) * DAY))
    now = with_arrived(now, Arrived(first + 6))
    for person, request, known in zip(people, requests, before, strict=True):
        _hold(
            make, np.array_equal(model.ask(person, request).of(every[:first]), known), f"{person}: others than before"
        )
        evidence = now.ask(person, request)
        try:
            scores = evidence.of(every)
        except IndexError:
            scores = np.zeros(0, np.float32)
        _hold(make, scores.shape == every.shape and bool(np.isfinite(scores).all()), f"{person}: scores {scores}")
        if not hasattr(model, "with_arrived"):
            _hold(make, np.array_equal(scores[:first], known) and not scores[first:].any(), f"{person}: knows too much")
        _hold(make, evidence.of(np.array([-1], np.int32)).tolist() == [0], f"{person}: a score for no item")
        leave = np.array([0, first, first + 5], np.int32)
        for out in (None, leave):
            found: Codes = evidence.best(len(every), out)
            right = np.lexsort((every, -scores))
            listed = [code for code in right[scores[right] > 0].tolist() if out is None or code not in out]
            _hold(make, found.tolist() == listed, f"{person}: {found.tolist()}, not {listed}")


def _hold(make: Callable[[], Any], holds: bool, found: str) -> None:
    if not holds:
        raise AssertionError(f"{type(make()).__name__}: check_arrivals: {found}")
