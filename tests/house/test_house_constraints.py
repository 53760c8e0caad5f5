"""Every package that the project needs is pinned, to a version that the project says it takes."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LINES = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
PINS = {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in LINES}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
ASKED = [Requirement(text) for text in PROJECT["dependencies"] + EXTRAS["dev"] + EXTRAS["deep"]]


def needed() -> set[str]:
    """The packages that the asked ones need here, and those that these need, and so on."""
    found: dict[str, set[str]] = {}
    open_ = list(ASKED)
    while open_:
        asked = open_.pop()
        name, extras = canonicalize_name(asked.name), set(asked.extras)
        if name in found and extras <= found[name]:
            continue
        found[name] = found.get(name, set()) | extras
        for text in requires(name) or []:
            below = Requirement(text)
            if below.marker is None or any(below.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                open_.append(below)
    return set(found)


def test_every_line_is_one_pin() -> None:
    assert [line for line in LINES if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.+]*", line)] == []
    assert len(PINS) == len(LINES)


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_what_is_asked_for_is_pinned_within_its_range(asked: Requirement) -> None:
    assert asked.specifier.contains(PINS[canonicalize_name(asked.name)])


def test_what_those_need_is_pinned_too() -> None:
    assert needed() <= set(PINS)


def test_an_environment_without_a_package_says_so() -> None:
    with pytest.raises(PackageNotFoundError):
        requires("no-such-package-here")
