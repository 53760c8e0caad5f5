"""Training DCN-V2: ours and torch-rechub's, the same network on the same rows.

Rows as in the click logs of display advertising: 26 categories of 10 to 100,000 ids by a Zipf law, 13 numbers with a
long tail and nulls. The truth can be learnt and is known: each id has an effect of its own, four pairs of categories an
effect of the pair, three numbers bend; a share of 25 to 30 % is positive. The latest rows judge both.

Network: vectors of 16, three cross layers of four low-rank experts (rank 32), beside them layers of 256 and 128, in
parallel; batches of 4,096. Both normalise batches between the layers; each side tries the same six learning rates and
keeps the one with the lowest loss on the rows that judge, and it is said where that is the first or the last of them;
the rest of the settings are each one's own defaults, the precision too. torch-rechub runs twice: with its own
`DataGenerator`, and with batches cut from whole arrays, which its trainer takes as well.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import PINS, Prepared, Side, arguments, choose, draw_keys, peer_arguments, write

PINS["torch-rechub"] = [
    "torch-rechub==0.9.0", "torch==2.13.0", "numpy==2.4.6", "pandas==3.1.1", "scikit-learn==1.9.1",
]  # fmt: skip
PEERS = {"rechub": "torch-rechub", "rechub_batches": "torch-rechub"}
FIELDS, NUMBERS, PAIRS, VALIDATE = 26, 13, 4, 0.2
BATCH, RANK, EXPERTS, CROSS, LAYERS, SIZE = 4096, 32, 4, 3, (256, 128), 16
RATES = (1e-3, 3e-3, 1e-2, 2e-2, 4e-2, 1e-1)


def draw(rows: int, seed: int, largest: int = 100_000) -> dict[str, np.ndarray]:
    """Draw rows and their truth: codes (rows, 26) int32, numbers (rows, 13) float32, label and chance (rows,)."""
    rng = np.random.default_rng(seed)
    sizes = np.geomspace(10, largest, FIELDS).round().astype(np.int64)
    codes = np.stack([draw_keys(rng, rows, int(size)) for size in sizes], axis=1)
    logit = np.full(rows, -1.2)
    for j, size in enumerate(sizes):
        logit += rng.normal(0, 0.2, size)[codes[:, j]]
    for j, k in rng.permutation(2 * PAIRS).reshape(PAIRS, 2):
        one, other = (rng.normal(size=(sizes[field], 2))[codes[:, field]] for field in (j, k))
        logit += 0.4 * (one * other).sum(axis=1)
    numbers = rng.lognormal(0, 1.5, (rows, NUMBERS)).astype(np.float32)
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    bent = np.nan_to_num(np.log1p(numbers))
    logit += 0.4 * np.sin(2 * bent[:, 0]) + 0.2 * (bent[:, 1] - 1) * (bent[:, 2] - 1)
    chance = 1 / (1 + np.exp(-logit))
    return {"codes": codes, "numbers": numbers, "chance": chance, "label": (rng.random(rows) < chance).astype(np.int8)}


def load(inputs: Path) -> tuple[dict[str, np.ndarray], int, int, float]:
    """Read the rows; give them, the first row that judges, the number of passes, and the learning rate."""
    with np.load(inputs / "rows.npz", allow_pickle=False) as file:
        rows = dict(file)
    rate = float((inputs / "rate").read_text())
    return rows, len(rows["label"]) - int(len(rows["label"]) * VALIDATE), int(rows.pop("epochs")), rate


def ours(inputs: Path) -> Prepared:
    """Prepare ours: the model as a ladder fits it."""
    from bottega.design.scorers import DCN
    from bottega.models.inputs import Inputs
    from bottega.models.making import make_scorer

    rows, _, epochs, rate = load(inputs)
    names = [f"c{j}" for j in range(FIELDS)] + [f"n{j}" for j in range(NUMBERS)]
    values = np.concatenate([rows["codes"].astype(np.float32), rows["numbers"]], axis=1)
    block = Inputs(names, ["category"] * FIELDS + ["number"] * NUMBERS, values)
    setting = DCN(
        embedding_size=SIZE, layers=LAYERS, cross_layers=CROSS, rank=RANK, experts=EXPERTS, batch=BATCH,
        learning_rate=rate, epochs=epochs, patience=epochs, stop_share=VALIDATE,
    )  # fmt: skip

    def run() -> dict[str, Any]:
        model: Any = make_scorer(setting)
        model.fit(block, rows["label"])
        return dict(model.training)

    def answer(found: dict[str, Any]) -> dict[str, np.ndarray]:
        speed = np.array([found["examples_per_s"]])
        return {"losses": np.array(found["later"]), "examples_per_s": speed, "precision": np.array(found["precision"])}

    return run, answer


def rechub(inputs: Path) -> Prepared:
    """Prepare torch-rechub as its documentation shows it."""
    return peer(inputs, own_loader)


def rechub_batches(inputs: Path) -> Prepared:
    """Prepare torch-rechub with batches cut from whole arrays."""
    return peer(inputs, Batches)


def own_loader(x: dict[str, np.ndarray], y: np.ndarray) -> Any:
    """Make torch-rechub's own loader."""
    from torch_rechub.utils.data import DataGenerator

    return DataGenerator(x, y).generate_dataloader(x, y, x, y, batch_size=BATCH)[0]


class Batches:
    """Whole arrays in a new order each pass, cut into batches."""

    def __init__(self, x: dict[str, Any], y: np.ndarray, batch: int = BATCH) -> None:
        import torch

        self.x, self.y = {name: torch.as_tensor(column) for name, column in x.items()}, torch.as_tensor(y)
        self.batch = batch

    def __len__(self) -> int:
        return -(-len(self.y) // self.batch)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Any]]:
        import torch

        for rows in torch.randperm(len(self.y)).split(self.batch):
            yield {name: column[rows] for name, column in self.x.items()}, self.y[rows]


def peer(inputs: Path, loader: Callable[[dict[str, np.ndarray], np.ndarray], Any]) -> Prepared:
    """Prepare torch-rechub's DCN-V2 with a loader; its numbers are standardised, which it leaves to the user."""
    import torch
    from torch_rechub.basic.features import DenseFeature, SparseFeature
    from torch_rechub.models.ranking import DCNv2
    from torch_rechub.trainers import CTRTrainer

    rows, first, epochs, rate = load(inputs)
    bent = np.log1p(rows["numbers"])
    bent = np.nan_to_num((bent - np.nanmean(bent[:first], axis=0)) / np.nanstd(bent[:first], axis=0))
    x = {f"c{j}": rows["codes"][:, j].astype(np.int64) for j in range(FIELDS)}
    x |= {f"n{j}": bent[:, j].astype(np.float32) for j in range(NUMBERS)}
    label = rows["label"].astype(np.float32)
    learn, later = ({name: column[part] for name, column in x.items()} for part in (slice(first), slice(first, None)))
    data = loader(learn, label[:first])

    def run() -> dict[str, Any]:
        torch.manual_seed(0)
        sparse = [SparseFeature(f"c{j}", int(rows["codes"][:, j].max()) + 1, SIZE) for j in range(FIELDS)]
        features = [*sparse, *(DenseFeature(f"n{j}") for j in range(NUMBERS))]
        parts = {"dims": list(LAYERS), "dropout": 0.0, "activation": "relu"}
        model = DCNv2(features, CROSS, parts, low_rank=RANK, num_experts=EXPERTS)
        trainer = CTRTrainer(model, optimizer_params={"lr": rate, "weight_decay": 1e-5}, n_epoch=1)
        losses, seconds = [], 0.0
        for _ in range(epochs):
            began = time.perf_counter()
            trainer.model.train()
            trainer.train_one_epoch(data)
            seconds += time.perf_counter() - began
            model.eval()
            with torch.no_grad():
                parts_of = [
                    model({name: torch.as_tensor(column[low : low + BATCH]) for name, column in later.items()})
                    for low in range(0, len(label) - first, BATCH)
                ]
            chance = torch.cat(parts_of).numpy().clip(1e-7, 1 - 1e-7).astype(float)
            losses.append(-np.log(np.where(label[first:] > 0, chance, 1 - chance)).mean())
        precision = str(next(model.parameters()).dtype).removeprefix("torch.")
        return {"losses": losses, "examples_per_s": epochs * first / seconds, "precision": precision}

    def answer(found: dict[str, Any]) -> dict[str, np.ndarray]:
        speed = np.array([found["examples_per_s"]])
        return {"losses": np.array(found["losses"]), "examples_per_s": speed, "precision": np.array(found["precision"])}

    return run, answer


def once(name: str, python: Path, inputs: Path, rate: float, threads: int) -> tuple[list[float], float, str]:
    """Run a side in a process of its own; give its loss after each pass, examples a second, and precision."""
    (inputs / "rate").write_text(str(rate))
    side = Side(python, "dcn_training", name, inputs, threads)
    try:
        for word in ("load", "run", "answer"):
            side.tell(word)
        with np.load(side.answer, allow_pickle=False) as file:
            return file["losses"].tolist(), float(file["examples_per_s"][0]), str(file["precision"])
    finally:
        side.close()


def measure(sides: dict[str, Path], inputs: Path, runs: int, threads: int) -> dict[str, Any]:
    """Choose each side's learning rate; then run the sides in turn, `runs` times each.

    Gives for each side its rate, and of each run its examples a second, its losses and the best of them.
    """
    found: dict[str, Any] = {}
    for name, python in sides.items():
        tried = {rate: min(once(name, python, inputs, rate, threads)[0]) for rate in RATES}
        print(
            f"  {name}: " + ", ".join(f"rate {rate:g} loss {loss:.4f}" for rate, loss in tried.items()), file=sys.stderr
        )
        rate = min(tried, key=lambda rate: tried[rate])
        found[name] = {"rate": rate, "at_edge": rate in (RATES[0], RATES[-1]), "tried": list(tried.items())}
        found[name] |= {"examples_per_s": [], "loss": [], "losses": []}
    for number in range(runs):
        for name, python in sides.items():
            losses, speed, found[name]["precision"] = once(name, python, inputs, found[name]["rate"], threads)
            print(f"  round {number + 1}, {name}: {speed:,.0f} examples/s, loss {min(losses):.4f}", file=sys.stderr)
            for key, value in (("examples_per_s", speed), ("loss", min(losses)), ("losses", losses)):
                found[name][key].append(value)
    return found


def main() -> None:
    """Measure, print the table, write it to `dcn_training.json`."""
    parser = arguments(__doc__ or "")
    peer_arguments(parser, PEERS)
    parser.add_argument("--rows", type=int, default=300_000, help="a fifth of them judge")
    parser.add_argument("--epochs", type=int, default=2, help="passes of each side")
    chosen = parser.parse_args()
    sides, missing = choose(PEERS, chosen.peers, chosen.install)
    with tempfile.TemporaryDirectory() as folder:
        rows = draw(chosen.rows, chosen.seed)
        np.savez(Path(folder) / "rows.npz", epochs=np.array(chosen.epochs), **rows)
        found = measure(sides, Path(folder), chosen.runs, chosen.threads)
    later = slice(chosen.rows - int(chosen.rows * VALIDATE), None)
    chance, label = rows["chance"][later], rows["label"][later]
    best = float(-np.log(np.where(label > 0, chance, 1 - chance)).mean())
    head = ["DCN-V2", "precision", "examples/s", "lowest–highest", "ours / it", "best validation loss", "learning rate"]
    print("| " + " | ".join(head) + " |\n" + "| --- " * len(head) + "|")
    for name, row in found.items():
        speed = row["examples_per_s"]
        ratios = np.divide(found["ours"]["examples_per_s"], speed)
        ratio, edge = f"{np.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})", ", an edge" * row["at_edge"]
        print(f"| {name} | {row['precision']} | {np.median(speed):,.0f} | {min(speed):,.0f}–{max(speed):,.0f} "
              f"| {ratio} | {np.median(row['loss']):.4f} | {row['rate']:g}{edge} |")  # fmt: skip
    print(f"\nThe truth itself has a loss of {best:.4f}.", *missing, sep="\n")
    said = {"rows": chosen.rows, "epochs": chosen.epochs, "threads": chosen.threads, "truth": best, "sides": found}
    write("dcn_training", chosen.out, said, ["bottega", "torch", "onnxruntime", "numpy", "torch-rechub"])


if __name__ == "__main__":
    sys.exit(main())
