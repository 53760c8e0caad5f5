"""Encoders from files of others: read by their own shapes, and refused by name where they are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bottega.design.encoders import ImageEncoder, OnnxImageEncoder
from bottega.errors import BuildError, DataError
from bottega.models.images.encoder import ImageEncoderModel
from bottega.models.images.onnx_encoder import OnnxImageEncoderModel
from bottega.testing.encoder_checks import check_encoder, shapes

WHY = "is not installed: pip install 'bottega[deep,images]'"
for package in ("torch", "onnx", "onnxruntime"):
    pytest.importorskip(package, reason=f"{package} {WHY}")

import onnx  # noqa: E402


def some(height: int, width: int, channels: int, seed: int = 0) -> Any:
    """One picture (height, width, channels) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def unit(vectors: Any) -> Any:
    """Each row at length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def written(path: Path, shape: list[Any], nodes: list[Any], outputs: dict[str, list[Any]], kind: int = 1) -> str:
    """Write an ONNX file with one input `x`; give its path."""
    make = onnx.helper
    inputs = [make.make_tensor_value_info("x", kind, shape)]
    results = [make.make_tensor_value_info(name, 1, sides) for name, sides in outputs.items()]
    axes = [onnx.numpy_helper.from_array(np.array(values), name) for name, values in
            {"places": [2, 3], "middle": [1, 2]}.items()]  # fmt: skip
    graph = make.make_graph(nodes, "given", inputs, results, axes)
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=9), str(path))
    return str(path)


def flat(path: Path, shape: list[Any], size: int, kind: int = 1) -> str:
    """A file whose vector is its input, cast to float32 and row by row."""
    nodes = [onnx.helper.make_node("Cast", ["x"], ["real"], to=1), onnx.helper.make_node("Flatten", ["real"], ["y"])]
    return written(path, shape, nodes, {"y": [shape[0], size]}, kind)


@pytest.mark.parametrize("kind", [1, 10], ids=["float32", "float16"])
@pytest.mark.parametrize("rows", ["n", 1, 4])
@pytest.mark.parametrize(("layout", "said"), [("NCHW", "auto"), ("NHWC", "auto"), ("NCHW", "NCHW")])
def test_a_file_is_read_by_its_own_shapes(layout: str, said: Any, rows: Any, kind: int, tmp_path: Path) -> None:
    sides = [rows, 3, 4, 5] if layout == "NCHW" else [rows, 4, 5, 3]
    path = flat(tmp_path / "given.onnx", sides, 60, kind)
    pictures = np.stack([some(4, 5, 3, seed) for seed in range(7)])
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
    model = OnnxImageEncoderModel(OnnxImageEncoder(path=path, layout=said, mean=mean, std=std))
    model.fit(pictures, None)
    x = (pictures / 255 - mean) / std
    x = x.transpose(0, 3, 1, 2) if layout == "NCHW" else x
    np.testing.assert_allclose(model.encode(pictures), unit(x.reshape(7, -1)), atol=1e-5 if kind == 1 else 2e-3)
    assert (model.size, model.shape) == (60, (4, 5, 3))


def test_bytes_go_into_a_file_that_takes_bytes(tmp_path: Path) -> None:
    path = flat(tmp_path / "given.onnx", ["n", "h", "w", 3], 60, kind=2)
    pictures = np.stack([some(4, 5, 3, seed) for seed in range(3)])
    model = OnnxImageEncoderModel(OnnxImageEncoder(path=path))
    model.fit(pictures, None)
    np.testing.assert_allclose(model.encode(pictures), unit(pictures.reshape(3, -1).astype(float)), atol=1e-6)


def test_places_and_tokens_become_one_vector(tmp_path: Path) -> None:
    make, pictures = onnx.helper.make_node, np.stack([some(4, 5, 3, seed) for seed in range(3)])
    nodes = [make("Identity", ["x"], ["grid"]), make("Transpose", ["x"], ["turned"], perm=[0, 2, 3, 1]),
             make("Reshape", ["turned", "shape"], ["tokens"])]  # fmt: skip
    shape = onnx.helper.make_node("Constant", [], ["shape"], value_ints=[0, 20, 3])
    path = written(
        tmp_path / "g.onnx", ["n", 3, 4, 5], [shape, *nodes], {"grid": ["n", 3, 4, 5], "tokens": ["n", 20, 3]}
    )
    x = pictures / 255
    for setting, truth in (
        ({}, x.mean(axis=(1, 2))),
        ({"output": "tokens"}, x.mean(axis=(1, 2))),
        ({"output": "tokens", "pool": "first"}, x[:, 0, 0]),
    ):
        model = OnnxImageEncoderModel(OnnxImageEncoder(path=path, **setting))
        model.fit(pictures, None)
        np.testing.assert_allclose(model.encode(pictures), unit(truth), atol=1e-5)


def test_a_file_of_others_meets_the_contract(tmp_path: Path) -> None:
    path = flat(tmp_path / "given.onnx", ["n", 1, 12, 12], 144)
    check_encoder(lambda: OnnxImageEncoderModel(OnnxImageEncoder(path=path, mean=[-0.1])))


def test_our_own_file_is_one_that_others_can_read(tmp_path: Path) -> None:
    model, (pictures, _) = ImageEncoderModel(ImageEncoder(embedding_size=8, width=4, epochs=1)), shapes(20, seed=3)
    model.fit(*shapes())
    model.save(tmp_path / "model")
    other = OnnxImageEncoderModel(OnnxImageEncoder(path=str(tmp_path / "model" / "encoder.onnx")))
    other.fit(pictures, None)
    np.testing.assert_allclose(other.encode(pictures), model.encode(pictures), atol=1e-6)


def test_wrong_files_are_refused_by_name(tmp_path: Path) -> None:
    pictures = some(4, 5, 3)[None]

    def refused(error: Any, match: str, path: Any, **setting: Any) -> None:
        with pytest.raises(error, match=match) as caught:
            OnnxImageEncoderModel(OnnxImageEncoder(path=str(path), **setting)).fit(pictures, None)
        assert caught.value.fix

    refused(BuildError, r"none\.onnx: cannot be read", tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    refused(BuildError, r"text\.onnx: ONNX Runtime cannot read it", tmp_path / "text.onnx")
    good = flat(tmp_path / "good.onnx", ["n", 3, 4, 5], 60)
    (tmp_path / "half.onnx").write_bytes(Path(good).read_bytes()[:60])
    refused(BuildError, r"half\.onnx", tmp_path / "half.onnx")
    refused(BuildError, "no output 'vector'", good, output="vector")
    refused(DataError, "1, or 3, one a channel", good, mean=[0.1, 0.2])
    refused(BuildError, "layout cannot be told", flat(tmp_path / "any.onnx", ["n", "a", "b", "c"], 60))
    refused(DataError, r"\(8, 8, 3\), as .*eight\.onnx reads them", flat(tmp_path / "eight.onnx", ["n", 3, 8, 8], 192))
    refused(DataError, r"\(4, 5, 1\)", flat(tmp_path / "grey.onnx", ["n", 1, 4, 5], 20))
    refused(BuildError, "one input with four sides", flat(tmp_path / "line.onnx", ["n", 60], 60))
    nodes = [onnx.helper.make_node("ReduceMean", ["x", "places"], ["m"], keepdims=0),
             onnx.helper.make_node("ReduceSum", ["m", "one"], ["y"], keepdims=0)]  # fmt: skip
    one = onnx.helper.make_node("Constant", [], ["one"], value_ints=[1])
    number = written(tmp_path / "number.onnx", ["n", 3, 4, 5], [one, *nodes], {"y": ["n"]})
    refused(BuildError, r"output 'y' has the shape \(1,\)", number)
    log = written(tmp_path / "log.onnx", ["n", 3, 4, 5], [
        onnx.helper.make_node("Sub", ["x", "x"], ["zero"]), onnx.helper.make_node("Log", ["zero"], ["l"]),
        onnx.helper.make_node("Flatten", ["l"], ["y"])], {"y": ["n", 60]})  # fmt: skip
    refused(BuildError, "'y' is not finite", log)
    fixed = written(tmp_path / "fixed.onnx", ["n", 3, "h", "w"], [
        onnx.helper.make_node("Constant", [], ["s"], value_ints=[1, 7]),
        onnx.helper.make_node("Reshape", ["x", "s"], ["y"])], {"y": [1, 7]})  # fmt: skip
    refused(BuildError, "it fails on pictures", fixed)
    model = OnnxImageEncoderModel(OnnxImageEncoder(path=good))
    with pytest.raises(DataError, match="pictures: none"):
        model.fit(pictures[:0], None)
