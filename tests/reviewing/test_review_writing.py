"""What a review says: as text for any width, with colour or without, as JSON, and as SARIF that editors read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len

from bottega.design.reading import load
from bottega.reviewing.finding import Finding
from bottega.reviewing.judging import Review, judge
from bottega.reviewing.lines import lines_of
from bottega.reviewing.rules import RULES, find_rule
from bottega.reviewing.writing_pages import listing, markdown, page
from bottega.reviewing.writing_sarif import sarif
from bottega.reviewing.writing_text import fill, text

DESIGNS = Path(__file__).parent / "designs"
WIDTHS = (40, 55, 72, 100, 160)


def of_file(name: str, **changed: Any) -> Review:
    """A review of one of the small designs."""
    file = Path(f"{name}.py")
    return judge(msgspec.structs.replace(load(file), **changed), None, str(file), lines_of(file))


@pytest.fixture(autouse=True)
def _beside_the_designs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DESIGNS)


def several() -> Review:
    """A review with findings that stop, that warn, and that are silenced."""
    silenced = {"R104": "it is read by hand", "R999": "x"}
    return of_file("R104", silenced=silenced, serving=load("R609.py").serving, data=load("R201.py").data)


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_asked(width: int) -> None:
    for line in text(several(), width).splitlines():
        assert cell_len(line) <= width or " " not in line.strip()


@pytest.mark.parametrize("width", WIDTHS)
def test_colour_changes_no_word(width: int) -> None:
    plain, painted = text(several(), width), text(several(), width, colour=True)
    assert "\x1b[" not in plain
    assert "\x1b[31m" in painted or not several().stopping
    assert re.sub(r"\x1b\[\d+m", "", painted) == plain


def test_every_width_says_the_same() -> None:
    told = {width: " ".join(text(several(), width).split()) for width in WIDTHS}
    assert len({" ".join(sorted(words.split())) for words in told.values()}) == 1


def test_what_stops_comes_first_and_what_is_silenced_last() -> None:
    found = of_file("R606", silenced={"R503": "nobody is new here"}, evaluation=load("R503.py").evaluation)
    assert [one.code for one in found.findings] == ["R606", "R503"]
    assert [one.code for one in found.open] == ["R606"]
    told = text(found, 100)
    assert "silenced: nobody is new here" in told
    assert "1 finding, 1 would stop a run." in told
    assert "1 silenced." in told
    assert told.endswith("next   bottega rule R606")


def test_a_reason_that_is_missing_silences_nothing() -> None:
    found = of_file("R606", silenced={"R606": " "})
    assert [one.code for one in found.open] == ["R606", "R901"]


def test_nothing_found_says_what_to_type_next() -> None:
    told = text(of_file("R609_near"), 100, typed="my_design.py")
    counts = re.match(r"Nothing found\.   (\d+) rules held, (\d+) do not apply\.   (\d+) go by data", told)
    assert counts is not None
    assert sum(map(int, counts.groups())) == len(RULES)
    assert told.endswith("next   bottega run my_design.py")


def test_a_design_without_a_file_is_told_by_its_places() -> None:
    assert text(judge(load("R201.py")), 100).startswith("data.split  R201  the split is random")


def test_words_of_other_scripts_are_as_wide_as_a_terminal_shows_them() -> None:
    lines = fill("広告 の 表示 " * 12, 30, "- ", "  ")
    assert len(lines) > 3
    assert all(cell_len(line) <= 30 for line in lines)
    assert " ".join("".join(lines).replace("- ", "").split()).replace(" ", "") == "広告の表示" * 12


def test_json_holds_it_all_and_reads_back() -> None:
    found = several()
    again = msgspec.json.decode(json.dumps(msgspec.to_builtins(found)), type=Review)
    assert again == found
    assert {"code", "severity", "place", "found", "costs", "fix", "file", "line"} <= set(Finding.__struct_fields__)


def test_sarif_is_what_its_specification_asks() -> None:
    found = several()
    log = json.loads(json.dumps(sarif(found)))
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"]
    assert [rule["id"] for rule in driver["rules"]] == [rule.code for rule in RULES]
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"].endswith(".")
        assert rule["fullDescription"]["text"].startswith("Why.")
        assert len(rule["help"]["text"]) > 100
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note", "none")
        assert re.fullmatch(r"[A-Z]\w+", rule["name"])
    assert len(run["results"]) == len(found.findings) > 2
    for result, finding in zip(run["results"], found.findings, strict=True):
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == finding.code
        assert result["level"] == ("error" if finding.severity == "stop" else "warning")
        assert finding.found in result["message"]["text"]
        (location,) = result["locations"]
        physical = location["physicalLocation"]
        assert physical["artifactLocation"]["uri"] == finding.file == "R104.py"
        assert physical["region"] == {"startLine": finding.line, "startColumn": finding.column}
        assert location["logicalLocations"][0]["fullyQualifiedName"] == finding.place
        assert all(isinstance(value, str) for value in result["partialFingerprints"].values())
    (silenced,) = [result for result in run["results"] if "suppressions" in result]
    assert silenced["suppressions"] == [{"kind": "inSource", "justification": "it is read by hand"}]


def test_sarif_names_files_as_addresses(tmp_path: Path) -> None:
    strange = tmp_path / "mein größter Entwurf.py"
    found = judge(load("R201.py"), None, str(strange), lines_of(Path("R201.py")))
    (result,) = sarif(found)["runs"][0]["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.startswith("file:///")
    assert uri.endswith("mein%20gr%C3%B6%C3%9Fter%20Entwurf.py")
    (nameless,) = sarif(judge(load("R201.py")))["runs"][0]["results"]
    assert "physicalLocation" not in nameless["locations"][0]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_page_has_all_its_parts(rule: Any) -> None:
    told = markdown(rule)
    assert told.startswith(f"# {rule.code} {rule.title}\n")
    assert all(f"\n\n**{word}.**" in told for word in ("Why", "Example", "Fix", "Source"))
    assert page(rule).startswith(f"{rule.code}  {rule.title}\n")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_list_names_every_rule_once(width: int) -> None:
    told = listing(RULES, width)
    assert re.findall(r"^  (R\d{3})", told, re.MULTILINE) == [rule.code for rule in RULES]
    assert all(cell_len(line) <= width for line in told.splitlines())
    assert told.splitlines()[0] == "scope"


def test_a_rule_is_found_by_code_and_by_name() -> None:
    assert find_rule("R201") is find_rule(" r201 ") is find_rule("random-split")
    with pytest.raises(ValueError, match="did you mean 'R201'"):
        find_rule("R2O1")
    with pytest.raises(ValueError, match="did you mean 'random-split'"):
        find_rule("random_splt")
