"""MultiTask: networks that several labels share, mixed for each by its own gate, and a small network of its own."""

from __future__ import annotations

from bottega.design.scorers import MultiTask
from bottega.models.networks.operations import Block, Operations, Shape, hidden, hidden_shapes, last, linear_shapes


def shapes(setting: MultiTask, fields: int, numbers: int) -> dict[str, Shape]:
    """The weights by name. fields, numbers: how many of each."""
    width, experts = fields * setting.embedding_size + numbers, _experts(setting)
    found: dict[str, Shape] = {}
    for expert in range(experts):
        found |= hidden_shapes(f"expert.{expert}", width, setting.layers)
    shared = last(width, setting.layers)
    for task in range(len(setting.objectives)):
        if experts > 1:
            found[f"gate.{task}.weight"] = (experts, width)
        found |= hidden_shapes(f"tower.{task}", shared, setting.tower)
        found |= linear_shapes(f"tower.{task}.out", last(shared, setting.tower), 1)
    return found


def outs(setting: MultiTask) -> list[str]:
    """The layers that give each label's log-odds, in the order of the objectives."""
    return [f"tower.{task}.out" for task in range(len(setting.objectives))]


def logits(setting: MultiTask, fields: int, numbers: int, do: Operations, x: Block) -> Block:  # noqa: ARG001 (as in the others)
    """The log-odds of each label, (n, tasks): towerₖ(Σₑ gₖₑ(x) · expertₑ(x)), with Σₑ gₖₑ = 1.

    With one expert there is nothing to mix, and all labels share it: a shared bottom.

    x: (n, fields · embedding_size + numbers).

    Source: J. Ma et al., Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts, KDD
    2018.
    """
    experts = [hidden(do, x, f"expert.{expert}", len(setting.layers)) for expert in range(_experts(setting))]
    every = do.concat(experts)
    found = []
    for task, out in enumerate(outs(setting)):
        shared = every if len(experts) == 1 else do.mixed(every, do.softmax(do.linear(x, f"gate.{task}")))
        found.append(do.linear(hidden(do, shared, f"tower.{task}", len(setting.tower)), out))
    return do.concat(found)


def _experts(setting: MultiTask) -> int:
    return setting.experts if setting.sharing == "mmoe" else 1
