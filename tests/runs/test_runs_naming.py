"""A name that nothing gives is refused before any work, with its place and the nearest name."""

from __future__ import annotations

import msgspec
import pytest

import bottega as bt
from bottega.errors import DesignError
from bottega.runs.steps.naming import check_names
from bottega.systems.shop_recommendation import design as shop


def changed(**fields: object) -> bt.Design:
    return msgspec.structs.replace(shop, **fields)


def test_the_bundled_design_names_only_what_is_there() -> None:
    check_names(shop)


@pytest.mark.parametrize(
    ("design", "where", "fix"),
    [
        (
            changed(
                models={**shop.models, "rank": [bt.HistoricalRate(by="prodct")]},
                evaluation=msgspec.structs.replace(shop.evaluation, goals=[]),
            ),
            "models.rank[0].by",
            "did you mean 'product'?",
        ),
        (
            changed(evaluation=bt.Evaluation("mrr", views=[bt.View("v", where="customer_product_times_al = 0")])),
            "evaluation.views[0].where",
            "did you mean 'customer_product_times_all'?",
        ),
        (
            changed(evaluation=bt.Evaluation("mrr", slices=["customer_countri"])),
            "evaluation.slices[0]",
            "did you mean 'customer_country'?",
        ),
        (
            changed(evaluation=bt.Evaluation("mrr", goals=[bt.Goal("mrr", at_least=0, slices=["cald"])])),
            "evaluation.goals[0].slices",
            "did you mean 'cold'?",
        ),
        (
            changed(features=[bt.Window("orders", by="custmer", values={"n": "count(*)"})]),
            "features[0].by",
            "did you mean 'customer'?",
        ),
        (
            changed(features=[bt.Expression({"x": "popularty_score + 1"})]),
            "features[0]",
            "did you mean 'popularity_score'?",
        ),
    ],
    ids=["rate", "view", "slice", "goal", "window", "expression"],
)
def test_a_slip_is_named(design: bt.Design, where: str, fix: str) -> None:
    with pytest.raises(DesignError) as caught:
        check_names(design)
    assert (caught.value.where, caught.value.fix) == (where, fix)


def test_a_view_that_is_no_expression_is_named_with_its_place() -> None:
    with pytest.raises(DesignError, match=r"evaluation\.views\[0\]\.where"):
        check_names(changed(evaluation=bt.Evaluation("mrr", views=[bt.View("v", where="drop table x")])))
