"""The requests of the test, as a service is asked them: what loads are made of."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bottega.design.design import Design
from bottega.design.examples import SameValue
from bottega.design.serving import Candidates, Retrieve
from bottega.features.batch import given_columns

MOST = 5_000  # requests; they are drawn from by a Zipf law
_SEED = 0  # the requests of a build are the same for whoever loads it


def requests_to_ask(design: Design, fields: Sequence[str], predictions: Path) -> list[dict[str, Any]]:
    """Give the test's first requests, with candidates where the design finds none itself.

    A log holds only the candidates that were shown. Where the scope counts on more, others of the test are added, each
    as often as it occurs there, so that a request has the size that the scope says.

    fields: the columns of a request. predictions: `predictions.parquet` of a build.
    """
    if isinstance(design.data.examples, SameValue):
        images = pq.read_table(predictions, columns=["image"]).column("image").drop_null().to_pylist()
        return [{"image": base64.b64encode(image).decode()} for image in images]
    candidate = getattr(design.data.examples, "candidate", None)
    brought = candidate is not None and not any(isinstance(stage, Retrieve) for stage in design.serving.path)
    given = given_columns(design.features) if brought else []
    wanted = [*fields, "request_time"]
    columns = [*wanted, *([str(candidate)] if brought else []), *(f"given: {name}" for name in given)]
    rows = pq.read_table(predictions, columns=columns)
    places = [str(place) for place in range(len(wanted))]  # a field may have any name, "row" too
    asked = rows.select(wanted).rename_columns(places).append_column("row", pa.array(np.arange(rows.num_rows)))
    groups = asked.group_by(places, use_threads=False).aggregate([("row", "list")]).slice(0, MOST)
    found: list[dict[str, Any]] = groups.select(places[: len(fields)]).rename_columns(list(fields)).to_pylist()
    if brought:
        ids = rows.column(str(candidate)).cast(pa.string())
        candidates = _candidates(ids.combine_chunks(), rows, given)
        for request, own in zip(found, groups.column("row_list").to_pylist(), strict=True):
            request["candidates"] = candidates.take(pa.array(own)).drop_null().to_pylist()
        if not given:
            _fill(found, ids.drop_null().to_numpy(), _size(design))
    return found


def _candidates(ids: pa.StringArray, rows: pa.Table, given: Sequence[str]) -> pa.Array:
    """Give each row's candidate: its id, or with what came along the object of a request; null where there is none."""
    if not given:
        return ids
    columns = {"id": ids, **{name: rows.column(f"given: {name}").combine_chunks() for name in given}}
    return pa.StructArray.from_arrays(list(columns.values()), list(columns), mask=ids.is_null())


def _size(design: Design) -> int:
    """Give how many candidates a request has: what the scope says, as far as the path takes them."""
    most = [stage.at_most for stage in design.serving.path if isinstance(stage, Candidates)]
    traffic = design.scope.traffic
    return min([1 if traffic is None else traffic.candidates, *most])


def _fill(requests: Sequence[dict[str, Any]], shown: np.ndarray, size: int) -> None:
    rng = np.random.default_rng(_SEED)
    for request in requests:
        own = list(request["candidates"])
        for _ in range(4):  # what is drawn twice counts once; a small catalogue has fewer than the scope says
            if (missing := size - len(own)) <= 0:
                break
            own = list(dict.fromkeys([*own, *rng.choice(shown, 2 * missing).tolist()]))[: max(size, len(own))]
        request["candidates"] = own
