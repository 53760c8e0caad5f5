"""The requests of the test, as a service is asked them: what loads are made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bottega.design.design import Design
from bottega.design.serving import Candidates, Retrieve

MOST = 5_000  # requests; they are drawn from by a Zipf law
_SEED = 0  # the requests of a build are the same for whoever loads it


def requests_to_ask(design: Design, fields: Sequence[str], predictions: Path) -> list[dict[str, Any]]:
    """Give the test's first requests, with candidates where the design finds none itself.

    A log holds only the candidates that were shown. Where the scope counts on more, others of the test are added, each
    as often as it occurs there, so that a request has the size that the scope says.

    fields: the columns of a request. predictions: `predictions.parquet` of a build.
    """
    candidate = getattr(design.data.examples, "candidate", None)
    brought = candidate is not None and not any(isinstance(stage, Retrieve) for stage in design.serving.path)
    wanted = [*fields, "request_time", *([str(candidate)] if brought else [])]
    rows = pq.read_table(predictions, columns=wanted)
    if brought:
        rows = rows.set_column(len(wanted) - 1, "candidates", rows.column(str(candidate)).cast(pa.string()))
    groups = rows.group_by([*fields, "request_time"], use_threads=False)
    requests = groups.aggregate([("candidates", "list")] if brought else []).drop_columns("request_time")
    names = [*fields, *(["candidates"] if brought else [])]
    found: list[dict[str, Any]] = requests.slice(0, MOST).rename_columns(names).to_pylist()
    if brought:
        _fill(found, rows.column("candidates").drop_null().to_numpy(), _size(design))
    return found


def _size(design: Design) -> int:
    """Give how many candidates a request has: what the scope says, as far as the path takes them."""
    most = [stage.at_most for stage in design.serving.path if isinstance(stage, Candidates)]
    traffic = design.scope.traffic
    return min([1 if traffic is None else traffic.candidates, *most])


def _fill(requests: Sequence[dict[str, Any]], shown: np.ndarray, size: int) -> None:
    rng = np.random.default_rng(_SEED)
    for request in requests:
        own = [name for name in request["candidates"] if name is not None]
        for _ in range(4):  # what is drawn twice counts once; a small catalogue has fewer than the scope says
            if (missing := size - len(own)) <= 0:
                break
            own = list(dict.fromkeys([*own, *rng.choice(shown, 2 * missing).tolist()]))[: max(size, len(own))]
        request["candidates"] = own
