"""Looking at splits: what a model of rates alone reaches under one in time, and under one at random."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bottega.data.examples import TEST, TRAIN
from bottega.data.keys import as_text, encode
from bottega.data.log import Log
from bottega.data.splits import given
from bottega.design.data import GivenSplit
from bottega.design.design import Design
from bottega.design.examples import Logged
from bottega.metrics import Predictions, Ranking, metric
from bottega.metrics.estimate import Estimate
from bottega.metrics.metric import Data
from bottega.reviewing.looking import family
from bottega.reviewing.seen import Compared

Rows = NDArray[np.int64]
Marks = NDArray[np.bool_]
Scores = NDArray[np.float64]

_TEST = 0.1
_PRIOR = 20.0
_RESAMPLES = 200


def compared(design: Design, log: Log, rows: Rows, positive: Marks, honest: Collection[str]) -> Compared | None:
    """Compare both splits by the primary metric, where rates can have it, else by ROC-AUC; tests of a tenth each.

    rows: of the log that have a label; positive: (rows,); honest: columns that do not know the label by themselves.
    Nothing where a part has labels of one kind alone.
    """
    if log.time is None or not len(rows):
        return None
    time = log.time[rows]
    size = max(1, round(_TEST * len(rows)))
    codes = _codes(design, log, rows, honest)
    request = _requests(design, log, rows)
    asked = np.unique(request)
    drawn = np.random.default_rng(0).permutation(len(asked))
    chance = np.empty(int(asked.max()) + 1)
    chance[asked] = drawn
    at_random = chance[request] < _TEST * len(asked)
    by_time = np.zeros(len(rows), np.bool_)
    by_time[np.argsort(time, kind="stable")[-size:]] = True
    primary = design.evaluation.primary
    known = family(primary)
    name = primary if known is not None and known.kind != "list" else "roc_auc"
    found = [_judge(name, codes, request, positive, test) for test in (at_random, by_time)]
    if found[0] is None or found[1] is None:
        return None
    return Compared(name, found[0].value, found[1].value, float(np.hypot(_half(found[0]), _half(found[1]))))


def reached(design: Design, log: Log, rows: Rows, positive: Marks, honest: Collection[str]) -> dict[str, float]:
    """Give ROC-AUC and PR-AUC of a model of rates alone on the newest tenth."""
    if log.time is None or not len(rows):
        return {}
    test = np.zeros(len(rows), np.bool_)
    test[np.argsort(log.time[rows], kind="stable")[-max(1, round(_TEST * len(rows))) :]] = True
    codes, request = _codes(design, log, rows, honest), np.arange(len(rows))
    found = {name: _judge(name, codes, request, positive, test) for name in ("roc_auc", "pr_auc")}
    return {name: one.value for name, one in found.items() if one is not None}


def overlap(design: Design, log: Log) -> float | None:
    """Give the share of the rows meant for training that lie after the begin of the test; nothing without a time."""
    split = design.data.split
    if not isinstance(split, GivenSplit) or log.time is None or split.column not in log.rows.column_names:
        return None
    part = given(split, log.rows.column(split.column))
    if not (part == TEST).any() or not (part == TRAIN).any():
        return None
    return float((log.time[part == TRAIN] >= log.time[part == TEST].min()).mean())


def _codes(design: Design, log: Log, rows: Rows, honest: Collection[str]) -> list[Rows]:
    """Give the codes of each column of the request and the candidate that is no measure, (rows,) each."""
    examples = design.data.examples
    if not isinstance(examples, Logged):
        return []
    named = [*(name for name in examples.request if name in honest), examples.candidate]
    there = [name for name in named if name in log.rows.column_names]
    there = [name for name in there if not pa.types.is_floating(log.rows.column(name).type)]
    return [encode(as_text(log.rows.column(name)))[0][rows].astype(np.int64) + 1 for name in there]


def _requests(design: Design, log: Log, rows: Rows) -> Rows:
    """Number the requests: rows whose request columns and time are equal."""
    examples = design.data.examples
    if not isinstance(examples, Logged) or examples.candidate is None or log.time is None:
        return np.arange(len(rows))
    number = np.unique(log.time[rows], return_inverse=True)[1].astype(np.int64)
    for name in examples.request:
        if name in log.rows.column_names:
            code = encode(as_text(log.rows.column(name)))[0][rows].astype(np.int64) + 1
            number = np.unique(number * (int(code.max(initial=0)) + 1) + code, return_inverse=True)[1]
    return number.astype(np.int64)


def _judge(name: str, codes: list[Rows], request: Rows, positive: Marks, test: Marks) -> Estimate | None:
    """Learn smoothed rates of each column outside the test, add up their log-odds, and judge them on the test."""
    hits = int(positive[test].sum())
    if not 0 < hits < int(test.sum()) or not 0 < int(positive[~test].sum()) < int((~test).sum()):
        return None
    base = float(positive[~test].mean())
    score = np.full(int(test.sum()), np.log(base / (1 - base)))
    for code in codes:
        values = int(code.max(initial=0)) + 1
        rows = np.bincount(code[~test], minlength=values)
        seen = np.bincount(code[~test], positive[~test], minlength=values)
        rate = (seen + _PRIOR * base) / (rows + _PRIOR)
        score += (np.log(rate / (1 - rate)) - np.log(base / (1 - base)))[code[test]]
    found = metric(name)
    data: Data
    if found.kind == "binary":
        data = Predictions(positive[test], 1 / (1 + np.exp(-np.clip(score, -30, 30))))
    else:
        data = Ranking(np.unique(request[test], return_inverse=True)[1], score, positive[test].astype(float))
    return found.estimate(data, resamples=_RESAMPLES)


def _half(found: Estimate) -> float:
    return (found.high - found.low) / 2
