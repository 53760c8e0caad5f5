"""Tables of people, things and times, for proposals: under names that say what they are, and under others."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bottega.design.reading import load
from bottega.design.writing import to_python
from bottega.proposals.proposal import Proposal
from bottega.proposals.propose import propose
from bottega.proposals.roles import Roles
from bottega.verbs.review import review

BEGIN = datetime(2024, 1, 1)


def times(count: int, minutes: float = 20.0) -> list[datetime]:
    return [BEGIN + timedelta(minutes=minutes * place) for place in range(count)]


def takings(count: int = 3000, seed: int = 0, names: tuple[str, str, str] = ("user", "item", "time")) -> pa.Table:
    """Who took what: each person has ten things of sixty, and takes them again."""
    rng = np.random.default_rng(seed)
    tastes = rng.integers(0, 60, (40, 10))
    person = rng.integers(0, 40, count)
    thing = tastes[person, rng.integers(0, 10, count)]
    who, what, when = names
    return pa.table({who: [f"p{p}" for p in person], what: [f"t{t}" for t in thing], when: times(count)})


def clicks(count: int = 4000, seed: int = 0, **more: Any) -> pa.Table:
    """What was shown and clicked: a rate that hangs on the ad and the device."""
    rng = np.random.default_rng(seed)
    ad, device = rng.integers(0, 25, count), rng.integers(0, 2, count)
    chance = 0.05 + 0.3 * (ad % 5 == 0) + 0.2 * device
    clicked = (rng.random(count) < chance).astype(np.int64)
    columns = {
        "shown_at": times(count),
        "user_id": rng.integers(0, 80, count),
        "device": np.array(["phone", "desk"])[device],
        "age": rng.integers(18, 80, count),
        "ad_id": ad,
        "clicked": clicked,
    }
    return pa.table({**columns, **{name: made(rng, clicked) for name, made in more.items()}})


def made(folder: Path, columns: dict[str, Any] | pa.Table, said: Roles | None = None) -> Proposal:
    """Propose a design, of which review has nothing to say but what is silenced with a reason."""
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    pq.write_table(table, folder / "rows.parquet")
    found = propose("mine", folder / "rows.parquet", said)
    (folder / "mine.py").write_text(to_python(found.design, found.notes, "Proposed."), "utf-8")
    assert load(folder / "mine.py") == found.design
    raised = review(folder / "mine.py", data=folder, workspace=folder / "space").open
    assert [f"{one.code} {one.found}" for one in raised] == []
    return found
