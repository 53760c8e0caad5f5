"""Step 3, features: windows over events, look-ups, expressions, crosses and pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bottega.design.part import Choice

_NAME = re.compile(r"[A-Za-z_]\w*")


class Window(Choice, frozen=True):
    """Aggregates over the events of an entity before the request's time: half-open, the tail rounded to the hop.

    A feature is named `{by}_{value}_{span}`: `product_orders_7d`, `customer_product_times_all`.
    """

    table: str
    """The table of events; it needs a time."""
    by: str | Sequence[str]
    """The column, or columns together, whose events are gathered; each is a column of the request or the candidate,
    or one of a Lookup that stands before: by `["person", "content_author"]` each event counts for the author that its
    content had then."""
    values: Mapping[str, str]
    """Name and aggregate: `count(*)`, `count(distinct x)`, `sum(x)`, `avg(x)`, `min(x)`, `max(x)`, `last(x)` or
    `decayed_sum(x, '30d')` (a value halves every 30 days); x is a column or an expression over the table's columns."""
    over: Sequence[str] = ("all",)
    """The spans, each `7d` or the like, or `all`; larger looks further back."""
    where: str | None = None
    """Count only the rows that meet this condition in SQL."""
    hop: str | None = None
    """The step to which the tail is rounded down, as a span, or `exact`; nothing: 5 min for spans to 12 h, 1 h to
    12 d, else 1 d. Larger needs less state and is coarser."""
    name: str | None = None
    """What stands in the features' names instead of the columns of `by`."""

    def check(self) -> None:
        if not self.values:
            raise self.refuse("values", "none", "at least one aggregate", 'values={"orders": "count(*)"}')
        for name in [*self.values, *([self.name] if self.name is not None else [])]:
            if not _NAME.fullmatch(name):
                raise self.refuse("values", f"the name {name!r}", "letters, digits and _")
        if not self.by:
            raise self.refuse("by", "no column", "at least one column")
        if not self.over:
            raise self.refuse("over", "no span", "spans such as '7d', or 'all'", 'over=["7d", "all"]')
        self.check_span("over", also="all")
        self.check_span("hop", also="exact")


class Lookup(Choice, frozen=True):
    """Columns of the newest row of an entity that was known at the request's time.

    A feature is named `{by}_{column}`: `product_price`.
    """

    table: str
    """The table; without a time its rows hold for ever, by `key`."""
    by: str | Sequence[str]
    """The column or columns of the request or candidate to look up by; the table has them under the same names."""
    columns: Sequence[str]
    """The columns to fetch; texts become categories, with values not seen in training as one of their own."""
    ttl: str | None = None
    """How old the row may be, as a span; nothing: for ever. Larger uses older values instead of none."""

    def check(self) -> None:
        self.check_span("ttl")
        if not self.columns:
            raise self.refuse("columns", "none", "at least one column")


class Expression(Choice, frozen=True):
    """Features computed from other features, columns of the request, scores of retrievers, and the time.

    A stated subset of SQL: arithmetic, comparison, and/or/not, case, coalesce, nullif, least, greatest, abs, ln,
    log2, sqrt, exp, floor, ceil, extract(year|month|day|dow|doy|hour|minute from t), epoch(t) (seconds since 1970),
    length, lower, cast(x as text). A text is a category to models, which draw no line through it as through a number:
    `cast(extract(hour from request_time) as text)`. `request_time` is the time of the request. Nulls spread; x / 0 is
    null; zones are the table's.
    """

    values: Mapping[str, str]
    """Name and expression: `{"hour": "extract(hour from request_time)"}`."""

    def check(self) -> None:
        for name in self.values:
            if not _NAME.fullmatch(name):
                raise self.refuse("values", f"the name {name!r}", "letters, digits and _")


class Cross(Choice, frozen=True):
    """Two columns as one category, hashed: `{left}_x_{right}`."""

    left: str
    """A column of the request or the candidate, or a category among the features."""
    right: str
    """The other one."""
    buckets: int = 2**18
    """Number of hash values, 2 to 2³⁰; larger collides less and needs more memory."""

    def check(self) -> None:
        self.check_range("buckets", 2, 2**30)


class Categories(Choice, frozen=True):
    """Columns of the request or the candidate as categories, each under its own name.

    A value seen often in training has a code of its own; rarer ones share hashed codes, so that they are not all one,
    and so does a value never seen.
    """

    columns: Sequence[str]
    """The columns: `["user_id", "query", "ad_id"]`."""
    own_from: int = 10
    """Rows of training from which a value has a code of its own, at least 1; larger needs less memory and tells rare
    values less apart."""
    hashed: int = 1024
    """Codes that the rarer values share by their hash, 1 to 2²⁴; larger collides less and learns each from less."""

    def check(self) -> None:
        self.check_range("own_from", 1, 1e12)
        self.check_range("hashed", 1, 2**24)
        if not self.columns:
            raise self.refuse("columns", "none", "at least one column", 'columns=["user_id"]')
        if len(set(self.columns)) < len(self.columns):
            raise self.refuse("columns", f"{self.columns}", "each column once")


class TargetRate(Choice, frozen=True):
    """The smoothed rate of the label among other examples with the same value, and how many they are.

    Leak-proof: where examples have a time, only those count whose label had matured before; where they have none, a
    training example is rated by the folds that it is not in, and all others by the whole training part. Features are
    named `rate_{column}` and `seen_{column}`, of pairs `rate_{left}_{right}`.
    """

    columns: Sequence[str]
    """Columns of the request or the candidate."""
    pairs: bool = False
    """Rate every two of the columns together as well; with many columns this gives many features."""
    prior: float = 20.0
    """Examples of the coarser rate mixed in, 0 or more: of a value the overall rate, of a pair the mean of its two
    values' rates; larger distrusts rare values."""
    folds: int = 5
    """Folds where examples have no time, 2 to 100; larger rates by more examples, and slower."""

    def check(self) -> None:
        self.check_range("prior", 0, 1e12)
        self.check_range("folds", 2, 100)
        if len(self.columns) < (2 if self.pairs else 1):
            raise self.refuse("columns", f"{self.columns}", "two or more for pairs, else one or more")
        if len(set(self.columns)) < len(self.columns):
            raise self.refuse("columns", f"{self.columns}", "each column once")


class Given(Choice, frozen=True):
    """Numbers that stand in the log beside each candidate, and that a request brings with each of its candidates."""

    columns: Sequence[str] = ()
    """The columns; nothing: every column of numbers of the examples' table that nothing else of the design names."""

    def check(self) -> None:
        if wrong := [name for name in self.columns if name == "id" or not name.isidentifier()]:
            raise self.refuse("columns", f"{wrong[0]!r}", "letters, digits and _, and not id")


class Image(Choice, frozen=True):
    """A picture as input of an encoder."""

    column: str
    """The column with the picture's bytes, of the request or of the table of items."""
    size: Sequence[int] = (28, 28)
    """Height and width in pixels to which a picture is scaled; larger is slower and sees more."""
    channels: int = 1
    """1 for grey, 3 for colour."""

    def check(self) -> None:
        self.check_range("channels", 1, 4)
        if len(self.size) != 2 or min(self.size) < 1:
            raise self.refuse("size", f"{self.size}", "height and width, each at least 1")


Feature = Window | Lookup | Expression | Cross | Categories | TargetRate | Given | Image
