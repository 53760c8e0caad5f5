"""`bottega rule`: the page of a rule, or the list of all."""

from __future__ import annotations

from bottega.reviewing.rule import Rule
from bottega.reviewing.rules import RULES, find_rule


def rule(code: str | None = None) -> list[Rule]:
    """Give a rule by its code or its name; nothing: all of them, in the order of the seven steps.

    Errors: `DesignError` with the nearest code where there is none such.

    >>> rule("R201")[0].title
    'The split is random, and the table has event times.'
    >>> len(rule()) > 50
    True
    """
    return list(RULES) if code is None else [find_rule(code)]
