"""Rules on step 2, data: what tables say of their rows and columns, and what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator

from bottega.design.data import GroupSplit
from bottega.design.design import Design
from bottega.design.examples import FromPositives, Logged
from bottega.design.features import Lookup
from bottega.design.part import microseconds
from bottega.errors import nearest
from bottega.features.entities import by_columns
from bottega.reviewing.finding import Claim
from bottega.reviewing.looking import about, listed, percent, table_place
from bottega.reviewing.rule import rule
from bottega.reviewing.seen import Seen
from bottega.reviewing.subjects import having

_LINE = 8  # columns that a fix lists
_REPEATED = 0.02  # share of the rows; a few equal ones are ordinary, as when a product is scanned twice
PERSONAL = re.compile(
    r"(^|_)(e_?mail|phone|mobile|first_?name|last_?name|full_?name|surname|birth_?(day|date)|date_of_birth|dob|ssn|"
    r"passport|iban|card_number|ip|ip_address|street|address|latitude|longitude)($|_)",
    re.IGNORECASE,
)


def _events(design: Design) -> bool:
    return any(table.time is not None for table in design.data.tables)


@rule("R207", "warn", about=having(lambda design: any(table.personal for table in design.data.tables)))
def personal_without_ground(design: Design, _: Seen | None) -> Iterator[Claim]:
    """A table holds personal columns, and no licence or ground for using them.

    Why. Data on people may be used for a purpose and on a ground, such as consent or a contract. Whoever reads the
    design later, or joins another table to it, has to be told; so does the one who is asked to delete somebody.

    Example.

        bt.Table("customers", key="customer_id", personal=["email", "birthday"])

    Fix. `licence="contract of sale; deleted two years after the last order"`

    Source. Regulation (EU) 2016/679 (GDPR), articles 5 and 6; T. Gebru et al., Datasheets for Datasets, Communications
    of the ACM 64(12), 2021.
    """
    for place, table in enumerate(design.data.tables):
        if table.personal and not table.licence.strip():
            yield Claim(
                f"data.tables[{place}]",
                f"{table.name!r} has personal columns ({', '.join(table.personal)}), and no licence.",
                "Nobody can tell on which ground they are used, for what, and how long they are kept.",
                'licence="on which ground, for what, and how long"',
            )


@rule("R214", "warn", needs_data=True, about=having(_events))
def repeated_events(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """Events repeat, and no column tells them apart.

    Why. Streams deliver at least once, and exports are joined twice. Without an id of the event equal rows all stay:
    counts are too high, and a pair of equal rows may lie on both sides of a split.

    Example.

        bt.Table("orders", time="at")            # and the export has some rows twice

    Fix. `event_id="order_line_id"`; where the source has none, `checks=[bt.Unique([…])]`.

    Source. Apache Kafka documentation, Message Delivery Semantics, https://kafka.apache.org/documentation/#semantics
    """
    for table in design.data.tables:
        found = seen.tables.get(table.name) if seen is not None else None
        if found is not None and found.repeated > _REPEATED * found.rows:
            yield Claim(
                table_place(design, table.name),
                f"{table.name!r} names no event_id, and rows repeat.",
                f"{found.repeated:,} of {found.rows:,} rows ({percent(found.repeated / found.rows)}) equal an earlier "
                "one in every column: each counts again in every window.",
                f"{_told_apart(found.columns)}event_id, where a column tells events apart",
            )


@rule("R215", "stop", needs_data=True, about=having(_events))
def known_later(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """Rows become known after their event, and the design counts them from the event.

    Why. A row that is written two hours after its event cannot be read one hour after it. A batch that counts it from
    the event makes features that serving will not have: windows read what is not available yet.

    Example.

        bt.Table("payments", time="paid_at")      # and a column ingested_at lies 2 h later

    Fix. `created="ingested_at"`, or where nothing tells, `available_after="2h"`.

    Source. S. Kaufman et al., Leakage in Data Mining: Formulation, Detection, and Avoidance, ACM Transactions on
    Knowledge Discovery from Data 6(4), 2012 (nothing may be learnt from that was not known at the time).
    """
    for table in design.data.tables:
        found = seen.tables.get(table.name) if seen is not None else None
        if found is None or table.created is not None:
            continue
        named = {label.observed_at for label in design.data.labels}
        for column, delay in found.later.items():
            if column not in named and delay.median > microseconds(table.available_after):
                yield Claim(
                    table_place(design, table.name),
                    f"{table.name!r} has {column!r}, which lies after the event, and counts rows from the event.",
                    f"Half of its rows are known {about(delay.median)} after their event or later, one of ten after "
                    f"{about(delay.most)}: features read what serving will not have yet.",
                    f'created="{column}", or another name for it, by columns, if it says something else',
                )


@rule("R216", "warn", needs_data=True)
def unmarked_personal(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """A column looks personal, and is not marked.

    Why. What is not marked is copied into builds, logs and reports, and nobody asks whether it may. The rule goes by
    the names of columns alone, so it may be wrong: then say so by `silenced`.

    Example.

        bt.Table("customers", "customers.parquet", key="customer_id")       # with a column email

    Fix. `personal=["email"]` and `licence="…"`; best, leave the column out of the source.

    Source. Regulation (EU) 2016/679 (GDPR), article 4 (1) and article 25.
    """
    for table in design.data.tables:
        found = seen.tables.get(table.name) if seen is not None else None
        names = [name for name in found.columns if PERSONAL.search(name)] if found is not None else []
        missed = [name for name in names if name not in table.personal]
        if missed:
            yield Claim(
                table_place(design, table.name),
                f"{table.name!r} has {listed([repr(name) for name in missed])}, and does not mark "
                f"{'it' if len(missed) == 1 else 'them'} as personal.",
                "It is read, kept in the workspace, and nothing says on which ground.",
                f"personal={json.dumps(missed, ensure_ascii=False)} with a licence, or leave it out of the source",
            )


@rule("R218", "stop", needs_data=True)
def no_such_column(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """A column that the design names is not in its table.

    Why. A run reads the tables first and stops at the first name that is not there. This says all of them at once.

    Example.

        bt.Lookup("ads", by="ad", columns=["advertizer"])          # the table has advertiser

    Fix. The nearest name is in the finding; `columns={"ours": "theirs"}` of a table gives it another one.

    Source. E. Breck et al., Data Validation for Machine Learning, MLSys 2019.
    """
    for place, table, name in _asked(design):
        found = seen.tables.get(table) if seen is not None else None
        if found is not None and name not in found.columns:
            guess = nearest(name, found.columns)
            yield Claim(
                place,
                f"{table!r} has no column {name!r}.",
                f"`bottega run` stops here. It has {listed(list(found.columns), most=6)}.",
                guess or f'columns={{"{name}": "its name there"}} of the table',
            )


def _told_apart(columns: Collection[str]) -> str:
    """Write the check that keeps one of equal rows, where a line holds all columns."""
    return f"checks=[bt.Unique({json.dumps([*columns], ensure_ascii=False)})], or " if len(columns) <= _LINE else ""


def _asked(design: Design) -> Iterator[tuple[str, str, str]]:
    """Give the columns that a design asks of its tables: where it does, the table, and the name."""
    examples, table = design.data.examples, design.data.examples.table
    if isinstance(examples, (Logged, FromPositives)):
        asked = [*((name, "request") for name in examples.request), (examples.candidate, "candidate")]
        yield from ((f"data.examples.{field}", table, name) for name, field in asked if name is not None)
    if isinstance(design.data.split, GroupSplit):
        yield "data.split.by", table, design.data.split.by
    position = design.data.position
    if position is not None and not getattr(position, "optional", False):
        yield "data.position.column", table, position.column
    for place, feature in enumerate(design.features):
        if isinstance(feature, Lookup):
            yield from ((f"features[{place}].columns", feature.table, name) for name in feature.columns)
            yield from ((f"features[{place}].by", feature.table, name) for name in by_columns(feature.by))


RULES = (personal_without_ground, repeated_events, known_later, unmarked_personal, no_such_column)
