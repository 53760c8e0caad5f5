"""Rules on step 2, data: how examples are parted, and how long the parts are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from bottega.design.data import GroupSplit, RandomSplit, TimeSplit
from bottega.design.design import Design
from bottega.design.examples import FromPositives, Logged
from bottega.design.part import microseconds
from bottega.reviewing.finding import Claim, Severity
from bottega.reviewing.log_parts import PARTS, fitting_split, fitting_test, parts_of
from bottega.reviewing.looking import DAY, about, examples_table, family, maturity, percent, spelled
from bottega.reviewing.rule import rule
from bottega.reviewing.seen import Compared, Seen
from bottega.reviewing.subjects import both, having, of

_LITTLE = 0.005
_UNEQUAL = 0.2  # of the rate of a weekday, against the smallest


@rule("R201", "stop", sometimes="warn", about=of(Logged, FromPositives))
def random_split(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """The split is random, and the table has event times.

    Why. A model that is served learns from the past and answers about the future. Under a random split it learns from
    the future of the very people and items it is tested on, and looks better than it will be. Where data are looked at,
    the rule measures by how much: a model of rates alone is learnt and tested under both splits. Where no part of the
    design names a time, and nearly every row of the table has one, the finding warns: it may be another time than that
    at which is asked.

    Example.

        bt.Data(tables=[bt.Table("shown", time="at")], …, split=bt.RandomSplit())

    Fix. `split=bt.TimeSplit(test="7d")`: the test is what came last. It and validation, which is as long where nothing
    else is said, should take no more than half of the log; where data are looked at, the finding says what fits them.

    Source. Y. Ji et al., A Critical Study on Data Leakage in Recommender System Offline Evaluation, ACM Transactions
    on Information Systems 41(3), 2023, https://doi.org/10.1145/3569930
    """
    said = _timed(design, seen) if isinstance(design.data.split, RandomSplit) else None
    if said is None:
        return
    whose = getattr(design.data.examples, "request", ("request",))[0]
    costs = f"Rows of one {whose} lie on both sides, and what is learnt comes from after what is tested."
    if seen is not None and seen.split is not None:
        costs += f" {_flatters(seen.split)}"
    yield Claim("data.split", f"the split is random, and {said.has}.", costs, said.fix, said.severity)


@rule("R202", "warn", about=of(Logged, FromPositives))
def groups_over_time(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """Parts that are not parted in time, and the table has event times.

    Why. Groups that are held out whole do not meet themselves in training, but the future of everybody else is learnt
    from: prices, fashions and rates of next month. So it is with parts that a column gives and that overlap in time.

    Example.

        bt.Data(tables=[bt.Table("payments", time="at")], …, split=bt.GroupSplit(by="customer"))

    Fix. `split=bt.TimeSplit(test="7d")`, and `slices=["cold"]` for people of whom nothing is known.

    Source. S. Kaufman et al., Leakage in Data Mining: Formulation, Detection, and Avoidance, ACM Transactions on
    Knowledge Discovery from Data 6(4), 2012.
    """
    said = _timed(design, seen)
    if said is None:
        return
    if isinstance(design.data.split, GroupSplit):
        yield Claim(
            "data.split",
            f"groups are held out, and {said.has}.",
            "What is tested lies in the same weeks as what is learnt, so that no change of the world is ever tested.",
            said.fix,
        )
    elif seen is not None and seen.overlap is not None and seen.overlap > 0.01:
        yield Claim(
            "data.split",
            f"the parts that are given overlap in time, and {said.has}.",
            f"{seen.overlap:.0%} of the rows to learn from come after the begin of the test.",
            f"{said.fix}, or other values in that column",
        )


@rule("R203", "stop", about=of(TimeSplit))
def short_embargo(design: Design, _: Seen | None) -> Iterator[Claim]:
    """The embargo is shorter than the time until labels are final.

    Why. An example just before the test has a label that becomes known during the test. Learnt from, it tells the model
    what happens there; in production it would not be known yet. The gap has to be as long as the label's maturity.

    Example.

        bt.Data(…, labels=[bt.Label("repaid", matures_after="30d")], split=bt.TimeSplit(test="60d", embargo="1d"))

    Fix. Leave `embargo` out: it is then the label's maturity.

    Source. M. López de Prado, Advances in Financial Machine Learning, Wiley 2018, chapter 7 (purging and embargo).
    """
    split, needed = design.data.split, maturity(design)
    if not isinstance(split, TimeSplit) or split.embargo is None or microseconds(split.embargo) >= needed:
        return
    yield Claim(
        "data.split.embargo",
        f"the embargo is {split.embargo}, and labels are final after {spelled(needed)}.",
        f"The last {about(needed - microseconds(split.embargo))} of what is learnt have labels that only the time of "
        "the test tells.",
        f'embargo="{spelled(needed)}", or leave it out',
    )


@rule("R204", "stop", about=of(TimeSplit))
def short_test(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """The test is no longer than the time until its labels are final.

    Why. Examples whose label is not final when the log ends are not used, whatever their label. Where the test is the
    last day and labels need three, none of its examples counts.

    Example.

        bt.Data(…, labels=[bt.Label("returned", matures_after="30d")], split=bt.TimeSplit(test="14d"))

    Fix. A test longer than the maturity by the time that is to be judged: 30 d and a week, `test="37d"`. It
    and validation, which is as long where nothing else is said, must leave enough of the log to learn from.

    Source. O. Chapelle, Modeling Delayed Feedback in Display Advertising, KDD 2014.
    """
    split, examples = design.data.split, design.data.examples
    if not isinstance(split, TimeSplit) or split.test[4:5] == "-":
        return
    length = microseconds(split.test)
    if isinstance(examples, FromPositives):
        needed, enough = maturity(design), length >= maturity(design)
    else:
        needed = microseconds(design.data.labels[0].matures_after)
        enough = length > needed
    if not enough:
        longer = needed if isinstance(examples, FromPositives) else needed + 7 * DAY
        yield Claim(
            "data.split.test",
            f"the test is the last {split.test}, and its labels are final after {spelled(needed)}.",
            "No example of it has a label that counts when the log ends: there is nothing to judge by.",
            fitting_test(design, seen, longer) or fitting_split(design, seen),
        )


@rule("R212", "warn", needs_data=True, about=both(of(TimeSplit), of(Logged)))
def part_of_a_week(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """The test is shorter than a week, and weekdays differ.

    Why. What is judged on a Sunday says little about a Tuesday. A test of whole weeks has every weekday alike.

    Example.

        bt.TimeSplit(test="1d")                  # on a log in which Sundays have half the rate of Mondays

    Fix. `test="7d"`, or a multiple of it.

    Source. R. Kohavi, D. Tang and Y. Xu, Trustworthy Online Controlled Experiments, Cambridge University Press 2020,
    chapter 2 (day-of-week effect).
    """
    split, label = design.data.split, design.data.labels[0]
    found = seen.labels.get(label.name) if seen is not None else None
    if not isinstance(split, TimeSplit) or split.test[4:5] == "-" or found is None or found.weekdays is None:
        return
    low, high = found.weekdays
    if microseconds(split.test) < 7 * DAY and high > (1 + _UNEQUAL) * low:
        yield Claim(
            "data.split.test",
            f"the test is {split.test} long, and the rate of {label.name!r} hangs on the weekday.",
            f"It goes from {percent(low)} to {percent(high)}: the day that is tested decides what is found.",
            fitting_test(design, seen, 7 * DAY) or "a longer log: of this one a week is too much",
        )


@rule(
    "R219",
    "stop",
    needs_data=True,
    sometimes="warn",
    about=both(of(TimeSplit), lambda design, seen: seen is None or parts_of(design, seen) is not None),
)
def nothing_left(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """A part of the split has no example, or no two kinds of them, or next to nothing is left to learn from.

    Why. The test is counted back from the log's end, validation from the test, and before each lies a gap as long as
    labels take to be final. What is older is learnt from. On a log that is too short for all of them a run stops, or
    models learn from a few days, and the ladder tells which of them needs the fewest examples. So it does where events
    lie far apart, as snapshots of each month do, and a week of test holds none of them. Examples are counted: the
    finding stops a run where a part has none, or has one value of the label alone, and warns where less than a tenth of
    them is left to learn from.

    Example.

        bt.Data(…, labels=[bt.Label("repaid", matures_after="30d")], split=bt.TimeSplit(test="60d"))   # a log of 180 d

    Fix. A shorter test and validation, or longer ones where events lie far apart; a label that is sooner final, or a
    longer log.

    Source. S. Kaufman et al., Leakage in Data Mining: Formulation, Detection, and Avoidance, ACM Transactions on
    Knowledge Discovery from Data 6(4), 2012 (what is learnt from must be known before what is judged).
    """
    found = parts_of(design, seen) if seen is not None else None
    if found is None or found.fits:
        return
    lacking = found.lacking
    if lacking == [PARTS[2]] and list(short_test.run(design, seen)):
        return  # that rule says why
    if lacking:
        told = "nothing is left to learn from" if PARTS[0] in lacking else f"no example lies in {' or '.join(lacking)}"
    elif any(found.alike):
        if len(set(found.alike)) == 1:
            return  # R217 says that the whole label has one value
        same = [part for part, alike in zip(PARTS, found.alike, strict=True) if alike]
        told = f"{design.data.labels[0].name!r} has one value alone in {' and '.join(same)}"
    else:
        told = f"{percent(found.share)} of the {'examples' if found.rows else 'log'} are left to learn from"
    gaps = f", and a gap of {about(found.gap)} lies before each" if found.gap else ""
    counts = dict(zip(PARTS, found.rows, strict=False))
    asked = f" Examples: {', '.join(f'{part} {rows:,}' for part, rows in counts.items())}." if counts else ""
    yield Claim(
        "data.split",
        f"{told}.",
        f"{design.data.examples.table!r} is {about(found.length)} long: the test takes {about(found.test)} of it, "
        f"validation {about(found.validate)}{gaps}.{asked}",
        fitting_split(design, seen),
        "stop" if lacking or any(found.alike) else "warn",
    )


@rule(
    "R220", "warn", needs_data=True, about=both(of(Logged), having(lambda design: examples_table(design).time is None))
)
def parted_units(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """The split is random, and parts rows that belong together.

    Why. Rows of one person, of one machine, of one run to failure are like each other. Where some of them are learnt
    from and others tested, a model that knows whose they are looks good, and it meets strangers when it serves. The
    rule goes by what the design says belongs together, `unit` or the first column of the request, and by columns that
    count the rows of something else from its first to its last. Where examples have a time, a split in time is what is
    needed, and another rule says so.

    Example.

        bt.Data(tables=[bt.Table("engines", "engines.parquet")], …, split=bt.RandomSplit())    # unit 1, cycles 1 to 192

    Fix. `split=bt.GroupSplit(by="unit")`; where the same ones come again when it serves, and each row stands for
    itself, `unit="request"` of the evaluation.

    Source. scikit-learn, User Guide, Cross-validation (iterators for grouped data: samples of one patient),
    https://scikit-learn.org/stable/modules/cross_validation.html
    """
    unit = seen.unit if seen is not None else None
    if unit is None or not isinstance(design.data.split, RandomSplit) or _timed(design, seen) is not None:
        return
    told = f"rows of one {unit.column!r} belong together by the design"
    own = ', or unit="request" where each row stands for itself'
    if unit.counter is not None:
        told, own = f"{unit.column!r} names {unit.values:,} things, whose rows {unit.counter!r} counts", ""
    yield Claim(
        "data.split",
        f"the split is random, and {told}.",
        f"Each has {unit.rows:.1f} rows in the mean (counted), some to learn from and some in the test: what is found "
        "there is found for those who are known already.",
        f'split=bt.GroupSplit(by="{unit.column}"){own}',
    )


@dataclass(frozen=True)
class _Timed:
    """What is said of the time of examples: a clause, the split in time that fits, and how grave it is."""

    has: str
    fix: str
    severity: Severity


def _timed(design: Design, seen: Seen | None) -> _Timed | None:
    """Say which time examples have, by the design or else by what was seen in their table; nothing: none."""
    table = examples_table(design)
    if table.time is not None:
        return _Timed(f"{table.name!r} has event times", fitting_split(design, seen), "stop")
    found = seen.tables.get(table.name) if seen is not None else None
    if seen is None or found is None or not found.unnamed:
        return None
    (name, dated), *_ = found.unnamed.items()
    form = f', time_format="{dated.form}"' if dated.form else ""
    data = replace(design.data, tables=[replace(one, time=name) if one is table else one for one in design.data.tables])
    tables = {**seen.tables, table.name: replace(found, begin=dated.begin, end=dated.end)}
    fix = fitting_split(replace(design, data=data), replace(seen, tables=tables))
    has = f"{table.name!r} has times in {name!r}, which no part of the design names"
    return _Timed(has, f'time="{name}"{form} in that table, and {fix}', "warn")


def _flatters(found: Compared) -> str:
    """Say by how much a model of rates looks better under a random split."""
    known = family(found.metric)
    gain = found.at_random - found.by_time
    gain = -gain if known is not None and known.direction == "down" else gain
    both = f"{found.metric} {found.at_random:.3f} at random, {found.by_time:.3f} in time (measured)"
    if gain < max(_LITTLE, found.chance):
        return f"A model of rates alone shows no more of it here than chance may bring: {both}."
    return f"On this table it flatters a model of rates alone by about {gain:.2g}: {both}."


RULES = (random_split, groups_over_time, short_embargo, short_test, part_of_a_week, nothing_left, parted_units)
