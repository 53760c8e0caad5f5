"""The image encoder in small worlds of shapes: it learns, is served with the numbers it learnt, and survives damage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bottega.design.encoders import ImageEncoder, OnnxImageEncoder
from bottega.errors import BuildError, DataError, DesignError
from bottega.models.images.altering import altered
from bottega.models.images.encoder import ImageEncoderModel
from bottega.models.images.network import Network
from bottega.testing.encoder_checks import ENCODER_CHECKS, shapes

WHY = "is not installed: pip install 'bottega[deep,images]'"
for package in ("torch", "onnx", "onnxruntime"):
    pytest.importorskip(package, reason=f"{package} {WHY}")

import onnx  # noqa: E402

SMALL = ImageEncoder(embedding_size=8, width=4, epochs=3, batch=32, learning_rate=0.2)


def some(height: int = 6, width: int = 5, channels: int = 1, seed: int = 0) -> Any:
    """One picture (height, width, channels) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def fitted(setting: ImageEncoder = SMALL, count: int = 240) -> ImageEncoderModel:
    model = ImageEncoderModel(setting)
    model.fit(*shapes(count))
    return model


def unit(vectors: Any) -> Any:
    """Each row at length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_pictures_are_altered_in_their_places() -> None:
    pictures, rng = np.stack([some(14, 28, 3, seed) for seed in range(40)]), np.random.default_rng(0)
    before = pictures.copy()
    flipped = altered(pictures, ["flip"], rng)
    same, turned = ((flipped == other).all(axis=(1, 2, 3)) for other in (pictures, pictures[:, :, ::-1]))
    assert (same ^ turned).all()
    assert 8 < turned.sum() < 32
    shifted = altered(pictures, ["shift"], rng)
    padded = np.pad(pictures, ((0, 0), (1, 1), (2, 2), (0, 0)), mode="edge")
    moves = [(padded[:, y : y + 14, x : x + 28] == shifted).all(axis=(1, 2, 3)) for y in range(3) for x in range(5)]
    assert np.any(moves, axis=0).all()
    assert sum(found.any() for found in moves) > 9
    erased = (altered(pictures, ["erase"], rng) != pictures).any(axis=3)
    assert 0 < erased.mean() < 0.12
    assert altered(pictures, [], rng) is pictures
    np.testing.assert_array_equal(pictures, before)


@pytest.mark.parametrize(
    "setting",
    [SMALL, ImageEncoder(embedding_size=8, width=4, epochs=2, batch=64, margin=0.1, augment=["erase"], seed=3)],
    ids=repr,
)
@pytest.mark.parametrize("check", ENCODER_CHECKS, ids=lambda check: check.__name__)
def test_encoder(setting: ImageEncoder, check: Any) -> None:
    check(lambda: ImageEncoderModel(setting))


def outlines(count: int, seed: int) -> tuple[Any, Any]:
    """Pictures (n, 20, 20, 1) of circles, squares and crosses, small, anywhere, in noise; and which they are."""
    rng, at = np.random.default_rng(seed), np.arange(20)
    pictures, label = rng.integers(0, 110, (count, 20, 20)), rng.integers(0, 3, count)
    for picture, kind in zip(pictures, label, strict=True):
        radius, (y, x) = rng.integers(3, 5), rng.integers(5, 15, 2)
        down, right = np.abs(at[:, None] - y), np.abs(at[None] - x)
        circle = np.abs(np.hypot(down, right) - radius) < 0.6
        square = np.maximum(down, right) == radius
        cross = (np.minimum(down, right) == 0) & (np.maximum(down, right) <= radius)
        picture[(circle, square, cross)[kind]] += rng.integers(60, 140)
    return pictures.astype(np.uint8)[..., None], label


def test_it_learns_what_shows_the_same_where_pixels_do_not_tell() -> None:
    (pictures, label), model = outlines(300, 1), ImageEncoderModel(ImageEncoder(embedding_size=8, width=8, epochs=6))
    model.fit(*outlines(1_200, 0))

    def right(vectors: Any) -> float:
        products = unit(vectors) @ unit(vectors).T
        np.fill_diagonal(products, -2)
        return float((label[products.argmax(axis=1)] == label).mean())

    assert right(pictures.reshape(300, -1).astype(float)) < 0.75
    assert right(model.encode(pictures)) > 0.95
    assert model.training["losses"][-1] < model.training["losses"][0] / 2


@pytest.mark.parametrize("shape", [(28, 28, 1), (9, 17, 3), (12, 12, 2), (1, 1, 1), (33, 8, 4)])
def test_what_is_served_is_what_was_learnt(shape: tuple[int, int, int]) -> None:
    import torch

    from bottega.models.images.torch_steps import TorchSteps

    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (24, *shape), dtype=np.uint8)
    model = ImageEncoderModel(ImageEncoder(embedding_size=6, width=4, epochs=1, batch=12))
    model.fit(pictures, np.arange(24) % 3)
    held = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load_from_string(model.graph()).graph.initializer}
    weights = {name: torch.tensor(values) for name, values in held.items()}
    network = Network(*shape, first=4, out=6)
    x = (torch.tensor(pictures).float() - weights["middle"]) / weights["spread"]
    with torch.no_grad():
        truth = network.vectors(TorchSteps(weights), x.permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(model.encode(pictures), truth, atol=2e-5)
    np.testing.assert_allclose(held["middle"], pictures.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(held["spread"], pictures.std(axis=(0, 1, 2)).clip(1), rtol=1e-5)


def test_the_steps_while_learning_fold_into_those_that_serve() -> None:
    """With the batch's own means for the kept ones, the folded weights give what the normalised ones gave."""
    import torch

    from bottega.models.images.learning import Learner
    from bottega.models.images.torch_steps import TorchSteps

    pictures, _ = shapes(40)
    network = Network(12, 12, 1, first=4, out=6)
    light = np.array([30], np.float32), np.array([50], np.float32)
    learner = Learner(SMALL, network, pictures, np.arange(40) % 2, *light)
    learner.learn()
    x = torch.tensor((pictures.astype(np.float32) - 30) / 50).permute(0, 3, 1, 2)
    with torch.no_grad():
        do = TorchSteps(learner._weights)
        learning = network.vectors(do, x)
        for name, met in do.met.items():
            learner._kept[name].copy_(met)
        folded = {name: torch.tensor(values) for name, values in learner.weights().items()}
        serving = network.vectors(TorchSteps(folded), x)
    np.testing.assert_allclose(serving.numpy(), learning.numpy(), atol=1e-4)


def test_the_same_is_the_same_and_another_seed_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from bottega.models.networks import place

    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    one, same = fitted(), fitted()
    other = fitted(ImageEncoder(embedding_size=8, width=4, epochs=3, batch=32, learning_rate=0.2, seed=1))
    assert one.graph() == same.graph() != other.graph()
    assert torch.equal(before, torch.get_rng_state())
    assert threads == torch.get_num_threads()
    monkeypatch.setattr(place, "_SMALL", 0)  # as larger pictures are learnt: in parts, rounded where that is faster
    torch.set_num_threads(2)
    try:
        first, again = fitted(), fitted()
    finally:
        torch.set_num_threads(threads)
    assert first.training["threads"] == 2
    assert first.graph() == again.graph() != one.graph()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_mirror_image_counts_as_much_as_the_picture(channels: int) -> None:
    settings = {"embedding_size": 8, "width": 4, "epochs": 1, "batch": 32}
    pictures = np.stack([some(9, 7, channels, seed) for seed in range(41)])
    label, plain = np.arange(41) % 3, ImageEncoderModel(ImageEncoder(**settings))
    plain.fit(pictures, label)
    both = ImageEncoderModel(ImageEncoder(mirror=True, **settings))
    both.fit(pictures, label)
    mirrored = np.ascontiguousarray(pictures[:, :, ::-1])
    wanted = unit(plain.encode(pictures) + plain.encode(mirrored))
    np.testing.assert_allclose(both.encode(pictures), wanted, atol=1e-5)
    np.testing.assert_allclose(both.encode(mirrored), wanted, atol=1e-5)
    np.testing.assert_allclose(both.encode(pictures[:1]), wanted[:1], atol=1e-5)
    with pytest.raises(DesignError, match="never saw mirrored"):
        ImageEncoder(mirror=True, augment=["shift"])


def test_few_pictures_many_labels_and_labels_of_any_kind() -> None:
    pictures, label = shapes(60)
    for labels in (label.tolist(), np.arange(60), np.array(label, dtype=object), np.arange(60) % 3 * 0.5):
        model = ImageEncoderModel(ImageEncoder(embedding_size=4, width=4, epochs=1))
        model.fit(pictures, labels)
        assert np.isfinite(model.encode(pictures)).all()
    model = ImageEncoderModel(ImageEncoder(embedding_size=4, width=4, epochs=2))
    model.fit(pictures[:2], [1, 2])
    assert np.isfinite(model.encode(pictures)).all()


@pytest.mark.parametrize(
    ("label", "found"),
    [
        (None, r"array \(\)"),
        ([1, 2], r"array \(2,\)"),
        (["a"] * 6, "1 different labels in 6"),
        (["a", "b", None, "a", "b", "b"], "missing values"),
        ([1, 2, np.nan, 1, 2, 2], "missing values"),
    ],
)
def test_labels_that_teach_nothing_are_refused(label: Any, found: str) -> None:
    with pytest.raises(DataError, match=found):
        ImageEncoderModel(SMALL).fit(shapes(6)[0], label)


def test_it_is_served_without_torch_and_without_onnx(tmp_path: Path) -> None:
    model, (pictures, _) = fitted(), shapes(9, seed=1)
    model.save(tmp_path / "model")
    np.save(tmp_path / "pictures.npy", pictures)
    program = f"""
import sys
from pathlib import Path
import numpy as np
from bottega.design.encoders import ImageEncoder
from bottega.models.images.encoder import ImageEncoderModel
home = Path({str(tmp_path)!r})
model = ImageEncoderModel.load(home / "model", ImageEncoder(embedding_size=8, width=4))
np.save(home / "vectors.npy", model.encode(np.load(home / "pictures.npy")))
assert not {{"torch", "onnx"}} & set(sys.modules), "training came along"
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "vectors.npy"), model.encode(pictures))


@pytest.mark.parametrize("name", ["encoder.json", "encoder.onnx"])
def test_a_damaged_or_missing_file_is_named(name: str, tmp_path: Path) -> None:
    fitted().save(tmp_path / "model")
    path = tmp_path / "model" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BuildError, match=name):
        ImageEncoderModel.load(tmp_path / "model", SMALL)
    path.unlink()
    with pytest.raises(BuildError, match=name):
        ImageEncoderModel.load(tmp_path / "model", SMALL)


def test_another_setting_or_other_facts_are_refused(tmp_path: Path) -> None:
    fitted().save(tmp_path / "model")
    with pytest.raises(BuildError, match="as the design says"):
        ImageEncoderModel.load(tmp_path / "model", ImageEncoder(embedding_size=9))
    (tmp_path / "model" / "encoder.json").write_text('{"shape": [12]}')
    with pytest.raises(BuildError, match=r"encoder\.json"):
        ImageEncoderModel.load(tmp_path / "model", SMALL)


@pytest.mark.parametrize("package", ["torch", "onnx", "onnxruntime"])
def test_what_is_missing_says_what_to_install(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BuildError, match=r"pip install 'bottega\[deep\]'"):
        fitted()


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"width": 2}, {"scale": 0.0}, {"margin": 1.0}, {"augment": ["flip", "flip"]}, {"batch": 1},
                  {"reg": -1.0}, {"embedding_size": 1}, {"learning_rate": 0.0}):  # fmt: skip
        with pytest.raises(DesignError, match=next(iter(wrong))):
            ImageEncoder(**wrong)
    for wrong in ({"path": ""}, {"std": [0.0]}, {"mean": []}, {"scale": 0.0}):
        with pytest.raises(DesignError, match=next(iter(wrong))):
            OnnxImageEncoder(**{"path": "a.onnx", **wrong})
