"""Memory at its peak and the machine."""

from __future__ import annotations

import ast
import json
import socket
import subprocess
import sys
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil

from bottega.runs import steps
from bottega.runs.resources import LIBRARIES, PeakMemory, installed, machine, own_peak


def test_the_peak_stays_after_the_memory_is_free() -> None:
    with PeakMemory(every=0.01) as memory:
        before = psutil.Process().memory_info().rss
        block = bytearray(b"x") * (120 * 2**20)
        held = psutil.Process().memory_info().rss
        memory.begin_section()
        section = memory.section_mb()
        del block
        memory.begin_section()
        assert memory.section_mb() < section
    assert held - before > 100 * 2**20
    assert memory.peak_mb >= held // 2**20
    assert own_peak() >= held - 8 * 2**20  # the system counts pages in batches, thread by thread


def test_children_count() -> None:
    code = "x = bytearray(b'x') * (150 * 2**20); print('ready', flush=True); input()"
    with PeakMemory(every=0.01) as memory:
        memory.begin_section()
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            memory.section_mb()
            both = (psutil.Process().memory_info().rss + psutil.Process(child.pid).memory_info().rss) // 2**20
            child.communicate(b"\n")
        assert memory.section_mb() >= both - 1
        assert memory.peak_mb >= 150


def test_a_process_does_not_inherit_the_peak_of_the_one_that_started_it() -> None:
    block = bytearray(b"x") * (200 * 2**20)
    code = "from bottega.runs.resources import own_peak; print(own_peak())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 5 * 2**20 < int(said.stdout) < len(block)


def test_the_sampling_ends_with_the_block() -> None:
    with PeakMemory(every=0.01) as memory:
        time.sleep(0.03)
    assert not memory._thread.is_alive()


def test_the_machine_has_figures_and_no_name() -> None:
    found = machine()
    text = json.dumps(found)
    assert found["cores"] >= 1
    assert found["memory_mb"] > 100
    assert found["cpu"]
    assert socket.gethostname() not in text
    assert found["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "no-such-library" not in installed(["no-such-library"])


def test_the_versions_of_all_libraries_that_steps_count_on_are_told_without_loading_them() -> None:
    needed = set()
    for file in sorted(Path(steps.__path__[0]).rglob("*.py")):
        code = file.read_text()
        for part in ast.walk(ast.parse(code)):
            named = getattr(part.targets[0], "id", "") if isinstance(part, ast.Assign) else getattr(part, "arg", "")
            if isinstance(part, (ast.Assign, ast.keyword)) and named in ("_LIBRARIES", "_DEEP", "libraries"):
                needed |= {each.value for each in ast.walk(part.value) if isinstance(each, ast.Constant)}
    assert {"numpy", "lightgbm", "torch", "onnx", "onnxruntime"} <= needed <= set(LIBRARIES)
    code = (
        "import json, sys; from bottega.runs.resources import machine; told = machine()['versions']; "
        "print(json.dumps([told, [name for name in ('torch', 'onnx', 'onnxruntime') if name in sys.modules]]))"
    )
    told, loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert loaded == []
    for name in ("torch", "onnx", "onnxruntime"):
        assert told.get(name) == (version(name) if find_spec(name) else None)
