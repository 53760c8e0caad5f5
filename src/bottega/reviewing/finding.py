"""What a rule found: where, what stands there, what it costs, and what to type instead."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["stop", "warn"]
"""`stop`: the run fails, or its numbers would be wrong. `warn`: it runs, and something will be missed later."""


class Claim(msgspec.Struct, frozen=True):
    """What a rule says of one place of a design; the reviewer adds the code, the file and the line."""

    place: str
    """The path in the design, as errors write it: `data.split`, `features[3].over`."""
    found: str
    """One sentence: what stands there."""
    costs: str
    """What it does to the person; with a number where data were looked at."""
    fix: str
    """What to type."""
    severity: Severity | None = None
    """Where it is another than the rule's own."""


class Finding(msgspec.Struct, frozen=True):
    """A claim with its rule, and with the line in the person's design where it is made."""

    code: str
    title: str
    severity: Severity
    place: str
    found: str
    costs: str
    fix: str
    file: str = ""
    """The design's file; nothing: it was made in memory."""
    line: int = 0
    """From 1; 0: not known."""
    column: int = 0
    """From 1; 0: not known."""
    silenced: str | None = None
    """The reason that the design gives for leaving it so."""
