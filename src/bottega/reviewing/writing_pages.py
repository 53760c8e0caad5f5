"""The page of a rule, and the list of all, as text and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from bottega.reviewing.rule import STEPS, Rule
from bottega.reviewing.writing_text import fill

_SAYS = {"stop": "stops", "warn": "warns"}


def markdown(rule: Rule) -> str:
    """Write a rule's page as Markdown: its title as a heading, then why, an example, the fix, and the source."""
    told = f"*{_told(rule)}*"
    body = rule.page.partition("\n")[2].strip()
    for word in ("Why", "Example", "Fix", "Source"):
        body = body.replace(f"\n\n{word}. ", f"\n\n**{word}.** ").replace(f"\n\n{word}.\n", f"\n\n**{word}.**\n")
    body = body.replace("Why. ", "**Why.** ", 1) if body.startswith("Why. ") else body
    return f"# {rule.code} {rule.title}\n\n{told}\n\n{body}\n"


def page(rule: Rule, width: int = 118) -> str:
    """Write a rule's page as text; its words wrap at `width`, and code stays as it is."""
    lines = [*fill(rule.title, width, f"{rule.code}  ", " " * 6), *fill(_told(rule), width, " " * 6, " " * 6), ""]
    for block in rule.page.partition("\n")[2].strip().split("\n\n"):
        words: list[str] = []
        for line in [*block.splitlines(), " "]:
            if not line.startswith(" "):
                words.append(line)
                continue
            lines += fill(" ".join(words), width) if words else []
            lines += [line] if line.strip() else []
            words = []
        lines.append("")
    return "\n".join(lines[:-1])


def listing(rules: Sequence[Rule], width: int = 80) -> str:
    """List rules by their step, one a line or more; `*` marks those that go by data."""
    lines: list[str] = []
    for step in (*STEPS, "review"):
        of_step = [rule for rule in rules if rule.step == step]
        if of_step:
            lines.append(step)
        for rule in of_step:
            head = f"  {rule.code}{'*' if rule.needs_data else ' '} {_SAYS[rule.severity]}  "
            lines += fill(rule.title, width, head, " " * len(head))
    return "\n".join([*lines, "", "* goes by data", "next   bottega rule R201"])


def _told(rule: Rule) -> str:
    """Say a rule's step, what its findings do, and what it goes by."""
    does = " or ".join(_SAYS[one] for one in (rule.severity, rule.sometimes) if one is not None)
    return f"{rule.step}, {does}{', goes by data' if rule.needs_data else ''}"
