"""`bottega flink`: the job that makes a release's tiles in Flink."""

from __future__ import annotations

from pathlib import Path

from bottega.design.design import Design
from bottega.features import flink_tiles_runner
from bottega.features.flink_tiles import flink_job
from bottega.runs.builds import find_build
from bottega.runs.releases import current_build
from bottega.serving.bundle import read_design, read_facts, read_schemas
from bottega.verbs.finding import find_design, find_workspace
from bottega.verbs.saving import save

JOB, RUNNER = "job.sql", "flink_tiles_runner.py"


def flink(
    design: str | Path | Design,
    *,
    workspace: str | Path | None = None,
    build: str | None = None,
    source: str = "file:",
    sink: str | None = None,
    every: str = "5min",
    apart: str | None = None,
    out: str | Path = "flink",
) -> list[Path]:
    """Write the tile job of a design's release as Flink's SQL, and beside it what runs it, and say where.

    The job reads events and writes what the store's records are made of, see docs/flink.md. Neither file needs bottega.

    build: its id or the beginning of one; nothing: the release. source: `file:` is the log of `POST /events`,
    `file:/folder` another one, `kafka://host:port/topic?group=…`. sink: a folder as Flink names it, `s3://…`; nothing:
    `tiles` in `out`. every: whole seconds that make one part of a tile; larger gives fewer and later ones. apart: how
    far events may be out of the order of arrival; nothing: any distance in files, 10 s of Kafka. out: a folder.
    Errors: `BuildError` where nothing was released yet, `DesignError` for what Flink cannot say.
    """
    found = find_design(design)
    space = find_workspace(found, workspace, design)
    chosen = current_build(space) if build is None else find_build(space, build)
    built = read_design(chosen.folder)
    facts = read_facts(chosen.folder)
    folder = Path(out).absolute()
    job = flink_job(
        built, facts.groups, read_schemas(chosen.folder),
        f"file:{space.log.absolute()}" if source == "file:" else source,
        (folder / "tiles").as_uri() if sink is None else sink, every=every, apart=apart,
    )  # fmt: skip
    return save(folder, {JOB: job.encode(), RUNNER: Path(flink_tiles_runner.__file__).read_bytes()})
