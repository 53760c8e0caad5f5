"""An outcome: the examples of validation or test, with the score that every rung gives to each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from bottega.errors import DataError, nearest
from bottega.metrics import Predictions, Ranking

Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]
Data = Predictions | Ranking
Noun = TypeVar("Noun", Predictions, Ranking)

ROWS_KEPT = 10_000_000  # rows of sorted rankings kept for the next question: about 0.3 GB; the oldest go first


@dataclass(frozen=True, eq=False)
class Rung:
    """One model of a ladder, and what it says of each example.

    name: `BoostedTrees`. stage: its ladder: `retrieve`, `rank`, `score`. scores: (n,) larger is better; nan is *not
    scored*: not shown in a ranking, and no probability. seconds: time of its training. probability: whether the scores
    are meant as probabilities of label 1; those of the ladder `retrieve` never are. Where it is false, metrics that
    need probabilities are not computed, even if all scores happen to lie in [0, 1].

    >>> Rung("Logistic", "rank", np.array([0.5, 0.25])).probability
    True
    """

    name: str
    stage: str
    scores: npt.NDArray[np.floating]
    seconds: float = 0.0
    probability: bool = True

    @property
    def gives_probabilities(self) -> bool:
        """Whether its scores are probabilities."""
        return self.probability and self.stage != "retrieve"


@dataclass(frozen=True, eq=False)
class Outcome:
    """One part of the examples, validation or test, judged by every rung on the same rows.

    All rungs, retrievers too, order the same candidates: those that the path retrieves. A relevant candidate that the
    path misses counts as relevant and is never shown. Under a view only its rows stay, both as shown and as relevant.
    When it is wrong: a retriever is judged on the union of all, which is kinder to it than its own short list.

    group: (n,) the request of each row, 0 to r − 1, in rising order; a request may have no row. entity: (r,) codes of
    the person, who is resampled as one. candidate: (n,) codes, once in a request; equal scores go to the lower one;
    nothing for examples without candidates, which have binary metrics only. label: (n,) from 0 up; binary metrics want
    0 and 1. path: (n,) false for a relevant candidate that the path missed. views: name to (n,) rows that stay. slices:
    slice to value to (r,) requests. rungs: in the order of the ladders, the simplest first. catalogue: number of items
    that could be shown. total: (r,) how many items are relevant to each request, where most of them have no row;
    nothing: those of the rows. Raises `DataError` for columns that do not fit together.

    >>> outcome = Outcome(np.array([0, 0]), np.array([7]), np.array([3, 4]), np.array([0, 1]), np.array([True, True]),
    ...                   {}, {}, [Rung("Logistic", "rank", np.array([0.5, 0.25]))], None)
    >>> outcome.ranking("Logistic").hits.rank.tolist()
    [2]
    """

    group: npt.NDArray[np.integer]
    entity: npt.NDArray[np.generic]
    candidate: npt.NDArray[np.integer] | None
    label: npt.NDArray[np.floating]
    path: Mask
    views: Mapping[str, Mask]
    slices: Mapping[str, Mapping[str, Mask]]
    rungs: Sequence[Rung]
    catalogue: int | None
    total: Codes | None = None
    _kept: dict[tuple[type, Rung, str | None], Data] = field(default_factory=dict, init=False, repr=False)
    _columns: dict[str | None, tuple[Codes, Array, Codes]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.requests == 0:
            raise DataError("outcome", "no requests", "at least one", "check the split: this part of it is empty")
        group = np.asarray(self.group)
        if len(group) and (group.min() < 0 or group.max() >= self.requests or (np.diff(group) < 0).any()):
            raise DataError("outcome.group", "codes out of order or range", f"0 to {self.requests - 1}, rising")
        columns = {"label": self.label, "path": self.path, "candidate": self.candidate}
        columns |= {f"views[{name}]": mask for name, mask in self.views.items()}
        columns |= {f"rungs[{rung.name}]": rung.scores for rung in self.rungs}
        for name, column in columns.items():
            if column is not None and np.shape(column) != group.shape:
                raise DataError(f"outcome.{name}", f"shape {np.shape(column)}", f"{group.shape}, one a row")
        for name, values in self.slices.items():
            for value, mask in values.items():
                if np.shape(mask) != (self.requests,):
                    raise DataError(
                        f"outcome.slices[{name}][{value}]",
                        f"shape {np.shape(mask)}",
                        f"({self.requests},), one a request",
                    )
        if len({(rung.stage, rung.name) for rung in self.rungs}) < len(self.rungs):
            raise DataError("outcome.rungs", [self.title(rung) for rung in self.rungs], "each once in a stage")

    @property
    def requests(self) -> int:
        """The number of requests, r."""
        return len(self.entity)

    def rung(self, name: str, stage: str | None = None) -> Rung:
        """Find a rung by its name, `BoostedTrees` or `rank.BoostedTrees`; the last ladder's where two have it.

        Raises `DataError` for an unknown name.
        """
        found = [
            rung
            for rung in self.rungs
            if stage in (None, rung.stage) and name in (rung.name, f"{rung.stage}.{rung.name}")
        ]
        if not found:
            known = [rung.name for rung in self.rungs if stage in (None, rung.stage)]
            raise DataError(
                f"outcome.rungs of {stage or 'any stage'}", repr(name), ", ".join(known) or "none", nearest(name, known)
            )
        return found[-1]

    def title(self, rung: Rung) -> str:
        """How a rung is called in a list of all: by its name, with its stage before it where two stages share it."""
        alone = sum(other.name == rung.name for other in self.rungs) == 1
        return rung.name if alone else f"{rung.stage}.{rung.name}"

    def view(self, name: str | None) -> Mask | None:
        """The rows of a view, (n,); nothing for all rows. Raises `DataError` for an unknown name."""
        if name is None:
            return None
        if name not in self.views:
            raise DataError("outcome.views", repr(name), ", ".join(self.views) or "none", nearest(name, self.views))
        return np.asarray(self.views[name], dtype=np.bool_)

    def relevant(self, view: str | None = None) -> Mask:
        """The rows that are relevant, (n,), retrieved or not."""
        rows, stays = np.asarray(self.label > 0), self.view(view)
        return rows if stays is None else rows & stays

    def ranking(self, rung: Rung | str, view: str | None = None) -> Ranking:
        """A rung's ranked lists under a view, sorted once and kept.

        Raises `DataError` without candidates, and for an unknown rung or view.
        """
        one = self.rung(rung) if isinstance(rung, str) else rung
        return self._keep((Ranking, one, view), lambda: self._rank(one, view))

    def predictions(self, rung: Rung | str, view: str | None = None, requests: Mask | None = None) -> Predictions:
        """A rung's scores of the rows that the path retrieves, under a view; kept, but for some requests (r,) only.

        Raises `DataError` for scores that are missing, labels other than 0 and 1, no rows, an unknown rung or view.
        """
        one = self.rung(rung) if isinstance(rung, str) else rung
        if requests is None:
            return self._keep((Predictions, one, view), lambda: self._predict(one, view, None))
        return self._predict(one, view, requests)

    def rows(self, view: str | None = None, requests: Mask | None = None) -> npt.NDArray[np.intp]:
        """The rows of `predictions`, (m,): retrieved by the path, in the view, of these requests (r,)."""
        stays, inside = np.asarray(self.path, dtype=np.bool_), self.view(view)
        if inside is not None:
            stays = stays & inside
        if requests is not None:
            stays = stays & requests[self.group]
        return np.flatnonzero(stays)

    def _rank(self, rung: Rung, view: str | None) -> Ranking:
        group, label, candidate = self._lists(view)
        shown, inside = np.asarray(self.path, dtype=np.bool_) & ~np.isnan(rung.scores), self.view(view)
        scores = np.where(shown, rung.scores.astype(np.float64), -np.inf)  # float64 first: the metrics do not copy it
        return Ranking(
            group,
            scores if inside is None else scores[inside],
            label,
            items=candidate,
            relevant=self._total(view),
            catalogue=self.catalogue,
        )

    def _total(self, view: str | None) -> Codes:
        """How many items are relevant to each request, (r,)."""
        if self.total is not None and view is None:
            return self.total
        return np.bincount(self.group[self.relevant(view)], minlength=self.requests)

    def _lists(self, view: str | None) -> tuple[Codes, Array, Codes]:
        """Group, label and candidate of the rows of a view, (m,), in the types of the metrics, shared by all rungs."""
        if self.candidate is None:
            raise DataError(
                "candidate", "examples without candidates", "candidates, in lists", "use a binary metric: 'pr_auc'"
            )
        if view not in self._columns:
            inside = self.view(view)
            rows: Mask | slice = slice(None) if inside is None else inside
            self._columns[view] = (
                np.asarray(self.group[rows], dtype=np.int64),
                np.asarray(self.label[rows], dtype=np.float64),
                np.asarray(self.candidate[rows], dtype=np.int64),
            )
        return self._columns[view]

    def _predict(self, rung: Rung, view: str | None, requests: Mask | None) -> Predictions:
        rows = self.rows(view, requests)
        return Predictions(self.label[rows], rung.scores[rows])

    def _keep(self, key: tuple[type[Noun], Rung, str | None], make: Callable[[], Noun]) -> Noun:
        found = self._kept.get(key)
        if isinstance(found, key[0]):
            return found
        made = make()
        self._kept[key] = made
        while len(self._kept) > 1 and sum(len(data.labels) for data in self._kept.values()) > ROWS_KEPT:
            del self._kept[next(iter(self._kept))]
        return made
