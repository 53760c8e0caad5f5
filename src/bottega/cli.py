"""The command line: one command a verb; everything heavy is imported when its command runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from bottega.errors import BottegaError

app = typer.Typer(
    help="Write a machine-learning system design in its seven steps; bottega builds it, serves it and measures it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)

DesignName = Annotated[str, typer.Argument(metavar="DESIGN", help="A bundled design's name, or a .py or .yaml file.")]
Workspace = Annotated[
    Path | None, typer.Option("--workspace", metavar="DIR", help="Where everything is kept. [default: .bottega]")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, progress as JSON lines on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but the result.")]
Build = Annotated[str | None, typer.Option("--build", metavar="ID", help="A build's id, or its beginning.")]
Store = Annotated[
    str, typer.Option("--store", metavar="URL", help="lmdb:, lmdb:/path, redis://…, dynamodb://…, cassandra://…")
]
Clock = Annotated[
    str,
    typer.Option("--clock", metavar="KIND", help="now; log: the log's end, moved by events; auto: log if old."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Another seed makes other draws.")]


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a design.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Keep the options that stand before the command."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("bottega"))
        raise typer.Exit
    if schema:
        from bottega.design.writing import schema as described

        typer.echo(json.dumps(described(), indent=2, ensure_ascii=False))
        raise typer.Exit
    del debug  # read by `main`, which stands outside
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


@app.command()
def run(
    design: DesignName,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="DIR", help="The folder of its tables. [default: its own, $BOTTEGA_DATA, its world]"
        ),
    ] = None,
    warehouse: Annotated[
        str | None, typer.Option("--warehouse", metavar="URL", help="Read tables from here: duckdb://shop.db")
    ] = None,
    workspace: Workspace = None,
    seed: Seed = 0,
    rows: Annotated[
        int | None, typer.Option("--rows", min=1, help="Size of the world that stands in where there are no data.")
    ] = None,
    models: Annotated[
        str | None, typer.Option("--models", metavar="NAMES", help="Rungs to train: all, or names with commas.")
    ] = None,
    warm_start: Annotated[
        bool, typer.Option("--warm-start", help="Go on from the current release, and learn what is new since.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 3 when a goal is missed.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another run in this workspace.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build, evaluate, measure and release a design; the report says what was found."""
    from bottega.runs.progress import choose
    from bottega.verbs.run import run as verb

    ran = verb(
        design, data=data, warehouse=warehouse, workspace=workspace, seed=seed, rows=rows,
        models=() if models is None else _names(models),
        warm_start=warm_start, wait=wait, progress=choose(quiet, as_json),
    )  # fmt: skip
    _say(as_json, ran.scorecard, lambda: _summary(ran.scorecard, ran.report, design))
    gates = {gate["name"]: gate["passed"] for gate in ran.scorecard["release"]["gates"]}
    if not (gates["parity"] and gates["smoke load"]):
        raise typer.Exit(4)
    if strict and not gates["goals"]:
        raise typer.Exit(3)


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
) -> None:
    """Answer requests with the current release, over HTTP."""
    from bottega.verbs.serve import serve as verb

    def ready(url: str) -> None:
        said = f"{design} on {url}   docs {url}/docs   Ctrl-C ends it"
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
) -> None:
    """Bring events into the store, each once, beside a service with --stream none."""
    from bottega.verbs.stream import stream as verb

    def ready() -> None:
        said = f"{source} into {store}   lag and throughput in /metrics of the service   Ctrl-C ends it"
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

    def say(test: LoadResult) -> None:
        if not (quiet or as_json):
            typer.echo(load_test(test.as_dict()), err=True)

    found = verb(
        design, workspace=workspace, url=url, rate=rate, requests=requests, connections=connections, workers=workers,
        seed=seed, say=say,
    )  # fmt: skip
    _say(as_json, found, lambda: load_summary(found))


@app.command()
def release(
    design: DesignName,
    build: Build = None,
    workspace: Workspace = None,
    accept: Annotated[
        str | None, typer.Option("--accept", metavar="REASON", help="Accept missed goals; the reason is kept.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a build the current one, if it passes its gates (exit code 4 if not)."""
    from bottega.verbs.release import release as verb

    found = verb(design, build=build, workspace=workspace, accept=accept)
    _say(as_json, {"current": found.id}, lambda: f"current is {found.id}   serve it with: bottega serve {design}")


@app.command()
def rollback(design: DesignName, workspace: Workspace = None, as_json: Json = False) -> None:
    """Make the release before the current one current again."""
    from bottega.verbs.rollback import rollback as verb

    found = verb(design, workspace=workspace)
    _say(as_json, {"current": found.id}, lambda: f"current is {found.id} again")


@app.command()
def consistency(
    design: DesignName,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Tables of today. [default: the build's, and events]"),
    ] = None,
    warehouse: Annotated[str | None, typer.Option("--warehouse", metavar="URL", help="Read them from here.")] = None,
    source: Annotated[
        str, typer.Option("--stream", metavar="URL", help="Events since; none: leave them out.")
    ] = "file:",
    sample: Annotated[int, typer.Option(help="Answers to look at.")] = 1000,
    at_most: Annotated[float, typer.Option(help="Share of values that may differ; above it, exit with 4.")] = 0.0,
    build: Build = None,
    workspace: Workspace = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Compare features as they were served with what a batch computes for the same moments."""
    from bottega.reporting.telling import consistency_summary
    from bottega.verbs.consistency import consistency as verb

    found = verb(
        design, workspace=workspace, build=build, data=data, warehouse=warehouse, stream=source, sample=sample,
        seed=seed,
    )  # fmt: skip
    _say(as_json, found, lambda: consistency_summary(found))
    if found["mismatches"] > at_most * found["compared"]:
        raise typer.Exit(4)


@app.command()
def explain(
    design: DesignName,
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="An answered request's id, or a request as JSON.")],
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Show what brought each item of an answer, and what moved it."""
    import msgspec

    from bottega.reporting.telling import explained
    from bottega.verbs.explain import explain as verb

    found = msgspec.to_builtins(verb(design, request, workspace=workspace))
    _say(as_json, found, lambda: explained(found))


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
) -> None:
    """Write the job that makes the store's tiles in Flink, and what runs it."""
    from bottega.verbs.flink import flink as verb

    job, runner = verb(
        design, workspace=workspace, build=build, source=source, sink=sink, every=every, apart=apart, out=out
    )
    said = f"{job}\nrun it where apache-flink is:  python {runner} {job}"
    _say(as_json, {"job": str(job), "runner": str(runner)}, lambda: said)


@app.command()
def report(
    design: DesignName,
    build: Build = None,
    workspace: Workspace = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where to write it.")] = None,
    as_json: Json = False,
) -> None:
    """Write the report of the newest run, or of a build, as Markdown and HTML."""
    from bottega.verbs.report import report as verb

    pages = [str(path) for path in verb(design, build=build, workspace=workspace, out=out)]
    _say(as_json, {"pages": pages}, lambda: "\n".join(pages))


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Its name: lower-case letters, digits and dashes.")],
    table: Annotated[
        Path | None, typer.Option("--from", metavar="TABLE", help="A table to propose it from: a file, or a folder.")
    ] = None,
    like: Annotated[
        str | None, typer.Option("--like", metavar="SYSTEM", help="The bundled system to begin with. [default: NAME]")
    ] = None,
    time: Annotated[str | None, typer.Option("--time", metavar="COLUMN", help="The time of a row.")] = None,
    person: Annotated[str | None, typer.Option("--person", metavar="COLUMN", help="Who asks, or takes.")] = None,
    item: Annotated[str | None, typer.Option("--item", metavar="COLUMN", help="What is shown, taken, judged.")] = None,
    label: Annotated[str | None, typer.Option("--label", metavar="COLUMN", help="What is to be predicted.")] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write it.")] = Path(),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a design to begin with: a bundled system's, or one proposed from a table, with its reasons."""
    from bottega.proposals.roles import Roles
    from bottega.verbs.new import new as verb

    roles = Roles(time=time, person=person, item=item, label=label)
    say = None if as_json or quiet else lambda line: typer.echo(line)
    begun = verb(name, table=table, like=like, roles=roles, out=out, say=say)
    data = None if begun.data is None else str(begun.data)
    where = f" --data {data}" if data else ""
    lines = [f"design    {begun.path}"]
    lines += [f"{word:<10}bottega {step} {begun.path}{where}" for word, step in (("next", "review"), ("", "run"))]
    _say(as_json, {"design": str(begun.path), "data": data, "found": begun.told}, lambda: "\n".join(lines))


def main() -> None:
    """Run the command line: 0 done, 2 an error of input or surroundings, 3 a goal missed, 4 a release refused."""
    debug = "--debug" in sys.argv[1:]
    arguments = [item for item in sys.argv[1:] if item != "--debug"]
    try:
        code = app(arguments, standalone_mode=False, prog_name="bottega")
    except BottegaError as error:
        if debug:
            raise
        _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("stopped; finished steps are kept, and the same command again goes on from there", 2)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of the pipe has gone, and has nobody to tell
        sys.exit(0)
    except typer.TyperException as error:
        said = getattr(error, "format_message", None)
        _fail(said() if said is not None else str(error), 2)
    sys.exit(code if isinstance(code, int) else 0)


def _summary(card: dict[str, Any], report: Path, design: str) -> str:
    import os
    import shutil

    from bottega.reporting.screen import summary

    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    following = f"bottega serve {design}" if card["release"]["released"] else f"bottega report {design}"
    width = shutil.get_terminal_size((80, 24)).columns
    return summary(card, width=max(40, min(width, 118)), colour=colour, report=str(report), following=following)


def _names(models: str) -> list[str]:
    from bottega.errors import BuildError

    names = [name.strip() for name in models.split(",") if name.strip()]
    if not names:
        raise BuildError(
            "--models", repr(models), "all, or names with commas", "leave it out to train what is not optional"
        )
    return names


def _say(as_json: bool, value: Any, text: Callable[[], str]) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, allow_nan=False) if as_json else text())


def _fail(message: str, code: int) -> None:
    typer.echo(f"error: {message}", err=True)
    sys.exit(code)
