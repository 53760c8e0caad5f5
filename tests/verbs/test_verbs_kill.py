"""SIGKILL of `bottega run` and its children, at any moment and in each step: the next run ends with the same bytes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import psutil
from test_verbs_cache import EVERY_STEP
from tiny_shop import Built, Command

from bottega.files import read_json
from bottega.runs.step import read_finished
from bottega.serving.manifest import verify

SLOW = 0.2  # seconds more for each step, so that a kill can meet it
PAGES = ("report.md", "report.html", "scorecard.json")
OUTSIDE = (*PAGES, "manifest.json", "step.json", "serving.json", "arrival.json", "timing.json")  # they hold times


def start(built: Built, workspace: Path, home: Path, slow: float = SLOW) -> Command:
    return Command("run", built.design, "--data", built.data, "--workspace", workspace, folder=home / "said", slow=slow)


def kill(command: Command) -> bool:
    """Kill the process group; wait until whatever the run had started is gone; whether it was still running."""
    try:
        children = psutil.Process(command.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    running = not command.ended()
    if running:
        with contextlib.suppress(ProcessLookupError):  # it ends right now
            os.killpg(command.pid, signal.SIGKILL)
    command.process.join(60)
    left = psutil.wait_procs(children, timeout=30)[1]
    assert not left, f"left behind: {left}"
    return running


def step_of(folder: Path) -> str:
    return folder.name.lstrip(".").rsplit("-", 1)[0]


def wait_for(command: Command, steps: Path, name: str) -> None:
    """Wait until a step is under way, and has a file or is about to."""
    deadline = time.monotonic() + 120
    while not any(step_of(part) == name for part in steps.glob(".*.partial")):
        assert not command.ended(), f"it ended before {name}: {command.said()}"
        assert time.monotonic() < deadline, f"{name} never began"
        time.sleep(0.002)


def whole(workspace: Path) -> None:
    """What stands under a final name is whole, at any moment."""
    for folder in (workspace / "tiny" / "steps").glob("[!.]*"):
        assert read_finished(folder, read_json(folder / "step.json")["key"])[1] == ""
    for folder in (workspace / "tiny" / "builds").glob("[!.]*"):
        assert verify(folder)["build"] == folder.name


def tables(workspace: Path) -> dict[str, bytes]:
    """Every file of the steps, and the predictions: bytes, but of evaluations their JSON without the seconds."""
    folder = workspace / "tiny"
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.startswith(("online/", "report-plots/")):  # live stores, of whoever served; pictures of what was timed
            continue
        if path.name == "evaluation.json":
            found[name] = json.dumps(timeless(read_json(path))).encode()
        elif path.is_file() and path.name not in OUTSIDE and (path.parent != folder or path.suffix == ".parquet"):
            found[name] = path.read_bytes()
    return found


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: timeless(item) for name, item in value.items() if name != "seconds"}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def same(workspace: Path, built: Built) -> None:
    ours, theirs = tables(workspace), tables(built.workspace)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
    assert not list(workspace.rglob(".*partial*"))
    names = [{path.name for path in where.iterdir()} - {"online"} for where in (workspace / "tiny", built.folder)]
    assert names[0] == names[1]


def test_what_is_compared(built: Built) -> None:
    kinds = {Path(name).suffix for name in tables(built.workspace)}
    assert {".parquet", ".npy", ".arrow", ".json", ".txt"} <= kinds
    assert any("/rows/" in name for name in tables(built.workspace))
    assert {step_of(path) for path in (built.folder / "steps").iterdir()} == EVERY_STEP


def test_a_kill_in_each_step_changes_no_byte(built: Built, tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    steps = workspace / "tiny" / "steps"
    draw = random.Random(11)
    order = [step["name"] for step in built.card["steps"]]
    assert set(order) == EVERY_STEP
    took = {step["name"]: step["seconds"] for step in built.card["steps"]}
    hit = []
    for name in order:
        command = start(built, workspace, tmp_path)
        with contextlib.ExitStack() as ending:
            ending.callback(kill, command)
            wait_for(command, steps, name)
            while name == "measure" and len(psutil.Process(command.pid).children(recursive=True)) < 2:
                time.sleep(0.01)  # until the service and its worker are there
            time.sleep(draw.uniform(0, 0.3 * took[name] + 0.4 * SLOW))
        whole(workspace)
        if not any(step_of(path) == name for path in steps.glob("[!.]*")):
            hit.append(name)
    assert len(hit) >= 0.8 * len(order), f"only {hit} were met unfinished"
    assert start(built, workspace, tmp_path, slow=0).wait().code == 0
    same(workspace, built)


def test_kills_at_uniform_moments_of_the_run_change_no_byte(built: Built, tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    seconds = sum(step["seconds"] for step in built.card["steps"])
    draw = random.Random(2)
    moments = sorted(draw.uniform(0, seconds) for _ in range(6))
    kills = 0
    for before, moment in zip([0.0, *moments], moments, strict=False):
        command = start(built, workspace, tmp_path, slow=0)
        with contextlib.ExitStack() as ending:
            ending.callback(kill, command)
            while not (workspace / "tiny" / "steps").is_dir() and not command.ended():
                time.sleep(0.005)
            time.sleep(moment - before)
            kills += not command.ended()
        whole(workspace)
    assert kills >= 2, f"only {kills} of {len(moments)} kills met a running process"
    assert start(built, workspace, tmp_path, slow=0).wait().code == 0
    same(workspace, built)
