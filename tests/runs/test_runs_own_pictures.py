"""One's own pictures as a folder of files: read, the broken ones put aside, parted, and told how they are seen."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import msgspec

import bottega as bt
import shapes_world
from bottega.data.source import Place
from bottega.runs.progress import Lines
from bottega.runs.runner import Runner
from bottega.runs.steps.job import Job
from bottega.runs.steps.pictures.items import decode_pictures, part_pictures, read_items, with_refused
from bottega.runs.steps.tables import ingest_tables
from bottega.runs.workspace import Workspace
from bottega.systems import visual_search


def test_a_folder_for_each_label_is_a_table_of_pictures(tmp_path: Path) -> None:
    good = shapes_world.pictures(30)
    for name, (image, shape) in good.items():
        path = tmp_path / "data" / "pictures" / shape / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)
    (tmp_path / "data" / "pictures" / "square" / "broken.png").write_bytes(b"no picture at all")
    (tmp_path / "data" / "pictures" / "square" / "empty.jpg").write_bytes(b"")
    (tmp_path / "data" / "pictures" / "beside.png").write_bytes(good["p000"][0])
    for channels, seen in ((1, "grey"), (3, "colour")):
        image = bt.Image("image", size=(12, 12), channels=channels)
        design = msgspec.structs.replace(visual_search.design, features=[image])
        with Runner(Workspace(tmp_path / "w", design.name), Lines(said := StringIO())) as runner:
            job = Job(design, Place(tmp_path / "data"), runner)
            counts = ingest_tables(job)
            decoded = decode_pictures(job)
            items = read_items(job, decoded, part_pictures(job, decoded))
            told = with_refused(counts, "pictures", decoded)["pictures"]
        assert f"30 read as 12 × 12 in {seen}" in said.getvalue()
        assert items.ids.to_pylist() == sorted(f"{shape}/{name}.png" for name, (_, shape) in good.items())
        assert (told["accepted"], told["quarantined"]) == (30, 3)
        reasons = {"image: cannot be decoded": 1, "image: empty": 1}
        assert reasons.items() <= told["reasons"].items()
        assert any("label" in reason for reason in told["reasons"])
