"""Nothing leaks: with every row after the cut replaced by noise, what was learnt before it is the same to the byte."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tiny_shop import tiny_design

import bottega as bt
from bottega.data.examples import TEST
from bottega.data.source import Place
from bottega.features.frame import objects
from bottega.models.making import retriever_class
from bottega.models.retrieving import retrieved
from bottega.models.union import union
from bottega.runs.runner import Runner
from bottega.runs.step import Result
from bottega.runs.steps.examples import Examples, make_examples, make_requests, read_examples
from bottega.runs.steps.features import compute_features, load
from bottega.runs.steps.job import Job
from bottega.runs.steps.lessons import CHOICE, FINAL, make_lessons
from bottega.runs.steps.retrieving import retrieve, score
from bottega.runs.steps.tables import ingest_tables
from bottega.runs.steps.training import train
from bottega.runs.workspace import Workspace
from bottega.systems.shop_recommendation import design as shop

DAY = 86_400_000_000
LOG = Path("online_retail") / "online_retail.parquet"


@dataclass(frozen=True)
class Learnt:
    """What the steps up to the trained models left."""

    rows: Examples
    retrievers: dict[str, Result]
    scores: dict[str, Result]
    features: list[Result]
    rankers: dict[str, dict[str, Result]]


@contextmanager
def learnt(design: bt.Design, data: Path, workspace: Path) -> Iterator[Learnt]:
    with Runner(Workspace(workspace, design.name)) as runner:
        job = Job(design, Place(data), runner)
        ingest_tables(job)
        asked = make_requests(job)
        retrievers = retrieve(job, asked)
        examples = make_examples(job, asked, retrievers)
        scores = score(job, retrievers, examples)
        features = compute_features(job, examples, scores)
        rankers: dict[str, dict[str, Result]] = {}
        for (_, rung, fit), result in train(job, examples, make_lessons(job, examples), scores, features).items():
            rankers.setdefault(rung, {})[fit] = result
        yield Learnt(read_examples(examples.folder), retrievers, scores, features[FINAL], rankers)


def with_noise(source: Path, cut: int, target: Path) -> int:
    """Copy a log with other people, products, prices, quantities, countries in all rows from the cut on, same times."""
    rows = pq.read_table(source)
    time = rows["InvoiceDate"].cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
    late = time >= cut
    rng = np.random.default_rng(17)
    drawn = {
        "CustomerID": rng.permutation(rows["CustomerID"].to_numpy())[: len(late)]
        + rng.integers(0, 2, len(late)) * 5000,
        "Quantity": rng.integers(1, 10_000, len(late)),
        "UnitPrice": np.round(rng.lognormal(3, 2, len(late)), 2) + 0.01,
        "StockCode": np.char.add(rng.integers(10_000, 99_999, len(late)).astype(str), "Z").astype(object),
        "Country": np.full(len(late), "Nowhere", object),
        "InvoiceNo": rng.integers(900_000, 999_999, len(late)).astype(str).astype(object),
    }
    known = rng.random(len(late)) < 0.5  # half of the noise is of products that the shop has
    drawn["StockCode"][known] = rng.permutation(rows["StockCode"].to_numpy())[known]
    for name, noise in drawn.items():
        place = rows.column_names.index(name)
        kind = rows.schema.field(name).type
        fresh = pa.array(noise, from_pandas=True).cast(kind, safe=False)
        column = pc.if_else(pa.array(late), fresh, rows.column(name).combine_chunks())
        rows = rows.set_column(place, name, column)
    (target / LOG).parent.mkdir(parents=True)
    pq.write_table(rows, target / LOG)
    return int(late.sum())


def bytes_of(column: object, chosen: np.ndarray) -> bytes:
    """The values of some rows of a column, whatever their words are numbered by."""
    values = objects(column)[chosen]  # type: ignore[arg-type]
    return repr(values.tolist()).encode() if values.dtype == object else np.ascontiguousarray(values).tobytes()


def training_tables(found: Learnt) -> dict[str, bytes]:
    """Requests, candidates, labels, weights, retrievers' scores and every feature of training and validation."""
    rows = found.rows
    asked, here = rows.requests.part < TEST, rows.part < TEST
    positives = asked[rows.requests.positives_request]
    tables = {
        f"request {name}": rows.requests.columns[name].filter(pa.array(asked)).to_pylist() for name in ["customer"]
    }
    tables["time"] = rows.requests.time[asked].tolist()
    tables["positives"] = rows.requests.positives_candidate.filter(pa.array(positives)).to_pylist()
    plain = {name: repr(values).encode() for name, values in tables.items()}
    for name in ("group", "label", "weight", "retrieved", "learn", "candidate"):
        plain[name] = bytes_of(getattr(rows, name), np.flatnonzero(here))
    for name, result in found.scores.items():
        plain[f"score of {name}"] = np.load(result.folder / "scores.npy")[here].tobytes()
    values = load(found.features)
    for level, columns, chosen in (("request", values.request, asked), ("row", values.row, here)):
        for name, column in columns.items():
            plain[f"{level} feature {name}"] = bytes_of(column, np.flatnonzero(chosen))
    for name, fits in found.rankers.items():
        plain[f"validation by {name}"] = np.load(fits[CHOICE].folder / "scores.npy")[here].tobytes()
    return plain


def models(found: Learnt) -> dict[str, bytes]:
    """Every file of the retrievers at all cuts, and of the rankers."""
    folders = {
        f"{name}/{path.name}": path for name, each in found.retrievers.items() for path in each.folder.glob("cut-*")
    }
    folders |= {
        f"{name}/{fit}": each.folder / "model" for name, fits in found.rankers.items() for fit, each in fits.items()
    }
    return {
        f"{name}/{path.relative_to(folder)}": path.read_bytes()
        for name, folder in folders.items()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def candidates(found: Learnt, design: bt.Design, people: list[str]) -> np.ndarray:
    """What the path retrieves at the test cut for some people, (people, k)."""
    last = len(np.unique(found.rows.requests.time)) - 1
    names = [setting.name or type(setting).__name__ for setting in design.models["retrieve"]]
    lists = []
    for name, setting in zip(names, design.models["retrieve"], strict=True):
        model = retriever_class(setting).load(found.retrievers[name].folder / f"cut-{last}", setting)
        lists.append(retrieved(model, people, setting.k)[0])
    return union(lists, 400)


def customers(log: Path) -> list[str]:
    """Everybody who is in the log at all, as ids are written."""
    column = pq.read_table(log, columns=["CustomerID"])["CustomerID"].drop_null()
    return sorted({str(int(number)) for number in column.to_pylist()})


def features_at_the_cut(found: Learnt) -> dict[tuple[str, str], bytes]:
    """All features of each retrieved candidate of the test."""
    values = load(found.features)
    columns = {name: objects(values.at_rows(name, found.rows.group)) for name in [*values.request, *values.row]}
    people = found.rows.requests.columns["customer"].to_pylist()
    names = found.rows.candidate.to_pylist()
    chosen = np.flatnonzero((found.rows.part == TEST) & found.rows.retrieved).tolist()
    return {
        (people[found.rows.group[row]], names[row]): repr([column[row] for column in columns.values()]).encode()
        for row in chosen
    }


def audit(design: bt.Design, data: Path, home: Path) -> None:
    with learnt(design, data, home / "before") as before:
        cut = int(before.rows.requests.time.max())
        assert cut % DAY == 0
        replaced = with_noise(data / LOG, cut, home / "noise")
        with learnt(design, home / "noise", home / "after") as after:
            assert replaced > 100
            assert int(after.rows.requests.time.max()) == cut
            ours, theirs = training_tables(before), training_tables(after)
            assert ours.keys() == theirs.keys()
            assert [name for name in ours if ours[name] != theirs[name]] == []
            ours, theirs = models(before), models(after)
            assert ours.keys() == theirs.keys()
            assert [name for name in ours if ours[name] != theirs[name]] == []
            people = customers(data / LOG)
            np.testing.assert_array_equal(candidates(before, design, people), candidates(after, design, people))
            first, second = features_at_the_cut(before), features_at_the_cut(after)
            both = first.keys() & second.keys()
            assert len(both) > 100
            assert [pair for pair in both if first[pair] != second[pair]] == []
            assert bought_after(before) != bought_after(after)  # the noise did reach what comes after the cut


def bought_after(found: Learnt) -> set[tuple[int, str]]:
    asked = found.rows.requests
    late = asked.part[asked.positives_request] == TEST
    people = asked.columns["customer"].to_pylist()
    items = asked.positives_candidate.filter(pa.array(late)).to_pylist()
    return {(people[one], item) for one, item in zip(asked.positives_request[late].tolist(), items, strict=True)}


def test_on_the_world_nothing_leaks(shop_data: Path, tmp_path: Path) -> None:
    audit(tiny_design(), shop_data, tmp_path)


def test_on_the_real_log_nothing_leaks(tmp_path: Path) -> None:
    """The shop design as it is, on a sixteenth of the customers."""
    folder = os.environ.get("BOTTEGA_DATA")
    if not folder or not (Path(folder) / LOG).is_file():
        pytest.skip(f"BOTTEGA_DATA={folder or ''} holds no {LOG}: the real log is not part of the project")
    rows = pq.read_table(Path(folder) / LOG)
    some = pc.equal(pc.bit_wise_and(rows["CustomerID"].cast(pa.int64(), safe=False), 15), 3)
    (tmp_path / "data" / LOG).parent.mkdir(parents=True)
    pq.write_table(rows.filter(some), tmp_path / "data" / LOG)
    audit(shop, tmp_path / "data", tmp_path)
