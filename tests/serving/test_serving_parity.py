"""The parity gate: it holds for what is built, and finds every fault that is planted."""

from __future__ import annotations

import dataclasses
from pathlib import Path as Folder
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from path_world import World, changed, small_design

import bottega as bt
from bottega.design.part import microseconds
from bottega.features.frame import text
from bottega.features.packing import Packed, Reader, fill, layout, pack
from bottega.features.stores.memory import MemoryStore
from bottega.runs.steps import parity as step
from bottega.serving.parity import Parity, differences, exact_columns, readable, summarise

CUSTOMER = {"customer_visits_30d", "customer_visits_all", "customer_country"}


def compare(world: World, folder: Folder) -> Parity:
    return step.compare(world.job, folder, world.rows, world.retrievers, world.scores, world.features)


def test_what_is_built_agrees(world: World, tmp_path: Folder) -> None:
    found = compare(world, tmp_path)
    names = [
        name for result in world.features for level in ("request", "row") for name in (result.folder / level).iterdir()
    ]
    assert found.compared == 1000 * (len(names) + len(world.retrievers))
    assert (found.mismatches, found.by_feature, found.worst) == (0, {}, [])


def planted(world: World, folder: Folder, monkeypatch: pytest.MonkeyPatch, design: bt.Design, shift: int = 0) -> Parity:
    """Compare with a store that another design fills, or at another moment."""

    def faulty(store: Any, _design: Any, logs: Any, groups: Any, at: int) -> Any:
        told = fill(store, design, logs, groups, at + shift)
        store.write("", [], [], {"as_of": str(at).encode()})
        return told

    monkeypatch.setattr(step, "fill", faulty)
    return compare(world, folder)


def features_with(place: int, **fields: Any) -> bt.Design:
    design = small_design()
    features = list(design.features)
    features[place] = changed(features[place], **fields)
    return changed(design, features=features)


def test_another_hop_is_found(world: World, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    found = planted(world, tmp_path, monkeypatch, features_with(1, hop="7d"))
    assert set(found.by_feature) == {"customer_visits_30d"}
    assert found.mismatches == found.by_feature["customer_visits_30d"]
    assert all(one.feature == "customer_visits_30d" for one in found.worst)


def test_another_unit_is_found(world: World, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    found = planted(
        world, tmp_path, monkeypatch, features_with(3, values={"price": "avg(price * 100)", "first": "min(time)"})
    )
    assert set(found.by_feature) == {"product_price_all"}
    assert found.by_feature["product_price_all"] > 900


@pytest.mark.parametrize("shift", ["-1d", "1d"])
def test_a_store_of_another_moment_is_found(
    world: World, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch, shift: str
) -> None:
    late = -1 if shift.startswith("-") else 1
    found = planted(world, tmp_path, monkeypatch, world.job.design, late * microseconds(shift.lstrip("-")))
    assert "product_buyers_7d" in found.by_feature
    assert found.mismatches == sum(found.by_feature.values())


@pytest.mark.parametrize(("late", "agrees"), [(0, True), (1, False)])
def test_an_event_at_the_very_moment_is_out(
    world: World, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch, late: int, agrees: bool
) -> None:
    def faulty(store: Any, design: Any, logs: Any, groups: Any, at: int) -> Any:
        log = logs["orders"]
        twice = pa.concat_tables([log.rows, log.rows.slice(0, 200)])
        moment = np.concatenate([log.time, np.full(200, at)])
        more = dataclasses.replace(log, rows=twice, time=moment, known=moment)
        told = fill(store, design, {"orders": more}, groups, at + late)
        store.write("", [], [], {"as_of": str(at).encode()})
        return told

    monkeypatch.setattr(step, "fill", faulty)
    assert (compare(world, tmp_path).mismatches == 0) == agrees


class Altered:
    """A store whose rows are changed on the way out."""

    def __init__(self, store: MemoryStore, group: str, change: Any) -> None:
        self.store, self.group, self.change = store, group, change

    def read(self, group: str, keys: Any) -> Any:
        rows = self.store.read(group, keys)
        there = [place for place, row in enumerate(rows) if row is not None]
        if group == self.group and there:
            values = np.frombuffer(bytearray().join(rows[place] for place in there)).reshape(len(there), -1)
            self.change(values)
            for place, row in zip(there, pack(values), strict=True):
                rows[place] = row
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def altered(
    world: World, folder: Folder, monkeypatch: pytest.MonkeyPatch, group: str, change: Any
) -> tuple[Parity, list[Packed]]:
    layouts = layout(world.job.design, world.job.logs())
    monkeypatch.setattr(step, "Reader", lambda store, groups: Reader(Altered(store, group, change), groups))
    return compare(world, folder), layouts


def place_of(layouts: list[Packed], group: str, name: str) -> int:
    return next(item for item in layouts if item.name == group).columns.index(name)


def test_times_in_another_zone_are_found(world: World, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_of(layout(world.job.design, world.job.logs()), "customer_product", "customer_product_last_all")

    def change(values: np.ndarray) -> None:
        values[:, place] += microseconds("1h")

    found, _ = altered(world, tmp_path, monkeypatch, "customer_product", change)
    assert set(found.by_feature) == {"customer_product_last_all", "days_since"}
    assert found.by_feature["customer_product_last_all"] == found.by_feature["days_since"]


def test_swapped_columns_are_found(world: World, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts = layout(world.job.design, world.job.logs())
    pair = [place_of(layouts, "product", name) for name in ("product_buyers_7d", "product_buyers_all")]

    def change(values: np.ndarray) -> None:
        values[:, pair] = values[:, pair[::-1]]

    found, _ = altered(world, tmp_path, monkeypatch, "product", change)
    assert set(found.by_feature) == {"product_buyers_7d", "product_buyers_all"}
    gaps = [abs(one.training - one.serving) / max(one.training, one.serving) for one in found.worst]  # type: ignore[operator,type-var]
    assert len(gaps) == 10
    assert gaps == sorted(gaps, reverse=True)


def test_a_count_that_is_off_by_one_is_found(world: World, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_of(layout(world.job.design, world.job.logs()), "product", "product_buyers_all")

    def change(values: np.ndarray) -> None:
        values[:, place] += 1

    found, _ = altered(world, tmp_path, monkeypatch, "product", change)
    assert found.by_feature == {"product_buyers_all": 1000}


def test_another_default_is_found(world: World, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def emptied(design: bt.Design, logs: Any) -> list[Packed]:
        return [
            msgspec.structs.replace(
                group,
                empty=tuple(
                    -1.0 if name == "customer_product_pieces_all" else value
                    for name, value in zip(group.columns, group.empty, strict=True)
                ),
            )
            for group in layout(design, logs)
        ]

    monkeypatch.setattr(step, "layout", emptied)
    found = compare(world, tmp_path)
    assert set(found.by_feature) == {"customer_product_pieces_all"}


def test_counts_are_named_exact() -> None:
    assert exact_columns(small_design()) == {
        "customer_product_times_all",
        "customer_visits_30d",
        "customer_visits_all",
        "product_buyers_7d",
        "product_buyers_all",
    }


NAN, NAT, INF = float("nan"), np.datetime64("NaT", "us"), float("inf")


@pytest.mark.parametrize(
    ("left", "right", "exact", "gap"),
    [
        (100.0, 100.0, True, 0.0),
        (100.0, 100.0 + 1e-9, True, 1e-11),
        (100.0, 100.0009, False, 0.0),
        (100.0, 100.002, False, 1.99996e-5),
        (-3.0, 3.0, False, 2.0),
        (0.0, 1e-12, False, 1.0),
        (0.0, -0.0, True, 0.0),
        (NAN, NAN, True, 0.0),
        (NAN, 0.0, False, INF),
        (INF, INF, False, 0.0),
        (INF, -INF, False, INF),
        (INF, 1.0, False, INF),
        (1.7e308, -1.7e308, False, INF),
    ],
)
def test_the_tolerance_of_numbers(left: float, right: float, exact: bool, gap: float) -> None:
    for pair in ((left, right), (right, left)):
        assert differences(*(np.array([one]) for one in pair), exact)[0] == pytest.approx(gap, rel=1e-3)


@given(st.floats(), st.floats(), st.booleans())
def test_the_tolerance_as_it_is_written(left: float, right: float, exact: bool) -> None:
    found = differences(np.array([left]), np.array([right]), exact)[0]
    if left == right or (left != left and right != right):
        expected = True
    elif exact or not (np.isfinite(left) and np.isfinite(right)):
        expected = False
    else:
        size = max(abs(left), abs(right))
        expected = abs(left / size - right / size) * 1.0 <= 1e-5
        if abs(abs(left / size - right / size) - 1e-5) < 1e-12 or not np.isfinite(left - right):
            return
    assert (found == 0) == expected
    assert found >= 0


def test_texts_and_times_agree_or_do_not() -> None:
    left, right = text(pa.array(["a", None, "a", None])), text(pa.array(["a", None, None, "b"]))
    assert differences(left, right, False).tolist() == [0, 0, INF, INF]
    times = np.array(["2011-01-01", "NaT", "2011-01-01", "NaT"], "datetime64[us]")
    others = np.array(["2011-01-01", "NaT", "2011-01-02", "2011-01-02"], "datetime64[us]")
    assert differences(times, others, False).tolist() == [0, 0, INF, INF]
    assert differences(times, np.zeros(4), False).tolist() == [INF] * 4
    assert differences(np.zeros(4), left, False).tolist() == [INF] * 4


def test_the_worst_come_first_and_tell_both_sides() -> None:
    places = [({"customer": str(row)}, f"p{row}") for row in range(15)]
    base = np.ones(15)
    drifting = base + np.arange(15) / 100
    words = text(pa.array(["x"] * 14 + ["y"]))
    found = summarise(
        [("same", base, base), ("drift", base, drifting), ("word", text(pa.array(["x"] * 15)), words)],
        frozenset(),
        places,
    )
    assert (found.compared, found.mismatches) == (45, 15)
    assert found.by_feature == {"drift": 14, "word": 1}
    assert [one.candidate for one in found.worst] == ["p14", *(f"p{row}" for row in range(14, 5, -1))]
    assert msgspec.to_builtins(found.worst[0]) == {
        "feature": "word",
        "request": {"customer": "14"},
        "candidate": "p14",
        "training": "x",
        "serving": "y",
    }


def test_values_are_told_as_json_can() -> None:
    values = [NAN, None, NAT, INF, np.float64(2.5), "a", np.datetime64("2011-01-01", "us")]
    assert [readable(value) for value in values] == [None, None, None, "inf", 2.5, "a", "2011-01-01T00:00:00.000000"]


def test_nothing_to_compare_is_told(world: World, tmp_path: Folder) -> None:
    rows = dataclasses.replace(world.rows, retrieved=np.zeros(len(world.rows.group), bool))
    found = step.compare(world.job, tmp_path, rows, world.retrievers, world.scores, world.features)
    assert (found.compared, found.mismatches) == (0, 0)
