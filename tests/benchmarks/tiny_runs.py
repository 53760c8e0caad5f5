"""How a benchmark is run at a tiny size: as a process, or read as a module."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(__file__).parents[2] / "benchmarks"


def benchmark(name: str, out: Path, *given: str) -> tuple[str, dict[str, Any]]:
    """Run a benchmark, and give what it printed and the one file that it wrote."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), "--runs", "1", "--out", str(out), *given],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, written(out)


def written(out: Path) -> dict[str, Any]:
    """Read the one file that a benchmark wrote."""
    (file,) = out.glob("*.json")
    said: dict[str, Any] = json.loads(file.read_text())
    return said


def load_module(name: str) -> ModuleType:
    """Load a benchmark as a module; what it imports from its folder must be findable."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made
