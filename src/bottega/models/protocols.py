"""What a model is: a `Retriever` finds candidates for people, a `Scorer` puts a number on rows."""

from __future__ import annotations

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


class Retriever(Protocol):
    """Finds candidates for a person among the items that it has learnt from.

    A score above 0 is evidence, larger is better; 0 or less is none, and such an item is never retrieved. For a person
    that it does not know, `Popularity` answers as for everybody; the others have no evidence. Answering is pure.
    """

    setting: Any
    """The part of the design that it was made from."""
    items: pa.StringArray
    """The catalogue: sorted ids of the items it has learnt from; codes are places in it."""
    history: History
    """What each person took in the log."""

    def fit(self, log: Interactions, at: int) -> None:
        """Learn from the rows of the log with time < at, and nothing else; at in microseconds, UTC."""

    def person_scores(self, person: str) -> Scores:
        """The score of every item for one person, (items,) float32; not to be written into."""

    def scores(self, people: Texts) -> Scores:
        """The score of every item for each person, (n, items) float32."""

    def retrieve(self, people: Texts, k: int, seen: bool = True) -> tuple[Codes, Scores]:
        """The k best items for each person, best first, ties by lower code: codes (n, k) int32, scores (n, k) float32.

        Where there are fewer, the rest is −1 with score 0. k: at least 1. seen: whether items may come that the person
        has in the log.
        """

    def both_lists(self, people: Texts, k: int, unseen: int) -> Codes:
        """The codes of `retrieve(people, k)`, and beside them of `retrieve(people, unseen, seen=False)`, in one pass.

        k, unseen: from 0. Gives (n, k + unseen) int32.
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
