"""Step 4, models that retrieve: each finds candidates for a request among all items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bottega.design.indexes import Index
from bottega.design.part import Choice


def _check_lists(part: Choice) -> None:
    """Hold the lengths of a retriever's two lists against their ranges."""
    part.check_range("k", 0, 1e6)
    part.check_range("unseen", 0, 1e6)
    if not getattr(part, "k", 0) and not getattr(part, "unseen", 0):
        raise part.refuse("k", "0, and unseen 0: it retrieves nothing", "one of them above 0", "k=100")


class Popularity(Choice, frozen=True):
    """Retrieve what most people took lately."""

    span: str | None = "30d"
    """How far back it counts, as a span; nothing: for ever. Larger is steadier and slower to follow a trend."""
    k: int = 100
    """Candidates to retrieve for a request, 0 or more; larger finds more and costs more."""
    unseen: int = 100
    """Candidates to retrieve besides among what the person never took, 0 or more; larger finds more that is new."""
    name: str | None = None
    """How the scorecard calls it; nothing: its kind. Two of one kind in a ladder need names of their own."""

    def check(self) -> None:
        self.check_span("span")
        _check_lists(self)


class Trending(Choice, frozen=True):
    """Retrieve what is taken most right now, event by event: each weighs half after every half-life."""

    half_life: str = "6h"
    """Time in which an event loses half of its weight, as a span; larger is steadier and slower to follow."""
    k: int = 100
    """Candidates to retrieve for a request, 0 or more; larger finds more and costs more."""
    unseen: int = 100
    """Candidates to retrieve besides among what the person never took, 0 or more; larger finds more that is new."""
    name: str | None = None
    """How the scorecard calls it; nothing: its kind. Two of one kind in a ladder need names of their own."""

    def check(self) -> None:
        self.check_span("half_life")
        _check_lists(self)


class Newest(Choice, frozen=True):
    """Retrieve what has come last: into the catalogue, or by its first event, whichever was earlier."""

    k: int = 100
    """Candidates to retrieve for a request, 0 or more; larger finds more and costs more."""
    unseen: int = 100
    """Candidates to retrieve besides among what the person never took, 0 or more; larger finds more that is new."""
    name: str | None = None
    """How the scorecard calls it; nothing: its kind. Two of one kind in a ladder need names of their own."""

    def check(self) -> None:
        _check_lists(self)


FOLLOWING = (Trending, Newest)
"""Retrievers that follow events one by one, and so answer as of each request's own time."""


class PersonalHistory(Choice, frozen=True):
    """Retrieve what this person took before, newer and more often first, equals by the people of the last 30 days;
    whatever else it is asked to order comes after, by the same."""

    half_life: str = "120d"
    """Time in which an event loses half of its weight, as a span; larger remembers longer."""
    k: int = 100
    """Candidates to retrieve for a request, 0 or more."""
    unseen: int = 0
    """Candidates to retrieve besides among what the person never took, 0 or more; larger finds more that is new."""
    name: str | None = None
    """How the scorecard calls it; nothing: its kind. Two of one kind in a ladder need names of their own."""

    def check(self) -> None:
        self.check_span("half_life")
        _check_lists(self)


class CoPurchase(Choice, frozen=True):
    """Retrieve what is taken together with what this person took: item–item similarity."""

    neighbours: int = 10
    """Similar items kept for each item, at least 1; larger finds more for small histories, and more noise for long
    ones, and needs more memory."""
    shrinkage: float = 10.0
    """Added to the denominator of the similarity, 0 or more; larger distrusts pairs that were seen seldom."""
    half_life: str | None = "120d"
    """Decay of the person's own events, as a span; nothing: none."""
    k: int = 100
    """Candidates to retrieve for a request, 0 or more."""
    unseen: int = 100
    """Candidates to retrieve besides among what the person never took, 0 or more; larger finds more that is new."""
    name: str | None = None
    """How the scorecard calls it; nothing: its kind. Two of one kind in a ladder need names of their own."""

    def check(self) -> None:
        self.check_span("half_life")
        self.check_range("neighbours", 1, 1e6)
        self.check_range("shrinkage", 0, 1e9)
        _check_lists(self)


class Factorization(Choice, frozen=True):
    """Retrieve by a low-rank or linear model of who took what."""

    method: Literal["auto", "als", "ease"] = "auto"
    """`ease` solves a catalogue-wide linear model in closed form (items² memory), `als` factorises; `auto` takes
    `ease` up to 5,000 items."""
    factors: int = 64
    """Length of the vectors of `als`, at least 1; larger fits more and costs more."""
    reg: float | None = None
    """Penalty, above 0; larger is smoother. Nothing: a default of the method."""
    iterations: int = 15
    """Passes of `als`, at least 1."""
    half_life: str | None = "120d"
    """Decay of events, as a span: a pair counts min(1, Σ 2^(−age / half_life)); nothing: 1. Larger remembers longer."""
    k: int = 100
    """Candidates to retrieve for a request, 0 or more."""
    unseen: int = 100
    """Candidates to retrieve besides among what the person never took, 0 or more; larger finds more that is new."""
    seed: int = 0
    """Another seed starts `als` elsewhere."""
    name: str | None = None
    """How the scorecard calls it; nothing: its kind. Two of one kind in a ladder need names of their own."""

    def check(self) -> None:
        self.check_range("factors", 1, 4096)
        self.check_range("reg", 0, 1e12, low_open=True)
        self.check_range("iterations", 1, 1000)
        self.check_span("half_life")
        _check_lists(self)


class TextSimilarity(Choice, frozen=True):
    """Retrieve what is described like what this person took: cosine of TF-IDF vectors of the texts."""

    column: str
    """The column of the examples' table with the candidate's text; its newest text counts."""
    half_life: str | None = "120d"
    """Decay of the person's own events, as a span; nothing: none."""
    k: int = 100
    """Candidates to retrieve for a request, 0 or more."""
    unseen: int = 100
    """Candidates to retrieve besides among what the person never took, 0 or more; larger finds more that is new."""
    name: str | None = None
    """How the scorecard calls it; nothing: its kind. Two of one kind in a ladder need names of their own."""

    def check(self) -> None:
        self.check_span("half_life")
        _check_lists(self)


class BM25(Choice, frozen=True):
    """Retrieve what shares words with the request's text, the rare words counting most."""

    query: str
    """The column of the request with the text that is searched for."""
    over: Sequence[str]
    """Columns of the catalogue with the candidate's text, read one after the other."""
    k1: float | None = None
    """How much more a word counts that stands there often, 0 to 10; 0: no more than once. Nothing: the best of a few
    on the training requests, where they are judged, else 1.5."""
    b: float | None = None
    """How much less words count in long texts, 0 to 1. Nothing: the best of a few, as `k1`; else 0.75."""
    language: str | None = "english"
    """Whose endings and stop words are taken off, as Snowball names it; nothing: words count as they are written."""
    k: int = 100
    """Candidates to retrieve for a request, 0 or more."""
    unseen: int = 0
    """Candidates to retrieve besides among what the person never took, 0 or more; larger finds more that is new."""
    name: str | None = None
    """How the scorecard calls it; nothing: its kind. Two of one kind in a ladder need names of their own."""

    def check(self) -> None:
        self.check_range("k1", 0, 10)
        self.check_range("b", 0, 1)
        _check_lists(self)
        if not self.over:
            raise self.refuse("over", "no column", "at least one column of the catalogue", 'over=["title", "text"]')


class Dense(Choice, frozen=True):
    """Retrieve what says the like of the request's text, in other words too: by vectors of both."""

    query: str
    """The column of the request with the text that is searched for."""
    over: Sequence[str]
    """Columns of the catalogue with the candidate's text, read one after the other."""
    encoder: str | None = None
    """The folder of an encoder, as sentence-transformers, Optimum or model2vec save it, seen from where the command is
    typed; nothing is downloaded, and its files go into the build. Nothing: one is learnt here from the catalogue, by
    latent semantic analysis."""
    size: int = 512
    """Length of the vectors that are learnt here, at least 1; larger tells more apart and costs memory. A folder's
    encoder has its own."""
    language: str | None = "english"
    """Whose endings and stop words an encoder that is learnt here takes off, as Snowball names it; nothing: none."""
    pooling: Literal["auto", "mean", "cls", "last"] = "auto"
    """How the vectors of a text's tokens become one: as the folder says (else their mean), their mean, the first, or
    the last."""
    longest: int | None = None
    """Tokens after which a text is cut, at least 8; larger reads on and costs time. Nothing: as the folder says."""
    query_prefix: str | None = None
    """Written before the request's text, for encoders that want it: `"query: "`. Nothing: what the folder says."""
    text_prefix: str | None = None
    """Written before each candidate's text: `"passage: "`. Nothing: what the folder says."""
    batch: int = 32
    """Texts encoded at once, at least 1; larger is faster to a point and needs more memory."""
    index: Index = Index()
    """How the nearest vectors are found."""
    k: int = 100
    """Candidates to retrieve for a request, 0 or more."""
    unseen: int = 0
    """Candidates to retrieve besides among what the person never took, 0 or more; larger finds more that is new."""
    name: str | None = None
    """How the scorecard calls it; nothing: its kind. Two of one kind in a ladder need names of their own."""

    def check(self) -> None:
        self.check_range("size", 1, 65_536)
        self.check_range("longest", 8, 1e6)
        self.check_range("batch", 1, 65_536)
        _check_lists(self)
        if not self.over:
            raise self.refuse("over", "no column", "at least one column of the catalogue", 'over=["title", "text"]')


class TwoTower(Choice, frozen=True):
    """Retrieve what lies near the person: vectors of people and items, learnt from who took what next."""

    text: str | None = None
    """A column with the item's text, whose words are a part of its vector, so that items nobody took yet are found;
    nothing: ids alone count."""
    embedding_size: int = 64
    """Length of the vectors, 2 to 4,096; larger tells more apart and costs memory and time."""
    history: int = 50
    """The person's latest events whose items go in, 0 or more; larger remembers longer and costs time."""
    person_rows: int = 100_000
    """Vectors of people: one each, or shared by the hash of their ids where there are more people; 0: people are known
    by their history alone."""
    word_rows: int = 32_768
    """Vectors of words, shared by their hash, at least 1; larger mixes fewer words up."""
    layers: Sequence[int] = (128,)
    """Width of each hidden layer of both towers; none: both are linear."""
    epochs: int = 10
    """Passes over the events at most, at least 1; it stops earlier where later events are no longer found better."""
    batch: int = 1024
    """Events of a step, at least 2; each is told from the others, so that larger learns from more, and costs more."""
    learning_rate: float = 2e-3
    """Step of the optimiser (Adam), above 0 to 1."""
    temperature: float = 0.1
    """What products are divided by while it learns, 0.01 to 10; smaller looks at the nearest items only."""
    hard_negatives: int = 0
    """Items for each event, besides those of the batch, that were easily mistaken for what the person took, 0 to 100:
    popular ones first, then what it finds itself; larger tells the best apart better, and costs time."""
    logq: bool = True
    """Whether the log of how often an item comes in a batch is taken off, as popular ones are negatives more often;
    without it, it looks for what is special to the person, and popular items lose."""
    half_life: str | None = "120d"
    """Time in which an event loses half of its weight, as a span; nothing: none. Larger remembers longer."""
    stop_share: float = 0.1
    """Share of the events, the latest ones, by which the number of passes is chosen, above 0 to 0.5; it then learns
    again from all."""
    patience: int = 2
    """Passes without gain after which it stops, at least 1."""
    index: Index = Index()
    """How the nearest vectors are found."""
    k: int = 100
    """Candidates to retrieve for a request, 0 or more."""
    unseen: int = 100
    """Candidates to retrieve besides among what the person never took, 0 or more; larger finds more that is new."""
    seed: int = 0
    """Another seed starts elsewhere and shuffles otherwise."""
    name: str | None = None
    """How the scorecard calls it; nothing: its kind. Two of one kind in a ladder need names of their own."""

    def check(self) -> None:
        self.check_range("embedding_size", 2, 4096)
        self.check_range("history", 0, 100_000)
        self.check_range("person_rows", 0, 1e9)
        self.check_range("word_rows", 1, 1e9)
        self.check_range("epochs", 1, 10_000)
        self.check_range("batch", 2, 2**20)
        self.check_range("learning_rate", 0, 1, low_open=True)
        self.check_range("temperature", 0.01, 10)
        self.check_range("hard_negatives", 0, 100)
        self.check_span("half_life")
        self.check_range("stop_share", 0, 0.5, low_open=True)
        self.check_range("patience", 1, 10_000)
        _check_lists(self)
        if any(not 1 <= width <= 65_536 for width in self.layers):
            raise self.refuse("layers", f"{self.layers}", "widths from 1 to 65,536", "layers=[128]")
