"""Rules on step 3, features, that read the design alone: what knows the label, what is never there, what differs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence

from bottega.design.data import Label
from bottega.design.design import Design
from bottega.design.examples import Logged
from bottega.design.features import Categories, Cross, Expression, Given, Lookup, TargetRate, Window
from bottega.design.part import microseconds
from bottega.errors import DesignError
from bottega.features.batch import needs
from bottega.reviewing.finding import Claim
from bottega.reviewing.looking import about, columns_read, listed, spelled, table_of
from bottega.reviewing.rule import rule
from bottega.reviewing.seen import Seen
from bottega.reviewing.subjects import both, having, of


@rule("R301", "stop", about=of(Logged))
def knows_the_label(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A feature reads the label, or what becomes known with it.

    Why. A feature must be there when the question is asked, and the label is not. Windows over the table of the
    examples count a label from the time it is final; these ways lead round that: the label among the columns of the
    request or in an expression, a look-up of the newest row's label, which is not final yet, and a window over another
    table that repeats the label.

    Example.

        bt.Logged("shown", request=["user", "clicked"], candidate="ad")
        bt.Lookup("shown", by="ad", columns=["clicked"])

    Fix. A rate over time, which waits for the label: `bt.Window("shown", by="ad", over=["7d"],
    values={"rate": "avg(clicked)"})`; for another table `created=` or `available_after=`.

    Source. S. Kaufman et al., Leakage in Data Mining: Formulation, Detection, and Avoidance, ACM Transactions on
    Knowledge Discovery from Data 6(4), 2012.
    """
    examples, labels = design.data.examples, design.data.labels
    if not isinstance(examples, Logged):
        return
    known_with = {label.name for label in labels} | {label.observed_at for label in labels if label.observed_at}
    whose = examples.candidate or examples.request[0]
    costs = "The question holds its own answer: the test is passed by heart, and in serving the column is not there."
    yield from _named("data.examples.request", "among the columns of the request", examples.request, known_with, costs)
    for place, feature in enumerate(design.features):
        if isinstance(feature, Lookup) and feature.table == examples.table:
            told, why = [name for name in feature.columns if name in known_with], "looks up the newest row's"
        elif isinstance(feature, (Given, Categories)):
            told, why = [name for name in feature.columns if name in known_with], "takes"
        elif isinstance(feature, Window) and feature.table != examples.table:
            told, why = _repeats(design, feature, labels), f"reads, in {feature.table!r}, which does not wait for it,"
        elif isinstance(feature, (Expression, Cross, TargetRate)):
            told, why = _taken(feature, known_with), "takes"
        else:
            continue
        if told:
            yield Claim(
                f"features[{place}]",
                f"the {type(feature).__name__} {why} {listed([repr(name) for name in told])}.",
                "It knows answers before they are final, which serving will not: the test flatters it.",
                f'bt.Window("{examples.table}", by="{whose}", over=["7d"], values={{"rate": "avg({told[0]})"}})',
            )


@rule("R302", "stop", about=both(of(Logged), having(lambda design: _made(design))))
def known_after_the_decision(design: Design, _: Seen | None) -> Iterator[Claim]:
    """An online feature that only the log can tell: it comes of the very decision that is to be made.

    Why. The place in which a candidate was shown, and the chance with which it was chosen, are known once the list is
    made. As a feature they stand in the log, and nobody can send them with a request.

    Example.

        bt.Logged("shown", request=["user", "position"], candidate="ad", propensity="chance")

    Fix. `position=bt.PositionFeature("position")` lets a model learn with it, and serves all in one place.

    Source. H. Guo et al., PAL: A Position-bias Aware Learning Framework for CTR Prediction in Live Recommender Systems,
    RecSys 2019, https://doi.org/10.1145/3298689.3347033
    """
    examples = design.data.examples
    if not isinstance(examples, Logged):
        return
    made = _made(design)
    costs = "It is known only after the decision: a batch reads it from the log, and no request can bring it."
    yield from _named("data.examples.request", "among the columns of the request", examples.request, made, costs)
    for place, feature in enumerate(design.features):
        if isinstance(feature, (Given, Categories)):
            yield from _named(f"features[{place}].columns", "a feature", feature.columns, made, costs)


@rule("R303", "stop", sometimes="warn", about=of(Window))
def empty_window(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A window is no longer than its table is late.

    Why. A row counts from its event time plus the table's `available_after`. A window of the last hour over a table
    that comes a day later never holds a row: the feature is 0 for everybody. One that is half as late loses half of
    itself.

    Example.

        bt.Table("payments", time="at", available_after="1d")
        bt.Window("payments", by="customer", over=["1h", "7d"], values={"n": "count(*)"})

    Fix. Longer windows, or a stream that brings the rows sooner.

    Source. M. Zinkevich, Rules of Machine Learning, rule 8 (know the freshness requirements),
    https://developers.google.com/machine-learning/guides/rules-of-ml
    """
    for place, feature in enumerate(design.features):
        if not isinstance(feature, Window):
            continue
        late = microseconds(table_of(design, feature.table).available_after)
        for span in feature.over:
            if late and span != "all" and microseconds(span) < 2 * late:
                empty = microseconds(span) <= late
                lost = "never holds a row" if empty else f"lacks {late / microseconds(span):.0%} of itself"
                yield Claim(
                    f"features[{place}].over",
                    f"a window of {span} over {feature.table!r}, whose rows come {about(late)} after their event.",
                    f"It {lost}, in training and in serving.",
                    f'over=["{spelled(4 * late)}"], or a smaller available_after',
                    "stop" if empty else "warn",
                )


@rule(
    "R304",
    "warn",
    sometimes="stop",
    about=having(lambda design: any(getattr(one, "ttl", None) for one in design.features)),
)
def short_ttl(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A look-up forgets sooner than the windows beside it, or sooner than its table comes.

    Why. Past its time to live a value is null. Where a window over the same table and key looks back for 30 days, and
    the look-up for one, the two tell different stories of the same person; where rows come later than the time to live,
    the look-up is null for ever.

    Example.

        bt.Window("visits", by="customer", over=["30d"], values={"n": "count(*)"})
        bt.Lookup("visits", by="customer", columns=["channel"], ttl="1d")

    Fix. A `ttl` as long as the longest window, or none.

    Source. Feast documentation, Point-in-time joins (time to live),
    https://docs.feast.dev/getting-started/concepts/point-in-time-joins
    """
    for place, feature in enumerate(design.features):
        if not isinstance(feature, Lookup) or feature.ttl is None:
            continue
        ttl, late = microseconds(feature.ttl), microseconds(table_of(design, feature.table).available_after)
        longest = _longest(design, feature)
        if ttl <= late:
            yield Claim(
                f"features[{place}].ttl",
                f"rows of {feature.table!r} live for {feature.ttl}, and come {about(late)} after their event.",
                "Each is too old before it can be read: the look-up is null for everybody.",
                f'ttl="{spelled(4 * late)}", or none',
                "stop",
            )
        elif longest is not None and ttl < longest:
            yield Claim(
                f"features[{place}].ttl",
                f"rows of {feature.table!r} live for {feature.ttl}, and windows by the same key reach {about(longest)} "
                "back.",
                "People whom a window still knows are nobody to the look-up.",
                f'ttl="{spelled(longest)}", or none',
            )


@rule("R305", "warn")
def may_differ(design: Design, _: Seen | None) -> Iterator[Claim]:
    """Features are excused from being served as they were learnt.

    Why. A feature that only a batch can compute exactly is another one when it is served. Parity measures that, and a
    name under `approximate` tells it to look away: what the test promises then holds for the batch alone.

    Example.

        bt.Serving(path=[…], approximate=["user_distinct_queries_30d"])

    Fix. Leave the name out and let the gate speak; or give the window a `hop` that a store can keep.

    Source. M. Zinkevich, Rules of Machine Learning, rules 29 and 37 (training–serving skew),
    https://developers.google.com/machine-learning/guides/rules-of-ml
    """
    if names := list(design.serving.approximate):
        yield Claim(
            "serving.approximate",
            f"{listed([repr(name) for name in names])} may be served otherwise than learnt.",
            "The parity gate passes whatever they differ by, so that the test speaks of another system.",
            "leave approximate out",
        )


def _made(design: Design) -> list[str]:
    """Name the columns that come of the decision: the chance of a candidate, and its place."""
    known = getattr(design.data.examples, "propensity", None), getattr(design.data.position, "column", None)
    return [name for name in known if name is not None]


def _named(place: str, what: str, names: Sequence[str], wrong: Collection[str], costs: str) -> Iterator[Claim]:
    """Claim that some of the names of a list are wrong there, and give the list without them."""
    if told := [name for name in names if name in wrong]:
        left = [name for name in names if name not in wrong]
        fix = f"{place.rpartition('.')[2]}={json.dumps(left, ensure_ascii=False)}"
        yield Claim(place, f"{listed([repr(name) for name in told])} is {what}.", costs, fix)


def _taken(feature: Expression | Cross | TargetRate, known_with: Collection[str]) -> list[str]:
    """Name the columns of a feature that are known with the label alone."""
    try:
        return sorted(needs(feature) & set(known_with))
    except DesignError:  # what is no expression is refused with its place when the design is run
        return []


def _longest(design: Design, lookup: Lookup) -> int | None:
    """Give the longest window over the same table by the same key."""
    spans = [
        microseconds(span)
        for feature in design.features
        if isinstance(feature, Window) and (feature.table, feature.by) == (lookup.table, lookup.by)
        for span in feature.over
        if span != "all"
    ]
    return max(spans, default=None)


def _repeats(design: Design, window: Window, labels: Sequence[Label]) -> list[str]:
    """Name the labels that a window reads in another table, which has them before they are final."""
    table = table_of(design, window.table)
    soon = {
        label.name
        for label in labels
        if table.created is None and microseconds(table.available_after) < microseconds(label.matures_after)
    }
    return sorted(columns_read(window) & soon)


RULES = (knows_the_label, known_after_the_decision, empty_window, short_ttl, may_differ)
