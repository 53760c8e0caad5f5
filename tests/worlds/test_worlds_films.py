"""The films world: its tables, its truth against a plain simulation, and what popularity, factors and content find."""

from __future__ import annotations

import math
import random
import shutil
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

from bottega.errors import DataError, DesignError
from bottega.files import sha256
from bottega.worlds import best_scores, write_world
from bottega.worlds.films import FilmsWorld
from bottega.worlds.films_draw import GENRES
from bottega.worlds.films_truth import HOURS, WEEKDAYS, Truth

DAY = 86_400_000_000
SMALL: dict[str, Any] = {"rows": 6_000, "days": 120}
CUT, HORIZON = 690, 30  # days, in a world of 730


@dataclass
class Cinema:
    """A written world, and its ratings in order: rows of people and films, points, days and moments."""

    folder: Path
    truth: Truth
    person: NDArray[np.int64]
    film: NDArray[np.int64]
    points: NDArray[np.float64]
    at: NDArray[np.int64]

    @property
    def day(self) -> NDArray[np.int64]:
        return (self.at - self.truth.settings.start) // DAY

    def moment(self, day: float) -> int:
        return int(self.truth.settings.start + day * DAY)

    def scores(self, day: float, days: float) -> NDArray[np.float64]:
        """The best score of everybody and every film."""
        shape = len(self.truth.people.id), len(self.truth.films.id)
        pairs = np.repeat(self.truth.people.id, shape[1]), np.tile(self.truth.films.id, shape[0])
        return best_scores("films", self.folder, *pairs, self.moment(day), int(days * DAY)).reshape(shape)

    def pairs(self, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Who rated what, of some rows, (people, films)."""
        found = np.zeros((len(self.truth.people.id), len(self.truth.films.id)), np.bool_)
        found[self.person[rows], self.film[rows]] = True
        return found


def open_cinema(folder: Path, **settings: Any) -> Cinema:
    FilmsWorld(**settings).write(folder)
    truth, log = Truth.load(folder / "truth"), pq.read_table(folder / "ratings.parquet")
    people, films = ({int(one): row for row, one in enumerate(part.id)} for part in (truth.people, truth.films))
    person = np.array([people[one] for one in log["user"].to_pylist()])
    film = np.array([films[one] for one in log["item"].to_pylist()])
    at = np.asarray(log["time"].cast(pa.int64()))
    return Cinema(folder, truth, person, film, log["rating"].to_numpy(), at)


@pytest.fixture(scope="module")
def cinema(tmp_path_factory: pytest.TempPathFactory) -> Cinema:
    return open_cinema(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> list[Cinema]:
    return [open_cinema(tmp_path_factory.mktemp("small"), seed=seed, **SMALL) for seed in range(6)]


def test_the_tables_are_whole_and_in_order(cinema: Cinema) -> None:
    log, films = (pq.read_table(cinema.folder / f"{name}.parquet") for name in ("ratings", "films"))
    assert {field.name: str(field.type) for field in log.schema} == {
        "user": "int64",
        "item": "int64",
        "rating": "double",
        "time": "timestamp[us, tz=UTC]",
    }
    assert {field.name: str(field.type) for field in films.schema} == {
        "item": "int64",
        "title": "string",
        "genres": "string",
        "year": "int64",
    }
    assert (np.diff(cinema.at) >= 0).all()
    assert set(cinema.points.tolist()) == {place / 2 for place in range(2, 11)}
    assert len(set(zip(cinema.person.tolist(), cinema.film.tolist(), strict=True))) == len(log)  # once each
    truth = cinema.truth
    assert (cinema.day >= truth.films.released[cinema.film]).all()
    assert (cinema.day >= truth.people.joined[cinema.person]).all()
    assert (cinema.day < truth.people.left[cinema.person]).all()
    assert (cinema.day < truth.settings.days).all()
    assert sorted(films["item"].to_pylist()) == sorted(truth.films.id.tolist())
    words = {word for own, _ in GENRES.values() for word in own}
    for row in films.to_pylist():
        own = {word for name in row["genres"].split("|") for word in GENRES[name][0]}
        told = set(row["title"].split()) & words
        assert told, row
        assert told <= own, row
    year = dict(zip(films["item"].to_pylist(), films["year"].to_pylist(), strict=True))
    for film in range(0, len(truth.films.id), 50):
        out = date(2022, 1, 3).toordinal() + int(truth.films.released[film])
        assert year[int(truth.films.id[film])] == date.fromordinal(out).year


# name: lowest and highest, around what the world's first lines say.
FIGURES = {
    "ratings": (108_000, 130_000),
    "people": (1_250, 1_500),
    "films": (1_100, 1_200),
    "ratings of a person, median": (25, 50),
    "ratings by the top tenth of people": (0.36, 0.5),
    "ratings of the top tenth of films": (0.3, 0.45),
    "at least 4": (0.42, 0.55),
    "films that come out in the log": (0.26, 0.34),
    "ratings of films that came out in the last 30 days": (0.04, 0.2),
    "at the week's end": (0.30, 0.42),
    "from 18 to 23 hours": (0.5, 0.65),
}


def test_the_marginals_are_those_that_are_told(cinema: Cinema) -> None:
    own, of = (np.bincount(column) for column in (cinema.person, cinema.film))
    tenth = [np.sort(each)[::-1][: len(each) // 10].sum() / each.sum() for each in (own, of)]
    released = cinema.truth.films.released
    hour = cinema.at % DAY // (DAY // 24)
    found = {
        "ratings": len(cinema.at),
        "people": np.count_nonzero(own),
        "films": np.count_nonzero(of),
        "ratings of a person, median": np.median(own[own > 0]),
        "ratings by the top tenth of people": tenth[0],
        "ratings of the top tenth of films": tenth[1],
        "at least 4": (cinema.points >= 4).mean(),
        "films that come out in the log": (released >= 0).mean(),
        "ratings of films that came out in the last 30 days": (cinema.day - released[cinema.film] < 30).mean(),
        "at the week's end": ((cinema.at // DAY + 3) % 7 >= 5).mean(),
        "from 18 to 23 hours": ((hour >= 18) & (hour < 23)).mean(),
    }
    assert found.keys() == FIGURES.keys()
    off = {name: value for name, value in found.items() if not FIGURES[name][0] <= value <= FIGURES[name][1]}
    assert off == {}


def test_one_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        FilmsWorld(rows=2_000, days=60, seed=seed).write(tmp_path / name)
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")]
    assert len(files) == 5
    for file in files:
        assert sha256(tmp_path / "a" / file) == sha256(tmp_path / "b" / file)
        assert file.name == "world.json" or sha256(tmp_path / "a" / file) != sha256(tmp_path / "c" / file)


def liking(people: dict[str, Any], films: dict[str, Any], person: int, film: int) -> float:
    own = [people["genres"][person][place] for place, has in enumerate(films["genres"][film]) if has]
    return sum(own) / len(own) + sum(
        a * b for a, b in zip(people["traits"][person], films["traits"][film], strict=True)
    )


def played(
    parts: list[dict[str, Any]], start: int, person: int, seen: set[int], begin: float, end: float, dice: random.Random
) -> set[int]:
    """Let one person live from a day to another, and give the films that they rate at least 4: the documented rules."""
    people, films = parts
    like = [liking(people, films, person, film) for film in range(len(films["id"]))]
    seen, good = set(seen), set()
    for day in range(math.floor(begin), math.ceil(end)):
        weekday = (start // DAY + day + 3) % 7
        comes = dice.random() < 1 - math.exp(-people["rate"][person] * WEEKDAYS[weekday])
        hour = dice.choices(range(24), HOURS.tolist())[0] + dice.random()
        if not (comes and people["joined"][person] <= day < people["left"][person]):
            continue
        if not begin <= day + hour / 24 < end:
            continue
        more, low = 0, math.exp(-3.0)
        product = dice.random()
        while product > low:  # a Poisson number, by Knuth
            more, product = more + 1, product * dice.random()
        for _ in range(1 + more):
            there = [film for film in range(len(films["id"])) if films["released"][film] <= day and film not in seen]
            if not there:
                break
            weights = []
            for film in there:
                fading = 0.15 + 0.85 * math.exp(-(day - films["released"][film]) / films["fade"][film])
                weights.append(math.exp(films["appeal"][film] + like[film]) * fading)
            film = dice.choices(there, weights)[0]
            seen.add(film)
            level = people["level"][person] + people["drift"][person] * (day - people["joined"][person]) / 365
            mean = level + films["quality"][film] + 0.4 * like[film]
            if min(5.0, max(1.0, round(2 * dice.gauss(mean, 0.75)) / 2)) >= 4:
                good.add(film)
    return good


def test_the_scores_are_what_a_plain_simulation_finds(tmp_path: Path) -> None:
    cinema = open_cinema(tmp_path, rows=1_000, days=40, people=60, films=80, seed=4)
    parts = [dict(np.load(tmp_path / "truth" / f"{name}.npz")) for name in ("people", "films")]
    begin, end, times, dice = 20.5, 29.25, 400, random.Random(5)
    scores = cinema.scores(begin, end - begin)
    there = np.flatnonzero((parts[0]["joined"] <= 20) & (parts[0]["left"] >= 30))[:4]
    assert len(there) == 4
    for person in there.tolist():
        mine = (cinema.person == person) & (cinema.at < cinema.moment(begin))
        seen = set(cinema.film[mine].tolist())
        found = np.zeros(len(scores[person]))
        for _ in range(times):
            found[list(played(parts, cinema.truth.settings.start, person, seen, begin, end, dice))] += 1
        expected = times * scores[person]
        assert (np.abs(found - expected) < 4 * np.sqrt(expected) + 0.05 * expected + 3).all()
        assert found.sum() == pytest.approx(expected.sum(), rel=0.1, abs=25)
        assert not scores[person][list(seen)].any()


def test_the_scores_are_the_frequencies(small: list[Cinema]) -> None:
    score, happened = [], []
    for cinema in small:
        for day in (40, 75.5):
            score.append(cinema.scores(day, 20).ravel())
            inside = (cinema.at >= cinema.moment(day)) & (cinema.at < cinema.moment(day + 20)) & (cinema.points >= 4)
            happened.append(cinema.pairs(inside).ravel())
    scores, good = np.concatenate(score), np.concatenate(happened)
    assert good.sum() / scores.sum() == pytest.approx(
        1, abs=0.12
    )  # 3 standard deviations: a visit's ratings hang together
    groups = np.array_split(np.argsort(-scores, kind="stable")[: len(scores) // 5], 5)

    def off(guess: NDArray[np.float64]) -> list[int]:
        return [
            place
            for place, rows in enumerate(groups)
            if abs(good[rows].sum() - guess[rows].sum()) > 4 * np.sqrt(2 * guess[rows].sum()) + 3
        ]

    assert off(scores) == []
    for wrong in (scores * 1.3, scores**1.15):
        assert off(wrong) != []
    assert good[np.concatenate(groups)].sum() > 0.7 * good.sum()


def test_factors_beat_popularity_and_the_truth_beats_both(cinema: Cinema) -> None:
    """At a late day: films that a person has not rated, of which those rated at least 4 in the next days are right."""
    past = cinema.day < CUT
    good = cinema.pairs((cinema.day >= CUT) & (cinema.day < CUT + HORIZON) & (cinema.points >= 4))
    seen = cinema.pairs(past)
    asking = np.flatnonzero(good.any(axis=1) & seen.any(axis=1))
    popular = np.bincount(cinema.film[past & (cinema.day >= CUT - 30)], minlength=seen.shape[1])
    _, _, factors = svds(csr_matrix(seen, dtype=np.float64), k=12, v0=np.ones(min(seen.shape)))
    rankings = {
        "popular": np.broadcast_to(popular, seen.shape).astype(np.float64),
        "factors": seen @ factors.T @ factors,
        "truth": cinema.scores(CUT, HORIZON),
    }
    discount = 1 / np.log2(np.arange(20) + 2)
    ndcg = {}
    for name, ranking in rankings.items():
        top = np.argsort(-np.where(seen, -1.0, ranking)[asking], axis=1, kind="stable")[:, :20]
        gained = (np.take_along_axis(good[asking], top, axis=1) * discount).sum(axis=1)
        ndcg[name] = gained / np.cumsum(discount)[np.minimum(good[asking].sum(axis=1), 20) - 1]
    assert len(asking) > 300
    for better, worse in (("factors", "popular"), ("truth", "factors")):
        gain = ndcg[better] - ndcg[worse]
        assert gain.mean() > 4 * gain.std() / np.sqrt(len(gain)), (better, worse)
    assert 0.03 < ndcg["popular"].mean() < 0.12
    assert 0.25 < ndcg["truth"].mean() < 0.5


def test_content_finds_new_films(cinema: Cinema) -> None:
    """Of the films that come out after a day nothing but the genres is known: who likes those rates them sooner."""
    truth, past = cinema.truth, cinema.day < CUT
    new = np.flatnonzero((truth.films.released >= CUT) & (truth.films.released < CUT + HORIZON))
    good = cinema.pairs((cinema.day >= CUT) & (cinema.day < CUT + HORIZON) & (cinema.points >= 4))[:, new]
    seen = cinema.pairs(past)
    assert not seen[:, new].any()
    genres = truth.films.genres / np.linalg.norm(truth.films.genres, axis=1, keepdims=True)
    taste = seen @ genres / np.maximum(seen.sum(axis=1, keepdims=True), 1) - genres.mean(axis=0)
    content = taste @ genres[new].T
    places = []
    for person in np.flatnonzero(good.any(axis=1) & ~good.all(axis=1) & (seen.sum(axis=1) >= 10)):
        right, wrong = content[person][good[person]], content[person][~good[person]]
        places.append((np.sign(right[:, None] - wrong[None, :]).mean() + 1) / 2)
    assert len(new) >= 8
    assert len(places) > 60
    assert np.mean(places) - 0.5 > 4 * np.std(places) / np.sqrt(len(places))
    assert np.mean(places) > 0.58


def test_what_is_missing_is_not_missing_at_random(cinema: Cinema) -> None:
    people = np.arange(len(cinema.truth.people.id))
    anybody = cinema.truth.expected(people, cinema.truth.liking(people), 365)
    assert cinema.points.mean() > anybody.mean() + 0.2
    early, late = (cinema.points[cinema.day // 183 == half].mean() for half in (0, 3))
    assert late < early - 0.05  # levels drift


def test_nothing_from_the_time_on_is_read(small: list[Cinema], tmp_path: Path) -> None:
    cinema = small[0]
    whole = cinema.scores(60.5, 10)
    shutil.copytree(cinema.folder, tmp_path / "copy")
    copy = Cinema(tmp_path / "copy", cinema.truth, cinema.person, cinema.film, cinema.points, cinema.at)
    log = pq.read_table(cinema.folder / "ratings.parquet")
    past = log.filter(pc.less(log["time"].cast(pa.int64()), cinema.moment(60.5)))
    pq.write_table(past, tmp_path / "copy" / "ratings.parquet")
    np.testing.assert_array_equal(copy.scores(60.5, 10), whole)
    pq.write_table(past.slice(0, 0), tmp_path / "copy" / "ratings.parquet")
    assert np.abs(copy.scores(60.5, 10) - whole).max() > 0.01
    assert not whole[cinema.pairs(cinema.at < cinema.moment(60.5))].any()


def test_pairs_score_as_they_do_in_the_whole_table_and_unknown_ones_nothing(small: list[Cinema]) -> None:
    cinema, dice = small[0], np.random.default_rng(0)
    people, films = cinema.truth.people.id, cinema.truth.films.id
    who, what = dice.integers(0, len(people), 80), dice.integers(0, len(films), 80)
    at, whole = cinema.moment(50), cinema.scores(50, 20)
    alone = best_scores("films", cinema.folder, people[who], films[what].astype(str).astype(object), at, 20 * DAY)
    np.testing.assert_allclose(alone, whole[who, what], rtol=1e-9)
    strange = best_scores("films", cinema.folder, np.array([0, people[0]]), np.array([films[0], 0]), at, 20 * DAY)
    assert strange.tolist() == [0, 0]
    assert best_scores("films", cinema.folder, np.array([], int), np.array([], int), at, DAY).shape == (0,)
    assert not cinema.scores(-30, 30).any()
    assert not cinema.scores(SMALL["days"], 30).any()
    assert (np.diff([cinema.scores(50, days).sum() for days in (0.5, 1, 10, 30)]) > 0).all()
    with pytest.raises(DesignError, match="one shape"):
        best_scores("films", cinema.folder, np.arange(2), np.arange(3), at, DAY)
    with pytest.raises(DesignError, match="above 0"):
        best_scores("films", cinema.folder, np.arange(2), np.arange(2), at, 0)
    with pytest.raises(DataError, match="no truth"):
        best_scores("films", cinema.folder / "truth", np.arange(2), np.arange(2), at, DAY)


@pytest.mark.parametrize(
    "settings",
    [
        {"rows": 1_000, "days": 2},
        {"rows": 1_000, "days": 60, "people": 10, "films": 10},
        {"rows": 1_000, "days": 3_650, "people": 200, "films": 500},
    ],
    ids=["two days", "few of all", "ten years"],
)
def test_worlds_at_the_edge_are_written(settings: dict[str, Any], tmp_path: Path) -> None:
    cinema = open_cinema(tmp_path, **settings)
    assert len(cinema.at) > 10
    assert np.isfinite(cinema.scores(1, 30)).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"rows": 999},
        {"rows": True},
        {"days": 1},
        {"seed": -1},
        {"people": 9},
        {"films": 2.5},
        {"start": "2022-01-03"},
        {"start": datetime(2022, 1, 3)},
        {"start": date(1969, 1, 1)},
    ],
    ids=repr,
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(DesignError) as caught:
        FilmsWorld(**settings)
    assert caught.value.where == f"FilmsWorld.{next(iter(settings))}"
    assert caught.value.allowed
    assert caught.value.fix


def test_rows_set_the_size(tmp_path: Path) -> None:
    write_world("films", tmp_path / "small", seed=0, rows=3_000)
    assert 2_000 < len(pq.read_table(tmp_path / "small" / "ratings.parquet")) < 4_000
    with pytest.raises(DesignError, match="--rows"):
        write_world("films", tmp_path / "none", seed=0, rows=10)
    with pytest.raises(DataError, match="from before"):
        write_world("films", tmp_path / "small", seed=0)
