"""Every bundled system reads as one page."""

from __future__ import annotations

from pathlib import Path

import pytest

from bottega import systems

FOLDER = Path(systems.__file__).parent


@pytest.mark.parametrize("name", systems.names())
def test_a_system_is_at_most_150_lines(name: str) -> None:
    page = FOLDER / f"{name.replace('-', '_')}.py"
    assert len(page.read_text("utf-8").splitlines()) <= 150
