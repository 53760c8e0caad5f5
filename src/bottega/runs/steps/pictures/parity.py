"""Step: the parity gate. Pictures of the test are asked as a caller does, and held against what was judged."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from bottega.design.models import rung_name
from bottega.files import read_json, write_json
from bottega.runs.step import Result
from bottega.runs.steps.bundling import BUNDLE
from bottega.runs.steps.job import Job
from bottega.runs.steps.ladders import Ladder
from bottega.runs.steps.lessons import FINAL
from bottega.runs.steps.pictures.asking import asked_by
from bottega.runs.steps.pictures.encoding import Encoded, read_vectors
from bottega.runs.steps.pictures.items import picture_of, read_items, same_value
from bottega.serving.nearest import NearestPath, Request, load_pictures
from bottega.serving.parity import Mismatch, Parity

QUESTIONS = 500
_TOLERANCE = 1e-5  # of a number of a vector of length 1
_WORST = 10


def check_pictures_parity(
    job: Job, ladder: Ladder, decoded: Result, parted: Result, encoded: Encoded, judged: Result, bundle: Result
) -> Result:
    """Compare vectors of test pictures, and the first item found, as they are served with those that were judged."""

    def work(folder: Path, *_: Result) -> str:
        found = _compare(job, decoded, parted, encoded, judged, bundle)
        write_json(folder / "parity.json", msgspec.to_builtins(found))
        return f"{found.compared:,} values compared, {found.mismatches:,} differ"

    return job.runner.step(
        "parity",
        work,
        inputs={"questions": QUESTIONS, "ladder": [ladder.name, [rung_name(rung) for rung in ladder.rungs]]},
        needs=[decoded, parted, *encoded.values(), judged, bundle],
        code=("bottega.serving", "bottega.runs.steps.pictures.parity"),
        libraries=("numpy", "pyarrow"),
    )


def _compare(job: Job, decoded: Result, parted: Result, encoded: Encoded, judged: Result, bundle: Result) -> Parity:
    items = read_items(job, decoded, parted)
    (champion,) = read_json(judged.folder / "evaluation.json")["champions"].values()
    every = asked_by(job.design, items, FINAL).queries
    queries = every[np.unique(np.linspace(0, len(every) - 1, QUESTIONS).astype(np.int64))]
    wanted = read_vectors(items, encoded[champion, FINAL], FINAL, queries)
    path = NearestPath(load_pictures(bundle.folder / BUNDLE, "memory:"))
    images = job.log(same_value(job.design).table).column(picture_of(job.design).column)
    worst: list[Mismatch] = []
    counts = {"vector": 0, "item": 0}
    for row, image in enumerate(images.take(pa.array(items.row[queries])).to_pylist()):
        text = base64.b64encode(image).decode()
        name = items.ids[int(queries[row])].as_py()
        apart = float(np.abs(path.vector(text) - wanted[row]).max())
        counts["vector"] += apart > _TOLERANCE
        if apart > _TOLERANCE:
            worst.append(Mismatch("vector", {"id": name}, None, 0.0, apart))
        own = path.bundle.gallery.number(name)  # the served gallery may hold what was held out when it was judged
        number, score = path.bundle.gallery.find(wanted[row], 1, own)
        request = Request(image=text, k=1) if own < 0 else Request(id=name, k=1)
        item = next(iter(path.answer(request).items), None)
        if item is None or abs(float(item.score or 0) - score[0]) > _TOLERANCE:
            counts["item"] += 1
            expected = path.bundle.gallery.name(number[0])
            worst.append(Mismatch("item", {"id": name}, expected, score[0], None if item is None else item.score))
    by_feature = {name: count for name, count in counts.items() if count}
    return Parity(wanted.size + len(queries), sum(counts.values()), by_feature, worst[:_WORST])
