"""What the scorecard says of a path without one of its sources is what is served when that source fails."""

from __future__ import annotations

import dataclasses
from pathlib import Path as Folder
from typing import Any

import numpy as np
import pytest
from path_world import World

from bottega.data.examples import TEST
from bottega.errors import ServeError
from bottega.runs.steps.blind import Blind
from bottega.serving.path import Path


@pytest.mark.parametrize("source", ["CoPurchase", "Popularity", "PersonalHistory"])
def test_the_ablation_of_a_source_says_what_is_served_without_it(world: World, source: str, tmp_path: Folder) -> None:
    bundle = world.at_test(tmp_path, "BoostedTrees")
    failing = Failing(bundle.retrievers[source])
    path = Path(dataclasses.replace(bundle, retrievers={**bundle.retrievers, source: failing}))
    rows, (ladder,) = world.rows, world.job.ladders
    test = np.flatnonzero(rows.part == TEST)
    blind = Blind(world.job, ladder, "BoostedTrees", world.examples, world.scores, world.trained, world.features, test)
    rung, _ = blind(source)
    assert rung is not None
    customers = rows.requests.columns.column("customer").to_pylist()
    ids = rows.candidate.dictionary_decode().to_pylist()
    said = {(customers[rows.group[row]], ids[row]): score for row, score in zip(test, rung.scores, strict=True)}
    title = next(name for name in world.predictions.column_names if "BoostedTrees" in name)
    whole = {(row["customer"], row["product"]): row[title] for row in world.predictions.to_pylist()}
    compared = moved = 0
    for customer in {customer for customer, _ in said}:
        answer = path.answer(path.request_type(customer=customer))
        assert [text for text in answer.degradations if source in text]
        for item in answer.items:
            if (customer, item.id) in said:  # others may come into the list where a source is gone
                assert item.score == pytest.approx(said[customer, item.id], abs=1e-6)
                compared += 1
                moved += abs(item.score - whole[customer, item.id]) > 1e-6
    assert compared > 500
    assert moved


class Failing:
    """A retriever that answers nobody."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def ask(self, *_: Any) -> Any:
        raise ServeError("index", "is not there", "an index")
