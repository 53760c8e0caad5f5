"""The tile job that a command writes: that of the release, for its own event log."""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tiny_shop import Built, Said

from bottega.features.flink_tiles_reading import flink_tables
from bottega.features.records import Codec
from bottega.features.records_tiles import records_from_tiles
from bottega.features.tracks import Group
from bottega.serving.bundle import Facts

DAY = 86_400_000_000


def groups(built: Built) -> tuple[Group, ...]:
    facts = built.workspace / "tiny" / "builds" / built.card["build"] / "serving.json"
    return msgspec.json.decode(facts.read_bytes(), type=Facts).groups


def test_the_job_names_the_log_every_track_and_where_tiles_go(
    built: Built, bottega: Callable[..., Said], tmp_path: Path
) -> None:
    said = bottega("flink", built.design, "--workspace", built.workspace, "--out", tmp_path / "f", "--every", "10min")
    assert said.code == 0, said.err
    job = (tmp_path / "f" / "job.sql").read_text()
    assert str(built.workspace / "tiny" / "log") in job
    for group in groups(built):
        for number in range(len(group.tracks)):
            assert f"{(tmp_path / 'f' / 'tiles').as_uri()}/{group.name}/{number}/state" in job
    runner = tmp_path / "f" / "flink_tiles_runner.py"
    assert str(runner) in said.out
    assert "bottega" not in "".join(line for line in runner.read_text().splitlines() if "import" in line.split()[:1])


def test_kafka_and_another_sink_are_taken_and_what_flink_cannot_say_is_refused(
    built: Built, bottega: Callable[..., Said], tmp_path: Path
) -> None:
    given = ("flink", built.design, "--workspace", built.workspace, "--out", tmp_path / "f")
    said = bottega(*given, "--stream", "kafka://one:9092/events?group=tiles", "--sink", "s3://b/t", "--apart", "1min")
    assert said.code == 0, said.err
    job = (tmp_path / "f" / "job.sql").read_text()
    assert "'properties.bootstrap.servers' = 'one:9092'" in job
    assert "s3://b/t/" in job
    refused = bottega(*given, "--every", "1ms")
    assert refused.code == 2
    assert "whole seconds" in refused.err


def flinked(built: Built, bottega: Callable[..., Said], folder: Path, lines: list[dict[str, Any]]) -> tuple[int, str]:
    """Write the job for a log of these lines, let Flink run it as a person would, and give its code and words."""
    log = folder / "log"
    log.mkdir()
    (log / "events-0-1.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    said = bottega("flink", built.design, "--workspace", built.workspace, "--stream", f"file:{log}", "--out", folder)
    assert said.code == 0, said.err
    python = Path(os.environ["BOTTEGA_FLINK_PYTHON"])
    done = subprocess.run(
        [python, "-I", folder / "flink_tiles_runner.py", folder / "job.sql"], capture_output=True, text=True,
        env={**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"}, timeout=300, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.skipif("BOTTEGA_FLINK_PYTHON" not in os.environ, reason="no Python with apache-flink is named")
def test_flink_runs_it_and_its_tiles_make_records(built: Built, bottega: Callable[..., Said], tmp_path: Path) -> None:
    begin = 1_700_000_000_000_000 // DAY * DAY
    lines = [
        {
            "time": begin + place * 60_000_000,
            "event": {
                "table": "orders", "customer": place % 3, "product": f"p{place % 5}", "quantity": 1, "price": 2.0,
                "time": begin + place * 60_000_000,
            },
        }
        for place in range(60)
    ]  # fmt: skip
    code, told = flinked(built, bottega, tmp_path, lines)
    assert code == 0, told
    at = begin + DAY
    made = 0
    for group in groups(built):
        tables = flink_tables(tmp_path / "tiles", group, at)
        _, rows = records_from_tiles(Codec(group), tables, at)
        made += len(rows)
        keys = {"customer": 3, "product": 5}
        assert len(rows) == math.prod(keys[name] for name in group.by)
    assert made > 0


@pytest.mark.skipif("BOTTEGA_FLINK_PYTHON" not in os.environ, reason="no Python with apache-flink is named")
def test_a_value_that_is_none_ends_the_job_and_is_named(
    built: Built, bottega: Callable[..., Said], tmp_path: Path
) -> None:
    row = {"table": "orders", "customer": "nobody", "product": "p", "quantity": 1, "price": 2.0, "time": DAY}
    code, said = flinked(built, bottega, tmp_path, [{"time": DAY, "event": row}])
    assert code != 0
    assert "nobody" in said
