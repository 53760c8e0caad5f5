"""Going on from a model: what it learnt and what is new are together all that may be learnt, and nothing twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bottega as bt
from bottega.data.source import Place
from bottega.features.vocabulary import Coding
from bottega.files import read_json
from bottega.models.contributions import drawn
from bottega.models.inputs import Inputs
from bottega.runs.builds import Build
from bottega.runs.progress import Silent
from bottega.runs.runner import Runner
from bottega.runs.step import RECORD
from bottega.runs.steps.examples import Examples, make_examples, read_examples
from bottega.runs.steps.job import Job
from bottega.runs.steps.learnt import Champion, Learnt, Start, learnt_from
from bottega.runs.steps.lessons import FINAL, Lesson, lesson_of, make_lessons
from bottega.runs.steps.tables import ingest_tables
from bottega.runs.steps.tabling import Table
from bottega.runs.steps.training import as_served
from bottega.runs.steps.warming import Further, beginnings, further, warm_of
from bottega.runs.workspace import Workspace

DAYS, A_DAY = 14, 200
TREES, CALIBRATED = bt.BoostedTrees(trees=40), bt.BoostedTrees(trees=40, calibrate="platt")


class Known(Start):
    """A start whose model is a name, so that a test needs no fit."""

    def model(self, setting: Any) -> Any:
        return f"the {type(setting).__name__} before"


def log_of(folder: Path, days: int) -> None:
    """Write a log whose labels come some hours to some days after the event, those of clicks sooner."""
    folder.mkdir(parents=True, exist_ok=True)
    for day in range(days):
        rng = np.random.default_rng(day)
        time = np.sort(rng.choice(86_400_000, A_DAY, replace=False)) * 1000 + day * 86_400_000_000  # no two are equal
        clicked = rng.random(A_DAY) < 0.3
        came = time + (rng.exponential(np.where(clicked, 8.0, 16.0)) * 3_600_000_000).astype(np.int64)
        columns = {"time": time.astype("datetime64[us]"), "came": came.astype("datetime64[us]")}
        columns |= {"clicked": clicked.astype(np.int8), "row": day * A_DAY + np.arange(A_DAY)}
        pq.write_table(pa.table(columns), folder / f"{day:02}.parquet")


def taught(
    folder: Path, days: int, rung: Any, label: bt.Label, split: bt.TimeSplit, **data: Any
) -> tuple[Examples, np.ndarray, Lesson]:
    """Give what the last fit of a rung learns from so many days: the examples, the name of each, the lesson."""
    log_of(folder / f"{days}", days)
    plan = bt.Design(
        name="clicks",
        scope=bt.Scope(question="Is it clicked?"),
        data=bt.Data(
            tables=[bt.Table("shown", "*.parquet", time="time")],
            examples=bt.Logged("shown", request=["row"]),
            labels=[label],
            split=split,
            **data,
        ),
        features=[bt.Expression({"hour": "extract(hour from request_time)"})],
        models={"rank": [rung]},
        evaluation=bt.Evaluation(primary="log_loss"),
        serving=bt.Serving(path=[bt.Candidates(), bt.Rank()]),
    )
    with Runner(Workspace(folder / "w", "clicks"), Silent()) as runner:
        job = Job(plan, Place(folder / f"{days}"), runner)
        ingest_tables(job)
        examples = make_examples(job, None, {})
        lesson = lesson_of(make_lessons(job, examples), job.ladders[0], rung, FINAL)
        rows = read_examples(examples.folder)
    return rows, rows.requests.columns["row"].to_numpy()[rows.group], lesson


def gone_on(folder: Path, learnt: Learnt, rung: Any, label: bt.Label, rows: Examples, lesson: Lesson) -> Further | str:
    def table(need: np.ndarray, words: Mapping[str, Coding]) -> Table:
        return Table(Inputs([], [], np.zeros((len(need), 0), np.float32)), need, words)

    champion = Champion("BoostedTrees", (), (), {}, learnt)
    return further(Known(Build("b", folder, "", {}), "rank", champion, learnt), rung, label, rows, lesson, table)


PLAIN, DAY = bt.Label("clicked"), bt.TimeSplit(validate="1d", test="4d")
LATE = bt.Label("clicked", matures_after="2d", observed_at="came")


@pytest.mark.parametrize(
    ("rung", "label", "split", "data"),
    [
        (TREES, PLAIN, DAY, {}),
        (TREES, bt.Label("clicked", matures_after="5h"), DAY, {}),
        (CALIBRATED, PLAIN, DAY, {}),
        (CALIBRATED, LATE, bt.TimeSplit(validate="1d", test="4d", calibrate="1d"), {}),
        (TREES, LATE, DAY, {}),
        (TREES, LATE, bt.TimeSplit(validate="1d", test="4d", embargo="6h"), {}),
        (TREES, bt.Label("clicked", matures_after="2d", observed_at="came", window="6h"), DAY, {}),
        (TREES, PLAIN, DAY, {"sampling": bt.Upsample(3)}),
    ],
    ids=["plain", "matures", "calibrated", "calibrated late", "observed", "embargo", "window", "repeated"],
)
def test_old_and_new_are_all_and_nothing_is_learnt_twice(
    tmp_path: Path, rung: Any, label: bt.Label, split: bt.TimeSplit, data: dict[str, Any]
) -> None:
    rows, names, before = taught(tmp_path, DAYS, rung, label, split, **data)
    old = names[before.learn]
    learnt = learnt_from(rows, before)
    assert learnt is not None
    rows, names, whole = taught(tmp_path, DAYS + 1, rung, label, split, **data)
    found = gone_on(tmp_path, learnt, rung, label, rows, whole)
    assert isinstance(found, Further)
    new, every = names[found.lesson.learn], names[whole.learn]
    assert len(new)
    assert len(new) < len(every) / 2
    np.testing.assert_array_equal(np.sort(np.concatenate([old[np.isin(old, every)], new])), np.sort(every))
    assert not set(names[found.lesson.calibrate]) & set(old)
    np.testing.assert_array_equal(names[found.lesson.calibrate], names[whole.calibrate])
    np.testing.assert_array_equal(found.lesson.label, whole.label[np.isin(every, new)])
    np.testing.assert_array_equal(found.lesson.judged, whole.judged)
    assert found.learnt == learnt_from(rows, whole)
    assert isinstance(found.setting, bt.BoostedTrees)
    assert found.setting.trees == round(40 * len(new) / len(every))


def test_rows_that_teach_nothing_leave_the_model_and_what_it_has_learnt(tmp_path: Path) -> None:
    rows, _, lesson = taught(tmp_path, DAYS, TREES, PLAIN, DAY)
    learnt = learnt_from(rows, lesson)
    assert learnt is not None
    clicks = rows.label[lesson.learn] > 0
    last = int(rows.requests.time[rows.group[lesson.learn[~clicks][-1]]])
    for newest in (learnt.newest, last):  # nothing is new; clicks alone are
        before = msgspec.structs.replace(learnt, newest=newest)
        found = gone_on(tmp_path, before, TREES, PLAIN, rows, lesson)
        assert isinstance(found, Further)
        assert found.lesson.label.all()
        assert found.learnt == msgspec.structs.replace(before, until=learnt.until)


@pytest.mark.parametrize(
    ("days", "window", "told"),
    [
        (6, "6h", "; no clicked above 0 was final before 1970-01-03: what comes after the window is not corrected"),
        (DAYS, "6h", ""),
        (DAYS, None, ""),
    ],
)
def test_the_lessons_say_where_what_comes_late_is_not_corrected(
    tmp_path: Path, days: int, window: str | None, told: str
) -> None:
    label = bt.Label("clicked", matures_after="2d", observed_at="came", window=window)
    _, _, lesson = taught(tmp_path, days, TREES, label, bt.TimeSplit(validate="1d", test="4d", embargo="1h"))
    (record,) = (tmp_path / "w").rglob(f"lessons-*/{RECORD}")
    assert read_json(record)["note"] == f"rank: {len(lesson.learn):,} rows to learn clicked from{told}"


def test_a_calibrator_needs_new_rows_of_both_classes(tmp_path: Path) -> None:
    rows, _, lesson = taught(tmp_path, DAYS, CALIBRATED, PLAIN, DAY)
    learnt = learnt_from(rows, lesson)
    assert learnt is not None
    after = msgspec.structs.replace(learnt, newest=learnt.until)
    assert gone_on(tmp_path, after, CALIBRATED, PLAIN, rows, lesson) == (
        "the new rows for its calibrator are of one class"
    )


def test_reasons_stand_in_progress_and_scorecard() -> None:
    starts = {"rank": {"train": "too late", FINAL: "nothing was released yet"}}
    assert beginnings(starts) == ["rank: from scratch, nothing was released yet"]
    card = warm_of(starts, {})["rank"]
    assert (card["rung"], card["from"], card["new_rows"]) == (None, None, None)
    assert [each["reason"] for each in card["fits"]] == ["too late", "nothing was released yet"]


def test_rows_behind_an_explanation_stand_where_service_shows_them() -> None:
    learn = np.repeat(np.arange(50), 2)
    assert len(drawn(learn, 0)) == 16
    np.testing.assert_array_equal(drawn(learn, 0), np.sort(drawn(learn, 0)))
    np.testing.assert_array_equal(drawn(np.arange(5), 3), np.arange(5))
    ids = {name: pa.array([name] * 2) for name in ("ad", "user")}
    rows = Inputs(["x", "place"], ["number", "category"], np.array([[1, 4], [2, 7]], np.float32), ids)
    for treatment, code in ((bt.PositionFeature("place", served_as=2), 1), (bt.PositionFeature("place", 9, 4), 3)):
        shown = as_served(rows, bt.HistoricalRate(by="user"), treatment)
        assert shown.values.tolist() == [[1, code], [2, code]]
    assert list(shown.ids) == ["user"]
    assert as_served(rows, bt.Logistic(), None).ids == {}
