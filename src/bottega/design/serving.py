"""Step 6, serving: the path of a request through its stages, and what is compressed on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from bottega.design.indexes import Index
from bottega.design.part import Choice, Part
from bottega.design.reranking import Reranking, check_exploring_last
from bottega.design.scorers import DCN, DLRM, DeepFM


class Candidates(Choice, frozen=True):
    """The request brings its candidates."""

    at_most: int = 1000
    """How many are accepted, at least 1; a longer list is refused."""
    columns: Sequence[str] = ()
    """Numbers that a request may give with a candidate, and that travel with it: `["bid", "budget"]`. One that is not
    given is looked up among the features of that name."""

    def check(self) -> None:
        self.check_range("at_most", 1, 1e6)
        if wrong := [name for name in self.columns if name == "id" or not name.isidentifier()]:
            raise self.refuse("columns", f"{wrong[0]!r}", "letters, digits and _, and not id")


class Retrieve(Choice, frozen=True):
    """The union of what the retrievers of the ladder find; each one gives its own k."""

    k: int = 400
    """Candidates kept at most, at least 1; larger loses less here and costs more in ranking."""
    budget_ms: float | None = None
    """Milliseconds that it may take, above 0; a retriever that has not answered by then is left out, by name. Larger
    waits longer for slow ones; nothing: one that hangs holds the answer for as long as it likes."""
    merge: Literal["turns", "rrf"] = "turns"
    """How lists become one: `turns` takes the first of each, then the second of each; `rrf` orders by reciprocal rank
    fusion, Σ 1 ÷ (60 + place), so that what several find comes first."""
    quotas: Mapping[str, int] = {}
    """For a retriever how many of its first candidates stay for sure, whatever the others find."""
    where: str | None = None
    """A condition in SQL over features and the request's columns, without scores: only candidates for which it holds
    are found: `in_stock = 1`. Lists are as long as without it, as long as there are candidates."""

    def check(self) -> None:
        self.check_range("k", 1, 1e6)
        self.check_range("budget_ms", 0, 1e7, low_open=True)
        if any(places < 1 for places in self.quotas.values()) or sum(self.quotas.values()) > self.k:
            raise self.refuse("quotas", f"{dict(self.quotas)}", f"numbers from 1, together at most k={self.k}")


class Rank(Choice, frozen=True):
    """Order the candidates by the champion of a ladder."""

    ladder: str = "rank"
    """The ladder's name in `models`."""
    budget_ms: float | None = None
    """Milliseconds that it may take; without them the order of the stage before stands, by name."""
    label: str | None = None
    """The label that the ladder learns; nothing: the first."""

    def check(self) -> None:
        self.check_range("budget_ms", 0, 1e7, low_open=True)


class Show(Choice, frozen=True):
    """Keep the first of the list."""

    k: int = 20
    """How many are shown unless the request asks for another number, at least 1."""
    at_most: int = 1000
    """How many a request may ask for; more is answered with this many, by name."""

    def check(self) -> None:
        self.check_range("k", 1, 1e6)
        self.check_range("at_most", 1, 1e6)


class Score(Choice, frozen=True):
    """Give the event itself the probability of the champion of a ladder."""

    ladder: str = "score"
    """The ladder's name in `models`."""
    budget_ms: float | None = None
    """Milliseconds that it may take."""

    def check(self) -> None:
        self.check_range("budget_ms", 0, 1e7, low_open=True)


class Decide(Choice, frozen=True):
    """Turn a probability into an action: the one of least expected cost that still has capacity."""

    actions: Sequence[str]
    """The actions, the mildest first."""
    costs: Mapping[str, Sequence[float]]
    """For each action its cost when the label is 0, and when it is 1, in one unit; larger avoids the action."""
    capacity: Mapping[str, float] = {}
    """For an action the most of it that can be done in a day."""

    def check(self) -> None:
        if set(self.costs) != set(self.actions) or any(len(pair) != 2 for pair in self.costs.values()):
            raise self.refuse(
                "costs",
                f"{dict(self.costs)}",
                "two numbers for each of the actions",
                'costs={"approve": (0, 120), "block": (15, 0)}',
            )
        if unknown := set(self.capacity) - set(self.actions):
            raise self.refuse("capacity", f"{sorted(unknown)}", f"actions among {list(self.actions)}")


class Pace(Choice, frozen=True):
    """Spread each advertiser's budget over the day: bids shrink while spending runs ahead of the day's traffic.

    bid · min(1, ((1 − spent) / (1 − passed))^strength), spent the share of the budget that is gone and passed the share
    of the day's traffic. Budget and advertiser are those of the auction that follows.
    """

    strength: float = 1.0
    """0 does nothing, to 10; larger brakes harder."""
    traffic: Sequence[float] = ()
    """The share of the day's traffic in each of its 24 hours (UTC), in any unit; nothing: every hour alike."""

    def check(self) -> None:
        self.check_range("strength", 0, 10)
        if self.traffic and (len(self.traffic) != 24 or min(self.traffic) < 0 or not 0 < sum(self.traffic) < 1e12):
            raise self.refuse("traffic", f"{len(self.traffic)} numbers", "24 numbers from 0 up, not all 0")


class Auction(Choice, frozen=True):
    """Sell slots at a generalised second price, with quality, reserve and the advertisers' budgets.

    Candidates are ordered by bid · P(click)^quality; the winner of a slot pays for a click the least bid that would
    have kept its slot, and at least the reserve. An advertiser whose budget is gone takes no part.
    """

    slots: int = 4
    """Places sold for a request, at least 1."""
    bid: str = "bid"
    """The column that travels with a candidate, or the feature, that holds its bid; one that is no number above 0 takes
    no part."""
    budget: str | None = "budget"
    """The column or feature with what its advertiser may spend in the day (UTC); the store keeps the spending,
    atomically. Nothing: no budgets."""
    advertiser: str = "advertiser"
    """The column or feature that names who pays."""
    reserve: float = 0.0
    """Lowest price of a click, 0 or more; larger sells fewer slots at higher prices."""
    quality: float = 1.0
    """Exponent of P(click) in the order, 0 to 4: 0 orders by bid alone, larger rewards good ads more."""
    click: str = "rank"
    """The ladder that gives P(click)."""
    conversion: str | None = None
    """The ladder that gives P(conversion | click), where bids are for a conversion: the bid for a click is their
    product. Nothing: bids are for a click."""
    pays: Literal["click", "impression"] = "click"
    """When the advertiser is charged: at a click, which is told to the service, or as soon as it is shown, then the
    price of a click times its probability."""
    replay: str | None = None
    """The table of past searches with every ad that could have been shown, a row an ad: the last day in it is sold
    again by `bottega run`, to see what the auction earns and how budgets last."""

    def check(self) -> None:
        self.check_range("slots", 1, 1000)
        self.check_range("reserve", 0, 1e12)
        self.check_range("quality", 0, 4)


class Nearest(Choice, frozen=True):
    """The items whose vectors lie nearest to the request's."""

    encoder: str = "encode"
    """The ladder whose champion encodes."""
    k: int = 100
    """How many are returned unless the request asks for another number, at least 1; larger finds and costs more."""
    at_most: int = 1000
    """How many a request may ask for; more is answered with this many, by name."""
    binary: bool = False
    """Compare the signs of the turned vectors alone, `bits` of them: many times smaller, and less exact."""
    bits: int = 64
    """Bits of such a code, a multiple of 64; larger tells more apart, and costs memory and time."""
    tolerance: float = 0.01
    """Share of the primary metric that codes, or an index, may lose against comparing all vectors, 0 to 1, at the worse
    end of its interval on validation; where they lose more, all vectors are compared, and the scorecard says so."""
    index: Index = Index()
    """How vectors are found where they are not codes."""
    budget_ms: float | None = None
    """Milliseconds that an encoder may take for a request: one that takes longer is champion only where all do."""

    def check(self) -> None:
        self.check_range("k", 1, 1e6)
        self.check_range("at_most", 1, 1e6)
        self.check_range("tolerance", 0, 1)
        self.check_range("budget_ms", 0, 1e7, low_open=True)
        if not 64 <= self.bits <= 4096 or self.bits % 64:
            raise self.refuse("bits", f"{self.bits}", "a multiple of 64, from 64 to 4096", "bits=64")


Stage = Candidates | Retrieve | Rank | Show | Score | Decide | Pace | Auction | Nearest | Reranking


class _Compression(Choice, frozen=True, kw_only=True):
    """The contract of a compression: what it may cost at most; one that costs more is refused, and reported."""

    tolerance: float = 0.002
    """How much of the primary metric may be lost, 0 or more, at the worse end of its interval; larger accepts more."""
    calibration: float = 0.02
    """How far predicted over observed may move away from 1, 0 or more; larger accepts more."""

    def check(self) -> None:
        self.check_range("tolerance", 0, 1e6)
        self.check_range("calibration", 0, 1e6)


class Quantize(_Compression, frozen=True):
    """Replace a network's numbers by whole numbers of 8 bits."""

    mode: Literal["dynamic", "static"] = "dynamic"
    """`dynamic` measures the range of what flows through it at each request, `static` beforehand, on training
    examples, which is faster and less exact."""


class Prune(_Compression, frozen=True):
    """Leave out a network's smallest numbers, so that its file and its memory shrink."""

    embeddings: float = 0.5
    """Share of the categories' vectors' numbers that become 0, 0 to 0.99, the smallest first."""
    layers: float = 0.0
    """Share of each layer's weights that become 0, 0 to 0.99, the smallest first."""

    def check(self) -> None:
        _Compression.check(self)
        self.check_range("embeddings", 0, 0.99)
        self.check_range("layers", 0, 0.99)
        if self.embeddings == self.layers == 0:
            raise self.refuse("embeddings", "nothing to prune", "a share above 0 of embeddings or layers")


class Distill(_Compression, frozen=True):
    """Teach a small network what the champion, trees or a larger network, says about the training examples."""

    student: DCN | DeepFM | DLRM
    """The network that learns: `bt.DCN(embedding_size=8, layers=[64], cross_layers=1)`."""
    share: float = 0.7
    """How much the teacher's probability counts beside the label, 0 to 1."""

    def check(self) -> None:
        _Compression.check(self)
        self.check_range("share", 0, 1)


Compression = Quantize | Prune | Distill


class Serving(Part, frozen=True):
    """How a request is answered."""

    path: Sequence[Stage]
    """The stages in their order."""
    compress: Sequence[Compression] = ()
    """What is tried to make the champion smaller and faster, each by itself; the fastest one accepted is served."""
    log: bool = True
    """Write each answer to the decision log."""
    workers: int = 2
    """Processes that answer, at least 1; they share the memory of the bundle."""
    approximate: Sequence[str] = ()
    """Features whose served values may differ from those of training: parity reports them, and lets a release pass."""

    def check(self) -> None:
        self.check_range("workers", 1, 1024)
        if not self.path:
            raise self.refuse("path", "no stage", "at least one stage", "path=[bt.Retrieve(), bt.Rank(), bt.Show()]")
        check_exploring_last(self.path)
