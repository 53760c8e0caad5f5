"""What all steps of one run share: the design, where its data are, and logs and tables that were read once."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from bottega.data.engine_names import distributed, engine_name
from bottega.data.ingest import read_log
from bottega.data.keys import as_text
from bottega.data.log import Log
from bottega.data.source import Place
from bottega.design.design import Design
from bottega.design.examples import FromPositives
from bottega.design.retrievers import TextSimilarity
from bottega.design.tables import Table
from bottega.errors import DataError
from bottega.models.interactions import Interactions
from bottega.runs.runner import Runner
from bottega.runs.step import Result
from bottega.runs.steps.ladders import Ladder, ladders

if TYPE_CHECKING:
    from bottega.features.engine import Engine

T = TypeVar("T")


@dataclass
class Job:
    """One run of one design.

    design: what is built. place: where its tables are. runner: computes steps or finds them. seed: of all draws.
    models: names of the rungs to train, or `all`; nothing: those that are not optional.
    """

    design: Design
    place: Place
    runner: Runner
    seed: int = 0
    models: Sequence[str] = ()
    ingested: dict[str, Result] = field(default_factory=dict)
    _kept: dict[object, object] = field(default_factory=dict)

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """Give the design's tables by name."""
        return {table.name: table for table in self.design.data.tables}

    @cached_property
    def ladders(self) -> list[Ladder]:
        """Give the ladders that the path ranks by, with the rungs that are trained in this run."""
        return ladders(self.design, self.models)

    @property
    def person(self) -> str:
        """Give the column that names who asks: the first of the request."""
        examples = self.design.data.examples
        return examples.request[0] if isinstance(examples, FromPositives) else ""

    def log(self, name: str) -> Log:
        """Give the accepted rows of a table, read once a run."""
        return self.once(("log", name), lambda: read_log(self.tables[name], self.ingested[name].folder))

    def logs(self) -> dict[str, Log]:
        """Give the accepted rows of all tables."""
        return {name: self.log(name) for name in self.tables}

    def engine(self) -> Engine | None:
        """Give the warehouse as what computes features, connected once a run; nothing: the embedded engine does."""
        url = self.place.warehouse
        if url is None or not distributed(url):
            return None

        def make() -> Engine:
            from bottega.features.engine import Engine

            folder = self.runner.workspace.steps / f".engine.{os.getpid()}.partial"  # a killed run's goes with the next
            folder.mkdir()
            self.runner.at_end(lambda: shutil.rmtree(folder, ignore_errors=True))
            engine = Engine(url, folder)
            self.runner.at_end(engine.close)
            return engine

        return self.once(("engine",), make)

    def computed_by(self) -> dict[str, str]:
        """Name the engine that computes features, for the keys of steps; nothing is said of the embedded one."""
        url = self.place.warehouse
        return {} if url is None or not distributed(url) else {"engine": engine_name(url)}

    def interactions(self, at: int) -> Interactions:
        """Give who took what before a moment: what retrievers learn from."""
        examples = self.design.data.examples
        if not isinstance(examples, FromPositives):
            raise TypeError("only a log of positives has interactions")

        def make() -> Interactions:
            log = self.log(examples.table).before(at)
            if log.time is None:
                raise DataError(f"data.tables[{log.name}].time", "no time", "a table of events with a time")
            people, items = (as_text(log.column(name)) for name in (examples.request[0], examples.candidate))
            ladder = self.design.models.get("retrieve", ())
            names = sorted({rung.column for rung in ladder if isinstance(rung, TextSimilarity)})
            return Interactions.of(people, items, log.time, {name: as_text(log.column(name)) for name in names})

        return self.once(("interactions", at), make)

    def once(self, key: object, make: Callable[[], T]) -> T:
        """Give what was made under this key in this run, or make it."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]  # type: ignore[return-value]

    def forget(self, *kinds: str) -> None:
        """Let go of what was kept under keys of these kinds, to free its memory."""
        self._kept = {
            key: value for key, value in self._kept.items() if not (isinstance(key, tuple) and key[0] in kinds)
        }


def slug(name: str) -> str:
    """Write a name as a step's name has it: `CoPurchase` is `co-purchase`, `customer_product` `customer-product`.

    >>> slug("CoPurchase"), slug("customer_product")
    ('co-purchase', 'customer-product')
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name)
    return re.sub(r"[^a-z0-9]+", "-", parted.lower()).strip("-")
