"""Requests with what was relevant to each, and examples: their candidates with labels and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.keys import as_text, encode

TRAIN, VALIDATE, TEST, UNUSED = 0, 1, 2, 3
PART_NAMES = ("training", "validation", "test", "embargo")


@dataclass(frozen=True)
class Borders:
    """Where a split in time begins its parts, microseconds since 1970 UTC."""

    validate: int
    """The first moment of validation."""
    test: int
    """The first moment of the test."""
    gap: int
    """The embargo before each of them, in microseconds: the design's, else the longest maturity of the labels."""
    fixed: bool
    """The embargo is the design's own: it alone decides what may be learnt from, whenever labels are final."""

    def before(self, part: int) -> int:
        """Give the begin of a part, of which nothing may be known while models learn for it."""
        return self.validate if part == VALIDATE else self.test


@dataclass(frozen=True)
class Requests:
    """Who asked when, in which part, and which candidates turned out to be relevant."""

    columns: pa.Table
    """(r,) the request's columns under our names; ids of entities as text, other columns in their own type."""
    time: NDArray[np.int64]
    """(r,) microseconds since 1970 UTC; 0 where the examples have no time."""
    part: NDArray[np.int8]
    """(r,) 0 training, 1 validation, 2 test, 3 unused: embargo, or a part that the design does not name."""
    positives_request: NDArray[np.int32]
    """(p,) the request of each relevant candidate, ascending."""
    positives_candidate: pa.StringArray
    """(p,) the relevant candidates, distinct within a request, sorted there."""
    positives_grade: NDArray[np.float32] | None = None
    """(p,) how relevant each is, above 0; nothing: all alike, 1."""

    def __len__(self) -> int:
        return len(self.time)

    def relevant(self) -> NDArray[np.int64]:
        """Count the relevant candidates of each request (r,), whether or not anything proposes them."""
        return np.bincount(self.positives_request, minlength=len(self))

    def take(self, chosen: NDArray[np.bool_]) -> Requests:
        """Give the requests of a mask (r,), numbered anew."""
        number = np.cumsum(chosen) - 1
        kept = chosen[self.positives_request]
        return Requests(
            self.columns.filter(pa.array(chosen)),
            self.time[chosen],
            self.part[chosen],
            number[self.positives_request[kept]].astype(np.int32),
            self.positives_candidate.filter(pa.array(kept)),
            None if self.positives_grade is None else self.positives_grade[kept],
        )

    def in_part(self, part: int) -> Requests:
        """Give the requests of a part."""
        return self.take(self.part == part)


@dataclass(frozen=True)
class Examples:
    """Rows to learn from or to judge by: a request, a candidate, a label, a weight."""

    requests: Requests
    """The requests, also those without a row."""
    group: NDArray[np.int32]
    """(n,) the request of each row, ascending."""
    candidate: pa.StringArray | None
    """(n,) the candidate; nothing where the event itself is scored."""
    label: NDArray[np.float32]
    """(n,) the main label."""
    weight: NDArray[np.float32]
    """(n,) how much the row counts: 1 over the chance with which it was drawn."""
    labels: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Name → (n,), where the design has several labels; NaN where one is missing or not mature."""
    row: NDArray[np.int64] | None = None
    """(n,) the row of the log that an example is, for logged examples: for columns that travel along."""
    final: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """Name → (n,), for logged examples: when the label's final value is known, microseconds since 1970 UTC."""
    early: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Name → (n,), of labels with a window: 1 where the label came within it, 0 where not; NaN where there is none."""
    ripe: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """Name → (n,), of labels with a window: when the early value is known, microseconds since 1970 UTC."""
    position: NDArray[np.float32] | None = None
    """(n,) the place in which the candidate stood, 1 the best, NaN where it is not known; nothing: not asked for."""
    propensity: NDArray[np.float32] | None = None
    """(n,) the probability by which the candidate was shown; nothing: the log does not say."""
    unit: NDArray[np.int32] | None = None
    """(r,) what no part divides, where that is more than a request: its group, numbered."""
    borders: Borders | None = None
    """Where validation and the test begin; nothing: the split is not in time."""
    given: bool = False
    """The table itself says which rows are validation."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Why rows of the log are no examples, and how many."""
    noted: Mapping[str, int] = field(default_factory=dict)
    """What was unusual in the log and is used nevertheless, and how often."""

    def __len__(self) -> int:
        return len(self.group)

    def part(self) -> NDArray[np.int8]:
        """Give the part of each row (n,)."""
        return self.requests.part[self.group]

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Examples:
        """Give the rows of a mask (n,), or those of ascending places (m,); the requests stay as they are."""
        rows = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen

        return replace(
            self,
            group=self.group[rows],
            candidate=None if self.candidate is None else self.candidate.take(pa.array(rows)),
            label=self.label[rows],
            weight=self.weight[rows],
            labels={name: values[rows] for name, values in self.labels.items()},
            row=None if self.row is None else self.row[rows],
            final={name: values[rows] for name, values in self.final.items()},
            early={name: values[rows] for name, values in self.early.items()},
            ripe={name: values[rows] for name, values in self.ripe.items()},
            position=None if self.position is None else self.position[rows],
            propensity=None if self.propensity is None else self.propensity[rows],
        )


def with_candidates(requests: Requests, group: NDArray[np.int32], candidate: pa.Array | pa.ChunkedArray) -> Examples:
    """Label the candidates of requests by how relevant each is to its request, 0 where it is not; weights are 1.

    Relevant candidates that nobody proposes make no row; `requests.relevant()` still counts them, so that recall can
    be measured against all of them.

    group: (n,) the request of each candidate, ascending; candidate: (n,) ids, each once in a request.
    Gives examples of n rows.
    """
    known, vocabulary = encode(requests.positives_candidate)
    codes, _ = encode(candidate, vocabulary)
    size = len(vocabulary) + 1
    pairs = group.astype(np.int64) * size + codes + 1  # (n,) the code −1, an id relevant to nobody, matches nothing
    relevant = requests.positives_request.astype(np.int64) * size + known + 1  # (p,)
    order = np.argsort(relevant, kind="stable")
    place = np.minimum(np.searchsorted(relevant, pairs, sorter=order), max(len(relevant) - 1, 0))
    grade = np.ones(len(relevant), np.float32) if requests.positives_grade is None else requests.positives_grade
    label = np.zeros(len(pairs), np.float32)
    if len(relevant):
        label = np.where(relevant[order][place] == pairs, grade[order][place], np.float32(0))
    return Examples(requests, group.astype(np.int32), as_text(candidate), label, np.ones(len(label), np.float32))


def flatten(codes: NDArray[np.int32], vocabulary: pa.StringArray) -> tuple[NDArray[np.int32], pa.StringArray]:
    """Turn lists of candidates, padded with −1, into rows.

    codes: (r, k) places in `vocabulary`, −1 for none. Gives group (n,) and candidate (n,) for `with_candidates`.

    >>> group, candidate = flatten(np.array([[1, -1], [0, 1]], np.int32), pa.array(["a", "b"]))
    >>> group.tolist(), candidate.to_pylist()
    ([0, 1, 1], ['b', 'a', 'b'])
    """
    filled = codes >= 0  # (r, k)
    group = np.nonzero(filled)[0].astype(np.int32)
    return group, vocabulary.take(pa.array(codes[filled]))
