"""`bottega explain`: one answered request, with the sources, the stages and the features behind each item."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from bottega.design.design import Design
from bottega.design.examples import SameValue
from bottega.design.serving import Nearest, Retrieve
from bottega.errors import ServeError
from bottega.runs.builds import Build, find_build
from bottega.runs.releases import current_build
from bottega.runs.workspace import Workspace
from bottega.serving.bundle import load_bundle, read_design
from bottega.serving.decision_log import read_log
from bottega.serving.nearest import NearestPath, load_pictures
from bottega.serving.online import EMBEDDED
from bottega.serving.path import Path as RequestPath
from bottega.serving.refusals import undecodable
from bottega.serving.wire import Explained, RequestError
from bottega.verbs.finding import find_design, find_workspace


def explain(
    design: str | Path | Design, request: str | dict[str, Any], *, workspace: str | Path | None = None
) -> list[Explained]:
    """Say of each shown item which source brought it, the score of each stage, and what each feature adds to it.

    request: the id of an answered request, or a request itself, as a mapping or JSON: `{"customer": "17850"}`. An
    answered one is explained by the build that answered it.
    Errors: `ServeError` for an id that is not in the log, or a request that cannot be answered.
    """
    found = find_design(design)
    build, asked, at, sold_at = _asked(find_workspace(found, workspace, design), request, _example(found))
    path = _path(build, at)
    try:
        return path.explain(msgspec.convert(asked, path.request_type), at, sold_at)
    except RequestError as error:
        raise ServeError(f"request: {error.field}", error.found, error.allowed, f"change {error.field}") from None
    except msgspec.ValidationError as error:
        fault = undecodable(error, kind=path.request_type).fault
        raise ServeError(f"request: {fault.where}", fault.found, fault.allowed, fault.fix) from None


def _path(build: Build, at: int | None) -> RequestPath | NearestPath:
    if any(isinstance(stage, Nearest) for stage in read_design(build.folder).serving.path):
        return NearestPath(load_pictures(build.folder, EMBEDDED))
    path = RequestPath(load_bundle(build.folder))
    if path.bundle.retrievers:
        path.arriving(at).look()
    return path


def _example(design: Design) -> str:
    """Write how a request of this design is explained, its values left open."""
    examples = design.data.examples
    known = ("id",) if isinstance(examples, SameValue) else ()
    asked: dict[str, Any] = dict.fromkeys(getattr(examples, "request", known), "…")
    if not any(isinstance(stage, Retrieve) for stage in design.serving.path) and getattr(examples, "candidate", None):
        asked["candidates"] = ["…"]
    return f"bottega explain {design.name} '{json.dumps(asked, ensure_ascii=False)}'"


def _asked(
    space: Workspace, request: str | dict[str, Any], example: str
) -> tuple[Build, dict[str, Any], int | None, int | None]:
    """Give the build that answers, the request, as of when its features were read, and when it was answered.

    Nothing of both: it is asked now.
    """
    if isinstance(request, dict):
        return current_build(space), request, None, None
    if not isinstance(request, str):
        allowed = "the id of an answered request, or a request as a mapping or JSON"
        raise ServeError("request", repr(request)[:200], allowed, example)
    if request.lstrip().startswith("{"):
        try:
            return current_build(space), json.loads(request), None, None
        except json.JSONDecodeError as error:
            raise ServeError("request", str(error), "JSON, or the id of an answered request", example) from None
    for line in read_log(space.log):
        if line["request_id"] == request:
            build = find_build(space, line["version"])
            asked = {**line["request"], "request_id": request}  # what exploration drew hangs on it
            return build, asked, line.get("trace", {}).get("at"), int(line["time"])
    raise ServeError(
        "request", f"no answered request {request!r} in {space.log}", "an id from an answer, or a request as JSON",
        example,
    )  # fmt: skip
