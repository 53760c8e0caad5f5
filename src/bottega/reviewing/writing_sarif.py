"""A review as SARIF 2.1.0, which editors and code hosts show beside the lines."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bottega.reviewing.finding import Finding
from bottega.reviewing.judging import Review
from bottega.reviewing.rule import Rule
from bottega.reviewing.rules import RULES
from bottega.reviewing.writing_text import label, shown

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"stop": "error", "warn": "warning"}


def sarif(review: Review) -> dict[str, Any]:
    """Write a review as one run of a tool: its rules with their pages, and a result for each finding.

    Findings that are silenced are results with a suppression and its reason. Columns count characters.
    """
    places = {rule.code: place for place, rule in enumerate(RULES)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "bottega review",
                        "version": version("bottega"),
                        "rules": [_rule(rule) for rule in RULES],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, places[finding.code]) for finding in review.findings],
            }
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.page.split("\n\n")[1].replace("\n", " ")},
        "help": {"text": rule.page, "markdown": rule.page},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": [rule.step, *(["data"] if rule.needs_data else [])]},
    }


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.found} {finding.costs} {label(finding.fix)}: {finding.fix}"},
        "locations": [_location(finding)],
        "partialFingerprints": {"place/v1": hashlib.sha256(f"{finding.code} {finding.place}".encode()).hexdigest()},
    }
    if finding.silenced is not None:
        result["suppressions"] = [{"kind": "inSource", "justification": finding.silenced}]
    return result


def _location(finding: Finding) -> dict[str, Any]:
    location: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": finding.place, "kind": "member"}]}
    if finding.file:
        path = Path(shown(finding.file))
        uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
        region = {"startLine": max(finding.line, 1), "startColumn": max(finding.column, 1)}
        location["physicalLocation"] = {"artifactLocation": {"uri": uri}, "region": region}
    return location
