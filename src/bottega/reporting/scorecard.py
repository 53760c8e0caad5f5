"""The scorecard: what a build measured, as one frozen value; every part of it may be missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bottega.errors import DataError
from bottega.files import write_json
from bottega.reporting.click_parts import (
    Calibration,
    Categories,
    Compressed,
    Crossed,
    LabelCount,
    Position,
    Replay,
    Training,
)
from bottega.reporting.measured import Metrics
from bottega.reporting.parts import (
    Ceiling,
    DataCount,
    Parity,
    Promise,
    Release,
    Removed,
    Service,
    Source,
    Stage,
    StepTime,
    Warm,
)
from bottega.reporting.search_parts import Arrival, Search


class Rung(msgspec.Struct, frozen=True):
    """A model of a ladder, judged on the test, as `bottega.evaluation.judging` says."""

    name: str
    stage: str = ""
    metrics: Metrics = {}
    views: dict[str, Metrics] = {}
    slices: dict[str, dict[str, Metrics]] = {}
    items: dict[str, Metrics] = {}
    """The primary metric on candidates alone that had so many events before the request."""
    left_out: dict[str, list[str]] = {}
    undefined: dict[str, str] = {}
    seconds: float | None = None


class Comparison(msgspec.Struct, frozen=True):
    """The paired difference of a less b."""

    a: str
    b: str
    metric: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    n: float | None = None
    view: str | None = None
    verdict: str = ""


class Choice(msgspec.Struct, frozen=True):
    """Which rung a ladder uses, and why, as `bottega.evaluation.champion` says."""

    name: str = ""
    stage: str = ""
    decided: bool = True
    best: str = ""
    reason: str = ""
    within_budget: bool = True
    comparisons: list[Comparison] = []
    undefined: dict[str, str] = {}


class TaskRung(msgspec.Struct, frozen=True):
    """A rung, judged on one of the labels that its ladder learns."""

    name: str
    metrics: Metrics = {}
    undefined: dict[str, str] = {}


class Task(msgspec.Struct, frozen=True):
    """One of several labels that a network learns, judged by itself, as `bottega.evaluation.tasks` says."""

    label: str
    ladder: str = ""
    positives: int | None = None
    models: list[TaskRung] = []
    comparisons: list[Comparison] = []


class Ladder(msgspec.Struct, frozen=True):
    """Rungs that were judged on one label, and their champion."""

    name: str
    label: str
    rungs: list[Rung]
    champion: Rung | None
    choice: Choice | None

    @property
    def primary(self) -> str | None:
        """The metric that judging put first."""
        return next((metric for rung in self.rungs for metric in rung.metrics), None)

    def title(self, rung: Rung) -> str:
        """How a rung is called: by its name, with its stage before it where two rungs share it."""
        alone = sum(other.name == rung.name for other in self.rungs) == 1
        return rung.name if alone else f"{rung.stage}.{rung.name}"


class Scorecard(msgspec.Struct, frozen=True):
    """All that a build measured."""

    design: str = ""
    build: str = ""
    data: DataCount | None = None
    models: list[Rung] = []
    ladders: dict[str, str] = {}
    """Ladder to its label, where several are judged."""
    comparisons: list[Comparison] = []
    champions: dict[str, str] = {}
    choice: Choice | None = None
    """That of the first ladder."""
    choices: dict[str, Choice] = {}
    """By ladder, where several are judged."""
    funnel: list[Stage] = []
    ablation: list[Removed] = []
    """The whole path, then the path without each source and stage."""
    goals: list[Promise] = []
    parity: Parity | None = None
    serving: Service | None = None
    steps: list[StepTime] = []
    peak_rss_mb: float | None = None
    release: Release | None = None
    ceiling: Ceiling | None = None
    source: Source | None = None
    machine: dict[str, Any] = {}
    seed: int | None = None
    created: str | None = None
    calibration: dict[str, Calibration] = {}
    compression: dict[str, Compressed] = {}
    auction: Replay | None = None
    categories: list[Categories] = []
    crosses: list[Crossed] = []
    training: dict[str, Training] = {}
    left_out: dict[str, str] = {}
    """Rung to why it was not trained."""
    warm: dict[str, Warm] = {}
    """Ladder to where its champion began, in a run that was to go on from a release."""
    search: Search | None = None
    """Where items are searched by vectors."""
    arrival: Arrival | None = None
    """How soon an item that came as an event can be found."""
    position: Position | None = None
    labels: list[LabelCount] = []
    tasks: list[Task] = []

    @property
    def ran(self) -> bool:
        """Whether anything was measured: of a design that was not run nothing is."""
        return self != Scorecard()

    @property
    def judged(self) -> list[Ladder]:
        """Each ladder with its rungs, the one that orders what is shown first; all rungs together where it is alone."""
        if len(self.ladders) < 2:
            return [Ladder("", next(iter(self.ladders.values()), ""), self.models, self._sole(), self.choice)]
        first = next(iter(self.choices or self.champions or self.ladders))
        order = sorted(self.ladders, key=lambda ladder: ladder != first)
        rungs: dict[str, list[Rung]] = {name: [] for name in order}
        beside: list[Rung] = []
        for rung in self.models:  # retrievers are judged beside the ladder that follows them
            beside.append(rung)
            if rung.stage in rungs:
                rungs[rung.stage] += beside
                beside = []
        rungs[order[0]] += beside
        return [self._ladder(name, rungs[name]) for name in order if rungs[name]]

    def compared(self, ladder: Ladder) -> list[Comparison]:
        """The pairs of one ladder, without its name before those of the rungs."""
        start = f"{ladder.name}." if ladder.name else ""
        return [
            msgspec.structs.replace(each, a=each.a.removeprefix(start), b=each.b.removeprefix(start))
            for each in self.comparisons
            if each.a.startswith(start)
        ]

    @property
    def champion(self) -> Rung | None:
        """The rung that orders what is shown."""
        return self.judged[0].champion if self.judged else None

    @property
    def views(self) -> list[str | None]:
        """All candidates, then each view."""
        return [None, *dict.fromkeys(view for rung in self.models for view in rung.views)]

    def _ladder(self, name: str, rungs: list[Rung]) -> Ladder:
        choice = self.choices.get(name)
        best = (choice.name if choice is not None else "") or self.champions.get(name)
        champion = next((rung for rung in rungs if rung.name == best and rung.stage == name), None)
        return Ladder(name, self.ladders[name], rungs, champion, choice)

    def _sole(self) -> Rung | None:
        if self.choice is not None and self.choice.name:
            name, stage = self.choice.name, self.choice.stage
        elif self.champions:
            stage, name = list(self.champions.items())[-1]
        else:
            return None
        return next((rung for rung in self.models if rung.name == name and stage in ("", rung.stage)), None)


def of(value: Scorecard | Mapping[str, Any], where: str = "scorecard") -> Scorecard:
    """Read a scorecard from its dict; parts that are missing, empty or null are missing, unknown ones are passed over.

    where: the place that an error names. Raises `DataError` for a value of the wrong type.

    >>> of({"design": "shop", "serving": None}).design
    'shop'
    """
    if isinstance(value, Scorecard):
        return value
    try:
        return msgspec.convert(_filled(plain(value)), Scorecard)
    except msgspec.ValidationError as error:
        raise DataError(where, str(error), "a scorecard as bottega writes it", "build again: bottega run") from None


def read(path: Path) -> Scorecard:
    """Read `scorecard.json`. Raises `DataError` where it is not there, no JSON, or no scorecard."""
    try:
        value = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        raise DataError(str(path), "no such file", "a scorecard", "build first: bottega run") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(str(path), f"no JSON: {error}", "a scorecard", "build again: bottega run") from None
    if not isinstance(value, dict):
        raise DataError(str(path), type(value).__name__, "a scorecard, which is an object", "build again: bottega run")
    return of(value, str(path))


def write(path: Path, value: Mapping[str, Any]) -> None:
    """Write a scorecard as JSON, whole or not at all; NaN and infinity become null. Raises `DataError` as `of`."""
    of(value, str(path))
    write_json(path, plain(value))


def plain(value: Any) -> Any:
    """Give a value as JSON can say it: numbers of NumPy as Python's, tuples as lists, NaN and infinity as None.

    >>> plain({"a": (1.0, float("nan"))})
    {'a': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    return plain(value.tolist()) if hasattr(value, "tolist") else msgspec.to_builtins(value)


def _filled(value: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is empty at the top, and what is null anywhere but in lists, so that defaults stand."""
    found = {key: _stripped(item) for key, item in value.items() if item is not None and item not in ({}, [])}
    choice = found.get("choice")
    if isinstance(choice, dict) and all(isinstance(each, dict) for each in choice.values()):
        found |= {"choice": next(iter(choice.values()), {}), "choices": choice}
    return found


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stripped(item) for key, item in value.items() if item is not None}
    return [_stripped(item) for item in value] if isinstance(value, list) else value
