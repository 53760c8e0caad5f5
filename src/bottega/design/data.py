"""Step 2, data: the label, the split, the sampling, and all of the step together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from bottega.design.examples import FromPositives, Judged, Logged, SameValue
from bottega.design.part import Choice, Part, microseconds
from bottega.design.tables import Table


class Label(Part, frozen=True):
    """What is predicted, and when it is known."""

    name: str
    """The column of the examples' table, or the name to give to it."""
    positive: str | None = None
    """The value that counts as 1 where the column holds words or codes, written as text: `Yes`; every other value is 0,
    and null stays unknown. Ingestion writes it so: windows, streams and whoever sends a label later have 1 and 0.
    Nothing: the column holds truth values, 0 and 1, or grades."""
    matures_after: str = "0s"
    """How long after the event the label is final, as a span; younger examples are not used, whatever their label."""
    observed_at: str | None = None
    """The column that says when the label came; it decides instead of `matures_after` where it is filled. Where
    positives alone carry it, no row is final before `matures_after`."""
    censored_when: str | None = None
    """A condition in SQL under which the label can never be known: `action = 'block'`."""
    given: str | None = None
    """Another label of the same log: only rows where that one is above 0 are examples of this one (bought, given
    clicked)."""
    window: str | None = None
    """Learn already from what came within this span after the event, and correct the probability by the share of labels
    that come later, as matured examples tell; needs `observed_at`. Shorter is fresher and noisier."""
    when: str | None = None
    """For a further label of examples from positives, a condition in SQL over their table: a candidate has the label if
    the person has such a row with it from the request to `matures_after` later, both included: `event = 'LIKE'`."""

    def check(self) -> None:
        self.check_span("matures_after", "window")
        if self.given == self.name:
            raise self.refuse("given", f"{self.given!r}", "another label")
        if self.window is None:
            return
        if self.observed_at is None:
            raise self.refuse("window", f"{self.window!r} and no observed_at", "the column with the label's time too")
        if not 0 < microseconds(self.window) < microseconds(self.matures_after):
            allowed = f"above 0 and shorter than matures_after={self.matures_after!r}"
            raise self.refuse("window", f"{self.window!r}", allowed)


class TimeSplit(Choice, frozen=True):
    """Learn from the past, choose on what came later, and test on what came last."""

    test: str
    """Length of the last part, as a span counted back from the midnight (UTC) that ends the log's last day, or its
    first day as an ISO date."""
    validate: str | None = None
    """Length of the part before it, as a span; nothing: as long as the horizon of the examples, else as the test."""
    embargo: str | None = None
    """Gap between parts, as a span; nothing: the label's maturity. Larger wastes data, smaller leaks labels."""
    calibrate: str | None = None
    """Length of the end of what is learnt from that calibrators learn on and models do not, as a span; nothing: its
    last tenth. Larger calibrates finer and leaves models less, and older, examples."""
    at_most: float | None = None
    """Largest share of the log that validation and test take together, above 0 to 0.9: on a log too short for it their
    spans, `calibrate` and the warm-up of `Each` shrink in proportion, and the run says so. Larger leaves less to learn
    from; nothing: spans stay as they are."""

    def check(self) -> None:
        self.check_span("validate", "embargo", "calibrate")
        self.check_range("at_most", 0, 0.9, low_open=True)
        dated = re.fullmatch(r"\d{4}-\d\d-\d\d", self.test) is not None
        if not dated:
            self.check_span("test")
        if self.at_most is not None and (dated or self.validate is None):
            found = f"{self.at_most} and test={self.test!r}, validate={self.validate!r}"
            raise self.refuse("at_most", found, "spans for test and validate, which can shrink", 'validate="30d"')


class _Shares(Choice, frozen=True):
    """Shares of the groups or rows that are held out."""

    validate: float = 0.1
    """Share for choosing, above 0 and under 1."""
    test: float = 0.1
    """Share for the test, above 0 and under 1."""
    seed: int = 0
    """Another seed draws another part."""
    calibrate: float = 0.1
    """Share of what is learnt from that calibrators learn on and models do not, above 0 to 0.5."""

    def check(self) -> None:
        self.check_range("validate", 0, 0.9, low_open=True)
        self.check_range("test", 0, 0.9, low_open=True)
        self.check_range("calibrate", 0, 0.5, low_open=True)
        if self.validate + self.test >= 1:
            raise self.refuse("test", f"validate + test = {self.validate + self.test:g}", "together under 1")


class GroupSplit(_Shares, frozen=True, kw_only=True):
    """Hold out whole groups, for data without a time: all rows of one group lie in one part."""

    by: str
    """The column that names the group."""


class RandomSplit(_Shares, frozen=True, kw_only=True):
    """Hold out rows at random. On event data it flatters the model, because rows of one person lie on both sides."""


class GivenSplit(Choice, frozen=True):
    """Take the parts from a column."""

    column: str
    """The column with the part's name."""
    train: str = "train"
    """The value that means: learn from it."""
    validate: str | float = "validate"
    """The value that means: choose on it; or the share of the training requests, above 0 to 0.9, that is held out for
    it, by the hash of each."""
    test: str = "test"
    """The value that means: test on it, once."""
    otherwise: float | None = None
    """The share of the requests, above 0 to 0.4, that are held out by the hash of each, for validation where no row is
    meant for it, and for the test too where the table has no such column; nothing: either is an error."""
    calibrate: float = 0.1
    """Share of what is learnt from that calibrators learn on and models do not, above 0 to 0.5."""
    refit: Literal["always", "held out", "never"] = "always"
    """Whether models learn from validation too before the test: `held out`, only where it was held out of training by
    chance, and not where its labels may be of another kind, such as editors' grades beside clicks."""

    def check(self) -> None:
        self.check_range("calibrate", 0, 0.5, low_open=True)
        self.check_range("otherwise", 0, 0.4, low_open=True)
        if not isinstance(self.validate, str):
            self.check_range("validate", 0, 0.9, low_open=True)


class Downsample(Choice, frozen=True):
    """Keep only a share of the negatives in training; the probability learnt from them is corrected.

    p = q / (q + (1 − q) / w), q what the model says and w the share kept. Undone once: by the correction, or by
    weights, never by both and never by neither.
    """

    keep_negatives: float
    """Share kept, above 0 to 1; smaller is faster and noisier."""
    correct: bool = True
    """Undo the distortion of the probability in closed form."""
    weight: bool = False
    """Undo it by learning each negative with the weight 1 ÷ share instead: slower to learn well, and noisier."""

    def check(self) -> None:
        self.check_range("keep_negatives", 0, 1, low_open=True)
        if self.correct == self.weight:
            found = "corrects and weights" if self.correct else "neither corrects nor weights"
            times = f"over-estimates by about {1 / self.keep_negatives:.3g} times"
            why = "undoes the sampling twice" if self.correct else times
            fix = f"Downsample({self.keep_negatives:g}), which corrects"
            raise self.refuse("correct", f"a sampling that {found}: it {why}", "exactly one of correct, weight", fix)


class Upsample(Choice, frozen=True):
    """Repeat the positives in training; the probability learnt from them is corrected.

    p = q / (q + (1 − q) · r), q what the model says and r the times that a positive stands there.
    """

    times: int
    """How often each positive stands in training, 2 to 10,000; larger makes positives count more in each step."""
    correct: bool = True
    """Undo the distortion of the probability in closed form."""

    def check(self) -> None:
        self.check_range("times", 2, 10_000)
        if not self.correct:
            raise self.refuse(
                "correct",
                f"a sampling without correction: it over-estimates by about {self.times} times",
                "correct=True",
                f"Upsample({self.times}), which corrects",
            )


class PositionFeature(Choice, frozen=True):
    """Let models see the place in which a candidate stood while they learn; in serving all stand in the same one."""

    column: str
    """The column of the log with the place: a whole number, 1 the best."""
    served_as: int = 1
    """The place that serving takes for all, at least 1."""
    places: int = 20
    """Places that are told apart, at least 1, each a category; those beyond count as the last of them. Larger tells
    more apart, and learns each from less."""

    def check(self) -> None:
        self.check_range("served_as", 1, 1e6)
        self.check_range("places", 1, 1e6)


class InversePropensity(Choice, frozen=True):
    """Let each click count by one over the chance that its place is looked at, measured from the log itself.

    The chances are those of the places relative to the best one, by candidates that stood in several places.
    `BoostedTrees(objective="lambdarank")` takes the mean weight of each request alone, which hardly undoes the bias;
    `binary` and the other scorers take that of each row.
    """

    column: str
    """The column of the log with the place: a whole number, 1 the best."""
    most: float = 20.0
    """Largest weight, at least 1; larger is less biased and noisier."""
    optional: bool = False
    """Whether the table may be without the column: then nothing is undone, and the run says so."""

    def check(self) -> None:
        self.check_range("most", 1, 1e6)


class Data(Part, frozen=True):
    """The tables, what one example is, and how the examples are parted."""

    tables: Sequence[Table]
    """The tables, each with a name of its own."""
    examples: Logged | FromPositives | Judged | SameValue
    """What one example is."""
    labels: Sequence[Label]
    """What is predicted; the first one is the main label."""
    split: TimeSplit | GroupSplit | GivenSplit | RandomSplit
    """How examples are parted into training, validation and test."""
    sampling: Downsample | Upsample | None = None
    """What is left out of training, or repeated; calibration, validation and test are never sampled."""
    position: PositionFeature | InversePropensity | None = None
    """How the place in which a candidate was shown is kept apart from how good it is; nothing: not at all."""
    world: str | None = None
    """The simulator of `bottega.worlds` that stands in where no data folder is given."""
    sample: str | None = None
    """The real data that the package carries, which stand in where no data folder is given."""

    def check(self) -> None:
        names = [table.name for table in self.tables]
        if len(set(names)) < len(names):
            raise self.refuse("tables", f"names {names}", "each table a name of its own")
        if not self.labels:
            raise self.refuse("labels", "none", "at least one label", 'labels=[bt.Label("bought")]')
        labels = [label.name for label in self.labels]
        if len(set(labels)) < len(labels):
            raise self.refuse("labels", f"names {labels}", "each label a name of its own")
        given = {label.name: label.given for label in self.labels}
        for label in self.labels:
            if label.given is not None and label.given not in labels:
                raise self.refuse("labels", f"given={label.given!r}", f"one of the labels {labels}")
            chain, at = [label.name], label.given
            while at is not None:
                if at in chain:
                    raise self.refuse("labels", f"{' given '.join([*chain, at])}", "labels given earlier ones")
                chain, at = [*chain, at], given.get(at)
        if self.world is not None and self.sample is not None:
            raise self.refuse("sample", "a world and a sample", "one of them")
        if not isinstance(self.examples, Logged) and (self.position is not None or self.sampling is not None):
            field = "position" if self.position is not None else "sampling"
            raise self.refuse(field, type(self.examples).__name__, "Logged examples, whose rows it is about")
        self._check_conditions()
        if not isinstance(self.examples, Logged) and any(label.window is not None for label in self.labels):
            raise self.refuse("labels", "a window, without Logged examples", "Logged examples, or no window")
        if any(label.positive is not None for label in self.labels) and not isinstance(self.examples, (Logged, Judged)):
            found = f"positive=…, for {type(self.examples).__name__} examples"
            raise self.refuse("labels", found, "a label that is a column: of Logged or Judged examples")
        if isinstance(self.position, InversePropensity) and getattr(self.examples, "candidate", None) is None:
            raise self.refuse("position", "InversePropensity, and no candidate", "Logged(…, candidate=…)")

    def _check_conditions(self) -> None:
        """Hold that further labels of positives say which rows they are, and no other label does."""
        positives = isinstance(self.examples, FromPositives)
        for place, label in enumerate(self.labels):
            field, further = f"labels[{place}].when", positives and place > 0
            if label.when is None and further:
                fix = f"bt.Label({label.name!r}, when=\"event = '{label.name.upper()}'\")"
                raise self.refuse(field, "nothing", "a condition in SQL: which rows of the positives it is", fix)
            if label.when is not None and not further:
                main = "the first label of positives, which any row of theirs is"
                found = main if positives else f"{label.when!r}, for {type(self.examples).__name__} examples"
                raise self.refuse(field, found, "a further label of FromPositives", "leave when= out")
