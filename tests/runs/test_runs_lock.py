"""One run at a time in a workspace, and workspaces that cannot be."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bottega.errors import BuildError, BusyError
from bottega.runs.workspace import Workspace

HOLD = """
import sys
from pathlib import Path
from bottega.runs.workspace import Workspace
with Workspace(Path(sys.argv[1]), "shop").lock():
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def holder(root: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(root), *words]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_run_is_refused_by_the_name_of_the_first(tmp_path: Path) -> None:
    with holder(tmp_path / "w", "--store", "redis://me:secret@host/0") as process:
        with pytest.raises(BusyError) as refused, Workspace(tmp_path / "w", "shop").lock():
            pass
        text = str(refused.value)
        assert f"process {process.pid}, started 20" in text
        assert "redis://***@host/0" in text
        assert "secret" not in text
        assert "--wait" in text
        assert "--workspace" in text
        with Workspace(tmp_path / "w", "another-design").lock(), Workspace(tmp_path / "v", "shop").lock():
            pass


def test_a_killed_holder_frees_the_lock(tmp_path: Path) -> None:
    with holder(tmp_path / "w") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with Workspace(tmp_path / "w", "shop").lock():
            pass


def test_waiting_says_for_whom_and_goes_on_when_the_first_ends(tmp_path: Path) -> None:
    said: list[str] = []
    entered = threading.Event()
    told = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        told.set()

    def second() -> None:
        with Workspace(tmp_path / "w", "shop").lock(wait=True, say=say):
            entered.set()

    with holder(tmp_path / "w") as process:
        thread = threading.Thread(target=second)
        thread.start()
        assert told.wait(60)
        assert not entered.is_set()
        process.communicate("go on\n", timeout=60)
        assert entered.wait(60)
        thread.join()
    assert said[0].startswith(f"waiting for process {process.pid}, started ")


def test_many_processes_never_hold_it_together(tmp_path: Path) -> None:
    count = """
import sys
from pathlib import Path
from bottega.runs.workspace import Workspace
root = Path(sys.argv[1])
for _ in range(25):
    with Workspace(root, "shop").lock(wait=True):
        file = root / "count"
        before = int(file.read_text()) if file.exists() else 0
        file.write_text("")
        file.write_text(str(before + 1))
"""
    both = [subprocess.Popen([sys.executable, "-c", count, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(60) for process in both] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "75"


def test_the_lock_removes_what_a_killed_run_left(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w", "shop")
    workspace.prepare()
    half = workspace.steps / ".ingest-0123456789abcdef.999999.partial"
    half.mkdir()
    (half / "rows.bin").write_bytes(b"half")
    (workspace.log / ".decisions.999999.partial").write_bytes(b"a service may be writing this")
    with workspace.lock():
        assert not half.exists()
        assert len(list(workspace.log.iterdir())) == 1


def test_a_parent_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"'.*/no' is not a folder"), Workspace(tmp_path / "no" / "w", "shop").lock():
        pass
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("name", ["w", "w/shop", "w/shop/steps", "w/shop/builds"])
def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("a file")
    with pytest.raises(BuildError, match=f"'.*/{name}' is a file"), Workspace(tmp_path / "w", "shop").lock():
        pass
    assert (tmp_path / name).read_text() == "a file"


PREPARE = """
import os, sys
from pathlib import Path
from bottega.errors import BuildError, BusyError
from bottega.runs.workspace import Workspace
if os.getuid() == 0:
    os.setuid(65534)  # root may write anywhere: be somebody else
try:
    Workspace(Path(sys.argv[1]), "shop").prepare()
except BuildError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize(
    ("where", "found"), [("w", "cannot be written to"), ("w/shop", "cannot be written to"), (".", "cannot be made")]
)
def test_a_folder_that_may_not_be_written_is_refused(where: str, found: str) -> None:
    with tempfile.TemporaryDirectory() as text:
        place = Path(text)
        if where != ".":
            Workspace(place / "w", "shop").prepare()
        for folder in [place, *place.rglob("*")]:
            folder.chmod(0o777)
        (place / where).chmod(0o555)
        tried = subprocess.run([sys.executable, "-c", PREPARE, str(place / "w")], capture_output=True, text=True)
        (place / where).chmod(0o777)
        assert tried.returncode == 1
        assert tried.stderr.startswith(f"workspace '{place}/w': '{place}/w")
        assert found in tried.stderr
        assert "--workspace DIR" in tried.stderr
