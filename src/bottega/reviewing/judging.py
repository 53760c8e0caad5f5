"""A design before all rules: what they find, with the line of each finding, and what the design silences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bottega.design.design import Design
from bottega.reviewing.finding import Claim, Finding
from bottega.reviewing.fixes import in_language
from bottega.reviewing.lines import Lines
from bottega.reviewing.rule import Rule
from bottega.reviewing.rules import RULES, refused_by_a_run
from bottega.reviewing.seen import Seen


class Review(msgspec.Struct, frozen=True):
    """What a review found."""

    design: str
    """The design's name."""
    file: str
    """Its file; nothing: it was made in memory."""
    findings: tuple[Finding, ...]
    """What the rules found, the gravest first, then by line; those that are silenced are among them."""
    held: tuple[str, ...]
    """Codes of the rules that found nothing."""
    inapplicable: tuple[str, ...] = ()
    """Codes of those that had nothing to look at: no such part in the design, or nothing of the kind in its tables."""
    waiting: tuple[str, ...] = ()
    """Codes of the rules that go by data, where none were looked at."""
    why: str = ""
    """Why no data were looked at."""
    printed: str = ""
    """What the design's file printed while it was loaded."""
    seconds: float = 0.0

    @property
    def open(self) -> list[Finding]:
        """Give the findings that are not silenced."""
        return [finding for finding in self.findings if finding.silenced is None]

    @property
    def stopping(self) -> list[Finding]:
        """Give those that would stop a run, or make its numbers wrong."""
        return [finding for finding in self.open if finding.severity == "stop"]


def judge(design: Design, seen: Seen | None = None, file: str = "", lines: Lines | None = None) -> Review:
    """Let all rules look at a design.

    seen: in its tables; nothing: rules that need them wait. file, lines: of the design, for the place of a finding.

    >>> from bottega.systems import find
    >>> judge(find("shop-recommendation")).findings
    ()
    """
    claimed: list[tuple[Rule, Claim]] = []
    held, inapplicable, waiting = [], [], []
    for rule in RULES:
        if not rule.about(design, seen):
            inapplicable.append(rule.code)
            continue
        if rule.needs_data and seen is None:
            waiting.append(rule.code)
            continue
        claims = list(rule.run(design, seen))
        claimed += [(rule, claim) for claim in claims]
        if not claims:
            held.append(rule.code)
    findings = [_finding(rule, claim, design, file, lines) for rule, claim in claimed]
    findings = [finding for finding in findings if not _said_already(finding, findings)]
    findings.sort(key=lambda one: (one.silenced is not None, one.severity != "stop", one.line, one.code))
    return Review(design.name, file, tuple(findings), tuple(held), tuple(inapplicable), tuple(waiting))


def _said_already(finding: Finding, findings: Sequence[Finding]) -> bool:
    """Say whether a run would be refused for what another finding, which knows why, says of the same part."""
    return finding.code == refused_by_a_run.code and any(
        one.code != finding.code and one.severity == "stop" and one.silenced is None and _same(one.place, finding.place)
        for one in findings
    )


def _same(one: str, other: str) -> bool:
    """Say whether two places are one, or one a part of the other.

    >>> _same("features[1]", "features[1].columns"), _same("features[1]", "features[10]"), _same("scope", "data")
    (True, False, False)
    """
    short, long = sorted((one, other), key=len)
    return long == short or (long.startswith(short) and long[len(short)] in ".[")


def _finding(rule: Rule, claim: Claim, design: Design, file: str, lines: Lines | None) -> Finding:
    line, column = lines.spot(claim.place) if lines is not None else (0, 0)
    reason = design.silenced.get(rule.code)
    fix = in_language(claim.fix, Path(file).suffix)
    return Finding(
        rule.code, rule.title, claim.severity or rule.severity, claim.place, claim.found, claim.costs, fix,
        file, line, column, reason if reason is not None and reason.strip() else None,
    )  # fmt: skip
