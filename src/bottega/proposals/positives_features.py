"""Sources and features of a log of who took what."""

from __future__ import annotations

from typing import Any

from bottega.design.features import Expression, Lookup, Window
from bottega.design.retrievers import (
    CoPurchase,
    Factorization,
    Newest,
    PersonalHistory,
    Popularity,
    TextSimilarity,
    Trending,
)
from bottega.proposals.facts import span
from bottega.proposals.proposal import Seen
from bottega.proposals.taken import Taken

HALF_LIFE = "6h"  # of what is taken in a feed
_LIST = 100  # candidates of a source
_MANY_PEOPLE, _MANY_ITEMS = 200, 50  # from which hidden factors can be learnt
_AMOUNTS = 3  # columns of numbers whose mean is kept


def sources_of(seen: Seen, taken: Taken, notes: dict[str, str]) -> list[Any]:
    """Propose what finds candidates."""
    if taken.feed:
        return [Trending(half_life=HALF_LIFE, k=0, unseen=2 * _LIST), Newest(k=0, unseen=_LIST)]
    new = _LIST if taken.repeats else 0
    found: list[Any] = [Popularity(span=span(min(30.0, taken.days / 4)), k=_LIST, unseen=new)]
    if taken.repeats:
        found.append(PersonalHistory(k=_LIST))
        notes["models.retrieve[1]"] = f"{taken.again:.0%} of the rows take something again."
    found.append(CoPurchase(k=_LIST, unseen=new))
    people, items = (seen.columns[str(getattr(seen.roles, role))].distinct for role in ("person", "item"))
    if people >= _MANY_PEOPLE and items >= _MANY_ITEMS:
        found.append(Factorization(method="als", name="ALS", k=_LIST, unseen=new))
    if taken.text is not None:
        notes[f"models.retrieve[{len(found)}]"] = f"{taken.text} describes what is taken."
        found.append(TextSimilarity(seen.ours[taken.text], k=_LIST, unseen=_LIST))
    return found


def features_of(seen: Seen, taken: Taken, notes: dict[str, str]) -> list[Any]:
    """Propose what a ranker sees: who took what how often and when, what it is worth, and how quickly it fades."""
    who, item, time = (str(seen.of(role)) for role in ("person", "item", "time"))
    means = _means(seen)
    daily = seen.log is not None and seen.log.daily
    rising = (
        {"hours": f"decayed_sum(1, '{HALF_LIFE}')", "day": "decayed_sum(1, '1d')"} if taken.feed and not daily else {}
    )
    life = {"events": "count(*)", "first": f"min({time})", "last": f"last({time})"}
    notes["features[0]"] = "What this one took of this."
    notes["features[1]"] = "How many took it lately, and ever."
    notes["features[2]"] = "The life of what is taken, and of who takes."
    found: list[Any] = [
        Window(seen.name, by=[who, item], values={"times": "count(*)", "last": f"last({time})"}),
        Window(seen.name, by=item, over=_spans(taken, daily), values={"people": f"count(distinct {who})"}),
        Window(seen.name, by=item, values={**life, **means, **rising}),
        Window(seen.name, by=who, values={**life, "items": f"count(distinct {item})", **means}),
    ]
    if taken.trait is not None:
        notes[f"features[{len(found)}]"] = f"{taken.trait} hardly changes for one {who}."
        found.append(Lookup(seen.name, by=who, columns=[seen.ours[taken.trait]]))
    hours = {
        "age": f"{item}_first_all",
        "quiet": f"{item}_last_all",
        "away": f"{who}_last_all",
        "known": f"{who}_first_all",
        "since_taken": f"{who}_{item}_last_all",
    }
    made = {name: f"(epoch(request_time) - epoch({column})) / 3600" for name, column in hours.items()}
    made["novelty"] = f"{who}_items_all / nullif({who}_events_all, 0)"
    if taken.feed:
        made |= {"gravity": f"{item}_people_all / exp(1.8 * ln(age + 2))"}
        made |= {} if daily else {"hour_of_day": "extract(hour from request_time)"}
    return [*found, Expression(made)]


def _spans(taken: Taken, daily: bool) -> list[str]:
    if taken.feed:
        return ["1d", "7d", "all"] if daily else ["1h", "1d", "all"]
    if taken.days >= 60:
        return [span(taken.days / 50), span(taken.days / 10), "all"]
    return ["1d", "7d", "all"] if taken.days >= 21 else ["1d", "all"]


def _means(seen: Seen) -> dict[str, str]:
    columns = [seen.columns[name] for name in seen.roles.others]
    fit = [one for one in columns if one.kind in ("number", "whole") and one.distinct > 20 and not one.is_category]
    named = [seen.ours[one.name] for one in fit if one.gaps < one.rows / 2][:_AMOUNTS]
    rating = seen.of("rating")
    return {**{name: f"avg({name})" for name in named}, **({} if rating is None else {"points": f"avg({rating})"})}
