"""Where everything of one design is kept: one folder below `--workspace DIR`, and the right to write to it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bottega.errors import BuildError
from bottega.files import remove_partials
from bottega.runs.lock import hold

DEFAULT = Path(".bottega")


class Workspace:
    """The folder of one design, `root/<design>/`, with its `steps/`, `builds/`, `log/` and the pointer `current`.

    Making the object touches nothing; `lock` makes the folders. Everything in it can be copied or removed as a whole.

    root: what `--workspace` names; it is made when its parent exists.
    design: the design's name; each design has a folder and a lock of its own.
    typed: how a person named it and its workspace, for messages that say what to type; nothing: its name.

    >>> Workspace(Path(".bottega"), "shop").builds.as_posix()
    '.bottega/shop/builds'
    """

    def __init__(self, root: Path, design: str, typed: str = "") -> None:
        self.root, self.design, self.typed = root, design, typed or design
        self.folder = root / design
        self.steps = self.folder / "steps"
        self.builds = self.folder / "builds"
        self.log = self.folder / "log"

    @contextmanager
    def lock(self, wait: bool = False, say: Callable[[str], None] = lambda _: None) -> Iterator[None]:
        """Be the only one who builds in this workspace, and begin by removing what a killed run left half-written.

        wait: wait for another run to finish, instead of refusing.
        say: is told whom it waits for.
        Raises `BusyError` when another process holds it, and `BuildError` when nothing can be written there.
        """
        self.prepare()
        with hold(self.folder / "lock", wait, say):
            for folder in (self.steps, self.builds):
                remove_partials(folder)
            yield

    def prepare(self) -> None:
        """Make the folders. Raises `BuildError` where that cannot be done."""
        if not self.root.absolute().parent.is_dir():
            raise self._refuse(f"{str(self.root.absolute().parent)!r} is not a folder")
        for folder in (self.root, self.folder, self.steps, self.builds, self.log):
            try:
                folder.mkdir(exist_ok=True)
            except FileExistsError:
                raise self._refuse(f"{str(folder)!r} is a file") from None
            except OSError as error:
                raise self._refuse(f"{str(folder)!r} cannot be made: {error.strerror}") from error
            if not os.access(folder, os.W_OK | os.X_OK):
                raise self._refuse(f"{str(folder)!r} cannot be written to")

    def beside(self, root: Path) -> Workspace:
        """Give a workspace below another folder, which finds the steps that are finished here, and changes none."""
        other = Workspace(root, self.design, self.typed)
        other.prepare()
        for folder in self.steps.iterdir() if self.steps.is_dir() else ():
            if not folder.name.startswith("."):
                (other.steps / folder.name).symlink_to(folder.absolute())
        return other

    def _refuse(self, found: str) -> BuildError:
        return BuildError(
            f"workspace {str(self.root)!r}",
            found,
            "a folder that can be written, in a folder that exists",
            "name another one with --workspace DIR",
        )


def discard(folder: Path) -> None:
    """Remove a folder in such a way that a kill in between leaves no half of it under its own name."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.partial")  # `remove_partials` knows this form
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    if aside.is_dir() and not aside.is_symlink():  # a step of another workspace is let go alone
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink(missing_ok=True)
