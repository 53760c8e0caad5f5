"""The truth of the feed world is what a plain loop finds, and the frequency with which things happen in its log."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from feed_proofs import DAY, SMALL, Feed, far, open_feed

from bottega.errors import DataError, DesignError
from bottega.worlds import best_scores, limits, true_probabilities
from bottega.worlds.feed_truth import TASKS


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Feed:
    return open_feed(tmp_path_factory.mktemp("feed"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> list[Feed]:
    return [open_feed(tmp_path_factory.mktemp("small"), seed=seed, **SMALL) for seed in range(4)]


def naive_interest(folder: Path, person: int, content: int, at: int) -> float:
    """The formula of the documentation, one term after the other, from the files of the truth."""
    people, contents = (dict(np.load(folder / "truth" / f"{name}.npz")) for name in ("people", "contents"))
    age = at - contents["published"][content]
    if not 0 < age <= 30 * DAY:
        return 0.0
    total = contents["appeal"][content] + people["taste"][person][contents["topic"][content]]
    if contents["author"][content] in people["favourites"][person]:
        total += 1.6
    if contents["language"][content] == 1 and people["reads"][person] == 0:
        total -= 1.6
    return math.exp(total) * (math.exp(-age / contents["fade"][content]) + 0.006 * math.exp(-age / (10 * DAY)))


def test_the_truth_is_what_a_plain_loop_finds(small: list[Feed]) -> None:
    feed = small[0]
    people, contents = feed.truth.people, feed.truth.contents
    for i in np.linspace(100, len(feed.at) - 1, 5).astype(np.int64).tolist():
        person, at = int(feed.person[i]), int(feed.at[i])
        met = set(feed.content[(feed.person == person) & (feed.at < at)].tolist())
        every = range(len(contents.id))
        interest = [0.0 if row in met else naive_interest(feed.folder, person, row, at) for row in every]
        asked = {
            "person_id": np.full(len(every), people.id[person]),
            "content_id": contents.id,
            "time": np.full(len(every), at),
        }
        found = true_probabilities("feed", feed.folder, asked, label="VIEW")
        np.testing.assert_allclose(found, np.array(interest) / sum(interest), rtol=1e-9)
        assert found.sum() == pytest.approx(1)
        mixed = np.random.default_rng(0).permutation(len(every))[:40]
        some = {name: values[mixed] for name, values in asked.items()}
        np.testing.assert_array_equal(limits("feed", feed.folder, some, label="VIEW"), found[mixed])


def test_what_follows_a_view_is_what_a_plain_loop_finds(small: list[Feed]) -> None:
    feed = small[0]
    people, contents = (dict(np.load(feed.folder / "truth" / f"{name}.npz")) for name in ("people", "contents"))
    levels = json.loads((feed.folder / "truth" / "world.json").read_text())["levels"]
    asked = {"person_id": people["id"][feed.person[:30]], "content_id": contents["id"][feed.content[:30]]}
    weights = {"LIKE": (1.3, 0.0), "BOOKMARK": (1.1, 0.0), "COMMENT": (1.0, 0.3), "FOLLOW": (0.9, 1.0)}
    for j, (task, (pleased, loyal)) in enumerate(weights.items()):
        found = true_probabilities("feed", feed.folder, asked, label=task)
        for i in range(30):
            p, c = feed.person[i], feed.content[i]
            favourite = float(contents["author"][c] in people["favourites"][p])
            joy = contents["quality"][c] + 0.5 * people["taste"][p][contents["topic"][c]] + 0.5 * favourite
            odds = levels[j] + people["eager"][p][j] + pleased * joy + loyal * favourite
            assert found[i] == pytest.approx(1 / (1 + math.exp(-odds)), rel=1e-9)


def test_views_come_as_often_as_the_truth_says(small: list[Feed]) -> None:
    chances, happened = [], []
    for feed in small:
        for i in range(len(feed.at) // 2, len(feed.at) // 2 + 600):
            rows = feed.truth.offered(int(feed.at[i]))
            size = rows.stop - rows.start
            asked = {
                "person_id": np.full(size, feed.truth.people.id[feed.person[i]]),
                "content_id": feed.truth.contents.id[rows],
                "time": np.full(size, feed.at[i]),
            }
            chances.append(asked | {"viewed": np.arange(rows.start, rows.stop) == feed.content[i]})
        whole = {name: np.concatenate([each[name] for each in chances]) for name in chances[0]}
        chances = []
        happened.append((limits("feed", feed.folder, whole, label="VIEW"), whole["viewed"]))
    chance, viewed = (np.concatenate(part) for part in zip(*happened, strict=True))
    assert far(chance, viewed) == []
    assert viewed.sum() == pytest.approx(chance.sum())
    for wrong in (chance * 1.2, chance**1.1, np.random.default_rng(0).permutation(chance)):
        assert far(wrong, viewed) != []


def test_tasks_follow_as_often_as_the_truth_says(feed: Feed) -> None:
    people, contents = feed.truth.people, feed.truth.contents
    asked = {"person_id": people.id[feed.person], "content_id": contents.id[feed.content]}
    for j, (task, rate) in enumerate(TASKS.items()):
        chance = true_probabilities("feed", feed.folder, asked, label=task)
        assert chance.mean() == pytest.approx(rate, rel=1e-3)
        assert far(chance, feed.follows[:, j]) == []
        assert far(chance * 1.25, feed.follows[:, j]) != []


def test_best_scores_are_the_frequencies(small: list[Feed]) -> None:
    scores, happened = [], []
    for feed in small:
        people, contents = feed.truth.people, feed.truth.contents
        for day in (20, 31.5, 53.25):
            at = feed.truth.settings.start + int(day * DAY)
            pairs = np.repeat(people.id, len(contents.id)), np.tile(contents.id, len(people.id))
            scores.append(best_scores("feed", feed.folder, *pairs, at, DAY))
            seen = np.zeros((len(people.id), len(contents.id)), bool)
            inside = (feed.at >= at) & (feed.at < at + DAY)
            seen[feed.person[inside], feed.content[inside]] = True
            happened.append(seen.ravel())
    score, view = np.concatenate(scores), np.concatenate(happened)
    assert view.sum() / score.sum() == pytest.approx(
        1, abs=0.15
    )  # 3 standard deviations: views of a visit hang together
    top = np.argsort(-score, kind="stable")
    for rows in np.array_split(top[: len(top) // 10], 5):
        # Views of one visit hang together: over many worlds the variance is up to three times the mean.
        assert abs(view[rows].sum() - score[rows].sum()) < 4 * np.sqrt(3 * score[rows].sum()) + 3
    assert view[top[: len(top) // 10]].sum() > 0.8 * view.sum()


def test_nothing_from_the_time_on_is_read(small: list[Feed], tmp_path: Path) -> None:
    feed = small[0]
    at = feed.truth.settings.start + 30 * DAY
    people, contents = feed.truth.people.id, feed.truth.contents.id
    pairs = np.repeat(people[:60], len(contents)), np.tile(contents, 60)
    whole = best_scores("feed", feed.folder, *pairs, at, DAY)
    shutil.copytree(feed.folder, tmp_path / "copy")
    log = pq.read_table(feed.folder / "events.parquet")
    past = log.filter(pc.less(log["time"], pa.scalar(at, pa.timestamp("us", "UTC"))))
    pq.write_table(past, tmp_path / "copy" / "events.parquet")
    np.testing.assert_array_equal(best_scores("feed", tmp_path / "copy", *pairs, at, DAY), whole)
    pq.write_table(past.slice(0, 0), tmp_path / "copy" / "events.parquet")
    assert np.abs(best_scores("feed", tmp_path / "copy", *pairs, at, DAY) - whole).max() > 0.01
    viewed = np.zeros((60, len(contents)), bool)
    earlier = (feed.at < at) & (feed.person < 60)
    viewed[feed.person[earlier], feed.content[earlier]] = True
    assert viewed.any()
    assert not whole[viewed.ravel()].any()


def test_ids_may_be_text_and_unknown_ones_score_nothing(small: list[Feed]) -> None:
    feed = small[0]
    at, people, contents = feed.truth.settings.start + 30 * DAY, feed.truth.people.id, feed.truth.contents.id
    pairs = np.repeat(people[:5], len(contents)), np.tile(contents, 5)
    found = best_scores("feed", feed.folder, *pairs, at, DAY)
    assert found.max() > 0
    as_text = pairs[1].astype(str).astype(object)
    np.testing.assert_array_equal(best_scores("feed", feed.folder, pairs[0], as_text, at, DAY), found)
    assert best_scores("feed", feed.folder, np.array([1, people[0]]), np.array([contents[0], 1]), at, DAY).tolist() == [
        0,
        0,
    ]
    assert best_scores("feed", feed.folder, np.array([], np.int64), np.array([], np.int64), at, DAY).shape == (0,)
    assert not best_scores("feed", feed.folder, *pairs, at - 100 * DAY, DAY).any()
    assert (np.diff([best_scores("feed", feed.folder, *pairs, at, days * DAY).sum() for days in (1, 3, 9)]) > 0).all()


def test_what_cannot_be_asked_is_refused(small: list[Feed], tmp_path: Path) -> None:
    feed = small[0]
    log = pq.read_table(feed.folder / "events.parquet").slice(0, 3)
    ask: Callable[..., Any] = true_probabilities
    with pytest.raises(DesignError, match="VIEW, LIKE"):
        ask("feed", feed.folder, log, label="clicked")
    with pytest.raises(DesignError, match="no places"):
        ask("feed", feed.folder, log, position=1, label="VIEW")
    with pytest.raises(DataError, match="no time among"):
        ask("feed", feed.folder, log.drop_columns(["time"]), label="VIEW")
    with pytest.raises(DataError, match=r"person_id.*: 7"):
        ask("feed", feed.folder, log.set_column(3, "person_id", pa.array([7, 7, 7])), label="LIKE")
    with pytest.raises(DataError, match="1 nulls"):
        ask("feed", feed.folder, log.set_column(0, "time", pa.array([1, None, 3])), label="VIEW")
    with pytest.raises(DataError, match="timestamps"):
        ask("feed", feed.folder, log.set_column(0, "time", pa.array(["a", "b", "c"])), label="VIEW")
    with pytest.raises(DataError, match="no truth"):
        ask("feed", tmp_path, log, label="VIEW")
    with pytest.raises(DesignError, match="one shape"):
        best_scores("feed", feed.folder, np.arange(2), np.arange(3), 0, DAY)
    with pytest.raises(DesignError, match="above 0"):
        best_scores("feed", feed.folder, np.arange(2), np.arange(2), 0, 0)
