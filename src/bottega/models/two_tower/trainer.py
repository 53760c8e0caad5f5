"""Trainer: the passes over the events, in PyTorch; the table is read and stepped by compiled loops."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bottega.design.retrievers import TwoTower
from bottega.models.networks.needed import needed
from bottega.models.networks.place import Place
from bottega.models.networks.vectors import KEEP_FIRST, KEEP_SECOND, SMALL, corrected
from bottega.models.two_tower.lesson import Lesson
from bottega.models.two_tower.loss import softmax_slopes
from bottega.models.two_tower.towers import SIDES, Layout, Places, Towers
from bottega.models.vocabulary import Codes

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[np.float32]
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


class Read(NamedTuple):
    """From where a tower's inputs were read; as `rows_kernel.read` takes it."""

    flat: Places
    low: Places
    high: Places
    nothing: int
    own: Places


class Vectors(NamedTuple):
    """What the towers say of a batch. people, items: (n, d). hard: (n, h, d) of each event's own negatives."""

    people: Tensor
    items: Tensor
    hard: Tensor


class Trainer:
    """Learns pass by pass; the same log, setting and seed give the same towers on one machine."""

    def __init__(self, setting: TwoTower, inputs: Inputs, towers: Towers) -> None:
        torch = needed("torch")
        lesson, size = inputs.lesson, towers.size
        self.setting, self.inputs, self.passes, self.seconds = setting, inputs, 0, 0.0
        self.batch = max(2, min(setting.batch, len(lesson)))
        self.place = Place.of(4 * self.batch * self.batch * size)  # the products of the batch, and their slopes
        self._layout, self._table = inputs.layout, towers.table.copy()
        self._moments = np.zeros((len(self._table), 2 * size), dtype=np.float32)
        self._slot = np.full(len(self._table), -1, dtype=np.int64)
        room = min(len(self._table), self._room())
        self._touched, self._sums = np.empty(room, np.int64), np.empty((room, size), np.float32)
        self._dense = {name: torch.tensor(values, requires_grad=True) for name, values in towers.dense.items()}
        self._adam = torch.optim.Adam([*self._dense.values()], setting.learning_rate, (KEEP_FIRST, KEEP_SECOND), SMALL)
        self._steps, self._rng = 0, np.random.default_rng(setting.seed)
        counts = lesson.counts(self._layout.items)
        with np.errstate(divide="ignore"):
            often = np.log(self.batch * counts / len(lesson)) if setting.logq else np.zeros(len(counts))
        self._often = torch.from_numpy(often.astype(np.float32))
        self._hard_often = 0.0  # the same of an item of a pool
        self._masked = np.where(np.diff(inputs.word_start) > 0, _MASKED + 1 / (1 + counts), 0)
        self._taken = lesson.taken()
        self._first = np.full(self._layout.items, -1, dtype=np.int64)
        self._hits = np.empty(64 * self.batch, dtype=np.int64)

    def learn(self, pool: Codes) -> float:
        """Pass once over the events in a new order, and give the mean loss while it learnt.

        pool: (people, p) items that are hard to tell from what each person took, −1 for none; p 0 for no such items.
        """
        began, count, loss = time.perf_counter(), len(self.inputs.lesson), 0.0
        steps = max(1, round(count / self.batch))
        order = self._rng.permutation(count)
        with self.place.taken(), ThreadPoolExecutor(self.place.threads) as workers:
            each = workers.map if self.place.threads > 1 else map
            for rows in np.array_split(order, steps):
                loss += self._step(rows, pool, each)
        self.passes += 1
        self.seconds += time.perf_counter() - began
        return loss / steps

    def towers(self) -> Towers:
        """What it has learnt so far, copied."""
        dense = {name: values.detach().numpy().copy() for name, values in self._dense.items()}
        return Towers(self._layout, self._table.copy(), dense)

    def loss(self, rows: Places, pool: Codes) -> float:
        """The mean loss of a batch of events, without learning and with nothing taken for unknown."""
        person, item = self.inputs.lesson.person[rows], self.inputs.lesson.item[rows]
        own = self._negatives(person, pool)
        with self.place.taken():
            vectors = self._forward(rows, person, item, own, False)[0]
            return self._slopes(rows, person, item, own, vectors, map)[0]

    def _room(self) -> int:
        """Rows that a batch can touch."""
        widest = int(np.diff(self.inputs.word_start).max(initial=0))
        return self.batch * 2 * (self.setting.history + 2 + (widest + 1) * (1 + self.setting.hard_negatives))

    def _step(self, rows: Places, pool: Codes, each: Callable[..., Iterable[Any]]) -> float:
        """Learn from these events, and give their mean loss. each: `map`, or that of a pool of threads."""
        import torch

        person, item = self.inputs.lesson.person[rows], self.inputs.lesson.item[rows]
        own = self._negatives(person, pool)
        vectors, leaves, parts = self._forward(rows, person, item, own, True)
        loss, by_people, by_items, by_hard = self._slopes(rows, person, item, own, vectors, each)
        by_item = torch.cat([by_items, by_hard.flatten(0, 1)])
        items = torch.cat([vectors.items, vectors.hard.flatten(0, 1)])
        params = [*self._dense.values()]
        found = torch.autograd.grad([vectors.people, items], [*leaves, *params], [by_people, by_item])
        for values, slope in zip(params, found[2:], strict=True):
            values.grad = slope
        self._adam.step()
        self._step_table(parts, found[:2])
        return loss

    def _forward(
        self, rows: Places, person: Codes, item: Codes, own: Codes, unknown: bool
    ) -> tuple[Vectors, list[Tensor], list[Read]]:
        """The vectors of a batch; what went into the towers, to take slopes by; and from where it was read."""
        import torch

        from bottega.models.two_tower.rows_kernel import read

        inputs = self.inputs
        people = inputs.person_rows[person]
        every = np.concatenate([item, np.maximum(own, 0).ravel()])
        singles = 1 + every.astype(np.int64)
        if unknown:
            people = np.where((people >= 0) & (self._rng.random(len(people)) < _UNKNOWN), self._layout.nobody, people)
            singles[self._rng.random(len(every)) < self._masked[every]] = 0
        lists = inputs.lesson.low[rows], inputs.lesson.high[rows]
        texts = inputs.word_start[every], inputs.word_start[every + 1]
        parts = [
            Read(inputs.item_rows, *lists, self._layout.nothing, people),
            Read(inputs.word_rows, *texts, -1, singles),
        ]
        leaves, found = [], []
        for side, part in zip(SIDES, parts, strict=True):
            leaf = torch.empty((len(part.own), 2 * self._table.shape[1]))
            read(self._table, *part, leaf.numpy())
            leaves.append(leaf.requires_grad_())
            found.append(self._tower(side, leaf))
        items, many = found[1], len(rows)
        return Vectors(found[0], items[:many], items[many:].view(*own.shape, items.shape[1])), leaves, parts

    def _tower(self, side: str, inputs: Tensor) -> Tensor:
        """As `Towers.vectors`."""
        import torch

        size = inputs.shape[1] // 2
        found = inputs[:, :size] @ self._dense[f"{side}.mean"].T + inputs[:, size:]
        layer, inner = 0, inputs
        while f"{side}.{layer}.weight" in self._dense:
            inner = inner if layer == 0 else inner.relu()
            inner = torch.addmm(self._dense[f"{side}.{layer}.bias"], inner, self._dense[f"{side}.{layer}.weight"].T)
            layer += 1
        found = found + inner if layer else found
        vectors: Tensor = found / found.square().sum(1, keepdim=True).clamp_min(1e-30).sqrt()
        return vectors

    def _slopes(
        self, rows: Places, person: Codes, item: Codes, own: Codes, vectors: Vectors, each: Callable[..., Iterable[Any]]
    ) -> tuple[float, Tensor, Tensor, Tensor]:
        """The mean loss, and its slopes by the vectors; the rows are dealt to the threads."""
        import torch

        weight = torch.from_numpy(self.inputs.weight[rows] / self.inputs.weight[rows].sum())
        often = self._often[torch.from_numpy(item.astype(np.int64))]
        masked = self._masked_places(person, item)
        own_often = torch.full(own.shape, self._hard_often)
        own_often[torch.from_numpy(own < 0)] = torch.inf
        edges = np.linspace(0, len(rows), self.place.threads + 1).astype(int)
        parts = np.searchsorted(masked, edges * len(rows))

        def part(n: int) -> tuple[Tensor, ...]:
            low, high = int(edges[n]), int(edges[n + 1])
            here = torch.from_numpy(masked[parts[n] : parts[n + 1]] - low * len(rows))
            with torch.no_grad():
                return softmax_slopes(
                    vectors.people[low:high], vectors.items, vectors.hard[low:high], weight[low:high], often, here,
                    own_often[low:high], self.setting.temperature, low,
                )  # fmt: skip

        found = list(each(part, range(self.place.threads)))
        loss = sum(float(values[0]) for values in found)
        by_items = torch.stack([values[2] for values in found]).sum(0)
        return loss, torch.cat([values[1] for values in found]), by_items, torch.cat([values[3] for values in found])

    def _masked_places(self, person: Codes, item: Codes) -> Places:
        """Places of the batch that are no negatives, ascending."""
        from bottega.models.two_tower.rows_kernel import hits

        order, room = np.argsort(person, kind="stable"), np.empty((2, len(item)), dtype=np.int64)
        given = person, item, order, *self._taken, self._first, *room
        while (count := hits(*given, self._hits)) > len(self._hits):
            self._hits = np.empty(2 * count, dtype=np.int64)
        return np.sort(self._hits[:count])

    def _negatives(self, person: Codes, pool: Codes) -> Codes:
        """Draw each event's own negatives from the pool of its person, (n, h)."""
        if not pool.shape[1]:
            return np.zeros((len(person), 0), dtype=np.int32)
        self._hard_often = float(np.log(self.setting.hard_negatives / pool.shape[1])) if self.setting.logq else 0.0
        place = self._rng.integers(0, pool.shape[1], (len(person), self.setting.hard_negatives))
        return pool[person[:, None], place]

    def _step_table(self, parts: list[Read], slopes: Iterable[Tensor]) -> None:
        """Step the rows that were read."""
        from bottega.models.two_tower.rows_kernel import collect, step

        self._steps += 1
        count = 0
        work = self._slot, self._touched, self._sums
        for part, slope in zip(parts, slopes, strict=True):
            count = collect(*part, slope.contiguous().numpy(), *work, count)
        rate = corrected(self.setting.learning_rate, self._steps)
        keep = np.float32(KEEP_FIRST), np.float32(KEEP_SECOND), np.float32(SMALL)
        step(self._table, self._moments, *work, count, np.float32(rate), *keep)
