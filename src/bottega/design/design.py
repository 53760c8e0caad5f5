"""The seven steps together: a design is one frozen value, and the only thing that a person writes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from bottega.design.data import Data, TimeSplit
from bottega.design.evaluation import Evaluation
from bottega.design.examples import FromPositives, Judged, Retrieved, SameValue
from bottega.design.features import Feature, Image, Lookup, Window
from bottega.design.models import Ladder, rung_name
from bottega.design.monitoring import Monitoring
from bottega.design.part import Part
from bottega.design.scope import Scope
from bottega.design.serving import Auction, Nearest, Pace, Rank, Retrieve, Score, Serving
from bottega.errors import DesignError, nearest


class Design(Part, frozen=True):
    """A machine-learning system, in its seven steps; it names no infrastructure."""

    name: str
    """Its name, in lower case with dashes; the workspace keeps its builds under it."""
    scope: Scope
    """Step 1: what is asked, and the limits."""
    data: Data
    """Step 2: tables, examples, labels, split."""
    features: Sequence[Feature]
    """Step 3: what the models see."""
    models: Mapping[str, Ladder]
    """Step 4: for each stage its ladder of models, the simplest first: `{"retrieve": [...], "rank": [...]}`."""
    evaluation: Evaluation
    """Step 5: metrics and goals."""
    serving: Serving
    """Step 6: the path of a request."""
    monitoring: Monitoring = Monitoring()
    """Step 7: what is watched, and when it learns again."""
    silenced: Mapping[str, str] = {}
    """Findings of `bottega review` that are meant to be so: the code of each, and the reason."""

    def check(self) -> None:
        """Hold the steps against each other: every name that one uses, another must define."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.name):
            raise self.refuse("name", f"{self.name!r}", "lower-case letters, digits and dashes")
        tables = {table.name: table for table in self.data.tables}
        self._known("data.examples.table", self.data.examples.table, tables)
        for field in ("requests", "catalogue"):
            name = getattr(self.data.examples, field, None)
            if isinstance(name, str):
                self._known(f"data.examples.{field}", name, tables)
        for place, feature in enumerate(self.features):
            if isinstance(feature, (Window, Lookup)):
                self._known(f"features[{place}].table", feature.table, tables)
            if isinstance(feature, Window) and tables[feature.table].time is None:
                raise DesignError(
                    f"features[{place}].table",
                    f"{feature.table!r} has no time",
                    "a table with a time",
                    f'Table({feature.table!r}, …, time="…"), or a Lookup instead',
                )
        self._check_models()
        self._check_path()
        self._check_sampling()
        self._check_split(tables[self.data.examples.table].time)

    def _check_models(self) -> None:
        for ladder, rungs in self.models.items():
            if not rungs:
                raise DesignError(f"models.{ladder}", "an empty ladder", "at least one model")
            names = [rung_name(rung) for rung in rungs]
            if wrong := [name for name in names if not re.fullmatch(r"[A-Za-z]\w*", name)]:
                raise DesignError(f"models.{ladder}.name", f"{wrong[0]!r}", "letters, digits and _")
            if len(set(names)) < len(names):
                raise DesignError(
                    f"models.{ladder}",
                    f"{names}",
                    "each name once in a ladder",
                    'for example bt.Popularity(span="7d", name="Trending")',
                )
            for place, rung in enumerate(rungs):
                for label in getattr(rung, "objectives", ()):
                    self._known(f"models.{ladder}[{place}].objectives", label, [one.name for one in self.data.labels])
        every = {rung_name(rung) for ladder in self.models.values() for rung in ladder}
        for place, goal in enumerate(self.evaluation.goals):
            for field in ("above", "below"):
                if (rung := getattr(goal, field)) is not None:
                    self._known(f"evaluation.goals[{place}].{field}", rung, every)
            if goal.ladder is not None:
                self._known(f"evaluation.goals[{place}].ladder", goal.ladder, self.models)

    def _check_path(self) -> None:
        path, labels = self.serving.path, [label.name for label in self.data.labels]
        ranked: list[str] = []
        for place, stage in enumerate(path):
            where = f"serving.path[{place}]"
            if isinstance(stage, (Rank, Score)):
                self._known(f"{where}.ladder", stage.ladder, self.models)
                if stage.ladder in ranked:
                    raise DesignError(f"{where}.ladder", f"{stage.ladder!r} a second time", "each ladder once")
                ranked.append(stage.ladder)
            if isinstance(stage, Rank) and stage.label is not None:
                self._known(f"{where}.label", stage.label, labels)
            elif isinstance(stage, Nearest):
                self._known(f"{where}.encoder", stage.encoder, self.models)
                self._check_nearest(where)
            elif isinstance(stage, Retrieve):
                self._known(where, "retrieve", self.models)
                for name in stage.quotas:
                    self._known(f"{where}.quotas", name, [rung_name(rung) for rung in self.models["retrieve"]])
            elif isinstance(stage, Pace) and not any(isinstance(later, Auction) for later in path[place + 1 :]):
                raise DesignError(where, "Pace() without an auction after it", "Pace(), then Auction()")
            elif isinstance(stage, Auction):
                self._known(f"{where}.click", stage.click, ranked)
                if stage.replay is not None:
                    self._known(f"{where}.replay", stage.replay, [table.name for table in self.data.tables])
                if stage.conversion is not None:
                    self._known(f"{where}.conversion", stage.conversion, ranked)

    def _check_nearest(self, where: str) -> None:
        """Hold a search by vectors against the table of items, and the picture that is read."""
        examples = self.data.examples
        if not isinstance(examples, SameValue):
            raise DesignError(where, f"Nearest(), and examples are {type(examples).__name__}", "SameValue examples")
        if sum(isinstance(feature, Image) for feature in self.features) != 1:
            fix = 'features=[bt.Image("image", size=(28, 28))]'
            raise DesignError("features", "not one picture, which Nearest() encodes", "one Image()", fix)
        table = next(table for table in self.data.tables if table.name == examples.table)
        if not isinstance(table.key, str):
            raise DesignError(f"data.tables[{table.name}].key", f"{table.key!r}", "the column that names an item")

    def _check_sampling(self) -> None:
        sampling = self.data.sampling
        if sampling is None or not sampling.correct:
            return
        for ladder, rungs in self.models.items():
            for place, rung in enumerate(rungs):
                if (weight := getattr(rung, "positive_weight", 1.0)) != 1:
                    raise DesignError(
                        f"models.{ladder}[{place}].positive_weight",
                        f"{weight:g}, where data.sampling corrects the probability: weights on top distort it again",
                        "1 where the sampling is corrected",
                        "leave positive_weight out, or leave data.sampling out",
                    )

    def _check_split(self, time: str | None) -> None:
        examples, split = self.data.examples, self.data.split
        if time is None and (late := [label.name for label in self.data.labels if label.window is not None]):
            raise DesignError("data.labels", f"{late[0]} with a window, and {examples.table!r} has no time", "a time")
        if isinstance(split, TimeSplit) and time is None:
            raise DesignError(
                "data.split",
                f"a split in time, and {examples.table!r} has no time",
                "a table with one",
                "name its time column, or use GroupSplit or GivenSplit",
            )
        if isinstance(examples, FromPositives) and not isinstance(split, TimeSplit):
            raise DesignError(
                "data.split",
                type(split).__name__,
                "TimeSplit where examples are made from positives",
                f'split=bt.TimeSplit(test="{examples.horizon}")',
            )
        retrieves = any(isinstance(stage, Retrieve) for stage in self.serving.path)
        if isinstance(examples, FromPositives) and isinstance(examples.candidates, Retrieved) and not retrieves:
            raise DesignError(
                "data.examples.candidates",
                "Retrieved(), and the path retrieves nothing",
                "a path with Retrieve()",
                "add bt.Retrieve() to the path, or use bt.Sampled()",
            )
        if isinstance(examples, Judged) and not retrieves:
            raise DesignError("serving.path", "judged examples, and nothing retrieves", "bt.Retrieve() as its first")
        if isinstance(examples, (SameValue, Judged)) and isinstance(split, TimeSplit):
            raise DesignError("data.split", "TimeSplit", "GroupSplit or GivenSplit: these examples have no time")

    def _known(self, where: str, name: str, known: Collection[str]) -> None:
        if name not in known:
            guess = nearest(name, known)
            raise DesignError(where, f"{name!r}", f"one of {', '.join(sorted(known)) or 'none'}", guess)
