"""A design for a log whose rows have a label: what was shown and clicked, what was decided and turned out bad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bottega.design.data import Data, Downsample, GroupSplit, Label, PositionFeature
from bottega.design.design import Design
from bottega.design.evaluation import Evaluation, Goal
from bottega.design.examples import Logged
from bottega.design.features import Window
from bottega.design.monitoring import Canary, Monitoring, Retrain, Shadow, Watch
from bottega.design.part import microseconds
from bottega.design.scope import Limits, Objective, Scope
from bottega.design.scorers import BoostedTrees, HistoricalRate, Logistic
from bottega.design.serving import Candidates, Rank, Serving, Show
from bottega.design.tables import Allowed, NotNull
from bottega.proposals.asking import MOST, Asked, asked_of
from bottega.proposals.left_out import about_table
from bottega.proposals.logged_features import features_of
from bottega.proposals.maturing import maturing_of
from bottega.proposals.meaning import direction, quantity_of, question_of
from bottega.proposals.proposal import Proposal, Seen
from bottega.proposals.retraining import again
from bottega.proposals.scale import experiment_of, traffic_of
from bottega.proposals.splitting import Split, final_of, split_of, tested

_RARE, _VERY_RARE, _LONG = 0.05, 0.02, 300_000  # shares of positives, and rows
_KEPT = 30  # negatives for a positive


def logged(seen: Seen, name: str, context: Sequence[str]) -> Proposal:
    """Propose a design for rows with labels.

    context: theirs, the columns of the request besides who asks; those that tell most come first where they are many,
    and the others follow.
    Errors: `DataError` for a table with too few columns.
    """
    asked = asked_of(seen, context)
    seen, candidate, request, each = asked.seen, asked.candidate, asked.request, asked.each
    roles, ours = seen.roles, seen.ours
    label, values = seen.columns[str(roles.label)], seen.columns[str(roles.label)].numbers[seen.known]
    rate, who = float(np.nanmean(values > 0)), seen.of("person")
    item, what, final = ours[candidate], ours[label.name], maturing_of(seen, label)
    features = features_of(seen, request, candidate, final.after, notes := {**_NOTES})
    split, notes["data.split"] = split_of(seen, values, roles.person, final.after)
    held = tested(seen, split, values, final.after)
    wide = 0.1 if held > 1000 else 0.25 if held > 100 else 0.5
    within = (1 - wide, round(1 / (1 - wide), 2))
    notes["evaluation.goals[1]"] = f"About {held:,} positives in the test tell no less than ±{wide:.0%} apart."
    notes["data.labels"] = " ".join(filter(None, [_marked(seen), final.why]))
    rare = rate < _RARE and each < 2
    primary = "pr_auc" if rare else "normalized_entropy"
    notes["evaluation.primary"] = (
        f"{rate:.2%} are positive: ROC-AUC would hardly move with what false alarms cost."
        if rare
        else f"What is decided hangs on the probability itself; {rate:.1%} of the rows are positive."
    )
    moved, better = quantity_of(what, seen.positive, asked.judged), direction(label.words, seen.positive)
    if better is None:
        notes["scope.objective"] = f"Whether more of {what} is better, its name does not tell: up is a guess."
    traffic = traffic_of(seen, each, notes)
    sampling = _sampling(rate, len(values), notes)
    few = [one for one in request if seen.columns[one].kind == "text" and seen.columns[one].distinct <= 8]
    rated = f"the rate of each {ours[asked.rated]}" if _comes_again(asked, split) else "the rate of all rows"
    notes["models.rank"] = f"The simplest first: {rated}, a line, trees."
    notes["data.examples"] = asked.about()
    every, drifts = again(seen, values, split, final.after)
    final_rate = float(np.nanmean(values[final_of(seen, microseconds(final.after))] > 0)) or rate
    experiment, silenced = experiment_of(moved, who or "request", traffic, (1 - final_rate) / final_rate)
    table = seen.table(
        [*request, candidate, label.name, *seen.of_itself, *([final.observed_at] if final.observed_at else [])],
        [
            NotNull([item]),
            *([Allowed(what, [0, 1])] if seen.positive is None and label.kind == "flag" and label.is_number else []),
        ],
        event_id=seen.of("event_id"),
        personal=seen.personal([*request, candidate]),
    )
    notes["data.tables[0]"] = about_table(seen, [*request, candidate, str(final.observed_at)])
    if not asked.named:
        notes["evaluation.unit"] = "Nobody is named who asks: each request stands for itself in the intervals."
    notes["serving.path[2]"] = f"A request of the table has {each:.1f} rows in the mean."
    cold = ["cold"] if any(isinstance(one, Window) and one.by == ours[request[0]] for one in features) else []
    design = Design(
        name=name,
        scope=Scope(
            question=question_of(what, seen.positive, asked.judged),
            objective=Objective(moved, better or "up"),
            traffic=traffic,
            limits=Limits(p99_ms=50),
        ),
        data=Data(
            tables=[table],
            examples=Logged(seen.name, [ours[one] for one in request], item, seen.of("propensity")),
            labels=[Label(what, seen.positive, final.after, final.observed_at and ours[final.observed_at])],
            split=split,
            sampling=sampling,
            position=None if roles.position is None else PositionFeature(str(seen.of("position"))),
        ),
        features=features,
        models={"rank": [HistoricalRate(by=ours[asked.rated]), Logistic(), _trees(len(values))]},
        evaluation=Evaluation(
            primary=primary,
            metrics=[one for one in ("roc_auc", "pr_auc", "log_loss", "normalized_entropy") if one != primary],
            slices=[*cold, *(ours[one] for one in few[:2])],
            unit=None if asked.named else "request",
            goals=[
                Goal(primary, above="HistoricalRate") if rare else Goal(primary, below="HistoricalRate"),
                Goal("predicted_over_observed", within=within),
            ],
            experiment=experiment,
        ),
        serving=Serving(
            path=[
                Candidates(at_most=max(100, round(2 * each))),
                Rank(budget_ms=20),
                Show(k=max(1, min(10, round(each / 2)))),
            ]
        ),
        monitoring=Monitoring(
            watches=[
                Watch("drift", at_most=0.2),
                Watch("predicted_over_observed", within=within),
                Watch(primary, at_least=round(rate, 4)) if rare else Watch(primary, at_most=1.0),
            ],
            retrain=Retrain(every, rollout=[Shadow(), Canary(0.05)]),
        ),
        silenced={**silenced, **drifts},
    )
    notes = {place: note for place, note in notes.items() if note}
    return Proposal(design, notes, _told(asked))


_NOTES = {"data.position": "Places differ in how often they are looked at: models see the place while they learn."}


def _marked(seen: Seen) -> str:
    """Say which value of a label counts as 1, and why."""
    if seen.marked is None or seen.positive is None:
        return ""
    other = f"bottega new --label {seen.roles.label}=VALUE says otherwise"
    return f"{seen.positive!r} counts as 1, all else as 0. {seen.marked.why}; {other}."


def _comes_again(asked: Asked, split: Split) -> bool:
    """Say whether what the simplest model rates by is met again in the test."""
    held_out = isinstance(split, GroupSplit) and asked.rated == asked.seen.roles.person
    return not held_out and not asked.seen.names_once(asked.rated)


def _sampling(rate: float, rows: int, notes: dict[str, str]) -> Downsample | None:
    if rate >= _VERY_RARE or rows <= _LONG:
        return None
    keep = max(0.05, round(_KEPT * rate / (1 - rate), 2))
    notes["data.sampling"] = (
        f"{rate:.2%} are positive: {keep:g} of the others are enough to learn from, and the probability is corrected."
    )
    return Downsample(keep)


def _trees(rows: int) -> BoostedTrees:
    return BoostedTrees(trees=200, leaves=31) if rows > 20_000 else BoostedTrees(trees=50, leaves=7)


def _told(asked: Asked) -> list[str]:
    others = asked.seen.roles.others
    if len(others) <= MOST:
        return []
    read = len(set(asked.request) & set(others))
    return [f"columns   of {len(others):,} others {read} are read: those that tell most alone, then the first"]
