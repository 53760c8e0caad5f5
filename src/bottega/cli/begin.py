"""Commands about a design itself: begin, review, draw and describe it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bottega.cli import completing
from bottega.cli.app import Build, DesignName, Json, Quiet, Workspace, app, listed, say, terminal


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Its name: lower-case letters, digits and dashes.")],
    table: Annotated[
        Path | None, typer.Option("--from", metavar="TABLE", help="A table to propose it from: a file, or a folder.")
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            "--like",
            metavar="SYSTEM",
            help="The bundled system to begin with. [default: NAME]",
            autocompletion=completing.systems,
        ),
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", metavar="COLUMN", help="The time of a row: dates, or numbers since 1970.")
    ] = None,
    person: Annotated[str | None, typer.Option("--person", metavar="COLUMN", help="Who asks, or takes.")] = None,
    item: Annotated[str | None, typer.Option("--item", metavar="COLUMN", help="What is shown, taken, judged.")] = None,
    label: Annotated[
        str | None, typer.Option("--label", metavar="COLUMN", help="What is to be predicted; COLUMN=VALUE: 1 is VALUE.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write it.")] = Path(),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a design to begin with: a bundled system's, or one proposed from a table, with its reasons."""
    from bottega.proposals.roles import Roles
    from bottega.verbs.finding import as_typed
    from bottega.verbs.new import new as verb

    roles = Roles(time=time, person=person, item=item, label=label)
    tell = None if as_json or quiet else typer.echo
    begun = verb(name, table=table, like=like, roles=roles, out=out, say=tell)
    data = None if begun.data is None else str(begun.data)
    lines = [f"design    {begun.path}"]
    if not quiet:
        typed = as_typed(begun.path, data=data)
        lines += [f"{word:<10}bottega {step} {typed}" for word, step in (("next", "review"), ("", "run"))]
    say(as_json, {"design": str(begun.path), "data": data, "found": begun.told}, lambda: "\n".join(lines))


@app.command()
def review(
    design: DesignName,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="The folder of its tables. [default: as for run]"),
    ] = None,
    warehouse: Annotated[str | None, typer.Option("--warehouse", metavar="URL", help="Read tables from here.")] = None,
    workspace: Workspace = None,
    static: Annotated[bool, typer.Option("--static", help="Read no data: the rules on data are left out.")] = False,
    as_sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0, for editors and code hosts.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find what would go wrong with a design, before anything runs (exit code 3 if it would stop a run)."""
    import msgspec

    from bottega.reviewing.writing_sarif import sarif
    from bottega.reviewing.writing_text import text
    from bottega.verbs.finding import as_typed
    from bottega.verbs.review import review as verb

    found = verb(design, data=data, warehouse=warehouse, workspace=workspace, static=static)
    if not quiet:
        typer.echo(found.printed, err=True, nl=False)
    width, colour = terminal()
    value = sarif(found) if as_sarif else msgspec.to_builtins(found)
    typed = None if quiet else as_typed(design, data=data, warehouse=warehouse, workspace=workspace)
    say(as_json or as_sarif, value, lambda: text(found, width, colour, typed))
    if found.stopping:
        raise typer.Exit(3)


@app.command()
def rule(
    code: Annotated[
        str | None,
        typer.Argument(metavar="CODE", help="Its code or name. [default: list all]", autocompletion=completing.rules),
    ] = None,
    as_json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Show the page of a rule of review: why, an example, the fix and the source; or list all rules."""
    from bottega.reviewing.writing_pages import listing, markdown, page
    from bottega.verbs.rule import rule as verb

    rules = verb(code)
    width, colour = terminal()
    if colour and code is not None:
        from rich.console import Console
        from rich.markdown import Markdown

        Console(width=width).print(Markdown(markdown(rules[0])))
        return
    told = [
        {"code": one.code, "title": one.title, "step": one.step, "severity": one.severity, "page": one.page}
        for one in rules
    ]
    if code is None:
        say(as_json, told, lambda: listing(rules, width))
    else:
        say(as_json, told[0], lambda: page(rules[0], width))


@app.command()
def draw(
    design: DesignName,
    build: Build = None,
    workspace: Workspace = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="*.svg, *.mmd (Mermaid), *.png, *.pdf. [default: in the workspace]"),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show it.")] = False,
    as_json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Draw the flowchart from ingestion to prediction, with what a run measured on its edges."""
    from bottega.verbs.draw import draw as verb

    file = str(verb(design, build=build, workspace=workspace, out=out))
    say(as_json, {"file": file}, lambda: file)
    if open_it:
        typer.launch(file)


@app.command()
def report(
    design: DesignName,
    build: Build = None,
    workspace: Workspace = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where to write it.")] = None,
    formats: Annotated[
        str | None, typer.Option("--format", metavar="NAMES", help="html, md, pdf. [default: all that can be written]")
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="The PDF alone.")] = False,
    open_it: Annotated[bool, typer.Option("--open", help="Show the HTML page, else the first file.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the design document, with what the newest run, or a build, measured: HTML, Markdown and PDF."""
    from bottega.reporting.plots import NEEDS, available
    from bottega.verbs.report import report as verb

    wanted = ["pdf"] if pdf else [] if formats is None else listed("--format", formats, "html, md, pdf, with commas")
    said: list[str] = []
    found = verb(design, build=build, workspace=workspace, out=out, formats=wanted, say=said.append)
    pages = [str(path) for path in found]
    say(as_json, {"pages": pages}, lambda: "\n".join(pages))
    if said and not (as_json or quiet):
        typer.echo("\n".join(said), err=True)
    if not (available() or as_json or quiet):
        typer.echo(f"pictures stand still, and there is no PDF: {NEEDS}", err=True)
    if open_it:
        typer.launch(next((page for page in pages if page.endswith(".html")), pages[0]))
