"""What is seen in tables, held against counting in plain Python, and against logs whose truth is known."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from msgspec.structs import replace
from review_tables import DAYS, START, write

import bottega as bt
from bottega.data.log import Log
from bottega.design.reading import load
from bottega.features.hashing import hashes, paired
from bottega.files import write_json
from bottega.reviewing.judging import judge
from bottega.reviewing.seeing import measured, see
from bottega.reviewing.seen import Seen
from bottega.verbs.review import review

DESIGNS = Path(__file__).parent / "designs"
DAY = 86_400_000_000


@pytest.fixture(autouse=True)
def _beside_the_designs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DESIGNS)


def clicks(**columns: Any) -> Log:
    """A log of clicks, hour by hour, with further columns."""
    rows = len(next(iter(columns.values())))
    time = START.astype(np.int64) + np.arange(rows) * (DAY // 24)
    found = {"at": pa.array(time).view(pa.timestamp("us", "UTC")), "position": np.ones(rows, np.int64)}
    for name in ("user", "device", "ad"):
        found[name] = columns.pop(name, np.zeros(rows, np.int64))
    return Log("shown", pa.table({**found, **columns}), time, time)


def seen(design: bt.Design, log: Log) -> Seen:
    """Look at a log of clicks, without ads."""
    plain = [feature for feature in design.features if not isinstance(feature, bt.Lookup)]
    data = replace(design.data, tables=design.data.tables[:1])
    return see(replace(design, features=plain, data=data), {"shown": log})


def test_rates_and_spans() -> None:
    label = (np.arange(24 * 20) % 5 == 0).astype(np.int8)
    found = seen(load("R704.py"), clicks(clicked=label))
    mature = label[:-1]  # the last hour's is final one hour after the log's end
    assert found.labels["clicked"].rows == len(mature)
    assert found.labels["clicked"].positives == mature.sum()
    table = found.tables["shown"]
    assert (table.rows, table.end - table.begin) == (480, 479 * DAY // 24)  # type: ignore[operator]
    assert found.labels["clicked"].weekdays is None
    assert found.labels["clicked"].moved is None


def test_labels_that_come_late() -> None:
    rows = 480
    label = np.ones(rows, np.int8)
    delay = np.where(np.arange(rows) % 4 == 0, 2 * DAY, DAY // 48)  # one of four after two days
    log = clicks(clicked=label)
    came = pa.array(log.time + delay).view(pa.timestamp("us", "UTC"))  # type: ignore[operator]
    log = Log("shown", log.rows.append_column("clicked_at", came), log.time, log.known)
    found = seen(load("R211.py"), log).labels["clicked"]
    assert (found.late, found.slow) == (0.25, 2 * DAY)
    assert seen(load("R211_near.py"), log).labels["clicked"].late == 0


def test_codes_that_collide_are_counted() -> None:
    draw = np.random.default_rng(3)
    user, ad = draw.integers(0, 50, 900), draw.integers(0, 20, 900)
    label = draw.integers(0, 2, 900).astype(np.int8)
    found = seen(load("R313.py"), clicks(clicked=label, user=user, ad=ad)).coded["features[0]"]
    pairs = Counter(zip(user.tolist(), ad.tolist(), strict=True))
    often = {pair: count for pair, count in pairs.items() if count > 1}
    code = {pair: int(paired(hashes([str(pair[0])]), hashes([str(pair[1])]))[0] % np.uint64(64)) for pair in often}
    held = Counter(code.values())
    shared = sum(count for pair, count in often.items() if held[code[pair]] > 1)
    assert (found.values, found.rows) == (len(often), shared / 900)


def test_a_random_split_is_seen_to_flatter() -> None:
    """Each user is fond of ads in one half of the log and tired of them in the other: only the future tells which."""
    draw = np.random.default_rng(5)
    rows = 24 * 200
    user = draw.integers(0, 40, rows)
    late = np.arange(rows) > rows * 0.9
    label = (draw.random(rows) < np.where((user % 2 == 0) ^ late, 0.5, 0.05)).astype(np.int8)
    log = clicks(clicked=label, user=user)
    found = seen(replace(load("R201.py"), evaluation=bt.Evaluation("roc_auc")), log).split
    assert found is not None
    assert (found.metric, found.at_random > 0.6, found.by_time < 0.4) == ("roc_auc", True, True)
    listed = seen(replace(load("R201.py"), evaluation=bt.Evaluation("log_loss")), log).split
    assert listed is not None
    assert listed.at_random < listed.by_time  # smaller is better
    assert found.chance < 0.2
    (claim,) = [one for one in judge(load("R201.py"), Seen({}, split=listed)).findings if one.code == "R201"]
    assert f"by about {listed.by_time - listed.at_random:.2g}: log_loss" in claim.costs


def test_a_random_split_of_what_never_changes_costs_little() -> None:
    draw = np.random.default_rng(6)
    user = draw.integers(0, 4, 5_000)
    label = (draw.random(5_000) < 0.1 + 0.15 * user).astype(np.int8)
    found = seen(load("R201.py"), clicks(clicked=label, user=user)).split
    assert found is not None
    (claim,) = [one for one in judge(load("R201.py"), Seen({}, split=found)).findings if one.code == "R201"]
    assert "no more of it here than chance may bring" in claim.costs


def test_lists_are_compared_by_the_metric_of_lists() -> None:
    draw = np.random.default_rng(5)
    rows = 4_000
    time = START.astype(np.int64) + np.repeat(np.arange(rows // 8), 8) * DAY // 24
    log = clicks(clicked=(draw.random(rows) < 0.3).astype(np.int8), ad=np.tile(np.arange(8), rows // 8))
    log = Log("shown", log.rows.set_column(0, "at", pa.array(time).view(pa.timestamp("us", "UTC"))), time, time)
    found = seen(replace(load("R201.py"), evaluation=bt.Evaluation("ndcg@4")), log).split
    assert found is not None
    assert found.metric == "ndcg@4"
    assert 0.2 < found.by_time < 0.8


def test_parts_that_overlap_in_time() -> None:
    rows = 400
    part = np.where(np.arange(rows) < 300, "train", "test").astype(object)
    part[:4] = "test"
    label = np.arange(rows) % 2
    design = load("R202.py")
    design = replace(design, data=replace(design.data, split=bt.GivenSplit("part")))
    found = seen(design, clicks(clicked=label, part=part))
    assert found.overlap == 1.0
    (claim,) = [one for one in judge(design, found).findings if one.code == "R202"]
    assert claim.costs.startswith("100%")
    part[:4] = "train"
    assert "R202" in judge(design, seen(design, clicks(clicked=label, part=part))).held


def test_one_column_that_knows() -> None:
    draw = np.random.default_rng(1)
    label = draw.integers(0, 2, 2_000).astype(np.int8)
    words = np.where(label == 1, draw.choice(["paid", "sent"], 2_000), draw.choice(["open", "lost"], 2_000))
    found = seen(load("R704.py"), clicks(clicked=label, user=draw.random(2_000), device=words)).alone
    assert found["device"] == pytest.approx(1, abs=0.01)
    assert found["user"] < 0.55


@pytest.mark.parametrize(
    "card",
    [None, 7, {}, {"serving": None}, {"serving": {"stages_ms": {"rank": "x"}}}, {"serving": {"stages_ms": [1]}}],
)
def test_a_scorecard_of_another_kind_says_nothing(tmp_path: Path, card: Any) -> None:
    write_json(tmp_path / "scorecard.json", card)
    assert measured(tmp_path / "scorecard.json") == measured(tmp_path / "none.json") == {}


def test_what_was_seen_is_found_again(tmp_path: Path) -> None:
    data = write(tmp_path)
    first = review(load("R704.py"), data=data, workspace=tmp_path / "w")
    steps = {path: path.stat().st_mtime_ns for path in (tmp_path / "w").rglob("seen-*/*")}
    again = review(load("R704.py"), data=data, workspace=tmp_path / "w")
    assert again.findings == first.findings
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "w").rglob("seen-*/*")} == steps != {}


def test_the_log_of_the_tests_is_as_long_as_it_says(tmp_path: Path) -> None:
    assert DAYS == 28
    found = review(load("R311_near.py"), data=write(tmp_path), workspace=tmp_path / "w")
    assert "R311" in found.held
