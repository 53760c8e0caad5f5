"""What a run counts of its labels, and what it does not know of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import bottega as bt
from bottega.data.examples import TEST, TRAIN, UNUSED, VALIDATE
from bottega.runs.step import Result
from bottega.runs.steps.counting import labels
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
