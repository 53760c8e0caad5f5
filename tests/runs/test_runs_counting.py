"""What a run counts of its labels, and what it does not know of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import bottega as bt
from bottega.data.examples import TEST, TRAIN, UNUSED, VALIDATE
from bottega.features.frame import Frame, Values, dictionary
from bottega.features.hashing import cross
from bottega.runs.step import Result
from bottega.runs.steps.counting import crosses, labels
from bottega.runs.steps.ladders import Ladder
from bottega.runs.steps.lessons import FINAL, Lesson

CLICKED = bt.Label("clicked", matures_after="1h")
BOUGHT = bt.Label("bought", matures_after="3d", observed_at="bought_at", window="1d", given="clicked")


def counted(folder: Path, late: float, note: str) -> list[dict[str, Any]]:
    """Count two labels, of which the second one's lesson says this of its window."""
    nothing = np.zeros(0)
    for ladder in ("rank", "buy"):
        said = {"late": late, "note": note} if ladder == "buy" else {"note": "clicked has no window"}
        Lesson(*[nothing] * 6, **said).save(folder / ladder / FINAL)  # type: ignore[arg-type]
    ladders = [Ladder("rank", "clicked", (bt.Logistic(),)), Ladder("buy", "bought", (bt.Logistic(),))]
    job: Any = SimpleNamespace(design=SimpleNamespace(data=SimpleNamespace(labels=[CLICKED, BOUGHT])), ladders=ladders)
    nan = np.nan
    more = SimpleNamespace(
        labels={"clicked": np.array([1.0, 0, 1, 0, 1, 1]), "bought": np.array([1, nan, 0, nan, 0, 1])}
    )
    rows: Any = SimpleNamespace(more=more, part=np.array([TRAIN, TRAIN, VALIDATE, TEST, TEST, UNUSED]), label=None)
    return labels(job, rows, Result("lessons", "", folder, False, 0, 0, ""))


@pytest.mark.parametrize(
    ("late", "note", "share"),
    [(0.75, "", 0.75), (1.0, "", 1.0), (1.0, "no bought above 0 was final: not corrected", None)],
)
def test_the_share_within_a_window_is_what_was_measured_or_nothing_and_why(
    late: float, note: str, share: float | None, tmp_path: Path
) -> None:
    clicked, bought = counted(tmp_path, late, note)
    assert clicked == {
        "name": "clicked",
        "rate": 0.6,
        "rows": 5,
        "positives": 3,
        "test_positives": 1,
        "window_share": None,
        "window_note": "",
    }
    assert bought == {
        "name": "bought",
        "rate": pytest.approx(1 / 3),
        "rows": 3,
        "positives": 1,
        "test_positives": 0,
        "window_share": share,
        "window_note": note,
    }


def test_crosses_are_counted_as_by_hand_from_the_rows_that_are_learnt_from() -> None:
    rng, n = np.random.default_rng(3), 400
    part = rng.choice([TRAIN, VALIDATE, TEST, UNUSED], n)
    group = np.sort(rng.integers(0, 150, n)).astype(np.int32)
    shops = [None if value == 0 else f"s{value}" for value in rng.integers(0, 12, 150)]
    hours = rng.integers(0, 24, 150).astype(np.float64)
    ads = [f"a{value}" for value in rng.integers(0, 30, n)]
    kinds = [["new", "old", None][value] for value in rng.integers(0, 3, n)]
    asked = Frame({"shop": text_of(shops), "hour": hours}, np.zeros(150, np.int64), group, {"ad": text_of(ads)})
    parts = [bt.Cross("shop", "ad", buckets=64), bt.Cross("kind", "hour", buckets=2**20), bt.Categories(["ad"])]
    job: Any = SimpleNamespace(design=SimpleNamespace(features=parts))
    found = crosses(job, asked, Values(row={"kind": text_of(kinds)}), part)
    learnt = [row for row in range(n) if part[row] in (TRAIN, VALIDATE)]
    by_hand = [
        ("shop_x_ad", {(shops[group[row]], ads[row]) for row in learnt}, 64),
        ("kind_x_hour", {(kinds[row], str(int(hours[group[row]]))) for row in learnt}, 2**20),
    ]
    for told, (name, pairs, buckets) in zip(found, by_hand, strict=True):
        codes = [cross([left], [right], buckets)[0] for left, right in pairs]
        shared = sum(codes.count(code) > 1 for code in codes) / len(codes)
        assert told == {
            "column": name,
            "pairs": len(pairs),
            "buckets": buckets,
            "collision_rate": pytest.approx(shared, abs=1e-12),
        }
    assert found[0]["collision_rate"] > 0.5 > found[1]["collision_rate"]
    nobody = crosses(job, asked, Values(row={"kind": text_of(kinds)}), np.full(n, TEST))
    assert [(each["pairs"], each["collision_rate"]) for each in nobody] == [(0, None)] * 2


def text_of(values: list[Any]) -> pa.DictionaryArray:
    return dictionary(pa.array(values, pa.string()).dictionary_encode())
