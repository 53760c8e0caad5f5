"""The command line: one command a verb; everything heavy is imported when its command runs."""

from __future__ import annotations

import sys

import typer

from bottega.cli import begin, build, serve
from bottega.cli.app import app, fail, unwritable
from bottega.errors import BottegaError

__all__ = ["app", "begin", "build", "main", "serve"]


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 2 an error of input or surroundings, 3 a goal missed or a finding that stops, 4 no release.
    """
    debug = "--debug" in sys.argv[1:]
    arguments = [item for item in sys.argv[1:] if item != "--debug"]
    try:
        code = app(arguments, standalone_mode=False, prog_name="bottega")
    except BottegaError as error:
        if debug:
            raise
        fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        fail("stopped; finished steps are kept, and the same command again goes on from there", 2)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of the pipe has gone, and has nobody to tell
        sys.exit(0)
    except OSError:
        if (told := unwritable()) is None:
            raise
        fail(str(told), told.exit_code)
    except typer.TyperException as error:
        said = getattr(error, "format_message", None)
        fail(said() if said is not None else str(error), 2)
    sys.exit(code if isinstance(code, int) else 0)
