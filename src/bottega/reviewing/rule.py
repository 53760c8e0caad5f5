"""A rule: a code, how grave it is, and one small function whose docstring is its page."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bottega.design.design import Design
from bottega.reviewing.finding import Claim, Severity
from bottega.reviewing.seen import Seen
from bottega.reviewing.subjects import About, every

Run = Callable[[Design, Seen | None], Iterator[Claim]]

STEPS = ("scope", "data", "features", "models", "evaluation", "serving", "monitoring")
"""The seven steps in their order: the first digit of a code says which one it is about."""


@dataclass(frozen=True)
class Rule:
    """One thing that may be wrong with a design.

    code: `R`, the step's digit, and two more. severity: of its findings, where they say no other. run: looks at a
    design and, where data were looked at, at what was seen in them. needs_data: without those it has nothing to say.
    sometimes: the other severity, where some of its findings have that; its page says which. about: of which designs it
    speaks; of others it is not said that it held.
    """

    code: str
    severity: Severity
    run: Run
    needs_data: bool = False
    sometimes: Severity | None = None
    about: About = every

    @property
    def step(self) -> str:
        """Give the step of the design that it is about; of the review itself `review`."""
        number = int(self.code[1])
        return STEPS[number - 1] if number <= len(STEPS) else "review"

    @property
    def name(self) -> str:
        """Give a name for programs: `random-split`."""
        return str(getattr(self.run, "__name__", "")).replace("_", "-")

    @property
    def page(self) -> str:
        """Give its page in Markdown: what, why, an example, the fix, and the source."""
        return inspect.getdoc(self.run) or ""

    @property
    def title(self) -> str:
        """Give the first line of its page."""
        return self.page.partition("\n")[0]


def rule(
    code: str,
    severity: Severity,
    needs_data: bool = False,
    sometimes: Severity | None = None,
    about: About = every,
) -> Callable[[Run], Rule]:
    """Make a rule of a function.

    >>> @rule("R199", "warn")
    ... def nameless(design, seen):
    ...     '''The design has no name.'''
    ...     yield from ()
    >>> nameless.code, nameless.step, nameless.title
    ('R199', 'scope', 'The design has no name.')
    """
    return lambda run: Rule(code, severity, run, needs_data, sometimes, about)
