"""Every name that a design uses in one place must exist in another: checked before any work is done."""

from __future__ import annotations

from collections.abc import Collection

from bottega.design.design import Design
from bottega.design.examples import FromPositives, Judged, Logged
from bottega.design.features import Categories, Lookup, TargetRate, Window
from bottega.design.models import rung_name
from bottega.design.retrievers import FOLLOWING
from bottega.design.scorers import Fusion
from bottega.design.serving import Auction, Candidates, Retrieve
from bottega.errors import DesignError, nearest
from bottega.features.batch import names, needs, score_name, time_name
from bottega.features.conditions import Condition
from bottega.features.expressions import parse
from bottega.features.keyed import in_order
from bottega.serving.reranking.conditions import needed_columns

_FIELDS = {Window: "by", Lookup: "by", Categories: "columns", TargetRate: "columns"}
"""The field of a feature that may name columns of the request and the candidate; a window's also what was looked up."""


def check_names(design: Design) -> None:
    """Refuse a feature, a model, a view or a slice that reads a column which nothing gives.

    Columns of tables are held against the data later. Errors: `DesignError` with the place and the nearest name.
    """
    examples = design.data.examples
    if not isinstance(examples, (Logged, FromPositives, Judged)):
        return
    asked = {*examples.request, *([examples.candidate] if examples.candidate else [])}
    scores = {score_name(rung_name(rung)) for rung in design.models.get("retrieve", ())}
    moving = {score_name(rung_name(rung)) for rung in design.models.get("retrieve", ()) if isinstance(rung, FOLLOWING)}
    made = {name for feature in design.features for name in names(feature)}
    given = asked | scores | made | {"request_time", *([alias] if (alias := time_name(design)) else [])}
    looked_up: set[str] = set()
    for place, feature in enumerate(design.features):
        field = _FIELDS.get(type(feature))
        where = f"features[{place}].{field}" if field else f"features[{place}]"
        for name in sorted(needs(feature)):
            _known(where, name, asked | looked_up if isinstance(feature, Window) else asked if field else given)
            _steady(where, name, moving)
        if isinstance(feature, Lookup):
            looked_up |= set(names(feature))
    for ladder, rungs in design.models.items():
        for place, rung in enumerate(rungs):
            if (by := getattr(rung, "by", None)) is not None:
                _known(f"models.{ladder}[{place}].by", by, asked)
            if (query := getattr(rung, "query", None)) is not None:
                _known(f"models.{ladder}[{place}].query", query, examples.request)
            for name in getattr(rung, "over", ()) if isinstance(rung, Fusion) else ():
                _known(f"models.{ladder}[{place}].over", name, made | scores)
                _steady(f"models.{ladder}[{place}].over", name, moving)
            for name in getattr(rung, "without", ()):
                _known(f"models.{ladder}[{place}].without", name, made | scores)
    in_order(design)
    _check_auction(design, made)
    _check_where(design, made | set(examples.request))
    for place, stage in enumerate(design.serving.path):
        for name in sorted(needed_columns([stage])):
            _known(f"serving.path[{place}]", name, made | scores | set(examples.request))
    for place, name in enumerate(design.serving.approximate):
        _known(f"serving.approximate[{place}]", name, made)
    for place, view in enumerate(design.evaluation.views):
        where = f"evaluation.views[{place}].where"
        for name in sorted(parse(view.where, where=where).columns):
            _known(where, name, made)
    if (unit := design.evaluation.unit) is not None:
        _known("evaluation.unit", unit, {"request", *examples.request})
    slices = {"cold", "interactions", *_of_request(design, set(examples.request))}
    for place, name in enumerate(design.evaluation.slices):
        _known(f"evaluation.slices[{place}]", name, slices)
    for place, goal in enumerate(design.evaluation.goals):
        for name in goal.slices:
            _known(f"evaluation.goals[{place}].slices", name, slices)


def _check_auction(design: Design, made: set[str]) -> None:
    """Hold the columns of an auction against what travels with a candidate, and against the features."""
    path = design.serving.path
    travelling = {name for stage in path if isinstance(stage, Candidates) for name in stage.columns}
    for place, stage in enumerate(path):
        if isinstance(stage, Auction):
            for field in ("bid", "budget", "advertiser"):
                if (name := getattr(stage, field)) is not None:
                    _known(f"serving.path[{place}].{field}", name, made | travelling)


def _check_where(design: Design, known: set[str]) -> None:
    """Hold the condition of retrieval against the features, and refuse those that need candidates to be found first."""
    for place, stage in enumerate(design.serving.path):
        if not isinstance(stage, Retrieve) or stage.where is None:
            continue
        where = f"serving.path[{place}].where"
        for name in sorted(parse(stage.where, where=where).columns):
            _known(where, name, known)
        condition = Condition(stage.where, where, design.features)
        scores = {score_name(rung_name(rung)) for rung in design.models.get("retrieve", ())}
        late = sorted(condition.columns & scores)
        if late or any(isinstance(part, TargetRate) for part in condition.features):
            found = f"{late[0]!r}" if late else "a TargetRate"
            raise DesignError(where, f"{found}, which is known of candidates that were found", "other features")


def _of_request(design: Design, known: set[str]) -> set[str]:
    """Name the columns with one value for a whole request: those of the request, and what is made of them alone."""
    alias = time_name(design)
    found = {*known, "request_time", *([alias] if alias else [])}
    for feature in design.features:
        if needs(feature) <= found and not isinstance(feature, TargetRate):  # rates are of candidates
            found |= set(names(feature))
    return found - {"request_time", alias}


def _known(where: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise DesignError(where, f"no column {name!r}", f"one of {', '.join(sorted(known))}", nearest(name, known))


def _steady(where: str, name: str, moving: Collection[str]) -> None:
    """Refuse the score of a retriever that follows events: when served it is another one than it was learnt from."""
    if name in moving:
        found = f"{name!r}, of a retriever that follows events: its score changes with each of them"
        raise DesignError(
            where, found, "features, and scores of other retrievers", "a Window with decayed_sum(1, '6h')"
        )
