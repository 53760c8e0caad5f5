"""A design for a log of positives: who took what, and when; what nobody took is not in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bottega.design.data import Data, Label, TimeSplit
from bottega.design.design import Design
from bottega.design.evaluation import Evaluation, Goal
from bottega.design.examples import Cuts, Each, FromPositives, Retrieved
from bottega.design.monitoring import Canary, Monitoring, Retrain, Shadow, Watch
from bottega.design.part import microseconds
from bottega.design.reranking import Explore
from bottega.design.scope import Limits, Objective, Scope
from bottega.design.scorers import BoostedTrees, Fusion, HistoricalRate, Logistic
from bottega.design.serving import Rank, Retrieve, Serving, Show
from bottega.design.tables import NotNull, Range
from bottega.errors import DataError, several
from bottega.proposals.chance import by_popularity, by_trend
from bottega.proposals.columns import Column
from bottega.proposals.facts import DAY, span
from bottega.proposals.left_out import about_table
from bottega.proposals.meaning import noun, nouns
from bottega.proposals.positives_features import HALF_LIFE, features_of, sources_of
from bottega.proposals.proposal import Proposal, Seen
from bottega.proposals.scale import experiment_of, traffic_of
from bottega.proposals.taken import Taken, taken_of

_PIECES = {"quantity", "qty", "pieces", "units", "count", "amount", "menge", "cantidad"}
_RETURNED = 0.3  # of the rows at most
_LIKED = 0.75  # of the way from the lowest to the highest points
_SHOWN, _LIST = (10, 20), 300  # places of a feed and of a shop; candidates that are ranked
_ROOM = 60  # candidates for 20 places, where there are as many; else two of three
_NOTES = {
    "models.rank": "The simplest first.",
    "evaluation.goals[0]": "What learns must be better than what does not.",
}


def positives(seen: Seen, name: str) -> Proposal:
    """Propose a design for a log of who took what. Errors: `DataError` for one of fewer than two days."""
    log, roles = seen.log, seen.roles
    if log is None or log.days < 2:
        found = f"a log of {24 * (0.0 if log is None else log.days):.0f} hours"
        raise DataError(seen.name, found, "two days: one to learn from, and one for the test", "a longer table")
    who, item = (str(seen.of(role)) for role in ("person", "item"))
    taken, notes = taken_of(seen), dict(_NOTES)
    where, label = _liked(seen, notes)
    moved = f"{nouns(item)} {label} per {noun(who)}"
    things = seen.columns[str(roles.item)].distinct
    listed = max(1, min(_LIST, max(things // 3, min(_ROOM, 2 * things // 3))))
    traffic = traffic_of(seen, listed, notes)
    k, first = (_SHOWN[0], "Newest") if taken.feed else (_SHOWN[1], "Popularity")
    k = next((one for one in (20, 10, 5, 3, 2, 1) if one <= k and 3 * one <= listed), 1)
    examples, split, matures = _examples(seen, taken, log.gap, where, notes)
    sources, features = sources_of(seen, taken, notes), features_of(seen, taken, notes)
    unseen = None if taken.repeats or taken.feed else f"coalesce({who}_{item}_times_all, 0) = 0"
    if unseen is not None:
        notes["serving.path[0]"] = f"Only {taken.again:.1%} of the rows take something again: it is not shown again."
    experiment, silenced = experiment_of(moved, who, traffic)
    least = _least(seen, split, k, taken.feed)
    best = "What rises quickest at the moment" if taken.feed else "What was most popular before"
    notes["monitoring.watches[1]"] = f"{best} has {least:g} on this table: under it a path adds nothing."
    numbers = [one for one in roles.others if seen.columns[one].kind in ("number", "whole")]
    returned = [one for one in numbers if _has_returns(seen.columns[one])]
    more = [one for one in (taken.text, taken.trait) if one is not None]
    read = [str(roles.person), str(roles.item), *numbers, *more]
    notes["data.tables[0]"] = _about(seen, read)
    if returned:
        said = f"Rows whose {' or '.join(returned)} is not above 0 took nothing: returns, and what was cancelled."
        notes["data.tables[0]"] += f" {said}"
    ends = Fusion(over=["gravity"], name="Gravity") if taken.feed else HistoricalRate(by=item)
    trees = BoostedTrees(objective="lambdarank", trees=100, min_leaf=max(5, min(100, seen.rows // 500)))
    design = Design(
        name=name,
        scope=Scope(
            question=f"Which {f'{k} {nouns(item)}' if k > 1 else noun(item)} do we show this {noun(who)} next?",
            objective=Objective(moved),
            traffic=traffic,
            limits=Limits(p99_ms=50),
            assumptions=["What was shown and not taken is not in the table: others that were there stand for it."],
        ),
        data=Data(
            tables=[
                seen.table(
                    [*seen.of_itself, *read],
                    [NotNull([who, item]), *(Range(seen.ours[one], above=0) for one in returned)],
                    event_id=seen.of("event_id"),
                    personal=seen.personal([str(roles.person)]),
                )
            ],
            examples=examples,
            labels=[Label(label, matures_after=matures)],
            split=split,
        ),
        features=features,
        models={"retrieve": sources, "rank": [ends, *([] if taken.feed else [Logistic()]), trees]},
        evaluation=Evaluation(
            primary=f"ndcg@{k}",
            metrics=[f"recall@{k}", "mrr", f"coverage@{k}"],
            slices=["cold"],
            goals=[Goal(f"ndcg@{k}", above=first)],
            experiment=experiment,
        ),
        serving=Serving(
            path=[
                Retrieve(k=listed, where=unseen),
                Rank(budget_ms=25),
                Explore(epsilon=0.01, pool=min(50, listed)),
                Show(k=k),
            ]
        ),
        monitoring=Monitoring(
            watches=[Watch("drift", at_most=0.3), Watch(f"ndcg@{k}", at_least=least, every="7d")],
            retrain=Retrain("1d" if taken.feed else _again(split), rollout=[Shadow(), Canary(0.05)]),
        ),
        silenced=silenced,
    )
    return Proposal(design, notes, [])


def _has_returns(column: Column) -> bool:
    """Say whether a column counts pieces, a few of them taken back."""
    return bool(_PIECES & set(column.words)) and 0 < float((column.numbers <= 0).mean()) < _RETURNED


def _least(seen: Seen, split: TimeSplit, k: int, feed: bool) -> float:
    """Give under which quality one list for all would do as well: of what is popular, in a feed of what rises."""
    person, item, time = (seen.columns[str(getattr(seen.roles, role))] for role in ("person", "item", "time"))
    long, rows = microseconds(split.test), seen.known
    if seen.roles.rating is not None:
        points = seen.columns[seen.roles.rating]
        rows = rows[points.numbers[rows] >= _liked_from(points)]
    people, items, at = person.codes[rows], item.codes[rows], time.time[rows]
    if feed:
        found = by_trend(people, items, at, microseconds(HALF_LIFE), k, int(at.max(initial=0) - long))
    else:
        found = by_popularity(people, items, at, long / DAY, k)
    return max(0.001, round(found, 3))


def _again(split: TimeSplit) -> str:
    """Learn anew each week, or as often as the test has shown how long a model lasts."""
    return min("7d", split.test, key=microseconds)


def _examples(
    seen: Seen, taken: Taken, gap: float | None, where: str | None, notes: dict[str, str]
) -> tuple[FromPositives, TimeSplit, str]:
    who, item, days = str(seen.of("person")), str(seen.of("item")), taken.days
    notes["data.split"] = f"In time: the log has {days:,.0f} days."
    if taken.feed:
        part = span(days * 0.15)
        notes["data.examples"] = (
            f"Half of the takings come within {taken.lives:.1f} days of the first: each is a request at its own time."
        )
        each = Each(train=span(days / 2), warm_up=span(max(1.0, days / 20)))
        examples = FromPositives(
            seen.name, [who], item, "0s", each, Retrieved(negatives=40), newcomers=True, where=where
        )
        return examples, TimeSplit(test=part, validate=part, at_most=0.5), "0s"
    horizon = span(min(max(1.0, 2 * (gap or 7.0)), days / 7, 30.0))
    again = (
        "nobody comes twice" if gap is None else f"who comes is there again after {several(gap, 'day')} in the median"
    )
    notes["data.examples"] = f"{again.capitalize()}: what is taken within {horizon} counts."
    slices = int(max(1, min(4, days * DAY / microseconds(horizon) / 2 - 2)))
    return FromPositives(seen.name, [who], item, horizon, Cuts(slices=slices), where=where), TimeSplit(horizon), horizon


def _liked(seen: Seen, notes: dict[str, str]) -> tuple[str | None, str]:
    """Give the condition of what counts as positive, where there are points, and the name of the label."""
    if seen.roles.rating is not None:
        column = seen.columns[seen.roles.rating]
        low, high = float(np.nanmin(column.numbers)), float(np.nanmax(column.numbers))
        least = _liked_from(column)
        share = float(np.nanmean(column.numbers >= least))
        notes["data.labels"] = (
            f"Points go from {low:g} to {high:g}: from {least:g} on, {share:.0%} of the rows, it is liked."
        )
        return f"{seen.of('rating')} >= {least:g}", "liked"
    if seen.roles.kind is not None:
        kinds = [str(one) for one in seen.columns[seen.roles.kind].values.unique().to_pylist() if one is not None]
        notes["data.labels"] = (
            f"Every row counts as taken. {seen.roles.kind} is one of {', '.join(kinds[:6])}: for a label of its own "
            f"bt.Label(name, when=\"{seen.of('kind')} = '{kinds[0]}'\")."
        )
    return None, "taken"


def _liked_from(column: Column) -> float:
    low, high = float(np.nanmin(column.numbers)), float(np.nanmax(column.numbers))
    return low + _LIKED * (high - low)


def _about(seen: Seen, used: Sequence[str]) -> str:
    gaps = [seen.columns[str(getattr(seen.roles, role))] for role in ("person", "item")]
    said = [f"{one.gaps:,} have no {one.name}" for one in gaps if one.gaps]
    gone = f" {' and '.join(said)}: they are put in quarantine." if said else ""
    others = "because they are neither who, what or when, nor numbers"
    return about_table(seen, used, "because they do not describe what is taken", others) + gone
