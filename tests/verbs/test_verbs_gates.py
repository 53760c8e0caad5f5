"""The gate of the smoke load: answers that are none keep a build from being released, and the reason is told."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_shop import REQUESTS, WARM_UP, changed

import bottega as bt
from bottega.reporting.screen import summary
from bottega.runs.releases import Gate
from bottega.runs.steps import measuring
from bottega.systems.ad_auction import design as auction
from bottega.verbs.run import gates_of

PATH = auction.serving.path


def smoke(**serving: Any) -> Gate:
    plain = {"requests": 2000, "errors": 0, "degraded": 0.0, "degradations": {}, "shortfalls": {}, "sold": None}
    card = {"goals": [], "parity": {"compared": 9, "mismatches": 0}, "serving": {**plain, **serving}}
    return next(gate for gate in gates_of(card) if gate.name == "smoke load")


def test_every_answer_degraded_is_no_service() -> None:
    assert smoke() == Gate("smoke load", True, "2,000 requests, 0 failed")
    assert not smoke(errors=1).passed
    often = {"user: unknown": 3, "rank: left out": 2000, "query: missing": 9}
    assert smoke(degraded=0.9995, degradations=often).passed
    found = smoke(degraded=1.0, degradations=often, shortfalls={"k: n of n found": 2000})
    assert found == Gate(
        "smoke load", False, "2,000 requests, 0 failed, and every answer was degraded, most often rank: left out"
    )


def test_an_auction_that_sold_nothing_is_no_service() -> None:
    assert smoke(sold=1).passed
    none = "auction: n of n below the reserve"
    found = smoke(sold=0, shortfalls={none: 2000, "auction: n of n slots sold": 1990})
    assert found == Gate(
        "smoke load",
        False,
        "2,000 requests, 0 failed, and the auction sold nothing, most often ads were below the reserve",
    )
    assert smoke(sold=0).detail == "2,000 requests, 0 failed, and the auction sold nothing"
    slow = {"convert: left out, features took n.n of n ms": 3}  # of a busy machine: it is not why nothing was sold
    assert smoke(sold=0, degradations=slow, shortfalls={none: 2000}).detail.endswith(
        "most often ads were below the reserve"
    )


def test_a_card_of_before_has_its_gate_still() -> None:
    card = {"goals": [], "parity": {"compared": 9, "mismatches": 0}, "serving": {"requests": 2000, "errors": 0}}
    assert all(gate.passed for gate in gates_of(card))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"reserve": 1e6}, "ads were below the reserve"),
        ({"budget": "ad_id_click_budget"}, "ads were without a budget"),
    ],
    ids=["reserve", "no budget"],
)
def test_a_design_whose_auction_sells_nothing_is_not_released_and_the_screen_says_why(
    fields: dict[str, Any], reason: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.getbasetemp() / "sells-nothing"  # the second run goes on from the first one's steps
    monkeypatch.delenv("BOTTEGA_DATA", raising=False)
    monkeypatch.setattr(measuring, "REQUESTS", REQUESTS)
    monkeypatch.setattr(measuring, "WARM_UP", WARM_UP)
    path = [changed(stage, replay=None, **fields) if isinstance(stage, bt.Auction) else stage for stage in PATH]
    design = changed(
        auction,
        features=[*auction.features, bt.Expression({"ad_id_click_budget": "ad_id_budget / 0"})],
        models={name: rungs[:1] for name, rungs in auction.models.items()},
        evaluation=changed(auction.evaluation, goals=[]),
        serving=changed(auction.serving, path=path, workers=1),
    )
    ran = bt.run(design, rows=20_000, workspace=home)
    gates = {gate["name"]: gate for gate in ran.scorecard["release"]["gates"]}
    assert not gates["smoke load"]["passed"]
    assert gates["smoke load"]["detail"].endswith(f"and the auction sold nothing, most often {reason}")
    assert not ran.scorecard["release"]["released"]
    told = " ".join(summary(ran.scorecard, 100).split())
    assert f"not released: failed gate smoke load ({REQUESTS} requests, 0 failed, and the auction sold nothing" in told
    assert reason in told
