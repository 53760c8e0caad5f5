"""A design for a log whose rows have a label: what was shown and clicked, what was decided and turned out bad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bottega.data.keys import combined
from bottega.design.data import Data, Downsample, Label, PositionFeature
from bottega.design.design import Design
from bottega.design.evaluation import Evaluation, Goal
from bottega.design.examples import Logged
from bottega.design.monitoring import Canary, Monitoring, Retrain, Shadow, Watch
from bottega.design.scope import Limits, Objective, Scope
from bottega.design.scorers import BoostedTrees, HistoricalRate, Logistic
from bottega.design.serving import Candidates, Rank, Serving, Show
from bottega.design.tables import Allowed, NotNull
from bottega.errors import DataError
from bottega.proposals.logged_features import features_of
from bottega.proposals.proposal import Proposal, Seen
from bottega.proposals.scale import experiment_of, traffic_of
from bottega.proposals.splitting import split_of, tested

MOST = 40  # columns of the request: of a table of a thousand those that tell most alone
_RARE, _VERY_RARE, _LONG = 0.05, 0.02, 300_000  # shares of positives, and rows
_KEPT = 30  # negatives for a positive
_LATE = {"fraud": "7d", "chargeback": "30d", "default": "30d", "churn": "30d", "conver": "7d", "bought": "1d"}


def logged(seen: Seen, name: str, context: Sequence[str]) -> Proposal:
    """Propose a design for rows with labels.

    context: theirs, the columns of the request besides who asks; those that tell most come first where they are many.
    Errors: `DataError` for a table with too few columns.
    """
    roles, ours, log = seen.roles, seen.ours, seen.log
    label, values = seen.columns[str(roles.label)], seen.columns[str(roles.label)].numbers[seen.known]
    candidate, request = _asked(seen, context)
    rate, each, who = float(np.nanmean(values > 0)), _rows_of_a_request(seen, request), seen.of("person")
    notes = {"data.tables[0]": _about(seen), **_NOTES}
    item, what = ours[candidate], ours[label.name]
    features = features_of(seen, request, candidate, notes)
    split, notes["data.split"] = split_of(seen, values, roles.person)
    held = tested(seen, split, values)
    wide = 0.1 if held > 1000 else 0.25 if held > 100 else 0.5
    within = (1 - wide, round(1 / (1 - wide), 2))
    notes["evaluation.goals[1]"] = f"About {held:,} positives in the test tell no less than ±{wide:.0%} apart."
    matures = next((late for word, late in _LATE.items() if word in "".join(label.words)), "1h") if log else "0s"
    notes["data.labels"] = f"How long until a label is final is not in the table: {matures} is a guess."
    rare = rate < _RARE and each < 2
    primary = "pr_auc" if rare else "normalized_entropy"
    notes["evaluation.primary"] = (
        f"{rate:.2%} are positive: ROC-AUC would hardly move with what false alarms cost."
        if rare
        else f"What is decided hangs on the probability itself; {rate:.1%} of the rows are positive."
    )
    traffic = traffic_of(seen, each, notes)
    sampling = _sampling(rate, len(values), notes)
    few = [one for one in request if seen.columns[one].kind == "text" and seen.columns[one].distinct <= 8]
    table = seen.table(
        [*request, candidate, label.name, *seen.of_itself],
        [NotNull([item]), *([Allowed(what, [0, 1])] if label.kind == "flag" and label.is_number else [])],
        event_id=seen.of("event_id"),
        personal=seen.personal([*request, candidate]),
    )
    if request[0] != roles.person and not seen.columns[request[0]].is_category:
        notes["data.examples"] = f"Nobody is named: {ours[request[0]]} stands first, as an id, and is no feature."
    notes["serving.path[2]"] = f"A request of the table has {each:.1f} rows in the mean."
    design = Design(
        name=name,
        scope=Scope(
            question=f"How likely is {what} for this {item}?",
            objective=Objective(f"{what} a request", "down" if matures in ("7d", "30d") else "up"),
            traffic=traffic,
            limits=Limits(p99_ms=50),
        ),
        data=Data(
            tables=[table],
            examples=Logged(seen.name, [ours[one] for one in request], item, seen.of("propensity")),
            labels=[Label(what, matures_after=matures)],
            split=split,
            sampling=sampling,
            position=None if roles.position is None else PositionFeature(str(seen.of("position"))),
        ),
        features=features,
        models={"rank": [HistoricalRate(by=item), Logistic(), _trees(len(values))]},
        evaluation=Evaluation(
            primary=primary,
            metrics=[one for one in ("roc_auc", "pr_auc", "log_loss", "normalized_entropy") if one != primary],
            slices=[ours[one] for one in few[:2]],
            goals=[
                Goal(primary, above="HistoricalRate") if rare else Goal(primary, below="HistoricalRate"),
                Goal("predicted_over_observed", within=within),
            ],
            experiment=experiment_of(f"{what} a request", who or "request", traffic, (1 - rate) / rate),
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
            retrain=Retrain(every="7d" if log is None or log.days > 60 else "1d", rollout=[Shadow(), Canary(0.05)]),
        ),
    )
    return Proposal(design, notes, _told(seen, request))


_NOTES = {
    "data.position": "Places differ in how often they are looked at: models see the place while they learn.",
    "models.rank": "The simplest first: the rate of each candidate, a line, trees.",
}


def _asked(seen: Seen, context: Sequence[str]) -> tuple[str, list[str]]:
    """Give what is judged, and the columns of the request: the first names who asks, and is read as an id."""
    names = [each for each in context if seen.columns[each].is_category]
    most = sorted(names, key=lambda each: -seen.columns[each].distinct)
    candidate = seen.roles.item or next(iter(most), seen.roles.person)
    rest = [each for each in context if each != candidate][:MOST]
    may = (seen.roles.person, *(each for each in names if each in rest), *rest[-1:])
    first = next((each for each in may if each is not None and each != candidate), None)
    if candidate is None or first is None:
        found = (
            "no column that names what is judged"
            if candidate is None
            else f"nothing beside {candidate!r} and the label"
        )
        raise DataError(seen.name, found, "an id of an item, a shop, a card, and what is known of it", "--item NAME")
    return candidate, [first, *(each for each in rest if each != first)]


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


def _about(seen: Seen) -> str:
    """Say of the table what was left out of it, and why."""
    left = [f"{one.name} alone tells the label with a ROC-AUC of {one.auc:.3f}, by {one.how}" for one in seen.leaks]
    said = [f"Left out as known too well to be known before: {'; '.join(left)}."] if left else []
    if seen.roles.clocks:
        said.append(f"Left out as telling the time once more, and no day comes again: {', '.join(seen.roles.clocks)}.")
    return " ".join(said) or f"{seen.rows:,} rows, {len(seen.columns)} columns; no column alone knows the label."


def _told(seen: Seen, request: Sequence[str]) -> list[str]:
    if len(seen.roles.others) <= MOST:
        return []
    return [f"columns   of {len(seen.roles.others):,} others the {len(request)} that tell most alone are read"]
