"""Rules on step 7, monitoring, and on what a design silences: watches, learning again, and how a version comes in."""

from __future__ import annotations

from collections.abc import Iterator

from bottega.design.data import TimeSplit
from bottega.design.design import Design
from bottega.design.examples import Logged
from bottega.design.monitoring import Canary, Retrain, Shadow
from bottega.design.part import microseconds
from bottega.errors import DesignError, nearest
from bottega.metrics.names import FAMILIES, metric
from bottega.reviewing.finding import Claim
from bottega.reviewing.log_parts import fitting_test
from bottega.reviewing.looking import DAY, family, goals, percent, watch_of
from bottega.reviewing.rule import rule
from bottega.reviewing.seen import Seen
from bottega.reviewing.subjects import both, having, of

MOVED = 0.1
_FEW = 0.25  # share of all that may meet a version that nobody met before
_OTHERS = ("drift",)


@rule("R701", "warn", about=having(lambda design: design.evaluation.goals))
def goal_without_watch(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A goal is met on the day of the release, and nothing watches whether it stays so.

    Why. Models do not break, they fade. A promise about the order is watched by a metric of orders, one about
    probabilities by a metric of probabilities; drift of the features tells neither by itself.

    Example.

        goals=[bt.Goal("predicted_over_observed", within=(0.95, 1.05))]
        monitoring=bt.Monitoring(watches=[bt.Watch("drift", at_most=0.2)])

    Fix. `bt.Watch("predicted_over_observed", within=(0.9, 1.1))`

    Source. E. Breck et al., The ML Test Score: A Rubric for ML Production Readiness and Technical Debt Reduction, IEEE
    Big Data 2017 (monitoring tests); D. Sculley et al., Hidden Technical Debt in Machine Learning Systems, NeurIPS
    2015.
    """
    watched = {found.reads for watch in design.monitoring.watches if (found := family(watch.metric)) is not None}
    told: set[str] = set()
    for place, goal in goals(design):
        found = family(goal.metric)
        if found is None or found.reads in watched or found.reads in told:
            continue
        told.add(found.reads)
        yield Claim(
            place,
            f"{goal.metric} is promised, and no watch reads {'orders' if found.reads == 'order' else 'probabilities'}.",
            "It holds on the day of the release; when it stops to hold, nobody is told.",
            watch_of(design, goal.metric),
        )


@rule("R702", "stop", about=having(lambda design: design.monitoring.watches))
def unknown_watch(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A watch reads a metric that cannot be computed.

    Why. An alarm that never rings looks like a system without faults.

    Example.

        bt.Watch("accuracy", at_least=0.9)

    Fix. `drift`, or one of the metrics of evaluation: `pr_auc`, `log_loss`, `ndcg@10`, `predicted_over_observed`…

    Source. R. Ewaschuk, Monitoring Distributed Systems, in Site Reliability Engineering, O'Reilly 2016, chapter 6,
    https://sre.google/sre-book/monitoring-distributed-systems/
    """
    for place, watch in enumerate(design.monitoring.watches):
        if watch.metric in _OTHERS:
            continue
        try:
            metric(watch.metric)
        except DesignError as error:
            yield Claim(
                f"monitoring.watches[{place}].metric",
                f"{watch.metric!r} is nothing that can be computed.",
                "The watch never alarms, and looks as if all were well.",
                error.fix or nearest(watch.metric, [*FAMILIES, *_OTHERS]) or 'bt.Watch("drift", at_most=0.2)',
            )


@rule("R703", "warn", about=both(of(Retrain), of(TimeSplit)))
def older_than_tested(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """Models serve for longer than any test has looked.

    Why. A test of a week tells how good a model is up to a week after it learnt. One that serves for three months is
    judged by nothing for most of its life.

    Example.

        split=bt.TimeSplit(test="7d")
        retrain=bt.Retrain(every="90d")

    Fix. Learn again at least as often as the test is long, or test for as long as models serve, where the log is long
    enough for it.

    Source. E. Breck et al., The ML Test Score: A Rubric for ML Production Readiness and Technical Debt Reduction, IEEE
    Big Data 2017, test Model 4 (the impact of model staleness is known).
    """
    retrain, split = design.monitoring.retrain, design.data.split
    if retrain is None or not isinstance(split, TimeSplit) or split.test[4:5] == "-":
        return
    if microseconds(retrain.every) > microseconds(split.test):
        longer = fitting_test(design, seen, microseconds(retrain.every))
        yield Claim(
            "monitoring.retrain.every",
            f"models learn again every {retrain.every}, and the test is {split.test} long.",
            f"Whatever happens to them after {split.test} has never been measured.",
            f'every="{split.test}"' + (f", or {longer}" if longer else ""),
        )


@rule("R704", "warn", needs_data=True, about=both(of(Retrain), of(Logged)))
def slower_than_the_drift(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """The rate of the label moves faster than the design learns again.

    Why. A model keeps the rate that it learnt. Where the rate of the next span is a fifth higher, every probability is
    a fifth too low until it learns again.

    Example.

        retrain=bt.Retrain(every="30d")           # and from month to month the rate moves by 25 %

    Fix. Learn again more often, or let a calibrator follow: a watch on `predicted_over_observed` tells how long it
    holds.

    Source. J. Gama et al., A Survey on Concept Drift Adaptation, ACM Computing Surveys 46(4), 2014.
    """
    retrain, label = design.monitoring.retrain, design.data.labels[0]
    found = seen.labels.get(label.name) if seen is not None else None
    if retrain is None or found is None or found.moved is None or found.moved <= MOVED:
        return
    yield Claim(
        "monitoring.retrain.every",
        f"models learn again every {retrain.every}, and the rate of {label.name!r} moves faster.",
        f"From one such span to the next it moves by {percent(found.moved)} (measured, the median): so far off are "
        "probabilities before the next one is there.",
        f'every="{max(1, microseconds(retrain.every) // (4 * DAY))}d"',
    )


@rule("R705", "warn", about=of(Retrain))
def straight_to_everybody(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A new version goes to people without having been seen beside the old one.

    Why. A gate judges by a log. What a log cannot show, such as a slow feature, a null that only serving meets, or a
    model that people dislike, shows in a shadow, which nobody sees, and then in a canary, which few see: the first of
    them a quarter of all at most.

    Example.

        bt.Retrain(every="1d")
        bt.Retrain(every="1d", rollout=[bt.Canary(0.05)])

    Fix. `rollout=[bt.Shadow(), bt.Canary(0.05)]`

    Source. A. Warner and Š. Davidovič, Canarying Releases, in The Site Reliability Workbook, O'Reilly 2018, chapter 16,
    https://sre.google/workbook/canarying-releases/
    """
    retrain = design.monitoring.retrain
    if retrain is None:
        return
    if retrain.rollout and isinstance(retrain.rollout[0], Shadow):
        first = next(((place, step) for place, step in enumerate(retrain.rollout) if isinstance(step, Canary)), None)
        if first is not None and first[1].share > _FEW:
            steps = [*retrain.rollout[: first[0]], Canary(0.05), *retrain.rollout[first[0] :]]
            yield Claim(
                f"monitoring.retrain.rollout[{first[0]}]",
                f"the first people who meet a new version are {percent(first[1].share)} of all.",
                "A shadow shows no click: what people dislike, that many meet before anybody can tell.",
                f"rollout=[{', '.join(f'bt.{step!r}' for step in steps)}]",
            )
        return
    canary = next((step.share for step in retrain.rollout if isinstance(step, Canary)), 1.0)
    yield Claim(
        "monitoring.retrain" + (".rollout" if retrain.rollout else ""),
        "a version that was learnt anew answers people before it answered beside the old one.",
        f"A fault that the log does not show meets {percent(canary)} of all requests at once.",
        "rollout=[bt.Shadow(), bt.Canary(0.05)]",
    )


RULES = (goal_without_watch, unknown_watch, older_than_tested, slower_than_the_drift, straight_to_everybody)
