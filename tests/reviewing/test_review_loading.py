"""A design's file may do what it likes while it is loaded: the review ends, and says what is wrong."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec.structs import replace

import bottega as bt
from bottega.errors import DesignError
from bottega.reviewing.loading import load_within
from bottega.systems import find

SOUND = bt.to_python(find("visual-search"))


def written(folder: Path, source: str) -> Path:
    """The file of a design."""
    path = folder / "my_design.py"
    path.write_text(source)
    return path


def test_what_is_loaded_is_what_stands_there(tmp_path: Path) -> None:
    assert load_within(written(tmp_path, SOUND)) == (find("visual-search"), "")


def test_a_file_beside_it_may_be_imported(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text(SOUND)
    assert load_within(written(tmp_path, "from beside_it import design"))[0] == find("visual-search")


def test_yaml_is_read_here(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(bt.to_yaml(find("visual-search")))
    assert load_within(path, limit_s=0) == (find("visual-search"), "")


def test_what_it_prints_is_kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noise = "import os, sys\nprint('one')\nprint('two', file=sys.stderr, flush=True)\nos.write(1, b'three')\n"
    found, printed = load_within(written(tmp_path, noise + SOUND))
    assert found == find("visual-search")
    assert all(word in printed for word in ("one", "two", "three"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("source", "where", "found"),
    [
        ("design = (", "my_design.py:1", "'(' was never closed"),
        ("import not_there_at_all", "my_design.py:1: ModuleNotFoundError", "No module named"),
        ("import bottega as bt\ndesign = bt.Desing()", "my_design.py:2", "no attribute 'Desing'"),
        ("import bottega as bt\ndesign = bt.Window()", "my_design.py:2", "nothing"),
        ("1 / 0", "my_design.py:1: ZeroDivisionError", "division by zero"),
        ("x = 1", "my_design.py", "no `design`"),
        ("from bottega.systems import find\na = find('news-feed')\nb = a", "my_design.py", "no `design`, and a and b"),
        ("\0", "my_design.py", "null bytes"),
        ("design = None", "my_design.py", "an object of type NoneType"),
        ("raise KeyboardInterrupt", "my_design.py", "its process ended with"),
        ("input()", "my_design.py:1: EOFError", "EOF when reading a line"),
        ("design = 7", "my_design.py", "an object of type int"),
        ("import sys\nsys.exit(5)", "my_design.py", "its process ended with 5, without a design"),
        ("import os\nos._exit(0)", "my_design.py", "its process ended with 0, without a design"),
        ("print('bye', flush=True)\nimport os\nos.abort()", "my_design.py", "its process ended with -6"),
        ("def f(): f()\nf()", "my_design.py:1: RecursionError", "maximum recursion depth"),
    ],
)
def test_a_file_that_fails_says_where(tmp_path: Path, source: str, where: str, found: str) -> None:
    with pytest.raises(DesignError) as caught:
        load_within(written(tmp_path, source))
    assert where in caught.value.where
    assert found in str(caught.value.found)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("d.yaml", b"", "nothing in the file"),
        ("d.yaml", b"\x97\xff", "unacceptable character"),
        ("d.yaml", b"a: &a [*a]", "Design has no such field"),
        ("d.json", b"\xff\xfe", "no UTF-8 at byte 0"),
        ("d.json", b"[1,2", "Expecting ',' delimiter"),
        ("d.txt", b"design: 1", "a file ending in '.txt'"),
        ("d.py", b"\xe9 = 1", "can't decode byte 0xe9"),
    ],
)
def test_what_is_no_text_or_no_design_is_told_by_its_file(
    tmp_path: Path, name: str, content: bytes, found: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DesignError) as caught:
        load_within(tmp_path / name)
    assert caught.value.where.startswith(str(tmp_path / name))
    assert found in str(caught.value.found)
    assert "None" not in caught.value.where


def test_a_link_to_nothing_is_not_what_was_meant(tmp_path: Path) -> None:
    (tmp_path / "d.py").symlink_to("gone.py")
    with pytest.raises(DesignError, match="no such file") as caught:
        load_within(tmp_path / "d.py")
    assert caught.value.fix == ""


@pytest.mark.parametrize(
    "source",
    [
        "while True: pass",
        "import time\ntime.sleep(60)",
        "while True:\n    try:\n        import time; time.sleep(1)\n    except BaseException:\n        pass",
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)",
    ],
)
def test_a_file_that_takes_too_long_is_ended(tmp_path: Path, source: str) -> None:
    with pytest.raises(DesignError, match=r"its design is not there after 1\.5 s"):
        load_within(written(tmp_path, source), limit_s=1.5)


def test_what_it_started_is_ended_with_it(tmp_path: Path) -> None:
    note = tmp_path / "child.txt"
    source = (
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid))\ntime.sleep(600)"
    )
    with pytest.raises(DesignError):
        load_within(written(tmp_path, source), limit_s=3)
    child = int(note.read_text())
    for _ in range(100):  # a kill takes effect a moment later
        if not alive(child):
            break
        time.sleep(0.1)
    assert not alive(child)


@pytest.mark.parametrize(
    "source",
    [
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()",
        "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])",
    ],
    ids=["thread", "process"],
)
def test_a_design_is_there_whatever_its_file_leaves_running(tmp_path: Path, source: str) -> None:
    design, printed = load_within(written(tmp_path, f"{SOUND}\nprint('hello')\n{source}\n"))
    assert (design, printed) == (find("visual-search"), "hello\n")


def alive(process: int) -> bool:
    """Whether a process runs still."""
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_printing_for_ever_fills_no_disk(tmp_path: Path) -> None:
    with pytest.raises(DesignError, match=r"File too large|not there after|process ended"):
        load_within(written(tmp_path, "while True: print('x' * 65536)"), limit_s=20)


@pytest.mark.parametrize(("suffix", "write"), [(".py", bt.to_python), (".yaml", bt.to_yaml), (".json", bt.to_json)])
@pytest.mark.parametrize(
    ("slip", "found", "allowed"),
    [
        (False, "False", "'platt', 'isotonic', 'beta', None"),
        ("plat", "'plat'", "'platt', 'isotonic', 'beta', None"),
        (7, "7", "'platt', 'isotonic', 'beta', None"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_line_and_the_words_that_do(
    suffix: str, write: Callable[[bt.Design], Any], slip: object, found: str, allowed: str, tmp_path: Path
) -> None:
    base = find("sponsored-search")
    rungs = [bt.HistoricalRate("ad_id"), bt.Logistic(calibrate="beta")]
    design = replace(base, models={**base.models, "rank": rungs})
    path, sound = tmp_path / f"d{suffix}", write(design)
    sound = sound if isinstance(sound, str) else json.dumps(json.loads(sound), indent=1)
    code = repr(slip) if suffix == ".py" else json.dumps(slip)
    source = re.sub(r"""(calibrate\W+?)["']?beta["']?""", lambda hit: hit[1].rstrip("\"'") + code, sound)
    path.write_text(source)
    with pytest.raises(DesignError) as error:
        load_within(path)
    line = next(number for number, row in enumerate(source.splitlines(), 1) if "calibrate" in row and code in row)
    assert error.value.where == f"{path}:{line}: models.rank[1].calibrate"
    assert (str(error.value.found), error.value.allowed) == (found, allowed)
