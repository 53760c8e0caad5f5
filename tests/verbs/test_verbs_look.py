"""How every verb looks: no line wider than the terminal, colour where it is wanted, quiet where that is asked for."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from tiny_shop import REQUESTS, WARM_UP, Built, write_shop

from bottega import cli
from bottega.runs.steps import measuring

ELSEWHERE = ("load", "serve", "stream")
"""Verbs that hold a service; what they print is laid out by `bottega.reporting.telling`, whose tests go by width."""
REQUEST = '{"customer": "1", "k": 2}'
VERBS: dict[str, list[str]] = {
    "review": ["tiny.yaml", "--static"],
    "rule": [],
    "draw": ["tiny.yaml"],
    "report": ["tiny.yaml", "--format", "md"],
    "run": ["tiny.yaml", "--data", "data", "--quiet"],
    "release": ["tiny.yaml", "--accept", "a look"],
    "rollback": ["tiny.yaml"],
    "consistency": ["tiny.yaml"],
    "explain": ["tiny.yaml", REQUEST],
    "flink": ["tiny.yaml", "--out", "job"],
    "new": ["begun", "--like", "shop-recommendation", "--out", "new"],
}
LINES = [[verb, *words] for verb, words in VERBS.items()]
LINES += [
    ["review", "bad.py"],
    ["rule", "R201"],
    [],
    ["--help"],
    *([verb, "--help"] for verb in sorted({*VERBS, *ELSEWHERE})),
]
BAD = """import msgspec
import bottega as bt
from bottega.systems.shop_recommendation import design as shop

design = msgspec.structs.replace(shop, name="bad", monitoring=bt.Monitoring())
"""


class Stream(io.StringIO):
    """What a command prints into: a terminal, or a pipe."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture(scope="module")
def home(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the tiny design was run, where one works."""
    folder, before = tmp_path_factory.mktemp("look"), Path.cwd()
    shutil.copytree(built.workspace, folder / ".bottega")
    shutil.copy(built.design, folder / "tiny.yaml")
    (folder / "bad.py").write_text(BAD)
    (folder / "data").mkdir()
    write_shop(folder / "data")
    os.chdir(folder)
    yield folder
    os.chdir(before)


def typed(
    monkeypatch: pytest.MonkeyPatch, words: list[str], width: int = 80, terminal: bool = False
) -> tuple[str, str]:
    """Type a command in this process, and give what it printed to stdout and stderr."""
    out, err = Stream(terminal), Stream(False)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("BOTTEGA_DATA", raising=False)
    monkeypatch.setattr(measuring, "REQUESTS", REQUESTS)
    monkeypatch.setattr(measuring, "WARM_UP", WARM_UP)
    monkeypatch.setattr("sys.argv", ["bottega", *words])
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    with pytest.raises(SystemExit):
        cli.main()
    return out.getvalue(), err.getvalue()


def too_wide(text: str, width: int) -> list[str]:
    """Give the lines that could have been broken: a path, a command and code stay whole, so that they can be copied."""
    whole = ("next ", "    bt.", "    path=[")
    lines = [line for line in text.splitlines() if cell_len(line) > width and not line.startswith(whole)]
    return [line for line in lines if len(line.split()) > 1 and max(map(cell_len, line.split())) < width // 2]


def test_every_verb_is_looked_at() -> None:
    there = {command.name or command.callback.__name__ for command in cli.app.registered_commands if command.callback}
    assert there == {*VERBS, *ELSEWHERE}


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_no_line_is_wider_than_the_terminal(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for width in (60, 80, 120) if words[:1] != ["run"] else (60,):
        shutil.rmtree("new", ignore_errors=True)
        out, err = typed(monkeypatch, words, width)
        assert out or err
        assert too_wide(out, width) == []
        assert "\x1b" not in out + err


def test_a_line_that_could_be_broken_is_found() -> None:
    assert too_wide("a few words that are more than twenty columns", 20)
    assert not too_wide("next   bottega serve tiny.yaml --workspace here", 20)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("words", [["review", "bad.py"], ["rule", "R201"], ["run", *VERBS["run"]]], ids=" ".join)
def test_colour_is_for_terminals_that_want_it(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in typed(monkeypatch, words, terminal=True)[0]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in typed(monkeypatch, words, terminal=True)[0]


@pytest.mark.usefixtures("home")
def test_quiet_says_the_result_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = typed(monkeypatch, ["run", *VERBS["run"]])
    assert err == ""
    assert out.startswith("models")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("verb", sorted(VERBS.keys() - {"run"}))
def test_every_verb_may_be_told_to_be_quiet(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree("new", ignore_errors=True)
    loud = typed(monkeypatch, [verb, *VERBS[verb]])[0].splitlines()
    shutil.rmtree("new", ignore_errors=True)
    out, err = typed(monkeypatch, [verb, *VERBS[verb], "--quiet"])
    assert err == "" or (err.startswith("error: ") and not out)  # there is nothing yet to roll back to
    assert out.splitlines()[:1] == loud[:1] or verb == "flink"
    assert verb == "rule" or not any(line.startswith("next ") for line in out.splitlines())


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("verb", ["run", "release", "rule", "flink", "new"])
def test_the_next_command_stands_at_the_end(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree("new", ignore_errors=True)
    *_, before, last = typed(monkeypatch, [verb, *VERBS[verb]])[0].splitlines()
    assert last.split()[:1] == ["next"] or before.split()[:1] == ["next"]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "words", [["release", *VERBS["release"]], ["run", *VERBS["run"][:-1]], ["review", "tiny.yaml"]], ids=" ".join
)
def test_the_next_command_names_the_workspace_that_was_given(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(".bottega", "an other", dirs_exist_ok=True)
    out, _ = typed(monkeypatch, [*words, "--workspace", "an other"])
    said = next(line for line in reversed(out.splitlines()) if line.startswith("next "))
    assert "--workspace 'an other'" in said or said.split()[1:3] == ["bottega", "rule"]


@pytest.mark.usefixtures("home")
def test_a_report_without_a_run_says_so_and_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["report", "tiny.yaml", "--format", "md", "--workspace", "empty"]
    out, err = typed(monkeypatch, asked)
    assert "no run in empty/tiny" in err
    assert "bottega run tiny.yaml --workspace empty" in err
    assert "no run" not in typed(monkeypatch, ["report", *VERBS["report"]])[1]
    assert typed(monkeypatch, [*asked, "--quiet"]) == (out, "")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("words", [["serve", "tiny.yaml"], ["rollback", "tiny.yaml"], ["load", "tiny.yaml"]])
def test_a_verb_without_a_build_says_what_to_type_there(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _, err = typed(monkeypatch, [*words, "--workspace", "empty"])
    assert "tiny.yaml --workspace empty" in err
