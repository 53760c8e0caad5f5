"""Each benchmark runs at a tiny size, finds that both sides answer the same, and names the peers it has not got."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_runs import FOLDER, benchmark

ROWS, HOUR = 3_000, 3600 * 10**6


def test_hashing_shares_codes_where_the_peer_does(tmp_path: Path) -> None:
    _, said = benchmark("hashing", tmp_path, "--rows", "3000")
    assert set(said["cases"]) == {"texts", "ids", "crosses"}
    assert all({"ours", "dictionaries"} <= set(case) for case in said["cases"].values())


def test_the_ads_world_is_made(tmp_path: Path) -> None:
    printed, said = benchmark("ads_world", tmp_path, "--rows", "5000")
    assert "5,000 impressions" in printed
    assert said["benchmark"] == "ads_world"


def test_the_ads_ladder_is_judged_beside_the_limit(tmp_path: Path) -> None:
    given = ("--rows", "20000", "--kinds", "none", "--models", "HistoricalRate", "Logistic")
    printed, said = benchmark("ads_ladder", tmp_path, *given)
    (found,) = said["worlds"]["none"].values()
    assert found["champion"] == "Logistic"
    assert found["right_less"]["HistoricalRate"]["high"] < 0 < found["rungs"]["Logistic"]["gap"]["value"]
    assert "champion Logistic; right would be Logistic" in printed
    assert found["slices"]["count"] == 0  # of 10,000 impressions a slice
    assert "0 slices of 10,000 impressions" in printed


def test_trees_beat_a_line_where_few_values_interact(tmp_path: Path) -> None:
    given = ("--rows", "100000", "--kinds", "few", "--models", "Logistic", "BoostedTrees")
    printed, said = benchmark("ads_ladder", tmp_path, *given)
    (found,) = said["worlds"]["few"].values()
    assert found["right_less"]["Logistic"]["high"] < 0
    assert "right would be BoostedTrees" in printed  # who is champion hangs on a time limit too, and so on the machine


@pytest.mark.parametrize("module", ["ads_ladder"], indirect=True)
def test_every_slice_of_the_scorecard_is_judged(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALLEST", 3_000)
    module.make(tmp_path / "world", "few", 20_000, 0)
    log = pq.read_table(tmp_path / "world" / "impressions")
    rows = log.append_column("request_time", log["shown_at"])
    names = ("device", "hour", "position", "user_id_age", "user_id_interest", "ad_id_topic", "weekday")
    card = {"calibration": {"rank": {"slices": {name: {} for name in names}}}}
    columns = module.sliced(tmp_path / "world", rows, card)
    assert set(names) < set(columns)
    label, said = log["clicked"].to_numpy(), np.full(len(log), 0.07)
    users = pq.read_table(tmp_path / "world" / "users.parquet")
    ages = dict(zip(users["user_id"].to_pylist(), users["age"].to_pylist(), strict=True))
    inside = np.array([ages[user] == "25-34" for user in log["user_id"].to_pylist()])
    said[inside] = 0.5  # wrong for one age alone
    draws = module.Resamples(np.unique(log["user_id"].to_numpy(), return_inverse=True)[1], 0)
    found = module.judge_slices(columns, said, np.full(len(log), 0.07), label, draws)
    assert found["worst"] == found["off"][0]
    assert found["worst"]["slice"] == "user_id_age = 25-34"
    assert found["worst"]["rows"] == inside.sum() >= 3_000
    assert found["worst"]["value"] == pytest.approx(said[inside].sum() / label[inside].sum())
    assert found["worst"]["limit"]["value"] == pytest.approx(found["worst"]["value"] * 0.07 / 0.5)
    assert found["clearly_off"] >= 1
    assert found["by"]["user_id_age"] >= 2
    assert found["count"] == sum(found["by"].values())
    card["calibration"]["rank"]["slices"]["mood"] = {}
    with pytest.raises(SystemExit, match="mood"):
        module.sliced(tmp_path / "world", rows, card)


@pytest.mark.parametrize(
    ("name", "given", "peers"),
    [
        ("windows", ("--rows", str(ROWS)), {"polars": "polars", "duckdb_range": "duckdb", "duckdb_prefix": "duckdb"}),
        ("asof", ("--rows", str(ROWS), "--examples", "500"), {"polars": "polars", "duckdb": "duckdb"}),
    ],
)
def test_sides_answer_the_same_and_missing_peers_are_named(
    name: str, given: tuple[str, ...], peers: dict[str, str], tmp_path: Path
) -> None:
    printed, said = benchmark(name, tmp_path, *given)
    here = {side for side, package in peers.items() if find_spec(package)}
    if (FOLDER / ".venv-pandas" / "bin" / "python").exists():
        here.add("pandas")
    assert set(said["sides"]) == {"ours", *here}
    for side in {*peers, "pandas"} - here:
        assert f"{ {**peers, 'pandas': 'pandas'}[side] }: not installed, so {side} is left out" in printed
    for row in said["sides"].values():
        assert len(row["runs"]) == 1
        assert row["peak_mb"] > 10
    assert said["rows"] == ROWS


@pytest.mark.parametrize("module", ["common"], indirect=True)
def test_a_peer_that_is_not_installed_is_named(module: ModuleType) -> None:
    sides, missing = module.choose({"fast": "no_such_package_of_ours"}, ["fast"], False)
    assert list(sides) == ["ours"]
    assert missing == ["no_such_package_of_ours: not installed, so fast is left out; --install makes its environment"]


@pytest.mark.parametrize("module", ["common"], indirect=True)
def test_another_answer_is_found(module: ModuleType) -> None:
    ours = {"count": np.array([1.0, 2.0]), "mean": np.array([np.nan, 3.0])}
    assert module.differs(ours, {name: values.copy() for name, values in ours.items()}, ["count"]) == ""
    near = {**ours, "mean": np.array([np.nan, 3.0 + 1e-7])}
    assert module.differs(ours, near, ["count"]) == ""
    assert module.differs(ours, {**ours, "count": np.array([1.0, 2.0 + 1e-7])}, ["count"]).startswith("count: 2.0")
    assert module.differs(ours, {**ours, "mean": np.array([0.0, 3.0])}, ["count"]).startswith("mean: 0.0")
    assert module.differs(ours, {**ours, "mean": np.array([np.nan, 3.001])}).startswith("mean: 3.001")
    assert module.differs(ours, {"count": ours["count"]}).startswith("columns")
    assert module.differs(ours, {**ours, "mean": np.zeros(3)}).startswith("mean: shape")


@pytest.mark.parametrize("module", ["common"], indirect=True)
def test_a_side_with_another_answer_stops_the_benchmark(module: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "sides_of_a_test.py").write_text(
        "import numpy as np\n"
        "def ours(folder):\n    return (lambda: 1.0), (lambda made: {'x': np.array([made])})\n"
        "def other(folder):\n    return (lambda: 2.0), (lambda made: {'x': np.array([made])})\n"
    )
    python = Path(sys.executable)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        arguments = ("sides_of_a_test", {"ours": python, "other": python}, tmp_path, 1, 1, module.differs)
        with pytest.raises(SystemExit, match=r"other gives another answer: x: 2\.0 in place of 1\.0 in row 0"):
            module.compare(*arguments)
        found = module.compare(arguments[0], {"ours": python}, *arguments[2:])
    assert list(found) == ["ours"]


@pytest.mark.parametrize("module", ["windows"], indirect=True)
def test_our_windows_are_those_of_a_plain_loop(module: ModuleType, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    module.make(tmp_path, 400, 1)
    run, answer = module.ours(tmp_path)
    made = answer(run())
    rows = pq.read_table(tmp_path / "events.parquet").to_pylist()
    for place, row in enumerate(rows):
        for span, length in module.SPANS.items():
            inside = [one["v"] for one in rows if one["id"] == row["id"] and row["t"] - length <= one["t"] < row["t"]]
            assert made[f"count_{span}"][place] == len(inside)
            assert made[f"sum_{span}"][place] == pytest.approx(sum(inside))
            assert np.isnan(made[f"mean_{span}"][place]) == (not inside)
    assert made["count_7d"].max() > made["count_1h"].max()


@pytest.mark.parametrize("module", ["asof"], indirect=True)
def test_our_join_is_that_of_a_plain_loop(module: ModuleType, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    module.make(tmp_path, 400, 80, 1)
    run, answer = module.ours(tmp_path)
    made = answer(run())
    rows = pq.read_table(tmp_path / "rows.parquet").to_pylist()
    for place, asked in enumerate(pq.read_table(tmp_path / "examples.parquet").to_pylist()):
        before = [row for row in rows if row["id"] == asked["id"] and row["t"] < asked["t"]]
        for name in module.FEATURES:
            wanted = before[-1][name] if before else np.nan
            assert np.array_equal(made[name][place], wanted, equal_nan=True)


def test_the_online_read(tmp_path: Path) -> None:
    _, said = benchmark("store", tmp_path, "--keys", "600", "--reads", "20")
    assert list(said["tables"]) == ["100 keys × 20 features", "500 keys × 50 features"]
    for table in said["tables"].values():
        assert list(table) == ["ours", "py-lmdb", "dict + NumPy"]


def test_the_start(tmp_path: Path) -> None:
    printed, said = benchmark("startup", tmp_path)
    assert set(said["sides"]) == {"bottega --help", "import bottega", "python"}
    assert "goal for `bottega --help`: 0.3 s" in printed
    assert set(said["machine"]) == {"processor", "cores", "load_average"}


def test_a_stream_becomes_what_a_batch_makes(tmp_path: Path) -> None:
    printed, said = benchmark("stream", tmp_path, "--events", "2000")
    assert "events_per_cpu_s" in printed
    assert [run["sync"] for run in said["runs"]] == [True, False]


def test_live_records_are_read_as_a_batch_makes_them(tmp_path: Path) -> None:
    printed, said = benchmark("reader", tmp_path, "--events", "3000", "--reads", "3")
    assert "500 keys × 51 columns" in printed
    assert said["runs"][0]["columns"] == 51


def test_tiles_of_engines_are_those_of_the_embedded_one(tmp_path: Path) -> None:
    _, said = benchmark("spark_tiles", tmp_path, "--rows", "3000", "--sides", "embedded", "duckdb")
    assert said["benchmark"] == "spark_tiles"


@pytest.mark.parametrize("name", ["feast_join", "feast_online"])
def test_a_missing_feast_is_named(name: str, tmp_path: Path) -> None:
    given = ("--rows", "2000", "--examples", "100") if name == "feast_join" else ("--keys", "200", "--reads", "2")
    printed, _ = benchmark(name, tmp_path, *given)
    assert "feast" in printed
