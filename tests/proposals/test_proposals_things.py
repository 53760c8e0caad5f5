"""Machines, months and names: rows that belong together, times that are steps, and numbers that measure nothing."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tables import BEGIN, clicks, made, takings, times

import bottega as bt
from bottega.proposals.chance import by_trend
from bottega.proposals.facts import facts_of
from bottega.proposals.kinds import columns_of
from bottega.proposals.propose import propose
from bottega.proposals.roles import Roles, roles_of

RNG = np.random.default_rng(7)


def windows(design: bt.Design) -> list[bt.Window]:
    return [one for one in design.features if isinstance(one, bt.Window)]


def derived(design: bt.Design) -> dict[str, str]:
    return {
        name: text for one in design.features if isinstance(one, bt.Expression) for name, text in one.values.items()
    }


def machines(lengths: np.ndarray, shuffled: bool = False, names: tuple[str, str] = ("unit", "cycle")) -> pa.Table:
    """Rows of machines until they fail: each is counted from 1 on."""
    rng = np.random.default_rng(1)
    unit, cycle = (
        np.repeat(np.arange(1, len(lengths) + 1), lengths),
        np.concatenate([np.arange(n) + 1 for n in lengths]),
    )
    left = np.concatenate([np.arange(n)[::-1] for n in lengths])
    columns = {names[0]: unit, names[1]: cycle, "heat": rng.normal(size=len(unit)) - left / 40,
               "noise": rng.normal(size=len(unit)), "fails_soon": (left < 12).astype(np.int64)}  # fmt: skip
    order = rng.permutation(len(unit)) if shuffled else np.arange(len(unit))
    return pa.table({name: values[order] for name, values in columns.items()})


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("names", [("unit", "cycle"), ("a", "b"), ("电机", "k")])
def test_rows_of_one_machine_lie_in_one_part(tmp_path: Path, shuffled: bool, names: tuple[str, str]) -> None:
    found = made(tmp_path, machines(np.random.default_rng(3).integers(30, 71, 41), shuffled, names))
    split, table = found.design.data.split, found.design.data.tables[0]
    assert isinstance(split, bt.GroupSplit)
    assert table.columns.get(split.by, split.by) == names[0]
    assert not [text for text in derived(found.design).values() if text == f"1 * {split.by}"]
    assert {"heat_number", "noise_number"} <= set(derived(found.design))  # none of them stands for who asks
    assert list(table.personal) == []
    assert f"{names[1]} counts the rows of each {names[0]}" in found.notes["data.examples"]
    assert "the rate of all rows" in found.notes["models.rank"]  # no machine of the test was seen before


@pytest.mark.parametrize("names", [("unit", "cycle"), ("a", "b"), ("machine", "n")])
def test_of_series_of_one_length_the_name_or_the_order_tells(names: tuple[str, str]) -> None:
    table = machines(np.full(40, 40), names=names)
    assert roles_of(columns_of(table)).person == names[0]
    assert roles_of(columns_of(table.select([names[1], names[0], "heat", "noise", "fails_soon"]))).person == names[0]


def test_what_counts_nothing_is_no_series() -> None:
    table = pa.table({"a": RNG.integers(0, 20, 900), "b": RNG.integers(0, 40, 900), "y": RNG.integers(0, 2, 900)})
    assert roles_of(columns_of(table)).turn is None
    assert roles_of(columns_of(clicks().drop_columns(["shown_at"]))).turn is None


def snapshots(months: int = 16, again: bool = False) -> pa.Table:
    """Customers on the first of each month until they leave; `again`: who left is there again."""
    rng, rows = np.random.default_rng(2), list[tuple[Any, ...]]()
    for customer in range(250):
        for month in range(int(rng.integers(0, months // 2)), months):
            plan = int(rng.integers(0, 3))
            left = bool(rng.random() < (0.12 if plan == 0 else 0.04))
            day = date(2023 + month // 12, month % 12 + 1, 1)
            rows.append((f"c{customer}", day, "abc"[plan], float(rng.gamma(3, 12)), int(left)))
            if left and not again:
                break
    names = ("customer_id", "month", "plan", "charge", "churned_next_month")
    return pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)))


@pytest.mark.parametrize("again", [False, True])
def test_windows_of_snapshots_hold_rows_and_labels(tmp_path: Path, again: bool) -> None:
    """Judged by the rows themselves: most that are not a customer's first have one before them in each window."""
    table = snapshots(again=again)
    found = made(tmp_path, table)
    day = table.column("month").cast(pa.int32()).to_numpy()
    customer = np.unique(table.column("customer_id").to_numpy(zero_copy_only=False), return_inverse=True)[1]
    spans = {span for one in windows(found.design) for span in one.over} - {"all"}
    for span in spans:
        before = [
            ((customer == who) & (day < at) & (day >= at - int(span[:-1]))).any()
            for who, at in zip(customer[:600], day[:600], strict=True)
        ]
        assert np.mean(before) > 0.8
    rated = any("rate" in one.values for one in windows(found.design))
    assert rated == again
    assert "weekday" not in derived(found.design)
    split = found.design.data.split
    assert isinstance(split, bt.TimeSplit)
    end, test = day.max() + 1, int(split.test[:-1])
    final = day <= day.max() - 30
    assert len(np.unique(day[(day >= end - test) & final])) >= 2  # months that are judged
    assert len(np.unique(day[(day < end - test - 30) & (day >= end - 2 * test - 30)])) >= 2
    assert found.design.monitoring.retrain is not None
    assert found.design.monitoring.retrain.every == "31d"
    assert found.design.scope.question == "How likely is it that churned_next_month is 1 for this customer?"


def test_traffic_of_snapshots_is_a_mean_of_all_days() -> None:
    day = 86_400_000_000
    time = np.repeat(np.array([0, 31, 59, 90]) * day, 310)
    found = facts_of(time, np.tile(np.arange(310), 4))
    assert (found.step, found.snapshots) == (31, True)
    assert found.people == pytest.approx(4 * 310 / 121, abs=1)
    assert found.peak == pytest.approx(310 / (4 * 310 / 121), abs=0.1)
    assert not facts_of(np.arange(400) * day // 2 // day * day, None).snapshots


def test_a_label_is_final_when_its_own_time_says(tmp_path: Path) -> None:
    rows = 2000
    tampered = RNG.random(rows) < 0.1
    late = RNG.integers(3, 20, rows)
    at = [BEGIN + timedelta(hours=3 * place) for place in range(rows)]
    inspected = [
        one + timedelta(days=int(days)) if up else None for one, days, up in zip(at, late, tampered, strict=True)
    ]
    columns = {"at": at, "meter_no": RNG.integers(10_000, 10_090, rows), "kwh": RNG.random(rows),
               "inspected_on": inspected, "tampered": tampered.astype(np.int64)}  # fmt: skip
    found = made(tmp_path, columns)
    assert found.design.data.labels[0] == bt.Label("tampered", matures_after="19d", observed_at="inspected_on")
    assert "is a guess" not in found.notes["data.labels"]
    before = [one - timedelta(days=30) if up else None for one, up in zip(at, tampered, strict=True)]
    assert made(tmp_path, {**columns, "inspected_on": before}).design.data.labels[0].observed_at is None


def test_an_experiment_is_one_that_can_be_found_or_none(tmp_path: Path) -> None:
    rare = {"at": [BEGIN + timedelta(hours=18 * place) for place in range(400)], "heat": RNG.random(400),
            "load": RNG.random(400), "machine_id": RNG.integers(0, 20, 400),
            "failure": (np.arange(400) % 13 == 0).astype(np.int64)}  # fmt: skip
    design = made(tmp_path, rare).design
    assert design.evaluation.experiment is None
    assert "10% takes" in design.silenced["R511"]
    often = made(tmp_path, clicks(4000, visits=lambda rng, c: rng.random(len(c)))).design
    assert often.evaluation.experiment is None or often.evaluation.experiment.minimum_effect <= 0.5
    assert ("R511" in often.silenced) == (often.evaluation.experiment is None)


def test_names_of_things_are_categories_and_measures_are_numbers() -> None:
    rng = np.random.default_rng(0)
    table = pa.table({
        "ward": rng.integers(1, 25, 900), "home_city": rng.integers(1, 90, 900), "agent": rng.integers(1, 40, 900),
        "city_pop": rng.integers(1, 10**6, 900), "num_store": rng.integers(0, 40, 900),
        "bidding_price": rng.choice([227, 300], 900), "slot_width": rng.choice([160, 200, 300], 900),
        "affinity_79": rng.integers(0, 6, 900), "weekday": rng.integers(0, 7, 900),
    })  # fmt: skip
    found = {one.name: one.is_category for one in columns_of(table)}
    assert [name for name, named in found.items() if named] == ["ward", "home_city", "agent", "weekday"]


def test_codes_of_one_space_measure_nothing() -> None:
    sizes, begin, columns = (900, 400, 7, 2, 70, 220), 0, dict[str, Any]()
    for place, size in enumerate(sizes):
        columns[f"c{place}"] = RNG.integers(begin, begin + size, 5000)
        begin += size
    assert all(one.is_id for one in columns_of(pa.table(columns)))
    apart = pa.table({"a": RNG.integers(0, 90, 500), "b": RNG.integers(200, 900, 500), "c": RNG.integers(0, 500, 500)})
    assert not any(one.is_id for one in columns_of(apart))


def test_a_trend_is_judged_as_a_feed_is_read() -> None:
    """By a naive oracle: all weights anew for each first taking, without what that person had taken."""
    n, hour = 400, 3_600_000_000
    time = np.sort(RNG.integers(0, 200 * hour, n))
    people, items = RNG.integers(0, 12, n), RNG.integers(0, 30, n) // (1 + np.arange(n) % 3)
    since, half, k, worth = int(150 * hour), 6 * hour, 5, list[float]()
    for row in range(n):
        mine = set(items[:row][people[:row] == people[row]].tolist())
        if time[row] < since or int(items[row]) in mine:
            continue
        weight = {
            item: sum(0.5 ** ((time[row] - at) / half) for at in time[:row][items[:row] == item])
            for item in set(items[:row].tolist()) - mine
        }
        order = sorted(weight, key=lambda item: -weight[item])[:k]
        worth.append(1 / np.log2(order.index(int(items[row])) + 2) if int(items[row]) in order else 0.0)
    assert by_trend(people, items, time, half, k, since) == pytest.approx(float(np.mean(worth)))
    assert by_trend(people - 20, items, time, half, k, since) == 0


def test_of_two_times_the_one_that_begins_is_taken(tmp_path: Path) -> None:
    opened = times(1500, 60)
    took = RNG.gamma(2, 20, 1500)
    closed = [at + timedelta(hours=float(hours)) for at, hours in zip(opened, took, strict=True)]
    columns = {"ticket": [f"T-{row:05}" for row in range(1500)], "closed": closed, "opened": opened,
               "requester": RNG.integers(1, 200, 1500), "queue": RNG.choice(["a", "b", "c"], 1500),
               "hours_open": took + RNG.random(1500), "csat": RNG.integers(1, 6, 1500),
               "escalated": RNG.choice(["Y", "N"], 1500, p=[0.3, 0.7])}  # fmt: skip
    found = made(tmp_path, columns)
    table, examples = found.design.data.tables[0], found.design.data.examples
    assert (table.time, table.created, table.event_id) == ("opened", "closed", "ticket")
    assert isinstance(examples, bt.Logged)
    assert (examples.candidate, list(examples.request)) == ("ticket", ["requester", "queue"])
    assert "how long it was until closed: hours_open" in found.notes["data.tables[0]"]
    assert "known afterwards, by the name: csat" in found.notes["data.tables[0]"]
    late = found.design.data.labels[0].matures_after
    assert np.mean(took <= 24 * int(late[:-1])) > 0.98
    said = propose("mine", tmp_path / "rows.parquet", Roles(time="closed")).design
    assert said.data.tables[0].time == "closed"
    joined = [datetime(2020, 1, 1) + timedelta(days=int(day)) for day in RNG.integers(0, 900, 1500)]
    long_before = pa.table({"joined": joined, **{name: columns[name] for name in ("opened", "queue", "escalated")}})
    assert roles_of(columns_of(long_before)).time == "opened"


def test_tags_name_nobody_and_no_row_is_lost(tmp_path: Path) -> None:
    """What is shown again in an equal request is another request where the table numbers its rows."""
    tags = [",".join(map(str, RNG.integers(0, 60, count))) for count in RNG.integers(1, 5, 900)]
    columns = {"bid_id": [f"b{row}" for row in range(900)], "user_tag": RNG.choice(tags, 900),
               "ad_id": RNG.integers(0, 12, 900), "city": RNG.integers(0, 3, 900),
               "clicked": RNG.integers(0, 2, 900)}  # fmt: skip
    table = pa.table(columns)
    assert roles_of(columns_of(table)).person is None
    examples = made(tmp_path, table).design.data.examples
    assert isinstance(examples, bt.Logged)
    keys = zip(*(table.column(name).to_pylist() for name in [*examples.request, str(examples.candidate)]), strict=True)
    assert len(set(keys)) == 900


@pytest.mark.parametrize(("weeks", "every"), [(2, "1d"), (8, "2d"), (20, "7d")])
def test_a_rate_that_moves_is_learnt_again_sooner(tmp_path: Path, weeks: int, every: str) -> None:
    """The rate rises and falls in so many weeks: the faster, the sooner it is learnt again."""
    rows = 12_000
    at = [BEGIN + timedelta(minutes=12 * place) for place in range(rows)]
    turn = np.arange(rows) / (5 * 24 * 7 * weeks) * 2 * np.pi
    label = (RNG.random(rows) < 0.35 + 0.25 * np.sin(turn)).astype(np.int64)
    columns = {"at": at, "user_id": RNG.integers(0, 300, rows), "x": RNG.random(rows), "hit": label}
    found = made(tmp_path, columns).design.monitoring.retrain
    assert found is not None
    assert found.every == every


@pytest.mark.parametrize("things", [60, 20, 12])
def test_ranking_has_something_to_choose_from(tmp_path: Path, things: int) -> None:
    table = takings(3000)
    items = [f"t{int(name[1:]) % things}" for name in table.column("item").to_pylist()]
    path = made(tmp_path, table.set_column(1, "item", pa.array(items))).design.serving.path
    retrieve, explore, show = (
        next(one for one in path if isinstance(one, kind)) for kind in (bt.Retrieve, bt.Explore, bt.Show)
    )
    assert isinstance(retrieve, bt.Retrieve)
    assert isinstance(explore, bt.Explore)
    assert isinstance(show, bt.Show)
    assert 3 * show.k <= retrieve.k < things
    assert explore.pool <= retrieve.k
