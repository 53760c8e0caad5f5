"""A design that answers by arithmetic, as the service sees one: for tests of everything around the path."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import bottega as bt
from bottega.data.streams.event_times import EventTimes
from bottega.errors import ServeError
from bottega.serving.answerer import Served
from bottega.serving.service import Settings
from bottega.serving.spending import Clicked
from bottega.serving.wire import Answer, Item, RequestError, request_type

TABLES = {
    name: EventTimes(bt.Table(name, time="at", time_format="%m/%d/%Y %H:%M"), ("at",))
    for name in ("orders", "products")
}


class StandIn:
    """Ranks the numbers k, k − 1, …, 1; its build says how long that takes and what goes wrong."""

    def __init__(self, version: str, facts: dict[str, Any]) -> None:
        self.version, self.facts = version, facts
        self.clicked: dict[tuple[str, str], list[str]] = {}
        self.request_type = request_type({"customer": "id", "spent": "number", "note": "text"})

    def answer(self, request: Any) -> Answer:
        k = 20 if request.k is None else request.k
        if k < 1:
            raise RequestError("k", k, "1 or more")
        if request.candidates is not None and len(request.candidates) > 1000:
            raise RequestError("candidates", f"{len(request.candidates)} ids", "at most 1000")
        if self.facts.get("bug") and request.note == "bug":
            raise ZeroDivisionError("a bug on purpose")
        end = time.perf_counter() + self.facts.get("cpu_ms", 0) / 1e3
        while time.perf_counter() < end:
            pass
        time.sleep(self.facts.get("sleep_ms", 0) / 1e3)
        shown = min(k, 50)
        degradations = ["customer: missing"] if request.customer is None else []
        if shown < k:
            degradations.append(f"k: {shown} of {k}"[:100] if k < 2**63 else "k: far too many")
        items = [Item(f"{self.version}-{place}", float(place), {"rank": float(place)}) for place in range(shown, 0, -1)]
        return Answer(request.request_id, self.version, items, degradations, {"retrieve": 0.25, "rank": 0.5})

    def click(self, request_id: str, item: str) -> Clicked | None:
        if self.facts.get("bug") and item == "bug":
            raise ServeError("spending", "a full disk on purpose")
        seen = self.clicked.setdefault((request_id, item), [])
        seen.append(item)
        return Clicked(request_id, item, 0.25, len(seen) == 1, 0.0) if item.startswith(self.version) else None


def load_stand_in(folder: Path, store: str, accounts: Path, clock: str) -> Served:
    del store, accounts, clock
    try:
        facts = json.loads((folder / "facts.json").read_text())
    except (OSError, ValueError) as error:
        raise ServeError(str(folder), f"damaged: {error}", "a whole build", "run the design again") from None
    time.sleep(facts.get("load_s", 0))
    if facts.get("gate"):  # one worker loads at once, the others when the test has opened the gate
        try:
            (folder / "first").touch(exist_ok=False)
        except FileExistsError:
            while not (folder / "open").exists():
                time.sleep(0.01)
    if facts.get("crash"):
        raise RuntimeError("the reader fell over")
    return Served("shop", TABLES, StandIn(folder.name, facts))


def settings_of(folder: Path, **fields: Any) -> Settings:
    """Give the settings of a service that answers with the stand-in, which has no store to stream into."""
    return Settings(folder, **{"port": 0, "loader": "service_stand_in:load_stand_in", "stream": "none", **fields})


def make_build(folder: Path, name: str, **facts: Any) -> None:
    """Write a build of the stand-in below a design's folder."""
    build = folder / "builds" / name
    build.mkdir(parents=True)
    (build / "facts.json").write_text(json.dumps(facts))


def release(folder: Path, name: str) -> None:
    """Move the pointer, atomically."""
    part = folder / ".current"
    part.write_text(f"{name}\n")
    part.replace(folder / "current")
