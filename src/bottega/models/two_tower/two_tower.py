"""Two towers: a person's vector and an item's meet in one space, and the nearest items are the candidates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from bottega.design.retrievers import TwoTower
from bottega.errors import BuildError, DataError
from bottega.files import write_json
from bottega.models.arriving import Arrived
from bottega.models.history import EMPTY, History
from bottega.models.indexes.building import build_index
from bottega.models.indexes.known import best_known
from bottega.models.indexes.vector_index import VectorIndex
from bottega.models.interactions import Interactions
from bottega.models.protocols import Scores
from bottega.models.storage import new_folder, read_array, read_facts, read_texts, write_arrays, write_texts
from bottega.models.two_tower.lesson import Lesson, Places
from bottega.models.two_tower.towers import Layout, Towers
from bottega.models.two_tower.training import learn
from bottega.models.vocabulary import Codes, Texts, code_of, texts

_MEASURED_ON = 1000  # people whose vectors the index is measured on
_MEASURED = ("examples_per_s",)  # facts of the training that another run would not repeat


class NearItems:
    """Evidence that rises with the product of a person's vector with each item's, above 0 for every item.

    number: (items,) the code of each item in the index. place: the item of each code there. vector: (size,).
    """

    def __init__(self, index: VectorIndex, number: Codes, place: Codes, vector: Scores) -> None:
        self._index, self._number, self._place, self._vector = index, number, place, vector

    def best(self, k: int, leave_out: Codes | None = None) -> Codes:
        """The codes of the k best items, best first, as far as the index finds them."""
        out = None if leave_out is None else self._number[leave_out]
        found, products = best_known(self._index, self._vector, k, len(self._number), out)
        codes, score = self._place[found], _score(products)
        best: Codes = codes[np.lexsort((codes, -score))]
        return best

    def of(self, codes: Codes) -> Scores:
        """The score of each item, (n,); 0 for −1."""
        known = codes >= 0
        found = np.zeros(len(codes), np.float32)
        found[known] = _score(self._index.products(self._vector, self._number[codes[known]]))
        return found


class TwoTowerModel:
    """Scores an item by σ(⟨u, v⟩) of two vectors of length 1, learnt so that what a person took next is near.

    u is a network of the mean vector of the person's latest items and of a vector of its own; v one of the item's own
    vector and the mean of those of its words. Each event in turn is told from the other items of its batch by their
    products over the temperature, less the logarithm of how often they come in a batch, which would else be held
    against the popular; items that the person took at any time are no negatives. The score lies between 0.27 and 0.73
    and rises with the product: each item has evidence. Somebody it does not know is answered as an empty history is,
    which it has learnt from everybody's first events.

    When it is wrong: on few events it knows less than counts do; it follows what was taken, not what was liked; new
    items lean on words that others share. Training needs PyTorch (`pip install 'bottega[deep]'`), serving NumPy alone,
    and an index that is not exact faiss.

    Sources: P. Covington, J. Adams, E. Sargin, Deep neural networks for YouTube recommendations, RecSys 2016; X. Yi et
    al., Sampling-bias-corrected neural modeling for large corpus item recommendations, RecSys 2019.
    """

    history: History
    """What each person took in the log."""
    towers: Towers
    """What it has learnt."""
    index: VectorIndex
    """The vector of each item."""
    training: dict[str, Any]
    """How it learnt: events, people, items, epochs, losses, batch, threads; where later events judged, later_events,
    recall_at, and later_recall and judged_losses of each pass; after a fit also examples_per_s."""

    def __init__(self, setting: TwoTower) -> None:
        self.setting = setting
        self.items: pa.StringArray = pa.array([], pa.string())
        self.history = EMPTY

    @property
    def facts(self) -> Mapping[str, Any]:
        """How it learnt, and what its index was measured to find of what it says."""
        return {"training": self.training, "index": self.index.facts}

    def fit(self, log: Interactions, at: int) -> None:
        """Learn from the rows before `at`; `DataError` where there are none."""
        past = log.before(at)
        if not len(past):
            raise DataError(
                "interactions",
                f"no rows before {np.datetime64(at, 'us')} UTC",
                "at least one row",
                "move the cut to a later time, or look at the quarantine",
            )
        setting = self.setting
        self.items, self.history = past.items, History.of(past.people, past.matrix())
        given = None if setting.text is None else past.newest(setting.text).to_pylist()
        self.towers, self.training = learn(setting, past, given, at)
        lesson = Lesson.of(past, setting.history)
        low, high = lesson.latest(setting.history)
        self._latest_start = np.concatenate([[0], np.cumsum(high - low)])
        parts = [lesson.item[one:other] for one, other in zip(low, high, strict=True)]
        self._latest = 1 + np.concatenate(parts).astype(np.int64)
        codes = np.arange(len(self.items), dtype=np.int32)
        self._take_numbers(codes)
        taken = np.bincount(past.item, minlength=len(codes)) > 0
        vectors = self.towers.items(np.where(taken, 1 + codes.astype(np.int64), 0), given)
        rng = np.random.default_rng(setting.seed)
        people = np.sort(rng.permutation(len(past.people))[:_MEASURED_ON])
        asked = np.concatenate([self._person(int(code)) for code in people])
        self.index = build_index(setting.index, codes, vectors, asked if len(asked) > 1 else None, setting.k)

    def with_arrived(self, arrived: Arrived) -> Self:
        """The model that knows new items too, by their texts; without a text column they all have one vector."""
        if not arrived.names:
            return self
        model, first, many = copy(self), len(self._number), len(arrived.names)
        fresh = np.arange(first, first + many, dtype=np.int32)
        given = None if self.setting.text is None else arrived.text([self.setting.text])
        model._take_numbers(np.concatenate([self._number, fresh]))
        self.index.add(fresh, self.towers.items(np.zeros(many, np.int64), given))
        return model

    def ask(self, person: str, request: Mapping[str, Any]) -> NearItems:  # noqa: ARG002
        """The score of every item for one person; for one that it does not know, that of an empty history."""
        vector = self._person(code_of(self.history.people, person))[0]
        return NearItems(self.index, self._number, self._place, vector)

    def item_vectors(self, codes: Codes) -> Scores:
        """The vector of each item, (n, size)."""
        return self.index.vectors(self._number[codes])

    def ask_all(self, people: Texts, requests: Sequence[Mapping[str, Any]]) -> Iterator[NearItems]:
        """The same for many."""
        return (self.ask(person, request) for person, request in zip(texts(people).to_pylist(), requests, strict=True))

    def save(self, folder: Path) -> None:
        """Write items, history, towers and index into a new folder."""
        version = self.towers.version()
        training = {name: value for name, value in self.training.items() if name not in _MEASURED}
        layout = self.towers.layout
        with new_folder(folder) as part:
            write_texts(part, "items", self.items)
            self.history.save(part)
            self.towers.save(part)
            latest = {"latest_start": self._latest_start, "latest": self._latest}
            write_arrays(part, {"number": self._number, **latest})
            self.index.save(part / "index", version)
            rows = {"items": layout.items, "people": layout.people, "words": layout.words, "shared": layout.shared}
            write_json(part / "two_tower.json", {"version": version, "rows": rows, "training": training})

    @classmethod
    def load(cls, folder: Path, setting: TwoTower) -> Self:
        """Read what `save` wrote; the table and the vectors stay on the disk and are mapped.

        Raises `BuildError` where towers and index are not of one version.
        """
        model = cls(setting)
        said = read_facts(folder, "two_tower")
        model.items, model.history = read_texts(folder, "items"), History.load(folder)
        model.training = said["training"]
        model.towers = Towers.load(folder, Layout(**said["rows"]), setting.embedding_size, setting.layers)
        if (found := model.towers.version()) != said["version"]:
            raise BuildError(
                str(folder),
                f"towers of version {found!r}",
                f"{said['version']!r}, as two_tower.json says",
                "fit and save the model again, or restore the folder from a copy",
            )
        model.index = VectorIndex.load(folder / "index", said["version"])
        model._latest_start, model._latest = read_array(folder, "latest_start"), read_array(folder, "latest")
        model._take_numbers(read_array(folder, "number"))
        return model

    def _person(self, code: int) -> Scores:
        """The vector of one person, (1, size): alone, so that it has the same bits whoever else asks."""
        low, high = (self._latest_start[code], self._latest_start[code + 1]) if code >= 0 else (0, 0)
        names = self.history.people[code : code + 1] if code >= 0 else pa.array([""])
        row = self.towers.layout.person_rows(names, np.array([code], np.int32))
        places: tuple[Places, Places] = np.array([low], np.int64), np.array([high], np.int64)
        return self.towers.vectors("person", self._latest, *places, row)

    def _take_numbers(self, number: Codes) -> None:
        """Keep the code of each item in the index (items,), and the item of each code."""
        self._number, self._place = number, np.argsort(number).astype(np.int32)


def _score(products: Scores) -> Scores:
    one = np.float32(1)
    scores: Scores = one / (one + np.exp(-products))
    return scores
