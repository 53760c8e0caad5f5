"""What a run used and what it ran on: memory at its peak, and the machine without its name."""

from __future__ import annotations

import os
import platform
import resource
import sys
import threading
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil  # type: ignore[import-untyped]

LIBRARIES = (
    *(
        "bm25s",
        "duckdb",
        "faiss-cpu",
        "granian",
        "ibis-framework",
        "implicit",
        "lightgbm",
        "lmdb",
        "msgspec",
        "numba",
        "numpy",
    ),
    *("onnx", "onnxruntime", "pillow", "pyarrow", "scikit-learn", "scipy", "sqlglot", "torch"),
)
"""The libraries whose versions can change what a build holds."""

_MIB = 2**20


class PeakMemory:
    """Watch the resident memory of this process and its children inside a `with` block.

    The figure is the largest sum seen by sampling, and at least the process's own peak as the system counts it.
    It is too high where processes share pages (each counts them), and misses a child's peak between two samples.

    every: seconds between samples, above 0; larger costs less and misses more.

    >>> with PeakMemory() as memory:
    ...     _ = bytearray(50 * 2**20)
    >>> memory.peak_mb >= 50
    True
    """

    def __init__(self, every: float = 0.25) -> None:
        self._every = every
        self._stop = threading.Event()
        self._process = psutil.Process()
        self._peak = self._section = self._begun = 0
        self._thread = threading.Thread(target=self._watch, daemon=True, name="peak-memory")

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sample()
        self._stop.set()
        self._thread.join()

    @property
    def peak_mb(self) -> int:
        """The largest sum so far, in MiB, from the process's own beginning."""
        return max(self._peak, own_peak()) // _MIB

    def begin_section(self) -> None:
        """Begin a stretch whose peak is wanted by itself."""
        self._begun += 1
        self._section = 0
        self._sample()

    def section_mb(self) -> int:
        """The largest sum seen since `begin_section`, in MiB."""
        self._sample()
        return self._section // _MIB

    def _watch(self) -> None:
        while not self._stop.wait(self._every):
            self._sample()

    def _sample(self) -> None:
        begun = self._begun
        total = self._process.memory_info().rss
        for child in self._process.children(recursive=True):
            try:
                total += child.memory_info().rss
            except psutil.Error:  # it ended meanwhile
                continue
        self._peak = max(self._peak, total)
        if begun == self._begun:  # else it is of the stretch before, in part
            self._section = max(self._section, total)


def own_peak() -> int:
    """Give the peak of this process's resident memory in bytes, without its children.

    `getrusage` alone would not do on Linux, where a process begins with the peak of the one that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def installed(libraries: Iterable[str] = LIBRARIES) -> dict[str, str]:
    """Give the versions of Python and of those libraries that are installed."""
    found = {"python": platform.python_version()}
    for name in ("bottega", *libraries):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Describe the machine as figures need it: cores that may be used, memory in MiB, processor, system, versions.

    It holds no name of a host or a person. Limits of a container count; `memory_mb` is the smaller of the two.
    """
    memory = psutil.virtual_memory().total
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and (text := limit.read_text().strip()).isdigit():
        memory = min(memory, int(text))
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_mb": memory // _MIB,
        "cpu": _cpu(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": installed(),
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
