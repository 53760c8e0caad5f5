"""The path of a request with a picture: it is decoded and encoded, and the nearest items are its answer."""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from bottega.design.design import Design
from bottega.design.features import Image
from bottega.design.models import rung_name
from bottega.design.serving import Nearest
from bottega.errors import DataError, ServeError
from bottega.features.filling import AS_OF
from bottega.models.images.decoding import decode_one
from bottega.models.making import encoder_class
from bottega.models.protocols import Encoder
from bottega.serving.additions import Follower, additions
from bottega.serving.asking import LONGEST_ID
from bottega.serving.bundle import model_folder, read_design, read_facts
from bottega.serving.clock import CHOSEN, Clock, kept
from bottega.serving.finding import milliseconds
from bottega.serving.gallery import Gallery, Vectors, load_gallery, version_of
from bottega.serving.manifest import verify
from bottega.serving.online import open_online
from bottega.serving.request_ids import request_id
from bottega.serving.spending import Clicked
from bottega.serving.wire import Answer, Explained, Id, Item, RequestError, as_id

GALLERY = "gallery"
"""The folder of a build with the items that are searched."""
FIELDS = {"image": "text", "id": "id"}
"""What a request may name: a picture in base64, or an item that is known."""
_NOTHING = np.zeros(0, dtype=np.float32)


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """A request: a picture, or an item to which others are to be like."""

    image: str | None = None
    """The bytes of a picture file, in base64."""
    id: Id = None
    """An item of the gallery; it is left out of its own answer."""
    k: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, eq=False)
class Bundle:
    """A loaded build that searches pictures. encoder, gallery: of one version. clock: what time an event gets."""

    version: str
    design: Design
    champion: str
    encoder: Encoder
    gallery: Gallery
    clock: Clock


class _Found(NamedTuple):
    """What was found for a request. vector: (d,) that was searched with; (0,) where there is none."""

    vector: Vectors
    numbers: list[int]
    scores: list[float]
    degradations: list[str]
    stage_ms: dict[str, float]


def load_pictures(folder: Path, store: str, clock: str = "auto") -> Bundle:
    """Check every file of a build against its manifest, and load what answers; what came since is in the gallery.

    folder: a build. store: the URL of the online store. clock: which one, see `Clock`.
    Errors: `ServeError` naming a file that is damaged; `BuildError` where index and encoder are of two versions.
    """
    verify(folder)
    design = read_design(folder)
    champion, encoder, at = load_encoder(folder, design)
    gallery = load_gallery(folder / GALLERY, version_of(at))
    held = open_online(store, folder, readonly=True, clock=clock)
    follower = Follower(gallery, additions(held))
    follower.catch_up(gallery)
    follower.start()
    told = Clock(clock, int(held.marked(AS_OF) or 0), kept(held), held.marked(CHOSEN))
    return Bundle(folder.name, design, champion, encoder, gallery, told)


def load_encoder(folder: Path, design: Design) -> tuple[str, Encoder, Path]:
    """Load the encoder of a build: the name of its rung, itself, and its folder."""
    ((ladder, told),) = read_facts(folder).ladders.items()
    setting = next((rung for rung in design.models.get(ladder, ()) if rung_name(rung) == told.champion), None)
    if setting is None:
        found = f"a champion {told.champion!r} of the ladder {ladder!r}"
        raise ServeError(str(folder / "serving.json"), found, "a rung of the design", "run the design again")
    at = model_folder(folder, ladder, setting)
    return told.champion, encoder_class(setting).load(at, setting), at


class NearestPath:
    """Answers requests with the nearest items of a gallery; threads may share it.

    bundle: what `load_pictures` gave. Errors: `RequestError` for a faulty request.
    """

    request_type: type[msgspec.Struct] = Request

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.version, self.design = bundle, bundle.version, bundle.design
        self._stage = next(stage for stage in self.design.serving.path if isinstance(stage, Nearest))
        self._picture = next(feature for feature in self.design.features if isinstance(feature, Image))
        self._title = str(bundle.gallery.index.facts["built"])

    def warm(self) -> None:
        """Answer once, so that the first request finds all code compiled."""
        black = np.zeros((1, *self._picture.size, self._picture.channels), np.uint8)
        self.bundle.gallery.find(self.bundle.encoder.encode(black)[0], self._stage.k)

    def answer(self, request: Any, at: int | None = None) -> Answer:  # noqa: ARG002 (a gallery has no time)
        """Find the items nearest to a picture, or to an item that is known; what is missing is named in the answer."""
        found = self._find(request)
        names = map(self.bundle.gallery.name, found.numbers)
        items = [Item(name, score, {self._title: score}) for name, score in zip(names, found.scores, strict=True)]
        name = request.request_id or request_id()
        return Answer(name, self.version, items, found.degradations, found.stage_ms)

    def click(self, request_id: str, item: str) -> Clicked | None:  # noqa: ARG002 (nothing is sold)
        """Nothing is sold here, and no click is charged."""
        return None

    def explain(self, request: Any, at: int | None = None, sold_at: int | None = None) -> list[Explained]:  # noqa: ARG002
        """Tell of each item its place, the product of its vector with the request's, and its score in the search."""
        found, gallery = self._find(request), self.bundle.gallery
        told = []
        for place, (number, score) in enumerate(zip(found.numbers, found.scores, strict=True), 1):
            product = float(gallery.vector(number) @ found.vector)
            stages: dict[str, float | None] = {self.bundle.champion: product, self._title: score}
            features: dict[str, float | str | None] = {self._value: gallery.value(number)}
            told.append(Explained(gallery.name(number), place, {self._title: place}, stages, features))
        return told

    def vector(self, image: str) -> Vectors:
        """Give the vector (d,) of a picture in base64, as it is searched with; `RequestError` for what is none."""
        picture = self._picture
        try:
            data = base64.b64decode(image, validate=True)
        except (binascii.Error, ValueError) as error:
            raise RequestError("image", f"no base64: {error}", "the bytes of a picture file, in base64") from None
        try:
            pixels = decode_one(data, picture.size, picture.channels)
        except DataError as error:
            raise RequestError("image", error.found, error.allowed) from None
        found: Vectors = self.bundle.encoder.encode(pixels[None])[0]
        return found

    @property
    def _value(self) -> str:
        return str(getattr(self.design.data.examples, "column", "value"))

    def _find(self, request: Any) -> _Found:
        k, degradations = self._k(request)
        begin, gallery, own, vector = time.perf_counter(), self.bundle.gallery, -1, _NOTHING
        if (request.image is None) == (request.id is None):
            both = "nothing to search with" if request.image is None else "an image and an id"
            raise RequestError("image", both, "image, the bytes of a picture file in base64, or the id of an item")
        if request.image is not None:
            vector = self.vector(request.image)
        elif (own := gallery.number(_checked(request.id))) >= 0:
            vector = gallery.vector(own)
        else:
            degradations.append("id: unknown")
        encoded = milliseconds(begin)
        begin = time.perf_counter()
        numbers, scores = gallery.find(vector, k, own) if len(vector) else ([], [])
        if len(numbers) < k:
            degradations.append(f"k: {len(numbers)} of {k} found")
        times = {"encode": encoded, "nearest": milliseconds(begin)}
        return _Found(vector, numbers, scores, degradations, times)

    def _k(self, request: Any) -> tuple[int, list[str]]:
        stage, k = self._stage, self._stage.k if request.k is None else request.k
        if k < 1:
            raise RequestError("k", k, "1 or more")
        if k > stage.at_most:
            return stage.at_most, [f"k: {stage.at_most} of {k}, the most that is shown"]
        return k, []


def _checked(value: Id) -> str:
    text = as_id(value) or ""
    if len(text) > LONGEST_ID:
        raise RequestError("id", f"{len(text)} characters", f"at most {LONGEST_ID}")
    return text
