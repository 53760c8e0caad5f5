"""What models read when they serve: the matrix of training's own code, categories never seen, rates, probabilities."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from ads_bundle import ADS, Reads, bundle, design

import bottega as bt
from bottega.errors import ServeError
from bottega.features.codebook import Codebook
from bottega.features.hashing import hashes
from bottega.features.matrix import matrix
from bottega.features.rate_table import RateTable
from bottega.features.vocabulary import Vocabulary
from bottega.models.probability import Corrected, Probability
from bottega.serving.bundle import Bundle, Champion, Ranked, load_scorer
from bottega.serving.path import Path

CATEGORIES = bt.Categories(["user", "ad"], own_from=2, hashed=4)
NAMES = ("user", "ad_click", "ad_advertiser", "ad")
USERS = Codebook.learn(["u1"] * 3 + ["u2"] * 2 + ["rare"], own_from=2, hashed=4)
ITEMS = Codebook.learn([*ADS] * 2, own_from=2, hashed=4)


class Seen(Reads):
    """Keeps what it was asked to score."""

    def score(self, inputs: Any) -> np.ndarray:
        self.inputs = inputs
        return np.full(len(inputs), 0.1, np.float32)


def with_words(words: dict[str, Any]) -> tuple[Bundle, dict[str, Seen]]:
    """Give a bundle of two ladders, the second of which knows fewer advertisers."""
    made = bundle(design(bt.Rank(), bt.Rank(ladder="buy"), bt.Show(), features=[CATEGORIES]))
    seen, champions = {}, {}
    for ladder in ("rank", "buy"):
        seen[ladder] = Seen(made.design.models[ladder][0])
        facts = Ranked("Logistic", NAMES, ("category", "number", "category", "category"))
        own = {**words, "ad_advertiser": Vocabulary(["adv-1", "adv-3", "new"][: 3 if ladder == "rank" else 1])}
        champions[ladder] = Champion(facts, seen[ladder], own)  # type: ignore[arg-type]
    facts = msgspec.structs.replace(made.facts, ladders={name: one.facts for name, one in champions.items()})
    return dataclasses.replace(made, champions=champions, facts=facts), seen


@pytest.mark.parametrize("user", ["u1", "u2", "rare", "never seen", None])
def test_each_ladder_reads_the_matrix_of_training_s_own_code(user: str | None) -> None:
    made, seen = with_words({"user": USERS, "ad": ITEMS})
    path = Path(made)
    asked = ["nobody", *list(ADS)[:4], "never shown"]
    answer = path.answer(path.request_type(user=user, candidates=asked))
    assert len(answer.items) == 6
    values = path.features({"user": user}, asked, 0)
    frame = path._reading.frame({"user": user}, 0, pa.array(asked).dictionary_encode())
    for ladder, champion in made.champions.items():
        right = matrix(NAMES, values, frame, champion.words)
        np.testing.assert_array_equal(seen[ladder].inputs.values, right)
    codes = seen["rank"].inputs.values
    assert set(codes[:, 0]) == {USERS.codes([user])[0]}
    assert codes[0, 2] == codes[5, 2] == -1  # no advertiser, no row
    assert (codes[5, 3] >= 0) == (ITEMS.codes(["never shown"])[0] >= 0)
    assert np.isnan(codes[5, 1])
    assert codes[1, 2] == 0
    assert seen["buy"].inputs.values[3, 2] == -1 < codes[3, 2]


def test_rates_of_the_bundle_are_features() -> None:
    feature = bt.TargetRate(["ad"], prior=1.0)
    table = RateTable.build(feature, {"ad": hashes(["a", "a", "b"])}, np.array([1, 1, 0], np.float32))
    made = bundle(design(bt.Rank(), bt.Show(), features=[feature, bt.Expression({"twice": "2 * rate_ad"})]))
    values = Path(dataclasses.replace(made, rates=(table,))).features({"user": "u"}, ["b", "a", "new"], 0)
    assert values.row["seen_ad"].tolist() == [1, 2, 0]
    assert values.row["twice"].tolist() == pytest.approx([2 * (0 + 2 / 3) / 2, 2 * (2 + 2 / 3) / 3, 4 / 3])


def test_a_model_whose_probability_stands_beside_it_is_corrected(tmp_path: Any) -> None:
    from bottega.models.historical_rate import HistoricalRateModel
    from bottega.models.inputs import Inputs

    setting = bt.HistoricalRate(by="ad", prior=0.0)
    rows = Inputs([], [], np.zeros((4, 0), np.float32), {"ad": pa.array(["a", "a", "b", "b"])})
    model = HistoricalRateModel(setting)
    model.fit(rows, [1, 0, 0, 0])
    model.save(tmp_path / "model")
    assert type(load_scorer(tmp_path / "model", setting)) is HistoricalRateModel
    Probability(kept=0.5).save(tmp_path / "model")
    loaded = load_scorer(tmp_path / "model", setting)
    assert isinstance(loaded, Corrected)
    assert loaded.score(rows).tolist() == pytest.approx([1 / 3, 1 / 3, 0, 0])


def test_a_champion_that_the_design_does_not_have_is_refused(tmp_path: Any) -> None:
    from bottega.serving.bundle import _champion

    with pytest.raises(ServeError, match="a rung of the design"):
        _champion(tmp_path, design(bt.Rank(), bt.Show()), "rank", Ranked("Gone", (), ()))
