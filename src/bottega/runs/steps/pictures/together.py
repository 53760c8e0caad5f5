"""All steps of a design that searches pictures, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bottega.design.design import Design
from bottega.design.examples import SameValue
from bottega.design.serving import Nearest
from bottega.errors import BuildError
from bottega.runs.step import Result
from bottega.runs.steps.bundling import fill_store
from bottega.runs.steps.job import Job
from bottega.runs.steps.measuring import measure
from bottega.runs.steps.pictures.arriving import measure_arrival
from bottega.runs.steps.pictures.bundling import bundle_pictures
from bottega.runs.steps.pictures.encoding import encode_pictures
from bottega.runs.steps.pictures.items import decode_pictures, part_pictures, same_value, with_refused
from bottega.runs.steps.pictures.judging import evaluate_pictures
from bottega.runs.steps.pictures.parity import check_pictures_parity
from bottega.runs.steps.tables import ingest_tables


def searches_pictures(design: Design) -> bool:
    """Say whether a design is of this kind: its examples are items that share values."""
    return isinstance(design.data.examples, SameValue)


def check_picture_path(design: Design) -> None:
    """Refuse what nothing builds for pictures: `BuildError` with the stage."""
    path = design.serving.path
    if [type(stage) for stage in path] != [Nearest]:
        found = ", ".join(type(stage).__name__ for stage in path)
        raise BuildError("serving.path", found, "Nearest() alone, where examples are SameValue", "path=[bt.Nearest()]")
    if design.serving.compress:
        found = ", ".join(type(part).__name__ for part in design.serving.compress)
        raise BuildError("serving.compress", found, "nothing, for an encoder", "bt.Nearest(binary=True) makes it small")
    if len(design.features) > 1:
        raise BuildError(
            "features", f"{len(design.features)} of them", "one Image(), for an encoder", "leave out others"
        )


def picture_steps(job: Job) -> dict[str, Result | Mapping[str, Any]]:
    """Ingest, decode, part, encode by each rung, judge, bundle, and measure."""
    counts = ingest_tables(job)
    (ladder,) = job.ladders
    decoded = decode_pictures(job)
    parted = part_pictures(job, decoded)
    encoded = encode_pictures(job, ladder, decoded, parted)
    judged = evaluate_pictures(job, ladder, decoded, parted, encoded)
    bundle = bundle_pictures(job, ladder, encoded, judged, fill_store(job))
    arrival = measure_arrival(job, judged, bundle)
    parity = check_pictures_parity(job, ladder, decoded, parted, encoded, judged, bundle)
    return {
        "counts": with_refused(counts, same_value(job.design).table, decoded),
        "judged": judged,
        "arrival": arrival,
        "parity": parity,
        "bundle": bundle,
        "measured": measure(job, judged, bundle, parity),
        "warm": {},
    }
