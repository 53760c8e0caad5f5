"""Training two towers: ours and the same towers in plain PyTorch, on the same log and from the same weights.

A log of people and items by a Zipf law, in which groups of people like groups of items. The towers: a mean of the
vectors of the latest 20 items, a vector of the person and a hidden layer of 128; a vector of the item and a layer of
128; vectors of 64, batches of 1,024, softmax over the batch with the correction for popularity. First both say the loss
of the same batches by the same weights, with whatever the person took left out, which has to agree; then each learns
from all events once. Timed, plain PyTorch leaves out the same item only, which is less work than ours; ours passes an
item that several events of a batch have through its tower once, which is less work than its. It runs twice: with
`nn.Embedding` and Adam as tutorials have it, and with sparse slopes and `SparseAdam`, which reads and steps the touched
rows alone.

    python benchmarks/two_tower.py                     # 2 M interactions
    python benchmarks/two_tower.py --rows 100_000
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import Answer, Prepared, arguments, choose, compare, draw_keys, peer_arguments, write

PEERS = {"plain": "torch", "plain_sparse": "torch"}
HISTORY, SIZE, LAYERS, BATCH, RATE, TEMPERATURE, GROUPS, GOAL = 20, 64, (128,), 1024, 2e-3, 0.1, 50, 1.0
JUDGED = 3  # batches whose loss is compared
DAY = 86_400_000_000


def make(folder: Path, rows: int, seed: int) -> None:
    """Write a log: every twentieth row a person, every hundredth an item."""
    rng = np.random.default_rng(seed)
    people, items = max(GROUPS, rows // 20), max(2 * GROUPS, rows // 100)
    person = draw_keys(rng, rows, people)
    item = draw_keys(rng, rows, items // GROUPS) * GROUPS + np.where(rng.random(rows) < 0.7, person % GROUPS,
                                                                     rng.integers(0, GROUPS, rows))  # fmt: skip
    order = np.unique(item, return_inverse=True)[1]
    who = np.unique(person, return_inverse=True)[1]
    np.savez(folder / "log.npz", person=who, item=order, time=np.sort(rng.integers(0, 90 * DAY, rows)))


def setting(seed: int = 0) -> Any:
    """Give the part of the design, with all that one side alone would do switched off."""
    from bottega.design.retrievers import TwoTower

    return TwoTower(embedding_size=SIZE, history=HISTORY, layers=LAYERS, batch=BATCH, learning_rate=RATE,
                    temperature=TEMPERATURE, half_life=None, word_rows=1, person_rows=10**9, seed=seed)  # fmt: skip


def prepared(folder: Path) -> tuple[Any, Any, list[np.ndarray]]:
    """Read the log as the trainer reads it; give it, the first weights, and the batches to compare."""
    from bottega.models.interactions import Interactions
    from bottega.models.two_tower.towers import Towers
    from bottega.models.two_tower.training import inputs_of

    with np.load(folder / "log.npz", allow_pickle=False) as file:
        person, item, at = (file[name] for name in ("person", "item", "time"))
    log = Interactions.of([f"p{code:08}" for code in person], [f"i{code:08}" for code in item], at)
    inputs = inputs_of(setting(), log, None, 90 * DAY, None)
    towers = Towers.fresh(inputs.layout, SIZE, LAYERS, 1)
    rng = np.random.default_rng(2)
    many = min(BATCH, len(inputs.lesson))
    return inputs, towers, [rng.permutation(len(inputs.lesson))[:many] for _ in range(JUDGED)]


def ours(folder: Path) -> Prepared:
    """Prepare our trainer."""
    from bottega.models.two_tower.trainer import Trainer

    inputs, towers, batches = prepared(folder)
    none = np.zeros((len(inputs.person_rows), 0), np.int32)
    Trainer(setting(), inputs, towers).loss(batches[0], none)

    def run() -> list[float]:
        trainer = Trainer(setting(), inputs, towers)
        return [trainer.learn(none)]

    def answer(made: list[float]) -> Answer:
        trainer = Trainer(setting(), inputs, towers)
        return {"loss": np.array([trainer.loss(rows, none) for rows in batches]), "learnt": np.array(made)}

    return run, answer


def plain(folder: Path) -> Prepared:
    """Prepare plain PyTorch with Adam over whole tables."""
    return _plain(folder, False)


def plain_sparse(folder: Path) -> Prepared:
    """Prepare plain PyTorch with sparse slopes."""
    return _plain(folder, True)


def _plain(folder: Path, sparse: bool) -> Prepared:
    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(int(os.environ["SIDE_THREADS"]))
    inputs, towers, batches = prepared(folder)
    lesson, layout = inputs.lesson, inputs.layout
    place = lesson.high[:, None] - 1 - np.arange(HISTORY)
    past = np.where(place >= lesson.low[:, None], 1 + lesson.item[np.maximum(place, 0)], 0)
    past[lesson.high == lesson.low, 0] = layout.nothing
    history, person = torch.from_numpy(past), torch.from_numpy(lesson.person.astype(np.int64))
    item = torch.from_numpy(lesson.item.astype(np.int64))
    counts = torch.bincount(item)
    often = torch.log(BATCH * counts / len(item)).float()

    class Model(nn.Module):
        """The same towers: rows of items with 0 for padding and the last one for no history, rows of people."""

        def __init__(self) -> None:
            super().__init__()
            table = torch.from_numpy(towers.table)
            rows = table[: layout.nothing + 1].clone()
            rows[0] = 0
            self.items = nn.EmbeddingBag.from_pretrained(rows, False, mode="mean", sparse=sparse, padding_idx=0)
            self.people = nn.Embedding.from_pretrained(table[layout.nobody + 1 :].clone(), False, sparse=sparse)
            self.dense = nn.ParameterDict(
                {name.replace(".", "_"): nn.Parameter(torch.from_numpy(v.copy())) for name, v in towers.dense.items()}
            )

        def tower(self, side: str, mean: Any, own: Any) -> Any:
            """Give vectors of length 1."""
            weights, both = self.dense, torch.cat([mean, own], 1)
            found = functional.linear(mean, weights[f"{side}_mean"]) + own
            inner = functional.linear(both, weights[f"{side}_0_weight"], weights[f"{side}_0_bias"]).relu()
            inner = functional.linear(inner, weights[f"{side}_1_weight"], weights[f"{side}_1_bias"])
            return functional.normalize(found + inner, dim=1)

        def loss(self, rows: Any, masked: Any) -> Any:
            """Give the mean loss of a batch. masked: (b, b) items that are no negatives."""
            here = item[rows]
            people = self.tower("person", self.items(history[rows]), self.people(person[rows]))
            own = functional.embedding(1 + here, self.items.weight, sparse=sparse)
            items = self.tower("item", torch.zeros_like(own), own)
            logits = people @ items.T / TEMPERATURE - often[here]
            logits = logits.masked_fill(masked, -torch.inf)
            return functional.cross_entropy(logits, torch.arange(len(rows)))

    def same(rows: Any) -> Any:
        found = item[rows][:, None] == item[rows]
        return found.fill_diagonal_(False)

    def run() -> list[float]:
        torch.manual_seed(0)
        model, total = Model(), 0.0
        tables = [model.items.weight, model.people.weight]
        if sparse:
            steppers = [torch.optim.SparseAdam(tables, RATE), torch.optim.Adam(model.dense.parameters(), RATE)]
        else:
            steppers = [torch.optim.Adam(model.parameters(), RATE, fused=True)]
        batches_ = torch.randperm(len(item)).tensor_split(max(1, round(len(item) / BATCH)))
        for rows in batches_:
            for stepper in steppers:
                stepper.zero_grad()
            loss = model.loss(rows, same(rows))
            loss.backward()
            for stepper in steppers:
                stepper.step()
            total += loss.item()
        return [total / len(batches_)]

    def answer(made: list[float]) -> Answer:
        own = set(zip(lesson.person.tolist(), lesson.item.tolist(), strict=True))
        model, found = Model(), []
        for rows in batches:
            who, what = lesson.person[rows].tolist(), lesson.item[rows].tolist()
            masked = torch.tensor([[(p, i) in own for i in what] for p in who]).fill_diagonal_(False)
            with torch.no_grad():
                found.append(float(model.loss(torch.from_numpy(rows), masked)))
        return {"loss": np.array(found), "learnt": np.array(made)}

    with torch.no_grad():
        Model().loss(torch.from_numpy(batches[0]), same(torch.from_numpy(batches[0])))
    return run, answer


def check(ours: Answer, theirs: Answer) -> str:
    """Both say the same loss of the same batches by the same weights, and learn as much from one pass."""
    if not np.allclose(ours["loss"], theirs["loss"], rtol=1e-4):
        return f"losses {theirs['loss']} in place of {ours['loss']}"
    if not theirs["learnt"][0] < theirs["loss"].mean() or not ours["learnt"][0] < ours["loss"].mean():
        return "a pass did not lower the loss"
    return ""


def main() -> None:
    """Measure, print the table, write it to `two_tower-{rows}.json`."""
    parser = arguments(__doc__ or "")
    peer_arguments(parser, PEERS)
    parser.add_argument("--rows", type=int, default=2_000_000, help="interactions")
    chosen = parser.parse_args()
    sides, missing = choose(PEERS, chosen.peers, chosen.install)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        make(Path(folder), chosen.rows, chosen.seed)
        print(f"  made in {time.perf_counter() - began:.1f} s", file=sys.stderr)
        found = compare("two_tower", sides, Path(folder), chosen.runs, chosen.threads, check)
    print("| two towers | examples/s | lowest–highest | ours / it | peak MB |\n" + "| --- " * 5 + "|")
    for name, row in found.items():
        speed = chosen.rows / np.array(row["runs"])
        ratios = chosen.rows / np.array(found["ours"]["runs"]) / speed
        ratio = f"{np.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})" if name != "ours" else ""
        print(f"| {name} | {np.median(speed):,.0f} | {min(speed):,.0f}–{max(speed):,.0f} | {ratio} "
              f"| {row['peak_mb']:,.0f} |")  # fmt: skip
    print(f"\ngoal: {GOAL} × plain PyTorch", *missing, sep="\n")
    values = {"rows": chosen.rows, "threads": chosen.threads, "goal": GOAL, "sides": found, "missing": missing}
    write(f"two_tower-{chosen.rows}", chosen.out, values, ["bottega", "torch", "numpy", "numba"])


if __name__ == "__main__":
    sys.exit(main())
