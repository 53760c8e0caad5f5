"""Each rule: a bad design keeps its message, a near miss stays silent, and its page says why, how and where from."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from review_tables import write

import bottega as bt
from bottega.design.design import Design
from bottega.design.reading import load
from bottega.files import write_json
from bottega.reviewing.judging import Review, judge
from bottega.reviewing.lines import lines_of
from bottega.reviewing.rule import Rule
from bottega.reviewing.rules import RULES
from bottega.reviewing.seen import Seen
from bottega.reviewing.writing_text import text
from bottega.verbs.review import review

DESIGNS = Path(__file__).parent / "designs"
BY_DATA = {rule.code for rule in RULES if rule.needs_data}
SERVED = {"name": "ads", "serving": {"stages_ms": {"candidates": 0.5, "rank": 1.5}, "p99_ms": 9.0, "rate": 200.0}}


@pytest.fixture(autouse=True)
def _beside_the_designs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DESIGNS)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ordinary tables."""
    return write(tmp_path_factory.mktemp("tables"))


def reviewed(name: str, code: str, folder: Path) -> Review:
    """Review a design, on the tables of a rule where it goes by data."""
    file = Path(f"{name}.py")
    if code not in BY_DATA:
        return judge(load(file), None, str(file), lines_of(file))
    workspace = folder / "workspace"
    if code == "R605":
        write_json(workspace / "ads" / "scorecard.json", SERVED)
    return review(file, data=write(folder, code), workspace=workspace)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a workspace in it."""
    (tmp_path / "workspace" / "ads").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_bad_design_keeps_its_message(rule: Rule, folder: Path) -> None:
    found = reviewed(rule.code, rule.code, folder)
    assert rule.code in [finding.code for finding in found.open]
    assert text(found, 100, typed=f"{rule.code}.py") + "\n" == (DESIGNS / f"{rule.code}.txt").read_text("utf-8")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_near_miss_stays_silent(rule: Rule, folder: Path) -> None:
    found = reviewed(f"{rule.code}_near", rule.code, folder)
    assert rule.code in found.held


@pytest.mark.parametrize("name", ["ads", "shop"])
def test_the_small_designs_are_sound(name: str, tables: Path, tmp_path: Path) -> None:
    found = review(small(name), data=tables, workspace=tmp_path)
    assert (found.findings, found.waiting, len(found.held) + len(found.inapplicable)) == ((), (), len(RULES))


def test_the_small_design_of_payments_is_sound() -> None:
    assert judge(small("payments")).findings == ()


def small(name: str) -> Design:
    """One of the designs that the others change."""
    space: dict[str, Design] = {}
    exec((DESIGNS / "base_designs.py").read_text("utf-8"), space)
    return space[name]


def test_every_file_belongs_to_a_rule() -> None:
    codes = {rule.code for rule in RULES}
    expected = {f"{code}{end}" for code in codes for end in (".py", "_near.py", ".txt")} | {"base_designs.py"}
    assert {path.name for path in DESIGNS.iterdir() if path.name != "__pycache__"} == expected


def test_codes_are_in_the_order_of_the_steps_and_each_is_one_rule() -> None:
    codes = [rule.code for rule in RULES]
    assert len(set(codes)) == len(codes) >= 50
    assert codes == sorted(codes)
    assert all(re.fullmatch(r"R[1-79]\d\d", code) for code in codes)
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_page_says_why_how_and_where_from(rule: Rule) -> None:
    parts = re.split(r"\n\n(Why|Example|Fix|Source)\. ?", rule.page)
    assert parts[1::2] == ["Why", "Example", "Fix", "Source"]
    assert all(len(part.strip()) > 20 for part in parts[2::2])
    assert rule.title.endswith(".")
    for line in parts[4].strip().splitlines():
        ast.parse(f"f({line.strip().replace('…, ', '').replace('…', '...')}\n)")
    named = set(re.findall(r"bt\.(\w+)\(", rule.page))
    assert named <= set(dir(bt))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_bears_every_design_and_tables_of_which_nothing_was_seen(rule: Rule) -> None:
    for path in sorted(DESIGNS.glob("R*.py")):
        design = load_once(path)
        claims = list(rule.run(design, Seen({})))
        places = {claim.place.split(".")[0].split("[")[0] for claim in claims}
        assert places <= set(Design.__struct_fields__), path.name
        assert {claim.severity for claim in claims} <= {None, rule.severity, rule.sometimes}, path.name


@cache
def load_once(path: Path) -> Design:
    """Load a design, and remember it."""
    return load(path)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_without_data_a_rule_on_data_says_nothing(rule: Rule) -> None:
    if rule.needs_data:
        assert list(rule.run(load(f"{rule.code}.py"), None)) == []
    else:
        assert list(rule.run(load(f"{rule.code}.py"), None))
