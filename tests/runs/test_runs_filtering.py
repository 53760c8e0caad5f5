"""Lists under a condition are the whole ranking, filtered row by row in plain Python, in a batch and when served."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from small_feed import DAY, FEATURES, HOUR, Made, Row, Tables, design_of, made

import bottega as bt
from bottega.errors import DesignError
from bottega.features.filling import fill
from bottega.features.reader import Reader
from bottega.features.stores.opening import open_store
from bottega.features.tracked import layout
from bottega.models.following import followed
from bottega.models.making import make_retriever, retriever_class
from bottega.models.vocabulary import codes_of
from bottega.runs.steps.naming import check_names
from bottega.runs.steps.retrieving import cuts_of
from bottega.serving.asking import Asked
from bottega.serving.bundle import FORMAT, Bundle, Facts, fields_of
from bottega.serving.filtering import Filter
from bottega.serving.finding import Candidacy, Finder
from bottega.serving.reading import Reading

RETRIEVERS: list[Any] = [
    bt.Popularity(span=None, k=6, unseen=4),
    bt.PersonalHistory(k=5, unseen=2),
    bt.CoPurchase(k=0, unseen=7),
    bt.Trending(half_life="2d", k=3, unseen=5),
    bt.Newest(k=4, unseen=0),
]
Holds = Callable[[Tables, Row, str, int], bool]


def seen(tables: Tables, at: int, **fields: Any) -> int:
    """Count the events before a time with these values; the events come in the order of time."""
    return bisect_left(tables.times(**fields), at)


def listed(tables: Tables, item: str, at: int) -> Row:
    """Give an item's row, if it stood in its table before a time."""
    row = tables.items[item]
    return row if row["listed"] < at else {"tongue": None, "stock": None}


def same_tongue(tables: Tables, asked: Row, item: str, at: int) -> bool:
    tongue = listed(tables, item, at)["tongue"]
    return tongue is not None and tongue == asked["tongue"]


def in_stock(tables: Tables, asked: Row, item: str, at: int) -> bool:
    stock = listed(tables, item, at)["stock"]
    return stock is not None and stock > 0 and seen(tables, at, item=item, person=asked["person"]) == 0


def common(tables: Tables, _: Row, item: str, at: int) -> bool:
    begin = (at - 10 * DAY) // HOUR * HOUR  # the window's tail is rounded down to its hop
    lately = seen(tables, at, item=item) - seen(tables, begin, item=item)
    return lately + (listed(tables, item, at)["stock"] or 0) < 4


WHERE: dict[str, tuple[str, Holds]] = {
    "tongue": ("item_tongue = tongue", same_tongue),
    "stock": ("item_stock > 0 and coalesce(person_item_n_all, 0) = 0", in_stock),
    "common": ("common < 4", common),
    "all": ("item_stock is null or item_stock >= 0", lambda *_: True),
    "none": ("item_stock < 0", lambda *_: False),
}


def whole_rankings(found: Made) -> Iterator[tuple[str, int, list[str], list[str]]]:
    """Give for each retriever and request its whole ranking, and that of what the person never took."""
    asked, every = found.asked, found.job.vocabulary
    for setting in RETRIEVERS:
        name, size = type(setting).__name__, len(every)
        if name in ("Trending", "Newest"):
            people = codes_of(found.job.events().people, asked.columns.column("person"))
            told = followed(make_retriever(setting), found.job.events(), people, asked.time)  # type: ignore[type-var]
            for row, (one, taken) in enumerate(told):
                lists = [[every[code].as_py() for code in one.best(size, out)] for out in (None, taken)]
                yield name, row, lists[0], lists[1]
            continue
        _, cut = cuts_of(found.job, asked)
        for row in range(len(asked)):
            folder = found.retrieved[name].folder / f"cut-{cut[row]}"
            if not folder.exists():
                yield name, row, [], []
                continue
            model = retriever_class(setting).load(folder, setting)
            person = asked.columns.column("person")[row].as_py()
            one = model.ask(person, {})
            took = model.history.of_person(person)[0]
            lists = [[model.items[code].as_py() for code in one.best(size, out)] for out in (None, took)]
            yield name, row, lists[0], lists[1]


@pytest.mark.parametrize(
    "requests", [bt.Each(train="12d", warm_up="20d", refresh="5d"), bt.Cuts(slices=1)], ids=["each", "cuts"]
)
@pytest.mark.parametrize("name", WHERE)
def test_lists_are_the_whole_ranking_filtered(name: str, requests: Any, tmp_path: Path) -> None:
    where, holds = WHERE[name]
    tables = Tables.drawn(1, n=400)
    horizon = "0s" if isinstance(requests, bt.Each) else "8d"
    path = [bt.Retrieve(k=20, where=where), bt.Rank(), bt.Show(k=5)]
    design = design_of(RETRIEVERS, path, requests=requests, horizon=horizon)
    check_names(design)
    with made(design, tables, tmp_path) as found:
        asked, short = found.asked.columns.to_pylist(), 0
        lengths = {type(setting).__name__: (setting.k, setting.unseen) for setting in RETRIEVERS}
        for title, row, best, unseen in whole_rankings(found):
            at, wanted = int(found.asked.time[row]), []
            for length, ranked in zip(lengths[title], (best, unseen), strict=True):
                kept = [item for item in ranked if holds(tables, asked[row], item, at)][:length]
                wanted += kept + [""] * (length - len(kept))
                short += len(kept) < min(length, len(ranked))
            assert found.named(title, row) == wanted, (title, row)
        assert (short == 0) == (name == "all")  # else some list had to end early


def at_the_end(found: Made, folder: Path, at: int) -> Bundle:
    """Give a bundle as it stands at a moment: each retriever fitted then, and the store filled."""
    job = found.job
    models = {}
    for setting in RETRIEVERS:
        models[type(setting).__name__] = make_retriever(setting)
        models[type(setting).__name__].fit(job.interactions(at), at)
    groups = layout(job.design, job.logs())
    store = open_store("memory:", folder)
    fill(store, job.design, job.logs(), groups, at)
    fields = fields_of(found.asked.columns.schema)
    return Bundle(
        "test", folder, job.design, Facts({}, fields, tuple(groups), FORMAT), models, {}, Reader(store, groups)
    )


@pytest.mark.parametrize("name", WHERE)
def test_served_at_the_same_moment_the_lists_are_the_same(name: str, tmp_path: Path) -> None:
    """Everybody asks at the test's cut; the very lists of the batch come from the code that serves."""
    where, _ = WHERE[name]
    stage = bt.Retrieve(k=20, where=where)
    design = design_of(RETRIEVERS, [stage, bt.Rank()], requests=bt.Cuts(slices=1), horizon="8d")
    with made(design, Tables.drawn(2), tmp_path) as found:
        at = int(found.asked.time.max())
        bundle = at_the_end(found, tmp_path, at)
        finder, limit, reading = Finder(bundle, stage), Filter(where, bundle), Reading(bundle)
        rows = np.flatnonzero(found.asked.time == at).tolist()
        assert rows
        candidates = found.rows
        for row in rows:
            columns = found.asked.columns.slice(row, 1).to_pylist()[0]
            one = Candidacy(Asked(columns, 20, None, None, []))
            finder.find(one, may=lambda ids: limit.holds(reading.frame(columns, at, finder.column(ids))))  # noqa: B023
            for setting in RETRIEVERS:
                title = type(setting).__name__
                lists = [[finder._ids[code] for code in codes] for title_, codes in one.lists if title_ == title]
                batch = found.named(title, row)
                halves = [half for half in (batch[: setting.k], batch[setting.k :]) if half]
                assert lists == [[item for item in half if item] for half in halves], (title, row)
            here = (candidates.group == row) & candidates.retrieved
            assert one.ids == candidates.candidate.filter(here).to_pylist()


def test_brought_candidates_are_held_to_the_condition_too(tmp_path: Path) -> None:
    where, holds = WHERE["stock"]
    stage, tables = bt.Retrieve(k=20, where=where), Tables.drawn(2)
    design = design_of(RETRIEVERS, [stage, bt.Rank()], requests=bt.Cuts(slices=1), horizon="8d")
    with made(design, tables, tmp_path) as found:
        at = int(found.asked.time.max())
        bundle = at_the_end(found, tmp_path, at)
        finder, limit, reading = Finder(bundle, stage), Filter(where, bundle), Reading(bundle)
        columns = found.asked.columns.slice(len(found.asked) - 1, 1).to_pylist()[0]
        brought = [*tables.items, "nobody knows it"]
        one = Candidacy(Asked(columns, 20, None, brought, [], {"price": np.arange(41.0)}))
        finder.find(one, may=lambda ids: limit.holds(reading.frame(columns, at, finder.column(ids))))
        right = [place for place, item in enumerate(tables.items) if holds(tables, columns, item, at)]
        assert 0 < len(right) < 40
        assert one.ids == [brought[place] for place in right]
        assert one.asked.travelling["price"].tolist() == right
        assert one.asked.degradations == [f"candidates: {41 - len(right)} not allowed"]


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("popularity_score > 0", "no column 'popularity_score'"),
        ("liked > 0", "'popularity_score', which is known of candidates that were found"),
        ("rate_item > 0.1", "a TargetRate, which is known of candidates that were found"),
        ("item_stok > 0", "no column 'item_stok'"),
    ],
)
def test_what_is_known_only_of_found_candidates_is_refused(where: str, told: str) -> None:
    design = design_of([bt.Popularity()], [bt.Retrieve(where=where), bt.Rank()])
    more = [bt.Expression({"liked": "popularity_score + 1"}), bt.TargetRate(["item"])]
    with pytest.raises(DesignError, match=told) as error:
        check_names(msgspec.structs.replace(design, features=[*FEATURES, *more]))
    assert error.value.where == "serving.path[0].where"
