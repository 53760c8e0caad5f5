"""What the site needs beyond its Markdown: a page for each rule, and links that lead out of the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

HERE = Path(__file__).parent
_OUTWARD = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)\s]+)\)")


def on_config(config: Any) -> Any:
    """Fill the places of the navigation that stand for all rules and all decisions."""
    places = {"rules": ["rules/index.md", *rule_pages()], "decisions": decisions()}
    config.nav = [_filled(entry, places) for entry in config.nav]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the page of each rule, from its docstring, and the list of all."""
    for path, text in {**rule_pages(), "rules/index.md": rule_list()}.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Write a link to a file of the repository that is not of the site as that file's path."""
    folder = posixpath.dirname(page.file.src_uri)

    def written(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", folder, found[2]))
        if path.startswith("docs/"):
            return found[0]
        return f"`{path}`" if found[1] == path else f"{found[1]} (`{path}`)"

    return _OUTWARD.sub(written, markdown)


def rule_pages() -> dict[str, str]:
    """Give each rule's page by its path, in the order of the rules."""
    from bottega.reviewing.rules import RULES
    from bottega.reviewing.writing_pages import markdown

    return {f"rules/{rule.code}.md": markdown(rule) for rule in RULES}


def rule_list() -> str:
    """List all rules by their step."""
    from bottega.reviewing.rules import RULES

    lines = ["# Rules of review", "", "`bottega review` reads a design by these; `bottega rule CODE` prints a page."]
    for step in dict.fromkeys(rule.step for rule in RULES):
        lines += ["", f"## {step.capitalize()}", "", "| rule | | goes by |", "| --- | --- | --- |"]
        lines += [
            f"| [{rule.code}]({rule.code}.md) | {rule.title} | {'data' if rule.needs_data else 'the design'} |"
            for rule in RULES
            if rule.step == step
        ]
    return "\n".join([*lines, ""])


def decisions() -> list[str]:
    """Give the decisions in their order."""
    return [f"decisions/{path.name}" for path in sorted((HERE / "decisions").glob("*.md"))]


def _filled(entry: Any, places: dict[str, list[str]]) -> Any:
    if not isinstance(entry, dict):
        return entry
    ((title, what),) = entry.items()
    return {title: places.get(what, what) if isinstance(what, str) else [_filled(each, places) for each in what]}
