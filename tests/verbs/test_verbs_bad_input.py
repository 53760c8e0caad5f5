"""Bad input and bad surroundings: one clear error with a fix, exit code 2, nothing half-written, and it goes on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_shop import Built, Command, Said, changed, tiny_design

import bottega as bt
from bottega.files import read_json

LOG = Path("online_retail") / "online_retail.parquet"
Typed = Callable[..., Said]


def refused(said: Said, *words: str, code: int = 2, fix: bool = True) -> None:
    """One error of at most four parts, on stderr, that says what to do, or at least what is allowed."""
    lines = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert said.code == code, said.err
    assert len(lines) == 1, said.err
    assert "Traceback" not in said.err + said.out
    message = said.err[said.err.index("error: ") :]
    assert f"       {'fix      ' if fix else 'allowed  '}" in message, message
    assert said.out == ""
    for word in words:
        assert word in message, message


def nothing_half(workspace: Path) -> None:
    assert not list(workspace.rglob(".*partial*")) if workspace.exists() else True


def write_design(folder: Path, **fields: object) -> Path:
    path = folder / "design.yaml"
    path.write_text(bt.to_yaml(tiny_design(**fields)))
    return path


def with_table(**fields: object) -> bt.Data:
    data = tiny_design().data
    return changed(data, tables=[changed(data.tables[0], **fields)])


# The data


def broken_log(folder: Path, source: Path, kind: str) -> None:
    (folder / LOG).parent.mkdir(parents=True)
    if kind == "truncated":
        whole = source.read_bytes()
        (folder / LOG).write_bytes(whole[: len(whole) * 2 // 3])
    elif kind == "empty":
        pq.write_table(pq.read_table(source).slice(0, 0), folder / LOG)
    elif kind == "no bytes":
        (folder / LOG).write_bytes(b"")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", ["online_retail/online_retail", "--data DIR"]),
        ("truncated", ["online_retail.parquet", "truncated", "again"]),
        ("no bytes", ["online_retail.parquet", "empty file"]),
        ("empty", ["no row", "at least one row"]),
    ],
)
def test_a_log_that_cannot_be_read_and_the_next_run(
    kind: str, words: list[str], built: Built, workspace: Path, bottega: Typed, tmp_path: Path
) -> None:
    broken_log(tmp_path / "bad", built.data / LOG, kind)
    said = bottega("run", built.design, "--data", tmp_path / "bad", "--workspace", workspace)
    refused(said, "orders" if kind in ("missing", "empty") else "", *words)
    nothing_half(workspace)
    good = bottega("run", built.design, "--data", built.data, "--workspace", workspace, "--json", "--quiet")
    assert good.code == 0
    assert all(step["cached"] for step in json.loads(good.out)["steps"])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"columns": {**tiny_design().data.tables[0].columns, "invoice": "InvoceNo"}}, ["did you mean 'InvoiceNo'?"]),
        ({"time": "tiem"}, ["data.tables[orders].time", "did you mean 'time'?"]),
        ({"time": "description"}, ["data.tables[orders].time"]),
        ({"checks": [bt.Range("price", above=1e12)]}, ["all 6,761 rows are refused", "price: not above"]),
        ({"checks": [bt.NotNull(["custmer"])]}, ["checks[0]", "did you mean 'customer'?"]),
    ],
)
def test_a_log_that_does_not_fit_the_design(
    fields: dict[str, object], words: list[str], built: Built, bottega: Typed, tmp_path: Path
) -> None:
    design = write_design(tmp_path, data=with_table(**fields))
    refused(bottega("run", design, "--data", built.data, "--workspace", tmp_path / "w"), *words)
    nothing_half(tmp_path / "w")


def test_a_label_with_one_class(bottega: Typed, tmp_path: Path) -> None:
    rows = [f"2024-01-{day:02d},u{place},a{place % 3},1" for day in range(1, 29) for place in range(5)]
    (tmp_path / "clicks.csv").write_text("\n".join(["shown_at,user,ad,clicked", *rows]))
    design = tmp_path / "clicks.py"
    design.write_text(
        """import bottega as bt
design = bt.Design(
    name="clicks", scope=bt.Scope(question="?"),
    data=bt.Data([bt.Table("clicks", "clicks.csv", time="shown_at")],
                 bt.Logged("clicks", request=["user"], candidate="ad"), [bt.Label("clicked")], bt.TimeSplit("5d")),
    features=[], models={"rank": [bt.Logistic()]}, evaluation=bt.Evaluation("log_loss"),
    serving=bt.Serving([bt.Candidates(), bt.Rank(), bt.Show()]))
"""
    )
    refused(bottega("run", design, "--workspace", tmp_path / "w"), "'clicked' is 1 in every example")
    nothing_half(tmp_path / "w")


def test_data_that_are_no_folder(built: Built, bottega: Typed, tmp_path: Path) -> None:
    refused(bottega("run", built.design, "--data", built.design, "--workspace", tmp_path), "--data", "not a folder")
    said = bottega("run", "shop-recommendation", "--workspace", tmp_path / "w", env={"BOTTEGA_DATA": "/nowhere"})
    refused(said, "BOTTEGA_DATA", "not a folder")


def test_a_warehouse_that_is_not_there(built: Built, bottega: Typed, tmp_path: Path) -> None:
    for url in ("duckdb://no/such/folder/shop.db", "nonsense://x"):
        said = bottega("run", built.design, "--warehouse", url, "--workspace", tmp_path / "w")
        refused(said, "warehouse", fix=False)


# The design


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("shop-recomendation", ["did you mean 'shop-recommendation'?"]),
        ("nowhere.py", ["nowhere.py", "no such file"]),
        ("broken.py", ["broken.py:2", "valid Python"]),
        ("empty.py", ["no `design`", "design = bt.Design"]),
        ("slip.py", ["slip.py:2", "did you mean 'Popularity'?"]),
        ("metric.yaml", ["evaluation.primary", "did you mean 'ndcg@20'?"]),
        ("score.yaml", ["serving.path", "Score"]),
    ],
)
def test_a_design_that_cannot_be(typed: str, words: list[str], built: Built, bottega: Typed, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import bottega as bt\ndesign = bt.Design(\n")
    (tmp_path / "empty.py").write_text("import bottega as bt\n")
    (tmp_path / "slip.py").write_text("import bottega as bt\ndesign = bt.Popularty()\n")
    metric = tiny_design(evaluation=bt.Evaluation(primary="ndgc@20"))
    (tmp_path / "metric.yaml").write_text(bt.to_yaml(metric))
    scored = tiny_design(serving=bt.Serving(path=[bt.Retrieve(), bt.Score("rank")]))
    (tmp_path / "score.yaml").write_text(bt.to_yaml(scored))
    design = typed if typed.startswith("shop") else tmp_path / typed
    refused(bottega("run", design, "--data", built.data, "--workspace", tmp_path / "w"), *words, fix=False)
    assert not (tmp_path / "w").exists()


def test_an_error_that_only_the_steps_can_find_names_its_place(built: Built, bottega: Typed, tmp_path: Path) -> None:
    views = changed(tiny_design().evaluation, views=[bt.View("new", where="customer_product_tims_all = 0")])
    design = write_design(tmp_path, evaluation=views)
    workspace = Path(shutil.copytree(built.workspace, tmp_path / "w"))
    said = bottega("run", design, "--data", built.data, "--workspace", workspace)
    refused(said, "evaluation.views", "did you mean 'customer_product_times_all'?")
    nothing_half(workspace)


def test_words_that_no_command_knows(bottega: Typed, built: Built) -> None:
    for typed in (["run", built.design, "--fast"], ["runn"], ["run"], ["serve", built.design, "--port", "high"]):
        said = bottega(*typed)
        assert said.code == 2
        assert said.err.startswith("error: ")
        assert "Traceback" not in said.err
        assert said.out == ""


def test_a_traceback_only_where_it_is_asked_for(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("bottega")
    for words, shown in (([], False), (["--debug"], True)):
        command = [str(script), *words, "run", "shop-recomendation"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert ("Traceback" in done.stderr) == shown
        assert "did you mean 'shop-recommendation'?" in done.stderr
        assert done.returncode == (1 if shown else 2)


# The surroundings


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("a small disk is mounted here, for which one must be root")
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"this machine mounts no tmpfs: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(built: Built, bottega: Typed, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "600k") as disk:
        said = bottega("run", built.design, "--data", built.data, "--workspace", disk / "w")
        refused(said, "disk is full", "finished steps are kept")
        nothing_half(disk / "w")
        kept = {path.name for path in (disk / "w" / "tiny" / "steps").iterdir()}
        assert kept
        subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
        good = bottega("run", built.design, "--data", built.data, "--workspace", disk / "w", "--json", "--quiet")
        assert good.code == 0, good.err
        cached = {step["name"] for step in json.loads(good.out)["steps"] if step["cached"]}
        assert cached == {name.rsplit("-", 1)[0] for name in kept}


def test_ctrl_c_in_the_middle(built: Built, tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    command = Command(
        *("run", built.design, "--data", built.data, "--workspace", workspace), folder=tmp_path / "said", slow=0.2
    )
    steps = workspace / "tiny" / "steps"
    while len(list(steps.glob("[!.]*"))) < 3:
        assert not command.ended()
        time.sleep(0.01)
    os.kill(command.pid, signal.SIGINT)
    said = command.wait()
    refused(said, "stopped", "nothing half-written", "the same command again goes on from there")
    nothing_half(workspace)
    kept = {path.name.rsplit("-", 1)[0] for path in steps.iterdir()}
    assert len(kept) >= 3
    words = ("run", built.design, "--data", built.data, "--workspace", workspace, "--json", "--quiet")
    again = Command(*words, folder=tmp_path / "said").wait()
    assert {step["name"] for step in json.loads(again.out)["steps"] if step["cached"]} == kept


def test_two_runs_in_one_workspace(built: Built, workspace: Path, bottega: Typed, tmp_path: Path) -> None:
    shutil.rmtree(next((workspace / "tiny" / "steps").glob("train-logistic-*")))
    words = ("run", built.design, "--data", built.data, "--workspace", workspace)
    first = Command(*words, folder=tmp_path / "first", slow=2.0)
    while not list((workspace / "tiny" / "steps").glob(".train-logistic-*")):
        assert not first.ended()
        time.sleep(0.01)
    refused(bottega(*words), f"in use by process {first.pid}", "bottega run", "--wait")
    waited = Command(*words, "--wait", "--json", folder=tmp_path / "waited")
    assert first.wait().code == 0
    said = waited.wait()
    assert said.code == 0
    assert f"waiting for process {first.pid}" in said.err
    assert all(step["cached"] for step in json.loads(said.out)["steps"])


def test_a_workspace_that_cannot_be(built: Built, bottega: Typed, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for where in (tmp_path / "file", tmp_path / "no" / "such" / "folder"):
        refused(
            bottega("run", built.design, "--data", built.data, "--workspace", where), "workspace", "--workspace DIR"
        )


# What was built


@pytest.mark.parametrize("verb", ["serve", "load", "rollback", "release"])
def test_a_verb_before_any_run(verb: str, built: Built, bottega: Typed, tmp_path: Path) -> None:
    refused(
        bottega(verb, built.design, "--workspace", tmp_path / "w"), "bottega run" if verb != "rollback" else "twice"
    )


def test_rollback_without_an_earlier_release(built: Built, workspace: Path, bottega: Typed) -> None:
    said = bottega("rollback", built.design, "--workspace", workspace)
    refused(said, "no earlier release", built.card["build"])
    assert (workspace / "tiny" / "current").read_text().strip() == built.card["build"]


def test_an_unknown_build(built: Built, workspace: Path, bottega: Typed) -> None:
    for verb in ("release", "report", "serve"):
        refused(bottega(verb, built.design, "--build", "ffff", "--workspace", workspace), "ffff")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("01JUNKJUNK", ["no answered request '01JUNKJUNK'"]),
        ('{"customer": ', ["request", "JSON"]),
        ('{"custmer": "1"}', ["custmer", "customer"]),
        ('{"customer": {}}', ["customer"]),
    ],
)
def test_a_request_that_cannot_be_explained(request_: str, words: list[str], built: Built, bottega: Typed) -> None:
    refused(bottega("explain", built.design, request_, "--workspace", built.workspace), *words)


def test_a_damaged_bundle(built: Built, workspace: Path, bottega: Typed) -> None:
    build = built.card["build"]
    model = next((workspace / "tiny" / "builds" / build / "models").rglob("*.*"))
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    for verb, more in (("serve", ["--port", 0]), ("explain", ['{"customer": "1"}']), ("release", ["--accept", "so"])):
        said = bottega(verb, built.design, *more, "--workspace", workspace)
        refused(said, model.name, "damaged")
    made = bottega("run", built.design, "--data", built.data, "--workspace", workspace, "--json", "--quiet")
    assert made.code == 0
    assert read_json(workspace / "tiny" / "builds" / build / "manifest.json")["build"] == build
    assert bottega("explain", built.design, '{"customer": "1"}', "--workspace", workspace).code == 0


def test_a_port_in_use(built: Built, bottega: Typed) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(bottega("serve", built.design, "--port", port, "--workspace", built.workspace), str(port), "--port")


def test_nobody_answers_there(built: Built, bottega: Typed) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    said = bottega("load", built.design, "--url", url, "--rate", 10, "--workspace", built.workspace)
    refused(said, url.removeprefix("http://"))


def test_a_report_where_nothing_can_be_written(built: Built, bottega: Typed, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(bottega("report", built.design, "--out", tmp_path / "file", "--workspace", built.workspace), "file")
