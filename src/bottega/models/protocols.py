"""What a model is: a `Retriever` finds candidates for people, a `Scorer` puts a number on rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bottega.models.history import History
from bottega.models.inputs import Inputs
from bottega.models.interactions import Interactions
from bottega.models.vocabulary import Codes, Texts

Scores = npt.NDArray[np.float32]


class Evidence(Protocol):
    """What a retriever knows of the items for one request: the best of them, and the score of any."""

    def best(self, k: int, leave_out: Codes | None = None) -> Codes:
        """The codes of the k best items with evidence, best first, ties by lower code; fewer where there are fewer.

        k: at least 1; more than there are items is all of them. leave_out: codes that may not come; the list is as
        long without them.
        """

    def of(self, codes: Codes) -> Scores:
        """The score of each item, (n,) float32; 0 for the code −1, an item that it does not know."""


class Source(Protocol):
    """Answers requests with candidates from the items that it knows.

    A score above 0 is evidence, larger is better; 0 or less is none, and such an item is never retrieved. For somebody
    it does not know, `Popularity` answers as for everybody; others have no evidence, unless they say so. Answering is
    pure.
    """

    setting: Any
    """The part of the design that it was made from."""
    items: pa.StringArray
    """The catalogue: sorted ids of the items that it has learnt from; codes are places in it."""
    history: History
    """What each person took in the log."""

    def ask(self, person: str, request: Mapping[str, Any]) -> Evidence:
        """What it knows for one request.

        person: who asks, by the first column of the request; an empty text is nobody. request: its columns by name.
        """


class Retriever(Source, Protocol):
    """A source that learns from a log, and is kept in files."""

    def fit(self, log: Interactions, at: int) -> None:
        """Learn from the rows of the log with time < at, and nothing else; at in microseconds, UTC."""

    def ask_all(self, people: Texts, requests: Sequence[Mapping[str, Any]]) -> Iterator[Evidence]:
        """The same for many, to the bit that of each alone; each evidence is read before the next one is taken.

        people: (n,). requests: (n,) their columns.
        """

    def save(self, folder: Path) -> None:
        """Write what was learnt into a new folder, whole or not at all; the same log gives the same bytes."""

    @classmethod
    def load(cls, folder: Path, setting: Any) -> Self:
        """Read what `save` wrote; `setting` as it was."""


class Scorer(Protocol):
    """Puts a number on rows of inputs: larger is better. Scoring is pure: it learns nothing and writes nothing."""

    setting: Any
    """The part of the design that it was made from."""

    def fit(self, inputs: Inputs, label: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> None:
        """Learn from rows with labels; `DataError` where all labels are of one class.

        label: (n,) from 0 up; above 0 is relevant. weight: (n,) from 0 up; nothing: all 1. The scorers of this package
        take `start=` as well, a model of theirs to go on from, for the next day's rows.
        """

    def score(self, inputs: Inputs) -> Scores:
        """The score of each row, (n,) float32. Raises `DataError` where the inputs are not those of the fit."""

    def save(self, folder: Path) -> None:
        """Write what was learnt into a new folder, whole or not at all; the same rows give the same bytes."""

    @classmethod
    def load(cls, folder: Path, setting: Any) -> Self:
        """Read what `save` wrote; `setting` as it was."""


class Encoder(Protocol):
    """Turns things into vectors: the product of two of them says how alike their things are. Encoding is pure."""

    setting: Any
    """The part of the design that it was made from."""

    def fit(self, pictures: Any, label: npt.ArrayLike | None) -> None:
        """Learn from things, of which those with one label are alike; `DataError` where all labels are the same.

        pictures: (n, height, width, channels) uint8. label: (n,) numbers or texts; an encoder that learns nothing here
        takes None too, and looks only at what it will have to encode.
        """

    def encode(self, pictures: Any) -> Scores:
        """The vector of each, (n, d) float32 of length 1. Raises `DataError` where they are not those of the fit."""

    def save(self, folder: Path) -> None:
        """Write what was learnt into a new folder, whole or not at all; the same pictures give the same bytes."""

    @classmethod
    def load(cls, folder: Path, setting: Any) -> Self:
        """Read what `save` wrote; `setting` as it was."""
