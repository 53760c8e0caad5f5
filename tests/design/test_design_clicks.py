"""What a design of clicks, calibration and auctions refuses when it loads, each with its fix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from misfits import auction

import bottega as bt
from bottega.errors import DesignError


def changed(part: Any, **fields: Any) -> Any:
    """Give a part of a design with other fields."""
    return msgspec.structs.replace(part, **fields)


def with_data(**fields: Any) -> bt.Design:
    """Give the auction with other data."""
    return changed(auction, data=changed(auction.data, **fields))


def with_path(*path: Any, **models: Any) -> bt.Design:
    """Give the auction with another path, and further ladders."""
    return changed(auction, models={**auction.models, **models}, serving=changed(auction.serving, path=path))


WEIGHTED = [bt.HistoricalRate(by="ad"), bt.Logistic(positive_weight=5.0)]
RANK = bt.Rank("rank")
REFUSED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "sampled without correction": (
        lambda: bt.Downsample(0.1, correct=False),
        "over-estimates by about 10 times",
        "Downsample(0.1)",
    ),
    "corrected and weighted": (lambda: bt.Downsample(0.1, weight=True), "undoes the sampling twice", "Downsample(0.1)"),
    "repeated without correction": (lambda: bt.Upsample(5, correct=False), "5 times", "Upsample(5)"),
    "corrected, with class weights": (
        lambda: changed(with_data(sampling=bt.Downsample(0.1)), models={"rank": WEIGHTED}),
        "weights on top distort it again",
        "leave positive_weight out",
    ),
    "beta of an order": (
        lambda: bt.BoostedTrees(objective="lambdarank", calibrate="beta"),
        "no probability",
        "calibrate='platt'",
    ),
    "class weights of pairs": (
        lambda: bt.BoostedTrees(objective="lambdarank", positive_weight=2.0),
        "learns from pairs",
        "objective='binary'",
    ),
    "labels in a circle": (
        lambda: with_data(labels=[bt.Label("clicked", given="bought"), bt.Label("bought", given="clicked")]),
        "clicked given bought given clicked",
        "",
    ),
    "a label given nobody": (lambda: with_data(labels=[bt.Label("bought", given="seen")]), "given='seen'", ""),
    "a window without moments": (lambda: bt.Label("bought", matures_after="7d", window="1d"), "no observed_at", ""),
    "a window beyond maturity": (
        lambda: bt.Label("bought", matures_after="1d", window="7d", observed_at="bought_at"),
        "'7d'",
        "",
    ),
    "a pace without an auction": (lambda: with_path(bt.Candidates(), RANK, bt.Pace(), bt.Show()), "Pace()", ""),
    "an auction before its ladder": (lambda: with_path(bt.Candidates(), bt.Auction(), RANK), "'rank'", ""),
    "an unknown ladder of conversions": (
        lambda: with_path(bt.Candidates(), RANK, bt.Auction(conversion="convert")),
        "'convert'",
        "",
    ),
    "an unknown table to replay": (
        lambda: with_path(bt.Candidates(), RANK, bt.Auction(replay="auctions")),
        "'auctions'",
        "",
    ),
    "one ladder twice": (lambda: with_path(bt.Candidates(), RANK, RANK, bt.Show()), "a second time", ""),
    "an unknown label of a ladder": (
        lambda: with_path(bt.Candidates(), bt.Rank("rank", label="sold"), bt.Show()),
        "'sold'",
        "",
    ),
    "hours that are no day": (lambda: bt.Pace(traffic=[1.0] * 23), "23 numbers", ""),
    "traffic of nothing": (lambda: bt.Pace(traffic=[0.0] * 24), "24 numbers", ""),
    "nothing to prune": (lambda: bt.Prune(embeddings=0), "nothing to prune", ""),
    "a layer without width": (lambda: bt.DCN(layers=[64, 0]), "(64, 0)", "layers=[256, 128]"),
    "rates of pairs of one": (lambda: bt.TargetRate(["ad"], pairs=True), "('ad',)", ""),
    "a column twice": (lambda: bt.Categories(["ad", "ad"]), "('ad', 'ad')", ""),
    "a candidate's column called id": (lambda: bt.Candidates(columns=["id"]), "'id'", ""),
    "weights for places without candidates": (
        lambda: with_data(
            examples=bt.Logged("impressions", request=["user"]), position=bt.InversePropensity("position")
        ),
        "no candidate",
        "",
    ),
}


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_would_go_wrong_is_refused_with_its_place(case: str) -> None:
    make, found, fix = REFUSED[case]
    with pytest.raises(DesignError) as refused:
        make()
    assert found in str(refused.value)
    assert fix in str(refused.value)
    assert refused.value.where
    assert refused.value.allowed


def test_what_undoes_a_sampling_once_is_taken() -> None:
    for sampling in (bt.Downsample(0.1), bt.Downsample(0.1, correct=False, weight=True), bt.Upsample(5)):
        assert with_data(sampling=sampling).data.sampling == sampling
    free = changed(with_data(sampling=None), models={"rank": [*WEIGHTED[:1], bt.Logistic(positive_weight=5.0)]})
    assert free.models["rank"][1].positive_weight == 5


def test_a_design_that_samples_without_correction_is_refused_from_a_file(tmp_path: Any) -> None:
    path = tmp_path / "design.yaml"
    text = bt.to_yaml(with_data(sampling=bt.Downsample(0.1)))
    assert "keep_negatives: 0.1" in text
    path.write_text(text.replace("keep_negatives: 0.1", "keep_negatives: 0.1\n    correct: false"))
    with pytest.raises(DesignError, match="neither corrects nor weights") as refused:
        bt.load_design(path)
    assert "sampling" in refused.value.where
