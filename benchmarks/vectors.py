"""Nearest vectors: ours, and the libraries alone, at a recall@100 of 0.95; one thread; and how it goes as they grow.

Vectors of length 1 in clusters of uneven size, and queries drawn from the same clusters. Each side builds its index,
and looks as far as it must for a mean recall@100 of 0.95, and its standard error more, on queries to tune by; then it
is timed on others, on which its recall is checked first: all in one call, and one after the other. Peers get the
settings that did best when they were tried: faiss with lists, product quantisation by its fast scan, and re-ordering by
the floats; faiss with lists of 8-bit numbers; the graphs of hnswlib and usearch. Building may use all threads of a
side, where it can.

    python benchmarks/vectors.py                              # 1 M × 64; hnswlib and usearch take minutes to build
    python benchmarks/vectors.py --peers faiss_ivf            # one peer
    python benchmarks/vectors.py --peers --growth             # ours alone, from 10 k to 1 M
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import Answer, Prepared, Side, arguments, choose, peer_arguments, write

PEERS = {"faiss_ivf": "faiss", "faiss_int8": "faiss", "hnswlib": "hnswlib", "usearch": "usearch"}
WIDTH, K, RECALL, GOAL = 64, 100, 0.95, 0.9
SLACK = 0.003  # what chance may take from the recall on other queries
TUNED, ASKED = 500, 2000
GROWTH = (10_000, 30_000, 100_000, 300_000, 1_000_000)
Search = Callable[[np.ndarray], np.ndarray]  # queries (q, d) -> rows (q, 100)


def make(folder: Path, count: int, seed: int) -> None:
    """Write vectors, queries to tune by, queries to be timed, and the 100th exact product of each query."""
    rng = np.random.default_rng(seed)
    clusters = max(10, count // 1000)
    centre = rng.standard_normal((clusters, WIDTH), dtype=np.float32)
    weight = np.arange(1, clusters + 1) ** -0.5

    def draw(many: int) -> np.ndarray:
        own = rng.choice(clusters, many, p=weight / weight.sum())
        found = centre[own] + rng.standard_normal((many, WIDTH), dtype=np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    vectors = draw(count)
    np.save(folder / "vectors.npy", vectors)
    for name, many in (("tuned", TUNED), ("asked", ASKED)):
        queries = draw(many)
        border = np.empty(many, np.float32)
        for low in range(0, many, 100):
            products = queries[low : low + 100] @ vectors.T
            border[low : low + 100] = np.partition(products, count - min(K, count), axis=1)[:, count - min(K, count)]
        np.save(folder / f"{name}.npy", queries)
        np.save(folder / f"{name}_border.npy", border)


def read(folder: Path, name: str) -> np.ndarray:
    """Read an array."""
    found: np.ndarray = np.load(folder / f"{name}.npy", allow_pickle=False)
    return found


def recalls(folder: Path, name: str, rows: np.ndarray) -> np.ndarray:
    """Give the share of each list whose products reach the exact 100th; sums of another order may move a last bit."""
    vectors, queries = read(folder, "vectors"), read(folder, name)
    products = np.einsum("qd,qkd->qk", queries, vectors[np.maximum(rows, 0)])
    good = (products >= read(folder, f"{name}_border")[:, None] - 1e-6) & (rows >= 0)
    return np.asarray(good.mean(axis=1))


def least(folder: Path, efforts: list[Any], search: Callable[[Any], Search]) -> Any:
    """Give the first effort, of rising ones, that reaches the recall on the queries to tune by, with its error."""
    queries = read(folder, "tuned")
    for effort in efforts:
        found = recalls(folder, "tuned", search(effort)(queries))
        if found.mean() - found.std() / len(found) ** 0.5 >= RECALL:
            return effort
    raise SystemExit(f"no effort reaches a recall of {RECALL}")


def timed(folder: Path, search: Search, build_s: float, said: str) -> Prepared:
    """Prepare a side: all queries in one call, and then each alone; the answer tells the seconds of both."""
    queries = read(folder, "asked")
    search(queries[:1])

    def run() -> tuple[np.ndarray, float, float]:
        began = time.perf_counter()
        rows = search(queries)
        middle = time.perf_counter()
        for place in range(len(queries)):
            search(queries[place : place + 1])
        return rows, middle - began, time.perf_counter() - middle

    def answer(made: tuple[np.ndarray, float, float]) -> Answer:
        rows, together, alone = made
        found = {"recall": recalls(folder, "asked", rows), "said": np.array(said), "build_s": np.array(build_s)}
        return found | {"together_s": np.array(together), "alone_s": np.array(alone)}

    return run, answer


def ours(folder: Path) -> Prepared:
    """Build ours as a model does, tuned by itself on vectors it holds out."""
    from bottega.design.indexes import Index
    from bottega.models.indexes.building import build_index

    vectors = read(folder, "vectors")
    began = time.perf_counter()
    index = build_index(Index(recall=RECALL), np.arange(len(vectors), dtype=np.int32), vectors, read(folder, "tuned"))
    facts = index.facts
    said = (
        f"{facts['built']}, {facts.get('lists', 0)} lists, effort {facts.get('effort', 0)}, {facts.get('spare', 1)} ×"
    )
    mb = (facts.get("finder_bytes", 0) + vectors.nbytes) / 2**20
    prepared = timed(folder, lambda q: index.search(q, K)[0], time.perf_counter() - began, said)
    return prepared[0], lambda made: {**prepared[1](made), "index_mb": np.array(mb)}


def faiss_ivf(folder: Path) -> Prepared:
    """Prepare faiss with lists, a fast scan of 4-bit codes, and the floats for the order."""
    return _faiss(folder, "PQ64x4fs", [1, 1.5, 2, 3, 4])


def faiss_int8(folder: Path) -> Prepared:
    """Prepare faiss with lists of 8-bit numbers, and the floats for the order."""
    return _faiss(folder, "SQ8", [1, 1.5])


def _faiss(folder: Path, what: str, spares: list[float]) -> Prepared:
    import faiss

    vectors, best = read(folder, "vectors"), (0.0, None, 0.0, "")
    queries = read(folder, "tuned")
    for lists in (int(len(vectors) ** 0.5), 2 * int(len(vectors) ** 0.5), 4 * int(len(vectors) ** 0.5)):
        began = time.perf_counter()
        index = faiss.index_factory(WIDTH, f"IVF{lists},{what},RFlat", faiss.METRIC_INNER_PRODUCT)
        inner = faiss.extract_index_ivf(index)
        inner.cp.max_points_per_centroid, inner.cp.niter, inner.by_residual = 39, 8, True
        faiss.omp_set_num_threads(int(os.environ["SIDE_THREADS"]))
        index.train(vectors)
        index.add(vectors)
        faiss.omp_set_num_threads(1)
        built = time.perf_counter() - began
        for spare in spares:

            def search(effort: int, index: Any = index, spare: float = spare) -> Search:
                base = faiss.SearchParametersIVF(nprobe=effort)
                settings = faiss.IndexRefineSearchParameters(k_factor=spare, base_index_params=base)
                return lambda q: index.search(q, K, params=settings)[1]

            efforts = [step for step in np.unique((1.3 ** np.arange(40)).astype(int)).tolist() if step <= lists]
            try:
                effort = least(folder, efforts, search)
            except SystemExit:
                continue
            chosen = search(effort)
            began = time.perf_counter()
            for _ in range(3):
                chosen(queries)
            speed = 3 * len(queries) / (time.perf_counter() - began)
            if speed > best[0]:
                best = (speed, chosen, built, f"{lists} lists, nprobe {effort}, k_factor {spare}")
    if best[1] is None:
        raise SystemExit(f"{what} does not reach the recall")
    return timed(folder, best[1], best[2], best[3])


def hnswlib(folder: Path) -> Prepared:
    """Prepare hnswlib with 16 links and 100 candidates for them."""
    import hnswlib as library

    vectors = read(folder, "vectors")
    began = time.perf_counter()
    index = library.Index("ip", WIDTH)
    index.init_index(len(vectors), M=16, ef_construction=100, random_seed=0)
    index.add_items(vectors, num_threads=int(os.environ["SIDE_THREADS"]))
    built = time.perf_counter() - began

    def search(effort: int) -> Search:
        def found(queries: np.ndarray) -> np.ndarray:
            return np.asarray(index.knn_query(queries, K, num_threads=1)[0]).astype(np.int64)

        index.set_ef(effort)
        return found

    effort = least(folder, [100, 120, 150, 200, 250, 300, 400, 600, 800, 1200], search)
    return timed(folder, search(effort), built, f"M 16, ef {effort}")


def usearch(folder: Path) -> Prepared:
    """Prepare usearch with the same graph."""
    from usearch.index import Index

    vectors = read(folder, "vectors")
    began = time.perf_counter()
    index = Index(ndim=WIDTH, metric="ip", dtype="f32", connectivity=16, expansion_add=100)
    index.add(np.arange(len(vectors)), vectors, threads=int(os.environ["SIDE_THREADS"]))
    built = time.perf_counter() - began

    def search(effort: int) -> Search:
        def found(queries: np.ndarray) -> np.ndarray:
            return np.asarray(index.search(queries, K, threads=1).keys).reshape(len(queries), -1).astype(np.int64)

        index.expansion_search = effort
        return found

    effort = least(folder, [100, 120, 150, 200, 250, 300, 400, 600, 800, 1200], search)
    return timed(folder, search(effort), built, f"connectivity 16, expansion {effort}")


def measure(sides: dict[str, Path], folder: Path, runs: int, threads: int) -> dict[str, Any]:
    """Run the sides in turn: one run each to warm up and to check its recall, then `runs` each."""
    opened: list[Side] = []
    found: dict[str, Any] = {}
    try:
        for name, python in sides.items():
            side = Side(python, "vectors", name, folder, threads)
            opened.append(side)
            row = found[name] = {"together": [], "alone": []}
            row["loaded_mb"] = side.tell("load")["peak_mb"]
            answer = _run(side)
            if answer["recall"].mean() < RECALL - SLACK:
                raise SystemExit(f"{name} has a recall of {answer['recall'].mean():.4f}")
            row |= {"recall": float(answer["recall"].mean()), "said": str(answer["said"])}
            row |= {name: float(answer[name]) for name in ("build_s", "index_mb") if name in answer}
            print(f"  {name}: {row['said']}, recall {row['recall']:.4f}, {row['build_s']:.1f} s", file=sys.stderr)
        for _ in range(runs):
            for side in opened:
                answer = _run(side)
                for way in ("together", "alone"):
                    found[side.name][way].append(ASKED / float(answer[f"{way}_s"]))
    finally:
        for side in opened:
            side.close()
    return found


def _run(side: Side) -> dict[str, np.ndarray]:
    for word in ("run", "answer"):
        side.tell(word)
    with np.load(side.answer, allow_pickle=False) as file:
        answer = dict(file)
    side.answer.unlink()
    return answer


def show(found: dict[str, Any], title: str) -> str:
    """Write the sides as a Markdown table; a ratio is ours to theirs in the same round, above 1 where we are faster."""
    head = [title, "recall@100", "queries/s in one call", "ours / it", "queries/s one by one", "ours / it", "build s",
            "settings"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for name, row in found.items():
        cells = [name, f"{row['recall']:.4f}"]
        for way in ("together", "alone"):
            ratios = np.divide(found["ours"][way], row[way])
            cells += [f"{np.median(row[way]):,.0f} ({min(row[way]):,.0f}–{max(row[way]):,.0f})"]
            cells += [f"{np.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})" if name != "ours" else ""]
        lines.append("| " + " | ".join([*cells, f"{row['build_s']:.1f}", row["said"]]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print the tables, write them to `vectors-{count}.json`."""
    parser = arguments(__doc__ or "")
    peer_arguments(parser, PEERS)
    parser.add_argument("--count", type=int, default=1_000_000, help="vectors")
    parser.add_argument("--growth", action="store_true", help="also ours at growing sizes up to that")
    chosen = parser.parse_args()
    sides, missing = choose(PEERS, chosen.peers, chosen.install)
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), chosen.count, chosen.seed)
        found = measure(sides, Path(folder), chosen.runs, chosen.threads)
    print(show(found, f"{chosen.count:,} × {WIDTH}, one thread"))
    said: dict[str, Any] = {"count": chosen.count, "goal": GOAL, "sides": found, "missing": missing}
    if chosen.growth:
        said["growth"] = {}
        print("\n| vectors | built | recall@100 | queries/s in one call | one by one, ms | index MB | build s |")
        print("| --- " * 7 + "|")
        for count in [size for size in GROWTH if size < chosen.count] + [chosen.count]:
            with tempfile.TemporaryDirectory() as folder:
                make(Path(folder), count, chosen.seed)
                row = measure({"ours": sides["ours"]}, Path(folder), chosen.runs, chosen.threads)["ours"]
            said["growth"][count] = row
            print(
                f"| {count:,} | {row['said']} | {row['recall']:.4f} | {np.median(row['together']):,.0f} "
                f"| {1000 / np.median(row['alone']):.3f} | {row['index_mb']:,.0f} | {row['build_s']:.1f} |"
            )
    print(*missing, sep="\n")
    write(f"vectors-{chosen.count}", chosen.out, said, ["bottega", "numpy", "faiss-cpu", "hnswlib", "usearch"])


if __name__ == "__main__":
    sys.exit(main())
