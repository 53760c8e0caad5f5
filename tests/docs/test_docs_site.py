"""The site builds without a warning, and holds every page, rule, decision and public name."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from docs_blocks import DOCS, ROOT, pages

import bottega
from bottega.reviewing.rules import RULES


def test_every_public_name_is_in_the_reference_once() -> None:
    text = "".join(path.read_text() for path in (DOCS / "reference").glob("*.md"))
    named = Counter(re.findall(r"^::: bottega\.(\w+)$", text, re.M))
    named.pop("worlds"), named.pop("errors")
    assert named == Counter(bottega.__all__)


def test_every_page_is_in_the_navigation_once() -> None:
    text = re.sub(r"!!python\S*", "", (ROOT / "mkdocs.yml").read_text())
    named = Counter(_leaves(yaml.safe_load(text)["nav"]))
    assert named == Counter([*(str(path.relative_to(DOCS)) for path in pages()), "rules", "decisions"])


def _leaves(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    for inner in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
        yield from _leaves(inner)


@pytest.mark.skipif(importlib.util.find_spec("mkdocstrings") is None, reason="mkdocs is not installed: bottega[docs]")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    made = {str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site").rglob("*.html")}
    assert {str(path.relative_to(DOCS).with_suffix(".html")) for path in DOCS.rglob("*.md")} <= made
    assert {f"rules/{rule.code}.html" for rule in RULES} <= made
    serving = (tmp_path / "site/reference/serving.html").read_text()
    assert 'id="bottega.Retrieve"' in serving
    assert "&gt;&gt;&gt;" not in re.sub(r"<pre>.*?</pre>", "", serving, flags=re.DOTALL)  # examples are code
    assert "<code>benchmarks/RESULTS.md</code>" in (tmp_path / "site/catalogues.html").read_text()
    assert not (tmp_path / "site/_hooks.py").exists()
    index = json.loads((tmp_path / "site/search/search_index.json").read_text())["docs"]
    assert {f"rules/{rule.code}.html" for rule in RULES} <= {entry["location"] for entry in index}
    assert any("champion" in entry["text"] for entry in index if entry["location"].startswith("semantics.html"))
    for path in (tmp_path / "site").rglob("*.html"):
        text = path.read_text()
        assert len(re.findall(r"<input [^>]*data-md-color-media", text)) == 3  # light, dark, and as the system has it
        assert not re.search(
            r"""(?:<script[^>]* src|<link [^>]*rel="(?:stylesheet|preconnect)"[^>]* href)="?https?:""", text
        )
