"""Commands that build a design, and choose, hold and explain what was built."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bottega.cli.app import Build, DesignName, Json, Quiet, Seed, Workspace, app, listed, say, terminal


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
    from bottega.verbs.finding import as_typed
    from bottega.verbs.run import run as verb

    ran = verb(
        design, data=data, warehouse=warehouse, workspace=workspace, seed=seed, rows=rows,
        models=() if models is None else listed("--models", models, "all, or names with commas"),
        warm_start=warm_start, wait=wait, progress=choose(quiet, as_json),
    )  # fmt: skip
    say(as_json, ran.scorecard, lambda: _summary(ran.scorecard, ran.report, as_typed(design, workspace=workspace)))
    gates = {gate["name"]: gate["passed"] for gate in ran.scorecard["release"]["gates"]}
    if not (gates["parity"] and gates["smoke load"]):
        raise typer.Exit(4)
    if strict and not gates["goals"]:
        raise typer.Exit(3)


@app.command()
def release(
    design: DesignName,
    build: Build = None,
    workspace: Workspace = None,
    accept: Annotated[
        str | None, typer.Option("--accept", metavar="REASON", help="Accept missed goals; the reason is kept.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a build the current one, if it passes its gates (exit code 4 if not)."""
    from bottega.verbs.finding import as_typed
    from bottega.verbs.release import release as verb

    found, typed = verb(design, build=build, workspace=workspace, accept=accept), as_typed(design, workspace=workspace)
    say(as_json, {"current": found.id}, lambda: following(f"current is {found.id}", f"bottega serve {typed}", quiet))


@app.command()
def rollback(design: DesignName, workspace: Workspace = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Make the release before the current one current again."""
    from bottega.verbs.finding import as_typed
    from bottega.verbs.rollback import rollback as verb

    found, typed = verb(design, workspace=workspace), as_typed(design, workspace=workspace)
    say(
        as_json,
        {"current": found.id},
        lambda: following(f"current is {found.id} again", f"bottega serve {typed}", quiet),
    )


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
    _quiet: Quiet = False,
) -> None:
    """Compare features as they were served with what a batch computes for the same moments."""
    from bottega.reporting.telling import consistency_summary
    from bottega.verbs.consistency import consistency as verb

    found = verb(
        design, workspace=workspace, build=build, data=data, warehouse=warehouse, stream=source, sample=sample,
        seed=seed,
    )  # fmt: skip
    say(as_json, found, lambda: consistency_summary(found, terminal()[0]))
    if found["mismatches"] > at_most * found["compared"]:
        raise typer.Exit(4)


@app.command()
def explain(
    design: DesignName,
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="An answered request's id, or a request as JSON.")],
    workspace: Workspace = None,
    as_json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Show what brought each item of an answer, and what moved it."""
    import msgspec

    from bottega.reporting.telling import explained
    from bottega.verbs.explain import explain as verb

    found = msgspec.to_builtins(verb(design, request, workspace=workspace))
    say(as_json, found, lambda: explained(found, terminal()[0]))


def following(said: str, command: str, quiet: bool = False) -> str:
    """Write what was done, and below it the command to type next, unless it is to be quiet."""
    return said if quiet else f"{said}\nnext            {command}"


def _summary(card: dict[str, Any], report: Path, typed: str) -> str:
    from bottega.reporting.screen import summary

    width, colour = terminal()
    following = f"bottega serve {typed}" if card["release"]["released"] else f"bottega report {typed}"
    return summary(card, width=width, colour=colour, report=str(report), following=following)
