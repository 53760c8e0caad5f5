"""Reads the fenced blocks of the documentation, and runs those of a page in their order."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RUNS = ("python", "console")
"""Kinds of block that run."""
_MARK = r"checked(?:, exits with (?P<exits>\d))?|not run: [^\n]+"
_BLOCK = re.compile(
    rf"(?:^<!-- (?P<mark>{_MARK}) -->\n)?^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_PLACE = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Block:
    """kind: what stands behind the fence. line: of its first line of text. checked: what a command prints is compared.
    reason: why it does not run. exits: the code with which each of its commands ends."""

    kind: str
    text: str
    line: int
    checked: bool = False
    reason: str = ""
    exits: int = 0


def pages() -> list[Path]:
    """Give every page that is written by hand, but for decisions."""
    return sorted(path for path in DOCS.rglob("*.md") if path.parent.name != "decisions")


def blocks(text: str) -> list[Block]:
    """Give the blocks of a page in their order."""
    return [
        Block(
            found["kind"], found["text"], text.count("\n", 0, found.start("text")) + 1,
            (found["mark"] or "").startswith("checked"), (found["mark"] or "").partition("not run: ")[2],
            int(found["exits"] or 0),
        )
        for found in _BLOCK.finditer(text)
    ]  # fmt: skip


class Page:
    """Runs the blocks of one page: Python in one namespace, commands with what they started beside them."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self.folder, self.url = path, folder, _PLACE
        self.module = ModuleType("page")
        self._started: list[subprocess.Popen[str]] = []

    def run(self, block: Block) -> None:
        """Run a block, and raise what it raises, or `AssertionError` with what was printed instead."""
        name = re.match(r"# (\w+)\.py\n", block.text)
        if block.kind == "console":
            for command, shown in commands(block.text):
                self._command(command, shown if block.checked else None, block.exits)
        elif name:
            (self.folder / f"{name[1]}.py").write_text(block.text)
            importlib.import_module(name[1])
        elif block.text.startswith(">>>"):
            self._examples(block)
        else:
            code = compile("\n" * (block.line - 1) + block.text, str(self.path), "exec", dont_inherit=True)
            exec(code, self.module.__dict__)

    def close(self) -> None:
        """End what a command left running."""
        for process in self._started:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)

    def _examples(self, block: Block) -> None:
        name = self.path.name
        test = doctest.DocTestParser().get_doctest(block.text, self.module.__dict__, name, name, block.line - 1)
        said: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        failed = runner.run(test, out=said.append, clear_globs=False).failed
        self.module.__dict__.update(test.globs)
        assert not failed, "".join(said)

    def _command(self, command: str, shown: str | None, exits: int) -> None:
        command = command.replace(_PLACE, self.url)
        if command.endswith("&"):
            line = f"exec {command.removesuffix('&')} --port 0"
            process = subprocess.Popen(
                ["bash", "-c", line], cwd=self.folder, env=_environment(), stdout=subprocess.PIPE, text=True
            )
            self._started.append(process)
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found, f"{command}: no address"
            self.url = found[0]
            return
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=_environment(), capture_output=True, text=True, timeout=300
        )
        assert done.returncode == exits, f"{command}\n{done.stdout}\n{done.stderr}"
        if shown is not None:
            said = doctest.OutputChecker().check_output(shown.rstrip(), done.stdout.rstrip(), doctest.ELLIPSIS)
            assert said, f"{command}\nprints\n{done.stdout}\nand not\n{shown}"


def commands(text: str) -> list[tuple[str, str]]:
    """Give each line that begins with `$ `, and the lines below it that are what it prints.

    >>> commands("$ a\\nsaid\\n$ b\\n")
    [('a', 'said\\n'), ('b', '')]
    """
    found: list[tuple[str, str]] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append((line[2:].rstrip(), ""))
        else:
            command, shown = found.pop()
            found.append((command, shown + line))
    return found


@contextmanager
def opened(path: Path, folder: Path) -> Iterator[Page]:
    """Open a page in a folder, where what it writes can be imported and is forgotten afterwards."""
    page, before, here, known = Page(path, folder), list(sys.path), Path.cwd(), set(sys.modules)
    data = os.environ.pop("BOTTEGA_DATA", None)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.modules["page"] = page.module
    try:
        yield page
    finally:
        page.close()
        os.chdir(here)
        sys.path[:] = before
        if data is not None:
            os.environ["BOTTEGA_DATA"] = data
        for name in set(sys.modules) - known:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)) or name == "page":
                del sys.modules[name]


def _environment() -> Mapping[str, Any]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "100"}


def unmarked(found: Sequence[Block]) -> list[str]:
    """Say which blocks look like code that runs and neither do, nor say why not: `line: kind`."""
    shells = ("bash", "sh", "shell", "")
    return [f"{block.line}: {block.kind}" for block in found if block.kind in shells and not block.reason]
