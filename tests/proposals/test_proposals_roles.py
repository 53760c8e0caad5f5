"""What columns are taken for: kinds and roles of made tables in many hands, and of the real ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import BEGIN, clicks, takings, times

from bottega.errors import DataError
from bottega.proposals.columns import Column
from bottega.proposals.facts import facts_of
from bottega.proposals.kinds import columns_of
from bottega.proposals.naming import plain_names
from bottega.proposals.roles import Roles, roles_of

DATA = os.environ.get("BOTTEGA_DATA")


def kind(values: Any, name: str = "x") -> tuple[str, str | None]:
    (found,) = columns_of(pa.table({name: values}))
    return found.kind, found.form


def test_kinds_of_columns() -> None:
    seconds = [int(time.timestamp()) for time in times(60)]
    assert kind(pa.array([1, 0, None])) == ("flag", None)
    assert kind(pa.array([True, False])) == ("flag", "truth")
    assert kind(pa.array([1.0, 2.0, np.nan])) == ("whole", None)
    assert kind(pa.array([1.5, 2.0])) == ("number", None)
    assert kind(pa.array([None, None], pa.string())) == ("empty", None)
    assert kind(pa.array([np.nan, np.nan])) == ("empty", None)
    assert kind(pa.array([b"x"])) == ("bytes", None)
    assert kind(pa.array([[1]])) == ("other", None)
    assert kind(seconds, "bought_at") == ("time", "%s")
    assert kind([1_500_000_000] * 50, "code") == ("whole", None)  # a number that never changes is no time
    assert kind(pa.array(times(3))) == ("time", None)
    assert kind([time.isoformat() for time in times(50)]) == ("time", None)
    assert kind([time.strftime("%d.%m.%Y %H:%M") for time in times(5000, 60)]) == ("time", "%d.%m.%Y %H:%M")
    assert kind(["12", "13", "x"]) == ("text", None)
    assert kind(["2024"] * 3) == ("text", None)
    assert kind(pa.array(["a", "b"]).dictionary_encode()) == ("text", None)


def test_few_or_scattered_whole_numbers_are_categories() -> None:
    rng = np.random.default_rng(0)
    made = {
        "weekday": rng.integers(0, 7, 900),
        "age": rng.integers(18, 80, 900),
        "code": rng.choice([7, 4001, 90, 5], 900),
        "shop_id": rng.integers(0, 400, 900),
        "amount": rng.integers(0, 10**6, 900),
    }
    found = {one.name: one.is_category for one in columns_of(pa.table(made))}
    assert found == {"weekday": True, "age": False, "code": True, "shop_id": True, "amount": False}


def roles(table: pa.Table, said: Roles | None = None) -> Roles:
    return roles_of(columns_of(table), said)


@pytest.mark.parametrize(
    "names", [("user", "item", "time"), ("Kunde", "Artikel", "Datum"), ("用户", "商品", "时间"), ("a", "b", "c")]
)
def test_who_takes_what_is_found_under_any_name(names: tuple[str, str, str]) -> None:
    found = roles(takings(names=names))
    assert found.time == names[2]
    assert {found.person, found.item} == set(names[:2])
    if names[0] in ("user", "Kunde"):
        assert found.person == names[0]


def test_what_was_shown_and_clicked() -> None:
    found = roles(clicks(day=lambda _, c: np.arange(len(c)) // 72, row=lambda _, c: np.arange(len(c))))
    assert (found.time, found.person, found.item, found.label) == ("shown_at", "user_id", "ad_id", "clicked")
    assert set(found.clocks) == {"day", "row"}
    assert set(found.others) == {"device", "age"}


def test_what_a_person_says_stands() -> None:
    table = clicks(age_flag=lambda rng, c: rng.integers(0, 2, len(c)))
    assert roles(table, Roles(label="age_flag")).label == "age_flag"
    assert roles(table, Roles(item="device")).item == "device"
    with pytest.raises(DataError, match=r"(?s)--label: no column 'clickd'.*did you mean 'clicked'"):
        roles(table, Roles(label="clickd"))


def test_points_are_no_label_and_a_session_is_nobody() -> None:
    rng = np.random.default_rng(0)
    table = takings().append_column("stars", pa.array(rng.integers(1, 6, 3000)))
    table = table.append_column("session_id", pa.array(rng.integers(0, 900, 3000)))
    found = roles(table)
    assert (found.label, found.rating, found.person) == (None, "stars", "user")


def test_traffic_is_counted_as_by_hand() -> None:
    time = np.array([0, 0, 1, 24, 25, 49]) * 3_600_000_000
    found = facts_of(time, np.array([0, 0, 0, 0, 1, 0]))
    assert found.days == pytest.approx(49 / 24)
    assert found.people == round(4 / 3)  # of three days 1, 2 and 1
    assert found.requests == pytest.approx(1.2, abs=0.06)  # five moments of four people's days
    assert found.gap == 1.0
    assert found.peak == pytest.approx(24 * 3 / 6)


@given(st.lists(st.text(max_size=12), unique=True, max_size=12))
def test_names_are_such_as_a_design_takes(names: list[str]) -> None:
    made = plain_names(names, Roles(person=names[0] if names else None))
    assert list(made) == names
    assert len(set(made.values())) == len(names)
    for ours in made.values():
        assert ours.isascii()
        assert ours.isidentifier()
        assert ours == ours.lower()
        assert ours not in ("request_time", "id", "select")


REAL = {
    "deskdrop/users_interactions": ("timestamp", "personId", "contentId", None),
    "fraud_handbook_sim/transactions": ("TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_FRAUD"),
    "frappe_part/train": (None, "user", "item", "label"),
    "obd_small/obd": ("timestamp", None, "item_id", "click"),
    "online_retail/online_retail": ("InvoiceDate", "CustomerID", "StockCode", None),
    "ipinyou_rtb_sample/ipinyou_train": (None, "IP", "CreativeID", "IsClick"),
}


@pytest.mark.skipif(DATA is None, reason="BOTTEGA_DATA names no folder with the real tables")
@pytest.mark.parametrize("table", sorted(REAL))
def test_roles_of_the_real_tables(table: str) -> None:
    path = Path(str(DATA), f"{table}.parquet")
    if not path.is_file():
        pytest.skip(f"{path.name} is not in BOTTEGA_DATA")
    found = roles(pq.read_table(path))
    assert (found.time, found.person, found.item, found.label) == REAL[table]
    if table.startswith("obd"):
        assert (found.position, found.propensity) == ("position", "propensity_score")
    if table.startswith("fraud"):
        assert set(found.clocks) == {"TX_TIME_SECONDS", "TX_TIME_DAYS"}


def test_a_time_with_gaps_is_read_where_it_is() -> None:
    column = Column("t", "time", pa.chunked_array([[BEGIN, None]]))
    assert column.time[0] == int((BEGIN - BEGIN.replace(year=1970)).total_seconds()) * 1_000_000
    assert column.time[1] == np.iinfo(np.int64).min
