"""Makes the sample of Fashion-MNIST that the package carries: the first 500 training and 100 test pictures of a class.

python benchmarks/visual_sample.py --data DIR --out src/bottega/samples/fashion_mnist   # DIR holds fashion_mnist/
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from visual import read

NAMES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
PARTS = {"train": ("train", 500), "test": ("t10k", 100)}


def png(picture: np.ndarray) -> bytes:
    """Write a picture (28, 28, 1) as PNG."""
    file = io.BytesIO()
    Image.fromarray(picture[:, :, 0]).save(file, "PNG", compress_level=9)
    return file.getvalue()


def sample(folder: Path) -> pa.Table:
    """Give the table, in the order of the files."""
    rows = []
    for part, (file, count) in PARTS.items():
        pictures, label = read(folder, file)
        places = np.sort(np.concatenate([np.flatnonzero(label == one)[:count] for one in range(len(NAMES))]))
        rows += [
            {"id": f"{part}-{at}", "image": png(pictures[at]), "label": NAMES[label[at]], "part": part}
            for at in places.tolist()
        ]
    kinds = [("id", pa.string()), ("image", pa.binary()), ("label", pa.string()), ("part", pa.string())]
    return pa.Table.from_pylist(rows, pa.schema(kinds))


def main() -> None:
    """Write `fashion.parquet`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    table = sample(chosen.data / "fashion_mnist")
    pq.write_table(
        table,
        chosen.out / "fashion.parquet",
        compression="zstd",
        compression_level=19,
        use_dictionary=["label", "part"],
        write_statistics=False,
    )


if __name__ == "__main__":
    main()
