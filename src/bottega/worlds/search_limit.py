"""What could be known in a search world: true chances of clicks, and how well rankings by clicks and by truth do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bottega.errors import DataError, DesignError
from bottega.metrics import Ranking, metric
from bottega.worlds.search_log import PARTS
from bottega.worlds.search_truth import Floats, Ints, Truth, attraction, examination

Columns: TypeAlias = "pa.Table | Mapping[str, Any]"
_PRIOR = 10.0  # shows at the mean rate that each pair begins with


def true_probabilities(
    folder: Path, columns: Columns, position: int | NDArray[Any] | None = None, label: str = "clicked"
) -> Floats:
    """Give the true probability of a click for any candidate of a query, in any place.

        P(click) = position^−bias · (0.04 + 0.66 (2^grade − 1) / 15)

    folder: where `SearchWorld.write` wrote.
    columns: a table, or arrays by name, (n,) each: query_id, document_id, and position unless it is given.
    position: the place that counts in place of the column's, 1 or more: one for all, or (n,). Larger is clicked less.
    label: `clicked`, the only one.

    Returns (n,) float64 in 0..1. Raises `DesignError` for another label, `DataError` for a missing column, a document
    that is no candidate of its query, a place under 1, or a folder without a truth.

    >>> import tempfile
    >>> from bottega.worlds.search import SearchWorld
    >>> home = Path(tempfile.mkdtemp())
    >>> SearchWorld(rows=2_000, days=2).write(home)
    >>> log = pq.read_table(home / "impressions")
    >>> first, third = (true_probabilities(home, log, position=place) for place in (1, 3))
    >>> bool(np.allclose(third / first, 1 / 3))
    True
    """
    if label != "clicked":
        raise DesignError("label", repr(label), "clicked", "label='clicked'")
    truth = Truth.load(folder / "truth")
    pair = read_pairs(truth, columns)
    place = _numbers(columns, "position") if position is None else np.broadcast_to(np.asarray(position), len(pair))
    if len(place) != len(pair) or not (place >= 1).all():
        raise DataError("position", f"{place}", f"({len(pair)},) places from 1 on", "1 is the best place")
    return examination(place, truth.settings.bias) * attraction(truth.pairs.grade[pair])


def limits(folder: Path, columns: Columns, label: str = "clicked") -> Floats:
    """Give the best prediction of a click from a log's columns, (n,): the true chance, in the place of the row.

    It knows each pair's grade, which a model must learn from clicks and match features: what is noise in these is a
    part of its lead that cannot be had. Arguments and errors as of `true_probabilities`.
    """
    return true_probabilities(folder, columns, None, label)


def yardsticks(folder: Path, k: int = 10, part: str = "test") -> dict[str, float]:
    """Give the mean NDCG@k, on the judged queries of a part, of rankings that a person can compare with.

    `truth`: by the grades, so 1. `ranker`: by the score of the log's ranker. `clicks`: by clicks over shows of each
    pair in the log. `weighted_clicks`: by clicks over the sum of the true chances that its places were looked at, which
    is what a click is worth without the bias. Both begin with ten shows at the mean rate; what was never shown comes
    last.

    The last two know no feature and judge what was shown alone: they say what position bias costs, not what a model
    can reach. Raises `DesignError` for another part, `DataError` for a folder without a truth.
    """
    if part not in PARTS:
        raise DesignError("part", repr(part), f"one of {', '.join(PARTS)}", "part='test'")
    truth = Truth.load(folder / "truth")
    pairs = truth.pairs
    log = pq.read_table(folder / "impressions", columns=["query_id", "document_id", "position", "clicked"])
    pair, clicked = read_pairs(truth, log), log["clicked"].to_numpy()
    looked = examination(log["position"].to_numpy(), truth.settings.bias)
    clicks, shows = (np.bincount(pair, worth, minlength=len(pairs.query)) for worth in (clicked, np.ones(len(pair))))
    looks = np.bincount(pair, looked, minlength=len(shows))
    scores = {"truth": pairs.grade.astype(np.float64), "ranker": pairs.score}
    for name, times in (("clicks", shows), ("weighted_clicks", looks)):
        prior = _PRIOR / shows.sum()  # as a share of all
        rate = (clicks + prior * clicks.sum()) / (times + prior * times.sum())
        scores[name] = np.where(shows > 0, rate, -1.0)
    judged = np.flatnonzero(truth.queries.part[pairs.query] == PARTS.index(part))
    group = np.unique(pairs.query[judged], return_inverse=True)[1]
    by = metric(f"ndcg@{k}")
    return {
        name: float(by.value(Ranking(group, score[judged], pairs.grade[judged], items=pairs.document[judged])))
        for name, score in scores.items()
    }


def read_pairs(truth: Truth, columns: Columns) -> Ints:
    """Give the pair of each row of a log; `DataError` for a document that is no candidate of its query."""
    query, document = (_numbers(columns, name) for name in ("query_id", "document_id"))
    if len(query) != len(document):
        lengths = sorted({len(query), len(document)})
        raise DataError("columns", f"lengths {lengths}", "columns of one length (n,)", "give them of one table")
    pair = truth.rows(query.astype(np.int64), document.astype(np.int64))
    if (pair < 0).any():
        first = int(np.argmin(pair))
        found = f"document {document[first]} for the query {query[first]}"
        raise DataError("columns", found, "a candidate of the query", "ask about the rows of the world's own log")
    return pair


def _numbers(columns: Columns, name: str) -> NDArray[Any]:
    names = columns.column_names if isinstance(columns, pa.Table) else list(columns)
    if name not in names:
        raise DataError("columns", f"no {name} among {', '.join(names)}", "the log's columns", f"add {name}")
    values = columns[name]
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        values = values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy()
    found = np.asarray(values)
    if found.dtype.kind not in "iu":
        raise DataError(f"columns[{name!r}]", f"{found.dtype}", "whole numbers", "drop nulls, then cast")
    return found
