"""Trainer: the passes over the events, in PyTorch; the table is read and stepped by compiled loops."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bottega.design.retrievers import TwoTower
from bottega.models.networks.needed import needed
from bottega.models.networks.place import Place
from bottega.models.networks.vectors import corrected
from bottega.models.two_tower.dense import Dense, Passed, Slopes
from bottega.models.two_tower.lesson import Lesson
from bottega.models.two_tower.loss import Loss, softmax_slopes
from bottega.models.two_tower.table import Read, Table
from bottega.models.two_tower.towers import SIDES, Layout, Places, Towers
from bottega.models.vocabulary import Codes

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[np.float32]
Each = Callable[[Callable[[int], Any]], list[Any]]  # does the work of every part of a batch
_UNKNOWN = 0.1  # share of the people, and with it of new ones, that are taken for unknown
_MASKED = 0.02  # the same of the items with a text, besides the rare ones: a text learns to stand alone


@dataclass(frozen=True, eq=False)
class Inputs:
    """What of the log goes into the towers. item_rows: (events,) table rows of the items of the lesson's events.
    person_rows: (people,). word_start, word_rows: (items + 1,) and the rows of the words of each item's text, or
    nothing without texts. weight: (events,)."""

    lesson: Lesson
    layout: Layout
    item_rows: Places
    person_rows: Places
    word_start: Places
    word_rows: Places
    weight: Array


class Batch(NamedTuple):
    """Some events, ascending by person. Each of their items goes through its tower once, for all events that have it.

    person: (n,). item: (m,) ascending; twice where it is taken for unknown too. place: (n, 1) which of them is each
    event's. many, often: (m,), and own_often: (n, h), as `softmax_slopes` takes them. weight: (n,) of sum 1. reads: of
    the people (n,); of the items and the events' own negatives (m + n·h,).
    """

    person: Codes
    item: Codes
    place: Tensor
    many: Tensor
    often: Tensor
    own_often: Tensor
    weight: Tensor
    reads: tuple[Read, Read]


class Trainer:
    """Learns pass by pass; the same log, setting and seed give the same towers on one machine."""

    def __init__(self, setting: TwoTower, inputs: Inputs, towers: Towers) -> None:
        needed("torch")
        lesson, self._layout = inputs.lesson, inputs.layout
        self.setting, self.inputs, self.passes, self.seconds = setting, inputs, 0, 0.0
        self.batch = max(2, min(setting.batch, len(lesson)))
        self.place = Place.of(4 * self.batch * self.batch * towers.size)  # the products of the batch, and their slopes
        self._table = Table(towers.table.copy(), self._room(), self.place.threads)
        self._dense = Dense(towers.dense, setting.learning_rate)
        self._steps, self._rng = 0, np.random.default_rng(setting.seed)
        counts = lesson.counts(self._layout.items)
        with np.errstate(divide="ignore"):
            often = np.log(self.batch * counts / len(lesson)) if setting.logq else np.zeros(len(counts))
        self._often = often.astype(np.float32)
        self._hard_often = 0.0  # the same of an item of a pool
        self._masked = np.where(np.diff(inputs.word_start) > 0, _MASKED + 1 / (1 + counts), 0)
        self._taken = lesson.taken()
        self._first = np.zeros(self._layout.items, dtype=np.int32)

    def learn(self, pool: Codes) -> float:
        """Pass once over the events in a new order, and give the mean loss while it learnt.

        pool: (people, p) items that are hard to tell from what each person took, −1 for none; p 0 for no such items.
        """
        began, count, loss = time.perf_counter(), len(self.inputs.lesson), 0.0
        steps = max(1, round(count / self.batch))
        order = self._rng.permutation(count)
        with self.place.taken(), ThreadPoolExecutor(self.place.threads) as workers:

            def each(work: Callable[[int], Any]) -> list[Any]:
                others = [workers.submit(work, part) for part in range(1, self.place.threads)]
                return [work(0), *(other.result() for other in others)]

            for rows in np.array_split(order, steps):
                loss += self._step(self._batch(rows, pool, True), each)
        self.passes += 1
        self.seconds += time.perf_counter() - began
        return loss / steps

    def towers(self) -> Towers:
        """What it has learnt so far, copied."""
        return Towers(self._layout, self._table.rows.copy(), self._dense.arrays())

    def loss(self, rows: Places, pool: Codes) -> float:
        """The mean loss of a batch of events, without learning and with nothing taken for unknown."""
        with self.place.taken():
            return self._slopes(self._batch(rows, pool, False), self._in_turn)[0]

    def _in_turn(self, work: Callable[[int], Any]) -> list[Any]:
        """Do the work of every part, one after the other."""
        return [work(part) for part in range(self.place.threads)]

    def _room(self) -> int:
        """Rows that a batch can touch."""
        widest = int(np.diff(self.inputs.word_start).max(initial=0))
        return self.batch * 2 * (self.setting.history + 2 + (widest + 1) * (1 + self.setting.hard_negatives))

    def _batch(self, rows: Places, pool: Codes, unknown: bool) -> Batch:
        """Gather events. unknown: whether some people and items are taken for unknown."""
        import torch

        inputs, layout, rows = self.inputs, self._layout, np.sort(rows)  # events lie by person
        person, item = inputs.lesson.person[rows], inputs.lesson.item[rows]
        own = self._negatives(person, pool)
        people = inputs.person_rows[person]
        keys = 1 + 2 * np.concatenate([item, np.maximum(own, 0).ravel()]).astype(np.int64)  # even ones are unknown
        if unknown:
            people = np.where((people >= 0) & (self._rng.random(len(people)) < _UNKNOWN), layout.nobody, people)
            keys -= self._rng.random(len(keys)) < self._masked[keys // 2]
        found, place, many = np.unique(keys[: len(item)], return_inverse=True, return_counts=True)
        keys = np.concatenate([found, keys[len(item) :]])
        items = keys // 2
        lists = inputs.lesson.low[rows], inputs.lesson.high[rows]
        texts = inputs.word_start[items], inputs.word_start[items + 1]
        reads = (
            Read(inputs.item_rows, *lists, layout.nothing, people),
            Read(inputs.word_rows, *texts, -1, np.where(keys % 2, 1 + items, 0)),
        )
        weight = inputs.weight[rows] / inputs.weight[rows].sum()
        items = items[: len(found)]
        return Batch(
            person,
            items.astype(np.int32),
            torch.from_numpy(place[:, None]),
            torch.from_numpy(np.log(many, dtype=np.float32)),
            torch.from_numpy(self._often[items]),
            torch.from_numpy(np.where(own < 0, np.float32(np.inf), np.float32(self._hard_often))),
            torch.from_numpy(weight),
            reads,
        )

    def _step(self, batch: Batch, each: Each) -> float:
        """Learn from these events, and give their mean loss."""
        loss, by_inputs, by_weights = self._slopes(batch, each)
        self._steps += 1
        rate = corrected(self.setting.learning_rate, self._steps)
        self._dense.step(by_weights)
        each(lambda part: self._table.step(part, batch.reads, by_inputs, rate))
        return loss

    def _slopes(self, batch: Batch, each: Each) -> tuple[float, list[Tensor], dict[str, Tensor]]:
        """The mean loss, and its slopes by what was read for each side and by the dense weights."""
        import torch

        edges = [np.linspace(0, len(read.own), self.place.threads + 1).astype(int) for read in batch.reads]
        people, things = ([slice(low, high) for low, high in pairwise(cut)] for cut in edges)
        self._first[batch.item[::-1]] = np.arange(len(batch.item), dtype=np.int32)[::-1]  # the first one, of two

        def forward(part: int) -> list[Passed]:
            given = zip(SIDES, batch.reads, (people[part], things[part]), strict=True)
            return [self._dense.passed(side, self._table.read(read, here)) for side, read, here in given]

        passed = each(forward)
        items = torch.cat([of_items.vectors for _, of_items in passed]).detach()

        def meet(part: int) -> tuple[Loss, Slopes]:
            of_people = passed[part][0]
            found = self._loss(batch, people[part], of_people.vectors, items)
            return found, self._dense.slopes(SIDES[0], of_people, found.by_people)

        met = each(meet)
        by_items = torch.stack([found.by_items for found, _ in met]).sum(0)
        by_things = torch.cat([by_items, *(found.by_own.flatten(0, 1) for found, _ in met)])

        def back(part: int) -> Slopes:
            return self._dense.slopes(SIDES[1], passed[part][1], by_things[things[part]])

        sides = [slopes for _, slopes in met], each(back)
        by_inputs = [torch.cat([part.inputs for part in side]) for side in sides]
        by_weights = {
            name: torch.stack([part.weights[name] for part in side]).sum(0)
            for side in sides
            for name in side[0].weights
        }
        return sum(float(found.loss) for found, _ in met), by_inputs, by_weights

    def _loss(self, batch: Batch, here: slice, people: Tensor, items: Tensor) -> Loss:
        """The loss of some events. items: the vectors of the batch's items, and behind them of the events' own."""
        import torch

        from bottega.models.two_tower.rows_kernel import hide

        def hidden(logits: Tensor) -> None:
            hide(logits.numpy(), batch.person[here], batch.item, *self._taken, self._first)

        own = items[len(batch.item) :].view(*batch.own_often.shape, items.shape[1])[here]
        with torch.no_grad():
            return softmax_slopes(
                people, items[: len(batch.item)], batch.place[here], batch.many, batch.often, own,
                batch.own_often[here], batch.weight[here], self.setting.temperature, hidden,
            )  # fmt: skip

    def _negatives(self, person: Codes, pool: Codes) -> Codes:
        """Draw each event's own negatives from the pool of its person, (n, h)."""
        if not pool.shape[1]:
            return np.zeros((len(person), 0), dtype=np.int32)
        self._hard_often = float(np.log(self.setting.hard_negatives / pool.shape[1])) if self.setting.logq else 0.0
        place = self._rng.integers(0, pool.shape[1], (len(person), self.setting.hard_negatives))
        return pool[person[:, None], place]
