"""A second run does nothing twice; a change computes what hangs on it, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny_shop import FEATURES, Built, changed, tiny_design

import bottega as bt

RANK = {f"{fit}-{rung}" for fit in ("train", "refit") for rung in ("historical-rate", "logistic", "boosted-trees")}
RETRIEVERS = ("popularity", "personal-history", "co-purchase", "factorization")
SCORES = {f"score-{name}" for name in RETRIEVERS}
EVERY_FEATURE = {
    "feature-customer-product-times-all",
    "feature-customer-visits-30d",
    "feature-product-buyers-7d",
    "feature-product-price-all",
    "feature-customer-country",
    "feature-share-of-visits",
    "feature-trend",
}
SHIPPED = {"bundle", "measure"}
EVERY_STEP = {
    *("data-orders", "requests", "examples", "lessons", "evaluate", "parity", "store", "freshness", *SHIPPED),
    *(f"{verb}-{name}" for verb in ("retrieve", "refresh") for name in RETRIEVERS),
    *(SCORES | RANK | EVERY_FEATURE),
}

Computed = Callable[..., set[str]]


@pytest.fixture
def computed(built: Built, workspace: Path, quick: None) -> Computed:
    """Run a changed design in a copy of the shared build's workspace, and say which steps were computed."""
    del quick

    def run(design: bt.Design, data: Path | None = None) -> set[str]:
        card = bt.run(design, data=data or built.data, workspace=workspace).scorecard
        return executed(card)

    return run


def executed(card: dict[str, Any]) -> set[str]:
    names = [step["name"] for step in card["steps"]]
    assert len(set(names)) == len(names)
    return {step["name"] for step in card["steps"] if not step["cached"]}


def with_feature(place: int, **fields: Any) -> bt.Design:
    features = list(FEATURES)
    features[place] = changed(features[place], **fields)
    return tiny_design(features=features)


def test_the_first_run_computes_every_step_once(built: Built) -> None:
    assert executed(built.card) == EVERY_STEP


@pytest.mark.usefixtures("quick")
def test_a_second_run_computes_nothing_and_says_the_same(built: Built, workspace: Path) -> None:
    again = bt.run(tiny_design(), data=built.data, workspace=workspace)
    assert executed(again.scorecard) == set()
    assert again.build.id == built.card["build"]
    for part in ("models", "comparisons", "champions", "goals", "funnel", "parity", "serving", "data"):
        assert again.scorecard[part] == built.card[part]


def test_the_data_may_move(computed: Computed, built: Built, tmp_path: Path) -> None:
    assert computed(tiny_design(), Path(shutil.copytree(built.data, tmp_path / "elsewhere"))) == set()


def test_a_window_that_nothing_reads_but_the_models(computed: Computed) -> None:
    found = computed(with_feature(3, values={"price": "max(price)"}))
    assert found == {"feature-product-price-all", "store", "parity", "evaluate", *RANK, *SHIPPED}


def test_a_window_that_an_expression_reads(computed: Computed) -> None:
    found = computed(with_feature(2, values={"buyers": "count(*)"}))
    changed_too = {"feature-product-buyers-7d", "feature-trend"}
    assert found == {*changed_too, "store", "parity", "evaluate", *RANK, *SHIPPED}


def test_an_expression(computed: Computed) -> None:
    found = computed(with_feature(6, values={"trend": "product_buyers_7d - product_buyers_30d / 4"}))
    assert found == {"feature-trend", "parity", "evaluate", *RANK, *SHIPPED}


def test_a_feature_put_between_leaves_the_others(computed: Computed) -> None:
    new = bt.Window("orders", by="customer", values={"lines": "count(*)"})
    found = computed(tiny_design(features=[FEATURES[0], new, *FEATURES[1:]]))
    assert found == {"feature-customer-lines-all", "store", "parity", "evaluate", *RANK, *SHIPPED}


def test_the_length_of_one_retrievers_list(computed: Computed) -> None:
    design = tiny_design()
    retrievers = [changed(design.models["retrieve"][0], k=20), *design.models["retrieve"][1:]]
    found = computed(tiny_design(models={**design.models, "retrieve": retrievers}))
    own = {"retrieve-popularity", "refresh-popularity"}
    assert found == {*own, "examples", "lessons", *SCORES, *EVERY_FEATURE, *RANK, "evaluate", "parity", *SHIPPED}


def test_the_setting_of_one_scorer(computed: Computed) -> None:
    design = tiny_design()
    rank = [*design.models["rank"][:2], changed(design.models["rank"][2], trees=10)]
    found = computed(tiny_design(models={**design.models, "rank": rank}))
    assert found == {"train-boosted-trees", "refit-boosted-trees", "evaluate", *SHIPPED}


def test_a_goal(computed: Computed) -> None:
    evaluation = changed(tiny_design().evaluation, goals=[bt.Goal("mrr", at_least=0.01)])
    assert computed(tiny_design(evaluation=evaluation)) == {"evaluate", *SHIPPED}


def test_the_number_of_workers(computed: Computed) -> None:
    assert computed(tiny_design(serving=changed(tiny_design().serving, workers=2))) == SHIPPED


def test_one_more_row_is_other_data(computed: Computed, built: Built, tmp_path: Path) -> None:
    source = built.data / "online_retail" / "online_retail.parquet"
    rows = pq.read_table(source)
    (tmp_path / "more" / "online_retail").mkdir(parents=True)
    other = rows.slice(0, 1).combine_chunks()
    pq.write_table(
        other.from_batches([*rows.to_batches(), *other.to_batches()]),
        tmp_path / "more" / "online_retail" / "online_retail.parquet",
    )
    assert computed(tiny_design(), tmp_path / "more") == EVERY_STEP - {"freshness"}


@pytest.mark.usefixtures("quick")
def test_another_seed_draws_anew_from_the_same_log(built: Built, workspace: Path) -> None:
    found = executed(bt.run(tiny_design(), data=built.data, workspace=workspace, seed=1).scorecard)
    assert not found & {"data-orders", "requests", "store"}
    assert {"examples", "evaluate", "measure"} <= found


def test_a_damaged_step_is_computed_again_and_nothing_else(workspace: Path, computed: Computed) -> None:
    table = next((workspace / "tiny" / "steps").glob("examples-*")) / "examples.parquet"
    whole = table.read_bytes()
    table.write_bytes(whole[: len(whole) // 2])
    assert computed(tiny_design()) == {"examples"}
    assert table.read_bytes() == whole
