"""What a shell gets for a tab, by the protocol of each shell, and what is told where nothing can be printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bottega import systems
from bottega.cli import main
from bottega.reviewing.rules import RULES

OTHERS = ("my_design.py", "shop.yaml", "notes.txt", "designs/a.py", "designs/b.json", "empty/notes.txt", ".hidden/c.py")
OF_200S = [rule for rule in RULES if rule.code.startswith("R20")]


@pytest.fixture(autouse=True)
def _among_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OTHERS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)


def told(shell: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the program prints when a shell asks it to complete a line."""
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)} if shell == "bash" else {}
    asked |= {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"} if shell != "bash" else {}
    for name, value in {"_BOTTEGA_COMPLETE": f"complete_{shell}", **asked}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["bottega"])
    with pytest.raises(SystemExit):
        main()
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_codes_systems_and_files(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = told(shell, "bottega rule R20", monkeypatch, capsys)
    assert [rule.code in rules for rule in RULES] == [rule in OF_200S for rule in RULES]
    first = " ".join(rules.split())
    assert (shell == "bash") != (OF_200S[0].title in first)  # bash has no room for titles
    like = told(shell, "bottega new x --like s", monkeypatch, capsys)
    assert [name in like for name in systems.names()] == [name.startswith("s") for name in systems.names()]


@pytest.mark.parametrize("verb", ["review", "run", "draw", "report", "serve", "load", "release", "stream"])
def test_a_design_is_a_name_or_a_file(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    every = told("bash", f"bottega {verb} ", monkeypatch, capsys).split()
    assert every == [*systems.names(), "designs/a.py", "designs/b.json", "my_design.py", "shop.yaml"]
    for begun, expected in {
        "my": ["my_design.py"],
        "designs/": ["designs/a.py", "designs/b.json"],
        "./sh": ["./shop.yaml"],
        ".h": [".hidden/c.py"],
        "gone/": [],
        "sho": ["shop-recommendation", "shop.yaml"],
    }.items():
        assert told("bash", f"bottega {verb} {begun}", monkeypatch, capsys).split() == expected, begun


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without /dev/full")
@pytest.mark.parametrize("words", [["rule"], ["--help"]])
def test_what_cannot_be_printed_is_one_error(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "bottega", *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: standard output: cannot be written: No space left on device\n")
    assert "Traceback" not in ended.stderr
    assert "ignored" not in ended.stderr
