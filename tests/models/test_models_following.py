"""Retrievers that follow events one by one, against formulas over the list of what had happened by then."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.design.models import Retriever
from bottega.design.retrievers import FOLLOWING, Newest, Trending
from bottega.models.following import Events, Following, followed
from bottega.models.interactions import NEVER, Interactions
from bottega.models.making import make_retriever, retriever_class
from bottega.models.trending import NewestModel, TrendingModel

HOUR = 3_600_000_000
DAY = 24 * HOUR
ITEMS, PEOPLE = ["a", "b", "c", "d", "e"], ["p", "q", "r"]
Event = tuple[str, str, int, int]
"""Who took what, when, and from when on it could be known."""
NEEDED = {"column": "title", "query": "words", "over": ["title"]}
SETTINGS: list[Any] = [Trending(half_life="6h"), Trending(half_life="1h"), Newest()]


def events_of(rows: list[Event], listed: dict[str, int] | None = None) -> Events:
    rows = sorted(rows, key=lambda row: max(row[2] + 1, row[3]))
    return Events(
        pa.array(PEOPLE),
        pa.array(ITEMS),
        np.array([PEOPLE.index(row[0]) for row in rows], np.int32),
        np.array([ITEMS.index(row[1]) for row in rows], np.int32),
        np.array([row[2] for row in rows], np.int64),
        np.array([max(row[2] + 1, row[3]) for row in rows], np.int64),
        np.array([(listed or {}).get(item, NEVER) for item in ITEMS], np.int64),
    )


def naive(setting: Any, rows: list[Event], listed: dict[str, int], at: int) -> list[float]:
    """Score every item by the model's sentence, from what could be known at a time."""
    past = [row for row in rows if row[2] < at and row[3] <= at]
    if isinstance(setting, Trending):
        half = int(setting.half_life[:-1]) * HOUR
        last = max((row[2] for row in past), default=0)
        found = [sum(2.0 ** ((row[2] - last) / half) for row in past if row[1] == item) for item in ITEMS]
        there = {row[1] for row in past}
        return [max(score, 1e-38) if item in there else 0.0 for item, score in zip(ITEMS, found, strict=True)]
    came: dict[str, int] = {item: since for item, since in listed.items() if since < at}
    for _, item, time, _ in past:
        came[item] = min(time, came.get(item, time))
    newest = max(came.values(), default=0)
    return [1 / (1 + (newest - came[item]) / DAY) if item in came else 0.0 for item in ITEMS]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Event], dict[str, int]]:
    """Draw events of some days, some of them known late or at equal times, and a catalogue."""
    moment = st.integers(0, 40).map(lambda hours: hours * HOUR) | st.integers(0, 90 * DAY)
    rows = []
    for _ in range(draw(st.integers(1, 20))):
        time = draw(moment)
        late = draw(st.sampled_from([0, 0, 1, 5 * HOUR, 30 * DAY]))
        rows.append((draw(st.sampled_from(PEOPLE)), draw(st.sampled_from(ITEMS)), time, time + late))
    return rows, draw(st.dictionaries(st.sampled_from(ITEMS), moment, max_size=5))


@pytest.mark.parametrize("setting", SETTINGS, ids=repr)
@settings(max_examples=150, deadline=None)
@given(worlds(), st.lists(st.integers(0, 100 * DAY), min_size=1, max_size=6), st.booleans())
def test_each_request_sees_what_was_known_at_its_time(
    setting: Any, world: tuple[list[Event], dict[str, int]], times: list[int], at_events: bool
) -> None:
    rows, listed = world
    asked = sorted([*times, *((row[2] for row in rows) if at_events else ())])
    who = np.arange(len(asked), dtype=np.int32) % 4 - 1  # −1 is nobody
    told = followed(make_retriever(setting), events_of(rows, listed), who, np.array(asked))
    for (one, taken), at, person in zip(told, asked, who.tolist(), strict=True):
        np.testing.assert_allclose(one.scores, naive(setting, rows, listed, at), rtol=1e-5, atol=1e-36)
        own = {row[1] for row in rows if person >= 0 and row[0] == PEOPLE[person] and row[2] < at and row[3] <= at}
        assert sorted(ITEMS[code] for code in taken.tolist()) == sorted(own)


@pytest.mark.parametrize("setting", SETTINGS, ids=repr)
@settings(max_examples=100, deadline=None)
@given(worlds(), st.integers(1, 100 * DAY))
def test_fitted_at_a_moment_it_knows_what_it_would_have_followed(
    setting: Any, world: tuple[list[Event], dict[str, int]], at: int
) -> None:
    rows, listed = world
    past = [row for row in rows if row[2] < at and row[3] <= at]
    if not past:
        return
    log = Interactions.of([row[0] for row in past], [row[1] for row in past], [row[2] for row in past])
    if listed:
        log = log.with_catalogue(list(listed), {}, list(listed.values()))
    model = make_retriever(setting)
    model.fit(log, at)
    (one, _), *_ = followed(make_retriever(setting), events_of(rows, listed), np.array([0], np.int32), np.array([at]))
    fitted = dict(zip(model.items.to_pylist(), model.ask("p", {}).scores.tolist(), strict=True))  # type: ignore[attr-defined]
    np.testing.assert_allclose([fitted.get(item, 0.0) for item in ITEMS], one.scores, rtol=1e-5, atol=1e-36)


@pytest.mark.parametrize("setting", SETTINGS, ids=repr)
def test_what_comes_later_changes_no_answer(setting: Any) -> None:
    draw = np.random.default_rng(7)
    rows = [
        (PEOPLE[draw.integers(3)], ITEMS[draw.integers(5)], time, time + int(draw.integers(0, 3)) * DAY)
        for time in draw.integers(0, 60 * DAY, 200).tolist()
    ]
    cut = 30 * DAY
    later = [row if max(row[2] + 1, row[3]) <= cut else ("r", "e", row[2] + 2 * DAY, row[3] + 2 * DAY) for row in rows]
    times = np.sort(draw.integers(0, cut + 1, 40))
    who = np.zeros(40, np.int32)
    for (one, taken), (other, again) in zip(
        followed(make_retriever(setting), events_of(rows, {"a": 5, "b": cut}), who, times),
        followed(make_retriever(setting), events_of(later, {"a": 5, "b": cut + DAY}), who, times),
        strict=True,
    ):
        assert one.scores.tolist() == other.scores.tolist()
        assert taken.tolist() == again.tolist()


@pytest.mark.parametrize("setting", SETTINGS, ids=repr)
def test_it_goes_on_after_a_load(setting: Any, tmp_path: Path) -> None:
    first = [("p", "a", 2 * HOUR), ("q", "b", 5 * HOUR), ("p", "c", 5 * HOUR)]
    rest = [("q", "a", 50 * HOUR), ("r", "c", 49 * HOUR), ("r", "b", 200 * DAY), ("p", "a", 900 * DAY)]

    def fitted(rows: list[tuple[str, str, int]]) -> Following[Any]:
        model = make_retriever(setting)
        assert isinstance(model, Following)
        model.fit(Interactions.of(*(list(column) for column in zip(*rows, strict=True))), 1000 * DAY)
        return model

    fitted(first).save(tmp_path / "model")
    model: Following[Any] = type(fitted(first)).load(tmp_path / "model", setting)
    assert model.state().tolist() == fitted(first).state().tolist()
    for who, item, time in rest:
        del who
        model.take(model.items.to_pylist().index(item), time)
    np.testing.assert_allclose(model.state(), fitted([*first, *rest]).state(), rtol=1e-5)
    model.save(tmp_path / "again")
    assert type(model).load(tmp_path / "again", setting).state().tolist() == model.state().tolist()


def test_what_was_taken_long_ago_stays_above_0() -> None:
    """Years of a short half-life: old items keep their evidence, so that a quiet day still fills a list."""
    model = TrendingModel(Trending(half_life="1h"))
    model.begin(4)
    for item, time in ((0, 0), (0, HOUR), (1, 400 * DAY), (2, 900 * DAY), (3, 0)):  # the last one is very late
        model.take(item, time)
    scores = model.state()
    assert scores[2] == 1
    assert (scores[[0, 1, 3]] > 0).all()
    assert (scores[[0, 1, 3]] < 1e-30).all()
    assert sorted(model.ask("somebody", {}).best(4).tolist()) == [0, 1, 2, 3]


def test_nothing_has_happened_yet() -> None:
    for setting in SETTINGS:
        (one, taken), *_ = followed(make_retriever(setting), events_of([]), np.array([0], np.int32), np.array([5]))
        assert one.best(3).tolist() == taken.tolist() == []
    model = NewestModel(Newest())
    model.begin(2)
    model.appear(1, 9)
    assert model.state().tolist() == [0, 1]


@pytest.mark.parametrize("kind", get_args(Retriever), ids=lambda kind: kind.__name__)
def test_a_design_tells_who_follows_without_loading_a_model(kind: Any) -> None:
    needed = {name: value for name, value in NEEDED.items() if name in kind.__struct_fields__}
    assert issubclass(retriever_class(kind(**needed)), Following) == issubclass(kind, FOLLOWING)
