"""Hashing: five columns of a row to five codes of 2²⁰, by us and by scikit-learn's FeatureHasher; goal 900,000 rows/s.

Three cases over the same rows of a click log: texts, ids that are whole numbers, and crosses of two columns each. We
read Arrow columns, as logs have them: plain ones, and dictionaries (`dictionaries`), of which each text is hashed once.
The peer gets what it takes without any work of its own: for each row a ready list of texts such as `query=red shoes`;
making those lists is not timed. Both answers are judged as hashing must be: two rows share codes where they share
values.

    python benchmarks/hashing.py                      # 1 M rows
    python benchmarks/hashing.py --rows 100_000
"""

from __future__ import annotations

import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from common import Answer, Prepared, arguments, choose, compare, draw_keys, peer_arguments, table, write

PEERS = {"scikit_learn": "scikit-learn"}
CASES = ("texts", "ids", "crosses")
COLUMNS = {"user_id": 100_000, "query": 50_000, "ad_id": 20_000, "city": 1_000, "device": 4}  # values of each
CODES, GOAL = 2**20, 900_000
PAIRS, STRAY = 20_000, 0.002  # rows that are compared; share that may share a code by chance: 25 in CODES, and some


def make(folder: Path, case: str, rows: int, seed: int) -> None:
    """Write the rows of a case: keys by a Zipf law, as texts, of a query three words."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    columns = {}
    for name, values in COLUMNS.items():
        drawn = draw_keys(rng, rows, values)
        words = [
            f"buy thing{value % 997} model{value}" if name == "query" else f"{name[0]}{value:07d}"
            for value in range(values)
        ]
        columns[name] = drawn.astype(np.int64) if case == "ids" else pa.array(words).take(pa.array(drawn))
    pq.write_table(pa.table(columns), folder / f"{case}.parquet")


def read(folder: Path) -> tuple[str, Any]:
    """Give the case, and its rows."""
    import pyarrow.parquet as pq

    path = next(folder.glob("*.parquet"))
    return path.stem, pq.read_table(path).combine_chunks()


def crossed() -> list[tuple[str, str]]:
    """Name the two columns of each cross."""
    return [*pairwise(COLUMNS), ("device", "user_id")]


def ours(folder: Path) -> Prepared:
    """`hashes` of a column, or `cross` of two, as `Categories` and `Cross` compute them."""
    return _ours(folder, dictionaries=False)


def dictionaries(folder: Path) -> Prepared:
    """The same from dictionary arrays: what a frame of examples holds."""
    return _ours(folder, dictionaries=True)


def _ours(folder: Path, dictionaries: bool) -> Prepared:
    from bottega.data.keys import as_text
    from bottega.features.hashing import cross, hashes

    case, rows = read(folder)
    columns = {name: rows[name].combine_chunks() for name in COLUMNS}
    if dictionaries:
        columns = {name: as_text(column).dictionary_encode() for name, column in columns.items()}

    def run() -> list[np.ndarray]:
        if case == "crosses":
            return [cross(columns[left], columns[right], CODES) for left, right in crossed()]
        return [(hashes(as_text(column)) % np.uint64(CODES)).astype(np.int64) for column in columns.values()]

    def answer(made: list[np.ndarray]) -> Answer:
        one, other = compared(rows.num_rows)
        return {"shared": sum((codes[one] == codes[other]).astype(np.float64) for codes in made)}

    return run, answer


def scikit_learn(folder: Path) -> Prepared:
    """`FeatureHasher` over ready lists of texts, with as many columns, and without signs: they are codes."""
    from sklearn.feature_extraction import FeatureHasher

    case, rows = read(folder)
    texts = {name: [str(value) for value in rows[name].to_pylist()] for name in COLUMNS}
    if case == "crosses":
        named = [[f"{a}_x_{b}={x}_x_{y}" for x, y in zip(texts[a], texts[b], strict=True)] for a, b in crossed()]
    else:
        named = [[f"{name}={value}" for value in values] for name, values in texts.items()]
    tokens = list(map(list, zip(*named, strict=True)))
    hasher = FeatureHasher(n_features=CODES, input_type="string", alternate_sign=False, dtype=np.float32)

    def answer(made: Any) -> Answer:
        one, other = compared(len(tokens))
        both = made[one].sign().multiply(made[other].sign())
        return {"shared": np.asarray(both.sum(axis=1), np.float64).ravel()}

    return lambda: hasher.transform(tokens), answer


def compared(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw pairs of rows; half of them are neighbours in the log, half lie anywhere."""
    rng = np.random.default_rng(1)
    one = rng.integers(0, rows - 1, PAIRS)
    return one, np.where(np.arange(PAIRS) % 2 == 0, one + 1, rng.integers(0, rows, PAIRS))


def check(ours: Answer, theirs: Answer) -> str:
    """Two rows share as many codes on both sides, but for those that chance puts together."""
    wrong = float((ours["shared"] != theirs["shared"]).mean())
    if wrong > STRAY or not 0 < ours["shared"].mean() < len(COLUMNS):
        return f"{wrong:.2%} of the pairs of rows share another number of codes"
    return ""


def main() -> None:
    """Measure each case, print the tables, write them to `hashing-{rows}.json`."""
    parser = arguments("hashing: ours, scikit-learn")
    parser.add_argument("--rows", type=int, default=1_000_000)
    peer_arguments(parser, PEERS)
    chosen = parser.parse_args()
    sides, missing = choose({**PEERS, "scikit_learn": "sklearn"}, chosen.peers, chosen.install)
    sides = {"ours": sides["ours"], "dictionaries": sides["ours"], **sides}
    found = {}
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), case, chosen.rows, chosen.seed)
            found[case] = compare("hashing", sides, Path(folder), chosen.runs, chosen.threads, check)
        for row in found[case].values():
            row["rows_per_second"] = chosen.rows / row["median"]
        print(table(found[case], f"{case}, {chosen.rows:,} rows × {len(COLUMNS)}"))
        print("; ".join(f"{name}: {row['rows_per_second']:,.0f} rows/s" for name, row in found[case].items()))
        print()
    print(f"goal: {GOAL:,} rows/s")
    for line in missing:
        print(line)
    values = {
        "rows": chosen.rows, "threads": chosen.threads, "seed": chosen.seed, "goal": GOAL,
        "cases": found, "missing": missing,
    }  # fmt: skip
    write(f"hashing-{chosen.rows}", chosen.out, values, ["bottega", "numpy", "numba", "pyarrow", "scikit-learn"])


if __name__ == "__main__":
    sys.exit(main())
