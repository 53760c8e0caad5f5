"""The ladders of a run: which label each learns, and which of its rungs are trained here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

from bottega.design.design import Design
from bottega.design.encoders import ImageEncoder, OnnxImageEncoder
from bottega.design.models import Model, rung_name
from bottega.design.scorers import DCN, DLRM, DeepFM, MultiTask
from bottega.design.serving import Nearest, Rank, Score
from bottega.errors import BuildError, nearest

ALL = "all"
_OPTIONAL = "optional, --models all trains it"
NETWORKS = (DCN, DeepFM, DLRM, MultiTask)


@dataclass(frozen=True)
class Ladder:
    """One ladder of the path.

    name: in `models`. label: what it learns. rungs: those that are trained, the simplest first. budget_ms: of its
    stage. left_out: rungs that are not trained here though nobody asked for others, and why.
    """

    name: str
    label: str
    rungs: tuple[Model, ...]
    budget_ms: float | None = None
    left_out: dict[str, str] = field(default_factory=dict)

    def rung(self, name: str) -> Model:
        """Give the setting of a rung."""
        return next(rung for rung in self.rungs if rung_name(rung) == name)

    def without(self, name: str, reason: str) -> Ladder:
        """Give the ladder without a rung, which is said to be left out for a reason."""
        rungs = tuple(rung for rung in self.rungs if rung_name(rung) != name)
        return replace(self, rungs=rungs, left_out={**self.left_out, name: reason})


def ladders(design: Design, asked: Sequence[str] = ()) -> list[Ladder]:
    """Give the ladders that the path ranks by, in its order, each with the rungs to train.

    asked: names of rungs to train and no others, or `all` for the optional ones as well; nothing: all but those.
    Errors: `BuildError` for a name that no ladder has, and for a ladder of which no rung is left.
    """
    stages = [stage for stage in design.serving.path if isinstance(stage, (Rank, Score, Nearest))]
    known = list(dict.fromkeys(rung_name(rung) for stage in stages for rung in design.models[_named(stage)]))
    if wrong := [name for name in asked if name not in (ALL, *known)]:
        allowed = f"{ALL}, or some of {', '.join(known)}"
        raise BuildError("--models", repr(wrong[0]), allowed, nearest(wrong[0], [ALL, *known]))
    return [_ladder(design, stage, asked) for stage in stages]


def distorted(ladders: Sequence[Ladder]) -> dict[str, str]:
    """Name the rungs whose probability nothing mends: they weigh classes or hard examples, and have no calibrator.

    Gives for each rung, with its ladder where there are several, what distorts it.
    """
    found = {}
    for ladder, rung in ((each, rung) for each in ladders for rung in each.rungs):
        reasons = []
        if (weight := getattr(rung, "positive_weight", 1.0)) != 1:
            reasons.append(f"positive_weight={weight:g}")
        if getattr(rung, "loss", "log_loss") == "focal":
            reasons.append("the focal loss")
        if reasons and getattr(rung, "calibrate", None) is None:
            title = rung_name(rung) if len(ladders) == 1 else f"{ladder.name}.{rung_name(rung)}"
            found[title] = " with ".join(reasons)
    return found


def _named(stage: Rank | Score | Nearest) -> str:
    return stage.encoder if isinstance(stage, Nearest) else stage.ladder


def _ladder(design: Design, stage: Rank | Score | Nearest, asked: Sequence[str]) -> Ladder:
    ladder = _named(stage)
    every = design.models[ladder]
    named = [rung for rung in every if rung_name(rung) in asked]
    if ALL in asked:
        wanted = list(every)
    elif named:
        wanted = named
    else:  # nothing asked of this ladder
        wanted = [rung for rung in every if not getattr(rung, "optional", False)]
    left_out = {rung_name(rung): reason for rung in wanted if (reason := _missing(rung))}
    rungs = tuple(rung for rung in wanted if rung_name(rung) not in left_out)
    if not rungs:
        found = "; ".join(f"{name}: {reason}" for name, reason in left_out.items()) or "every rung is optional"
        fix = "pip install 'bottega[deep]', or add a rung without a network" if left_out else "--models all"
        raise BuildError(f"models.{ladder}", found, "one rung at least", fix)
    if not named and ALL not in asked:  # who named rungs knows which are not among them
        left_out |= {rung_name(rung): _OPTIONAL for rung in every if rung not in wanted}
    label = getattr(stage, "label", None) or design.data.labels[0].name
    return Ladder(ladder, label, rungs, stage.budget_ms, left_out)


def _missing(rung: Model) -> str:
    """Say what a rung needs and this installation lacks; nothing if it can be trained."""
    needed: tuple[str, ...] = ()
    if isinstance(rung, (*NETWORKS, ImageEncoder)):
        needed = ("torch", "onnx", "onnxruntime")
    elif isinstance(rung, OnnxImageEncoder):
        needed = ("onnxruntime",)
    if lacks := [name for name in needed if find_spec(name) is None]:
        return f"{', '.join(lacks)} not installed: pip install 'bottega[deep]'"
    return ""
