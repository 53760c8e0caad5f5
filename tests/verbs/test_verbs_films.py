"""The film design on a small world, and on ratings of one's own: other names, ids of text, few people, no films."""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny_shop import changed

import bottega as bt
from bottega.data.ingest import ingest, read_log
from bottega.data.source import Place
from bottega.errors import DataError
from bottega.runs.steps.constants import with_constants
from bottega.runs.steps.fitting import without_missing
from bottega.runs.steps.freshness import measure_freshness
from bottega.runs.steps.units import with_units
from bottega.systems.film_recommendation import design as films
from bottega.verbs.run import Ran
from bottega.worlds import films as world
from bottega.worlds.films import FilmsWorld

DAY = 86_400
START = 1_600_041_600  # a midnight, UTC, in seconds
RETRIEVERS = [
    bt.Popularity(span="30d", k=40, unseen=0),
    bt.TextSimilarity("genres", half_life=None, k=20, unseen=0),
    bt.Factorization(method="ease", half_life=None, name="EASE", k=40, unseen=0),
]
RANKERS = [bt.Logistic(), bt.BoostedTrees(objective="lambdarank", trees=15, leaves=7)]

pytestmark = pytest.mark.usefixtures("quick")


def small(**fields: Any) -> bt.Design:
    """The design with few models, and a goal that it meets."""
    plan = changed(films.evaluation, goals=[bt.Goal("recall@10", at_least=0.0)])
    return changed(films, **{"models": {"retrieve": RETRIEVERS, "rank": RANKERS}, "evaluation": plan, **fields})


@pytest.fixture
def built(tmp_path: Path) -> Callable[..., Ran]:
    def build(folder: Path, design: bt.Design | None = None) -> Ran:
        return bt.run(design or small(), data=folder, workspace=tmp_path / "w")

    return build


def ratings(
    people: int = 40, items: int = 60, days: int = 300, points: Sequence[float] = (1, 3, 4, 4.5, 5)
) -> list[Any]:
    """Draw ratings (who, what, points, seconds): everybody comes again and again, more for one half of the films."""
    draw, rows = random.Random(3), []
    for person in range(people):
        left = list(range(items))
        for at in sorted(draw.uniform(0, days * DAY) for _ in range(min(items, 25))):
            film = draw.choices(left, [4 if one % 2 == person % 2 else 1 for one in left])[0]
            left.remove(film)
            rows.append((person + 1, film + 101, draw.choice(points), START + int(at)))
    return sorted(rows, key=lambda row: row[3])


def write(path: Path, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)
    return path.parent


MOVIELENS = ("userId", "movieId", "rating", "timestamp")


def test_the_world_is_recommended_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BOTTEGA_DATA", raising=False)
    monkeypatch.setattr(world, "world", lambda seed: FilmsWorld(rows=10_000, days=300, seed=seed))
    card = bt.run(small(), workspace=tmp_path / "w", seed=2).scorecard
    assert card["source"] == {"kind": "world", "text": "the films world, seed 2"}
    assert card["release"]["released"]
    assert card["parity"]["mismatches"] == 0
    best = card["ceiling"]["metrics"]["ndcg@10"]["value"]
    assert all(item["metrics"]["ndcg@10"]["value"] < best for item in card["models"])
    rows = pq.read_table(next((tmp_path / "w").rglob("builds/*/predictions.parquet"))).to_pylist()
    log = pq.read_table(next((tmp_path / "w").rglob("ratings.parquet"))).to_pylist()
    at = rows[0]["request_time"]
    rated = {(str(row["user"]), str(row["item"])) for row in log if row["time"] < at}
    until = (at.timestamp() + 30 * DAY, 4)
    liked = {
        (str(row["user"]), str(row["item"]))
        for row in log
        if row["time"] >= at and row["time"].timestamp() < until[0] and row["rating"] >= until[1]
    }
    assert {(row["user"], row["item"]) for row in rows if row["label"]} == liked
    for row in rows:
        pair = row["user"], row["item"]
        assert row["label"] == (pair in liked)
        assert not (row["retrieved"] and pair in rated)  # neither what was liked nor what was not is offered again
    met = {str(row["item"]) for row in log if row["time"] < at}
    assert {row["item"] for row in rows if row["retrieved"]} - met  # a film of which only the genres are known


def test_ratings_alone_in_the_columns_of_movielens(built: Callable[..., Ran], tmp_path: Path) -> None:
    write(tmp_path / "ratings.csv", MOVIELENS, ratings())
    towers = bt.TwoTower(text="genres", embedding_size=8, layers=[], epochs=1, k=20, unseen=0)
    card = built(tmp_path, small(models={"retrieve": [*RETRIEVERS, towers], "rank": RANKERS})).scorecard
    assert card["data"]["accepted"] == card["data"]["offered"] == 1_000
    assert {item["name"] for item in card["models"]} == {"Popularity", "EASE", "TwoTower", "Logistic", "BoostedTrees"}
    assert card["release"]["released"]
    assert card["parity"]["mismatches"] == 0


def test_films_beside_them_in_the_columns_of_movielens(built: Callable[..., Ran], tmp_path: Path) -> None:
    write(tmp_path / "ratings.csv", MOVIELENS, ratings())
    genres = [(film + 101, f"Film {film} (1999)", "Drama|War" if film % 2 else "Comedy") for film in range(70)]
    write(tmp_path / "movies.csv", ("movieId", "title", "genres"), genres)
    card = built(tmp_path).scorecard
    scores = {item["name"]: item["metrics"]["ndcg@10"]["value"] for item in card["models"]}
    assert scores["TextSimilarity"] > scores["Popularity"]  # half of the films are for half of the people
    assert card["release"]["released"]


CASES: dict[str, list[Any]] = {
    "few people": ratings(people=4, items=30),
    "likes alone": ratings(points=[1]),
    "ten points": ratings(points=[3, 7, 8, 10]),
    "ids of text": [(f"ann {who}", f"tt{what:07}", points, at) for who, what, points, at in ratings()],
    "ratings entered twice": [row for row in ratings() for _ in range(2)],
}


@pytest.mark.parametrize("case", CASES)
def test_odd_ratings_are_built_from(case: str, built: Callable[..., Ran], tmp_path: Path) -> None:
    card = built(write(tmp_path / "ratings.csv", ("user", "item", "rating", "time"), CASES[case])).scorecard
    assert card["parity"]["mismatches"] == 0
    assert card["serving"]["errors"] == 0
    assert card["release"]["released"]


@pytest.mark.parametrize(
    ("points", "odd", "right"),
    [
        ((1, 2, 3, 4, 5), (50,), 4),
        ((-2, -1, 0, 1, 2), (), 1.6),
        ((1,), (), 0.8),
        (range(1, 11), (99, -1), 8),
        ((0.1, 0.5, 1), (), 0.8),
    ],
)
def test_liked_is_told_by_the_scale_and_every_rating_was_seen(
    points: Sequence[float], odd: Sequence[float], right: float, tmp_path: Path
) -> None:
    """On a scale below zero too, what was disliked was seen; a few odd ratings move nothing."""
    rows = [
        [*row[:2], odd[place] if place < len(odd) else row[2], row[3]]
        for place, row in enumerate(ratings(points=points))
    ]
    place = Place(write(tmp_path / "ratings.csv", MOVIELENS, rows))
    design, _ = with_units(without_missing(films, place)[0], place)
    (table,) = design.data.tables
    assert ingest(table, place, tmp_path / "out").accepted == len(rows)
    log = read_log(table, tmp_path / "out")
    design, told = with_constants(design, {"ratings": log})
    assert design.data.examples.where == f"rating >= {float(right)!r}"  # type: ignore[union-attr]
    assert told == [f"ratings: liked_from is {right:g}, 0.8 * quantile(rating, 0.99)"]


ONE = [(who, 1, 4 + who % 2, START + who * DAY // 2) for who in range(600)]
REFUSED: dict[str, tuple[Sequence[str], list[Any], str]] = {
    "no time": (MOVIELENS[:3], [row[:3] for row in ratings()], "column 'timestamp' is not in ratings.csv"),
    "no rating": (("user", "item", "time"), [(*row[:2], row[3]) for row in ratings()], "column 'rating' is not in"),
    "ten rows": (MOVIELENS, ratings()[:10], "nobody asks in the test part"),
    "one film": (MOVIELENS, ONE, "rows: one class only"),
    "no numbers": (MOVIELENS, [(*row[:2], "good", row[3]) for row in ratings()], "all 1,000 rows are refused"),
    "no row": (MOVIELENS, [], "no row"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_learnt_from_is_refused(case: str, built: Callable[..., Ran], tmp_path: Path) -> None:
    head, rows, words = REFUSED[case]
    with pytest.raises(DataError) as caught:
        built(write(tmp_path / "ratings.csv", head, rows))
    assert words in str(caught.value)
    assert caught.value.allowed


def test_a_table_of_another_name_is_asked_for(built: Callable[..., Ran], tmp_path: Path) -> None:
    write(tmp_path / "orders.csv", MOVIELENS, ratings())
    with pytest.raises(DataError, match=r"no file 'ratings'"):
        built(tmp_path)


def test_how_soon_a_new_film_is_found(
    built: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ratings that are no positives bring no film, and none of those that do is missed for them."""
    monkeypatch.setattr(sys.modules["bottega.verbs.run"], "measure_freshness", measure_freshness)
    rows = ratings()
    last = [[*row[:2], 2 if place % 3 == 0 else 5, row[3]] for place, row in enumerate(rows[-40:])]
    path = [bt.Retrieve(k=60), bt.Rank(), bt.Show(k=10)]
    newest = small(
        models={"retrieve": [*RETRIEVERS[:1], bt.Trending(half_life="7d", k=30)], "rank": RANKERS[:1]},
        serving=bt.Serving(path=path),
    )
    ran = built(write(tmp_path / "ratings.csv", MOVIELENS, [*rows[:-40], *last]), newest)
    told = ran.scorecard["arrival"]
    assert (told["sent"], told["n"], told["by"]) == (20, 20, {"Trending": 20})
    assert 0 < told["median"] <= told["longest"]
    assert told["asked"] >= told["retrieved"] >= 20
    assert "a new item is found by trending" in ran.report.read_text().lower()
    deaf = changed(newest, models={"retrieve": RETRIEVERS[:1], "rank": RANKERS[:1]})
    ran = built(tmp_path, deaf)
    assert (ran.scorecard["arrival"]["sent"], ran.scorecard["arrival"]["n"]) == (0, 0)
    assert "no source finds a new item before the next build" in ran.report.read_text().lower()
