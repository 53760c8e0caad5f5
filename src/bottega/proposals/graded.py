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
from bottega.proposals.chance import by_chance
from bottega.proposals.left_out import about_table
from bottega.proposals.meaning import noun, nouns
from bottega.proposals.proposal import Proposal, Seen
from bottega.proposals.scale import experiment_of, traffic_of
from bottega.proposals.splitting import split_of

_FEWEST = 2.0  # rows of a query, in the mean


def is_graded(seen: Seen) -> bool:
    """Say whether rows belong to queries, each with several candidates; grades may belong to persons instead."""
    query = _query(seen)
    return query is not None and seen.rows >= _FEWEST * max(1, seen.columns[query].distinct)


def _query(seen: Seen) -> str | None:
    is_grade = seen.columns[str(seen.roles.label)].kind != "flag"
    return seen.roles.query or (seen.roles.person if is_grade else None)


def graded(seen: Seen, name: str, numbers: Sequence[str]) -> Proposal:
    """Propose a design for grades of candidates of a query.

    numbers: theirs, the columns that a search engine sends with each candidate. A row that has no name of its own is
    its candidate by its number.
    """
    if seen.roles.item is None and seen.roles.event_id is None:
        seen = seen.numbered()
    ours, roles, asked = seen.ours, seen.roles, str(_query(seen))
    judged = roles.item or roles.event_id or str(seen.row)
    query, item, label = (ours[each] for each in (asked, judged, str(roles.label)))
    each = seen.rows / max(1, seen.columns[asked].distinct)
    values = seen.columns[str(roles.label)].numbers[seen.known]
    split, why = split_of(seen, values, asked)
    sent = [each for each in roles.others if seen.columns[each].is_number]
    whole = not roles.clocks and roles.position is None and len(sent) == len(numbers)
    notes = {
        "data.tables[0]": about_table(seen, [asked, judged, *numbers]),
        "data.examples": f"{each:.0f} rows of a query in the mean; {np.nanmean(values > 0):.0%} are right.",
        "data.split": why,
        "features[0]": "The numbers come with each candidate, as the search engine has them.",
        "models.rank": "A line, then trees that learn the order of a list.",
    }
    traffic = traffic_of(seen, each, notes)
    k = int(max(1, min(10, each // 2)))
    if seen.row is not None:
        notes["data.examples"] += f" Nothing names what is judged: {seen.row} is the number of the row."
    chance = by_chance(seen.columns[asked].codes[seen.known], values, k)
    notes["monitoring.watches[1]"] = f"A random order has {chance:.3f} on this table: under it nothing is ranked."
    experiment, silenced = experiment_of(f"{label} of what stands first", "request", traffic)
    used = [asked, judged, str(roles.label), *seen.of_itself, *numbers]
    table = seen.table(used, [NotNull([query, item])])
    design = Design(
        name=name,
        scope=Scope(
            question=f"In which order do we show the {nouns(item)} of this {noun(query)}?",
            objective=Objective(f"{label} of what stands first"),
            traffic=traffic,
            limits=Limits(p99_ms=50),
        ),
        data=Data(
            [table],
            Logged(seen.name, [query], item),
            [Label(label, seen.positive)],
            split,
        ),
        features=[Given() if whole else Given([ours[one] for one in numbers])],
        models={
            "rank": [
                *([] if whole or seen.names_once(judged) else [HistoricalRate(by=item)]),
                Logistic(),
                BoostedTrees(objective="lambdarank", trees=100, min_leaf=max(5, min(50, seen.rows // 200))),
            ]
        },
        evaluation=Evaluation(
            primary=f"ndcg@{k}",
            metrics=["map", "mrr"],
            goals=[Goal(f"ndcg@{k}", above="Logistic")],
            experiment=experiment,
        ),
        serving=Serving(path=[Candidates(at_most=max(100, round(3 * each))), Rank(budget_ms=20), Show(k=k)]),
        monitoring=Monitoring(
            watches=[Watch("drift", at_most=0.3), Watch(f"ndcg@{k}", at_least=max(0.001, round(chance, 3)))],
            retrain=Retrain(every="7d", rollout=[Shadow(), Canary(0.05)]),
        ),
        silenced=silenced,
    )
    return Proposal(design, notes, [])
