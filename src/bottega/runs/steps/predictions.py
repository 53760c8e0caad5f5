"""Each rung's score of each example of the test, with all that is needed to compute the metrics again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bottega.evaluation.outcome import Outcome
from bottega.runs.steps.examples import Examples
from bottega.runs.steps.ladders import Ladder


@dataclass(frozen=True)
class Judged:
    """What one ladder was judged by: the rows (m,) of the test, the label of all rows (n,), and the outcome of them.

    chances: rung → label → (m,), what networks for several labels say of each.
    """

    ladder: Ladder
    rows: np.ndarray
    label: np.ndarray
    outcome: Outcome
    chances: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)


def write_predictions(
    rows: Examples, tests: Mapping[str, Judged], path: Path, given: Mapping[str, np.ndarray] | None = None
) -> None:
    """Write the table: with one ladder its rungs by their names, with several as `ladder.rung`, null where not judged.

    given: columns (n,) that came with the candidates, as `given: name`: a load test brings them again. Labels stand as
    `label`, those of further ladders, and of networks for several labels, as `label: name`, and what such a network
    says of each as `rung: name`; position and propensity where the log has them.
    """
    first = next(iter(tests.values()))
    chosen = np.unique(np.concatenate([judged.rows for judged in tests.values()]))
    group = rows.group[chosen]
    asked = rows.requests.columns.take(pa.array(group))
    columns = {name: asked.column(name) for name in asked.column_names}
    columns["request_time"] = pa.array(rows.requests.time[group]).cast(pa.timestamp("us", "UTC"))
    if rows.name is not None:
        columns[rows.name] = rows.candidate.take(pa.array(chosen))
    columns["label"] = pa.array(first.label[chosen])
    columns["retrieved"] = pa.array(rows.retrieved[chosen])
    if rows.more is not None:
        for name in ("position", "propensity"):
            if (values := getattr(rows.more, name)) is not None:
                columns[name] = pa.array(values[chosen])
    for name, values in (given or {}).items():
        columns[f"given: {name}"] = pa.array(np.asarray(values)[chosen], from_pandas=True)
    for judged in tests.values():
        place = np.searchsorted(chosen, judged.rows)
        if judged is not first:
            columns[f"label: {judged.ladder.label}"] = pa.array(judged.label[chosen])
        for rung in judged.outcome.rungs:
            title = judged.outcome.title(rung)
            scores = np.full(len(chosen), np.nan, np.float32)
            scores[place] = rung.scores
            columns[title if len(tests) == 1 else f"{judged.ladder.name}.{title}"] = pa.array(scores)
        for rung_name, own in judged.chances.items():
            title = rung_name if len(tests) == 1 else f"{judged.ladder.name}.{rung_name}"
            for name, said in own.items():
                columns[f"label: {name}"] = pa.array(rows.label_of(name)[chosen])
                scores = np.full(len(chosen), np.nan, np.float32)
                scores[place] = said
                columns[f"{title}: {name}"] = pa.array(scores)
        if judged is first:
            for name, mask in judged.outcome.views.items():
                inside = np.zeros(len(chosen), bool)
                inside[place] = mask
                columns[f"view: {name}"] = pa.array(inside)
    pq.write_table(pa.table(columns), path, compression="zstd")
