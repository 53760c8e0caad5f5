"""The bundle: everything that answers a request, as plain files whose hashes are checked before they are read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import pyarrow as pa

from bottega.design.design import Design
from bottega.design.features import TargetRate
from bottega.design.models import Model, rung_name
from bottega.errors import ServeError
from bottega.features.codebook import load_coding
from bottega.features.rate_table import RateTable
from bottega.features.reader import Reader
from bottega.features.tracks import Group
from bottega.features.vocabulary import Coding
from bottega.models.compression.compressed import load_any
from bottega.models.inputs import Kind as InputKind
from bottega.models.making import retriever_class
from bottega.models.probability import Corrected, Probability
from bottega.models.protocols import Retriever, Scorer
from bottega.serving.clock import CHOSEN, Clock, kept
from bottega.serving.manifest import verify
from bottega.serving.online import EMBEDDED, open_online

Kind = TypeVar("Kind")
FORMAT = 3
"""Of bundles; a service answers with those of its own format alone."""
SCHEMAS = "schemas"


class Ranked(msgspec.Struct, frozen=True):
    """What a bundle says of one ladder of the path."""

    champion: str
    """The rung that ranks."""
    names: tuple[str, ...]
    """The columns that it reads, in their order."""
    kinds: tuple[InputKind, ...]
    """What each of them is."""


class Facts(msgspec.Struct, frozen=True):
    """What a bundle says about itself, beside the design: `serving.json`."""

    ladders: dict[str, Ranked]
    """The ladders that rank, in the order of the path; none: the order of retrieval stands."""
    fields: dict[str, str]
    """The columns of a request, each `id`, `number`, `text` or `time`."""
    groups: tuple[Group, ...]
    """What the store keeps for each key."""
    format: int = 0
    """The `FORMAT` it was written in; 0: before there was one."""


class _Head(msgspec.Struct):
    format: int = 0


@dataclass(frozen=True)
class Champion:
    """The model that ranks by one ladder, with the words of the text columns that it reads."""

    facts: Ranked
    scorer: Scorer
    words: dict[str, Coding]


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle; its arrays are mapped from the files, so that several workers share their memory."""

    version: str
    folder: Path
    design: Design
    facts: Facts
    retrievers: dict[str, Retriever]
    champions: dict[str, Champion]  # by ladder, in the order of the path
    reader: Reader
    rates: tuple[RateTable, ...] = ()  # of the `TargetRate` features, in their order
    clock: Clock | None = None
    """What time it is for features; nothing: the moment of the store's batch."""


def load_bundle(folder: Path, store: str = EMBEDDED, clock: str = "auto") -> Bundle:
    """Check every file of a build against its manifest, and load what answers requests.

    folder: a build. store: the URL of the online store, see `open_online`. clock: which one, see `Clock`.
    Errors: `ServeError` naming the file that is missing, damaged, too many or of another version of bottega.
    """
    verify(folder)
    facts, design = read_facts(folder), read_design(folder)
    retrievers = {
        rung_name(setting): retriever_class(setting).load(model_folder(folder, "retrieve", setting), setting)
        for setting in design.models.get("retrieve", ())
    }
    champions = {ladder: _champion(folder, design, ladder, told) for ladder, told in facts.ladders.items()}
    reader = Reader(open_online(store, folder, readonly=True, clock=clock), facts.groups)
    rates = tuple(
        RateTable.load(rates_folder(folder, place), part)
        for place, part in enumerate(design.features)
        if isinstance(part, TargetRate)
    )
    time = Clock(clock, reader.as_of, kept(reader.store), reader.store.marked(CHOSEN))
    return Bundle(folder.name, folder, design, facts, retrievers, champions, reader, rates, time)


def _champion(folder: Path, design: Design, ladder: str, told: Ranked) -> Champion:
    setting = next((rung for rung in design.models.get(ladder, ()) if rung_name(rung) == told.champion), None)
    if setting is None:
        found = f"a champion {told.champion!r} of the ladder {ladder!r}"
        raise ServeError(str(folder / "serving.json"), found, "a rung of the design", "run the design again")
    scorer = load_scorer(model_folder(folder, ladder, setting), setting)
    return Champion(told, scorer, read_words(words_folder(folder, ladder)))


def load_scorer(folder: Path, setting: Model) -> Scorer:
    """Load a champion from its folder: the model, as learnt or compressed, as probabilities."""
    scorer = load_any(folder, setting)
    probability = Probability.load(folder)
    return scorer if probability == Probability() else Corrected(scorer, probability)


def read_facts(folder: Path) -> Facts:
    """Read what a bundle says about itself. Errors: `ServeError` for a damaged one, or of another version."""
    return _read(folder / "serving.json", Facts)


def read_design(folder: Path) -> Design:
    """Read the design that a bundle was made of. Errors: `ServeError` for a damaged one."""
    return _read(folder / "design.json", Design)


def _read(path: Path, kind: type[Kind]) -> Kind:
    try:
        written = msgspec.json.decode(path.read_bytes(), type=_Head).format if kind is Facts else FORMAT
        if written == FORMAT:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        found = f"format {written}"
    except (msgspec.DecodeError, OSError) as error:
        found = str(error)
    raise ServeError(str(path), found, f"what this version of bottega writes, format {FORMAT}", "run the design again")


def model_folder(folder: Path, ladder: str, setting: Model) -> Path:
    """Give the folder of a model within a bundle."""
    return folder / "models" / ladder / rung_name(setting)


def words_folder(folder: Path, ladder: str) -> Path:
    """Give the folder of the words that a ladder's champion knows of each text column."""
    return folder / "words" / ladder


def read_words(folder: Path) -> dict[str, Coding]:
    """Read the words that a model knows of each text column, a file each."""
    return {path.stem: load_coding(path) for path in sorted(folder.glob("*.json"))}


def write_schemas(folder: Path, schemas: Mapping[str, pa.Schema]) -> None:
    """Write the types of the design's tables, as ingestion accepted them, into a bundle: events are held to them."""
    (folder / SCHEMAS).mkdir()
    for name, schema in schemas.items():
        with pa.ipc.new_file(str(folder / SCHEMAS / f"{name}.arrow"), schema):
            pass


def read_schemas(folder: Path) -> dict[str, pa.Schema]:
    """Read the types of the design's tables from a bundle."""
    return {path.stem: pa.ipc.open_file(str(path)).schema for path in sorted((folder / SCHEMAS).glob("*.arrow"))}


def rates_folder(folder: Path, place: int) -> Path:
    """Give the folder of the rates of a `TargetRate`, which has this place among the design's features, from 0."""
    return folder / "rates" / str(place)


def catalogue(bundle: Bundle) -> pa.StringArray:
    """Give the ids of all items that retrieval knows; every retriever of a bundle learnt from the same rows."""
    for model in bundle.retrievers.values():
        return model.items
    return pa.array([], pa.string())


def fields_of(schema: pa.Schema, texts: Collection[str] = ()) -> dict[str, str]:
    """Say what each column of a request is: texts name entities, of which ids are; the others are numbers or times.

    texts: columns that name nothing, but are read.

    >>> fields_of(pa.schema({"customer": pa.string(), "amount": pa.float64(), "query": pa.string()}), ["query"])
    {'customer': 'id', 'amount': 'number', 'query': 'text'}
    """
    kinds = {}
    for field in schema:
        if pa.types.is_floating(field.type) or pa.types.is_integer(field.type) or pa.types.is_decimal(field.type):
            kinds[field.name] = "number"
        elif pa.types.is_temporal(field.type):
            kinds[field.name] = "time"
        else:
            kinds[field.name] = "text" if field.name in texts else "id"
    return kinds


def texts_asked(design: Design) -> set[str]:
    """Name the columns of a request that are texts to be read, and no ids."""
    return {query for rung in design.models.get("retrieve", ()) if (query := getattr(rung, "query", None)) is not None}
