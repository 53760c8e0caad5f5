"""What the tests of the verbs share: a tiny shop, its build, and commands as processes."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_shop import REQUESTS, WARM_UP, Built, Command, Said, tiny_design, write_shop

import bottega as bt
from bottega.runs.steps import measuring
from bottega.serving.load_report import LoadResult, Quantile


@pytest.fixture(scope="session")
def shop_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a small shop."""
    folder = tmp_path_factory.mktemp("data")
    write_shop(folder)
    return folder


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, shop_data: Path) -> Built:
    """One undisturbed run of the tiny design; to be read only."""
    home = tmp_path_factory.mktemp("built")
    design = home / "tiny.yaml"
    design.write_text(bt.to_yaml(tiny_design()))
    workspace = home / "w"
    command = Command("run", design, "--data", shop_data, "--workspace", workspace, "--json", folder=home / "said")
    said = command.wait()
    assert said.code == 0, said.err
    return Built(design, shop_data, workspace, said, json.loads(said.out))


@pytest.fixture
def workspace(built: Built, tmp_path: Path) -> Path:
    """A workspace of one's own in which the tiny design is built."""
    return Path(shutil.copytree(built.workspace, tmp_path / "w"))


@pytest.fixture
def bottega(tmp_path: Path) -> Callable[..., Said]:
    """Type a command and wait for its end."""

    def typed(*words: object, **settings: Any) -> Said:
        return Command(*words, folder=tmp_path / "said", **settings).wait()

    return typed


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `bt.run` in this process take made-up latencies, and send nothing new, for tests not about serving."""
    one = Quantile(1.0, 0.9, 1.1)
    found = LoadResult(200.0, REQUESTS, 0.5, 200.0, one, one, one, {}, 0.0, {}, {}, 0.0, 0.0, 0.1)
    monkeypatch.setattr(measuring, "REQUESTS", REQUESTS)
    monkeypatch.setattr(measuring, "WARM_UP", WARM_UP)
    monkeypatch.setattr(measuring, "serve_and_load", lambda *_: (found, {"rank": 1.0}, None))
    monkeypatch.setattr(importlib.import_module("bottega.verbs.run"), "measure_freshness", lambda *_: None)
