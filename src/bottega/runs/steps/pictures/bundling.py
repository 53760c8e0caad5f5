"""Step: encoder, gallery, store and the design go into one bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from bottega.design.writing import to_json
from bottega.files import read_json, write_json
from bottega.runs.step import Result
from bottega.runs.steps.bundling import BUNDLE
from bottega.runs.steps.job import Job
from bottega.runs.steps.ladders import Ladder
from bottega.runs.steps.lessons import FINAL
from bottega.runs.steps.pictures.encoding import MODEL, Encoded
from bottega.serving.bundle import FORMAT, SCHEMAS, Facts, Ranked, model_folder
from bottega.serving.manifest import write_manifest
from bottega.serving.nearest import FIELDS, GALLERY
from bottega.serving.online import ROWS


def bundle_pictures(job: Job, ladder: Ladder, encoded: Encoded, judged: Result, store: Result) -> Result:
    """Put the champion, the gallery, the store and the design into `bundle/`: plain files and their hashes."""

    def work(step: Path, *_: Result) -> str:
        folder = step / BUNDLE
        folder.mkdir()
        champion = read_json(judged.folder / "evaluation.json")["champions"][ladder.name]
        facts = Facts({ladder.name: Ranked(champion, (), ())}, FIELDS, (), FORMAT)
        (folder / "design.json").write_bytes(to_json(job.design))
        write_json(folder / "serving.json", msgspec.to_builtins(facts))
        source = encoded[champion, FINAL].folder / MODEL
        shutil.copytree(source, model_folder(folder, ladder.name, ladder.rung(champion)))
        shutil.copytree(judged.folder / GALLERY, folder / GALLERY)
        for name in (ROWS, SCHEMAS):
            shutil.copytree(store.folder / name, folder / name)
        write_manifest(folder, {"build": BUNDLE, "created": "", "design": job.design.name})
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return f"{size / 1e6:,.0f} MB"

    return job.runner.step(
        "bundle",
        work,
        inputs={"design": job.design, "ladder": [ladder.name, ladder.rungs]},
        needs=[judged, store, *encoded.values()],
        code=("bottega.serving.bundle", "bottega.design", "bottega.runs.steps.pictures.bundling"),
    )
