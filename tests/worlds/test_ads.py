"""The ads world's log is whole, in order, the same for a seed, and made as its documentation says."""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from bottega.errors import DataError, DesignError
from bottega.files import sha256
from bottega.worlds import limits, true_probabilities, write_world
from bottega.worlds.ads import AdsWorld, world
from bottega.worlds.ads_log import RESERVE
from bottega.worlds.ads_truth import DAY
from bottega.worlds.shop import ShopWorld

DAYS = 8
SIZE: dict[str, Any] = {"start": date(2024, 3, 4), "users": 500, "queries": 150, "ads": 300}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("ads")
    AdsWorld(rows=120_000, days=DAYS, auctions=2_000, **SIZE).write(made)
    return made


@pytest.fixture(scope="module")
def log(folder: Path) -> pa.Table:
    return pq.read_table(folder / "impressions")


def values(table: pa.Table, name: str) -> NDArray[Any]:
    column = table[name]
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()


def lookup(log: pa.Table, folder: Path, table: str, key: str, column: str) -> NDArray[Any]:
    other = pq.read_table(folder / f"{table}.parquet")
    rows = pc.index_in(log[key], value_set=other[key].combine_chunks())
    assert rows.null_count == 0
    return values(other.take(rows), column)


def test_there_is_a_file_a_day_in_order_of_time(folder: Path) -> None:
    files = sorted((folder / "impressions").iterdir())
    assert [file.name for file in files] == [f"2024-03-{day:02d}.parquet" for day in range(4, 4 + DAYS)]
    last = 0
    for file in files:
        day = pq.read_table(file)
        assert {field.name: str(field.type) for field in day.schema} == {
            "shown_at": "timestamp[us, tz=UTC]",
            "search_id": "int64",
            "user_id": "int64",
            "query": "string",
            "device": "string",
            "ad_id": "int64",
            "position": "int32",
            "price": "double",
            "clicked": "int8",
            "clicked_at": "timestamp[us, tz=UTC]",
            "converted": "int8",
            "converted_at": "timestamp[us, tz=UTC]",
        }
        assert [name for name in day.column_names if day[name].null_count] == ["clicked_at", "converted_at"]
        assert (np.diff(values(day, "shown_at")) >= 0).all()
        assert {str(at.astype("M8[D]")) for at in day["shown_at"].to_numpy()} == {file.stem}
        search, place = values(day, "search_id"), values(day, "position")
        first = np.append(True, search[1:] != search[:-1])
        assert (place[first] == 1).all()
        assert (np.diff(place)[~first[1:]] == 1).all()  # 1, 2, 3… in each search
        assert search[0] > last
        assert (np.diff(search) >= 0).all()
        last = search[-1]


def test_the_log_has_about_the_rows_asked_for(log: pa.Table) -> None:
    assert 0.97 * 120_000 <= len(log) <= 120_000
    assert values(log, "clicked").mean() == pytest.approx(0.07, rel=0.15)
    assert (values(log, "clicked") >= values(log, "converted")).all()
    assert 0.03 < values(log, "converted").sum() / values(log, "clicked").sum() < 0.2


def test_one_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        AdsWorld(rows=5_000, days=2, seed=seed, **SIZE).write(tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 3 + 2 + 1 + 6
    for file in files:
        assert sha256(tmp_path / "a" / file) == sha256(tmp_path / "b" / file)
    differ = [file for file in files if sha256(tmp_path / "a" / file) != sha256(tmp_path / "c" / file)]
    assert len(differ) == len(files)


def test_lower_places_are_clicked_less_and_ads_stand_in_several(folder: Path, log: pa.Table) -> None:
    place, ad = values(log, "position"), values(log, "ad_id")
    assert place.max() == 5
    slots = {
        device: values(log.filter(pc.equal(log["device"], device)), "position").max() for device in ("phone", "tablet")
    }
    assert slots == {"phone": 3, "tablet": 4}
    # The same ads in places 1 and 3, each ad weighed alike in both: the ratio of their rates is that of the places.
    rates = np.zeros(2)
    clicked = values(log, "clicked") / true_probabilities("ads", folder, log, position=1)
    for i, here in enumerate((1, 3)):
        rates[i] = clicked[place == here].mean()
    assert rates[1] / rates[0] == pytest.approx(3**-0.7, rel=0.12)
    counts = np.array([len(np.unique(place[ad == one])) for one in np.unique(ad) if (ad == one).sum() >= 50])
    assert np.mean(counts >= 3) > 0.9


def test_a_few_ids_have_much_of_the_log(log: pa.Table) -> None:
    for name in ("user_id", "query", "ad_id"):
        counts = np.sort(np.unique(values(log, name), return_counts=True)[1])[::-1]
        top = counts[: len(counts) // 10].sum() / counts.sum()
        assert 0.15 < top < 0.7  # 0.1 would be even


def test_people_and_ads_come_while_the_log_runs(folder: Path, log: pa.Table) -> None:
    at = values(log, "shown_at")
    start = int(np.datetime64("2024-03-04", "us").astype(np.int64))
    for table, key, column in (("users", "user_id", "joined_at"), ("ads", "ad_id", "created_at")):
        since = lookup(log, folder, table, key, column)
        assert (since <= at).all()
        late = since[values(log, "shown_at") > start + (DAYS - 2) * DAY] > start + DAY
        assert 0.02 < late.mean() < 0.3
    first = {
        name: values(pq.read_table(folder / f"{name}.parquet"), f"{verb}_at")
        for name, verb in (("ads", "created"), ("users", "joined"))
    }
    assert set((first["ads"][first["ads"] >= start] - start) // DAY) == set(range(DAYS))
    assert ((first["users"] > start).mean() - 0.1) ** 2 < 0.0025


def test_who_joins_searches_at_moments_after_joining(folder: Path, log: pa.Table) -> None:
    at, joined = values(log, "shown_at"), lookup(log, folder, "users", "user_id", "joined_at")
    searches = np.unique(values(log, "search_id"), return_index=True)[1]
    at, joined = at[searches], joined[searches]
    assert np.mean(at == joined) < 1e-4
    on_the_day = (at // DAY == joined // DAY) & (at > joined)
    assert on_the_day.sum() > 100
    assert len(np.unique(at[on_the_day])) == on_the_day.sum()
    since = ((at - joined) / (DAY - joined % DAY))[on_the_day]  # 0 at the joining, 1 at midnight
    assert np.histogram(since, bins=4, range=(0, 1))[0].min() > 0.1 * len(since)


def test_topics_are_several_in_the_smallest_world(tmp_path: Path) -> None:
    AdsWorld(rows=1_000, days=3).write(tmp_path)
    log = pq.read_table(tmp_path / "impressions")
    topics, counts = np.unique(lookup(log, tmp_path, "ads", "ad_id", "topic"), return_counts=True)
    assert len(topics) >= 5
    assert counts.max() < 0.6 * len(log)
    shown = np.unique(values(log, "search_id"), return_counts=True)[1]
    assert 1.5 < shown.mean() < 3  # pages are as full as where a topic has ads enough


def test_a_year_of_a_few_rows_leaves_days_out(tmp_path: Path) -> None:
    AdsWorld(rows=1_000, days=365).write(tmp_path)
    log = pq.read_table(tmp_path / "impressions")
    days = {file.stem for file in (tmp_path / "impressions").iterdir()}
    assert days == {str(at.astype("M8[D]")) for at in log["shown_at"].to_numpy()}
    assert 500 < len(log) <= 1_000
    assert 100 < len(days) < 365
    assert [file.stem for file in (tmp_path / "auctions").iterdir()] == [max(days)]
    assert np.isfinite(limits("ads", tmp_path, log)).all()


def test_evenings_and_weekends_are_clicked_more(folder: Path, log: pa.Table) -> None:
    at = values(log, "shown_at")
    hour, weekend = at % DAY // (DAY // 24), (at // DAY + 3) % 7 >= 5
    probability = limits("ads", folder, log)
    same = log.slice(0, 1).take(np.zeros(24, np.int64))
    moments = pa.array(values(same, "shown_at")[0] // DAY * DAY + np.arange(24) * DAY // 24)
    day = limits("ads", folder, same.set_column(0, "shown_at", moments))
    assert day.argmax() in (20, 21)
    assert 1.2 < day.max() / day.min() < 1.7
    assert np.bincount(hour, minlength=24).argmax() in range(18, 22)
    assert np.bincount(hour, minlength=24)[3] < 0.1 * np.bincount(hour, minlength=24).max()
    assert probability[weekend].mean() > probability[~weekend].mean()


def spending(folder: Path, log: pa.Table) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each advertiser spent on each day, (days, advertisers), and its budget."""
    table = pq.read_table(folder / "advertisers.parquet")
    owner = pc.index_in(
        pa.array(lookup(log, folder, "ads", "ad_id", "advertiser")), value_set=table["advertiser"].combine_chunks()
    )
    day = (values(log, "shown_at") - int(np.datetime64("2024-03-04", "us").astype(np.int64))) // DAY
    spent = np.zeros((DAYS, len(table)))
    np.add.at(spent, (day, owner.to_numpy()), values(log, "price") * values(log, "clicked"))
    return spent, values(table, "budget")


def test_budgets_end_the_day_of_some(folder: Path, log: pa.Table) -> None:
    spent, budget = spending(folder, log)
    ended = spent >= budget
    assert 0.03 < ended.mean() < 0.5
    # The last click before the count costs at most a few bids more than what is left.
    assert (spent - budget).max() <= 12 * values(pq.read_table(folder / "ads.parquet"), "bid").max()
    owner, at = lookup(log, folder, "ads", "ad_id", "advertiser"), values(log, "shown_at")
    names = values(pq.read_table(folder / "advertisers.parquet"), "advertiser")
    start = int(np.datetime64("2024-03-04", "us").astype(np.int64))
    cost = values(log, "price") * values(log, "clicked")
    for day, which in list(zip(*np.nonzero(ended), strict=True))[:20]:
        own = np.flatnonzero((owner == names[which]) & ((at - start) // DAY == day))
        full = own[np.searchsorted(np.cumsum(cost[own]), budget[which])]
        assert at[own[-1]] < (at[full] // (DAY // 144) + 1) * (DAY // 144)  # shown no more from the next count on


def test_a_click_costs_at_most_the_bid(folder: Path, log: pa.Table) -> None:
    price, bid = values(log, "price"), lookup(log, folder, "ads", "ad_id", "bid")
    assert (price >= RESERVE).all()
    assert (price <= bid + 1e-9).all()
    assert np.unique(price, return_counts=True)[1].max() < 0.01 * len(price)  # the reserve is not one price for all


def test_prices_resemble_those_of_real_auctions(folder: Path, log: pa.Table) -> None:
    data = os.environ.get("BOTTEGA_DATA")
    if not data:
        pytest.skip("BOTTEGA_DATA is not set: real prices are not part of the project")
    files = [Path(data) / "ipinyou_rtb_sample" / f"ipinyou_{part}.parquet" for part in ("train", "test")]
    if not all(file.exists() for file in files):
        pytest.skip(f"BOTTEGA_DATA={data} holds no ipinyou_rtb_sample")
    real = pa.concat_tables(pq.read_table(file, columns=["BiddingPrice", "PayingPrice"]) for file in files)
    paid, offered = values(real, "PayingPrice"), values(real, "BiddingPrice")
    price, bid = values(log, "price"), lookup(log, folder, "ads", "ad_id", "bid")
    ours, theirs = price / bid, paid / offered
    assert np.log(price).std() == pytest.approx(np.log(paid).std(), rel=0.1)
    assert np.log(ours).std() == pytest.approx(np.log(theirs).std(), rel=0.05)
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.05)
    for share, near in ((0.1, 0.01), (0.25, 0.015), (0.5, 0.03), (0.75, 0.06), (0.9, 0.13)):
        assert np.quantile(ours, share) == pytest.approx(np.quantile(theirs, share), abs=near)


def test_auctions_hold_every_eligible_ad(folder: Path, log: pa.Table) -> None:
    auctions = pq.read_table(folder / "auctions" / f"2024-03-{3 + DAYS:02d}.parquet")
    search = values(auctions, "search_id")
    ids, counts = np.unique(search, return_counts=True)
    assert len(ids) == 2_000
    assert counts.min() >= 8  # an ad of the day may not yet be there
    assert counts.max() <= 40
    shown = log.filter(pc.is_in(log["search_id"], value_set=pa.array(ids)))
    key = search * 10**6 + values(auctions, "ad_id")
    assert len(np.unique(key)) == len(key)
    entered = key[values(auctions, "entered") == 1]
    assert np.isin(values(shown, "search_id") * 10**6 + values(shown, "ad_id"), entered).all()
    assert len(np.unique(values(shown, "search_id"))) > 0.97 * len(ids)
    assert (np.diff(values(auctions, "shown_at")) >= 0).all()
    np.testing.assert_array_equal(values(auctions, "bid"), lookup(auctions, folder, "ads", "ad_id", "bid"))
    whole = len(
        np.unique(values(log, "search_id")[values(log, "shown_at") >= values(auctions, "shown_at")[0] // DAY * DAY])
    )
    share = values(auctions, "budget") / lookup(auctions, folder, "advertisers", "advertiser", "budget")
    np.testing.assert_allclose(share, 2_000 / whole, rtol=0.03)
    probability = true_probabilities("ads", folder, auctions, position=1)
    assert (probability > 0).all()


def test_a_world_is_written_by_its_name(tmp_path: Path) -> None:
    write_world("ads", tmp_path / "a", 3, rows=2_000)
    world(3, 2_000).write(tmp_path / "b")
    for file in ("truth/users.npz", "impressions/2024-03-19.parquet"):
        assert sha256(tmp_path / "a" / file) == sha256(tmp_path / "b" / file)
    assert world(3) == AdsWorld(seed=3)
    assert world(3, interactions="few") == AdsWorld(seed=3, interactions="few")
    with pytest.raises(DesignError, match="not set in rows"):
        write_world("shop", tmp_path, 0, rows=10)
    with pytest.raises(DesignError, match="--rows: 999") as caught:
        write_world("ads", tmp_path / "c", 0, rows=999)
    assert caught.value.fix == "--rows 2000000"
    with pytest.raises(DesignError, match="one of ads, feed, films, library, search, shop"):
        write_world("adz", tmp_path, 0)
    for function in (limits, true_probabilities):
        with pytest.raises(DesignError, match=f"a world with {function.__name__}: ads"):
            function("shop", tmp_path, {})


def test_a_world_is_not_written_over_another(tmp_path: Path) -> None:
    first = AdsWorld(rows=1_000, days=2, **SIZE)
    first.write(tmp_path)
    before = {path: sha256(path) for path in tmp_path.rglob("*") if path.is_file()}
    later = {**SIZE, "start": date(2024, 4, 1)}
    for other in (AdsWorld(rows=1_000, days=2, seed=1, **later), first, ShopWorld(customers=20, products=20)):
        with pytest.raises(DataError, match=r"truth.* from before") as caught:
            other.write(tmp_path)
        assert caught.value.where == str(tmp_path)
        assert caught.value.fix
    assert {path: sha256(path) for path in tmp_path.rglob("*") if path.is_file()} == before
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "impressions").mkdir()  # a log of one's own
    with pytest.raises(DataError, match="impressions from before"):
        first.write(tmp_path / "own")


@pytest.mark.parametrize(
    "settings",
    [
        {"rows": 1_000, "days": 1, "users": 1, "queries": 1, "ads": 1, "advertisers": 1},
        {"slots": 1, "intent": 0, "shock": 0, "new_ads": 0, "auctions": 0, "days": 2, "rows": 3_000},
        {"new_ads": 0.5, "days": 5, "rows": 5_000, "slow_conversions": 1, "conversion_days": 60},
        {"click_rate": 0.3, "days": 2, "rows": 2_000, "slots": 20},
    ],
    ids=["one of each", "plain", "all new", "many clicks"],
)
def test_worlds_at_the_edge_are_written(settings: dict[str, Any], tmp_path: Path) -> None:
    AdsWorld(**settings).write(tmp_path)
    log = pq.read_table(tmp_path / "impressions")
    assert 0 < len(log) <= settings["rows"]
    found = limits("ads", tmp_path, log)
    assert ((found > 0) & (found < 1)).all()
    assert (tmp_path / "auctions").exists() == (settings.get("auctions") != 0)


@pytest.mark.parametrize(
    "settings",
    [
        {"rows": 999},
        {"rows": 2e6},
        {"rows": True},
        {"days": 0},
        {"seed": -1},
        {"interactions": "all"},
        {"interactions": None},
        {"start": "2024-03-04"},
        {"start": datetime(2024, 3, 4)},
        {"drift_at": 0},
        {"drift_at": 14},
        {"click_rate": 0},
        {"click_rate": float("nan")},
        {"users": 0},
        {"queries": 1.5},
        {"ads": -3},
        {"advertisers": "5"},
        {"new_ads": 0.6},
        {"slots": 0},
        {"intent": -0.1},
        {"shock": 2},
        {"slow_conversions": 1.1},
        {"conversion_days": 0},
        {"auctions": -1},
    ],
    ids=repr,
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(DesignError) as caught:
        AdsWorld(**settings)
    assert caught.value.where == f"AdsWorld.{next(iter(settings))}"
    assert caught.value.allowed
    assert caught.value.fix
