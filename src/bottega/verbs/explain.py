"""`bottega explain`: one answered request, with the sources, the stages and the features behind each item."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from bottega.design.design import Design
from bottega.errors import ServeError
from bottega.runs.builds import Build, find_build
from bottega.runs.releases import current_build
from bottega.runs.workspace import Workspace
from bottega.serving.bundle import load_bundle
from bottega.serving.decision_log import read_log
from bottega.serving.path import Path as RequestPath
from bottega.serving.refusals import undecodable
from bottega.serving.wire import Explained, RequestError
from bottega.verbs.finding import find_design, find_workspace

_EXAMPLE = 'bottega explain DESIGN \'{"customer": "17850"}\''


def explain(
    design: str | Path | Design, request: str | dict[str, Any], *, workspace: str | Path | None = None
) -> list[Explained]:
    """Say of each shown item which source brought it, the score of each stage, and what each feature adds to it.

    request: the id of an answered request, or a request itself, as a mapping or JSON: `{"customer": "17850"}`. An
    answered one is explained by the build that answered it.
    Errors: `ServeError` for an id that is not in the log, or a request that cannot be answered.
    """
    space = find_workspace(find_design(design), workspace, design)
    build, asked, at = _asked(space, request)
    path = RequestPath(load_bundle(build.folder))
    try:
        return path.explain(msgspec.convert(asked, path.request_type), at)
    except RequestError as error:
        raise ServeError(f"request: {error.field}", error.found, error.allowed, f"change {error.field}") from None
    except msgspec.ValidationError as error:
        fault = undecodable(error, kind=path.request_type).fault
        raise ServeError(f"request: {fault.where}", fault.found, fault.allowed, fault.fix) from None


def _asked(space: Workspace, request: str | dict[str, Any]) -> tuple[Build, dict[str, Any], int | None]:
    """Give the build that answers, the request, and when it was answered; nothing: it is asked now."""
    if isinstance(request, dict):
        return current_build(space), request, None
    if request.lstrip().startswith("{"):
        try:
            return current_build(space), json.loads(request), None
        except json.JSONDecodeError as error:
            raise ServeError("request", str(error), "JSON, or the id of an answered request", _EXAMPLE) from None
    for line in read_log(space.log):
        if line["request_id"] == request:
            return find_build(space, line["version"]), line["request"], int(line["time"])
    raise ServeError(
        "request", f"no answered request {request!r} in {space.log}", "an id from an answer, or a request as JSON",
        _EXAMPLE,
    )  # fmt: skip
