"""Pictures of the page as Altair charts: what answers to the pointer in HTML, and what stands in print."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from bottega.reporting import charts
from bottega.reporting.blocks import Bars, Dots, Plane, Plot

NEEDS = "pip install 'bottega[report]'"
"""What a person types where the parts for this are missing."""
_PRINTED = {
    "ink": "#1d1f21", "soft": "#5b6068", "grid": "#e8e5dd", "mark": "#0060a0", "bar": "#6fa8d6",
    "outline": "#8b9099", "reference": "#a33c00", "paper": "#ffffff",
}  # fmt: skip
_FONT = "Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"
_CLIP = re.compile(r"\bclip\d+")
_WIDE = 440  # pixels of a printed plot


def available() -> bool:
    """Say whether Altair and vl-convert are installed."""
    return find_spec("altair") is not None and find_spec("vl_convert") is not None


def spec(block: Plot) -> dict[str, Any]:
    """Give a picture as a Vega-Lite specification, made and checked by Altair.

    Colours are the names of the page's own, `var(--mark)`, so that the picture follows it into the dark; it is as wide
    as what it stands in. Without `bottega[report]` an `ImportError`; `available` tells it beforehand.
    """
    if isinstance(block, Dots):
        chart = charts.dots(block)
    else:
        chart = charts.bars(block) if isinstance(block, Bars) else charts.plane(block)
    soft = charts.ink("soft")
    axis = {
        "labelColor": soft, "titleColor": soft, "gridColor": charts.ink("grid"), "domain": False, "ticks": False,
        "labelFontSize": charts.SIZE, "titleFontSize": charts.SIZE, "titleFontWeight": "normal", "labelPadding": 6,
    }  # fmt: skip
    chart = chart.properties(width="container", description=block.caption).configure(
        font=_FONT, background="transparent"
    )
    chart = chart if isinstance(block, Bars) else chart.interactive(bind_y=isinstance(block, Plane))
    told: dict[str, Any] = _clean(chart.configure_axis(**axis).configure_view(stroke=None).to_dict())
    return told


def _clean(value: Any) -> Any:
    """Without signs that are not seen: control signs and halves of signs would stop the drawing."""
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, str):
        return "".join(sign if sign.isprintable() else " " for sign in value)
    return value


def printed(block: Plot) -> str:
    """Draw a picture as SVG for paper: black and dark colours on nothing."""
    import vl_convert

    told = spec(block)
    told["width"] = charts.SQUARE if isinstance(block, Plane) and block.square else _WIDE
    text = json.dumps(told)
    for name, colour in _PRINTED.items():
        text = text.replace(f"var(--{name})", colour)
    drawn: str = vl_convert.vegalite_to_svg(text)
    clips = {clip: f"clip{place}" for place, clip in enumerate(dict.fromkeys(_CLIP.findall(drawn)))}
    return _CLIP.sub(lambda found: clips[found[0]], drawn)  # Vega counts them on and on


@lru_cache(maxsize=1)
def bundle() -> str:
    """Give Vega-Lite with all that it needs, and what brings the page's plots to life, as one script."""
    from importlib.resources import files

    import vl_convert

    alive = files("bottega.reporting").joinpath("plots.js").read_text("utf-8")
    script: str = vl_convert.javascript_bundle(alive)
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
