"""A step's folder: whole or not there, used again or made again, and said so."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bottega.errors import BuildError, DataError
from bottega.files import write_bytes
from bottega.runs.progress import Silent
from bottega.runs.runner import Runner
from bottega.runs.step import Result
from bottega.runs.workspace import Workspace


class Heard(Silent):
    """Keeps what a run says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.ended: list[tuple[str, bool, str]] = []
        self.closed = 0

    def say(self, text: str) -> None:
        self.said.append(text)

    def done(self, name: str, seconds: float, cached: bool, note: str = "") -> None:
        assert seconds >= 0
        self.ended.append((name, cached, note))

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "w", "toy")


def write(folder: Path, *needs: Result) -> str:
    (folder / "sub").mkdir()
    (folder / "rows.bin").write_bytes(b"rows" * 100)
    (folder / "sub" / "more.bin").write_bytes(b"more")
    return f"{len(needs)} needs"


def run(workspace: Workspace) -> tuple[Result, Heard]:
    heard = Heard()
    with Runner(workspace, heard) as runner:
        return runner.step("rows", write, inputs={"seed": 0}), heard


def test_a_finished_step_is_used_again_with_its_note(workspace: Workspace) -> None:
    first, heard = run(workspace)
    assert heard.ended == [("rows", False, "0 needs")]
    second, heard = run(workspace)
    assert heard.ended == [("rows", True, "0 needs")]
    assert heard.closed
    assert (first.key, first.folder) == (second.key, second.folder)
    assert second.work_seconds == first.work_seconds
    record = json.loads((first.folder / "step.json").read_text())
    assert set(record["files"]) == {"rows.bin", "sub/more.bin"}
    assert record["inputs"] == {"seed": 0}
    assert record["peak_rss_mb"] > 0


def shorten(folder: Path) -> None:
    (folder / "rows.bin").write_bytes(b"rows")


def lose(folder: Path) -> None:
    (folder / "sub" / "more.bin").unlink()


def swap(folder: Path) -> None:
    (folder / "rows.bin").write_bytes(b"ROWS" * 100)


def lose_record(folder: Path) -> None:
    (folder / "step.json").unlink()


def tear_record(folder: Path) -> None:
    text = (folder / "step.json").read_bytes()
    (folder / "step.json").write_bytes(text[: len(text) // 2])


def foreign_record(folder: Path) -> None:
    record = json.loads((folder / "step.json").read_text())
    (folder / "step.json").write_text(json.dumps({**record, "key": record["key"][:16] + "0" * 48}))


def replace_by_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("no folder")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (shorten, "rows.bin was altered"),
        (swap, "rows.bin was altered"),
        (lose, "sub/more.bin is missing"),
        (lose_record, "step.json is damaged"),
        (tear_record, "step.json is damaged"),
        (foreign_record, "step.json belongs to another step"),
        (replace_by_file, "step.json is damaged"),
    ],
)
def test_a_damaged_step_is_made_again_and_named(
    workspace: Workspace, damage: Callable[[Path], None], reason: str
) -> None:
    folder = run(workspace)[0].folder
    damage(folder)
    result, heard = run(workspace)
    assert heard.said == [f"rows: {reason} in {folder.name}; it is computed again"]
    assert not result.cached
    assert (folder / "rows.bin").read_bytes() == b"rows" * 100
    assert (folder / "sub" / "more.bin").read_bytes() == b"more"
    result, heard = run(workspace)
    assert result.cached
    assert heard.said == []


def test_a_touched_file_and_a_new_one_do_no_harm(workspace: Workspace) -> None:
    folder = run(workspace)[0].folder
    os.utime(folder / "rows.bin", (1, 1))
    (folder / "lock.mdb").write_bytes(b"a reader's lock")
    assert run(workspace)[0].cached


def test_failing_work_leaves_nothing_and_the_steps_before_it_stay(workspace: Workspace) -> None:
    heard = Heard()

    def fail(folder: Path, *needs: Result) -> None:
        assert [need.name for need in needs] == ["rows"]
        (folder / "half.bin").write_bytes(b"half")
        raise DataError("orders.csv", "no rows", "rows", "another file")

    def run() -> None:
        with Runner(workspace, heard) as runner:
            runner.step("fails", fail, needs=[runner.step("rows", write)])

    with pytest.raises(DataError, match=re.escape("orders.csv")):
        run()
    assert heard.closed
    assert [folder.name.split("-")[0] for folder in workspace.steps.iterdir()] == ["rows"]
    with Runner(workspace) as runner:
        assert runner.step("rows", write).cached


def test_a_bug_stays_a_bug(workspace: Workspace) -> None:
    def fail(folder: Path) -> None:
        (folder / "not there").read_bytes()

    with pytest.raises(FileNotFoundError), Runner(workspace) as runner:
        runner.step("fails", fail)
    assert list(workspace.steps.iterdir()) == []


def test_a_fault_of_the_surroundings_is_one_error_with_a_fix(workspace: Workspace) -> None:
    def fail(folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(folder / "rows.bin"))

    with pytest.raises(BuildError, match=r"step fails: Input/output error: .*rows\.bin"), Runner(workspace) as runner:
        runner.step("fails", fail)


def test_an_odd_name_is_refused(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match=r"not '\.\./out'"), Runner(workspace) as runner:
        runner.step("../out", write)


def test_memory_at_its_peak_holds_what_a_step_took(workspace: Workspace) -> None:
    def take(folder: Path) -> None:
        block = np.ones(100 * 2**20, dtype=np.uint8)
        (folder / "sum.txt").write_text(str(int(block.sum())))

    with Runner(workspace) as runner:
        runner.step("take", take)
        assert runner.peak_rss_mb >= 100


def plain_write(folder: Path) -> None:
    with (folder / "big.bin").open("wb") as file:
        for _ in range(64):
            file.write(bytes(2**16))


def nested_write(folder: Path) -> None:
    write_bytes(folder / "big.bin", bytes(2**22))


def numpy_write(folder: Path) -> None:
    np.save(folder / "big.npy", np.zeros(2**19))


def arrow_write(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": np.random.default_rng(0).random(2**19)}), folder / "big.parquet")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a file system of 2 MiB can be mounted by root only; /dev/full stands in for it in the next test")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("work", [plain_write, nested_write, numpy_write, arrow_write])
def test_a_full_disk_is_one_error_and_the_run_goes_on_when_there_is_room(
    small_disk: Path, work: Callable[[Path], None]
) -> None:
    workspace = Workspace(small_disk / "w", "toy")

    def run() -> None:
        with Runner(workspace) as runner:
            runner.step("rows", write)
            runner.step("big", work)

    with pytest.raises(BuildError, match="the disk is full") as full:
        run()
    assert "--workspace DIR" in full.value.fix
    assert [folder.name.split("-")[0] for folder in workspace.steps.iterdir()] == ["rows"]
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    with Runner(workspace) as runner:
        assert runner.step("rows", write).cached
        assert not runner.step("big", work).cached


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device that is always full exists on Linux only")
def test_a_write_that_finds_the_disk_full_is_one_error(workspace: Workspace) -> None:
    def work(folder: Path) -> None:
        with Path("/dev/full").open("wb", buffering=0) as file:
            file.write(b"x")
        (folder / "never.bin").write_bytes(b"")

    with pytest.raises(BuildError, match="the disk is full"), Runner(workspace) as runner:
        runner.step("big", work)
    assert list(workspace.steps.iterdir()) == []


def test_a_copy_of_many_files_that_finds_the_disk_full_is_one_error(workspace: Workspace) -> None:
    """Between the steps, as when a build is put together: such an error has no number."""
    with pytest.raises(BuildError, match=r"No space left|the disk is full"), Runner(workspace):
        raise shutil.Error([("a.npy", "b.npy", "[Errno 28] No space left on device: 'b.npy'")])


def test_an_engine_s_own_error_about_a_full_disk_is_understood(workspace: Workspace) -> None:
    class EngineError(Exception):
        pass

    def work(folder: Path) -> None:
        raise EngineError(f"IO Error: could not write file {folder}: No space left on device")

    with pytest.raises(BuildError, match="the disk is full") as full, Runner(workspace) as runner:
        runner.step("big", work)
    assert isinstance(full.value.__cause__, OSError)
    assert isinstance(full.value.__cause__.__cause__, EngineError)
