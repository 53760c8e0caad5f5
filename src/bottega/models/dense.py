"""Dense: what says the like of the request's text, by vectors of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from bottega.design.retrievers import Dense
from bottega.errors import DataError
from bottega.files import write_json
from bottega.models.arriving import Arrived
from bottega.models.history import EMPTY, History
from bottega.models.indexes.building import build_index
from bottega.models.indexes.known import best_known
from bottega.models.indexes.vector_index import VectorIndex
from bottega.models.interactions import Interactions
from bottega.models.protocols import Scores
from bottega.models.storage import new_folder, read_array, read_texts, write_arrays, write_texts
from bottega.models.texts.encoder import TextEncoder, Vectors
from bottega.models.texts.folder import read_folder
from bottega.models.texts.latent import LatentEncoder
from bottega.models.texts.opening import open_encoder
from bottega.models.vocabulary import Codes, Texts, texts

_ENCODER, _INDEX = "encoder", "index"
_MEASURED_ON, _FEWEST = 512, 100  # requests that an index is measured on; with fewer, texts stand for them


class NearTexts:
    """Evidence that is the product of a vector with each item's; 0 or less is none, as is what rounding leaves of 0.

    Of two texts that have nothing in common the product is not 0 but what 32-bit numbers leave of it: up to
    size · 2⁻²³ · |vector|², an item's vector being about as long as the request's. What is smaller is 0.

    number: (items,) the code of each item in the index. place: (items,) the item of each code there. vector: (size,) of
    the request; zeros: there is no evidence.
    """

    def __init__(self, index: VectorIndex, number: Codes, place: Codes, vector: Vectors) -> None:
        self._index, self._number, self._place, self._vector = index, number, place, vector
        self._least = len(vector) * float(np.finfo(np.float32).eps) * float(vector @ vector)

    def best(self, k: int, leave_out: Codes | None = None) -> Codes:
        """The codes of the k items with the largest products above 0, best first, as far as the index finds them."""
        if not self._vector.any():
            return np.zeros(0, np.int32)
        out = None if leave_out is None else self._number[leave_out]
        found, products = best_known(self._index, self._vector, k, len(self._number), out)
        there = self._certain(products) > 0
        codes, products = self._place[found[there]], products[there]
        best: Codes = codes[np.lexsort((codes, -products))]
        return best

    def of(self, codes: Codes) -> Scores:
        """The product with each item, (n,); 0 for −1."""
        known = np.flatnonzero(codes >= 0)
        found = np.zeros(len(codes), np.float32)
        found[known] = self._certain(self._index.products(self._vector, self._number[codes[known]]))
        return found

    def _certain(self, products: Scores) -> Scores:
        return np.where(np.abs(products) < self._least, np.float32(0), products)


class DenseModel:
    """Scores a text by the inner product of its vector with that of the request's text.

    The vectors are those of the encoder in the design's folder, or of one that is learnt here from the catalogue
    (`LatentEncoder`); of length 1, so that the product is their cosine, unless the folder says that the encoder is made
    for the product itself. A product of 0 or less is no evidence. When it is wrong: an encoder knows the texts it has
    learnt from, so that names and numbers which it never met look alike; and what stands after its longest text is not
    read.

    >>> log = Interactions.of([], [], np.zeros(0, np.int64)).with_catalogue(
    ...     ["a", "b"], {"text": ["the cat sat on the mat", "dogs run"]})
    >>> model = DenseModel(Dense(query="text", over=["text"]))
    >>> model.fit(log, at=0)
    >>> print(model.ask("", {"text": "running dog"}).of(np.array([0, 1])).round(2))
    [0. 1.]
    """

    history: History
    """What each person took in the log."""
    encoder: TextEncoder
    index: VectorIndex
    """The vector of each item, zeros for one without a text."""

    def __init__(self, setting: Dense) -> None:
        self.setting = setting
        self.items: pa.StringArray = pa.array([], pa.string())
        self.history = EMPTY

    @property
    def facts(self) -> Mapping[str, Any]:
        """Which encoder it is, by its hash, and what its index was measured to find of what it says."""
        return {"encoder": self.encoder.facts, "index": self.index.facts}

    def fit(self, log: Interactions, at: int) -> None:
        """Encode the catalogue's newest texts before `at`, and index their vectors.

        Raises `DataError` where there is no text, `BuildError` for a folder that holds no encoder.
        """
        past = log.before(at)
        self.items = past.items
        self.history = History.of(past.people, past.matrix()) if len(past) else EMPTY
        parts = [past.newest(name).fill_null("").to_pylist() for name in self.setting.over]
        whole = [" ".join(part for part in each if part) for each in zip(*parts, strict=True)]
        if not any(text.strip() for text in whole):
            raise DataError(
                "models: Dense.over",
                f"no text in {', '.join(self.setting.over)} of {len(self.items):,} candidates",
                "texts with words",
                "name the columns that hold the text",
            )
        if self.setting.encoder is None:
            self.encoder = LatentEncoder.learnt(whole, self.setting.size, self.setting.language)
        else:
            self.encoder = self._opened(Path(self.setting.encoder).expanduser())
        queries = None
        if past.who == self.setting.query and len(past.people) >= _FEWEST:
            order = np.random.default_rng(0).permutation(len(past.people))[:_MEASURED_ON]
            queries = self._encoded(past.people.take(pa.array(order)).to_pylist(), "query")
        self._take_numbers(np.arange(len(whole), dtype=np.int32))
        vectors = self._encoded(whole, "text")
        self.index = build_index(self.setting.index, self._number, vectors, queries, self.setting.k)

    def with_arrived(self, arrived: Arrived) -> Self:
        """The model that knows new items by their texts too; itself it stays as it is."""
        if not arrived.names:
            return self
        model, first = copy(self), len(self._number)
        fresh = np.arange(first, first + len(arrived.names), dtype=np.int32)
        model._take_numbers(np.concatenate([self._number, fresh]))
        self.index.add(fresh, self._encoded(arrived.text(self.setting.over), "text"))
        return model

    def ask(self, person: str, request: Mapping[str, Any]) -> NearTexts:  # noqa: ARG002
        """The product of every text with the request's."""
        (vector,) = self._encoded([str(request.get(self.setting.query) or "")], "query")
        return NearTexts(self.index, self._number, self._place, vector)

    def item_vectors(self, codes: Codes) -> Scores:
        """The vector of each item, (n, size)."""
        return self.index.vectors(self._number[codes])

    def ask_all(self, people: Texts, requests: Sequence[Mapping[str, Any]]) -> Iterator[NearTexts]:
        """The same for many requests."""
        return (self.ask(person, request) for person, request in zip(texts(people).to_pylist(), requests, strict=True))

    def save(self, folder: Path) -> None:
        """Write items, history, index and the encoder's files into a new folder, which then needs no other."""
        with new_folder(folder) as part:
            write_texts(part, "items", self.items)
            self.history.save(part)
            write_arrays(part, {"number": self._number})
            (part / _ENCODER).mkdir()
            self.encoder.save(part / _ENCODER)
            self.index.save(part / _INDEX, self.encoder.facts["hash"])
            write_json(part / "dense.json", self.facts)

    @classmethod
    def load(cls, folder: Path, setting: Dense) -> Self:
        """Read what `save` wrote; vectors stay on the disk and are mapped.

        Raises `BuildError` where the encoder is another than the one that made the vectors.
        """
        model = cls(setting)
        model.items, model.history = read_texts(folder, "items"), History.load(folder)
        model._take_numbers(read_array(folder, "number"))
        if setting.encoder is None:
            model.encoder = LatentEncoder.load(folder / _ENCODER)
        else:
            model.encoder = model._opened(folder / _ENCODER)
        model.index = VectorIndex.load(folder / _INDEX, model.encoder.facts["hash"])
        return model

    def _take_numbers(self, number: Codes) -> None:
        """Keep the code of each item in the index (items,), and the item of each code."""
        self._number, self._place = number, np.argsort(number).astype(np.int32)

    def _opened(self, path: Path) -> TextEncoder:
        way = {"auto": None, "last": "lasttoken"}.get(self.setting.pooling, self.setting.pooling)
        return open_encoder(path, way, self.setting.longest, self.setting.batch)

    def _encoded(self, given: Sequence[str], side: str) -> Vectors:
        """The vectors of texts (n,), with what the encoder wants before them; zeros for one that is empty."""
        own = self.setting.query_prefix if side == "query" else self.setting.text_prefix
        prompt = self.encoder.prompts[side] if own is None else own
        there = [place for place, text in enumerate(given) if text.strip()]
        found = np.zeros((len(given), self.encoder.facts["size"]), np.float32)
        if there:
            found[there] = self.encoder.encode([prompt + given[place] for place in there])
        return found


def encoder_hash(setting: object) -> str | None:
    """The SHA-256 of the files of the encoder that a model of the design names; nothing where it names none.

    A path says nothing of what lies there: what was made with other files is made anew. Raises `BuildError` where there
    is no encoder.

    >>> encoder_hash(Dense(query="text", over=["text"])) is None
    True
    """
    if not isinstance(setting, Dense) or setting.encoder is None:
        return None
    return read_folder(Path(setting.encoder).expanduser()).hash()
