"""The README does what it says: every command and code block in it is run, in a fresh folder, in its order."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "tools"), str(ROOT / "tests/reporting")]
import browser  # noqa: E402
import readme_output  # noqa: E402

README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CLICKS = README.split("## Clicks and auctions\n")[1].split("\n## ")[0]
"""A section of its own designs, whose commands need nothing that stands elsewhere."""
SEARCH = README.split("## Search, feeds and pictures\n")[1].split("\n## ")[0]
"""Another one."""
BLOCKS = BLOCK.findall(README.replace(CLICKS, "").replace(SEARCH, ""))
BIN = Path(sys.executable).parent
BRIEF = f"""#!{sys.executable}
from bottega.cli import main
from bottega.runs.steps import measuring

measuring.REQUESTS, measuring.WARM_UP = 100, 20
main()
"""


def lines_of(kind: str, blocks: Sequence[tuple[str, str]] = BLOCKS) -> list[str]:
    """Give the commands of all blocks of a kind, without their comments."""
    found = [line for block, text in blocks if block == kind for line in text.splitlines()]
    return [re.sub(r"\s+#.*$", "", line).strip() for line in found if line.strip()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the fresh folder in which a new user works."""
    return tmp_path_factory.mktemp("readme")


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """Give a new user's environment: the installed commands, and no data unless they are named."""
    kept = {name: value for name, value in os.environ.items() if name != "BOTTEGA_DATA"}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{kept['PATH']}", "NO_COLOR": "1", "COLUMNS": "100"}


@pytest.fixture(scope="module")
def brief(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give the same, in which a run asks the path fewer requests: the main job shows how long it is asked."""
    place = tmp_path_factory.mktemp("bin")
    command = place / "bottega"
    command.write_text(BRIEF)
    command.chmod(0o755)
    return {**environment, "PATH": f"{place}{os.pathsep}{environment['PATH']}"}


def run(command: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a line as a shell would, and show what it said where it failed."""
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert {kind for kind, _ in BLOCKS} <= {"bash", "python", "text"}
    assert lines_of("bash")
    assert lines_of("python")


def test_the_two_commands_exist_and_do_what_is_said(environment: dict[str, str]) -> None:
    for target, expected in (("run", "bottega run shop-recommendation"), ("test", "pytest")):
        assert f"make {target}" in lines_of("bash")
        said = run(f"make -n {target}", ROOT, environment).stdout
        assert expected in said
        fresh = run(f"make -n {target} VENV=/nonexistent/venv", ROOT, environment).stdout
        assert "--constraint constraints.txt" in fresh


@pytest.fixture(scope="module")
def main_job(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the main job as the README says, on the real log where it is."""
    command = next(line for line in lines_of("bash") if line.startswith("bottega run shop-recommendation"))
    data = os.environ.get("BOTTEGA_DATA")
    if data and (Path(data) / "online_retail").is_dir():
        return run(command, folder, {**environment, "BOTTEGA_DATA": data})
    return run(command.split(" --data")[0], folder, environment)


def test_the_main_job_prints_what_the_readme_shows(main_job: subprocess.CompletedProcess[str]) -> None:
    done = main_job
    shown = next(text for kind, text in BLOCKS if kind == "text")
    labels = re.compile(r"^(models|champion|funnel|served|parity|goals|release|report|next)\b", re.MULTILINE)
    assert labels.findall(done.stdout) == labels.findall(shown)
    ours = [line.split()[0] for line in done.stderr.splitlines()[1:]]
    theirs = [line.split()[0] for line in shown.splitlines()[2:] if line.startswith("    ")]
    assert [name for name in ours if name in theirs] == [name for name in theirs if name in ours]
    assert len(set(ours) & set(theirs)) >= 20


@pytest.fixture(scope="module")
def card(main_job: subprocess.CompletedProcess[str], folder: Path) -> dict[str, Any]:  # noqa: ARG001 (what wrote it)
    """Give what the main job measured."""
    found: dict[str, Any] = json.loads((folder / ".bottega/shop-recommendation/scorecard.json").read_text())
    return found


def test_the_pictures_are_what_the_main_job_draws(card: dict[str, Any]) -> None:
    """But for numbers and the champion, which belong to one run: `make readme` makes both anew."""
    shown = re.findall(r"!\[[^\]]+\]\(docs/pictures/([^)]+)\)", README)
    assert shown == sorted(path.name for path in readme_output.PICTURES.iterdir())
    for name, words in readme_output.structure(card).items():
        assert len(words) >= 4
        assert readme_output.kept(name) == words
        assert (readme_output.PICTURES / name).stat().st_size < 250_000


def test_a_picture_of_another_design_is_not_taken_for_it(card: dict[str, Any]) -> None:
    rungs = [{**rung, "name": f"Other{rung['name']}"} for rung in card["models"]]
    other = readme_output.structure({**card, "models": rungs})
    assert other["models.png"] != readme_output.kept("models.png")
    assert readme_output.drawn("<g><title>orders\nby 7d</title></g>") == ["by #d", "orders"]


@browser.needed
def test_the_pictures_can_be_made_anew(card: dict[str, Any], tmp_path: Path) -> None:
    readme_output.make(card, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(readme_output.structure(card))
    for name in readme_output.PARTS:
        picture = Image.open(tmp_path / name)
        assert min(picture.size) > 300
        assert len(set(picture.convert("L").resize((64, 64)).tobytes())) > 16  # something is drawn on it


@pytest.fixture(scope="module")
def service(main_job: object, folder: Path, environment: dict[str, str]) -> Iterator[str]:  # noqa: ARG001 (what built it)
    """Serve as the README says."""
    command = next(line for line in lines_of("bash") if line.startswith("bottega serve"))
    with subprocess.Popen(
        ["bash", "-c", f"exec {command.removesuffix('&')} --port 0"],
        cwd=folder, env=environment, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield re.search(r"http://\S+", process.stdout.readline())[0]  # type: ignore[index]
        process.send_signal(signal.SIGTERM)


def test_the_service_answers_every_curl(service: str, folder: Path, environment: dict[str, str]) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    commands = [line for line in lines_of("bash") if line.startswith("curl")]
    assert len(commands) == 4
    for command in commands:
        address = command.replace("http://127.0.0.1:8000", service).replace("curl", "curl --fail --silent", 1)
        assert run(address, folder, environment).stdout


@pytest.mark.usefixtures("service")
def test_the_other_verbs_run(folder: Path, environment: dict[str, str]) -> None:
    verbs = ("consistency", "draw", "explain", "load", "report", "release", "rollback")
    commands = [
        line
        for line in lines_of("bash")
        if line.split()[:1] == ["bottega"] and line.split()[1] in verbs and "my_shop" not in line
    ]
    assert {command.split()[1] for command in commands} == set(verbs)
    for command in commands:
        run(command, folder, environment)


def test_clicks_and_auctions_run_from_the_package_alone(folder: Path, brief: dict[str, str]) -> None:
    commands = lines_of("bash", BLOCK.findall(CLICKS))
    assert {command.split()[2] for command in commands} == {"banner-clicks", "sponsored-search", "ad-auction"}
    for command in commands:
        done = run(command, folder, brief)
        said = done.stdout
        if "--warm-start" in command:
            assert "learnt from these same data" in done.stderr
            assert re.search(rf"{re.escape(command)} +# .*here none are newer: from scratch", CLICKS)
        if command.startswith("bottega explain"):
            assert "base" in said
            assert "log-odds" in said


def test_search_runs_from_the_package_alone(folder: Path, brief: dict[str, str]) -> None:
    for command in lines_of("bash", BLOCK.findall(SEARCH)):
        said = run(command, folder, brief).stdout
        if command.startswith("bottega explain"):
            assert "brought by" in said
            assert "BM25 at" in said


def test_a_table_of_ones_own(folder: Path, brief: dict[str, str]) -> None:
    for kind, text in BLOCKS:
        name = re.match(r"# (\w+\.py)", text)
        if kind == "python" and name:
            (folder / name[1]).write_text(text)
    table = BLOCK.findall(README.split("## Your own table\n")[1].split("\n## ")[0])
    commands = lines_of("bash", table)
    assert commands[0] == "python orders.py"
    assert {line.split()[1] for line in commands[1:]} == {"review", "run", "draw", "new", "rule"}
    for command in commands:
        said = run(command, folder, brief)
        assert "review" not in command or "Nothing found." in said.stdout
    scripts = [text for kind, text in BLOCKS if kind == "python" and not text.startswith("# ")]
    for script in scripts:
        subprocess.run([sys.executable, "-c", script], cwd=folder, env=brief, check=True)


def test_the_house_is_the_house() -> None:
    rooms = re.findall(r"`(\w+)/`", README.split("## The house")[1])
    there = {path.name for path in (ROOT / "src/bottega").iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert there <= set(rooms)


def test_every_link_to_a_file_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target
