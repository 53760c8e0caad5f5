"""A Spark session for tests: small, quiet, on two threads; with what says when there can be none."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

NEEDED = [
    pytest.mark.skipif(find_spec("pyspark") is None, reason="the extra `spark` is not there"),
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java, and there is no `java` here"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),  # PySpark leaves those of its answers open
]
_SETTINGS = {
    "spark.driver.memory": "1g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",  # small data: compiling well costs more than it saves
}


@contextmanager
def spark_session(folder: Path) -> Iterator[Any]:
    """Give a session whose tables lie in a folder; Ibis takes the one that is there."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.sql.warehouse.dir", str(folder / "tables"))
    for name, value in _SETTINGS.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()
    gc.collect()
