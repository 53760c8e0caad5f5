"""Rules on step 5, evaluation: the metric, the goals, the slices, and what they promise."""

from __future__ import annotations

from collections.abc import Iterator

from bottega.design.design import Design
from bottega.design.examples import FromPositives, Logged
from bottega.design.features import Window
from bottega.design.serving import Auction, Decide, Rank, Retrieve, Score
from bottega.errors import several
from bottega.features.entities import by_columns
from bottega.reviewing.finding import Claim
from bottega.reviewing.looking import cut, family, goals, percent, shown, stages
from bottega.reviewing.rule import rule
from bottega.reviewing.seen import Seen
from bottega.reviewing.subjects import both, having, having_seen, of

_RARE = 0.05
_CHANCE = {"roc_auc": 0.5}
"""What one number said to everybody reaches, where that is not the end of the metric's range."""


@rule("R501", "warn", needs_data=True, about=both(of(Logged), having_seen(lambda seen: seen.labels)))
def flattering_metric(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """ROC-AUC is the goal, and positives are rare.

    Why. ROC-AUC counts the share of the negatives above a positive. Where one row in 250 is positive, a model may put
    ten wrong rows before each right one and still reach 0.98: the number hardly moves with what costs money. Accuracy
    is worse: saying no to everything has 99.6 %.

    Example.

        bt.Evaluation(primary="roc_auc", goals=[bt.Goal("roc_auc", at_least=0.9)])        # 0.4 % are positive

    Fix. `pr_auc`, `log_loss` or `normalized_entropy` as the primary metric; `roc_auc` may stand among the others.

    Source. T. Saito and M. Rehmsmeier, The Precision-Recall Plot Is More Informative than the ROC Plot When Evaluating
    Binary Classifiers on Imbalanced Datasets, PLOS ONE 10(3), 2015, https://doi.org/10.1371/journal.pone.0118432
    """
    found = seen.labels.get(design.data.labels[0].name) if seen is not None else None
    if seen is None or found is None or not 0 < found.rate < _RARE:
        return
    asked = [(place, goal.metric) for place, goal in goals(design)]
    named = [place for place, metric in asked if metric == "roc_auc"]
    primary = design.evaluation.primary == "roc_auc"
    if not primary and (not named or len(named) < len(asked)):
        return
    costs = "It hardly moves with what is wrong among the first rows."
    if {"roc_auc", "pr_auc"} <= seen.rates.keys():
        costs = (
            f"A model of rates alone reaches roc_auc {seen.rates['roc_auc']:.2f} here, where chance has 0.50, and "
            f"pr_auc {seen.rates['pr_auc']:.3f}, where chance has {found.rate:.3f} (measured): only the second says "
            "how much of what it puts on top is right."
        )
    yield Claim(
        "evaluation.primary" if primary else named[0],
        f"roc_auc is the {'primary metric' if primary else 'goal'}, and {percent(found.rate)} of "
        f"{several(found.rows, 'label')} are positive.",
        costs,
        'primary="pr_auc", or a goal of pr_auc or log_loss beside it',
    )


@rule("R502", "warn")
def no_quality_goal(design: Design, _: Seen | None) -> Iterator[Claim]:
    """No goal says how good the order or the probability has to be.

    Why. A release passes its gate where all goals are met. With none, everything passes; with goals of calibration
    alone, a model that says the same number to everybody passes.

    Example.

        bt.Evaluation(primary="ndcg@10", goals=[])

    Fix. `bt.Goal("ndcg@10", above="Popularity")`, which holds the champion against a baseline, or a limit.

    Source. E. Breck et al., The ML Test Score: A Rubric for ML Production Readiness and Technical Debt Reduction, IEEE
    Big Data 2017, test Infra 4 (model quality is validated before attempting to serve it).
    """
    asked = [goal.metric.partition("@")[0] for _, goal in goals(design)]
    if all(metric in ("predicted_over_observed", "ece", "ece_plain", "coverage", "gini") for metric in asked):
        found = "the design has no goal." if not asked else "every goal is one of calibration or of spread."
        yield Claim(
            "evaluation",
            found,
            "Every build is released, however bad." if not asked else "One number said to everybody would meet them.",
            f'bt.Goal("{design.evaluation.primary}", {_against(design)})',
        )


@rule("R503", "warn", about=having(lambda design: _lives_on_history(design)))
def no_cold_slice(design: Design, _: Seen | None) -> Iterator[Claim]:
    """People of whom little is known are not looked at by themselves.

    Why. Those who come often make most of the requests and of the mean. New people decide at their first answers
    whether they come again, and a model that lives on history is at its worst for them. The rule speaks where examples
    are made of what people took, and where candidates are shown to somebody of whose past a window tells.

    Example.

        bt.Evaluation(primary="ndcg@10", slices=["country"])

    Fix. `slices=["cold"]`, the people with at most five events before the request; or a goal with that slice.

    Source. A. Schein et al., Methods and Metrics for Cold-Start Recommendations, SIGIR 2002.
    """
    sliced = {*design.evaluation.slices, *(name for _, goal in goals(design) for name in goal.slices)}
    if _lives_on_history(design) and not sliced & {"cold", "interactions"}:
        yield Claim(
            "evaluation",
            "neither a goal nor a slice looks at people of whom little is known.",
            "Means are made by those who come often; how bad the first answers are stays unseen.",
            'slices=["cold"]',
        )


@rule("R504", "stop")
def metric_of_another_path(design: Design, _: Seen | None) -> Iterator[Claim]:
    """The primary metric is about something that the path does not do.

    Why. A champion is chosen by the primary metric. Lists say nothing about a path that scores single events and
    decides; coverage and inequality say nothing about whether anything is right.

    Example.

        bt.Evaluation(primary="ndcg@10")
        bt.Serving(path=[bt.Score(), bt.Decide(["approve", "block"], costs=…)])

    Fix. For events `pr_auc` or `log_loss`; for lists `ndcg@k`, k as many as are shown.

    Source. J. Herlocker et al., Evaluating Collaborative Filtering Recommender Systems, ACM Transactions on Information
    Systems 22(1), 2004.
    """
    primary = design.evaluation.primary
    found = family(primary)
    if found is None:
        return
    if found.kind == "list" or primary.partition("@")[0] == "predicted_over_observed":
        yield Claim(
            "evaluation.primary",
            f"champions are chosen by {primary}.",
            "It does not say whether anything is right: a rung that knows nothing may win.",
            'primary="ndcg@10", or "log_loss"',
        )
    elif found.kind == "ranking" and stages(design, Score, Decide) and not stages(design, Rank, Retrieve):
        yield Claim(
            "evaluation.primary",
            f"champions are chosen by {primary}, a metric of lists, and the path scores single events.",
            "There are no lists to judge.",
            'primary="pr_auc"',
        )


@rule("R505", "stop", about=of(Auction))
def uncalibrated_auction(design: Design, _: Seen | None) -> Iterator[Claim]:
    """An auction reads probabilities, and no goal holds them to what happens.

    Why. Slots go by bid times probability, and prices follow from it. Ten per cent too much for one kind of ad sells it
    the place of another one, and every price is wrong by as much.

    Example.

        bt.Evaluation(primary="roc_auc", goals=[bt.Goal("roc_auc", at_least=0.7)])
        bt.Serving(path=[bt.Candidates(), bt.Rank(), bt.Auction()])

    Fix. `bt.Goal("predicted_over_observed", within=(0.95, 1.05))`

    Source. H. B. McMahan et al., Ad Click Prediction: a View from the Trenches, KDD 2013.
    """
    held = {"predicted_over_observed", "ece", "ece_plain"} & {goal.metric for _, goal in goals(design)}
    for place, _stage in stages(design, Auction):
        if not held:
            yield Claim(
                place,
                "an auction multiplies bids with probabilities, and no goal is about their calibration.",
                "An over-estimate of 10 % shows the wrong ad and overcharges, and every gate passes.",
                'bt.Goal("predicted_over_observed", within=(0.95, 1.05))',
            )


@rule("R506", "warn", about=having(shown))
def reads_beyond_the_page(design: Design, _: Seen | None) -> Iterator[Claim]:
    """The primary metric reads more places than are shown.

    Why. What stands below the last place shown is seen by nobody. A model that is better there alone wins, and nobody
    gains.

    Example.

        bt.Evaluation(primary="ndcg@100")
        bt.Serving(path=[…, bt.Show(k=10)])

    Fix. A cut as wide as the page: `primary="ndcg@10"`.

    Source. K. Järvelin and J. Kekäläinen, Cumulated Gain-Based Evaluation of IR Techniques, ACM Transactions on
    Information Systems 20(4), 2002.
    """
    primary, last = design.evaluation.primary, shown(design)
    places, found = cut(primary), family(primary)
    if last is not None and places is not None and found is not None and found.kind == "ranking" and places > last[1]:
        yield Claim(
            "evaluation.primary",
            f"champions are chosen by {primary}, and {last[1]} are shown.",
            f"Places {last[1] + 1} to {places} decide, and nobody sees them.",
            f'primary="{primary.partition("@")[0]}@{last[1]}"',
        )


@rule("R507", "warn", about=having(lambda design: design.evaluation.goals))
def goal_that_everything_meets(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A goal has a limit that no model can miss.

    Why. A goal is a gate. ROC-AUC is 0.5 for a model that says the same to everybody, and a share lies between 0 and 1
    whatever happens: with such a limit the gate stands open, and looks shut.

    Example.

        bt.Goal("roc_auc", at_least=0.5)

    Fix. A limit above what a baseline reaches, or the baseline itself: `bt.Goal("roc_auc", above="HistoricalRate")`.

    Source. T. Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 27(8), 2006 (0.5 by chance).
    """
    for place, goal in goals(design):
        found = family(goal.metric)
        if found is None:
            continue
        least = _CHANCE.get(goal.metric, 0.0)
        low, high = goal.within or (goal.at_least, goal.at_most)
        limited = low is not None or high is not None
        if limited and (low is None or low <= least) and (high is None or high >= found.top):
            limits = [f"at {end} {bound:g}" for end, bound in (("least", low), ("most", high)) if bound is not None]
            yield Claim(
                place,
                f"{goal.metric} has to be {' and '.join(limits)}, which a model that says the same to everybody is.",
                "Every build passes it, and the scorecard shows a goal met.",
                f'bt.Goal("{goal.metric}", {_against(design, goal.metric)})',
            )


def _lives_on_history(design: Design) -> bool:
    """Say whether answers hang on what the one who asks did before."""
    examples = design.data.examples
    if isinstance(examples, FromPositives):
        return True
    if not isinstance(examples, Logged) or examples.candidate is None or design.evaluation.unit == "request":
        return False
    person = examples.request[0]
    return any(isinstance(feature, Window) and by_columns(feature.by) == (person,) for feature in design.features)


def _against(design: Design, metric: str = "") -> str:
    """Guess a limit: against the lowest rung of the ladder that the path ranks by."""
    found = family(metric or design.evaluation.primary)
    if found is not None and found.direction == "within":
        return "within=(0.9, 1.1)"
    side = "below" if found is not None and found.direction == "down" else "above"
    ladder = next(iter(design.models.values()))
    return f'{side}="{ladder[0].name or type(ladder[0]).__name__}"'


RULES = (
    flattering_metric, no_quality_goal, no_cold_slice, metric_of_another_path, uncalibrated_auction,
    reads_beyond_the_page, goal_that_everything_meets,
)  # fmt: skip
