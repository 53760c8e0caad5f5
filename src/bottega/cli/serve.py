"""Commands that answer requests, take in events, and load the service."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from bottega.cli.app import Build, Clock, DesignName, Json, Quiet, Seed, Store, Workspace, app, say, terminal
from bottega.cli.build import following


@app.command()
def serve(
    design: DesignName,
    workspace: Workspace = None,
    host: Annotated[str, typer.Option(help="The address; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 is any free one.")] = 8000,
    workers: Annotated[int | None, typer.Option(help="Processes. [default: what the design says]")] = None,
    build: Build = None,
    store: Store = "lmdb:",
    stream: Annotated[
        str, typer.Option(metavar="URL", help="Events that change features: file:, kafka://host:port/topic, none.")
    ] = "file:",
    clock: Clock = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Answer requests with the current release, over HTTP."""
    from bottega.reporting.telling import laid
    from bottega.verbs.serve import serve as verb

    def ready(url: str) -> None:
        said = "\n".join(
            laid("", [f"{design} on {url}", *([] if quiet else [f"docs {url}/docs", "Ctrl-C ends it"])], terminal()[0])
        )
        typer.echo(json.dumps({"url": url}) if as_json else said)
        sys.stdout.flush()

    verb(
        design, workspace=workspace, host=host, port=port, workers=workers, build=build, store=store, stream=stream,
        clock=clock, ready=ready,
    )  # fmt: skip


@app.command()
def stream(
    design: DesignName,
    source: Annotated[str, typer.Option("--stream", metavar="URL", help="file:, kafka://host:port/topic.")] = "file:",
    workspace: Workspace = None,
    store: Store = "lmdb:",
    workers: Annotated[int, typer.Option(help="Processes that share the stream's partitions.")] = 1,
    build: Build = None,
    clock: Clock = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring events into the store, each once, beside a service with --stream none."""
    from bottega.reporting.telling import laid
    from bottega.verbs.stream import stream as verb

    def ready() -> None:
        hints = [] if quiet else ["lag and throughput in /metrics of the service", "Ctrl-C ends it"]
        parts = [f"{source} into {store}", *hints]
        said = "\n".join(laid("", parts, terminal()[0]))
        typer.echo(json.dumps({"streaming": True}) if as_json else said)
        sys.stdout.flush()

    verb(
        design, workspace=workspace, source=source, store=store, workers=workers, build=build, clock=clock, ready=ready
    )  # fmt: skip


@app.command()
def load(
    design: DesignName,
    workspace: Workspace = None,
    url: Annotated[str | None, typer.Option(help="A running service. [default: one is started]")] = None,
    rate: Annotated[float | None, typer.Option(help="Requests a second. [default: the highest is searched]")] = None,
    requests: Annotated[int, typer.Option(help="Requests behind the p99 that is told.")] = 20_000,
    connections: Annotated[int, typer.Option(help="Requests that may wait for an answer at once.")] = 32,
    workers: Annotated[int | None, typer.Option(help="Processes of the service that is started.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Load the service, open loop, and find the highest rate that holds its limit."""
    from bottega.reporting.telling import load_summary, load_test
    from bottega.serving.load_report import LoadResult
    from bottega.verbs.load import load as verb

    def tell(test: LoadResult) -> None:
        if not (quiet or as_json):
            typer.echo(load_test(test.as_dict(), terminal()[0]), err=True)

    found = verb(
        design, workspace=workspace, url=url, rate=rate, requests=requests, connections=connections, workers=workers,
        seed=seed, say=tell,
    )  # fmt: skip
    say(as_json, found, lambda: load_summary(found, terminal()[0]))


@app.command()
def flink(
    design: DesignName,
    source: Annotated[
        str, typer.Option("--stream", metavar="URL", help="file:/folder of a log, kafka://host:port/topic?group=NAME.")
    ] = "file:",
    sink: Annotated[
        str | None, typer.Option(metavar="URL", help="A folder as Flink names it. [default: tiles in --out]")
    ] = None,
    every: Annotated[str, typer.Option(help="Time that makes one part of a tile.")] = "5min",
    apart: Annotated[
        str | None, typer.Option(help="How far arrivals may be out of order. [default: 10s of Kafka]")
    ] = None,
    build: Build = None,
    workspace: Workspace = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write it.")] = Path("flink"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the job that makes the store's tiles in Flink, and what runs it."""
    from bottega.verbs.flink import flink as verb

    job, runner = verb(
        design, workspace=workspace, build=build, source=source, sink=sink, every=every, apart=apart, out=out
    )
    said = f"written to {job}" if quiet else f"written to {job}; where apache-flink is installed:"
    say(as_json, {"job": str(job), "runner": str(runner)}, lambda: following(said, f"python {runner} {job}", quiet))
