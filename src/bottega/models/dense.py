"""Dense: what says the like of the request's text, by vectors of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from bottega.data.keys import encode
from bottega.design.retrievers import Dense
from bottega.errors import BuildError, DataError
from bottega.files import write_json
from bottega.models.history import EMPTY, History
from bottega.models.interactions import Interactions
from bottega.models.retrieving import Scored
from bottega.models.storage import new_folder, read_array, read_facts, read_texts, write_arrays, write_texts
from bottega.models.texts.encoder import TextEncoder, Vectors
from bottega.models.texts.latent import LatentEncoder
from bottega.models.texts.opening import open_encoder
from bottega.models.vocabulary import Texts, texts

_ENCODER = "encoder"


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
    vectors: Vectors
    """(items, size), zeros for an item without a text."""

    def __init__(self, setting: Dense) -> None:
        self.setting = setting
        self.items: pa.StringArray = pa.array([], pa.string())
        self.history = EMPTY

    @property
    def facts(self) -> Mapping[str, Any]:
        """Which encoder it is, by its hash, and the length of its vectors."""
        return self.encoder.facts

    def fit(self, log: Interactions, at: int) -> None:
        """Encode the catalogue's newest texts before `at`; `DataError` where there is none, `BuildError` for a folder
        that holds no encoder."""
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
        self.vectors = self._encoded(whole)

    def add_items(self, items: Texts, given: Sequence[str | None]) -> None:
        """Take new texts into the catalogue without learning anew; the text of an item that is there is replaced.

        items: (n,) ids; of equal ones the last counts. given: (n,) what the columns of `over` say of each, one after
        the other.
        """
        new = dict(zip(texts(items).to_pylist(), given, strict=True))
        codes, every = encode(pa.concat_arrays([self.items, pa.array(new, pa.string())]))
        vectors = np.zeros((len(every), self.vectors.shape[1]), np.float32)
        vectors[codes[: len(self.items)]] = self.vectors
        vectors[codes[len(self.items) :]] = self._encoded([text or "" for text in new.values()])
        item = codes[self.history.item]
        self.history = History(self.history.people, self.history.start, item, self.history.weight)
        self.items, self.vectors = every, vectors

    def ask(self, person: str, request: Mapping[str, Any]) -> Scored:  # noqa: ARG002
        """The product of every text with the request's."""
        text = str(request.get(self.setting.query) or "").strip()
        if not text:
            return Scored(np.zeros(len(self.items), np.float32))
        (vector,) = self.encoder.encode([self._prompt("query") + text])
        return Scored(self.vectors @ vector)

    def ask_all(self, people: Texts, requests: Sequence[Mapping[str, Any]]) -> Iterator[Scored]:
        """The same for many requests."""
        return (self.ask(person, request) for person, request in zip(texts(people).to_pylist(), requests, strict=True))

    def save(self, folder: Path) -> None:
        """Write items, history, vectors and the encoder's files into a new folder, which then needs no other."""
        with new_folder(folder) as part:
            write_texts(part, "items", self.items)
            self.history.save(part)
            write_arrays(part, {"vectors": self.vectors})
            (part / _ENCODER).mkdir()
            self.encoder.save(part / _ENCODER)
            write_json(part / "dense.json", dict(self.facts))

    @classmethod
    def load(cls, folder: Path, setting: Dense) -> Self:
        """Read what `save` wrote; arrays stay on the disk and are mapped. `BuildError` where the encoder is another
        than the one that made the vectors."""
        model, told = cls(setting), read_facts(folder, "dense")
        model.items, model.history = read_texts(folder, "items"), History.load(folder)
        model.vectors = read_array(folder, "vectors")
        home = folder / _ENCODER
        if setting.encoder is None:
            model.encoder = LatentEncoder.load(home)
        else:
            model.encoder = model._opened(home)
        if model.encoder.facts["hash"] != told["hash"]:
            raise BuildError(
                str(home),
                f"another encoder, {model.encoder.facts['hash'][:12]}",
                f"{told['hash'][:12]}, which made the vectors",
                "fit and save the model again, or restore the folder from a copy",
            )
        return model

    def _opened(self, path: Path) -> TextEncoder:
        way = {"auto": None, "last": "lasttoken"}.get(self.setting.pooling, self.setting.pooling)
        return open_encoder(path, way, self.setting.longest, self.setting.batch)

    def _encoded(self, given: Sequence[str]) -> Vectors:
        there = [place for place, text in enumerate(given) if text.strip()]
        found = np.zeros((len(given), self.encoder.facts["size"]), np.float32)
        if there:
            prompt = self._prompt("text")
            found[there] = self.encoder.encode([prompt + given[place] for place in there])
        return found

    def _prompt(self, side: str) -> str:
        own = self.setting.query_prefix if side == "query" else self.setting.text_prefix
        return self.encoder.prompts[side] if own is None else own
