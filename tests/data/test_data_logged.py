"""Examples that are rows of a log: labels that mature, parts with an embargo, groups, and one-class labels."""

import numpy as np
import pyarrow as pa
import pytest

import bottega as bt
from bottega.data.log import Log
from bottega.data.logged import logged
from bottega.errors import DataError

DAY = 86_400_000_000


@pytest.fixture
def shown(make_log) -> Log:
    """100 days of impressions, three candidates each day for each of four people; a tenth is clicked."""
    rng = np.random.default_rng(3)
    day, user, slot = (axis.ravel() for axis in np.meshgrid(range(100), range(4), range(3), indexing="ij"))
    n = len(day)
    order = rng.permutation(n)
    clicked = np.where(rng.random(n) < 0.02, np.nan, rng.random(n) < 0.3)
    seen = [
        None if value < 0.5 else int(at * DAY + DAY * 20 * value) for at, value in zip(day, rng.random(n), strict=True)
    ]
    return make_log(
        {
            "time": (day * DAY)[order],
            "user": user[order],
            "amount": (user * 1.5)[order],
            "ad": [f"ad{value}" for value in ((day + slot + user) % 7)[order]],
            "clicked": pa.array(clicked[order], from_pandas=True),
            "bought": (rng.random(n) < 0.1)[order],
            "seen_at": pa.array([seen[at] for at in order], pa.timestamp("us", "UTC")),
            "action": [["pass", "block"][int(value < 0.1)] for value in rng.random(n)],
            "part": [["train", "validate", "test", "spare"][value] for value in (user[order])],
        }
    )


SPLIT = bt.TimeSplit(test="20d", validate="10d")


def test_rows_against_the_naive_oracle(make_design, shown: Log) -> None:
    labels = (
        bt.Label("clicked", matures_after="5d", observed_at="seen_at", censored_when="action = 'block'"),
        bt.Label("bought", matures_after="2d"),
    )
    features = [bt.Window("log", by="user", values={"n": "count(*)"})]
    design = make_design(bt.Logged("log", ["user", "amount"], "ad"), SPLIT, labels=labels, features=features)
    got = logged(design, shown)
    end = 99 * DAY + 1
    test = 100 * DAY - 20 * DAY  # from the midnight that ends the last day
    validate = test - 5 * DAY - 10 * DAY
    rows = shown.rows.cast(shown.rows.schema.set(6, pa.field("seen_at", pa.int64()))).to_pylist()
    final = [row["time"] + 5 * DAY if row["seen_at"] is None else row["seen_at"] for row in rows]
    use = [
        n for n, row in enumerate(rows) if row["action"] != "block" and final[n] <= end and row["clicked"] is not None
    ]
    by_request: dict[tuple[int, str], list[int]] = {}
    for n in sorted(use, key=lambda n: rows[n]["time"]):
        by_request.setdefault((rows[n]["time"], rows[n]["user"]), []).append(n)
    assert got.row.tolist() == [n for found in by_request.values() for n in found]
    assert got.group.tolist() == [place for place, found in enumerate(by_request.values()) for _ in found]
    assert list(
        zip(got.requests.time.tolist(), map(int, got.requests.columns["user"].to_pylist()), strict=True)
    ) == list(by_request)
    assert got.requests.columns.schema.types == [pa.string(), pa.float64()]
    assert got.candidate.to_pylist() == [rows[n]["ad"] for n in got.row]
    assert got.label.tolist() == [rows[n]["clicked"] for n in got.row]
    late = [rows[n]["time"] + 2 * DAY > end for n in got.row]
    np.testing.assert_array_equal(
        got.labels["bought"], [np.nan if bad else rows[n]["bought"] for n, bad in zip(got.row, late, strict=True)]
    )
    parts = []
    for (time, _), found in by_request.items():
        known = max(final[n] for n in found)
        parts.append(
            2
            if time >= test
            else 1
            if time >= validate and known <= test
            else 0
            if time < validate and known <= validate
            else 3
        )
    assert got.requests.part.tolist() == parts
    assert set(parts) == {0, 1, 2, 3}
    assert sum(got.dropped.values()) == len(rows) - len(use)
    assert set(got.dropped) == {"clicked: censored", "clicked: not mature when the log ends", "clicked: missing"}
    relevant = {
        (place, rows[n]["ad"]) for place, found in enumerate(by_request.values()) for n in found if rows[n]["clicked"]
    }
    flat = zip(got.requests.positives_request.tolist(), got.requests.positives_candidate.to_pylist(), strict=True)
    assert list(flat) == sorted(relevant)


def test_an_embargo_of_its_own(make_design, shown: Log) -> None:
    design = make_design(
        bt.Logged("log", ["user"], "ad"),
        bt.TimeSplit(test="1970-03-22", validate="10d", embargo="3d"),  # day 80
        labels=[bt.Label("bought")],
    )
    got = logged(design, shown)
    days = {part: sorted(set((got.requests.time[got.requests.part == part] // DAY).tolist())) for part in range(4)}
    assert days == {0: [*range(64)], 1: [*range(67, 77)], 2: [*range(80, 100)], 3: [64, 65, 66, 77, 78, 79]}


def test_events_without_candidate_are_requests_of_their_own(make_design, shown: Log) -> None:
    got = logged(make_design(bt.Logged("log", ["user"]), SPLIT, labels=[bt.Label("bought")]), shown)
    assert len(got.requests) == len(got) == shown.rows.num_rows
    assert got.candidate is None
    assert got.group.tolist() == list(range(len(got)))
    assert (np.diff(got.requests.time) >= 0).all()
    assert (
        got.requests.columns["user"].to_pylist()
        == shown.rows["user"].cast(pa.string()).take(pa.array(got.row)).to_pylist()
    )
    assert not got.dropped


def test_given_parts_and_whole_groups(make_design, shown: Log) -> None:
    label = [bt.Label("bought")]
    got = logged(make_design(bt.Logged("log", ["user"], "ad"), bt.GivenSplit("part"), labels=label), shown)
    assert got.part().tolist() == shown.rows["user"].take(pa.array(got.row)).to_pylist()
    split = bt.GroupSplit(by="user", validate=0.25, test=0.25)
    parts = set()
    for seed in range(8):
        split = bt.GroupSplit(by="user", validate=0.25, test=0.25, seed=seed)
        got = logged(make_design(bt.Logged("log", ["user"], "ad"), split, labels=label), shown)
        users = [int(user) for user in got.requests.columns["user"].to_pylist()]
        found = {
            user: {part for who, part in zip(users, got.requests.part.tolist(), strict=True) if who == user}
            for user in range(4)
        }
        assert sorted(next(iter(part)) for part in found.values() if len(part) == 1) == [0, 0, 1, 2]
        parts.add(str(found))
    assert len(parts) > 1
    with pytest.raises(DataError, match="differs between rows of one request"):
        logged(make_design(bt.Logged("log", ["user"], "ad"), bt.GroupSplit(by="ad"), labels=label), shown)


def test_a_random_split_keeps_requests_whole(make_design, shown: Log) -> None:
    split = bt.RandomSplit(validate=0.2, test=0.3)
    got = logged(make_design(bt.Logged("log", ["user"], "ad"), split, labels=[bt.Label("bought")]), shown)
    assert np.bincount(got.requests.part).tolist() == [200, 80, 120]
    again = logged(make_design(bt.Logged("log", ["user"], "ad"), split, labels=[bt.Label("bought")]), shown)
    np.testing.assert_array_equal(got.requests.part, again.requests.part)


@pytest.mark.parametrize(
    ("labels", "split", "where", "words"),
    [
        ([bt.Label("clickd")], SPLIT, "data.labels[0].name", "no column 'clickd'"),
        ([bt.Label("bought", observed_at="seen")], SPLIT, "data.labels[0].observed_at", "no column 'seen'"),
        ([bt.Label("bought", censored_when="action =")], SPLIT, "data.labels[0].censored_when", "action ="),
        ([bt.Label("bought", censored_when="nosuch = 1")], SPLIT, "data.labels[0].censored_when", "nosuch"),
        ([bt.Label("action")], SPLIT, "data.labels[0].name", "'action' holds"),
        ([bt.Label("bought", censored_when="bought")], SPLIT, "data.labels[0]", "0 in every example of the training"),
        ([bt.Label("bought", matures_after="1000d")], SPLIT, "data.labels[0]", "no row is an example"),
        ([bt.Label("bought")], bt.TimeSplit(test="90d"), "data.split", "no example in the training part"),
        ([bt.Label("bought")], bt.GivenSplit("part", test="never"), "data.split", "no example in the test part"),
        ([bt.Label("bought")], bt.GroupSplit(by="usr"), "data.split.by", "no column 'usr'"),
        ([bt.Label("bought")], bt.GroupSplit(by="one"), "data.split.by", "1 group"),
    ],
)
def test_what_cannot_be_learnt_from_is_one_error(
    make_design, shown: Log, labels, split, where: str, words: str
) -> None:
    log = Log("log", shown.rows.append_column("one", pa.array(["x"] * shown.rows.num_rows)), shown.time, shown.known)
    with pytest.raises(DataError) as error:
        logged(make_design(bt.Logged("log", ["user"], "ad"), split, labels=labels), log)
    assert error.value.where == where
    assert words in str(error.value.found)


def test_what_comes_later_changes_no_earlier_example(make_design, shown: Log) -> None:
    design = make_design(
        bt.Logged("log", ["user"], "ad"), bt.TimeSplit(test="1970-03-22", validate="10d"), labels=[bt.Label("bought")]
    )
    rng = np.random.default_rng(0)
    future = shown.time >= 80 * DAY
    noise = shown.rows.set_column(
        5, "bought", pa.array(np.where(future, rng.random(len(future)) < 0.5, shown.rows["bought"].to_numpy()))
    )
    ads = shown.rows["ad"].to_pylist()
    noise = noise.set_column(
        3, "ad", pa.array([f"x{n}" if late else ad for n, (late, ad) in enumerate(zip(future, ads, strict=True))])
    )
    one, two = (logged(design, log) for log in (shown, Log("log", noise, shown.time, shown.known)))
    assert one.dropped == two.dropped
    early = [examples.take(examples.part() < 2) for examples in (one, two)]
    assert early[0].candidate.equals(early[1].candidate)
    assert early[0].label.tobytes() == early[1].label.tobytes()
    assert early[0].row.tobytes() == early[1].row.tobytes()
    assert one.label.tobytes() != two.label.tobytes()


def test_a_candidate_counts_once_in_a_request_and_the_first_row_stays(make_design, shown: Log) -> None:
    rows = pa.concat_tables([shown.rows, shown.rows.slice(0, 40)])
    again = Log(shown.name, rows, *(np.concatenate([times, times[:40]]) for times in (shown.time, shown.known)))
    design = make_design(bt.Logged("log", ["user", "amount"], "ad"), SPLIT, labels=(bt.Label("clicked"),))
    once, twice = logged(design, shown), logged(design, again)
    assert twice.row.tolist() == once.row.tolist()
    assert "ad: missing or repeated in its request" in twice.dropped
    assert sum(twice.dropped.values()) - sum(once.dropped.values()) == 40


def test_whole_numbers_of_a_request_that_no_float_holds_are_names(make_design, shown: Log) -> None:
    """A card's sixteen digits: as a number, two of them could become one, and Arrow refuses to make it one."""
    cards = pa.array(2**53 + shown.rows.column("user").to_numpy())
    log = Log("log", shown.rows.append_column("card", cards), shown.time, shown.known)
    design = make_design(bt.Logged("log", ["user", "card"], "ad"), SPLIT, labels=(bt.Label("clicked"),))
    read = logged(design, log).requests.columns
    assert read.column("card").to_pylist() == [str(2**53 + int(user)) for user in read.column("user").to_pylist()]
