"""From a part of the design to a compressed model, and the refusals of what cannot be compressed so."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import msgspec

from bottega.design.models import Model, rung_name
from bottega.design.scorers import DCN, DLRM, BoostedTrees, DeepFM, MultiTask
from bottega.design.serving import Compression, Distill, Prune, Quantize

_NETWORKS = (DCN, DeepFM, DLRM)
_TEACHERS = (*_NETWORKS, BoostedTrees)
_NAMES = ("name", "optional", "calibrate")  # what says nothing of the network itself


def compression_name(setting: Compression) -> str:
    """How reports call it.

    >>> compression_name(Quantize()), compression_name(Prune()), compression_name(Distill(DCN()))
    ('Quantize(dynamic)', 'Prune(embeddings 0.5)', 'Distill(DCN)')
    """
    match setting:
        case Quantize(mode=mode):
            return f"Quantize({mode})"
        case Prune(embeddings=vectors, layers=layers):
            told = [f"{name} {share:g}" for name, share in (("embeddings", vectors), ("layers", layers)) if share]
            return f"Prune({', '.join(told)})"
        case Distill(student=student):
            return f"Distill({rung_name(student)})"


def refusal(setting: Compression, champion: Model) -> str:
    """Why a compression does not apply to a champion; nothing where it does.

    >>> refusal(Quantize(), BoostedTrees())
    'BoostedTrees is no network: it has no vectors and layers to round or prune'
    >>> refusal(Distill(DCN()), DCN())
    'the student is the champion itself'
    """
    name = rung_name(champion)
    if isinstance(champion, MultiTask):
        return f"{name} says several labels at once, and what is compressed here says one"
    if isinstance(setting, (Quantize, Prune)):
        if isinstance(champion, _NETWORKS):
            return ""
        return f"{name} is no network: it has no vectors and layers to round or prune"
    if not isinstance(champion, _TEACHERS):
        return f"{name} is smaller and faster than any network that could learn from it"
    if _bare(setting.student) == _bare(champion):
        return "the student is the champion itself"
    if lacks := [package for package in ("torch", "onnx", "onnxruntime") if find_spec(package) is None]:
        return f"{', '.join(lacks)} not installed: pip install 'bottega[deep]'"
    if isinstance(champion, BoostedTrees) and champion.objective != "binary" and champion.calibrate is None:
        return f"{name} gives an order and no probabilities to learn from"
    return ""


def _bare(setting: Model) -> tuple[str, dict[str, Any]]:
    said = msgspec.to_builtins(setting)
    return type(setting).__name__, {key: value for key, value in said.items() if key not in _NAMES}
