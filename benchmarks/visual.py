"""Visual search on Fashion-MNIST: our image encoder and its 64-bit codes, beside raw pixels and their codes.

Data: `fashion_mnist`, the original IDX files. The first 1,000 test pictures search among all training pictures; a
picture is relevant to a query where it has the same class. P@1, P@10 and mAP@100 (divided by min(100, relevant)), with
intervals by a bootstrap over the queries, and their paired differences. The encoder learns from the training pictures
alone; its setting was chosen on 2,000 of them held out, never on the test.
"""

from __future__ import annotations

import gzip
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import arguments, write

QUERIES, SHOWN, FIRST = 1_000, 100, 1_000  # FIRST: by bits, that floats then order again
METRICS = ("precision@1", "precision@10", "map@100")
Lists = np.ndarray  # places of items (q, 100), best first


def read(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the pictures (n, 28, 28, 1) uint8 and classes (n,) of a part, `train` or `t10k`."""
    pictures, label = (
        np.frombuffer(gzip.decompress((folder / f"{part}-{name}-ubyte.gz").read_bytes()), np.uint8, offset=offset)
        for name, offset in (("images-idx3", 16), ("labels-idx1", 8))
    )
    return pictures.reshape(-1, 28, 28, 1), label


def by_product(queries: np.ndarray, items: np.ndarray) -> Lists:
    """Give the items whose product with the query is largest, by exact search."""
    products = queries @ items.T
    some = np.argpartition(-products, SHOWN, axis=1)[:, :SHOWN]
    order = np.lexsort((some, -np.take_along_axis(products, some, axis=1)))
    return np.take_along_axis(some, order, axis=1)


def by_bits(queries: np.ndarray, items: np.ndarray) -> tuple[Lists, Lists, dict[str, float]]:
    """Give the nearest items by 64-bit codes; those that floats order again; and the seconds of it."""
    from bottega.models.binary_codes import BinaryCodes, nearest, refined

    began = time.perf_counter()
    codes = BinaryCodes.learnt(items)
    learnt = time.perf_counter() - began
    asked, held = codes.encode(queries), codes.encode(items)
    nearest(asked[:1], held, 1)  # compiled before the clock starts
    began = time.perf_counter()
    places, _ = nearest(asked, held, FIRST)
    seconds = {"learnt_s": learnt, "a_search_s": (time.perf_counter() - began) / len(queries)}
    return places[:, :SHOWN], refined(queries, items, places, SHOWN)[0], seconds


def judge(lists: dict[str, Lists], relevant: np.ndarray, label: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Give each side's metrics with intervals, and the differences to the side named before it."""
    from bottega.metrics.metric import Metric
    from bottega.metrics.names import metric
    from bottega.metrics.ranking import Ranking

    def ranked(places: np.ndarray) -> Ranking:
        request = np.repeat(np.arange(len(places)), SHOWN)
        order = -np.tile(np.arange(float(SHOWN)), len(places))  # ties are broken already, by the lower place
        hits = label[places] == truth[:, None]
        return Ranking(request, order, hits.ravel(), items=places.ravel(), relevant=relevant)

    made = {name: ranked(found) for name, found in lists.items()}
    wanted: dict[str, Metric] = {name: metric(name) for name in METRICS}
    sides = {name: {key: one.estimate(found).to_dict() for key, one in wanted.items()} for name, found in made.items()}
    pairs = (("encoder", "pixels"), ("encoder, 64 bits", "encoder"), ("encoder, 64 bits and floats", "encoder"))
    apart = {
        f"{one} less {other}": {key: value.paired(made[one], made[other]).to_dict() for key, value in wanted.items()}
        for one, other in pairs
    }
    return {"sides": sides, "differences": apart}


def main() -> None:
    """Measure, print the table, write it to `visual.json`."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BOTTEGA_DATA", ".")))
    parser.add_argument("--rows", type=int, default=60_000, help="training pictures, the first ones")
    parser.add_argument("--epochs", type=int, default=None, help="passes; nothing: the encoder's own default")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()

    from bottega.design.encoders import ImageEncoder
    from bottega.models.images.encoder import ImageEncoderModel

    folder = chosen.data / "fashion_mnist"
    (items, label), (queries, truth) = read(folder, "train"), read(folder, "t10k")
    items, label, queries, truth = items[: chosen.rows], label[: chosen.rows], queries[:QUERIES], truth[:QUERIES]
    passes = {} if chosen.epochs is None else {"epochs": chosen.epochs}
    model = ImageEncoderModel(ImageEncoder(seed=chosen.seed, mirror=True, **passes))
    began, used = time.perf_counter(), time.process_time()
    model.fit(items, label)
    fit = {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - used, **model.training}
    began = time.perf_counter()
    asked, held = model.encode(queries), model.encode(items)
    encoding = (time.perf_counter() - began) / (len(queries) + len(items))
    lists, codes = {"encoder": by_product(asked, held)}, {}
    lists["encoder, 64 bits"], lists["encoder, 64 bits and floats"], codes["encoder"] = by_bits(asked, held)
    asked, held = (part.reshape(len(part), -1).astype(np.float32) / 255 for part in (queries, items))
    half = (held**2).sum(axis=1, keepdims=True) / 2  # the largest product is then the least distance
    lists["pixels"] = by_product(np.hstack([asked, np.ones((len(asked), 1))]), np.hstack([held, -half]))
    lists["pixels, 64 bits"], _, codes["pixels"] = by_bits(asked, held)
    relevant = np.bincount(label, minlength=10)[truth]
    found = judge(lists, relevant, label, truth)
    print("| fashion_mnist, 1,000 queries | P@1 | P@10 | mAP@100 |\n" + "| --- " * 4 + "|")
    for name, row in found["sides"].items():
        cells = [f"{row[key]['value']:.3f} [{row[key]['low']:.3f}, {row[key]['high']:.3f}]" for key in METRICS]
        print(f"| {name} | {' | '.join(cells)} |")
    for name, row in found["differences"].items():
        cells = [f"{row[key]['value']:+.4f} [{row[key]['low']:+.4f}, {row[key]['high']:+.4f}]" for key in METRICS]
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"learnt in {fit['wall_s']:.0f} s ({fit['cpu_s']:.0f} s of processor), {1e3 * encoding:.2f} ms a picture")
    write(
        "visual",
        chosen.out,
        {"fit": fit, "encode_s": encoding, "codes": codes, **found},
        ["bottega", "torch", "onnxruntime", "numpy"],
    )


if __name__ == "__main__":
    sys.exit(main())
