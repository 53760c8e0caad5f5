"""Every bundled design raises nothing: neither as it stands, nor on its own world or sample."""

from __future__ import annotations

from pathlib import Path

import pytest

from bottega import systems
from bottega.reviewing.judging import judge
from bottega.verbs.review import review


@pytest.mark.parametrize("name", systems.names())
def test_a_bundled_design_raises_nothing(name: str) -> None:
    assert [(one.code, one.place, one.found) for one in judge(systems.find(name)).findings] == []


@pytest.mark.parametrize("name", systems.names())
def test_nor_does_it_on_its_own_data(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BOTTEGA_DATA", raising=False)
    found = review(name, workspace=tmp_path)
    assert [(one.code, one.place, one.found, one.costs) for one in found.findings] == []
    assert found.waiting == ()
    assert found.file.endswith(f"{name.replace('-', '_')}.py")
