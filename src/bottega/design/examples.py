"""Step 2, examples: what one example is, and which candidates stand beside what was right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bottega.design.part import Choice


class Cuts(Choice, frozen=True):
    """Requests at fixed moments: everybody with a history asks once at each cut, from the test backwards."""

    slices: int = 3
    """How many cuts the models learn from, before the one for validation, at least 1; larger is slower and steadier."""
    every: str | None = None
    """Distance between cuts, as a span; nothing: the horizon. Smaller gives overlapping horizons; labels
    still end before the part that follows."""

    def check(self) -> None:
        self.check_range("slices", 1, 1000)
        self.check_span("every")


class Each(Choice, frozen=True):
    """Each positive is a request of its own: at its own time, for what was taken then, as a feed is read.

    A positive is the first time that a person takes a candidate: what they have taken before is never right. Keep it
    out of the lists by retrievers with `k=0` and `unseen`, or by a condition, `Retrieve(where=…)`. With a horizon of
    `0s` what is taken at that moment alone is relevant.
    """

    train: str | None = None
    """How long the time to learn from is, as a span, up to the gap before validation; nothing: the whole log. Larger is
    slower and steadier."""
    warm_up: str = "0s"
    """How long after the log's first event nobody is asked for yet, as a span; larger leaves out what nothing is known
    for."""
    refresh: str = "7d"
    """How often retrievers that do not follow events learn anew, as a span; smaller is slower and fresher."""

    def check(self) -> None:
        self.check_span("train", "warm_up", "refresh")


class Retrieved(Choice, frozen=True):
    """Candidates are what the path's retrievers return at the request's time: what serving will rank."""

    negatives: int | None = 60
    """Negatives to learn from for each request, drawn at random among its candidates with the weight that undoes the
    draw; nothing: all. Larger is slower. Validation and test always keep all candidates."""

    def check(self) -> None:
        self.check_range("negatives", 1, 1e6)


class Sampled(Choice, frozen=True):
    """Candidates are the positives and negatives drawn at random, each with the weight that undoes the draw."""

    negatives: int = 20
    """Negatives drawn for each positive, at least 1; larger is slower and nearer to the whole catalogue."""
    by: Literal["uniform", "popularity"] = "uniform"
    """Draw each candidate alike, or by how often it occurred before the request."""

    def check(self) -> None:
        self.check_range("negatives", 1, 1e6)


class Logged(Choice, frozen=True):
    """Examples are rows of a log: each row is one candidate shown, or one event to decide on."""

    table: str
    """The table with a row for each example; it holds the labels' columns."""
    request: Sequence[str]
    """The columns that describe the request: equal values at an equal time are one request."""
    candidate: str | None = None
    """The column that names the candidate; nothing: there is none, and the event itself is scored."""
    propensity: str | None = None
    """The column with the probability by which the candidate was shown, above 0 to 1: kept beside the predictions, for
    estimates of what another policy would have earned."""

    def check(self) -> None:
        if self.candidate is not None and self.candidate in self.request:
            allowed = "what is known before there is a candidate"
            raise self.refuse("request", f"{self.candidate!r}, which is the candidate", allowed, "leave it out")


class FromPositives(Choice, frozen=True):
    """Examples are made from a log of positives: who asks, what could be shown, and until when it counts."""

    table: str
    """The table with a row for each positive event, and with `where` for others too."""
    request: Sequence[str]
    """The columns that describe the request, the person first: `["customer"]`."""
    candidate: str
    """The column that names the candidate: `product`."""
    horizon: str
    """How long after the request a positive still counts, as a span; larger finds more positives and matures later."""
    requests: Cuts | Each = Cuts()
    """When requests are made."""
    candidates: Retrieved | Sampled = Retrieved()
    """What is offered beside the positives."""
    catalogue: str | None = None
    """The table of all candidates, its key the candidate: one can then be found before anybody took it. Nothing: the
    candidates are those of the log."""
    newcomers: bool = False
    """Whether people ask as well of whom nothing is known yet, and who took something then: the design is then judged
    by its first answers too. Their other request columns are null."""
    where: str | None = None
    """A condition in SQL over the table's columns: `rating >= 4`. Only rows for which it is true are positives; null is
    not true. The others count in windows, and as what is known of a person, but are neither right nor taken. Nothing:
    every row is one."""

    def check(self) -> None:
        self.check_span("horizon")
        if not self.request:
            raise self.refuse("request", "no column", "at least one column", 'request=["customer"]')


class Judged(Choice, frozen=True):
    """Examples are requests with the candidates that were judged right for them, out of a whole catalogue: search.

    There is no time: a candidate that nobody judged counts as wrong.
    """

    table: str
    """The table of judgements, a row for each pair. Where it holds the label, above 0 is right and larger is better;
    else every pair in it is right."""
    query: str
    """The column, there and in `requests`, that names the request."""
    candidate: str
    """The column that names the candidate: `doc_id`."""
    requests: str
    """The table of requests."""
    request: Sequence[str]
    """Its columns that a service is asked with, the text first: `["text"]`."""
    catalogue: str
    """The table of all candidates; its key is the candidate."""
    candidates: Retrieved = Retrieved(negatives=None)
    """Which of them are offered beside those that are right."""

    def check(self) -> None:
        if not self.request:
            raise self.refuse("request", "no column", "at least one column", 'request=["text"]')


class SameValue(Choice, frozen=True):
    """Examples are pairs of items: relevant to each other where a column has the same value in both."""

    table: str
    """The table of items; its `key` names them."""
    column: str
    """The column whose equality makes two items relevant: a class, a product, a place. An item without a value is
    found, and teaches nothing."""
    gallery: Literal["auto", "training", "all"] = "auto"
    """What is searched, when it is judged and when it serves: `training` are the items that are learnt from, and the
    others are questions only; `all` is every item but the one that asks, as it must be where parts share no value.
    `auto`: judged by `training` for a GivenSplit, else by `all`; served with all but the test that the table gives,
    since parts that were drawn are there to judge with alone."""
