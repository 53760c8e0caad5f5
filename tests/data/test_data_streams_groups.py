"""Several members of a group over one event log: who reads what, and what happens when one is killed."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

from event_lines import following, line, number_of

from bottega.data.streams.file import FileStream
from bottega.serving.appending import Appending


def test_members_of_a_group_divide_the_writers_and_take_over(tmp_path: Path) -> None:
    for writer in range(5):
        Appending(tmp_path, "events", writer).append(line(0))
    streams = [FileStream(tmp_path, "g") for _ in range(3)]
    for _ in range(2):  # the second time all have seen what the others gave back
        for stream in streams:
            stream._divided = -1e9
            stream.poll(0, 0)
    held = [stream.assigned() for stream in streams]
    assert sorted(writer for writers in held for writer in writers) == [0, 1, 2, 3, 4]
    assert sorted(map(len, held)) == [1, 2, 2]
    with following(tmp_path, "other") as other:
        other.poll(0, 0)
        assert other.assigned() == {0, 1, 2, 3, 4}
    streams[0].close()
    for _ in range(2):
        for stream in streams[1:]:
            stream._divided = -1e9
            stream.poll(0, 0)
    assert streams[1].assigned() | streams[2].assigned() == {0, 1, 2, 3, 4}
    assert streams[1].assigned() & streams[2].assigned() == set()
    streams[1].commit({next(iter(streams[2].assigned())): 1})  # not its own: left out
    assert list((tmp_path / "g.group").glob("*.json")) == []
    for stream in streams[1:]:
        stream.close()


def _consume(folder: Path, told: Path) -> None:
    """Poll, write down what came, and commit, until killed."""
    stream = FileStream(folder, "g")
    with told.open("ab", buffering=0) as file:
        while True:
            found = stream.poll(7, 0.01)
            file.write(b"".join(b"%d %d\n" % (message.partition, number_of(message)) for message in found))
            stream.commit({message.partition: message.offset + 1 for message in found})


def test_killed_members_lose_nothing_and_others_go_on(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    count, writers = 400, 4
    files = [Appending(tmp_path, "events", writer, 4000) for writer in range(writers)]
    names = [tmp_path / f"told-{number}" for number in range(5)]
    members = [context.Process(target=_consume, args=(tmp_path, name), daemon=True) for name in names]
    for member in members[:2]:
        member.start()
    for number in range(count):
        for file in files:
            file.append(line(number))
        if number in (99, 199, 299):
            os.kill(members[number // 100].pid or 0, signal.SIGKILL)
            members[number // 100 + 2].start()
    wanted = {(writer, number) for writer in range(writers) for number in range(count)}
    told: list[tuple[int, int]] = []
    end = time.monotonic() + 60
    while set(told) != wanted and time.monotonic() < end:
        time.sleep(0.1)
        rows = [row for name in names if name.exists() for row in name.read_text().splitlines()]
        told = [(int(row.split()[0]), int(row.split()[1])) for row in rows if len(row.split()) == 2]
    for member in members:
        if member.is_alive():
            member.kill()
        member.join()
    assert set(told) == wanted
    assert len(told) < 2 * len(wanted), "most came once"
