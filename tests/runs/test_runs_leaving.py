"""What a run does without takes with it what hangs on it, and nothing else, against a walk over the names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from small_feed import FEATURES, design_of

import bottega as bt
from bottega.data.source import Place
from bottega.runs.steps.fitting import without_missing
from bottega.runs.steps.leaving import without_columns, without_retrievers
from bottega.runs.steps.naming import check_names
from bottega.systems import film_recommendation

SOURCES = [bt.Popularity(), bt.CoPurchase(), bt.PersonalHistory()]
PATH = [bt.Retrieve(k=20), bt.Rank(), bt.Show(k=5)]


def feed(*more: Any, path: Any = (), rank: Any = (), **evaluation: Any) -> bt.Design:
    plain = design_of(SOURCES, path or PATH)
    return replace(
        plain,
        features=[*FEATURES, *more],
        models={**plain.models, "rank": list(rank) or [bt.Logistic()]},
        evaluation=replace(plain.evaluation, **evaluation),
    )


@given(st.data())
def test_values_go_that_read_what_is_gone(data: st.DataObject) -> None:
    """Expressions over each other, parted at random into features; a plain walk says which hang on the score."""
    names = [f"v{place}" for place in range(8)]
    ground = ["popularity_score", "co_purchase_score", "item_n_all", "common"]
    reads = {
        name: data.draw(st.lists(st.sampled_from(ground + names[:place]), min_size=1, max_size=2))
        for place, name in enumerate(names)
    }
    size = data.draw(st.integers(1, 8))
    parts = [bt.Expression({n: " + ".join(reads[n]) for n in names[at : at + size]}) for at in range(0, 8, size)]
    design, _ = without_retrievers(feed(*parts), ["Popularity"])
    gone = {"popularity_score"}
    while more := {name for name in names if name not in gone and gone & set(reads[name])}:
        gone |= more
    kept = {name for part in design.features if isinstance(part, bt.Expression) for name in part.values}
    assert kept == {"common", *names} - gone
    check_names(design)


def test_all_that_names_what_is_gone_goes() -> None:
    stage = bt.Quota(where="item_tongue = 'de'", at_least=1, first=3)
    design = feed(
        bt.Expression({"german": "case when item_tongue = 'de' then 1 else 0 end", "stocked": "item_stock > 0"}),
        bt.Cross("item_tongue", "item", buckets=8),
        bt.Expression({"both": "german + item_tongue_x_item", "all": "stocked + 1"}),
        path=[bt.Retrieve(k=20, where="german = 1"), bt.Rank(), stage, bt.Show(k=5)],
        rank=[
            bt.Fusion(over=["both", "all", "item_tongue_x_item", "popularity_score"], weights=[1, 2, 3, 4]),
            bt.Fusion(over=["german"], name="German"),
            bt.Logistic(),
        ],
        views=[bt.View("german", where="german = 1"), bt.View("stocked", where="stocked = 1")],
        goals=[
            bt.Goal("recall@5", at_least=0.1, view="german"),
            bt.Goal("recall@5", above="German"),
            bt.Goal("recall@5", above="Fusion"),
        ],
    )
    check_names(design)
    found, more, told = without_columns(design, {"item_tongue"})
    assert set(more) == {"german", "item_tongue_x_item", "both"}
    left = [part.values for part in found.features if isinstance(part, bt.Expression)]
    assert left[1:] == [{"stocked": "item_stock > 0"}, {"all": "stocked + 1"}]
    assert list(found.models["rank"]) == [bt.Fusion(over=["all", "popularity_score"], weights=[2, 4]), bt.Logistic()]
    assert [view.name for view in found.evaluation.views] == ["stocked"]
    assert list(found.evaluation.goals) == [bt.Goal("recall@5", above="Fusion")]
    assert list(found.serving.path) == PATH
    assert told == [
        "Fusion: without both, item_tongue_x_item",
        "German: left out, none of its orders is there",
        "Retrieve: without its condition, german = 1",
    ]
    lookup = replace(FEATURES[0], columns=["stock"])
    check_names(replace(found, features=[lookup, *found.features[1:]]))


def test_a_ladder_is_never_left_empty() -> None:
    design = feed(rank=[bt.Fusion(over=["popularity_score"])])
    found, told = without_retrievers(design, ["Popularity"])
    assert found.models["rank"] == design.models["rank"]
    assert told == []


@pytest.mark.parametrize("weights", [(), (2, 1)])
def test_films_without_their_table_keep_a_fusion_of_the_rest(tmp_path: Path, weights: Any) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,2,3,1600000000\n")
    films = film_recommendation.design
    over = ["als_score", "text_similarity_score"]
    rank = [bt.Fusion(over=over, weights=weights), *films.models["rank"]]
    found, told = without_missing(replace(films, models={**films.models, "rank": rank}), Place(tmp_path))
    assert found.models["rank"][0] == bt.Fusion(over=["als_score"], weights=weights[:1])
    assert "Fusion: without text_similarity_score" in told
    assert found.models["rank"][1:] == films.models["rank"][:]
    check_names(found)
