"""Rules on step 6, serving: how wide the path is, what it shows, and what it learns from that."""

from __future__ import annotations

from collections.abc import Iterator

from bottega.design.design import Design
from bottega.design.examples import FromPositives
from bottega.design.models import Model, rung_name
from bottega.design.monitoring import Retrain
from bottega.design.reranking import Explore, Quota
from bottega.design.serving import Auction, Candidates, Retrieve, Show
from bottega.errors import several
from bottega.reviewing.finding import Claim
from bottega.reviewing.looking import shown, stages
from bottega.reviewing.rule import rule
from bottega.reviewing.seen import Seen
from bottega.reviewing.subjects import both, having, having_seen, of


@rule("R603", "stop", about=both(of(Retrieve, Candidates), of(Show, Auction)))
def narrower_than_the_page(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """Fewer candidates come than are shown.

    Why. The page is filled from what was retrieved, or from what a request may bring. With 10 candidates for 20 places,
    half of it stays empty, and ranking has nothing to choose from.

    Example.

        path=[bt.Retrieve(k=10), bt.Rank(), bt.Show(k=20)]

    Fix. `bt.Retrieve(k=300)`, and sources that find as many; of a catalogue that was looked at half of it at most. Of
    a page that is larger than the catalogue another rule speaks.

    Source. Elasticsearch documentation, kNN retriever: `k` must not exceed `num_candidates`,
    https://www.elastic.co/docs/reference/elasticsearch/rest-apis/retrievers/knn-retriever
    """
    last, catalogue = _places(design), _catalogue(seen)
    if last is not None and catalogue is not None and _beyond(design, last[1], catalogue):
        last = None  # R604 says that no number of candidates fills so many places
    for place, stage in stages(design, Candidates):
        if last is not None and stage.at_most < last[1]:
            told = f"a request may bring {several(stage.at_most, 'candidate')}, for {several(last[1], 'place')}."
            fix = f"at_most={_wide(design, catalogue)}"
            yield Claim(f"{place}.at_most", told, _empty(last[1], stage.at_most), fix)
    for place, stage in stages(design, Show):
        if stage.k > stage.at_most:
            yield Claim(
                f"{place}.k",
                f"{several(stage.k, 'place')} are shown, and at most {stage.at_most:,} may be asked for.",
                f"Every answer that names no number is cut to {stage.at_most:,}, and says so.",
                f"k={stage.at_most}",
            )
    for place, stage in stages(design, Retrieve):
        found = sum(getattr(rung, "k", 0) + getattr(rung, "unseen", 0) for rung in _sources(design))
        for field, by, width in (
            (f"{place}.k", "the stage keeps", stage.k),
            ("models.retrieve[0].k", "all sources together find", found),
        ):
            if last is not None and width < last[1]:
                told = f"{by} {several(width, 'candidate')}, for {several(last[1], 'place')}."
                yield Claim(field, told, _empty(last[1], width), f"k={_wide(design, catalogue)}")


@rule("R604", "warn", needs_data=True, about=having_seen(lambda seen: seen.catalogue))
def wider_than_the_catalogue(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """More candidates are asked for, or shown, than there are.

    Why. A retrieval that returns the whole catalogue retrieves nothing: recall is 1 whatever it does, and ranking pays
    for every item. A page with more places than there are candidates is never full. It is mostly a slip, or the data
    are a sample.

    Example.

        path=[bt.Retrieve(k=500), …]                   # of 300 items

    Fix. Ten candidates for each place, and half the catalogue at most; or `bt.Candidates()` where it is small enough to
    rank whole.

    Source. C. D. Manning, P. Raghavan and H. Schütze, Introduction to Information Retrieval, Cambridge University Press
    2008, section 8.3 (whoever retrieves everything has a recall of 1), https://nlp.stanford.edu/IR-book/
    """
    catalogue = _catalogue(seen)
    if catalogue is None:
        return
    last = _places(design)
    if last is not None and _beyond(design, last[1], catalogue):
        yield Claim(
            last[0],
            f"{several(last[1], 'place')} are shown, and the catalogue has {several(catalogue, 'candidate')}.",
            "All of it is shown, and nothing is chosen." if last[1] <= catalogue else _empty(last[1], catalogue),
            f"{last[0].rpartition('.')[2]}={_fewer(catalogue)}",
        )
    for place, stage in stages(design, Retrieve):
        if stage.k >= catalogue:
            width = max(_wide(design, catalogue), sum(stage.quotas.values()))
            yield Claim(
                f"{place}.k",
                f"a request keeps {several(stage.k, 'candidate')}, and the catalogue has {catalogue:,}.",
                "Everything is retrieved: recall is 1 whatever the sources do, and nothing is learnt about them.",
                f"k={width}" if width < catalogue else "rank all of so small a catalogue: bt.Candidates()",
            )


@rule("R606", "stop")
def nothing_logged(design: Design, _: Seen | None) -> Iterator[Claim]:
    """Decisions are not logged, and something has to read them.

    Why. Exploration is worth its price only through the chances that are logged with it; watches, off-policy estimates
    and the next training set are read from the same log.

    Example.

        bt.Serving(path=[…, bt.Explore(), bt.Show()], log=False)

    Fix. Leave `log=False` out.

    Source. L. Bottou et al., Counterfactual Reasoning and Learning Systems: The Example of Computational Advertising,
    Journal of Machine Learning Research 14, 2013.
    """
    if design.serving.log:
        return
    explores = stages(design, Explore)
    if explores or design.monitoring.watches or design.monitoring.retrain is not None:
        reader = "exploration" if explores else "watching" if design.monitoring.watches else "learning again"
        yield Claim(
            "serving.log",
            f"decisions are not logged, and {reader} lives on that log.",
            "What was shown, and with which chance, is lost: nothing can be judged or learnt from it.",
            "leave log=False out",
        )


@rule("R607", "warn", about=both(of(FromPositives), of(Retrieve), of(Retrain)))
def closed_loop(design: Design, _: Seen | None) -> Iterator[Claim]:
    """The design learns again from what it showed, and never shows anything else.

    Why. What is retrieved is seen, what is seen is taken, and what is taken is retrieved again. Without a little
    exploration the log narrows with each round, and no later model can know what was missed.

    The rule speaks where the path itself retrieves; where a request brings its candidates, others choose them.

    Example.

        path=[bt.Retrieve(), bt.Rank(), bt.Show()]
        retrain=bt.Retrain(every="1d")

    Fix. `bt.Explore(epsilon=0.01)` before `Show()`: one place in a hundred, with its chance in the log.

    Source. A. Chaney, B. Stewart and B. Engelhardt, How Algorithmic Confounding in Recommendation Systems Increases
    Homogeneity and Decreases Utility, RecSys 2018, https://doi.org/10.1145/3240323.3240370
    """
    learns = design.monitoring.retrain is not None and isinstance(design.data.examples, FromPositives)
    if learns and stages(design, Retrieve) and not stages(design, Explore):
        yield Claim(
            "serving.path",
            "the design learns again from its own lists, and explores nothing.",
            "Each round knows only what the round before showed: the catalogue narrows, and new items stay unknown.",
            "put bt.Explore(epsilon=0.01, pool=60) before bt.Show()",
        )


@rule(
    "R608",
    "warn",
    about=having(lambda design: stages(design, Quota) or any(stage.quotas for _, stage in stages(design, Retrieve))),
)
def quota_beyond_reach(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A quota asks for more than there is room for.

    Why. Quotas of one list share its places. Where they ask for more together than there are, or for places that nobody
    is shown, they cannot be met; a quota of a source beyond what it finds cannot either.

    Example.

        path=[…, bt.Quota(where="age < 24", at_least=6), bt.Quota(where="owned", at_least=6), bt.Show(k=10)]

    Fix. Smaller quotas, or `first=` as many as are shown.

    Source. L. E. Celis, D. Straszak and N. K. Vishnoi, Ranking with Fairness Constraints, ICALP 2018.
    """
    last = shown(design)
    asked: dict[int, int] = {}
    for place, stage in stages(design, Quota):
        asked[stage.first] = asked.get(stage.first, 0) + (stage.at_least or 0)
        if asked[stage.first] > stage.first:
            yield Claim(
                f"{place}.at_least",
                f"quotas ask for {asked[stage.first]} of the first {stage.first} places.",
                "They cannot all be met: whichever is written last is missed in every answer.",
                "smaller quotas",
            )
        elif last is not None and stage.at_least and stage.first > last[1]:
            yield Claim(
                f"{place}.first",
                f"a quota counts the first {stage.first} places, and {last[1]} are shown.",
                "What it lifts may stand below the last place that anybody sees.",
                f"first={last[1]}",
            )
    finds = {rung_name(rung): getattr(rung, "k", 0) + getattr(rung, "unseen", 0) for rung in _sources(design)}
    for place, stage in stages(design, Retrieve):
        for name, number in stage.quotas.items():
            if number > finds.get(name, number):
                yield Claim(
                    f"{place}.quotas",
                    f"a quota keeps {several(number, 'candidate')} of {name}, and it finds {finds[name]:,}.",
                    "The quota is never met.",
                    f'quotas={{"{name}": {finds[name]}}}',
                )


def _places(design: Design) -> tuple[str, int] | None:
    """Give the field of the path that says how many places there are, shown or sold, and how many."""
    sold = next(((f"{place}.slots", stage.slots) for place, stage in stages(design, Auction)), None)
    last = shown(design)
    return sold or (None if last is None else (f"{last[0]}.k", last[1]))


def _catalogue(seen: Seen | None) -> int | None:
    return (seen.catalogue or None) if seen is not None else None  # of no candidate at all another rule speaks


def _beyond(design: Design, places: int, catalogue: int) -> bool:
    """Say whether there are more places than can be filled; one that retrieves leaves something behind."""
    return places > catalogue - bool(stages(design, Retrieve))


def _fewer(catalogue: int) -> int:
    """Give a number of places that a catalogue fills twice."""
    return max(1, min(Show().k, catalogue // 2))


def _wide(design: Design, catalogue: int | None) -> int:
    """Give how many candidates suit the places: ten for each, half the catalogue at most, and no fewer than places."""
    last = _places(design)
    if last is None:
        return max(1, (catalogue or 0) // 10)
    places = last[1]
    if catalogue is None:
        return 10 * places
    if _beyond(design, places, catalogue):
        places = _fewer(catalogue)
    return max(places, min(10 * places, catalogue // 2))


def _empty(places: int, filled: int) -> str:
    """Say how many places stay empty.

    >>> _empty(20, 19)
    'Of 20 places 1 stays empty, and ranking has nothing to choose from.'
    """
    left = places - filled
    stay = "stays" if left == 1 else "stay"
    return f"Of {places:,} places {left:,} {stay} empty, and ranking has nothing to choose from."


def _sources(design: Design) -> list[Model]:
    return list(design.models.get("retrieve", ()))


RULES = (narrower_than_the_page, wider_than_the_catalogue, nothing_logged, closed_loop, quota_beyond_reach)
