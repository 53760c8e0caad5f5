"""Judged examples: requests with the candidates that were judged right, against plain dictionaries."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bottega as bt
from bottega.data.examples import PART_NAMES, TEST, TRAIN, UNUSED, VALIDATE, Requests
from bottega.data.judged import judged
from bottega.data.log import Log
from bottega.errors import DataError

EXAMPLES = bt.Judged(
    "judged", query="query", candidate="doc", requests="asked", request=["text", "count"], catalogue="docs"
)
GIVEN = bt.GivenSplit("part")
TABLES = [bt.Table("judged"), bt.Table("asked", key="query"), bt.Table("docs", key="doc")]
PARTS = {"train": TRAIN, "validate": VALIDATE, "test": TEST}


def design(split: Any = GIVEN, label: str = "grade", examples: bt.Judged = EXAMPLES) -> bt.Design:
    return bt.Design(
        name="test",
        scope=bt.Scope(question="Does it work?"),
        data=bt.Data(tables=TABLES, examples=examples, labels=[bt.Label(label)], split=split),
        features=[],
        models={"retrieve": [bt.BM25(query="text", over=["text"])], "rank": [bt.Fusion(over=["bm25_score"])]},
        evaluation=bt.Evaluation(primary="ndcg@10"),
        serving=bt.Serving(path=[bt.Retrieve(), bt.Rank()]),
    )


def table(name: str, rows: list[dict[str, Any]], types: dict[str, pa.DataType]) -> Log:
    columns = {key: pa.array([row.get(key) for row in rows], kind) for key, kind in types.items()}
    return Log(name, pa.table(columns), None, None)


PAIR = {"query": pa.int64(), "doc": pa.string(), "grade": pa.float64(), "part": pa.string()}
ASKED = {"query": pa.int64(), "text": pa.string(), "count": pa.int64(), "part": pa.string()}


def made(pairs: list[dict[str, Any]], asked: list[dict[str, Any]], **fields: Any) -> Requests:
    return judged(design(**fields), table("judged", pairs, PAIR), table("asked", asked, ASKED))


def told(found: Requests) -> list[tuple[Any, ...]]:
    """Each request: its text, its part, and its right candidates with their grades."""
    assert found.positives_grade is not None
    assert (np.diff(found.positives_request) >= 0).all()
    grades: list[dict[str, float]] = [{} for _ in range(len(found))]
    names = found.positives_candidate.to_pylist()
    for request, name, grade in zip(found.positives_request, names, found.positives_grade.tolist(), strict=True):
        assert name not in grades[request]
        assert not grades[request] or name > max(grades[request])  # sorted within a request
        grades[request][name] = grade
    return list(zip(found.columns["text"].to_pylist(), found.part.tolist(), grades, strict=True))


def naive(pairs: list[dict[str, Any]], asked: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    last = {row["query"]: place for place, row in enumerate(asked) if row["query"] is not None}
    right: dict[int, dict[str, float]] = {}
    for pair in pairs:
        grade = pair["grade"]
        if pair["query"] in last and pair["doc"] is not None and grade is not None and grade > 0:
            mine = right.setdefault(pair["query"], {})
            mine[pair["doc"]] = max(mine.get(pair["doc"], 0.0), grade)
    found = []
    for place, row in enumerate(asked):
        if last.get(row["query"]) == place and row["query"] in right:
            found.append((row["text"], PARTS.get(row["part"], UNUSED), right[row["query"]]))
    return found


QUERY = st.one_of(st.none(), st.integers(0, 6))
PAIRS = st.lists(
    st.fixed_dictionaries(
        {
            "query": QUERY,
            "doc": st.sampled_from([None, "a", "b", "10", "9"]),
            "grade": st.sampled_from([None, -1.0, 0.0, 0.5, 1.0, 2.0, float("nan")]),
        }
    ),
    max_size=25,
)
ROWS = st.lists(st.fixed_dictionaries({"query": QUERY, "text": st.sampled_from([None, "", "x", "y"])}), max_size=10)
SURE: list[dict[str, Any]] = [{"query": 100 + place, "doc": "a", "grade": 1.0} for place in range(3)]


@given(PAIRS, ROWS, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_judged_is_what_dictionaries_say(pairs: list[dict[str, Any]], asked: list[dict[str, Any]], random: Any) -> None:
    part_of = {query: random.choice(["train", "validate", "test", "spare", None]) for query in [None, *range(7)]}
    asked = [{**row, "count": 3, "part": part_of[row["query"]]} for row in asked]
    sure = [{"query": 100 + n, "text": "z", "count": 1, "part": part} for n, part in enumerate(PARTS)]
    pairs, asked = [*SURE, *pairs], [*asked, *sure]
    random.shuffle(pairs)
    found = made(pairs, asked)
    assert told(found) == naive(pairs, asked)
    assert not found.time.any()
    assert found.relevant().tolist() == [len(right) for _, _, right in naive(pairs, asked)]
    assert found.columns.schema.types == [pa.string(), pa.int64()]


def three(count: int = 3) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    names = list(PARTS)
    asked = [{"query": n, "text": f"t{n}", "count": n, "part": names[n % 3]} for n in range(count)]
    return [{"query": n, "doc": f"d{n}", "grade": 1.0, "part": names[n % 3]} for n in range(count)], asked


def test_the_part_may_stand_beside_the_judgements() -> None:
    pairs, asked = three()
    split = bt.GivenSplit("place")
    own = {**PAIR, "place": pa.string()}
    rows = [{**pair, "place": pair["part"]} for pair in pairs] + [{"query": 77, "doc": "d", "place": "spare"}]
    found = judged(design(split), table("judged", rows, own), table("asked", asked, ASKED))
    assert found.part.tolist() == [TRAIN, VALIDATE, TEST]


@pytest.mark.parametrize("where", ["asked", "judged"])
def test_a_request_in_two_parts_is_refused(where: str) -> None:
    pairs, asked = three()
    if where == "asked":
        asked.append({**asked[0], "part": "test"})
        split = GIVEN
        log = table("judged", pairs, PAIR)
    else:
        split = bt.GivenSplit("place")
        rows = [{**pair, "place": pair["part"]} for pair in [*pairs, {**pairs[0], "doc": "e", "part": "test"}]]
        log = table("judged", rows, {**PAIR, "place": pa.string()})
    with pytest.raises(DataError, match="several values for the request '0'") as caught:
        judged(design(split), log, table("asked", asked, ASKED))
    assert where in str(caught.value)


def test_one_row_with_a_part_and_one_without_disagree() -> None:
    pairs, asked = three()
    for rows in ([*asked, {**asked[0], "part": None}], [{**asked[0], "part": None}, *asked]):
        with pytest.raises(DataError, match="several values"):
            made(pairs, rows)


def chance(name: str) -> float:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big") / 2**56


def test_validation_may_be_a_share_of_training() -> None:
    pairs, asked = three(300)
    asked = [{**row, "part": "test" if row["part"] == "test" else "train"} for row in asked]
    found = made(pairs, asked, split=bt.GivenSplit("part", validate=0.3))
    right = [TEST if n % 3 == 2 else VALIDATE if chance(str(n)) < 0.3 else TRAIN for n in range(300)]
    assert found.part.tolist() == right
    few = made(pairs[:60], asked[:60], split=bt.GivenSplit("part", validate=0.3))
    assert few.part.tolist() == right[:60]  # what is held out stays held out when the table grows


def test_without_the_column_parts_are_drawn_by_the_hash_of_each() -> None:
    pairs, asked = three(300)
    split = bt.GivenSplit("fold", otherwise=0.2)
    found = made(pairs, asked, split=split)
    right = [TEST if chance(str(n)) < 0.2 else VALIDATE if chance(str(n)) < 0.4 else TRAIN for n in range(300)]
    assert found.part.tolist() == right
    with pytest.raises(DataError, match="fold"):
        made(pairs, asked, split=bt.GivenSplit("fold"))


def test_other_splits() -> None:
    pairs, asked = three(60)
    found = made(pairs, asked, split=bt.RandomSplit(validate=0.2, test=0.2))
    assert [int((found.part == part).sum()) for part in (TRAIN, VALIDATE, TEST)] == [36, 12, 12]
    asked = [{**row, "count": n // 6} for n, row in enumerate(asked)]
    found = made(pairs, asked, split=bt.GroupSplit(by="count", validate=0.2, test=0.2))
    by_group = {count: {found.part[n] for n in range(60) if n // 6 == count} for count in range(10)}
    assert all(len(parts) == 1 for parts in by_group.values())
    assert [sum(part in parts for parts in by_group.values()) for part in (TRAIN, VALIDATE, TEST)] == [6, 2, 2]


def test_what_names_requests_otherwise_in_both_tables_is_said() -> None:
    pairs, asked = three()
    with pytest.raises(DataError, match="no judgement above 0 whose query stands in 'asked'"):
        made([{**pair, "query": 1000} for pair in pairs], asked)
    with pytest.raises(DataError, match="no judgement above 0"):
        made([{**pair, "grade": 0.0} for pair in pairs], asked)
    with pytest.raises(DataError, match="no judgement above 0"):
        made([], [])


def test_numbers_and_texts_name_the_same_request() -> None:
    pairs, asked = three()
    texts = table("judged", [{**pair, "query": str(pair["query"])} for pair in pairs], {**PAIR, "query": pa.string()})
    found = judged(design(), texts, table("asked", asked, ASKED))
    assert found.columns["text"].to_pylist() == ["t0", "t1", "t2"]
    floats = table("judged", pairs, {**PAIR, "query": pa.float64()})
    assert told(judged(design(), floats, table("asked", asked, ASKED))) == told(found)


def test_an_empty_part_and_missing_columns_are_named() -> None:
    pairs, asked = three()
    with pytest.raises(DataError, match=f"no example in the {PART_NAMES[TEST]} part"):
        made(pairs, [{**row, "part": "train" if n else "validate"} for n, row in enumerate(asked)])
    with pytest.raises(DataError, match="grad"):
        made(pairs, asked, label="grad")
    other = bt.Judged("judged", query="query", candidate="doc", requests="asked", request=["words"], catalogue="docs")
    with pytest.raises(DataError, match="words"):
        made(pairs, asked, examples=other)


def test_grades_that_are_truth_values_or_whole_numbers() -> None:
    pairs, asked = three()
    for kind, right in ((pa.bool_(), 1.0), (pa.int8(), 2.0)):
        rows = [{**pair, "grade": kind == pa.bool_() or 2} for pair in pairs]
        found = judged(design(), table("judged", rows, {**PAIR, "grade": kind}), table("asked", asked, ASKED))
        assert found.positives_grade is not None
        assert found.positives_grade.tolist() == [right] * 3
