"""Bundled designs as they stand, with smaller models: from nothing but the package to a build that serves."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

import bottega as bt
from bottega.systems import search_ranking, visual_search

MISSING = [name for name in ("torch", "PIL", "onnxruntime", "onnx") if find_spec(name) is None]


def smaller(design: bt.Design, **models: Any) -> bt.Design:
    """The design with other models, and no goals, which these would not reach."""
    plan = msgspec.structs.replace(design.evaluation, goals=[])
    return msgspec.structs.replace(design, models={**design.models, **models}, evaluation=plan)


@pytest.fixture(autouse=True)
def _nothing_but_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BOTTEGA_DATA", raising=False)


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (pip install 'bottega[deep,images]')")
def test_visual_search_on_its_sample(tmp_path: Path) -> None:
    encoder = bt.ImageEncoder(epochs=1, width=8, embedding_size=64)
    card = bt.run(smaller(visual_search.design, encode=[encoder]), workspace=tmp_path).scorecard
    assert card["source"]["kind"] == "sample"
    assert card["arrival"]["n"] == card["arrival"]["sent"] == 20
    assert (card["parity"]["mismatches"], card["serving"]["errors"]) == (0, 0)
    assert card["release"]["released"]


def test_search_ranking_on_its_world(tmp_path: Path) -> None:
    trees = bt.BoostedTrees(objective="lambdarank", trees=10)
    card = bt.run(
        smaller(search_ranking.design, rank=[bt.Logistic(), trees]), rows=20_000, workspace=tmp_path
    ).scorecard
    assert card["source"]["kind"] == "world"
    assert card["arrival"] is None  # requests bring their candidates
    assert (card["parity"]["mismatches"], card["serving"]["errors"]) == (0, 0)
    assert card["release"]["released"]
