"""Put what the main job really prints and draws into the README: python tools/readme_output.py --data DIR

It runs the job in a fresh workspace, as a pipe sees it, replaces the block between the two markers, and makes the
pictures in docs/pictures of that run: the flowchart, and two parts of the report as Chromium shows them.
"""

from __future__ import annotations

import argparse
import html as entities
import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bottega.reporting.drawing.plan import plan
from bottega.reporting.drawing.svg import svg
from bottega.reporting.html import html
from bottega.systems.shop_recommendation import design

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PICTURES = ROOT / "docs" / "pictures"
MARKERS = re.compile(r"(<!-- output: begin -->\n).*?(<!-- output: end -->)", re.DOTALL)
PARTS = {"report.png": "body > header", "models.png": "#models figure"}
"""The report's pictures, and what of the page each shows."""
_BOX = re.compile(r"<g><title>(.*?)</title>", re.DOTALL)
_HEADS = re.compile(r'<(?:p class="tile-label"|span class="label[^"]*")>([^<]*)<')
_TOLD = "Description"  # under which a picture carries its words
_COLOURS = 64  # of a picture, which keeps it small
_WIDE, _SHARP = 1000, 1.6  # pixels of the window, and of a picture for each of its pixels
_AROUND = 12  # pixels of paper around a part


def main() -> None:
    """Run the job, and write the block and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="the folder that holds online_retail/")
    data = parser.parse_args().data
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bottega", "run", "shop-recommendation", "--data", data]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        card = json.loads((Path(folder) / ".bottega/shop-recommendation/scorecard.json").read_text())
    said = done.stderr.rstrip().replace(str(data), "…")
    shown = f"$ bottega run shop-recommendation --data …\n{said}\n{done.stdout.rstrip()}"
    block = f"```text\n{shown}\n```\n"
    README.write_text(MARKERS.sub(lambda found: found[1] + block + found[2], README.read_text()))
    card["source"] = {"text": "Online Retail, a year of orders"}  # and not a folder of this machine
    make(card, PICTURES)


def make(card: dict[str, Any], folder: Path) -> None:
    """Draw the flowchart and take the report's pictures of a scorecard. Needs Chromium."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    sys.path.insert(0, str(ROOT / "tests/reporting"))
    import browser

    folder.mkdir(exist_ok=True)
    (folder / "flowchart.svg").write_text(svg(plan(design, card)) + "\n", "utf-8")
    page = folder / "page.html"
    page.write_text(html(design, card), "utf-8")
    with browser.tab() as tab:
        tab.open(page, _WIDE)
        for name, part in PARTS.items():
            at = tab.tell(f"document.querySelector('{part}').getBoundingClientRect().toJSON()")
            clip = {"x": at["x"] - _AROUND, "y": max(at["y"] - _AROUND, 0), "scale": _SHARP}
            clip |= {"width": at["width"] + 2 * _AROUND, "height": at["height"] + 2 * _AROUND}
            picture = Image.open(io.BytesIO(tab.shot(clip)))
            told = PngInfo()
            told.add_text(_TOLD, json.dumps(structure(card)[name]))
            picture.convert("RGB").quantize(_COLOURS).save(folder / name, optimize=True, pnginfo=told)
    page.unlink()


def structure(card: dict[str, Any]) -> dict[str, list[str]]:
    """Give the words of each picture that the next run of the same design has too: no numbers, and no champion."""
    page = html(design, card)
    parts = {"report.png": page.partition("<header>")[2].partition("</header>")[0]}
    parts["models.png"] = page.partition('id="models"')[2].partition("</figure>")[0].partition("<figure")[2]
    found = {name: _constant(_HEADS.findall(part)) for name, part in parts.items()}
    return {"flowchart.svg": drawn(svg(plan(design, card))), **found}


def drawn(picture: str) -> list[str]:
    """Give the same of a flowchart: what stands in its boxes."""
    return _constant(line for box in _BOX.findall(picture) for line in box.splitlines())


def kept(name: str) -> list[str]:
    """Give the same of a picture as the README shows it."""
    from PIL import Image

    if name.endswith(".svg"):
        return drawn((PICTURES / name).read_text("utf-8"))
    words: list[str] = json.loads(Image.open(PICTURES / name).text[_TOLD])  # type: ignore[attr-defined]
    return words


def _constant(lines: Iterable[str]) -> list[str]:
    plain = (entities.unescape(line).removeprefix("★ ").removesuffix(", champion") for line in lines)
    return sorted({re.sub(r"^# ", "", re.sub(r"[\d,.]*\d", "#", line)) for line in plain})


if __name__ == "__main__":
    main()
