"""Dead letters in files: nothing lost, whole lines, from several processes, also after a full disk and a kill."""

import base64
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottega.data.streams.dead import DeadFile, letter
from bottega.data.streams.messages import Refused
from bottega.data.streams.opening import open_dead_letters
from bottega.data.streams.protocol import Message
from bottega.errors import BuildError, ServeError


def refused(offset: int, body: bytes = b"?") -> Refused:
    return Refused(Message(1, offset, 5, body), None, "no JSON")


def offsets(folder: Path) -> list[int]:
    paths = sorted(folder.glob("dead-*.jsonl"), key=lambda path: int(path.stem.partition("-")[2]))
    return [msgspec.json.decode(row)["offset"] for path in paths for row in path.read_bytes().split(b"\n")[:-1]]


@given(st.binary() | st.text().map(str.encode), st.none() | st.text(max_size=5), st.text(max_size=20))
def test_a_letter_keeps_the_whole_message_on_one_line(body: bytes, table: str | None, reason: str) -> None:
    row = letter(Refused(Message(7, 2**50, -1, body), table, reason))
    assert b"\n" not in row
    found = msgspec.json.decode(row)
    kept = found.pop("body").encode() if "body" in found else base64.b64decode(found.pop("body_base64"))
    assert kept == body
    assert found == {"table": table, "partition": 7, "offset": 2**50, "arrival": -1, "reason": reason}


def test_a_full_file_is_followed_by_the_next(tmp_path: Path) -> None:
    for offset in range(50):
        DeadFile(tmp_path / "new", 500).add([refused(offset), refused(offset)])
    assert offsets(tmp_path / "new") == [offset for offset in range(50) for _ in range(2)]
    sizes = [path.stat().st_size for path in (tmp_path / "new").iterdir()]
    assert len(sizes) > 3
    assert max(sizes) < 500 + 200


def test_a_torn_line_of_a_killed_writer_does_not_spoil_the_next(tmp_path: Path) -> None:
    letters = open_dead_letters("file:", tmp_path)
    letters.add([refused(1)])
    with (tmp_path / "dead-1.jsonl").open("ab") as file:
        file.write(b'{"table":')
    letters.add([])
    letters.add([refused(2)])
    letters.close()
    first, torn, second, end = (tmp_path / "dead-1.jsonl").read_bytes().split(b"\n")
    assert (msgspec.json.decode(first)["offset"], msgspec.json.decode(second)["offset"]) == (1, 2)
    assert (torn, end) == (b'{"table":', b"")


def _add(folder: Path, begin: int) -> None:
    letters = DeadFile(folder, 2000)
    for offset in range(begin, begin + 100):
        letters.add([refused(offset)])


def test_processes_share_the_files(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        list(pool.map(_add, [tmp_path] * 3, [0, 100, 200]))
    assert sorted(offsets(tmp_path)) == list(range(300))


def test_a_full_disk_is_told_and_leaves_whole_lines(tmp_path: Path) -> None:
    """In a process of its own, whose files may not grow over 1,000 bytes."""
    text = """
import resource, sys
from pathlib import Path
from bottega.data.streams.dead import DeadFile
from bottega.data.streams.messages import Refused
from bottega.data.streams.protocol import Message
from bottega.errors import ServeError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
letters = DeadFile(Path(sys.argv[1]))
for offset in range(30):
    try:
        letters.add([Refused(Message(0, offset, 0, b"?"), None, "no JSON")])
    except ServeError as error:
        print(offset, error.found)
        break
"""
    done = subprocess.run([sys.executable, "-c", text, str(tmp_path)], capture_output=True, text=True, timeout=60)
    number, _, found = done.stdout.partition(" ")
    assert "dead letters cannot be written" in found, done.stderr
    assert offsets(tmp_path) == list(range(int(number)))
    assert int(number) > 3


def test_a_place_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServeError, match="dead letters cannot be written"):
        DeadFile(tmp_path / "file").add([refused(1)])
    with pytest.raises(BuildError, match="no such kind"):
        open_dead_letters("redis://one", tmp_path)
