"""Dots, bars and planes as Altair charts: one function for each kind of picture, which `plots` puts to use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bottega.reporting.blocks import Axis, Bars, Dots, Plane, Series
from bottega.reporting.drawing.widths import shortened, width
from bottega.reporting.figures import span, ticks
from bottega.reporting.planes import decades

SQUARE = 250
"""Pixels of a square plot."""
SIZE = 12
"""Of letters, in pixels."""
_HIGH = 170
_ROW, _LABEL, _PAD = 26, 150, 8  # of a row its height, and the room for its name and beside it
_BROAD = 0.8  # of the distance between columns


def dots(block: Dots) -> Any:
    """Chart values with whiskers, a row each, above one axis; the champion differs by its shape."""
    import altair as alt

    rows = [
        {
            "row": place,
            "label": dot.label,
            "value": dot.value,
            "low": dot.low,
            "high": dot.high,
            "told": dot.told,
            "kind": dot.kind,
        }
        for place, dot in enumerate(block.dots)
    ]
    suffix = {"milliseconds": " + ' ms'"}.get(block.scale, "")
    sign = "(datum.value > 0 ? '+' : '') + " if block.scale == "difference" else ""
    low, high, marks = span(block)
    axis = alt.Axis(labelExpr=f"{sign}datum.label{suffix}", values=marks, title=None, labelFlush=False)
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    base = alt.Chart(alt.InlineData(values=rows), height=alt.Step(_ROW)).encode(
        y=_rows([row["label"] for row in rows]),
        tooltip=[alt.Tooltip("label:N", title="of"), alt.Tooltip("told:N", title="value")],
    )
    champion = alt.datum.kind == "champion"
    across = alt.X("value:Q", scale=scale, axis=axis)
    whiskers = base.mark_rule(strokeWidth=2, color=ink("soft")).encode(
        x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q"
    )
    points = base.mark_point(size=90, filled=True, strokeWidth=2, opacity=1).encode(
        x=across,
        shape=alt.condition(champion, alt.value("diamond"), alt.value("circle")),
        fill=alt.condition(champion, alt.value(ink("mark")), alt.value(ink("paper"))),
        stroke=alt.condition(champion, alt.value(ink("mark")), alt.value(ink("soft"))),
    )
    layers = [whiskers, points]
    if block.reference is not None:
        at = alt.InlineData(values=[{"value": block.reference[0], "name": block.reference[1]}])
        line = alt.Chart(at).mark_rule(color=ink("reference"), strokeDash=[4, 3], strokeWidth=1.5)
        layers.insert(0, line.encode(x=across, tooltip=alt.Tooltip("name:N", title="line")))
    return alt.layer(*layers)


def bars(block: Bars) -> Any:
    """Chart shares of one whole, what was lost before as an outline."""
    import altair as alt

    rows = [
        {"row": place, "label": bar.label, "share": bar.share, "inner": bar.inner, "until": bar.until, "told": bar.told}
        for place, bar in enumerate(block.bars)
    ]
    axis = alt.Axis(format="%", title=None, values=[0, 0.25, 0.5, 0.75, 1])
    whole = alt.Scale(domain=[0, 1])
    base = alt.Chart(alt.InlineData(values=rows), height=alt.Step(_ROW)).encode(
        y=_rows([row["label"] for row in rows]),
        tooltip=[alt.Tooltip("label:N", title="of"), alt.Tooltip("told:N", title=block.name)],
    )
    layers = [base.mark_bar(color=ink("bar"), size=15).encode(x=alt.X("share:Q", scale=whole, axis=axis))]
    if any(bar.until is not None and bar.until > bar.share for bar in block.bars):
        lost = base.mark_bar(fillOpacity=0, stroke=ink("outline"), strokeDash=[3, 2], size=15)
        kept = lost.transform_filter("datum.until > datum.share")
        layers.insert(0, kept.encode(x=alt.X("share:Q", scale=whole, axis=axis), x2="until:Q"))
    if any(bar.inner is not None for bar in block.bars):
        layers.append(base.mark_bar(color=ink("mark"), size=15).encode(x=alt.X("inner:Q", scale=whole, axis=axis)))
    return alt.layer(*layers)


def plane(block: Plane) -> Any:
    """Chart series of points over two axes, and the line that they are held against."""
    import altair as alt

    layers = []
    if block.reference is not None:
        (x1, y1), (x2, y2), name = block.reference
        ends = [{"x": x1, "y": y1, "name": name}, {"x": x2, "y": y2, "name": name}]
        line = alt.Chart(alt.InlineData(values=ends)).mark_line(
            color=ink("reference"), strokeDash=[4, 3], strokeWidth=1.5
        )
        places = {"x": _axis(block.across, "x"), "y": _axis(block.up, "y")}
        layers.append(line.encode(**places, tooltip=alt.Tooltip("name:N", title="line")))
    for series in block.series:
        layers += _series(series, block)
    return alt.layer(*layers).properties(height=SQUARE if block.square else _HIGH)


def _series(series: Series, block: Plane) -> list[Any]:
    import altair as alt

    least = [axis.ends[0] if axis.log else None for axis in (block.across, block.up)]

    def at(value: float | None, end: float | None) -> float | None:
        return value if value is None or end is None else max(value, end)

    rows = [
        {
            "x": at(spot.x, least[0]), "y": at(spot.y, least[1]), "low": at(spot.low, least[1]),
            "high": at(spot.high, least[1]), "told": spot.told, "left": spot.x - _BROAD / 2,
            "right": spot.x + _BROAD / 2, "name": series.name,
        }
        for spot in series.spots
    ]  # fmt: skip
    across, up = _axis(block.across, "x"), _axis(block.up, "y")
    tips = [alt.Tooltip("name:N", title="series"), alt.Tooltip("told:N", title="value")]
    base = alt.Chart(alt.InlineData(values=rows)).encode(tooltip=tips)
    if series.kind == "column":
        columns = base.mark_rect(color=ink("bar")).transform_calculate(zero="0")
        return [columns.encode(x=_axis(block.across, "left"), x2="right:Q", y=up, y2="zero:Q")]
    champion = series.kind == "champion"
    colour, fill = (ink("mark"), ink("mark")) if champion else (ink("soft"), ink("paper"))
    found = []
    if series.joined:
        found.append(base.mark_line(color=colour, strokeWidth=2 if champion else 1.25).encode(x=across, y=up))
    if any(spot.low is not None for spot in series.spots):
        low = _axis(block.up, "low")
        found.append(base.mark_rule(color=colour, strokeWidth=1.75).encode(x=across, y=low, y2="high:Q"))
    points = base.mark_point(
        size=80, stroke=colour, strokeWidth=2, opacity=1, fill=fill, shape="diamond" if champion else "circle"
    )
    found.append(points.encode(x=across, y=up))
    return found


def _rows(labels: Sequence[Any]) -> Any:
    """One row each, called by its label: two may be called alike, and a long one is cut here, not inside a sign."""
    import altair as alt

    told = [shortened(str(label), _LABEL, SIZE) for label in labels]
    room = (
        max((width(each, SIZE) for each in told), default=0.0) + _PAD
    )  # the font that draws may not be the one measured
    named = f"{json.dumps(told)}[datum.value]"
    axis = alt.Axis(grid=False, labelColor=ink("ink"), labelExpr=named, labelLimit=0, minExtent=round(room))
    return alt.Y("row:O", title=None, axis=axis)


def _axis(axis: Axis, field: str) -> Any:
    import altair as alt

    scale: dict[str, Any] = {"domain": list(axis.ends), "clamp": True, "nice": False}
    scale |= {"type": "log"} if axis.log else {"zero": False}
    told: dict[str, Any] = {"format": ".3~%"} if axis.scale == "percent" else {}
    told["values"] = list(axis.marks) or (decades(*axis.ends) if axis.log else ticks(*axis.ends))
    kind = alt.X if field in ("x", "left") else alt.Y
    return kind(f"{field}:Q", scale=alt.Scale(**scale), axis=alt.Axis(title=axis.name, **told))


def ink(name: str) -> str:
    """Name a colour of the page."""
    return f"var(--{name})"
