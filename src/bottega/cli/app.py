"""What all commands share: the application, options that several have, and how a result or an error is told."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from bottega.cli import completing
from bottega.errors import BuildError

app = typer.Typer(
    help="Write a machine-learning system design in its seven steps; bottega builds it, serves it and measures it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)

DesignName = Annotated[
    str,
    typer.Argument(
        metavar="DESIGN", help="A bundled design's name, or a .py or .yaml file.", autocompletion=completing.designs
    ),
]
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


def terminal() -> tuple[int, bool]:
    """Give the columns to write in, 40 to 118, and whether colour is wanted."""
    colour = (
        sys.stdout is not None
        and sys.stdout.isatty()
        and "NO_COLOR" not in os.environ
        and os.environ.get("TERM") != "dumb"
    )
    return max(40, min(shutil.get_terminal_size((80, 24)).columns, 118)), colour


def listed(option: str, names: str, allowed: str) -> list[str]:
    """Give names that are parted by commas; `BuildError` where there is none."""
    found = [name.strip() for name in names.split(",") if name.strip()]
    if not found:
        raise BuildError(option, repr(names), allowed, f"leave {option} out")
    return found


def say(as_json: bool, value: Any, text: Callable[[], str]) -> None:
    """Print a result: as JSON, or as a person reads it."""
    typer.echo(json.dumps(value, ensure_ascii=False, allow_nan=False) if as_json else text())


def fail(message: str, code: int) -> NoReturn:
    """Print an error, and end with a code."""
    with suppress(OSError):  # where nothing can be printed, the code tells
        typer.echo(f"error: {message}", err=True)
    sys.exit(code)


def unwritable() -> BuildError | None:
    """Say why standard output cannot be written, which a line more tells; nothing where it can."""
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except OSError as error:
        with suppress(OSError):  # what is held back would fail once more when Python ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        allowed = "a terminal, a pipe, or a file on a disk with room"
        return BuildError("standard output", f"cannot be written: {error.strerror}", allowed, "send it elsewhere")
    return None
