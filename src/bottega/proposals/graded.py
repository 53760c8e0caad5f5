"""A design for rows that are candidates of a query, with numbers of each and a grade: learning to rank."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bottega.design.data import Data, Label
from bottega.design.design import Design
from bottega.design.evaluation import Evaluation, Goal
from bottega.design.examples import Logged
from bottega.design.features import Given
from bottega.design.monitoring import Canary, Monitoring, Retrain, Shadow, Watch
from bottega.design.scope import Limits, Objective, Scope
from bottega.design.scorers import BoostedTrees, HistoricalRate, Logistic
from bottega.design.serving import Candidates, Rank, Serving, Show
from bottega.design.tables import NotNull
from bottega.proposals.proposal import Proposal, Seen
from bottega.proposals.scale import experiment_of, traffic_of
from bottega.proposals.splitting import split_of

_FEWEST = 2.0  # rows of a query, in the mean


def is_graded(seen: Seen) -> bool:
    """Say whether rows belong to queries, each with several candidates that have a name."""
    query = seen.roles.query
    return (
        query is not None
        and seen.roles.item is not None
        and seen.columns[query].rows >= _FEWEST * max(1, seen.columns[query].distinct)
    )


def graded(seen: Seen, name: str, numbers: Sequence[str]) -> Proposal:
    """Propose a design for grades of candidates of a query.

    numbers: theirs, the columns that a search engine sends with each candidate.
    """
    ours, roles = seen.ours, seen.roles
    query, item, label = (ours[str(each)] for each in (roles.query, roles.item, roles.label))
    each = seen.rows / max(1, seen.columns[str(roles.query)].distinct)
    values = seen.columns[str(roles.label)].numbers[seen.known]
    split, why = split_of(seen, values, str(roles.query))
    whole = not seen.leaks and not roles.clocks and roles.position is None
    notes = {
        "data.tables[0]": f"{seen.rows:,} rows, {each:.0f} of a query in the mean; {np.nanmean(values > 0):.0%} right.",
        "data.split": why,
        "features[0]": "The numbers come with each candidate, as the search engine has them.",
        "models.rank": "A line, then trees that learn the order of a list.",
    }
    traffic = traffic_of(seen, each, notes)
    k = int(max(1, min(10, each // 2)))
    used = [str(roles.query), str(roles.item), str(roles.label), *seen.of_itself, *numbers]
    table = seen.table(used, [NotNull([query, item])])
    design = Design(
        name=name,
        scope=Scope(
            question=f"In which order do we show {item} for this {query}?",
            objective=Objective(f"{label} of what stands first"),
            traffic=traffic,
            limits=Limits(p99_ms=50),
        ),
        data=Data([table], Logged(seen.name, [query], item), [Label(label)], split),
        features=[Given() if whole else Given([ours[one] for one in numbers])],
        models={
            "rank": [
                *([] if whole else [HistoricalRate(by=item)]),
                Logistic(),
                BoostedTrees(objective="lambdarank", trees=100, min_leaf=max(5, min(50, seen.rows // 200))),
            ]
        },
        evaluation=Evaluation(
            primary=f"ndcg@{k}",
            metrics=["map", "mrr"],
            goals=[Goal(f"ndcg@{k}", above="Logistic")],
            experiment=experiment_of(f"{label} of what stands first", "request", traffic),
        ),
        serving=Serving(path=[Candidates(at_most=max(100, round(3 * each))), Rank(budget_ms=20), Show(k=k)]),
        monitoring=Monitoring(
            watches=[Watch("drift", at_most=0.3), Watch(f"ndcg@{k}", at_least=0.1)],
            retrain=Retrain(every="7d", rollout=[Shadow(), Canary(0.05)]),
        ),
    )
    return Proposal(design, notes, [])
