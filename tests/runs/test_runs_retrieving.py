"""Lists in one vocabulary, their union as examples, and what is counted of them, against loops over the tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_feed import DAY, EACH, ITEMS, Made, Tables, design_of, made

import bottega as bt
from bottega.data.examples import TEST, TRAIN
from bottega.data.log import Log
from bottega.errors import DesignError
from bottega.evaluation.ablation import ablation
from bottega.evaluation.outcome import Outcome, Rung
from bottega.models.making import make_retriever
from bottega.runs.steps.naming import check_names
from bottega.runs.steps.parting import by_item, events_before, events_of_people
from bottega.runs.steps.path_parts import sources, without
from bottega.runs.steps.retrieving import as_inputs, cuts_of, retrieve, score

RETRIEVERS: list[Any] = [
    bt.Popularity(span=None, k=6, unseen=4),
    bt.CoPurchase(k=0, unseen=7),
    bt.Trending(half_life="2d", k=3, unseen=5),
    bt.Newest(k=4, unseen=0),
]
PATH = [bt.Retrieve(k=12), bt.Rank(), bt.Show(k=5)]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return Tables.drawn(4)


@pytest.fixture(scope="module")
def feed(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """From the first day on: newcomers, items that nobody took, and weeks in which nothing was known yet."""
    with made(design_of(RETRIEVERS, PATH), tables, tmp_path_factory.mktemp("feed")) as found:
        yield found


def test_the_vocabulary_has_everything_that_ever_comes(feed: Made, tables: Tables) -> None:
    assert feed.job.vocabulary.to_pylist() == ITEMS
    assert {row["item"] for row in tables.events} < set(ITEMS)  # nobody takes some


def test_retrievers_are_fitted_on_what_was_known_at_their_cut(feed: Made, tables: Tables) -> None:
    """A list is that of a model fitted on the events before the last refresh, and knows nothing later."""
    span, asked = 5 * DAY, feed.asked
    times, place = cuts_of(feed.job, asked)
    assert times.tolist() == sorted({time // span * span for time in asked.time.tolist()})
    assert times[place].tolist() == [time // span * span for time in asked.time.tolist()]
    empty = 0
    for row in range(0, len(asked), 7):
        at = int(times[place[row]])
        first = [event for event in tables.events if event["time"] < at]
        there = {event["item"] for event in first} | {
            name for name, item in tables.items.items() if item["listed"] < at
        }
        empty += not first
        for name in ("Popularity", "CoPurchase"):
            assert set(feed.named(name, row)) - {""} <= there
        counts = {item: len({e["person"] for e in first if e["item"] == item}) for item in ITEMS}
        ranked = sorted((item for item in ITEMS if counts[item]), key=lambda item: (-counts[item], item))
        person = asked.columns["person"][row].as_py()
        taken = {event["item"] for event in first if event["person"] == person}
        new = [item for item in ranked if item not in taken]
        wanted = [*ranked[:6], *[""] * (6 - len(ranked)), *new[:4], *[""] * (4 - len(new))]
        assert feed.named("Popularity", row) == wanted
    assert empty  # before anything was known there are requests too, and their lists are empty


def test_examples_are_the_union_in_turn_and_what_was_missed(feed: Made) -> None:
    asked, rows = feed.asked, feed.rows
    right: list[set[str]] = [set() for _ in range(len(asked))]
    for request, candidate in zip(asked.positives_request, asked.positives_candidate.to_pylist(), strict=True):
        right[request].add(candidate)
    names = rows.candidate.to_pylist()
    spans = {"Popularity": (6, 4), "CoPurchase": (7,), "Trending": (3, 5), "Newest": (4,)}
    for request in range(len(asked)):
        lists = []
        for name, lengths in spans.items():
            listed = feed.named(name, request)
            for length in lengths:
                lists.append(listed[:length])
                listed = listed[length:]
        union: list[str] = []
        for place in range(7):
            for listed in lists:
                if place < len(listed) and listed[place] and listed[place] not in union and len(union) < 12:
                    union.append(listed[place])
        here = np.flatnonzero(rows.group == request)
        got = [(names[row], bool(rows.retrieved[row]), float(rows.label[row])) for row in here]
        wanted = [(item, True, float(item in right[request])) for item in union]
        if asked.part[request] != TRAIN:
            wanted += [(item, False, 1.0) for item in sorted(right[request] - set(union))]
        assert got == wanted


def test_sources_and_what_they_offer_are_counted(feed: Made) -> None:
    rows = feed.rows
    masks, offered = sources(feed.job, rows, feed.retrieved)
    asked = np.flatnonzero(feed.asked.part == TEST)
    chosen, names = np.flatnonzero(rows.part == TEST), rows.candidate.to_pylist()
    assert list(masks) == list(feed.retrieved)
    for name, mask in masks.items():
        lists = {int(request): set(feed.named(name, int(request))) - {""} for request in asked}
        assert offered[name].tolist() == [len(lists[int(request)]) for request in asked]
        assert mask.tolist() == [names[row] in lists[int(rows.group[row])] for row in chosen]
        assert 0 < mask.sum() < len(mask)
    assert (np.any(list(masks.values()), axis=0) >= rows.retrieved[chosen]).all()


def test_scores_of_retrievers_are_as_of_their_cut_or_the_request(feed: Made) -> None:
    rows, job = feed.rows, feed.job
    scores = score(job, feed.retrieved, feed.examples)
    assert list(as_inputs(job, scores)) == ["Popularity", "CoPurchase"]  # others are different a moment later
    names, (times, place) = rows.candidate.to_pylist(), cuts_of(job, feed.asked)
    for setting in RETRIEVERS[:2]:
        found = np.load(scores[type(setting).__name__].folder / "scores.npy")
        for request in range(0, len(feed.asked), 11):
            here = np.flatnonzero(rows.group == request)
            past = job.interactions(int(times[place[request]]))
            if not len(past):
                assert (found[here] == 0).all()
                continue
            model: Any = make_retriever(setting)
            model.fit(past, int(times[place[request]]))
            items = model.items.to_pylist()
            told = model.ask(feed.asked.columns["person"][request].as_py(), {})
            told = told.of(np.arange(len(items), dtype=np.int32))
            wanted = [told[items.index(names[row])] if names[row] in items else 0 for row in here]
            np.testing.assert_allclose(found[here], wanted, rtol=1e-6)
    newest = np.load(scores["Newest"].folder / "scores.npy")
    for request in range(0, len(feed.asked), 11):
        here = np.flatnonzero((rows.group == request) & rows.retrieved)
        told = {names[row]: float(newest[row]) for row in here}
        listed = [item for item in feed.named("Newest", request) if item in told]  # the union may be full before
        assert listed == sorted(listed, key=lambda item: (-told[item], item))
        assert all(told[item] <= min(told[one] for one in listed) for item in told if item not in listed)


def test_people_and_items_are_parted_by_theirevents_before(feed: Made, tables: Tables) -> None:
    rows, asked = feed.rows, feed.asked
    people = asked.columns["person"].to_pylist()
    wanted = [
        sum(event["person"] == who and event["time"] < at for event in tables.events)
        for who, at in zip(people, asked.time.tolist(), strict=True)
    ]
    assert events_of_people(feed.job, rows).tolist() == wanted
    chosen = np.flatnonzero(rows.part == TEST)
    parts, names = by_item(feed.job, rows, chosen), rows.candidate.to_pylist()
    assert list(parts) == ["0", "1 to 5", "over 5"]
    for place, row in enumerate(chosen):
        at = int(asked.time[rows.group[row]])
        count = sum(event["item"] == names[row] and event["time"] < at for event in tables.events)
        name = "0" if count == 0 else "1 to 5" if count <= 5 else "over 5"
        assert [title for title, mask in parts.items() if mask[place]] == [name]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.none() | st.sampled_from("abc"), st.integers(0, 9), st.integers(0, 4)), max_size=25),
    st.lists(st.tuples(st.none() | st.sampled_from("abcz"), st.integers(-1, 15)), max_size=12),
    st.booleans(),
)
def test_events_before_a_time(events: list[Any], asked: list[Any], late: bool) -> None:
    """Only events before the time, and known by then; an event at that very time is out."""
    ids, times, delays = ([event[side] for event in events] for side in range(3))
    known = np.array([time + (delay if late else 0) for time, delay in zip(times, delays, strict=True)], np.int64)
    log = Log("log", pa.table({"who": pa.array(ids, pa.string())}), np.array(times, np.int64), known if late else None)
    names = pa.array([name for name, _ in asked], pa.string())
    found = events_before(log, "who", names, np.array([at for _, at in asked], np.int64))
    assert found.tolist() == [
        sum(
            name is not None and who == name and time < at and (not late or since <= at)
            for who, time, since in zip(ids, times, known.tolist(), strict=True)
        )
        for name, at in asked
    ]


def test_a_retriever_that_stands_alone_gives_the_same_lists(feed: Made, tables: Tables, tmp_path: Path) -> None:
    """One model's items are others at each cut, and its codes are those of all, whoever is beside it."""
    path = [bt.Retrieve(k=5), bt.Rank(), bt.Show(k=5)]
    with made(design_of([RETRIEVERS[0]], path), tables, tmp_path) as alone:
        assert np.array_equal(alone.lists["Popularity"], feed.lists["Popularity"])
        again = retrieve(alone.job, alone.job.asked)  # type: ignore[arg-type]
        assert again["Popularity"].folder == alone.retrieved["Popularity"].folder  # found, not computed


@pytest.mark.parametrize("first", [0, 7], ids=["an empty catalogue", "a catalogue alone"])
def test_before_anything_was_taken(first: int, tables: Tables, tmp_path: Path) -> None:
    """What reads texts answers from the catalogue, what learns from events has no list yet, and nothing fails."""
    later = Tables([event for event in tables.events if event["time"] >= first * DAY], tables.items)
    design = design_of(
        [bt.BM25(query="tongue", over=["tongue"], k=5, unseen=0), bt.Popularity(k=5)],
        PATH,
        requests=msgspec.structs.replace(EACH, warm_up="0s"),
    )
    with made(design, later, tmp_path) as found:
        _, place = cuts_of(found.job, found.asked)
        earliest = np.flatnonzero(place == 0).tolist()
        assert all(set(found.named("Popularity", row)) == {""} for row in earliest)
        assert any(set(found.named("BM25", row)) - {""} for row in earliest) == (first > 0)
        assert set(found.named("Popularity", len(place) - 1)) != {""}


@pytest.mark.parametrize(
    ("features", "rungs", "where"),
    [
        ([bt.Expression({"hot": "ln(1 + trending_score)"})], [bt.Logistic()], "features[0]"),
        ([], [bt.Fusion(over=["popularity_score", "trending_score"]), bt.Logistic()], "models.rank[0].over"),
    ],
)
def test_a_score_that_changes_with_each_event_is_no_input(features: Any, rungs: Any, where: str) -> None:
    design = design_of(RETRIEVERS, PATH)
    design = msgspec.structs.replace(design, features=features, models={**design.models, "rank": rungs})
    with pytest.raises(DesignError, match="'trending_score', of a retriever that follows events") as error:
        check_names(design)
    assert error.value.where == where


def test_without_a_source_the_path_is_ranked_anew() -> None:
    """A stage that shows three of a list shows others where a source is gone: not what is left of the same three."""
    path = [bt.Retrieve(k=6), bt.Rank(), bt.Quota(by="topic", at_most=1, first=3), bt.Show(k=3)]
    job: Any = SimpleNamespace(design=design_of(RETRIEVERS, path))
    trees = Rung("Trees", "rank", np.array([6.0, 5, 4, 3, 2, 1]))
    label = np.array([0.0, 0, 0, 0, 1, 0])
    every = np.ones(6, bool)
    outcome = Outcome(np.zeros(6, int), np.zeros(1, int), np.arange(6), label, every, {}, {}, [trees], 6)

    def order(stages: Any, rung: Rung, outcome: Outcome = outcome, changed: Any = None) -> Rung:
        assert not changed  # the scores of no source are read
        there = np.where(outcome.path, rung.scores, -np.inf)
        best = np.argsort(-there, kind="stable")[: 3 if stages else 6]
        shown = np.full(6, np.nan)
        shown[best] = there[best]
        return Rung("path", "rerank", shown)

    masks = {"A": np.array([1, 1, 0, 0, 0, 0], bool), "B": np.array([0, 0, 1, 1, 1, 1], bool)}
    served, parts = without(job, outcome, "Trees", masks, order)
    told = {row["name"]: row["value"]["value"] for row in ablation(outcome, served, parts, "mrr")}
    assert [part.name for part in parts] == ["A", "B", "rank (Trees)", "1. Quota"]
    assert told["path"] == 0  # the right one stands fifth, and three are shown
    assert told["A"] == pytest.approx(1 / 3)
    assert told["B"] == 0
    assert told["1. Quota"] == pytest.approx(1 / 5)
