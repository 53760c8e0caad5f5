"""The event log as a stream: every line once and in order, whatever the files, the polls and the restarts."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from event_lines import following, line, number_of, poll_all
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.data.streams.file import FileStream
from bottega.data.streams.opening import open_stream
from bottega.data.streams.protocol import UNKNOWN
from bottega.errors import BuildError, ServeError
from bottega.serving.appending import Appending

ROTATE = 150  # bytes: some lines a file


WRITE = st.tuples(st.just("write"), st.integers(0, 2), st.integers(1, 6))
STEP = WRITE | st.tuples(
    st.sampled_from(["poll", "commit", "restart", "begin a file"]), st.integers(0, 2), st.integers(1, 5)
)


@settings(max_examples=60)
@given(st.lists(STEP, max_size=30))
def test_each_line_comes_once_and_in_order_and_again_after_a_restart(steps: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = [Appending(folder, "events", writer, ROTATE) for writer in range(3)]
        written: list[list[int]] = [[], [], []]
        polled: list[list[int]] = [[], [], []]
        next_: list[int | None] = [None, None, None]  # the offset after what was polled last
        done = [0, 0, 0]  # how many lines were polled before the last commit
        stream = FileStream(folder, "g")
        for what, writer, size in steps:
            if what == "write":
                new = range(len(written[writer]), len(written[writer]) + size)
                files[writer].append(b"".join(line(number) for number in new))
                written[writer] += new
            elif what == "begin a file":
                files[writer] = Appending(folder, "events", writer, ROTATE)
            elif what == "commit":
                stream.commit({writer: at for writer, at in enumerate(next_) if at is not None})
                done = [len(numbers) for numbers in polled]
            elif what == "restart":
                stream.close()
                stream = FileStream(folder, "g")
                polled = [numbers[:count] for numbers, count in zip(polled, done, strict=True)]
                next_ = [None, None, None]
            else:
                stream._divided = -1e9  # look for new writers now
                for message in stream.poll(size, 0):
                    polled[message.partition].append(number_of(message))
                    assert message.offset >= (next_[message.partition] or 0)
                    next_[message.partition] = message.offset + 1
                for writer, waiting in stream.lag().items():
                    assert waiting == len(written[writer]) - len(polled[writer])
            for numbers, truth in zip(polled, written, strict=True):
                assert numbers == truth[: len(numbers)]
        stream._divided = -1e9
        for message in poll_all(stream, 4):
            polled[message.partition].append(number_of(message))
        stream.close()
        assert polled == written


def test_a_message_is_the_event_itself_with_the_time_of_its_arrival(tmp_path: Path) -> None:
    event = b'{"table":"t", "x":"\\u00e9 \\n"}'
    Appending(tmp_path, "events", 7).append(b'{"event":' + event + b',"time":123,"more":{"a":[1]}}\n')
    with following(tmp_path) as stream:
        (found,) = stream.poll(10, 0)
    assert (found.partition, found.time, found.body) == (7, 123, event)


def test_an_unfinished_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "events-0-1.jsonl"
    path.write_bytes(line(0) + line(1)[:-10])
    with following(tmp_path) as stream:
        assert [number_of(message) for message in poll_all(stream)] == [0]
        assert stream.lag() == {0: 0}
        path.write_bytes(line(0) + line(1))
        assert [number_of(message) for message in poll_all(stream)] == [1]


@pytest.mark.parametrize("torn", [b"", b'{"ti', b"\0\0\0", b'{"time":1,\0\0\0\n\0\0'])
def test_a_line_that_a_killed_writer_tore_is_read_when_the_next_file_is_there(tmp_path: Path, torn: bytes) -> None:
    (tmp_path / "events-0-1.jsonl").write_bytes(line(0) + torn)
    with following(tmp_path) as stream:
        assert [number_of(message) for message in poll_all(stream)] == [0]
        (tmp_path / "events-0-2.jsonl").write_bytes(line(1))
        found = poll_all(stream)
    assert number_of(found[-1]) == 1
    left = torn.partition(b"\0")[0]
    assert [(message.time, message.body) for message in found[:-1]] == ([(UNKNOWN, left)] if left else [])


def test_bytes_that_are_not_written_yet_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "events-0-1.jsonl"
    data = line(0) + line(1) + line(2)
    path.write_bytes(line(0) + bytes(len(line(1))) + line(2))  # as a reader may see a write that goes on
    with following(tmp_path) as stream:
        assert [number_of(message) for message in poll_all(stream)] == [0]
        path.write_bytes(data)
        assert [number_of(message) for message in poll_all(stream)] == [1, 2]


@pytest.mark.parametrize(
    "bad", [b"no JSON", b"[]", b'{"time":"x","event":{}}', b'{"event":{}}', b'{"time":1}', b"\xff"]
)
def test_a_line_that_is_none_comes_whole_without_a_time(tmp_path: Path, bad: bytes) -> None:
    (tmp_path / "events-0-1.jsonl").write_bytes(line(0) + bad + b"\n\n" + line(1))
    with following(tmp_path) as stream:
        first, second, third = poll_all(stream)
        assert stream.lag() == {0: 0}
    assert (number_of(first), number_of(third)) == (0, 1)
    assert (second.time, second.body) == (UNKNOWN, bad)


def test_a_line_of_many_blocks_is_one_message(tmp_path: Path) -> None:
    long = b'{"time":1,"event":{"n":0,"x":"%s"}}\n' % (b"x" * (5 * 2**20))
    (tmp_path / "events-0-1.jsonl").write_bytes(long + line(1))
    with following(tmp_path) as stream:
        assert [number_of(message) for message in poll_all(stream, 1)] == [0, 1]


def test_older_files_may_go_and_numbers_that_began_anew_are_told(tmp_path: Path) -> None:
    file = Appending(tmp_path, "events", 0, ROTATE)
    for number in range(9):
        file.append(line(number))
    with following(tmp_path) as stream:
        found = stream.poll(5, 0)
        stream.commit({0: found[-1].offset + 1})
    (tmp_path / "events-0-1.jsonl").unlink()
    with following(tmp_path) as stream:
        assert [number_of(message) for message in poll_all(stream)] == [5, 6, 7, 8]
    for path in tmp_path.glob("events-*.jsonl"):
        path.unlink()
    with following(tmp_path) as stream:
        assert poll_all(stream) == []
    Appending(tmp_path, "events", 0).append(line(9))
    Appending(tmp_path, "events", 1).append(line(10))
    with following(tmp_path) as stream:
        assert [number_of(message) for message in poll_all(stream)] == [10], "the other writer goes on"
        assert "began anew" in str(stream.fault())
        assert stream.lag() == {1: 0}
        (tmp_path / "events-0-1.jsonl").rename(tmp_path / "events-0-99.jsonl")
        assert [number_of(message) for message in poll_all(stream)] == [9]
        assert stream.fault() is None


def test_a_file_that_cannot_be_read_stalls_its_writer_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for writer in range(3):
        Appending(tmp_path, "events", writer).append(line(writer))
    real = os.open

    def broken(path: os.PathLike[str] | str, *more: int) -> int:
        if str(path).endswith("events-1-1.jsonl"):
            raise OSError(5, "Input/output error")
        return real(path, *more)

    with following(tmp_path) as stream:
        with monkeypatch.context() as disk:
            disk.setattr(os, "open", broken)
            assert sorted(number_of(message) for message in poll_all(stream)) == [0, 2]
            assert str(stream.fault()).startswith("events-1: [Errno 5]")
        assert [number_of(message) for message in poll_all(stream)] == [1]
        assert stream.fault() is None


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.integers(-1, 10))
@settings(max_examples=60)
def test_a_start_is_the_first_line_that_arrived_later(arrivals: list[int], start: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        file = Appending(Path(place), "events", 0, ROTATE)
        clock = sorted(arrivals)
        for number, at in enumerate(clock):
            file.append(line(number, at))
        file.append(b"no event\n")
        with following(Path(place), start=start) as stream:
            found = [number_of(message) for message in poll_all(stream, 3) if message.time != UNKNOWN]
            assert found == [number for number, at in enumerate(clock) if at > start]
            file.append(line(99, 50))
            (message,) = [message for message in poll_all(stream) if message.time != UNKNOWN]
            assert number_of(message) == 99


def test_a_start_does_not_count_where_something_is_committed(tmp_path: Path) -> None:
    file = Appending(tmp_path, "events", 0)
    file.append(line(0, 1) + line(1, 2) + line(2, 3))
    with following(tmp_path) as stream:
        stream.commit({0: stream.poll(1, 0)[0].offset + 1})
    with following(tmp_path, start=2) as stream:
        assert [number_of(message) for message in poll_all(stream)] == [1, 2]
    with following(tmp_path, "other", start=2) as stream:
        assert [number_of(message) for message in poll_all(stream)] == [2]


def test_a_writer_with_much_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    Appending(tmp_path, "events", 0).append(b"".join(line(number) for number in range(1000)))
    Appending(tmp_path, "events", 1).append(line(0))
    Appending(tmp_path, "events", 2).append(line(0))
    with following(tmp_path) as stream:
        assert {message.partition for message in stream.poll(9, 0)} == {0, 1, 2}


def test_poll_waits_for_what_comes_and_gives_nothing_when_asked_for_none(tmp_path: Path) -> None:
    file = Appending(tmp_path, "events", 0)
    file.append(line(0))
    with following(tmp_path) as stream:
        assert stream.poll(0, 10) == []
        assert stream.assigned() == {0}
        assert [number_of(message) for message in stream.poll(5, 10)] == [0]
        assert stream.poll(5, 0.01) == []
        assert stream.fault() is None


def test_lines_of_an_append_that_failed_are_never_seen(tmp_path: Path) -> None:
    """In a process of its own, whose files may not grow over 1,000 bytes for a while, and that looks at each moment."""
    text = """
import os, resource, sys
from pathlib import Path
from bottega.data.streams.file import FileStream
from bottega.serving.appending import Appending
folder = Path(sys.argv[1])
file = Appending(folder, "events", 0)
line = b'{"time":1,"event":{"n":%d}}\\n'
file.append(line % 0)
stream = FileStream(folder, "g")
seen = stream.poll(100, 0)
for name in ("ftruncate", "posix_fallocate"):
    def look(*arguments, real=getattr(os, name)):
        seen.extend(stream.poll(100, 0))
        try:
            return real(*arguments)
        finally:
            seen.extend(stream.poll(100, 0))
    setattr(os, name, look)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
failed = 0
for number in range(3):
    try:
        file.append(b"".join(line % 1000 for _ in range(100)))
    except OSError:
        failed += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
file.append(line % 1 + line % 2)
seen += stream.poll(100, 0)
print(failed, [message.body.decode() for message in seen], len(list(folder.glob("*.jsonl"))))
"""
    done = subprocess.run([sys.executable, "-c", text, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stdout == """3 ['{"n":0}', '{"n":1}', '{"n":2}'] 1\n""", done.stderr


def test_places_of_lines_that_could_be_seen_are_not_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Appending(tmp_path, "events", 0)
    file.append(line(0))
    with following(tmp_path) as stream, monkeypatch.context() as broken:
        stream.poll(9, 0)

        def fsync(_: int) -> None:
            stream.poll(9, 0)
            raise OSError(5, "the disk is broken")

        broken.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="broken"):
            file.append(line(1) + line(2))
        broken.undo()
        file.append(line(3))
        assert [number_of(message) for message in poll_all(stream)] == [3]


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", "a b"])
def test_a_name_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BuildError, match="group"):
        FileStream(tmp_path, name)


def test_an_offset_that_cannot_be_kept_is_an_error_and_may_be_kept_later(tmp_path: Path) -> None:
    Appending(tmp_path, "events", 0).append(line(0) + line(1))
    with following(tmp_path) as stream:
        offset = stream.poll(1, 0)[0].offset + 1
        kept = tmp_path / "g.group" / "0.json"
        kept.mkdir()
        with pytest.raises(ServeError, match="cannot be written"):
            stream.commit({0: offset})
        kept.rmdir()
        stream.commit({0: offset, 5: 1})
    with following(tmp_path) as stream:
        assert [number_of(message) for message in poll_all(stream)] == [1]


@pytest.mark.parametrize("url", ["file:{}", "file://{}", "file:"])
def test_a_url_names_the_folder(tmp_path: Path, url: str) -> None:
    Appending(tmp_path, "events", 0).append(line(0))
    stream = open_stream(url.format(tmp_path), tmp_path if url == "file:" else tmp_path / "other", "g")
    assert [number_of(message) for message in stream.poll(5, 0)] == [0]
    stream.close()
    stream.close()


@pytest.mark.parametrize("url", ["fil:/x", "kafk://a:1/b?sasl.password=secret", "/tmp/x", ""])
def test_another_kind_of_stream_is_refused_without_its_secrets(tmp_path: Path, url: str) -> None:
    with pytest.raises(BuildError, match="no such kind of stream") as error:
        open_stream(url, tmp_path, "g")
    assert "secret" not in str(error.value)
