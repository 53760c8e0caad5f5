"""A design for a log whose rows have a label: what was shown and clicked, what was decided and turned out bad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bottega.data.keys import combined
from bottega.design.data import Data, Downsample, Label, PositionFeature, TimeSplit
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
from bottega.errors import DataError
from bottega.proposals.columns import Column
from bottega.proposals.facts import DAY, HOUR, Log, span, span_in
from bottega.proposals.left_out import about_table
from bottega.proposals.logged_features import features_of
from bottega.proposals.meaning import direction, quantity_of, question_of
from bottega.proposals.proposal import Proposal, Seen
from bottega.proposals.scale import experiment_of, traffic_of
from bottega.proposals.splitting import Split, split_of, tested

MOST = 40  # columns of the request: of a table of a thousand those that tell most alone, then the first
_RARE, _VERY_RARE, _LONG = 0.05, 0.02, 300_000  # shares of positives, and rows
_PARTS_OF_A_LOG = 20  # of which the time until a label is final takes one at most, before validation and the test
_TOLD_ROOM = 3  # times as much, where the name of the label says it
_KEPT = 30  # negatives for a positive
_LATE = {"fraud": "7d", "chargeback": "30d", "default": "30d", "churn": "30d", "conver": "7d", "bought": "1d"}


def logged(seen: Seen, name: str, context: Sequence[str]) -> Proposal:
    """Propose a design for rows with labels.

    context: theirs, the columns of the request besides who asks; those that tell most come first where they are many,
    and the others follow.
    Errors: `DataError` for a table with too few columns.
    """
    seen, candidate, request = _asked(seen, context)
    roles, ours, log = seen.roles, seen.ours, seen.log
    label, values = seen.columns[str(roles.label)], seen.columns[str(roles.label)].numbers[seen.known]
    rate, each, who = float(np.nanmean(values > 0)), _rows_of_a_request(seen, request), seen.of("person")
    item, what = ours[candidate], ours[label.name]
    features = features_of(seen, request, candidate, notes := {**_NOTES})
    matures = _matures(seen, label)
    split, notes["data.split"] = split_of(seen, values, roles.person, matures)
    held = tested(seen, split, values, matures)
    wide = 0.1 if held > 1000 else 0.25 if held > 100 else 0.5
    within = (1 - wide, round(1 / (1 - wide), 2))
    notes["evaluation.goals[1]"] = f"About {held:,} positives in the test tell no less than ±{wide:.0%} apart."
    if said := _about_label(seen, matures):
        notes["data.labels"] = said
    rare = rate < _RARE and each < 2
    primary = "pr_auc" if rare else "normalized_entropy"
    notes["evaluation.primary"] = (
        f"{rate:.2%} are positive: ROC-AUC would hardly move with what false alarms cost."
        if rare
        else f"What is decided hangs on the probability itself; {rate:.1%} of the rows are positive."
    )
    moved, better = quantity_of(what, seen.positive, item), direction(label.words, seen.positive)
    if better is None:
        notes["scope.objective"] = f"Whether more of {what} is better, its name does not tell: up is a guess."
    traffic = traffic_of(seen, each, notes)
    sampling = _sampling(rate, len(values), notes)
    few = [one for one in request if seen.columns[one].kind == "text" and seen.columns[one].distinct <= 8]
    by = _rated_by(seen, candidate, request)
    notes["models.rank"] = f"The simplest first: the rate of each {ours[by]}, a line, trees."
    table = seen.table(
        [*request, candidate, label.name, *seen.of_itself],
        [
            NotNull([item]),
            *([Allowed(what, [0, 1])] if seen.positive is None and label.kind == "flag" and label.is_number else []),
        ],
        event_id=seen.of("event_id"),
        personal=seen.personal([*request, candidate]),
    )
    notes["data.tables[0]"] = about_table(seen, [*request, candidate])
    if request[0] != roles.person:
        notes["evaluation.unit"] = "Nobody is named who asks: each request stands for itself in the intervals."
    if request[0] != roles.person and not seen.columns[request[0]].is_category:
        notes["data.examples"] = f"Nobody is named: {ours[request[0]]} stands first, as an id, and is no feature."
    if seen.row is not None:
        named = "what is judged" if candidate == seen.row else "who asks"
        notes["data.examples"] = f"Nothing in the table names {named}: {seen.row} is the number of the row."
    notes["serving.path[2]"] = f"A request of the table has {each:.1f} rows in the mean."
    cold = ["cold"] if any(isinstance(one, Window) and one.by == ours[request[0]] for one in features) else []
    design = Design(
        name=name,
        scope=Scope(
            question=question_of(what, seen.positive, item),
            objective=Objective(moved, better or "up"),
            traffic=traffic,
            limits=Limits(p99_ms=50),
        ),
        data=Data(
            tables=[table],
            examples=Logged(seen.name, [ours[one] for one in request], item, seen.of("propensity")),
            labels=[Label(what, seen.positive, matures)],
            split=split,
            sampling=sampling,
            position=None if roles.position is None else PositionFeature(str(seen.of("position"))),
        ),
        features=features,
        models={"rank": [HistoricalRate(by=ours[by]), Logistic(), _trees(len(values))]},
        evaluation=Evaluation(
            primary=primary,
            metrics=[one for one in ("roc_auc", "pr_auc", "log_loss", "normalized_entropy") if one != primary],
            slices=[*cold, *(ours[one] for one in few[:2])],
            unit=None if request[0] == roles.person else "request",
            goals=[
                Goal(primary, above="HistoricalRate") if rare else Goal(primary, below="HistoricalRate"),
                Goal("predicted_over_observed", within=within),
            ],
            experiment=experiment_of(moved, who or "request", traffic, (1 - rate) / rate),
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
            retrain=Retrain(_again(log, split), rollout=[Shadow(), Canary(0.05)]),
        ),
    )
    return Proposal(design, notes, _told(seen, request))


_NOTES = {"data.position": "Places differ in how often they are looked at: models see the place while they learn."}


def _asked(seen: Seen, context: Sequence[str]) -> tuple[Seen, str, list[str]]:
    """Give what is judged, and the columns of the request: the first names who asks, and is read as an id.

    Judged is an item; else the row, by its id; else, in a log that names nobody, what comes again most; else the row by
    its number.
    """
    roles, known = seen.roles, list(context)
    names = [each for each in known if seen.columns[each].is_category]
    most = sorted(names, key=lambda each: -seen.columns[each].distinct)
    again = next(iter(most), None) if roles.time is not None and roles.person is None else None
    candidate = roles.item or roles.event_id or again
    if candidate is None:
        seen = seen.numbered()
        candidate = str(seen.row)
    rest = [each for each in known if each != candidate][:MOST]
    first = next((each for each in (roles.person, *names, roles.event_id) if each not in (None, candidate)), None)
    if first is None and seen.row is None and rest:
        seen = seen.numbered()
        first = str(seen.row)
    first = first or next(iter(rest[-1:]), None)
    told = any(each != first or seen.columns[each].is_category for each in rest) or not seen.names_once(candidate)
    if first is None or not told:
        found = f"too little beside {roles.label!r} and what names a row: {', '.join(known) or 'nothing'}"
        raise DataError(seen.name, found, "what is known before: a word or an id that comes again, or two numbers", "")
    return seen, candidate, [first, *(each for each in rest if each != first)]


def _rated_by(seen: Seen, candidate: str, request: Sequence[str]) -> str:
    """Give by which column the simplest model rates: the candidate, where it comes again, else the category that tells
    most."""
    if not seen.names_once(candidate):
        return candidate
    fit = [each for each in request if seen.columns[each].is_category and seen.columns[each].distinct <= seen.rows / 20]
    return max(fit, key=lambda each: seen.tells.get(each, 0.5), default=seen.roles.person or candidate)


def _matures(seen: Seen, label: Column) -> str:
    """Guess how long until a label is final: what its name says, `readmitted_30d`, or what is usual for one of that
    name, and no more than the log has room for."""
    if seen.log is None:
        return "0s"
    room = seen.log.days * DAY / _PARTS_OF_A_LOG
    if (told := span_in(label.words)) is not None and microseconds(told) <= room * _TOLD_ROOM:
        return told
    usual = next((late for word, late in _LATE.items() if word in "".join(label.words)), "1h")
    if microseconds(usual) <= room:
        return usual
    return span(room / DAY) if room >= HOUR else f"{max(1, round(room * 60 / HOUR))}min"


def _again(log: Log | None, split: Split) -> str:
    """Learn anew each week from a long log, each day from a short one, and as often as the test has shown a model to
    last."""
    usual = "7d" if log is None or log.days > 60 else "1d"
    return min(usual, split.test, key=microseconds) if isinstance(split, TimeSplit) else usual


def _about_label(seen: Seen, matures: str) -> str:
    by_name = span_in(seen.columns[str(seen.roles.label)].words) == matures
    guess = f"{matures}, as its name says" if by_name else f"not in the table: {matures} is a guess"
    said = "" if seen.log is None else f"How long until a label is final is {guess}."
    if seen.marked is None or seen.positive is None:
        return said
    other = f"bottega new --label {seen.roles.label}=VALUE says otherwise"
    return f"{seen.positive!r} counts as 1, all else as 0. {seen.marked.why}; {other}. {said}".strip()


def _rows_of_a_request(seen: Seen, request: Sequence[str]) -> float:
    """Give how many rows a request has in the mean: those with the same columns at the same time."""
    if seen.roles.time is None:
        return 1.0
    columns = [seen.columns[each] for each in (*request, seen.roles.time)]
    keys = combined((one.codes.astype(np.int32) + 1, one.distinct + 2) for one in columns)
    return float(len(keys) / max(1, len(np.unique(keys))))


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


def _told(seen: Seen, request: Sequence[str]) -> list[str]:
    if len(seen.roles.others) <= MOST:
        return []
    read = len(set(request) & set(seen.roles.others))
    return [
        f"columns   of {len(seen.roles.others):,} others {read} are read: those that tell most alone, then the first"
    ]
