"""What goes over the wire: the request, typed by the design, and the answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from bottega.errors import BuildError

Id = str | int | float | None
"""How a request may name an entity; inside, all of them are text."""

_NUMBER = re.compile(r"(?<!\w)\d+")  # and not a part of a name, as in BM25
_FEWER = re.compile(
    r"k: .*|quota .*|rule .*: nothing is left"
    r"|auction: (no ads|n of n (slots sold|over budget|below the reserve))"
)

RESERVED = ("k", "candidates", "view", "request_id")


class Item(msgspec.Struct):
    """One ranked candidate: its id, its final score, and the score that each stage gave it (null: none)."""

    id: str
    score: float | None
    stages: dict[str, float | None]
    price: float | msgspec.UnsetType = msgspec.UNSET
    """What a click costs, where an auction sold the place."""
    slot: int | msgspec.UnsetType = msgspec.UNSET
    """The place that was sold, from 1."""


class Answer(msgspec.Struct):
    """What a request gets."""

    request_id: str
    version: str
    """The build that answered."""
    items: list[Item]
    """The ranked candidates, best first."""
    degradations: list[str]
    """What was missing, late or too few, each named; empty where all went as designed."""
    stage_ms: dict[str, float]
    """Milliseconds that each stage took."""


class Auctioned(msgspec.Struct):
    """What the decision log keeps of an auction."""

    bids: bytes
    """Each candidate's bid for a click after pacing, float64 little-endian; NaN for one that took no part."""
    charged: float
    """What was charged as soon as it was shown; 0 where clicks are charged."""


class Explored(msgspec.Struct):
    """With which chances the items that an answer shows were drawn."""

    propensity: bytes
    """(shown,) float64 little-endian: the chance, over all draws, that this item stands in this place."""
    given_above: bytes
    """(shown,) float64 little-endian: the same, given the items above; the product is the chance of the whole list."""


class Trace(msgspec.Struct):
    """What the decision log keeps of an answer and the wire does not carry."""

    candidates: list[str]
    """All candidates of the request, those that were not shown too."""
    scores: dict[str, bytes]
    """For each ladder that ranked its champion's score of each candidate, float32 little-endian."""
    features: dict[str, bytes]
    """For each ladder that ranked the features of the shown items as its model read them, (shown, columns) float32
    little-endian, row by row; the columns are the ladder's `names` in the build's `serving.json`."""
    at: int
    """The moment as of which features were read, microseconds since 1970 UTC."""
    auction: Auctioned | msgspec.UnsetType = msgspec.UNSET
    """Where the path has one."""
    explored: Explored | msgspec.UnsetType = msgspec.UNSET
    """Where the path explores."""


class Traced(Answer):
    """An answer with its trace, which is taken off before the answer is sent."""

    trace: Trace | msgspec.UnsetType = msgspec.UNSET


class Moved(msgspec.Struct):
    """What moved one candidate's score: the base and all values together are the score."""

    base: float
    """The mean score of some rows of training."""
    values: dict[str, float]
    """What each feature adds to it."""
    unit: str
    """`log-odds` for a probability, else `score`."""


class Explained(msgspec.Struct):
    """What happened to one candidate on its way."""

    id: str
    rank: int
    sources: dict[str, int]
    """For each retriever that brought it, its place in that one's list, from 1."""
    stages: dict[str, float | None]
    features: dict[str, float | str | None]
    """The features as they were read for this answer."""
    contributions: dict[str, Moved] = {}
    """For each stage that ranked, what each feature adds to its score."""
    reranked: list[str] = []
    """What each stage of re-ranking did to it, in their order."""
    slot: int | msgspec.UnsetType = msgspec.UNSET
    """The place that an auction sold, from 1."""
    bid: float | msgspec.UnsetType = msgspec.UNSET
    """For a click, after pacing."""
    price: float | msgspec.UnsetType = msgspec.UNSET
    """What a click costs."""


def request_type(fields: Mapping[str, str], columns: Sequence[str] = ()) -> type[msgspec.Struct]:
    """Make the type of a design's requests: its own columns, and what every request may say besides.

    fields: for each column of the request `id`, `number`, `text` or `time`. columns: numbers that may be given with a
    candidate.
    Errors: `BuildError` for a column that has the name of something every request may say.

    >>> kind = request_type({"customer": "id"})
    >>> msgspec.json.decode(b'{"customer": 17850, "k": 3}', type=kind)
    Request(customer=17850, k=3, candidates=None, view=None, request_id=None)
    >>> kind = request_type({}, ["bid"])
    >>> msgspec.json.decode(b'{"candidates": ["a", {"id": "b", "bid": 1.5}]}', type=kind).candidates
    ['a', Candidate(id='b', bid=1.5)]
    """
    if taken := sorted(set(fields) & set(RESERVED)):
        raise BuildError(
            "data.examples.request",
            f"a column {taken[0]!r}",
            f"any other name than {', '.join(RESERVED)}",
            "give the column another name: Table(columns={…})",
        )
    kinds: dict[str, Any] = {"id": Id, "number": float | None, "text": str | None, "time": str | None}
    own = [(name, kinds[kind], None) for name, kind in fields.items()]
    candidate: Any = str | int | float
    if columns:
        numbers = [(name, float | None, None) for name in columns]
        candidate |= msgspec.defstruct(
            "Candidate", [("id", str | int | float), *numbers], forbid_unknown_fields=True, gc=False
        )
    known = [
        ("k", int | None, None),
        ("candidates", list[candidate] | None, None),
        ("view", str | None, None),
        ("request_id", str | None, None),
    ]
    return msgspec.defstruct("Request", [*own, *known], forbid_unknown_fields=True)


def as_id(value: Id) -> str | None:
    """Write an id as the log has it: 17850 and 17850.0 are '17850'; an empty text is nobody.

    >>> as_id(17850.0), as_id("a"), as_id(None), as_id("")
    ('17850', 'a', None, None)
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 2.0**63:
        value = int(value)
    return None if value is None or value == "" else str(value)


def counted(told: Iterable[str]) -> tuple[set[str], set[str]]:
    """Part what an answer names into degradations and shortfalls, each number in a name written as n.

    A degradation is something that was missing, left out or late. A shortfall is none: there was less to show than was
    asked for, or an auction's own rules left somebody out.

    >>> counted(["customer: missing", "k: 3 of 20 found"])
    ({'customer: missing'}, {'k: n of n found'})
    >>> counted(["BM25: left out, not there after 25 ms"])[0]
    {'BM25: left out, not there after n ms'}
    """
    names = {_NUMBER.sub("n", one) for one in told}
    fewer = {name for name in names if _FEWER.fullmatch(name)}
    return names - fewer, fewer


class RequestError(Exception):
    """A request that cannot be answered as it stands: the caller's fault, told with the field.

    field: where in the request. found: what stands there. allowed: what may.
    """

    def __init__(self, field: str, found: object, allowed: str) -> None:
        self.field, self.found, self.allowed = field, found, allowed
        super().__init__(f"{field}: {found} (allowed: {allowed})")
