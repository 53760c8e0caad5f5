"""A picture search over a table of one's own: built and served, asked oddly, changed while it answers, explained."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
from tiny_shop import Command, Said

import bottega as bt
import shapes_world
from bottega.data.idx import png

STRIPES = png(np.tile(np.array([[0], [200]], np.uint8), (6, 12)))


@dataclass(frozen=True)
class Served:
    """A built and served search."""

    home: Path
    url: str
    card: dict[str, Any]

    def post(self, place: str, body: Any) -> dict[str, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(f"{self.url}/{place}", data, {"content-type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def ask(self, **body: Any) -> dict[str, Any]:
        return self.post("rank", body)

    def command(self, verb: str, *typed: object) -> Said:
        place = (verb, self.home / "shapes.yaml", *typed, "--workspace", self.home / "w")
        return Command(*place, folder=self.home / "said").wait()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("visual")
    shapes_world.write(home)
    design = shapes_world.design(
        models={"encode": [bt.RawPixels(side=2), bt.ImageEncoder(embedding_size=16, width=8, epochs=6)]},
        serving=bt.Serving(path=[bt.Nearest(k=5, binary=True, tolerance=0.5)], workers=2),
    )
    (home / "shapes.yaml").write_text(bt.to_yaml(design))
    place = (home / "shapes.yaml", "--workspace", home / "w")
    said = Command("run", *place, "--json", folder=home / "said").wait()
    assert said.code == 0, said.err
    assert "Warning" not in said.err
    service = Command("serve", *place, "--port", 0, "--json", folder=home / "service")
    try:
        while not service.said()[0].endswith("\n"):
            assert not service.ended(), service.said()
            time.sleep(0.02)
        yield Served(home, json.loads(service.said()[0])["url"], json.loads(said.out))
    finally:
        os.kill(service.pid, signal.SIGINT)
        service.wait()


def text(image: bytes) -> str:
    return base64.b64encode(image).decode()


def test_the_scorecard(served: Served) -> None:
    card = served.card
    first = {one["name"]: one["metrics"]["precision@1"]["value"] for one in card["models"]}
    assert list(first) == ["RawPixels", "ImageEncoder", "64 bits"]
    assert first["ImageEncoder"] > first["RawPixels"]
    assert card["champions"] == {"encode": "ImageEncoder"}
    assert card["data"]["quarantined"] == 5
    assert card["data"]["tables"]["pictures"]["reasons"]["image: cannot be decoded"] == 2
    assert card["release"]["released"]
    assert (card["parity"]["mismatches"], card["serving"]["errors"], card["serving"]["degraded"]) == (0, 0, 0)
    assert [(one["name"], one["metric"]) for one in card["search"]["losses"]][:2] == [
        ("ImageEncoder", "map@20"), ("64 bits", "map@20"),
    ]  # fmt: skip
    assert card["arrival"]["n"] == card["arrival"]["sent"] > 0
    report = (served.home / "w" / "shapes" / "report.md").read_text()
    for told in ("What the search loses", "Lost by the encoder", "A new item is found after"):
        assert told in report


def test_what_the_run_says_fits_a_screen(served: Served) -> None:
    said = served.command("run", "--quiet")  # all steps are there
    assert said.code == 0, said.err
    assert "lost by ImageEncoder" in " ".join(said.out.split())
    assert all(len(line) <= 80 or "/" in line for line in said.out.splitlines())


def test_like_is_found_with_like(served: Served) -> None:
    every = shapes_world.pictures()
    asked = [(name, image, shape) for place, (name, (image, shape)) in enumerate(every.items()) if place % 3 == 0]
    right = 0
    for name, image, shape in asked:
        items = served.ask(image=text(image), k=1)["items"]
        assert items[0]["id"] != name
        right += every.get(items[0]["id"], ("", ""))[1] == shape
    by = {one["name"]: one["metrics"]["precision@1"]["value"] for one in served.card["models"]}
    assert right / len(asked) == pytest.approx(by["64 bits"], abs=2 / len(asked))  # one is told to show nothing


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        ({}, 422, "image"),
        ({"image": ""}, 422, "image"),
        ({"image": "%%%"}, 422, "image"),
        ({"image": text(b"no picture")}, 422, "image"),
        ({"image": 7}, 422, "image"),
        ({"id": "p001", "k": 0}, 422, "k"),
        ({"id": "p001", "page": 2}, 422, "page"),
        ({"image": "A" * (2**20)}, 413, "body"),
    ],
)
def test_faulty_requests(served: Served, body: dict[str, Any], status: int, where: str) -> None:
    with pytest.raises(HTTPError) as error:
        served.ask(**body)
    with error.value as answer:
        told = json.load(answer)["error"]
    assert error.value.code == status
    assert told["where"] == where
    assert told["found"]
    assert told["allowed"]


def test_a_body_that_is_no_json(served: Served) -> None:
    with pytest.raises(HTTPError) as error:
        served.post("rank", STRIPES)
    with error.value as answer:
        assert answer.code == 400


def test_unknown_items_are_named(served: Served) -> None:
    assert served.ask(id="nobody")["degradations"] == ["id: unknown", "k: 0 of 5 found"]


def test_pictures_come_and_go_while_it_answers(served: Served) -> None:
    assert served.post("events", {"table": "pictures", "id": "new", "image": text(STRIPES)})["accepted"] == 1
    _until(served, "new", there=True)
    answers = [served.ask(image=text(STRIPES), k=1)["items"][0] for _ in range(20)]  # of both workers
    assert {(item["id"], item["score"]) for item in answers} == {("new", 1.0)}
    served.post("events", {"table": "pictures", "id": "broken", "image": text(b"no picture")})
    served.post("events", [{"table": "pictures", "id": "new", "image": None}])
    _until(served, "new", there=False)
    assert all(served.ask(image=text(STRIPES), k=1)["items"][0]["id"] != "new" for _ in range(20))
    assert served.ask(id="broken")["degradations"][0] == "id: unknown"


def test_an_answer_is_explained(served: Served) -> None:
    answer = served.ask(id="p001")
    said = served.command("explain", answer["request_id"], "--json")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert [one["id"] for one in told] == [item["id"] for item in answer["items"]]
    assert {"ImageEncoder", "64 bits"} == set(told[0]["stages"])
    assert told[0]["features"]["shape"] in ("square", "cross")
    assert "64 bits at 1" in served.command("explain", answer["request_id"]).out


def test_it_is_loaded_with_pictures(served: Served) -> None:
    said = served.command("load", "--url", served.url, "--rate", 50, "--requests", 100, "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert (found["requests"], found["failed"], found["degraded"]) == (100, 0, 0)


def _until(served: Served, name: str, there: bool) -> None:
    """Ask until both workers, whichever answers, have said so many times in a row."""
    end, row = time.monotonic() + 30, 0
    while row < 20:
        assert time.monotonic() < end
        known = "id: unknown" not in served.ask(id=name)["degradations"]
        row = row + 1 if known == there else 0
