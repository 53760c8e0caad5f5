"""What all steps of one run share: the design, where its data are, and logs and tables that were read once."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from bottega.data.engine_names import distributed, engine_name
from bottega.data.ingest import read_log
from bottega.data.keys import as_text, encode
from bottega.data.log import Log
from bottega.data.source import Place
from bottega.design.design import Design
from bottega.design.examples import Each, FromPositives, Judged
from bottega.design.models import texts_read
from bottega.design.tables import Table
from bottega.models.following import Events
from bottega.models.interactions import Interactions
from bottega.runs.runner import Runner
from bottega.runs.step import Result
from bottega.runs.steps.asked import read_requests
from bottega.runs.steps.interactions import followed_events, judged_right, taken
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
    asked: Result | None = None
    """The requests, once they are made."""
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
        return examples.request[0] if isinstance(examples, (FromPositives, Judged)) else ""

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
        """Give what retrievers learn from: who took what before a moment, or of judged examples those of training."""
        return self.once(("interactions", at), lambda: self._interactions(at))

    def _interactions(self, at: int) -> Interactions:
        examples = self.design.data.examples
        rungs = self.design.models.get("retrieve", ())
        columns = sorted({name for rung in rungs for name in texts_read(rung)})
        if isinstance(examples, Judged) and self.asked is not None:
            return judged_right(examples, read_requests(self.asked.folder), self.log(examples.catalogue), columns)
        if not isinstance(examples, FromPositives):
            raise TypeError("only positives and judgements have interactions")
        catalogue = None if examples.catalogue is None else self.log(examples.catalogue)
        return taken(examples, self.log(examples.table), catalogue, columns, at)

    @cached_property
    def vocabulary(self) -> pa.StringArray:
        """Give all candidates that ever come, sorted: in it lists of several cuts have one code for each."""
        examples = self.design.data.examples
        names = [examples.table, getattr(examples, "catalogue", None)]
        columns = [as_text(self.log(name).column(str(self.candidate))) for name in names if name is not None]
        return encode(pa.concat_arrays(columns))[1]

    @property
    def candidate(self) -> str | None:
        """Give the column that names candidates; nothing where there are none."""
        return getattr(self.design.data.examples, "candidate", None)

    def events(self) -> Events:
        """Give everything that ever happened, for retrievers that follow it; items are those of `vocabulary`."""
        examples = self.design.data.examples
        if not isinstance(examples, FromPositives):
            raise TypeError("only a log of positives has events")
        catalogue = None if examples.catalogue is None else self.log(examples.catalogue)
        return self.once(
            ("interactions",), lambda: followed_events(examples, self.log(examples.table), catalogue, self.vocabulary)
        )

    def forget_interactions(self, at: int) -> None:
        """Let go of what was known at a moment, where there are too many moments to keep all."""
        if isinstance(getattr(self.design.data.examples, "requests", None), Each):
            self._kept.pop(("interactions", at), None)

    def learnt_from(self) -> list[Result]:
        """Give what retrievers learn from: the log, or of judged examples the requests; and the catalogue."""
        examples = self.design.data.examples
        names = [examples.table, getattr(examples, "catalogue", None)]
        asked = [self.asked] if isinstance(examples, Judged) and self.asked is not None else []
        return [*asked, *(self.ingested[name] for name in names if name is not None)]

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
