"""The decision log keeps what was decided on: all candidates, their scores, and the features as they were served."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from path_world import World

from bottega.serving.bundle import load_bundle
from bottega.serving.decision_log import line, record, served_bids, served_features, served_scores
from bottega.serving.path import Path
from bottega.serving.wire import Answer


@pytest.fixture(scope="module")
def path(world: World) -> Path:
    return Path(load_bundle(world.folder))


def test_a_line_holds_candidates_scores_and_features(path: Path) -> None:
    asked = {"customer": path._finder.somebody(), "k": 7}
    answer = path.answer(path.request_type(**asked))
    row = record(msgspec.json.encode(asked), answer, 5, 0)
    names = path.bundle.facts.ladders["rank"].names
    features, scores = served_features(row, "rank", len(names)), served_scores(row, "rank")
    assert features.shape == (7, len(names))
    best = np.argsort(-scores, kind="stable")[:7]
    assert {row["trace"]["candidates"][place] for place in best} == {item.id for item in answer.items}
    np.testing.assert_array_equal(np.sort(scores[best]), np.sort(np.float32([item.score for item in answer.items])))
    for place, told in enumerate(path.explain(path.request_type(**asked))):
        assert told.id == answer.items[place].id
        for column, name in enumerate(names):
            value = told.features[name]
            if not isinstance(value, str):  # a text stands as its code
                np.testing.assert_array_equal(features[place, column], np.float32(np.nan if value is None else value))


def test_the_wire_carries_no_trace_once_it_is_taken_off(path: Path) -> None:
    answer = path.answer(path.request_type(customer="nobody"))
    assert b'"trace"' in line(b"{}", answer, 0, 0)
    answer.trace = msgspec.UNSET  # type: ignore[attr-defined]
    assert set(msgspec.json.decode(msgspec.json.encode(answer))) == set(Answer.__struct_fields__)


def test_a_line_says_as_of_which_moment_features_were_read(path: Path) -> None:
    asked = path.request_type(customer=path._finder.somebody())
    at = path.bundle.reader.as_of + 40 * 86_400_000_000
    row = record(b"{}", path.answer(asked, at), 0, 0)
    assert row["trace"]["at"] == at
    later = {item.id: item.features for item in path.explain(asked, at)}
    names = path.bundle.facts.ladders["rank"].names
    features = served_features(row, "rank", len(names))
    month = names.index("customer_visits_30d")
    assert {each["customer_visits_30d"] for each in later.values()} == set(features[:, month]) == {0.0}


def test_an_answer_without_candidates_has_an_empty_trace(path: Path) -> None:
    answer = path.answer(path.request_type(customer="nobody", candidates=[]))
    row = record(b"{}", answer, 0, 0)
    assert path.bundle.clock is not None
    assert row["trace"] == {"candidates": [], "scores": {}, "features": {}, "at": path.bundle.clock()}
    assert served_features(row, "rank", 3).shape == (0, 3)
    assert len(served_scores(row, "rank")) == len(served_bids(row)) == 0
