"""Runs steps one after another: what is known by its key is used again, the rest is computed and kept."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from bottega.errors import BottegaError, BuildError
from bottega.files import writing
from bottega.runs.keys import Code
from bottega.runs.processes import ending_children
from bottega.runs.progress import Progress, Silent
from bottega.runs.resources import PeakMemory
from bottega.runs.step import RECORD, Result, Step, Work, describe_files, read_finished
from bottega.runs.usage import begin_run, note_step
from bottega.runs.workspace import Workspace, discard

_SURROUNDINGS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EFBIG, errno.ENAMETOOLONG, errno.EMFILE),
    *(errno.ENOSPC, errno.EDQUOT),
}
_FULL_BELOW = 2**20  # bytes left on a disk that refused a write


@dataclass(frozen=True)
class StepRecord:
    """What the scorecard says of a step: `seconds` is what it took in this run."""

    name: str
    seconds: float
    cached: bool


class Runner:
    """A run in a workspace, as a `with` block: it holds the lock, and steps are called in plain order inside.

    Which step depends on which follows from their keys; a step is computed when its key has no finished folder or a
    file in that was lost or altered. A step's folder appears whole or not at all, so a run that was killed at any
    moment is taken up by the next one after its last finished step. Ctrl-C and SIGTERM become a `BuildError`, and
    processes that the run started are ended.

    workspace: where the steps are kept.
    progress: is told what happens; nothing: silence.
    wait: wait for another run in this workspace, instead of refusing.
    Raises `BuildError`: a locked or unwritable workspace, a full disk, an interruption.

    >>> import tempfile
    >>> workspace = Workspace(Path(tempfile.mkdtemp()), "shop")
    >>> def double(folder, number):
    ...     _ = (folder / "double.txt").write_text(str(2 * int((number.folder / "number.txt").read_text())))
    >>> for _ in range(2):
    ...     with Runner(workspace) as runner:
    ...         number = runner.step("number", lambda folder: (folder / "number.txt").write_text("21") and None)
    ...         double_ = runner.step("double", double, needs=[number])
    ...     print(runner.records[1].cached, (double_.folder / "double.txt").read_text())
    False 42
    True 42
    """

    def __init__(self, workspace: Workspace, progress: Progress | None = None, wait: bool = False) -> None:
        self.workspace = workspace
        self.progress: Progress = progress or Silent()
        self.records: list[StepRecord] = []
        self.results: list[Result] = []
        self.memory = PeakMemory()
        self._wait = wait
        self._block = ExitStack()
        self._current = "the run"

    def __enter__(self) -> Runner:
        with ExitStack() as block:
            block.callback(self.progress.close)
            block.enter_context(self._errors_by_name())
            block.enter_context(self.workspace.lock(self._wait, self.progress.say))
            begin_run(self.workspace)
            block.enter_context(self.memory)
            block.enter_context(ending_children())
            self._block = block.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._block.__exit__(kind, value, trace)

    def at_end(self, work: Callable[[], object]) -> None:
        """Do this when the run ends, however it ends; what was asked for last comes first."""
        self._block.callback(work)

    def step(
        self,
        name: str,
        work: Work,
        *,
        inputs: Mapping[str, Any] | None = None,
        needs: Sequence[Result] = (),
        code: Sequence[Code] = (),
        libraries: Sequence[str] = (),
        note: str = "",
    ) -> Result:
        """Give the finished step: from its folder where that is whole, else by `work(folder, *needs)`.

        The parameters are those of `Step`. Raises what the work raises; nothing of the step is left then.
        """
        step = Step(name, work, inputs or {}, needs, code, libraries, note)
        self._current = f"step {name}"
        begin = time.perf_counter()
        self.progress.step(name, note)
        folder = self.workspace.steps / step.folder_name
        record, reason = read_finished(folder, step.key)
        cached = record is not None
        if record is None:
            if reason:
                self.progress.say(f"{name}: {reason} in {step.folder_name}; it is computed again")
                discard(folder)
            record = self._compute(step, folder)
        note_step(self.workspace, step.folder_name)
        seconds = time.perf_counter() - begin
        result = Result(
            name, step.key, folder, cached, seconds, record["seconds"], record["note"], int(record["peak_rss_mb"])
        )
        self.results.append(result)
        self.records.append(StepRecord(name, seconds, cached))
        self.progress.done(name, seconds, cached, result.note)
        self._current = "the run"
        return result

    @property
    def peak_rss_mb(self) -> int:
        """The largest resident memory of the run and its children so far, in MiB."""
        return self.memory.peak_mb

    def _compute(self, step: Step, folder: Path) -> dict[str, Any]:
        self.memory.begin_section()
        begin = time.perf_counter()
        with writing(folder) as part:
            part.mkdir()
            with _full_disk_by_name(part):
                said = step.work(part, *step.needs)
            record = {
                "key": step.key,
                **step.description,
                "note": said or step.note,
                "seconds": time.perf_counter() - begin,
                "peak_rss_mb": self.memory.section_mb(),
                "files": describe_files(part),
            }
            (part / RECORD).write_text(json.dumps(record, indent=2) + "\n")
        return record

    @contextmanager
    def _errors_by_name(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            kept = len(self.records)
            raise BuildError(
                self._current,
                f"stopped; {kept} finished step{'s' * (kept != 1)} kept, nothing half-written",
                "",
                "the same command again goes on from there",
            ) from None
        except OSError as error:
            number = errno.ENOSPC if _is_full(error) else error.errno  # shutil tells of many files, and of no number
            if number not in _SURROUNDINGS:
                raise
            said = error.strerror or os.strerror(number)
            raise BuildError(
                self._current,
                f"{said}: {error.filename}" if error.filename else said,
                "a workspace that can be written and data that can be read",
                "mend that, or name another folder with --workspace DIR, and run again: finished steps are kept",
            ) from error


def _is_full(error: Exception) -> bool:
    return "No space left" in str(error) or "quota exceeded" in str(error).lower()


@contextmanager
def _full_disk_by_name(part: Path) -> Iterator[None]:
    """Give a full disk its number: NumPy, DuckDB and LMDB raise errors without one."""
    try:
        yield
    except BottegaError:
        raise
    except Exception as error:
        numberless = getattr(error, "errno", None) is None
        if numberless and (_is_full(error) or shutil.disk_usage(part).free < _FULL_BELOW):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(part)) from error
        raise
