"""Whole numbers of 8 bits against float32: the dense part of two networks at 200 rows and at 1, in one thread.

`performance`: 26 categories × 16, 13 numbers, layers 256–128, three cross layers of rank 32 with two experts. `search`:
12 categories × 16, 25 numbers, the same layers. Vectors are small beside the numbers, as training leaves them. `not
evened` is ours without the evening of the inputs. ONNX Runtime's own quantiser, with the same signed weights, stands
beside ours; `deep` rounds the hidden layers alone, which tells what the cross layers gain. All sides answer the same
rows in turn within each round, and answers are compared with float32 first.

    python benchmarks/int8.py
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from common import arguments, write

from bottega.design.scorers import DCN
from bottega.models.compression.evening import evened
from bottega.models.compression.flows import measured
from bottega.models.compression.whole_numbers import in_whole_numbers
from bottega.models.networks.architecture import Architecture
from bottega.models.networks.graph import INPUTS, SCORE, graph
from bottega.models.networks.needed import needed

SHAPES = {"performance": (26, 13), "search": (12, 25)}
SIZES = (200, 1)
FARTHEST = 0.03  # of a score from that of float32, over scores whose standard deviation is 0.05 to 0.08
VECTORS = 0.03  # standard deviation of the vectors' numbers, measured on trained networks; the numbers have 1
_CALLS = 10  # in one measurement, so that the clock's own step does not count


class Rows:
    """The calibration rows, as ONNX Runtime's quantiser wants them."""

    def __init__(self, rows: np.ndarray) -> None:
        self.blocks: Iterator[dict[str, np.ndarray]] = iter([{INPUTS: rows}])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Give the next block."""
        return next(self.blocks, None)


def dense(fields: int, numbers: int) -> tuple[bytes, np.ndarray]:
    """Give a dense part with the spread of a trained one, and rows for it (n, inputs)."""
    rng = np.random.default_rng(0)
    architecture = Architecture(DCN(embedding_size=16), fields, numbers)
    weights = {
        name: (rng.standard_normal(shape) * (0.1 if len(shape) == 1 else shape[-1] ** -0.5)).astype(np.float32)
        for name, shape in architecture.shapes.items()
    }
    rows = np.hstack([VECTORS * rng.standard_normal((4096, 16 * fields)), rng.standard_normal((4096, numbers))])
    return graph(architecture, weights), rows.clip(-5, 5).astype(np.float32)


def sides(text: bytes, rows: np.ndarray) -> dict[str, bytes]:
    """Give the graphs to compare, float32 first."""
    even = evened(text, rows)
    return {
        "float32": text,
        "dynamic": in_whole_numbers(even),
        "static": in_whole_numbers(even, measured(even, rows)),
        "dynamic, not evened": in_whole_numbers(text),
        "static, not evened": in_whole_numbers(text, measured(text, rows)),
        **quantiser(text, rows),
    }


def quantiser(text: bytes, rows: np.ndarray) -> dict[str, bytes]:
    """Give what ONNX Runtime's own quantiser makes: its best found forms, and the hidden layers alone."""
    onnx, quantization = needed("onnx"), needed("onnxruntime.quantization")
    model = onnx.load_model_from_string(text)
    for node in model.graph.node:
        node.name = node.output[0]  # it leaves out nodes by their names
    named = {node.input[1]: node.name for node in model.graph.node if node.op_type == "Gemm"}
    crossed = [f"{name}_MatMul" for weight, name in named.items() if not weight.startswith("deep")]
    signed = {"weight_type": quantization.QuantType.QInt8}
    logging.getLogger().setLevel(logging.ERROR)  # it warns of models that were not pre-processed
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.onnx", Path(folder) / "target.onnx"
        onnx.save(model, source)
        for name, left in {"quantize_dynamic": [], "quantize_dynamic, deep": crossed}.items():
            quantization.quantize_dynamic(source, target, nodes_to_exclude=left, **signed)
            found[name] = target.read_bytes()
        quantization.quantize_static(
            source,
            target,
            Rows(rows),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            op_types_to_quantize=["Gemm"],
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"], "DedicatedQDQPair": True},
            **signed,
        )
        found["quantize_static"] = target.read_bytes()
    return found


def session(text: bytes) -> Any:
    """Open a graph for one thread."""
    runtime = needed("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return runtime.InferenceSession(text, options, providers=["CPUExecutionProvider"])


def measure(graphs: Mapping[str, bytes], rows: np.ndarray, size: int, runs: int) -> dict[str, dict[str, Any]]:
    """Time the sides in turn; give medians in µs, the ratio of float32 to each in a round, and the error of scores."""
    opened = {name: session(text) for name, text in graphs.items()}
    scores = {name: 1 / (1 + np.exp(-each.run([SCORE], {INPUTS: rows})[0])) for name, each in opened.items()}
    errors = {name: np.abs(each - scores["float32"]) for name, each in scores.items()}
    if wrong := [name for name, error in errors.items() if error.max() > FARTHEST]:
        raise SystemExit(f"{wrong[0]} gives another answer: {errors[wrong[0]].max():.3f} off")
    took: dict[str, list[float]] = {name: [] for name in opened}
    for number in range(runs):
        block = rows[(number * size) % (len(rows) - size) :][:size]
        for name, each in opened.items():
            begin = time.perf_counter()
            for _ in range(_CALLS):
                each.run([SCORE], {INPUTS: block})
            took[name].append(1e6 * (time.perf_counter() - begin) / _CALLS)
    base = took["float32"]
    return {
        name: {
            "us": statistics.median(each),
            "least_us": min(each),
            "ratio": statistics.median(whole / own for whole, own in zip(base, each, strict=True)),
            "ratio_of_least": min(base) / min(each),
            "mean_error": float(errors[name].mean()),
            "largest_error": float(errors[name].max()),
            "of_spread": float(errors[name].mean() / scores["float32"].std()),
            "bytes": len(graphs[name]),
        }
        for name, each in took.items()
    }


def main() -> None:
    """Measure both shapes at both sizes."""
    parser = arguments(__doc__ or "")
    parser.set_defaults(runs=101)
    given = parser.parse_args()
    found: dict[str, Any] = {}
    for shape, (fields, numbers) in SHAPES.items():
        text, rows = dense(fields, numbers)
        graphs = sides(text, rows)
        for size in SIZES:
            told = found[f"{shape}, {size} rows"] = measure(graphs, rows, size, given.runs)
            columns = ["median µs", "least", "× float32", "of least", "mean error", "of the spread", "largest", "kB"]
            print(f"\n| {shape}, {size} rows | {' | '.join(columns)} |")
            print("| --- " * (len(columns) + 1) + "|")
            for name, row in told.items():
                times = f"{row['us']:,.0f} | {row['least_us']:,.0f} | {row['ratio']:.2f} | {row['ratio_of_least']:.2f}"
                errors = f"{row['mean_error']:.5f} | {row['of_spread']:.1%} | {row['largest_error']:.5f}"
                print(f"| {name} | {times} | {errors} | {row['bytes'] / 1e3:,.0f} |")
    write("int8", given.out, {"threads": 1, "found": found}, ["numpy", "onnx", "onnxruntime"])


if __name__ == "__main__":
    main()
