"""Rules on step 4, models: the ladder, and what keeps probabilities and orders honest."""

from __future__ import annotations

from collections.abc import Iterator

from bottega.design.data import InversePropensity
from bottega.design.design import Design
from bottega.design.encoders import RawPixels
from bottega.design.examples import FromPositives, Judged, Logged
from bottega.design.features import Given
from bottega.design.models import rung_name
from bottega.design.retrievers import Newest, Popularity, Trending
from bottega.design.scorers import BoostedTrees, Fusion, HistoricalRate, Logistic
from bottega.design.serving import Nearest
from bottega.features.batch import score_name
from bottega.reviewing.finding import Claim
from bottega.reviewing.looking import asks_probability, judged, percent, rungs, stages
from bottega.reviewing.rule import rule
from bottega.reviewing.seen import Seen
from bottega.reviewing.subjects import both, having, of

_HEURISTICS = (HistoricalRate, Fusion, RawPixels, Popularity, Newest, Trending)
_UNEQUAL = 1.5  # times that the rate of the best place may be that of the last


@rule("R401", "warn", about=having(judged))
def one_rung(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A ladder has one rung: there is no baseline.

    Why. A number means something beside another one. With one model nobody knows whether a rate by item would have done
    as well, for a hundredth of the cost.

    Example.

        models={"rank": [bt.DCN()]}

    Fix. Put simpler ones before it: `[bt.HistoricalRate(by="item"), bt.Logistic(), bt.DCN()]`; of encoders of pictures
    `bt.RawPixels()`.

    Source. M. Ferrari Dacrema, P. Cremonesi and D. Jannach, Are We Really Making Much Progress? A Worrying Analysis of
    Recent Neural Recommendation Approaches, RecSys 2019, https://doi.org/10.1145/3298689.3347058
    """
    for ladder in dict.fromkeys(judged(design)):
        if len(design.models[ladder]) == 1:
            name = rung_name(design.models[ladder][0])
            yield Claim(
                f"models.{ladder}",
                f"the ladder {ladder!r} has one rung, {name}.",
                "Whether it is worth its cost cannot be seen: nothing stands beside it.",
                f"put {_heuristic(design, ladder)} before it",
            )


@rule("R402", "warn", about=having(judged))
def no_heuristic(design: Design, _: Seen | None) -> Iterator[Claim]:
    """The lowest rung learns already: there is no heuristic.

    Why. The first rung should be what a person would do without a model: the rate so far, the most popular, the words
    that match. It is the fallback, and the number that makes the others mean something.
    Numbers without a name, `Given()`, hold no heuristic that a design could write: there a linear model stands for it.

    Example.

        models={"rank": [bt.BoostedTrees(), bt.DCN()]}

    Fix. `bt.HistoricalRate(by="item")`, or for orders `bt.Fusion(over=["…"])`, as the first rung.

    Source. M. Zinkevich, Rules of Machine Learning, rules 1 and 4, https://developers.google.com/machine-learning/guides/rules-of-ml
    """
    nameless = all(isinstance(feature, Given) and not feature.columns for feature in design.features)
    for ladder in dict.fromkeys(judged(design)):
        first = design.models[ladder][0]
        if isinstance(first, _HEURISTICS) or (nameless and isinstance(first, Logistic)):
            continue
        if len(design.models[ladder]) > 1:  # one rung alone has a rule of its own
            yield Claim(
                f"models.{ladder}[0]",
                f"the lowest rung of {ladder!r} is {rung_name(first)}, which learns.",
                "What people would do without a model is not measured, so that nobody knows what models add to it.",
                f"put {_heuristic(design, ladder)} before it",
            )


@rule("R403", "warn", sometimes="stop")
def distorted_probability(design: Design, _: Seen | None) -> Iterator[Claim]:
    """Class weights or the focal loss, and no calibrator.

    Why. Both make a model look at rare or hard examples, and both move its probability away from the truth: a weight of
    w multiplies the odds by about w. Orders stay; prices, thresholds and expected values do not: the finding stops a
    run where a metric, a watch or a stage reads the score as a probability.

    Example.

        bt.DCN(loss="focal")
        bt.Logistic(positive_weight=20)

    Fix. `calibrate="platt"`, learnt on a slice of its own; or no weights.

    Source. N. Charoenphakdee et al., On Focal Loss for Class-Posterior Probability Estimation: A Theoretical
    Perspective, CVPR 2021; R. van den Goorbergh et al., The harm of class imbalance corrections for risk prediction
    models, Journal of the American Medical Informatics Association 29(9), 2022, https://doi.org/10.1093/jamia/ocac093
    """
    severity = "stop" if asks_probability(design) else "warn"
    for place, rung, name in rungs(design, *design.models):
        weight, focal = getattr(rung, "positive_weight", 1.0), getattr(rung, "loss", "") == "focal"
        if getattr(rung, "calibrate", None) is not None or (weight == 1 and not focal):
            continue
        what = "learns by the focal loss" if focal else f"counts a positive {weight:g} times"
        costs = (
            "Its probabilities are drawn towards one half." if focal else f"Its odds come out about {weight:g} times "
        )
        yield Claim(
            place,
            f"{name} {what}, and nothing calibrates it.",
            costs if focal else costs + ("too high." if weight > 1 else "as high as they should be."),
            'calibrate="platt"',
            severity,  # type: ignore[arg-type]
        )


@rule("R404", "stop", about=having(asks_probability))
def order_as_probability(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A probability is asked of a model that learns orders.

    Why. `lambdarank` learns which of two candidates stands higher, and its score has no unit. A log loss of it means
    nothing, and an auction that multiplies it with a bid sells at prices without a meaning.

    Example.

        models={"rank": [bt.HistoricalRate(by="ad"), bt.BoostedTrees(objective="lambdarank")]}
        bt.Evaluation(primary="log_loss")

    Fix. `objective="binary"`, or `calibrate="platt"`, or a primary metric of orders such as `ndcg@10`.

    Source. C. Burges, From RankNet to LambdaRank to LambdaMART: An Overview, Microsoft Research MSR-TR-2010-82, 2010.
    """
    if not asks_probability(design):
        return
    for place, rung, name in rungs(design, *dict.fromkeys(judged(design))):
        if isinstance(rung, BoostedTrees) and rung.objective == "lambdarank" and rung.calibrate is None:
            yield Claim(
                f"{place}.objective",
                f"{name} learns an order, and its score is read as a probability.",
                "Metrics, prices and limits that read it are numbers without a meaning.",
                'objective="binary", or calibrate="platt"',
            )


@rule("R405", "warn", about=of(InversePropensity))
def order_with_propensity(design: Design, _: Seen | None) -> Iterator[Claim]:
    """Clicks are weighed by their place, and every learner learns orders.

    Why. `lambdarank` takes the mean weight of each request alone, which hardly undoes what places bring. The weights
    work row by row: a ladder needs a rung that takes them so, to see what they are worth.

    Example.

        bt.Data(…, position=bt.InversePropensity("position"))
        models={"rank": [bt.HistoricalRate(by="doc"), bt.BoostedTrees(objective="lambdarank")]}

    Fix. `bt.BoostedTrees(name="Pointwise")` beside it, or `position=bt.PositionFeature("position")`.

    Source. T. Joachims, A. Swaminathan and T. Schnabel, Unbiased Learning-to-Rank with Biased Feedback, WSDM 2017.
    """
    if not isinstance(design.data.position, InversePropensity):
        return
    for ladder in dict.fromkeys(judged(design)):
        learners = [rung for rung in design.models[ladder] if not isinstance(rung, _HEURISTICS)]
        orders = [rung for rung in learners if getattr(rung, "objective", "") == "lambdarank"]
        if orders and len(orders) == len(learners):
            yield Claim(
                f"models.{ladder}",
                f"clicks are weighed by their place, and {rung_name(orders[0])} takes the mean of each request.",
                "What a place brings by itself stays in what is learnt, and no rung shows how much.",
                'bt.BoostedTrees(name="Pointwise") beside it',
            )


@rule(
    "R406",
    "warn",
    needs_data=True,
    about=both(of(Logged), lambda design, seen: bool(design.data.position or seen is None or seen.places)),
)
def place_left_in(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """Candidates were shown in places, and the place is not kept apart from how good they are.

    Why. What stands first is looked at, and clicked, because it stands first. Learnt from as it is, the log teaches the
    model to repeat the order that was there.

    Example.

        bt.Data(…, examples=bt.Logged("shown", request=["user"], candidate="item"))

    Fix. `position=bt.PositionFeature("position")` or `position=bt.InversePropensity("position")`

    Source. N. Craswell et al., An Experimental Comparison of Click Position-Bias Models, WSDM 2008.
    """
    found = seen.places if seen is not None else None
    if design.data.position is not None or not isinstance(design.data.examples, Logged) or found is None:
        return
    if found.first > _UNEQUAL * found.last > 0:
        yield Claim(
            "data",
            f"the log has a column {found.column!r}, and the design does not say what the place does.",
            f"In the first place {percent(found.first)} are positive, in the last {percent(found.last)}: a part of "
            "that is the place's own (measured).",
            f'position=bt.PositionFeature("{found.column}")',
        )


@rule("R407", "warn", about=both(of(FromPositives), having(lambda design: design.models.get("retrieve"))))
def nothing_for_strangers(design: Design, _: Seen | None) -> Iterator[Claim]:
    """No source of candidates knows what to show to a stranger.

    Why. Sources that go by a person's history have nothing for one without. Who comes for the first time then gets an
    empty list, on the visit that decides whether there is a second.

    Example.

        models={"retrieve": [bt.CoPurchase(), bt.Factorization()]}

    Fix. `bt.Popularity()`, `bt.Trending()` or `bt.Newest()` among the sources.

    Source. A. Schein et al., Methods and Metrics for Cold-Start Recommendations, SIGIR 2002.
    """
    sources = design.models.get("retrieve", ())
    if not isinstance(design.data.examples, FromPositives) or not sources:
        return
    if not any(isinstance(source, (Popularity, Trending, Newest)) for source in sources):
        yield Claim(
            "models.retrieve",
            f"every source ({', '.join(map(rung_name, sources))}) goes by what a person did before.",
            "Who is new, and who is known by nothing yet, gets no list.",
            "bt.Popularity() among them",
        )


def _heuristic(design: Design, ladder: str) -> str:
    """Guess a first rung: raw pixels for pictures, a retriever's order for judged pairs, else the rate so far."""
    examples = design.data.examples
    if ladder in [stage.encoder for _, stage in stages(design, Nearest)]:
        return "bt.RawPixels()"
    if isinstance(examples, Judged) and (sources := design.models.get("retrieve")):
        return f'bt.Fusion(over=["{score_name(rung_name(sources[0]))}"])'
    named = getattr(examples, "candidate", None) or next(iter(getattr(examples, "request", ())), "item")
    return f'bt.HistoricalRate(by="{named}")'


RULES = (
    one_rung, no_heuristic, distorted_probability, order_as_probability, order_with_propensity, place_left_in,
    nothing_for_strangers,
)  # fmt: skip
