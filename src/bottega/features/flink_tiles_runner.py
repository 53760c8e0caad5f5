"""Runs a script of Flink's SQL in streaming mode, and waits until its input has ended.

It needs apache-flink and nothing else, so that it runs in an environment without bottega: `python flink_tiles_runner.py
job.sql`. The statements of a script are apart by an empty line after the semicolon.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_SETTING = re.compile(r"SET '([^']+)' = '([^']+)'")


def run(script: str) -> None:
    """Run a script's statements one after the other, each to its end."""
    from pyflink.table import EnvironmentSettings, TableEnvironment  # type: ignore[import-not-found]

    environment = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for statement in script.strip().removesuffix(";").split(";\n\n"):
        if setting := _SETTING.fullmatch(statement):  # which its own client knows, and the environment does not
            environment.get_config().set(setting[1], setting[2])
        else:
            environment.execute_sql(statement).wait()


if __name__ == "__main__":
    run(Path(sys.argv[1]).read_text("utf-8"))
