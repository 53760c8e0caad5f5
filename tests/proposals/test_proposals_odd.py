"""Tables as strangers have them: times as numbers, ids as numbers, nothing that names a row, odd names and types."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables import clicks, made, takings, times

import bottega as bt
from bottega.errors import DataError
from bottega.proposals.kinds import columns_of
from bottega.proposals.propose import propose
from bottega.proposals.roles import Roles

N = 600
RNG = np.random.default_rng(0)
LABEL = (RNG.random(N) < 0.3).astype(np.int64)
DAYS = [date(2024, 1, 1) + timedelta(days=place // 10) for place in range(N)]
EPOCH = [int(at.timestamp()) for at in times(N, 120)]


def shown(**columns: Any) -> pa.Table:
    base = {"user_id": np.arange(N) % 40, "ad_id": RNG.integers(0, 25, N), "age": RNG.integers(18, 80, N)}
    return pa.table({**columns, **base, "clicked": LABEL})


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (EPOCH, "%s"),
        ([1_000 * at for at in EPOCH], "epoch_ms"),
        ([10**6 * at for at in EPOCH], "epoch_us"),
        ([10**9 * at for at in EPOCH], "epoch_ns"),
        ([float(at) + 0.25 for at in EPOCH], "%s"),
        ([int(f"{day:%Y%m%d}") for day in DAYS], "%Y%m%d"),
        ([f"{day:%d/%m/%Y}" for day in DAYS], "%d/%m/%Y"),
    ],
)
def test_a_time_in_any_form_is_the_time(tmp_path: Path, values: list[Any], form: str) -> None:
    found = (
        made(tmp_path, shown(ts=values, when=DAYS).drop_columns("when"))
        if form != "%Y%m%d"
        else made(tmp_path, shown(date=values))
    )
    table = found.design.data.tables[0]
    assert (table.time, table.time_format) == ("date" if form == "%Y%m%d" else "ts", form)
    assert isinstance(found.design.data.split, bt.TimeSplit)


def test_ids_that_look_like_times_are_none() -> None:
    ids = RNG.integers(1_700_000_000, 1_800_000_000, 400)
    kinds = {one.name: one.kind for one in columns_of(pa.table({"order_id": ids, "account_no": ids, "b": ids * 10**9}))}
    assert kinds == {"order_id": "whole", "account_no": "whole", "b": "whole"}


def test_a_column_is_the_time_because_a_person_says_so(tmp_path: Path) -> None:
    once = pa.array([1_000 * at for at in EPOCH[::200]] * 200)  # neither its name nor its spread speaks of a time
    table = shown(b=once)
    assert propose("mine", _written(tmp_path, table)).design.data.tables[0].time is None
    found = propose("mine", tmp_path / "rows.parquet", Roles(time="b")).design.data.tables[0]
    assert (found.time, found.time_format) == ("b", "epoch_ms")
    for column, said in (
        ("age", r"numbers from 18 to 79: by no unit(?s:.*)write them as dates"),
        ("word", r"text that is no time: 'a'"),
        ("tags", "a column of list"),
    ):
        with pytest.raises(DataError, match=rf"--time {column}.*{said}"):
            propose("mine", _written(tmp_path, shown(word=["a"] * N, tags=[["x"]] * N)), Roles(time=column))


def _written(folder: Path, table: pa.Table) -> Path:
    pq.write_table(table, folder / "rows.parquet")
    return folder / "rows.parquet"


def test_numbers_that_name_something_are_categories(tmp_path: Path) -> None:
    cards = RNG.choice(RNG.integers(10**15, 10**16, 60), N)
    table = shown(
        time=times(N, 120),
        cc_num=cards,
        zip=RNG.choice(RNG.integers(10_000, 99_999, 70), N),
        account_no=RNG.choice(RNG.integers(10_000, 99_999, 50), N),
        serial=RNG.choice(RNG.integers(10**11, 10**12, 50), N),
        city_pop=RNG.integers(100, 10**6, N),
        num_items=RNG.integers(1, 40, N),
    )
    found = made(tmp_path, table)
    (categories,) = (one for one in found.design.features if isinstance(one, bt.Categories))
    assert {"cc_num", "zip", "account_no", "serial"} <= set(categories.columns)
    assert not {"city_pop", "num_items"} & set(categories.columns)
    (numbers,) = (one for one in found.design.features if isinstance(one, bt.Expression))
    assert not [name for name in numbers.values if name.startswith(("cc_num", "zip", "account_no", "serial"))]
    assert "whole numbers that name something" in found.notes["features[0]"]


def test_rows_of_a_query_are_candidates_by_their_number(tmp_path: Path) -> None:
    """As MSLR has them: a query, a grade and numbers, and nothing that names a document."""
    right = RNG.normal(size=N)
    table = pa.table({
        "qid": np.arange(N) // 12, "relevance": np.clip(np.round(right), 0, 4).astype(np.int64),
        **{str(place): RNG.normal(size=N) + (right if place == 3 else 0) for place in range(20)},
    })  # fmt: skip
    design = made(tmp_path, table).design
    assert (design.data.tables[0].row, design.data.examples.candidate) == ("row", "row")  # type: ignore[union-attr]
    assert design.evaluation.primary.startswith("ndcg@")
    assert isinstance(design.features[0], bt.Given)


@pytest.mark.parametrize("named", [False, True])
def test_features_and_a_label_alone_are_a_design(tmp_path: Path, named: bool) -> None:
    columns = {f"x{place}": RNG.normal(size=N) for place in range(4)}
    ids = {"customer_id": [f"c{place}" for place in range(N)]} if named else {}
    words = {"plan": RNG.choice(["a", "b", "c"], N)} if named else {}
    found = made(tmp_path, pa.table({**ids, **columns, **words, "churned": LABEL}))
    examples = found.design.data.examples
    assert isinstance(examples, bt.Logged)
    assert examples.candidate == ("customer_id" if named else "row")
    assert isinstance(found.design.data.split, bt.RandomSplit)
    read = {name for one in found.design.features if isinstance(one, bt.Expression) for name in one.values}
    assert len(read) == (4 if named else 3)  # without a word, one number stands for who asks
    if not named:
        assert "row is the row's number" in found.notes["data.examples"]


def test_the_simplest_model_rates_by_the_word_that_tells_most(tmp_path: Path) -> None:
    table = pa.table({
        "customer_id": np.arange(N), "gender": RNG.choice(["f", "m"], N),
        "plan": np.where(LABEL + RNG.integers(0, 2, N) > 1, "a", "b"), "x": RNG.random(N), "churned": LABEL,
    })  # fmt: skip
    (rate, *_) = made(tmp_path, table).design.models["rank"]
    assert rate == bt.HistoricalRate("plan")


def test_days_tell_no_hour_and_their_peak_is_that_of_days(tmp_path: Path) -> None:
    busy = [day for day in DAYS for _ in range(2 if day.weekday() == 0 else 1)]
    table = shown().append_column("day", pa.array(busy[:N]))
    found = made(tmp_path, table)
    counts = np.unique(np.array(busy[:N], "datetime64[D]").astype(np.int64), return_counts=True)[1]
    assert found.design.scope.traffic is not None
    assert found.design.scope.traffic.peak_factor == pytest.approx(counts.max() / counts.mean(), abs=0.05)
    assert "hours are not in it" in found.notes["scope.traffic"]
    made_of = {name for one in found.design.features if isinstance(one, bt.Expression) for name in one.values}
    assert "weekday" in made_of
    assert "hour" not in made_of


def test_what_is_not_read_is_named_with_the_reason(tmp_path: Path) -> None:
    table = shown(
        time=times(N, 120),
        essay=[f"word number {place} of a long text" for place in range(N)],
        price=[f"{place % 300},50" for place in range(N)],
        nothing=pa.nulls(N),
        same=["x"] * N,
        tags=[["a"]] * N,
        cookie=[f"k{place}" for place in range(N)],
        seen=list(reversed(times(N, 120))),
    )
    note = made(tmp_path, table).notes["data.tables[0]"]
    for reason, name in (
        ("reads words", "essay"),
        ("write them with a point", "price"),
        ("nothing stands there", "nothing"),
        ("all rows have the same", "same"),
        ("no list<", "tags"),
        ("hardly a value comes again", "cookie"),
        ("one time decides", "seen"),
    ):
        assert name in note.split(reason)[1].split(".")[0], note


ODD = {
    "money": {"price": pa.array([Decimal(place) / 100 for place in range(N)], pa.decimal128(9, 2))},
    "words of SQL": {"order": RNG.random(N), "select": RNG.choice(["a", "b"], N), "group": RNG.integers(0, 5, N)},
    "scripts": {"价格": RNG.random(N), "цена €": RNG.random(N), 'it\'s "q"': RNG.random(N), "😀\n#": RNG.random(N)},
    "gaps": {f"n{place}": pa.array([1.5 * row if row % 30 == 0 else None for row in range(N)]) for place in range(9)},
    "truth": {"flagged": RNG.random(N) < 0.5, "said": RNG.choice(["Yes", "No"], N)},
    "halves": {"x": RNG.random(N).astype(np.float16), "": RNG.random(N)},
    "no end": {"until": pa.array(["9999-12-31"] * N)},
}


@pytest.mark.parametrize("case", sorted(ODD))
def test_odd_names_and_types_are_a_design(tmp_path: Path, case: str) -> None:
    design = made(tmp_path, shown(time=times(N, 120), **ODD[case])).design
    assert design.data.labels[0].name == "clicked"
    assert design.data.tables[0].time == "time_value" or design.data.tables[0].time == "time"


def test_labels_mature_no_later_than_a_log_has_room_for(tmp_path: Path) -> None:
    table = clicks(N).rename_columns(["at", "user_id", "device", "age", "ad_id", "is_fraud"])  # eight days
    assert made(tmp_path, table).design.data.labels[0].matures_after in ("10h", "9h", "8h")


def test_a_target_that_is_an_amount_is_told(tmp_path: Path) -> None:
    lines: list[str] = []
    table = takings(N).append_column("target", pa.array(RNG.random(N)))
    propose("mine", _written(tmp_path, table), None, lines.append)
    assert "no label  target, 600 values: neither yes or no, nor grades from 0 up" in lines


def test_values_may_be_parted_by_semicolons_with_decimal_commas(tmp_path: Path) -> None:
    prices = RNG.random(N).round(2)
    table = shown(time=times(N, 120), price=prices, kind=["a", "b", "c"] * (N // 3))
    made(tmp_path, table)
    wanted = propose("mine", tmp_path / "rows.parquet").told
    rows = [[str(value).replace(".", ",") if name == "price" else str(value) for name, value in row.items()]
            for row in table.to_pylist()]  # fmt: skip
    (tmp_path / "rows.parquet").unlink()
    (tmp_path / "rows.csv").write_text("\n".join(";".join(row) for row in [table.column_names, *rows]))
    assert propose("mine", tmp_path / "rows.csv").told == wanted


def test_a_row_that_is_known_later_counts_from_then_on(tmp_path: Path) -> None:
    stored = [at + timedelta(hours=3) for at in times(N, 120)]
    table = made(tmp_path, shown(time=times(N, 120), stored=stored)).design.data.tables[0]
    assert (table.created, table.available_after) == ("stored", "0s")
    holes = [at if place % 50 else None for place, at in enumerate(stored)]
    table = made(tmp_path, shown(time=times(N, 120), stored=holes)).design.data.tables[0]
    assert (table.created, table.available_after) == (None, "180min")


def test_a_time_that_spans_too_little_is_left_out(tmp_path: Path) -> None:
    """A snapshot has one moment for all rows: it is no log."""
    table = shown(stored=[times(1)[0]] * N)
    design = made(tmp_path, table).design
    assert design.data.tables[0].time is None
    assert not isinstance(design.data.split, bt.TimeSplit)
    with pytest.raises(DataError, match=r"(?s)--time stored: 'stored' spans 0.0 hours.*a day at least"):
        propose("mine", tmp_path / "rows.parquet", Roles(time="stored"))
    far = pa.array([at.replace(year=2150) for at in times(N)])
    with pytest.raises(DataError, match="'stored' has no time from 1900 to 2099"):
        propose("mine", _written(tmp_path, shown(stored=far)))


def test_equal_rows_are_events_of_their_own_and_it_says_so(tmp_path: Path) -> None:
    rows = pa.table({"day": DAYS, "plan": ["a", "b"] * (N // 2), "email": ["x", "y"] * (N // 2), "clicked": LABEL})
    pq.write_table(rows, tmp_path / "rows.parquet")
    assert "R214" in propose("mine", tmp_path / "rows.parquet").design.silenced
    assert "R214" not in propose("mine", _written(tmp_path, shown(time=times(N, 120)))).design.silenced
