"""Step 4, models that encode: each turns a thing into a vector, near to those of things like it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bottega.design.part import Choice


class RawPixels(Choice, frozen=True):
    """Encode a picture as its pixels, scaled down and centred; it learns nothing, and encoders are held against it.

    Wrong where things move within the picture, or are seen from another side or in another light.
    """

    side: int = 28
    """Pixels of each side, at most, 2 to 256: a longer one is scaled down by means. Larger sees more, and makes longer
    vectors: side² × channels."""
    name: str | None = None
    """How the scorecard calls it; nothing: its kind. Two of one kind in a ladder need names of their own."""

    def check(self) -> None:
        self.check_range("side", 2, 256)


class ImageEncoder(Choice, frozen=True):
    """Encode a picture as a vector by a small network, learnt so that pictures of one label lie together."""

    embedding_size: int = 64
    """Length of the vector, at least 2; larger tells more apart and costs memory."""
    width: int = 32
    """Width of the first layer, 4 to 256; twice as wide sees more and takes four times as long."""
    epochs: int = 11
    """Passes over the pictures, at least 1; few pictures need more of them."""
    batch: int = 256
    """Pictures of a step, at least 2; larger is steadier and needs a larger learning rate."""
    learning_rate: float = 0.4
    """Largest step of the optimiser (descent with momentum), above 0 to 1; it rises first, and falls to 0 by a half
    cosine."""
    reg: float = 5e-4
    """Share of the weights, times the learning rate, that a step takes away, 0 to 1; larger fits less."""
    scale: float = 8.0
    """Sharpness of the softmax over labels, above 0 to 100; larger is content with labels merely apart; smaller
    draws each together, and needs longer where labels are very many."""
    margin: float = 0.0
    """How much nearer to its own label than to others a picture has to lie, as a cosine, 0 to under 1."""
    augment: Sequence[Literal["flip", "shift", "erase"]] = ("flip",)
    """How pictures are changed while it learns: left and right; by up to 1/14 of a side; a third of each side left out.
    More ways need more passes. Leave out what changes the meaning: a flipped letter is no letter."""
    mirror: bool = False
    """Take the vector of a picture and its mirror image together: finds a little better, and takes twice the time.
    Needs `flip` among `augment`."""
    seed: int = 0
    """Another seed starts elsewhere, and shuffles otherwise."""
    name: str | None = None
    """How the scorecard calls it; nothing: its kind. Two of one kind in a ladder need names of their own."""

    def check(self) -> None:
        self.check_range("embedding_size", 2, 65_536)
        self.check_range("width", 4, 256)
        self.check_range("epochs", 1, 10_000)
        self.check_range("batch", 2, 2**20)
        self.check_range("learning_rate", 0, 1, low_open=True)
        self.check_range("reg", 0, 1)
        self.check_range("scale", 0, 100, low_open=True)
        self.check_range("margin", 0, 0.99)
        if len(set(self.augment)) < len(self.augment):
            raise self.refuse("augment", f"{self.augment}", "each way once")
        if self.mirror and "flip" not in self.augment:
            raise self.refuse("mirror", "pictures that it never saw mirrored", "augment with flip", "mirror=False")


class OnnxImageEncoder(Choice, frozen=True):
    """Encode a picture as a vector by an ONNX file, as other libraries write them; it learns nothing here."""

    path: str
    """The ONNX file, with all its weights inside; one input of pictures."""
    layout: Literal["auto", "NCHW", "NHWC"] = "auto"
    """Whether channels stand before height and width or after; `auto` reads it from the input's shape."""
    scale: float = 255.0
    """What pixels, 0 to 255, are divided by, above 0; 1 where the file does that itself."""
    mean: Sequence[float] = (0.0,)
    """What is then subtracted, one number, or one a channel."""
    std: Sequence[float] = (1.0,)
    """What is then divided by, each above 0, one number, or one a channel."""
    output: str | None = None
    """The output to read; nothing: the first."""
    pool: Literal["mean", "first"] = "mean"
    """How an output with places or tokens becomes one vector: the mean of all, or the first (a class token)."""
    name: str | None = None
    """How the scorecard calls it; nothing: its kind. Two of one kind in a ladder need names of their own."""

    def check(self) -> None:
        self.check_range("scale", 0, 1e6, low_open=True)
        if not self.path:
            raise self.refuse("path", "no path", "the path of an ONNX file", 'path="encoder.onnx"')
        for field in ("mean", "std"):
            if not 1 <= len(getattr(self, field)) <= 4:
                raise self.refuse(field, f"{getattr(self, field)}", "one number, or one a channel", f"{field}=[0.5]")
        if min(self.std) <= 0:
            raise self.refuse("std", f"{self.std}", "numbers above 0", "std=[0.229, 0.224, 0.225]")
