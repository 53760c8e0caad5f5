"""What hangs on columns or retrievers that a run does without leaves a design with them, value by value."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from bottega.design.design import Design
from bottega.design.features import Expression, Feature
from bottega.design.models import Model, rung_name
from bottega.design.scorers import Fusion
from bottega.design.serving import Retrieve
from bottega.features.batch import hanging, parsed_once, score_name
from bottega.serving.reranking.conditions import needed_columns


def without_columns(design: Design, lost: Collection[str]) -> tuple[Design, list[str], list[str]]:
    """Take out what reads columns that nothing gives.

    Features go, of an expression those of its values that read what is gone, by themselves or through others; a fusion
    goes on over its other orders, and goes where there is none; so do stages of re-ranking, the condition of retrieval,
    views, slices, and goals that name one of them. Gives the design, the features that are gone, and what is to be told
    beside their number.
    """
    if not lost:
        return design, [], []
    gone, more = set(lost), list[str]()
    features: list[Feature] = []
    for part in design.features:
        left = hanging(part, gone)
        gone |= set(left)
        more += left
        if isinstance(part, Expression) and 0 < len(left) < len(part.values):
            features.append(Expression({name: text for name, text in part.values.items() if name not in left}))
        elif not left:
            features.append(part)
    design = replace(design, features=features)
    design, told = _without_orders(design, gone)
    path = [stage for stage in design.serving.path if not needed_columns([stage]) & gone]
    for place, stage in enumerate(path):
        if isinstance(stage, Retrieve) and stage.where is not None and parsed_once(stage.where).columns & gone:
            path[place] = replace(stage, where=None)
            told.append(f"Retrieve: without its condition, {stage.where}")
    views = [view for view in design.evaluation.views if not parsed_once(view.where).columns & gone]
    seen = {view.name for view in views}
    slices = [name for name in design.evaluation.slices if name not in gone]
    goals = [
        goal
        for goal in design.evaluation.goals
        if (goal.view is None or goal.view in seen) and not set(goal.slices) & gone
    ]
    serving = replace(
        design.serving, path=path, approximate=[name for name in design.serving.approximate if name not in gone]
    )
    evaluation = replace(design.evaluation, views=views, slices=slices, goals=goals)
    return replace(design, evaluation=evaluation, serving=serving), more, told


def without_retrievers(design: Design, gone: Sequence[str]) -> tuple[Design, list[str]]:
    """Take retrievers out of a design, with all that names them or reads their scores; and say what that is."""
    if not gone:
        return design, []
    kept = [rung for rung in design.models["retrieve"] if rung_name(rung) not in gone]
    path = [
        replace(stage, quotas={name: places for name, places in stage.quotas.items() if name not in gone})
        if isinstance(stage, Retrieve)
        else stage
        for stage in design.serving.path
    ]
    design = replace(
        _without_goals(design, gone),
        models={**design.models, "retrieve": kept},
        serving=replace(design.serving, path=path),
    )
    design, more, told = without_columns(design, {score_name(name) for name in gone})
    return design, [*([f"{', '.join(more)}: left out with their scores"] if more else []), *told]


def _without_orders(design: Design, gone: Collection[str]) -> tuple[Design, list[str]]:
    """Take orders that are gone out of the fusions, with their weights; a fusion of none goes, but for a ladder's last.

    A ladder of nothing would have nothing to say of it: its fusion stays, and is refused by its own words.
    """
    told, lost = list[str](), list[str]()
    models: dict[str, Sequence[Model]] = {}
    for ladder, rungs in design.models.items():
        kept, said, empty = list[Model](), list[str](), list[str]()
        for rung in rungs:
            over = [name for name in rung.over if name not in gone] if isinstance(rung, Fusion) else []
            if not isinstance(rung, Fusion) or len(over) == len(rung.over):
                kept.append(rung)
            elif over:
                weights = [weight for name, weight in zip(rung.over, rung.weights, strict=False) if name in over]
                kept.append(replace(rung, over=over, weights=weights))
                said.append(f"{rung_name(rung)}: without {', '.join(sorted(set(rung.over) - set(over)))}")
            else:
                empty.append(rung_name(rung))
                said.append(f"{rung_name(rung)}: left out, none of its orders is there")
        models[ladder] = kept or rungs
        told += said if kept else []
        lost += empty if kept else []
    return replace(_without_goals(design, lost), models=models), told


def _without_goals(design: Design, gone: Collection[str]) -> Design:
    """Take out the goals that compare with rungs."""
    goals = [goal for goal in design.evaluation.goals if not {goal.above, goal.below} & set(gone)]
    return replace(design, evaluation=replace(design.evaluation, goals=goals))
