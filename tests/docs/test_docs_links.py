"""Links of the documentation lead somewhere: files and headings that are there, addresses that are well formed."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from docs_blocks import DOCS, ROOT

from bottega.reviewing.rules import RULES

PAGES = sorted(DOCS.rglob("*.md"))
MADE = {DOCS / "rules" / f"{name}.md" for name in ("index", *(rule.code for rule in RULES))}
"""Pages that the site makes of docstrings."""
_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.M | re.S)


def faults(page: Path, text: str) -> list[str]:
    """Say which links of a page lead nowhere, as `target: why`."""
    plain = _CODE.sub("", text)
    found = [(target, _fault(page, target)) for target in re.findall(r"\]\(([^)\s]+)\)", plain)]
    found += [(target, _fault(page, target)) for target in re.findall(r"<(https?:[^>\s]*)>", plain)]
    return [f"{target}: {why}" for target, why in found if why]


def _fault(page: Path, target: str) -> str:
    parts = urlsplit(target)
    if parts.scheme or target.startswith("//"):
        return "" if parts.scheme == "https" and "." in parts.netloc else "no address of the form https://host/…"
    path = (page.parent / parts.path).resolve() if parts.path else page
    if path not in MADE and not path.exists():
        return "no such file"
    if parts.fragment and parts.fragment not in anchors(path.read_text()):
        return "no such heading"
    return ""


def anchors(text: str) -> set[str]:
    """Give the anchors of a page's headings, as the site makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert faults(page, page.read_text()) == []


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("nowhere.md", "no such file"),
        ("tutorial.md#nothing", "no such heading"),
        ("#nothing", "no such heading"),
        ("rules/R000.md", "no such file"),
        ("http://example.org", "no address"),
        ("https://", "no address"),
    ],
)
def test_a_broken_link_is_found(link: str, why: str) -> None:
    (found,) = faults(DOCS / "stores.md", f"See [it]({link}).")
    assert found.startswith(f"{link}: {why}")


def test_good_links_are_not_refused() -> None:
    good = ["tutorial.md", "tutorial.md#serve-it", "rules/R201.md", "https://example.org/x#y", "../README.md"]
    assert (ROOT / "README.md").exists()
    assert faults(DOCS / "stores.md", " ".join(f"[a]({link})" for link in good) + " `[b](not.md)`") == []
