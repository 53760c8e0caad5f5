"""`bottega consistency`: were the features that were served those that a batch computes?"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np

from bottega.data.ingest import ingest, read_log
from bottega.data.keys import identifiers
from bottega.data.labels import label_columns
from bottega.data.log import Log
from bottega.data.source import Place
from bottega.data.streams.opening import open_stream
from bottega.design.design import Design
from bottega.errors import BuildError, ServeError
from bottega.monitoring.arrived import with_events
from bottega.monitoring.consistency import recompute
from bottega.runs.builds import Build, find_build, used_steps
from bottega.runs.releases import current_build
from bottega.runs.steps.job import slug
from bottega.runs.workspace import Workspace
from bottega.serving.bundle import read_design, read_facts, read_words, words_folder
from bottega.serving.decision_log import read_log as read_decisions
from bottega.serving.online import ROWS
from bottega.verbs.finding import check_seed, find_design, find_place, find_workspace

_GROUP = "consistency"
_DAY = 86_400_000_000
_PATIENCE_S = 60.0  # a member joins a group of Kafka after seconds


def consistency(
    design: str | Path | Design,
    *,
    workspace: str | Path | None = None,
    build: str | None = None,
    data: str | Path | None = None,
    warehouse: str | None = None,
    stream: str = "file:",
    sample: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Draw answers from the decision log, compute their features in a batch, and compare them with what was served.

    The batch has the tables of `data` or the warehouse, as they stand today; without either, those that the build was
    made from and the stream's events since. To be run by a clock: the share of values that differ is what to watch. An
    answer that was given while an event was on its way into the store, some tenths of a second, differs by right.

    build: whose answers; nothing: of the current release. stream: of events, where the tables lack them. sample:
    answers, at least 1; larger finds rarer faults. seed: of the draw.
    Gives `build`, `decisions`, `compared`, `mismatches`, `by_feature`, `worst`.
    Errors: `ServeError` where no answer of the build is in the log, or the stream cannot be read to its end.
    """
    check_seed(seed)
    if sample < 1:
        raise ServeError("--sample", str(sample), "at least 1", "--sample 1000")
    found = find_design(design)
    space = find_workspace(found, workspace, design)
    which = current_build(space) if build is None else find_build(space, build)
    made = read_design(which.folder)
    facts = read_facts(which.folder)
    words = {ladder: read_words(words_folder(which.folder, ladder)) for ladder in facts.ladders}
    drawn = _drawn(space, which, sample, seed)
    if data is None and warehouse is None:
        logs = _with_stream(_of_build(space, which, made), made, space, which, stream, _shown(drawn))
    else:
        place = find_place(design, made, data, warehouse)
        logs = _anew(made, place if place is not None else Place(Path()))
    told = recompute(made, facts, words, logs, drawn)
    return {"build": which.id, "decisions": len(drawn), **msgspec.to_builtins(told)}


def _drawn(space: Workspace, build: Build, sample: int, seed: int) -> list[dict[str, Any]]:
    rows = [row for row in read_decisions(space.log) if row["version"] == build.id and row["items"]]
    if not rows:
        raise ServeError(str(space.log), f"no answer of build {build.id}", "answers", f"bottega serve {space.typed}")
    chosen = np.random.default_rng(seed).choice(len(rows), min(sample, len(rows)), replace=False)
    return [rows[place] for place in np.sort(chosen).tolist()]


def _of_build(space: Workspace, build: Build, design: Design) -> dict[str, Log]:
    """Read the tables as the run that made the build had accepted them."""
    steps = used_steps(build)
    logs = {}
    for table in design.data.tables:
        mine = [name for name in steps if name.rpartition("-")[0] == f"data-{slug(table.name)}"]
        folder = space.steps / mine[0] if mine else None
        if folder is None or not folder.is_dir():
            raise BuildError(
                f"build {build.id}",
                f"no rows of {table.name!r} in the workspace",
                "the tables",
                "name them: --data DIR",
            )
        logs[table.name] = read_log(table, folder)
    return logs


def _shown(drawn: Sequence[Mapping[str, Any]]) -> int | None:
    """Give the last moment that the service's clock showed, if it stands: far behind the machine's."""
    last = max(drawn, key=lambda row: int(row["trace"]["at"]))
    at = int(last["trace"]["at"])
    return at + _DAY if last["time"] - at > _DAY else None


def _with_stream(
    logs: dict[str, Log], design: Design, space: Workspace, build: Build, url: str, shown: int | None
) -> dict[str, Log]:
    if url == "none":
        return logs
    marks = msgspec.json.decode((build.folder / ROWS / "marks.json").read_bytes(), type=dict[str, str])
    group = f"{_GROUP}-{uuid.uuid4().hex[:8]}"  # of its own: another check at the same time would share the messages
    source = open_stream(url, space.log, group, int(marks["as_of"]) - 1)
    try:
        patience_s = _PATIENCE_S if url.startswith("kafka:") else 0.0
        now = time.time_ns() // 1000
        return with_events(logs, design.data.tables, source, now, identifiers(design), patience_s, shown)
    finally:
        source.close()
        shutil.rmtree(space.log / f"{group}.group", ignore_errors=True)


def _anew(design: Design, place: Place) -> dict[str, Log]:
    """Read the tables as they stand today."""
    text = sorted(identifiers(design))
    logs = {}
    with TemporaryDirectory() as folder:
        for table in design.data.tables:
            ingest(table, place, Path(folder) / table.name, text, label_columns(design, table.name))
            logs[table.name] = read_log(table, Path(folder) / table.name)
        return logs
