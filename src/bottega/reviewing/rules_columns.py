"""Rules on step 3, features, that look at the tables: histories too short, codes that collide, columns that know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bottega.design.data import TimeSplit
from bottega.design.design import Design
from bottega.design.examples import Logged
from bottega.design.features import Categories, Cross, Lookup, Window
from bottega.design.part import microseconds
from bottega.errors import several
from bottega.features.spans import spans
from bottega.reviewing.finding import Claim
from bottega.reviewing.log_parts import parts_of
from bottega.reviewing.looking import DAY, about, columns_read, examples_table, percent, spelled
from bottega.reviewing.rule import rule
from bottega.reviewing.seen import TELLS, ColumnSeen, Seen
from bottega.reviewing.subjects import both, having_seen, of

_MANY, _FEW_ROWS = 1_000, 50
_COLLIDED = 0.5  # share of the rows
_NULL = 0.99
_SOME = 100  # rows from which equal values mean something


@rule("R311", "warn", needs_data=True, about=of(Window))
def longer_than_history(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """A window looks further back than its table reaches.

    Why. On a log of two weeks a window of 90 days is the same as `all`: it grows from the first day to the last, so
    that training sees small values, the test larger ones, and serving the largest.

    Example.

        bt.Window("orders", by="customer", over=["365d"], values={"n": "count(*)"})      # of a log of 60 d

    Fix. Windows no longer than the history before the test, or a rate instead of a count.

    Source. E. Breck et al., The ML Test Score: A Rubric for ML Production Readiness and Technical Debt Reduction, IEEE
    Big Data 2017, test Monitor 2 (data invariants hold in training and serving inputs).
    """
    parts = parts_of(design, seen) if seen is not None else None
    if parts is not None and parts.learnt <= 0:
        return  # R219 says that the split does not fit the log: how far a window may look hangs on the one that does
    for place, feature in enumerate(design.features):
        found = seen.tables.get(feature.table) if seen is not None and isinstance(feature, Window) else None
        if not isinstance(feature, Window) or found is None or found.begin is None or found.end is None:
            continue
        split, reach = design.data.split, found.end - found.begin
        if isinstance(split, TimeSplit) and split.test[4:5] != "-" and split.at_most is None:
            reach -= microseconds(split.test)
        if longer := [span for span in feature.over if span != "all" and microseconds(span) > reach]:
            yield Claim(
                f"features[{place}].over",
                f"a window of {longer[0]} over {feature.table!r}, which reaches {about(max(reach, 0))} back when the "
                "test begins.",
                "It is never full: its values grow with the log, and those of serving lie beyond all that was learnt.",
                _within_reach(feature.over, longer, reach),
            )


@rule("R312", "warn", needs_data=True, about=of(Lookup, Categories))
def too_many_values(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """A category of very many values has a code for each, and no hashing.

    Why. A look-up of a text gives each of its values a code of its own. With nearly as many values as rows a model
    learns names by heart, needs memory for each, and knows nothing of those that come later.

    Example.

        bt.Lookup("products", by="product", columns=["description"])

    Fix. `bt.Categories(["product"], own_from=10, hashed=1024)` shares codes among rare values; of texts, the words.

    Source. K. Weinberger et al., Feature Hashing for Large Scale Multitask Learning, ICML 2009.
    """
    examples = seen.tables.get(examples_table(design).name) if seen is not None else None
    if seen is None or examples is None:
        return
    for place, feature in enumerate(design.features):
        if isinstance(feature, Lookup):
            columns = seen.tables[feature.table].columns if feature.table in seen.tables else {}
        elif isinstance(feature, Categories) and feature.own_from == 1:
            columns = examples.columns
        else:
            continue
        for name in feature.columns:
            found = columns.get(name)
            if found is not None and found.distinct and _is_named(found, examples.rows):
                yield Claim(
                    f"features[{place}].columns",
                    f"{name!r} has {found.distinct:,} values, each with a code of its own.",
                    f"There are {examples.rows / found.distinct:.1f} examples for a value: models learn them by heart.",
                    f'bt.Categories(["{name}"], own_from=10, hashed=1024), or leave it out',
                )


@rule("R313", "warn", needs_data=True, about=both(of(Cross, Categories), having_seen(lambda seen: seen.coded)))
def colliding_codes(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """Hashed codes collide too often.

    Why. Of n values in H codes one meets another with probability 1 − e^(−n/H). Values that share a code share a
    weight: a few such cost nothing, half of the rows cost most of what the feature tells. The rule counts the rows.

    Example.

        bt.Cross("user", "item", buckets=1024)           # of 200,000 pairs

    Fix. More codes than values that stand in more than one row: `buckets=2**20`.

    Source. K. Weinberger et al., Feature Hashing for Large Scale Multitask Learning, ICML 2009.
    """
    for place, feature in enumerate(design.features):
        found = seen.coded.get(f"features[{place}]") if seen is not None else None
        if found is None or found.rows <= _COLLIDED or not isinstance(feature, (Cross, Categories)):
            continue
        codes = feature.buckets if isinstance(feature, Cross) else feature.hashed
        needed = max(2, 1 << (4 * found.values - 1).bit_length())
        field = "buckets" if isinstance(feature, Cross) else "hashed"
        yield Claim(
            f"features[{place}]",
            f"{several(found.values, 'value')} of {found.column!r} share {several(codes, 'code')}.",
            f"{percent(found.rows)} of the rows have a value that shares its code with another one (counted).",
            f"{field}={needed:,}".replace(",", "_"),
        )


@rule("R314", "stop", needs_data=True, about=both(of(Logged), having_seen(lambda seen: seen.alone)))
def tells_by_itself(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """One column alone tells the label.

    Why. What orders the rows almost perfectly by itself is seldom knowledge and mostly the label in another form: an
    amount that was refunded, a status that is set afterwards, a rate over the whole log. A static table has no time, so
    that nothing keeps it from knowing the future.

    Example.

        bt.Table("ads", key="ad_id")                     # with a column final_ctr
        bt.Lookup("ads", by="ad_id", columns=["final_ctr"])

    Fix. Leave the column out, or give its table the time at which each value was known.

    Source. S. Rosset, C. Perlich et al., Medical data mining: insights from winning two competitions, Data Mining and
    Knowledge Discovery 20, 2010; S. Kaufman et al., Leakage in Data Mining, ACM TKDD 6(4), 2012.
    """
    for column, tells in (seen.alone if seen is not None else {}).items():
        if tells >= TELLS:
            yield Claim(
                _reader(design, column),
                f"{column!r} alone tells {design.data.labels[0].name!r}.",
                f"Its ROC-AUC by itself is {tells:.3f} (measured): it was most likely written down afterwards.",
                f"leave {column!r} out, or name the time at which it was known",
            )


@rule("R315", "warn", needs_data=True, about=of(Lookup, Categories))
def says_nothing(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """A feature reads a column that is empty, or that has one value.

    Why. It costs a read for every answer and tells nothing. Mostly it is a slip: a join that found nothing, a column
    that another one replaced, a part of the log from before it was filled.

    Example.

        bt.Lookup("users", by="user", columns=["segment"])           # null in 99.8 % of the rows

    Fix. Leave it out, or mend the source.

    Source. M. Zinkevich, Rules of Machine Learning, rule 22 (clean up features you are no longer using),
    https://developers.google.com/machine-learning/guides/rules-of-ml
    """
    if seen is None:
        return
    for place, feature in enumerate(design.features):
        if not isinstance(feature, (Lookup, Categories)):
            continue
        table = feature.table if isinstance(feature, Lookup) else examples_table(design).name
        columns = seen.tables[table].columns if table in seen.tables else {}
        empty = [name for name in feature.columns if name in columns and columns[name].nulls > _NULL]
        rows = seen.tables[table].rows if table in seen.tables else 0
        same = [name for name in feature.columns if rows >= _SOME and name in columns and columns[name].distinct == 1]
        for name in dict.fromkeys([*empty, *same]):
            nulls = columns[name].nulls
            yield Claim(
                f"features[{place}].columns",
                f"{name!r} of {table!r} is {'null' if name in empty else 'the same'} in nearly every row.",
                f"{percent(nulls)} of its rows are null" + (", and all others are equal." if name in same else "."),
                f"leave {name!r} out, or mend the source",
            )


def _spaced(seen: Seen) -> bool:
    return any(table.spacing is not None for table in seen.tables.values())


@rule("R316", "warn", needs_data=True, about=both(of(Logged), of(Window), having_seen(_spaced)))
def between_the_rows(design: Design, seen: Seen | None) -> Iterator[Claim]:
    """A window is shorter than the time from one row of its table to the next.

    Why. Where a table has a row of everybody each month, a window of seven days before one of them holds nothing: its
    counts are 0 and its means null, in every row. The rule goes by the times that the table has, nine of ten, and by
    when rows are there and labels final; it speaks of windows over the examples' own table.

    Example.

        bt.Table("accounts", time="month")                    # the first of each month
        bt.Window("accounts", by="customer", over=["7d"], values={"calls": "sum(calls)"})

    Fix. Windows of whole steps, `over=["31d", "92d"]`, or `all`.

    Source. M. Zinkevich, Rules of Machine Learning, rule 22 (clean up features you are no longer using),
    https://developers.google.com/machine-learning/guides/rules-of-ml
    """
    table = examples_table(design)
    found = seen.tables.get(table.name) if seen is not None else None
    if found is None or found.spacing is None:
        return
    apart, late = found.spacing, microseconds(table.available_after)
    final = {label.name: microseconds(label.matures_after) for label in design.data.labels}
    for place, feature in enumerate(design.features):
        if not isinstance(feature, Window) or feature.table != table.name:
            continue
        # a label counts at the time at which it is final, another row at that of its event once it is there
        known = max((final[name] for name in columns_read(feature) & final.keys()), default=None)
        least, most = (max(1, -(-late // one)) * one if known is None else one - known % one for one in apart)
        short = [one.text for one in spans(feature) if one.length and late < one.length <= least - one.hop]
        if short:
            yield Claim(
                f"features[{place}].over",
                f"a window of {short[0]} over {table.name!r}, whose times lie {about(apart[0])} apart.",
                "No row lies in it: the feature is the same for everybody, in training and in serving.",
                _of_steps(feature.over, short, max(most, apart[1])),  # for what reads no label too
            )


def _within_reach(over: Sequence[str], longer: Sequence[str], reach: int) -> str:
    """Write windows without those that are too long; one of half the reach stands for them.

    >>> _within_reach(["7d", "90d", "all"], ["90d"], 21 * DAY), _within_reach(["1d"], ["1d"], DAY // 2)
    ('over=["7d", "10d", "all"]', 'leave it out, or a longer log')
    """
    half = [f"{max(1, reach // (2 * DAY))}d"] if reach >= DAY else []
    kept: list[str] = []
    for span in over:
        kept += half if span in longer else [span]
    told = ", ".join(f'"{span}"' for span in dict.fromkeys(kept))
    return f"over=[{told}]" if kept else "leave it out, or a longer log"


def _of_steps(over: Sequence[str], short: Sequence[str], least: int) -> str:
    """Write windows with one that holds a row instead of those that are too short.

    >>> _of_steps(["7d", "all"], ["7d"], 31 * DAY), _of_steps(["1h", "7d"], ["1h"], DAY)
    ('over=["31d", "all"]', 'over=["1d", "7d"]')
    """
    span = spelled(-(-least // DAY) * DAY)
    told = ", ".join(f'"{span if one in short else one}"' for one in over)
    return f"over=[{', '.join(dict.fromkeys(told.split(', ')))}]"


def _is_named(column: ColumnSeen, rows: int) -> bool:
    values = column.distinct or 0
    return column.kind == "text" and values > _MANY and rows < _FEW_ROWS * values


def _reader(design: Design, column: str) -> str:
    """Give the feature that reads a column, or where the request names it."""
    for place, feature in enumerate(design.features):
        if column in getattr(feature, "columns", ()):
            return f"features[{place}].columns"
    return "data.examples.request" if column in getattr(design.data.examples, "request", ()) else "features"


RULES = (longer_than_history, too_many_values, colliding_codes, tells_by_itself, says_nothing, between_the_rows)
