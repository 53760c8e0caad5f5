"""All rules, in the order of the seven steps, and how one is found by its code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bottega.design.design import Design
from bottega.errors import DesignError, nearest
from bottega.reviewing import (
    rules_columns,
    rules_evaluation,
    rules_experiment,
    rules_features,
    rules_labels,
    rules_models,
    rules_monitoring,
    rules_path,
    rules_scope,
    rules_serving,
    rules_splits,
    rules_tables,
)
from bottega.reviewing.finding import Claim
from bottega.reviewing.rule import Rule, rule
from bottega.reviewing.seen import Seen
from bottega.reviewing.subjects import having


@rule("R901", "warn", about=having(lambda design: design.silenced))
def silenced_nothing(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A code is silenced that does not exist, or without a reason.

    Why. A finding that is meant to be so is part of the design, with its reason, and the report repeats it. A code that
    was misspelt silences nothing, and a reason that is missing helps nobody in a year.

    Example.

        bt.Design(…, silenced={"R210": "", "random": "it is a benchmark"})

    Fix. `silenced={"R201": "a public benchmark, whose split is random"}`

    Source. Ruff's rule RUF100 (unused `noqa`) holds comments that silence to the same,
    https://docs.astral.sh/ruff/rules/unused-noqa/
    """
    codes = [one.code for one in RULES]
    for code, reason in design.silenced.items():
        if code not in codes:
            yield Claim(
                "silenced",
                f"{code!r} is silenced, and no rule has that code.",
                "It silences nothing.",
                _near(code, codes) or "bottega rule lists the codes",
            )
        elif not reason.strip():
            yield Claim(
                "silenced",
                f"{code} is silenced without a reason.",
                "Whoever reads the design later cannot tell whether it still holds.",
                f'silenced={{"{code}": "why it is meant so"}}',
            )


@rule("R902", "stop")
def refused_by_a_run(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A run would refuse the design before it begins.

    Why. Every name that a design uses in one place must be given in another: the columns of features, slices and
    conditions, the metrics, the rungs. A run checks that first, and says the first thing that it finds.

    Example.

        bt.Evaluation(primary="ndcg@10", slices=["contry"])

    Fix. The nearest name is in the finding.

    Source. The check is `bottega.runs.steps.naming.check_names`; columns of tables are held against data by a run.
    """
    from bottega.evaluation.estimating import check  # slow to load, as the next one is
    from bottega.runs.steps.naming import check_names

    try:
        check(design.evaluation)
        check_names(design)
    except DesignError as error:
        allowed = f"Allowed is {error.allowed}." if error.allowed else "Nothing is built."
        found = f"{error.found} may not stand here" if _NAME.fullmatch(str(error.found)) else str(error.found)
        yield Claim(error.where, f"{found}.", f"`bottega run` stops here. {allowed}", error.fix or "another name")


_NAME = re.compile(r"'[^']*'")  # alone: nothing says yet what is wrong with it

_ALL = (
    *rules_scope.RULES, *rules_splits.RULES, *rules_labels.RULES, *rules_tables.RULES, *rules_features.RULES,
    *rules_columns.RULES, *rules_models.RULES, *rules_evaluation.RULES, *rules_experiment.RULES, *rules_serving.RULES,
    *rules_path.RULES, *rules_monitoring.RULES, silenced_nothing, refused_by_a_run,
)  # fmt: skip

RULES: tuple[Rule, ...] = tuple(sorted(_ALL, key=lambda one: one.code))
"""Each has a code of its own."""


def find_rule(code: str) -> Rule:
    """Give a rule by its code, in capitals or not, or by its name; `DesignError` with the nearest where there is none.

    >>> find_rule("r201").name
    'random-split'
    """
    wanted = code.strip()
    for one in RULES:
        if wanted.upper() == one.code or wanted.lower() == one.name:
            return one
    known = [*(one.code for one in RULES), *(one.name for one in RULES)]
    raise DesignError("rule", repr(code)[:100], "a code that bottega rule lists", _near(wanted, known))


def _near(code: str, known: Sequence[str]) -> str:
    """Guess the code; the letter O stands for a zero more often than not."""
    return nearest(code.upper().replace("O", "0"), known) or nearest(code, known)
