"""DCN-V2 on real clicks: ours and torch-rechub's, on the same rows with the same budget of tuning.

Data: `frappe_part` (app usage in context: ten categories, 57,722 rows to learn from, no time). The rows are put in a
random order once; the last tenth judges, and neither side learns from it. Each side tries six settings, at most 40
passes with a patience of four, stopping on ROC-AUC; the setting with the best ROC-AUC on that tenth is taken, and a
Platt line is fitted there. The test rows are read once, by the taken settings alone.

Each side's six: ours varies the penalty on the vectors, dropout and learning rate; torch-rechub's weight decay, dropout
and learning rate, around its own defaults. Network: vectors of 16, three cross layers of rank 32 with two experts,
beside them layers of 256 and 128; batches of 1,024.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from common import arguments, python_of, write
from dcn_training import PEERS  # also pins the peer

SHARE, EPOCHS, PATIENCE, BATCH = 0.1, 40, 4, 1024
LAYERS, CROSS, RANK, EXPERTS, SIZE = (256, 128), 3, 32, 2, 16
OURS = [{"learning_rate": rate, "reg": reg, "dropout": drop}
        for rate, (reg, drop) in product((2e-3, 4e-3), ((1e-3, 0.1), (1e-3, 0.2), (3e-3, 0.2)))]  # fmt: skip
THEIRS = [{"lr": rate, "weight_decay": decay, "dropout": drop}
          for rate, (decay, drop) in product((1e-3, 2e-3), ((1e-5, 0.0), (1e-5, 0.2), (1e-4, 0.2)))]  # fmt: skip
Fitted = tuple[np.ndarray, np.ndarray]  # probabilities of the rows that judge and of the test


def read(folder: Path) -> dict[str, np.ndarray]:
    """Read both files; give codes from 0 up, −1 for what only the test has, and labels; the first in a new order."""
    import pyarrow.parquet as pq

    learn, test = (pq.read_table(folder / f"{name}.parquet") for name in ("train", "test"))
    columns = [name for name in learn.column_names if name != "label"]
    known = [np.unique(learn[name].to_numpy()) for name in columns]
    order = np.random.default_rng(0).permutation(learn.num_rows)
    codes = []
    for table in (learn, test):
        values = [table[name].to_numpy() for name in columns]
        places = [np.minimum(np.searchsorted(k, v), len(k) - 1) for k, v in zip(known, values, strict=True)]
        found = [np.where(k[p] == v, p, -1) for k, v, p in zip(known, values, places, strict=True)]
        codes.append(np.stack(found, axis=1).astype(np.int64))
    labels = [table["label"].to_numpy().astype(np.float32) for table in (learn, test)]
    return {"learn": codes[0][order], "label": labels[0][order], "test": codes[1], "truth": labels[1]}


def ours(rows: dict[str, np.ndarray], setting: dict[str, Any]) -> Fitted:
    """Fit ours."""
    from bottega.design.scorers import DCN
    from bottega.models.inputs import Inputs
    from bottega.models.making import make_scorer

    def block(codes: np.ndarray) -> Inputs:
        names = [f"c{j}" for j in range(codes.shape[1])]
        return Inputs(names, ["category"] * len(names), np.ascontiguousarray(codes, dtype=np.float32))

    model: Any = make_scorer(
        DCN(embedding_size=SIZE, layers=LAYERS, cross_layers=CROSS, rank=RANK, experts=EXPERTS, batch=BATCH,
            epochs=EPOCHS, patience=PATIENCE, stop_share=SHARE, stop_on="roc_auc", **setting)
    )  # fmt: skip
    model.fit(block(rows["learn"]), rows["label"])
    judge = rows["learn"][first(rows) :]
    return model.score(block(judge)), model.score(block(rows["test"]))


def rechub(rows: dict[str, np.ndarray], setting: dict[str, Any]) -> Fitted:
    """Fit torch-rechub's network by its own trainer, batches cut from whole arrays."""
    import torch
    from dcn_training import Batches
    from sklearn.metrics import roc_auc_score
    from torch_rechub.basic.features import SparseFeature
    from torch_rechub.models.ranking import DCNv2
    from torch_rechub.trainers import CTRTrainer

    torch.manual_seed(0)
    start = first(rows)
    columns = range(rows["learn"].shape[1])
    learn, judge, test = (
        {f"c{j}": torch.as_tensor(codes[:, j] + 1) for j in columns}  # 0 stands for what was never seen
        for codes in (rows["learn"][:start], rows["learn"][start:], rows["test"])
    )
    features = [SparseFeature(f"c{j}", int(rows["learn"][:, j].max()) + 2, SIZE) for j in columns]
    parts = {"dims": list(LAYERS), "dropout": setting["dropout"], "activation": "relu"}
    model = DCNv2(features, CROSS, parts, low_rank=RANK, num_experts=EXPERTS)
    adam = {"lr": setting["lr"], "weight_decay": setting["weight_decay"]}
    trainer = CTRTrainer(model, optimizer_params=adam, n_epoch=1)
    batches = Batches(learn, rows["label"][:start], BATCH)
    best, left, kept = 0.0, PATIENCE, (np.empty(0), np.empty(0))
    for _ in range(EPOCHS):
        model.train()
        trainer.train_one_epoch(batches)
        model.eval()
        with torch.no_grad():
            scores = model(judge).numpy()
            order = float(roc_auc_score(rows["label"][start:], scores))
            left -= 1
            if order > best:
                best, left, kept = order, PATIENCE, (scores, model(test).numpy())
        if not left:
            break
    return kept


def first(rows: dict[str, np.ndarray]) -> int:
    """Give the first row that judges."""
    return len(rows["label"]) - int(len(rows["label"]) * SHARE)


def side(name: str, inputs: Path, settings: list[dict[str, Any]]) -> None:
    """Be the process of one side: try each setting, print a line of JSON for it, and keep its probabilities."""
    fit: Callable[..., Fitted] = {"ours": ours, "rechub": rechub}[name]
    with np.load(inputs, allow_pickle=False) as file:
        rows = dict(file)
    for number, setting in enumerate(settings):
        began = time.perf_counter()
        judge, test = fit(rows, setting)
        np.savez(inputs.with_name(f"{name}-{number}.npz"), judge=judge, test=test)
        print(json.dumps({"setting": setting, "seconds": time.perf_counter() - began}), flush=True)


def judge(rows: dict[str, np.ndarray], inputs: Path, name: str, tried: list[dict[str, Any]]) -> dict[str, Any]:
    """Take the best of the tried settings by the rows that judge, and read the test once."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss, roc_auc_score

    label, found = rows["label"][first(rows) :], []
    for number in range(len(tried)):
        with np.load(inputs.with_name(f"{name}-{number}.npz"), allow_pickle=False) as file:
            found.append({key: np.clip(file[key].astype(float), 1e-7, 1 - 1e-7) for key in ("judge", "test")})
    orders = [float(roc_auc_score(label, one["judge"])) for one in found]
    taken = int(np.argmax(orders))
    odds = {key: np.log(values / (1 - values))[:, None] for key, values in found[taken].items()}
    platt = LogisticRegression(C=1e6).fit(odds["judge"], label)
    return {
        "tried": [{**one, "roc_auc": order} for one, order in zip(tried, orders, strict=True)],
        "taken": tried[taken]["setting"],
        "roc_auc": float(roc_auc_score(rows["truth"], found[taken]["test"])),
        "log_loss": float(log_loss(rows["truth"], platt.predict_proba(odds["test"])[:, 1])),
        "log_loss_uncalibrated": float(log_loss(rows["truth"], found[taken]["test"])),
    }


def main() -> None:
    """Measure, print the table, write it to `frappe_dcn.json`."""
    parser = arguments(__doc__ or "")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("BOTTEGA_DATA", ".")), help="holds frappe_part/"
    )
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="that each side may use")
    parser.add_argument("--install", action="store_true", help="make the environment of the peer if it is missing")
    chosen = parser.parse_args()
    rows = read(chosen.data / "frappe_part")
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "rows.npz"
        np.savez(inputs, **rows)
        for name, settings, package in (("ours", OURS, ""), ("rechub", THEIRS, PEERS["rechub"])):
            python = python_of(package, chosen.install) if package else Path(sys.executable)
            if python is None:
                print(f"{package}: not installed, so {name} is left out; --install makes its environment")
                continue
            call = f"side({name!r}, Path({str(inputs)!r}), {settings!r})"
            done = subprocess.run(
                [python, "-c", f"from pathlib import Path; from frappe_dcn import side; {call}"],
                env={**os.environ, "OMP_NUM_THREADS": str(chosen.threads), "PYTHONPATH": str(Path(__file__).parent)},
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
            tried = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
            found[name] = judge(rows, inputs, name, tried)
    print("| frappe, test | ROC-AUC | log loss | without a calibrator | its setting |\n" + "| --- " * 5 + "|")
    for name, row in found.items():
        setting = ", ".join(f"{key} {value:g}" for key, value in row["taken"].items())
        figures = " | ".join(f"{row[key]:.4f}" for key in ("roc_auc", "log_loss", "log_loss_uncalibrated"))
        print(f"| {name} | {figures} | {setting} |")
    write("frappe_dcn", chosen.out, {"sides": found}, ["bottega", "torch", "numpy", "scikit-learn", "torch-rechub"])


if __name__ == "__main__":
    sys.exit(main())
