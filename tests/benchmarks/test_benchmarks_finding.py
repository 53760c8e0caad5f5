"""The benchmarks of what finds and ranks by networks run at a tiny size, and what they judge by is right."""

from __future__ import annotations

import gzip
import io
import struct
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_runs import benchmark, written

import bottega
from bottega.runs.steps import measuring

SAMPLE = Path(bottega.__file__).parent / "samples" / "fashion_mnist" / "fashion.parquet"
WHY = "is not installed: pip install 'bottega[deep,images]'"


def need(*packages: str) -> None:
    """Leave the test out where a package of an extra is missing."""
    for package in packages:
        pytest.importorskip(package, reason=f"{package} {WHY}")


def test_nearest_vectors_reach_the_recall_at_every_size(tmp_path: Path) -> None:
    printed, said = benchmark("vectors", tmp_path, "--count", "21000", "--peers", "hnswlib", "--growth")
    assert set(said["sides"]) == {"ours", *(["hnswlib"] if find_spec("hnswlib") else [])}
    assert ("hnswlib: not installed, so hnswlib is left out" in printed) == (find_spec("hnswlib") is None)
    for row in (*said["sides"].values(), *said["growth"].values()):
        assert row["recall"] >= 0.95 - 0.003
        assert len(row["together"]) == len(row["alone"]) == 1
    assert list(said["growth"]) == ["10000", "21000"]
    assert said["growth"]["10000"]["said"].startswith("exact")
    assert said["growth"]["10000"]["index_mb"] == 10_000 * 64 * 4 / 2**20


@pytest.mark.parametrize("module", ["vectors"], indirect=True)
def test_the_recall_is_that_of_a_plain_loop(module: ModuleType, tmp_path: Path) -> None:
    module.make(tmp_path, 400, 3)
    vectors, queries = (module.read(tmp_path, name).astype(float) for name in ("vectors", "tuned"))
    best = np.argsort(-(queries @ vectors.T), axis=1)
    assert module.recalls(tmp_path, "tuned", best[:, :100]).tolist() == [1.0] * len(queries)
    wrong = np.hstack([best[:, :70], best[:, 150:170], np.full((len(queries), 10), -1)])
    assert module.recalls(tmp_path, "tuned", wrong) == pytest.approx(0.7)


@pytest.mark.parametrize("module", ["vectors"], indirect=True)
def test_the_least_effort_that_finds_enough_is_taken(module: ModuleType, tmp_path: Path) -> None:
    module.make(tmp_path, 400, 3)
    vectors = module.read(tmp_path, "vectors")

    def search(effort: int) -> Any:
        return lambda queries: np.argsort(-(queries @ vectors[:effort].T), axis=1)[:, :100]

    assert module.least(tmp_path, [100, 300, 400, 500], search) == 400
    with pytest.raises(SystemExit, match=r"no effort reaches a recall of 0\.95"):
        module.least(tmp_path, [100, 300], search)


def test_two_towers_lose_the_same_as_plain_ones(tmp_path: Path) -> None:
    need("torch")
    printed, said = benchmark("two_tower", tmp_path, "--rows", "20000", "--peers", "plain")
    assert set(said["sides"]) == {"ours", "plain"}
    assert "goal: 1.0 × plain PyTorch" in printed
    assert all(row["median"] > 0 for row in said["sides"].values())


@pytest.mark.parametrize("module", ["two_tower"], indirect=True)
def test_towers_that_lose_otherwise_or_learn_nothing_are_found(module: ModuleType) -> None:
    ours = {"loss": np.array([5.0, 5.1]), "learnt": np.array([4.0])}
    assert module.check(ours, ours) == ""
    assert module.check(ours, {**ours, "loss": np.array([5.0, 5.2])}).startswith("losses")
    assert module.check(ours, {**ours, "learnt": np.array([5.2])}) == "a pass did not lower the loss"


def idx(values: np.ndarray) -> bytes:
    """The form of the original files: two zeros, the type, the dimensions, their sizes, the values."""
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return gzip.compress(head + values.tobytes())


def write_pictures(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Write the package's sample as the original files, mixed; give the pictures and classes of each."""
    from PIL import Image

    table, found = pq.read_table(SAMPLE), {}
    mixed = table.take(np.random.default_rng(0).permutation(len(table))).to_pylist()
    names = sorted({row["label"] for row in mixed})
    for part, file in (("train", "train"), ("test", "t10k")):
        rows = [row for row in mixed if row["part"] == part]
        pictures = np.stack([np.array(Image.open(io.BytesIO(row["image"]))) for row in rows])
        label = np.array([names.index(row["label"]) for row in rows], np.uint8)
        for name, values in (("images-idx3", pictures), ("labels-idx1", label)):
            (folder / f"{file}-{name}-ubyte.gz").write_bytes(idx(values))
        found[file] = pictures, label
    return found


def test_pictures_are_searched_by_their_encoder_and_as_they_are(tmp_path: Path) -> None:
    need("torch", "onnxruntime", "PIL")
    (tmp_path / "fashion_mnist").mkdir()
    parts = write_pictures(tmp_path / "fashion_mnist")
    out = tmp_path / "out"
    printed, said = benchmark("visual", out, "--data", str(tmp_path), "--rows", "1500", "--epochs", "1")
    assert "| fashion_mnist, 1,000 queries | P@1 | P@10 | mAP@100 |" in printed
    (items, label), (queries, truth) = parts["train"], parts["t10k"]
    flat = items[:1500].reshape(1500, -1).astype(float)
    near = [int(((flat - query.ravel()) ** 2).sum(axis=1).argmin()) for query in queries[:1000]]
    right = float((label[near] == truth[:1000]).mean())
    sides = said["sides"]
    assert sides["pixels"]["precision@1"]["value"] == pytest.approx(right, abs=2e-3)  # two items may be as near
    assert sides["encoder"]["precision@1"]["value"] > 0.4  # ten classes
    for pair, row in said["differences"].items():
        one, other = pair.split(" less ")
        for name, gap in row.items():
            assert gap["value"] == pytest.approx(sides[one][name]["value"] - sides[other][name]["value"])


@pytest.mark.parametrize("module", ["visual"], indirect=True)
def test_the_largest_products_come_first(module: ModuleType) -> None:
    rng = np.random.default_rng(0)
    queries, items = rng.normal(size=(5, 4)), rng.normal(size=(300, 4))
    items[200:] = items[:100]  # equal products, of which any may be the last one that is shown
    for query, found in zip(queries, module.by_product(queries, items), strict=True):
        products = [float(item @ query) for item in items]
        shown = [(-products[place], int(place)) for place in found]
        assert shown == sorted(shown)
        assert len(set(shown)) == module.SHOWN
        assert [-product for product, _ in shown] == sorted(products, reverse=True)[: module.SHOWN]


@pytest.mark.parametrize("module", ["multi_task"], indirect=True)
def test_one_network_for_all_tasks_stands_beside_one_for_each(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    need("torch", "onnx", "onnxruntime")
    monkeypatch.setattr(measuring, "REQUESTS", 20)  # the benchmark is not about the service
    monkeypatch.setattr(measuring, "WARM_UP", 2)
    monkeypatch.setattr(sys, "argv", ["multi_task.py", "--rows", "1000", "--epochs", "1", "--out", str(tmp_path)])
    module.main()
    (run,) = written(tmp_path)["feeds"]["world"].values()
    assert list(run["tasks"]) == list(module.TASKS)
    for label, task in run["tasks"].items():
        assert task["positives"] > 0
        for name, found in task["less_single"].items():
            for metric, pair in found.items():
                apart = task["metrics"][name][metric] - task["metrics"][f"only_{label}"][metric]
                assert pair["difference"] == pytest.approx(apart)
                clear = {"lost": pair["high"] < 0, "gained": pair["low"] > 0}
                assert {word: f"{name} on {label} by {metric}" in run[word] for word in clear} == clear
    only = [run["cost"][f"only_{label}"]["train_s"] for label in module.TASKS]
    assert run["cost"]["all single networks"]["train_s"] == pytest.approx(sum(only))
    assert "| read |" in capsys.readouterr().out
