"""Steps: each rung learns to encode, once for the choice and once for the test, and encodes what is then searched."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bottega.data.examples import TEST, VALIDATE
from bottega.design.encoders import ImageEncoder, OnnxImageEncoder
from bottega.design.models import Model, rung_name
from bottega.files import read_json, sha256, write_json
from bottega.models.images.decoding import Pictures
from bottega.models.making import make_encoder
from bottega.models.protocols import Encoder
from bottega.runs.step import Result
from bottega.runs.steps.job import Job, slug
from bottega.runs.steps.ladders import Ladder
from bottega.runs.steps.lessons import FINAL, FITS
from bottega.runs.steps.pictures.items import Items, of_parts, read_items
from bottega.runs.steps.training import TIMING, TRAINING

Vectors = npt.NDArray[np.float32]
Encoded = Mapping[tuple[str, str], Result]
"""By rung and fit."""
MODEL = "model"
_TIMED = 50  # pictures
_LIBRARIES = {ImageEncoder: ("torch", "onnx", "onnxruntime"), OnnxImageEncoder: ("onnxruntime",)}


def encode_pictures(job: Job, ladder: Ladder, decoded: Result, parted: Result) -> dict[tuple[str, str], Result]:
    """Train each rung twice: on training, judged on validation; then on both, judged on the test, and served."""
    return {
        (rung_name(setting), fit): _encode(job, setting, fit, decoded, parted)
        for fit in FITS
        for setting in ladder.rungs
    }


def _encode(job: Job, setting: Model, fit: str, decoded: Result, parted: Result) -> Result:
    name = rung_name(setting)

    def work(folder: Path, *_: Result) -> str:
        items = read_items(job, decoded, parted)
        learn = of_parts(items, *FITS[fit][0])
        learn = learn[items.value[learn] >= 0]
        model = make_encoder(setting)
        model.fit(items.pictures[learn], items.value[learn])
        model.save(folder / MODEL)
        places = encoded_by(items, fit)
        vectors = model.encode(items.pictures[places])
        np.save(folder / "vectors.npy", vectors)
        took = encoding_ms(model, items.pictures[places[:_TIMED]])
        write_json(folder / TIMING, {"encoding_ms": took})
        if (training := getattr(model, "training", None)) is not None:
            epochs, rate = len(training["losses"]), training["pictures_per_s"]
            kept = {key: training[key] for key in ("device", "precision")}
            write_json(folder / TRAINING, {"epochs": epochs, "examples_per_s": rate, "rows": len(learn), **kept})
        return f"{len(learn):,} pictures, vectors of {vectors.shape[1]}"

    file = getattr(setting, "path", None)  # what stands in it counts, not only what it is called
    return job.runner.step(
        f"{fit}-{slug(name)}",
        work,
        inputs={"setting": setting} | ({"file": sha256(Path(file))} if file and Path(file).is_file() else {}),
        needs=[decoded, parted],
        code=("bottega.models.images", "bottega.runs.steps.pictures.encoding"),
        libraries=("numpy", *_LIBRARIES.get(type(setting), ())),
        note=name,
    )


def encoded_by(items: Items, fit: str) -> npt.NDArray[np.int64]:
    """Give the places of the items that a fit encodes: all but the test for the choice, then all."""
    return np.flatnonzero(items.part != TEST) if FITS[fit][1] == VALIDATE else np.arange(len(items))


def read_vectors(items: Items, encoded: Result, fit: str, places: npt.NDArray[np.int64]) -> Vectors:
    """Give the vectors of the items at these places, (m, d)."""
    held = np.load(encoded.folder / "vectors.npy", mmap_mode="r")
    if fit == FINAL:
        return np.asarray(held[places])
    return np.asarray(held[np.searchsorted(encoded_by(items, fit), places)])


def encoding_ms(model: Encoder, pictures: Pictures) -> float:
    """Give the median milliseconds in which a model encodes one picture."""
    took = []
    for row in range(len(pictures)):
        begin = time.perf_counter()
        model.encode(pictures[row : row + 1])
        took.append(1e3 * (time.perf_counter() - begin))
    return float(np.median(took))


def within_budget(ladder: Ladder, encoded: Encoded) -> dict[str, bool]:
    """Say of each rung whether it encodes a picture within the budget of its stage, as measured when it was trained."""
    if ladder.budget_ms is None:
        return {}
    names = [rung_name(rung) for rung in ladder.rungs]
    took = {name: read_json(encoded[name, FINAL].folder / TIMING)["encoding_ms"] for name in names}
    return {name: milliseconds <= ladder.budget_ms for name, milliseconds in took.items()}
