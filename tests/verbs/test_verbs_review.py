"""`bottega review` and `bottega rule`, as they are typed: by name, by file, on data or without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tiny_shop import tiny_design

import bottega as bt
from bottega.errors import DataError, DesignError
from bottega.runs.runner import Runner
from bottega.runs.workspace import Workspace
from bottega.verbs.review import review
from bottega.verbs.rule import rule

HASTY = """\
import bottega as bt
from bottega.systems.visual_search import design as base
from msgspec.structs import replace

print("who reads this?")
design = replace(
    base,
    monitoring=replace(base.monitoring,
                       retrain=bt.Retrain(every="7d")),
)
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BOTTEGA_DATA", raising=False)


def test_a_python_file_points_to_its_lines(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("hasty.py").write_text(HASTY)
    found = review("hasty.py", static=True)
    assert [(one.code, one.file, one.line, one.column) for one in found.open] == [("R705", "hasty.py", 9, 24)]
    assert found.printed == "who reads this?\n"
    assert capfd.readouterr() == ("", "")  # nothing that could spoil JSON
    assert (found.design, found.why) == ("visual-search", "leave --static out")
    assert not (tmp_path / ".bottega").exists()


@pytest.mark.parametrize(("suffix", "write"), [(".yaml", bt.to_yaml), (".json", bt.to_json)])
def test_yaml_and_json_point_to_their_lines(suffix: str, write: object) -> None:
    design = msgspec.structs.replace(tiny_design(), monitoring=bt.Monitoring(retrain=bt.Retrain(every="90d")))
    text = write(design)  # type: ignore[operator]
    Path(f"d{suffix}").write_bytes(text.encode() if isinstance(text, str) else text)
    (found,) = [one for one in review(f"d{suffix}", static=True).open if one.code == "R703"]
    assert '"90d"' in Path(f"d{suffix}").read_text().splitlines()[found.line - 1] or suffix == ".yaml"
    assert "every" in Path(f"d{suffix}").read_text().splitlines()[found.line - 1]


def test_a_design_in_memory_has_no_line() -> None:
    found = review(tiny_design(), static=True)
    assert {(one.file, one.line) for one in found.findings} == {("", 0)}
    told = {one.code for one in found.findings}
    assert sorted([*found.held, *found.inapplicable, *found.waiting, *told]) == [one.code for one in rule()]


def test_tables_that_are_there_are_read(shop_data: Path, tmp_path: Path) -> None:
    found = review(tiny_design(), data=shop_data, workspace=tmp_path / "w")
    assert (found.waiting, found.why) == ((), "")
    assert found.seconds > 0


def test_tables_that_are_not_there_are_told(tmp_path: Path) -> None:
    design = msgspec.structs.replace(tiny_design(), data=msgspec.structs.replace(tiny_design().data, world=None))
    found = review(design, workspace=tmp_path / "w")
    assert "no such file" in found.why or "not there" in found.why or "online_retail" in found.why
    assert len(found.waiting) > 5
    with pytest.raises(DataError):
        review(design, data=tmp_path, workspace=tmp_path / "w")


def test_a_review_works_while_a_run_holds_the_workspace(shop_data: Path, tmp_path: Path) -> None:
    space = Workspace(tmp_path / "w", tiny_design().name)
    with Runner(space):
        alone = review(tiny_design(), data=shop_data, workspace=space.root)
        assert not list(space.steps.iterdir())  # it is the run's
    assert (alone.waiting, alone.why) == ((), "")
    review(tiny_design(), data=shop_data, workspace=space.root)
    steps = {path: path.stat().st_mtime_ns for path in space.steps.rglob("*")}
    one = next(path for path in steps if path.name == "seen.json")
    one.write_text("{}")  # damaged: it is made again in passing, and the run's stays as it is
    with Runner(space):
        beside = review(tiny_design(), data=shop_data, workspace=space.root)
    assert beside.findings == alone.findings
    assert one.read_text() == "{}"
    assert set(space.steps.rglob("*")) == set(steps)


def test_a_static_review_loads_no_model_and_no_data_library() -> None:
    heavy = "{'pandas', 'torch', 'sklearn', 'scipy', 'lightgbm', 'duckdb', 'numba'}"
    code = f"from bottega.verbs.review import review; review('shop-recommendation', static=True); import sys; \
print({heavy} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


@pytest.mark.parametrize("design", ["shop-recomendation", "gone.py", "", "gone.yaml"])
def test_a_design_that_is_not_there(design: str) -> None:
    with pytest.raises(DesignError):
        review(design)


def test_a_file_that_takes_too_long(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("while True: pass")
    with pytest.raises(DesignError, match="not there after 1 s"):
        review("slow.py", limit_s=1)


def test_the_page_of_a_rule() -> None:
    assert [one.code for one in rule("random-split")] == ["R201"]
    assert len(rule()) > 50
    with pytest.raises(DesignError, match="did you mean"):
        rule("R20")
