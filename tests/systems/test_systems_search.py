"""The two searches read the folders that people have, and the ranking is held to the settings of LightGBM's example."""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bottega as bt
from bottega.data.examples import TEST, TRAIN, VALIDATE
from bottega.data.ingest import ingest, read_log
from bottega.data.judged import judged
from bottega.data.log import Log
from bottega.data.logged import logged
from bottega.data.source import Place
from bottega.errors import DesignError
from bottega.models.boosted_trees import BoostedTreesModel
from bottega.models.inputs import Inputs
from bottega.runs.steps.fitting import to_tables
from bottega.systems import document_search, search_ranking

CONF = {  # examples/lambdarank/train.conf of LightGBM, by its own words
    "objective": "lambdarank",
    "num_trees": 100,
    "learning_rate": 0.1,
    "num_leaves": 31,
    "feature_fraction": 1.0,
    "bagging_freq": 1,
    "bagging_fraction": 0.9,
    "min_data_in_leaf": 50,
    "min_sum_hessian_in_leaf": 5.0,
}


def logs(design: bt.Design, folder: Path, work: Path) -> dict[str, Log]:
    found = {}
    for table in design.data.tables:
        ingest(table, Place(folder), work / table.name)
        found[table.name] = read_log(table, work / table.name)
    return found


def lines(queries: range, qid: bool = True) -> str:
    draw = random.Random(queries.start)
    rows = [
        f"{place % 3}{f' qid:{query}' * qid} 1:{draw.random():.3f} 3:{place}" for query in queries for place in range(4)
    ]
    return "\n".join(rows) + "\n"


def plain(folder: Path) -> None:
    for part, queries in (("train", range(60)), ("test", range(60, 80))):
        (folder / f"rank.{part}").write_text(lines(queries, qid=False))
        (folder / f"rank.{part}.query").write_text("4\n" * len(queries))
    (folder / "train.conf").write_text("task = train\n")


def packed(folder: Path) -> None:
    plain(folder)
    for part in ("train", "test"):
        path = folder / f"rank.{part}"
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


def beneath(folder: Path) -> None:
    (folder / "lightgbm_rank").mkdir()
    packed(folder / "lightgbm_rank")


def mslr(folder: Path) -> None:
    for part, queries in (("train", range(50)), ("vali", range(50, 60)), ("test", range(60, 80))):
        (folder / f"{part}.txt").write_text(lines(queries))
    (folder / "README.txt").write_text("A fold.\n")


def one(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        text = lines(range(80))
        (folder / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())

    return write


@pytest.mark.parametrize(
    ("write", "counts"),
    [
        (plain, {TEST: 20}),
        (packed, {TEST: 20}),
        (beneath, {TEST: 20}),
        (mslr, {TRAIN: 50, VALIDATE: 10, TEST: 20}),
        (one("mine.svm"), {}),
        (one("train.svm"), {}),
        (one("mine.svm.gz"), {}),
    ],
)
def test_ranking_folders_are_read_and_parted(
    tmp_path: Path, write: Callable[[Path], None], counts: Mapping[int, int]
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder)
    rows = logs(search_ranking.design, folder, tmp_path)
    design, _ = to_tables(search_ranking.design, rows)
    assert [*design.features] == [bt.Given(["f1", "f2", "f3"])]
    examples = logged(design, rows["rows"])
    part = examples.requests.part
    assert len(part) == 80
    assert len(examples.label) == 320
    found = {number: int((part == number).sum()) for number in (TRAIN, VALIDATE, TEST)}
    assert all(found[number] == count for number, count in counts.items())
    for number in (VALIDATE, TEST):
        assert number in counts or 5 <= found[number] <= 30  # a fifth, by chance
    assert sum(found.values()) == 80


def test_the_example_settings_are_lightgbms() -> None:
    """The rung against LightGBM, called by the words of its own example."""
    rung = next(item for item in search_ranking.design.models["rank"] if item.name == "ExampleSettings")
    assert isinstance(rung, bt.BoostedTrees)
    draw = np.random.default_rng(0)
    values = draw.integers(0, 90, (3000, 5)).astype(np.float32)  # fewer values than bins, of any number
    grades = np.clip(values[:, 0] // 30 + (values[:, 1] > 60) + draw.integers(-1, 2, 3000), 0, 4).astype(np.float32)
    group = np.repeat(np.arange(200, dtype=np.int32), 15)
    rows = Inputs(list("abcde"), ["number"] * 5, values, {}, group)
    model = BoostedTreesModel(rung)
    model.fit(rows, grades)
    how = {**CONF, "seed": rung.seed, "num_threads": 1, "verbosity": -1}
    trees = how.pop("num_trees")
    data = lightgbm.Dataset(values, grades, group=np.full(200, 15), params=how)
    right = lightgbm.train(how, data, trees).predict(values, num_threads=1)
    np.testing.assert_allclose(model.score(rows), right, rtol=1e-5, atol=1e-6)
    without = lightgbm.train({**how, "bagging_freq": 0, "min_sum_hessian_in_leaf": 0.001}, data, trees)
    assert np.abs(without.predict(values, num_threads=1) - right).max() > 0.1  # these settings count


@pytest.mark.parametrize(
    ("field", "value"), [("min_hessian", -1.0), ("row_share", 0.0), ("row_share", 1.1), ("min_hessian", float("nan"))]
)
def test_settings_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(DesignError) as error:
        bt.BoostedTrees(**{field: value})
    assert error.value.where.endswith(field)


TEXTS = {f"d{place}": f"about thing{place} and thing{place + 1}" for place in range(40)}
ASKED = {f"{place}": f"what is thing{place}?" for place in range(40)}
RIGHT = [(query, f"d{query}", 1 + int(query) % 2) for query in ASKED] + [("0", "d9", 0)]


def beir(folder: Path) -> None:
    (folder / "qrels").mkdir()
    for name, texts in (("corpus", TEXTS), ("queries", ASKED)):
        rows = [{"_id": key, "title": f"the {key}", "text": text, "metadata": {}} for key, text in texts.items()]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pairs = "".join(f"{query}\t{doc}\t{grade}\n" for query, doc, grade in RIGHT)
    (folder / "qrels/test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{pairs}")
    (folder / "qrels/train.tsv").write_text("query-id\tcorpus-id\tscore\n0\td5\t1\n")


def titleless(folder: Path) -> None:
    for name, head, rows in (
        ("corpus", ("id", "text"), TEXTS.items()),
        ("queries", ("query_id", "text"), ASKED.items()),
        ("qrels", ("query_id", "doc_id", "grade"), RIGHT),
    ):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([head, *rows])


def gradeless(folder: Path) -> None:
    passages = {"doc_id": list(TEXTS), "title": [f"the {key}" for key in TEXTS], "text": list(TEXTS.values())}
    right = [f"d{query}" for query in ASKED]
    asked = {"query_id": list(ASKED), "text": list(ASKED.values()), "doc_id": right}
    pq.write_table(pa.table(passages), folder / "passages.parquet")
    pq.write_table(pa.table(asked), folder / "questions.parquet")


@pytest.mark.parametrize(
    ("write", "title", "grade"),
    [(beir, "the {key}", [1, 2]), (titleless, "{text}", [1, 2]), (gradeless, "the {key}", [1, 1])],
)
def test_document_folders_are_read(
    tmp_path: Path, write: Callable[[Path], None], title: str, grade: list[float]
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder)
    design = document_search.design
    found = logs(design, folder, tmp_path)
    documents = found["documents"].rows.select(["doc_id", "title", "text"]).to_pylist()
    assert documents == [
        {"doc_id": key, "title": title.format(key=key, text=text), "text": text} for key, text in TEXTS.items()
    ]
    asked = judged(design, found["judgements"], found["queries"])
    assert asked.columns["text"].to_pylist() == list(ASKED.values())
    assert asked.positives_candidate.to_pylist() == [f"d{query}" for query in ASKED]
    assert asked.positives_grade is not None
    assert asked.positives_grade.tolist() == grade * 20
    assert {*asked.part.tolist()} == {TRAIN, VALIDATE, TEST}
