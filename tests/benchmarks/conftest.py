"""What the tests of the benchmarks share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from tiny_runs import FOLDER, load_module


@pytest.fixture
def module(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Load a benchmark as a module, with what it imports from its folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    made = load_module(request.param)
    yield made
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(FOLDER)):
            monkeypatch.delitem(sys.modules, name)
