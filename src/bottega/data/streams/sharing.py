"""How the members of a group on one machine share the partitions of a log: by locks, which a killed process loses."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

from bottega.errors import BuildError

_MEMBERS = 1024


class Sharing:
    """One member of a group: holds a numbered place, sees which other places are held, and locks its partitions.

    The partitions, in the order of their numbers, go to the members in turn. All see the same members and so divide
    them alike; until all have seen a change, the locks keep two members from holding one partition.

    folder: of the group; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._held: dict[int, int] = {}
        self._place, self._file = self._take_place()

    def divide(self, partitions: Iterable[int]) -> frozenset[int]:
        """Take and give back partitions so that all members have as many, one more or less; says which are held now."""
        members = self._members()
        mine = members.index(self._place)
        wanted = {partition for rank, partition in enumerate(sorted(partitions)) if rank % len(members) == mine}
        for partition in self._held.keys() - wanted:
            os.close(self._held.pop(partition))
        for partition in wanted - self._held.keys():
            if (file := _locked(self._folder / f"{partition}.lock")) is not None:
                self._held[partition] = file
        return frozenset(self._held)

    def close(self) -> None:
        """Give everything back; closing twice is harmless."""
        while self._held:
            os.close(self._held.popitem()[1])
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take_place(self) -> tuple[int, int | None]:
        for place in range(_MEMBERS):
            if (file := _locked(self._folder / f"member-{place}.lock")) is not None:
                return place, file
        raise BuildError(str(self._folder), f"{_MEMBERS} members", "fewer members of one group")

    def _members(self) -> list[int]:
        """Give the places that are held, ascending."""
        names = (path.name for path in self._folder.glob("member-*.lock"))
        places = sorted(int(name.removeprefix("member-").removesuffix(".lock")) for name in names)
        return [place for place in places if place == self._place or self._is_held(place)]

    def _is_held(self, place: int) -> bool:
        file = _locked(self._folder / f"member-{place}.lock", fcntl.LOCK_SH)
        if file is None:
            return True
        os.close(file)
        return False


def _locked(path: Path, kind: int = fcntl.LOCK_EX) -> int | None:
    """Open a file under a lock that ends with the process; nothing where another holds it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    except BaseException:
        os.close(file)
        raise
    return file
