"""Training: passes until the later events are no longer found better, then as many over all events."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from bottega.design.indexes import Index
from bottega.design.part import microseconds
from bottega.design.retrievers import TwoTower
from bottega.models.indexes.building import build_index
from bottega.models.interactions import Interactions
from bottega.models.two_tower.lesson import Lesson
from bottega.models.two_tower.towers import Layout, Towers
from bottega.models.two_tower.trainer import Inputs, Trainer
from bottega.models.vocabulary import Codes

_LONGEST, _SHARE = 100, 10  # the lists that later events are looked for in: 100 items, and no more than a tenth of all
_JUDGED = 2000  # people at most by whom it is judged
_POOL = 100  # items that are hard to tell, for each person
_FEWEST = 50  # later events by which it can be judged


def learn(
    setting: TwoTower, past: Interactions, texts: list[str | None] | None, at: int
) -> tuple[Towers, dict[str, Any]]:
    """The towers learnt from a log, and how the training went, as plain facts.

    First the latest `stop_share` of the events judge: the recall of what each person took then among its 100 best items
    (a tenth of them, where there are fewer than 1,000), from what all took before. Then the towers learn again from all
    events, in as many passes as were best.

    texts: (items,) of the log's items, or nothing. at: microseconds, from which ages are counted.
    """
    inputs = inputs_of(setting, past, texts, at, None)
    border = int(np.quantile(past.time, 1 - setting.stop_share, method="higher"))
    early = past.time < border
    facts: dict[str, Any] = {"events": len(past), "people": len(past.people), "items": len(past.items)}
    passes, later = setting.epochs, int((~early).sum())
    if early.any() and later >= _FEWEST:
        judged = inputs_of(setting, past, texts, at, early)
        trainer, values, losses = Trainer(setting, judged, _fresh(setting, judged.layout)), [0.0], []
        while trainer.passes < setting.epochs and len(values) - 1 - int(np.argmax(values)) < setting.patience:
            losses.append(trainer.learn(_pool(setting, trainer, judged)))
            values.append(_recall(trainer.towers(), judged, past, ~early, texts, setting.history))
        passes = max(1, int(np.argmax(values)))
        at_most = _longest(judged.layout.items)
        facts |= {"later_events": later, "later_recall": values[1:], "recall_at": at_most, "judged_losses": losses}
    trainer, losses = Trainer(setting, inputs, _fresh(setting, inputs.layout)), []
    while trainer.passes < passes:
        losses.append(trainer.learn(_pool(setting, trainer, inputs)))
    facts |= {"epochs": passes, "losses": losses, "batch": trainer.batch, "threads": trainer.place.threads}
    return trainer.towers(), facts | {"examples_per_s": passes * len(past) / max(trainer.seconds, 1e-9)}


def inputs_of(
    setting: TwoTower, past: Interactions, texts: list[str | None] | None, at: int, keep: npt.NDArray[np.bool_] | None
) -> Inputs:
    """What goes into the towers of the whole log, or of some of its rows, with the whole log's codes."""
    rows = slice(None) if keep is None else keep
    log = Interactions(past.people, past.items, past.person[rows], past.item[rows], past.time[rows])
    lesson = Lesson.of(log, setting.history)
    layout = Layout.of(len(past.items), len(past.people), setting.person_rows, setting.word_rows)
    start, words = np.zeros(len(past.items) + 1, np.int64), np.zeros(0, np.int64)
    if texts is not None:
        start, words = layout.word_rows(texts)
    weight = np.ones(len(lesson), dtype=np.float32)
    if setting.half_life is not None:
        weight = np.exp2((lesson.time - at) / microseconds(setting.half_life)).astype(np.float32)
        weight = np.maximum(weight, np.float32(1e-6))  # a batch of old events alone has a sum too
    codes = np.arange(len(past.people), dtype=np.int32)
    return Inputs(
        lesson, layout, 1 + lesson.item.astype(np.int64), layout.person_rows(past.people, codes), start, words, weight
    )


def _fresh(setting: TwoTower, layout: Layout) -> Towers:
    return Towers.fresh(layout, setting.embedding_size, setting.layers, setting.seed)


def _pool(setting: TwoTower, trainer: Trainer, inputs: Inputs) -> Codes:
    """Items that each person did not take and that are hard to tell from those it took, (people, p): the most popular
    ones at first, then what the towers themselves find."""
    people = len(inputs.person_rows)
    if not setting.hard_negatives:
        return np.zeros((people, 0), dtype=np.int32)
    start, taken = inputs.lesson.taken()
    own = [taken[low:high] for low, high in pairwise(start)]
    codes = np.arange(inputs.layout.items, dtype=np.int32)
    if trainer.passes == 0:
        count = inputs.lesson.counts(inputs.layout.items).astype(np.float32)[:, None]
        index, asked = build_index(Index(kind="exact"), codes, count), np.ones((people, 1), np.float32)
    else:
        towers = trainer.towers()
        words = inputs.word_rows, inputs.word_start[:-1], inputs.word_start[1:]
        vectors = towers.vectors("item", *words, 1 + codes.astype(np.int64))
        index = build_index(setting.index, codes, vectors)
        asked = _people(towers, inputs, np.arange(people), setting.history)
    return index.search(asked, min(_POOL, max(1, len(codes) - 1)), own)[0]


def _people(towers: Towers, inputs: Inputs, people: npt.NDArray[Any], history: int) -> npt.NDArray[np.float32]:
    """The vectors of people by all that they took, (n, size)."""
    low, high = inputs.lesson.latest(history)
    return towers.vectors("person", inputs.item_rows, low[people], high[people], inputs.person_rows[people])


def _recall(
    towers: Towers,
    inputs: Inputs,
    past: Interactions,
    later: npt.NDArray[np.bool_],
    texts: list[str | None] | None,
    history: int,
) -> float:
    """The mean share of what each person took later that is among its best, by what was known before."""
    pairs = np.unique(past.person[later].astype(np.int64) << 32 | past.item[later])
    person, item = pairs >> 32, (pairs & 0xFFFFFFFF).astype(np.int32)
    people = np.unique(person)
    people = people[:: -(-len(people) // _JUDGED)]
    counts = inputs.lesson.counts(inputs.layout.items)
    rows = np.where(counts > 0, 1 + np.arange(inputs.layout.items), 0)  # what nobody took yet is known by its text
    index = build_index(Index(kind="exact"), np.arange(len(rows), dtype=np.int32), towers.items(rows, texts))
    best = index.search(_people(towers, inputs, people, history), _longest(len(rows)))[0]
    found = [
        np.isin(item[np.searchsorted(person, who) : np.searchsorted(person, who, side="right")], row).mean()
        for who, row in zip(people, best, strict=True)
    ]
    return float(np.mean(found))


def _longest(items: int) -> int:
    """How long the lists are by which it is judged."""
    return max(1, min(_LONGEST, items // _SHARE))
