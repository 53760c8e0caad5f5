"""What a build of a design about clicks measured besides: parts of the scorecard that others do not have."""

from __future__ import annotations

import msgspec

from bottega.reporting.measured import Measured, Metrics


class Bin(msgspec.Struct, frozen=True):
    """A tenth of the test by score: mean probability, and the share of positives with its interval."""

    predicted: float | None = None
    observed: float | None = None
    low: float | None = None
    high: float | None = None
    n: float | None = None


class Overall(msgspec.Struct, frozen=True):
    """A model's probabilities on all rows of the test."""

    predicted_over_observed: Measured | None = None
    ece: Measured | None = None
    normalized_entropy: Measured | None = None
    undefined: dict[str, str] = {}
    """Metrics without a value, and why."""


class Calibration(msgspec.Struct, frozen=True):
    """Whether the probabilities of a ladder's champion are honest, on the test."""

    rung: str = ""
    deciles: list[Bin] = []
    raw: list[Bin] = []
    """The same before correction and calibrator; empty where there is neither."""
    kept: float | None = None
    """Share of the negatives kept in training, where the sampling is corrected in closed form."""
    late: float | None = None
    """Share of the positives that come within the label's window, where the rest is corrected for."""
    calibrator: str | None = None
    calibrated_on: int | None = None
    """Rows of the calibration slice."""
    overall: Overall = Overall()
    slices: dict[str, Metrics] = {}
    """Slice to value to predicted over observed."""


class Footing(msgspec.Struct, frozen=True):
    """A model's quality, honesty, size and speed."""

    metrics: Metrics = {}
    predicted_over_observed: float | Measured | None = None
    ece: float | Measured | None = None
    bytes: float | None = None
    ms_1: float | None = None
    """Milliseconds to score 1 candidate."""
    ms_200: float | None = None
    """Milliseconds to score 200."""


class Tried(Footing, frozen=True):
    """A compression that was measured, and whether it keeps its contract."""

    name: str = ""
    kind: str = ""
    accepted: bool = False
    reason: str = ""
    difference: Measured | None = None
    """Of the primary metric, compressed less before, paired."""
    test: Footing | None = None
    """The same figures for what is served, on the test; nothing for one that was refused."""


class Compressed(msgspec.Struct, frozen=True):
    """What was tried to make the champion smaller and faster."""

    served: str | None = None
    """The one that is served; nothing: the champion as it is."""
    before: Footing | None = None
    """The champion on validation, where it is decided what is accepted."""
    test: Footing | None = None
    """The champion that is served, on the test."""
    tried: list[Tried] = []


class Hour(msgspec.Struct, frozen=True):
    """An hour (UTC) of the replayed auctions."""

    hour: int = 0
    revenue: float | None = None
    spent_share: float | None = None
    """Share of all budgets that is gone at its end."""


class Advertiser(msgspec.Struct, frozen=True):
    """What one advertiser bought in the replay."""

    advertiser: str = ""
    budget: float | None = None
    spent: float | None = None
    clicks: float | None = None
    cost_per_click: float | None = None


class OverBudget(msgspec.Struct, frozen=True):
    """Advertisers that were charged more than their budget."""

    advertisers: int | None = None
    largest: float | None = None
    """The largest excess, in the unit of the bids."""


class GivenFree(msgspec.Struct, frozen=True):
    """Clicks whose price passed what was left of a budget, by what nobody paid."""

    clicks: float | None = None
    worth: float | None = None
    """What was not paid, in the unit of the bids."""


class Replay(msgspec.Struct, frozen=True):
    """The auctions of a day, replayed."""

    searches: float | None = None
    drawn: float | None = None
    """Searches of them that were drawn to be answered; amounts are those of all."""
    sold: float | None = None
    """Slots sold."""
    clicks: float | None = None
    revenue: float | None = None
    revenue_per_1000: float | None = None
    """Revenue of a thousand searches."""
    click_through: float | None = None
    """Clicks a slot sold."""
    conversions: float | None = None
    by_hour: list[Hour] = []
    advertisers: list[Advertiser] = []
    over_budget: OverBudget | None = None
    given_free: GivenFree | None = None
    clicks_from: str = ""


class Categories(msgspec.Struct, frozen=True):
    """How a column of categories was coded."""

    column: str = ""
    values: int | None = None
    """Different values in training."""
    own: int | None = None
    """Those with a code of their own."""
    hashed_values: int | None = None
    """Those that share hashed codes."""
    hashed: int | None = None
    """The codes that they share."""
    collision_rate: float | None = None
    """Share of the hashed values that share their code with another."""
    unseen_share: float | None = None
    """Share of the test's rows whose value training never had."""


class Crossed(msgspec.Struct, frozen=True):
    """How the pairs of a cross were coded."""

    column: str = ""
    pairs: int | None = None
    """Different pairs in training."""
    buckets: int | None = None
    """The codes that they share."""
    collision_rate: float | None = None
    """Share of the pairs that share their code with another."""


class Training(msgspec.Struct, frozen=True):
    """How a network learnt."""

    epochs: int | None = None
    best_epoch: int | None = None
    examples_per_s: float | None = None
    seconds: float | None = None
    device: str = ""
    precision: str = ""
    rows: int | None = None


class Position(msgspec.Struct, frozen=True):
    """How the place of a candidate was kept apart from how good it is."""

    kind: str = ""
    chances: dict[str, float | None] = {}
    """Place to the chance that it is looked at, the best place 1."""


class LabelCount(msgspec.Struct, frozen=True):
    """How often a label is positive."""

    name: str = ""
    rate: float | None = None
    rows: int | None = None
    positives: int | None = None
    window_share: float | None = None
    """Share of the positives that come within the label's window."""
    window_note: str = ""
    """Why that share could not be measured."""
    test_positives: int | None = None
    """Positives of the test."""
