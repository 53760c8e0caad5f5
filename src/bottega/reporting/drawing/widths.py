"""How wide words are before anything draws them: a table of DejaVu Sans and Arial, the wider of both for each sign."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_TABLE = {
    280: "'ijl", 300: "I", 320: " \N{NO-BREAK SPACE},.", 340: "/:;\\|", 360: "f", 380: "-", 400: "()[]t", 420: "!r",
    460: '"', 500: "*J`", 540: "sz", 560: "?L_c", 580: "k", 600: "vxy", 620: "FTaeo", 640: "$0123456789bdghnpqu{}",
    680: "EKPSY", 700: "ABVXZ", 740: "CRU", 760: "HN", 780: "&DG", 800: "OQ", 820: "w", 840: "#+<=>^~", 880: "M",
    960: "%", 980: "m", 1000: "W", 1020: "@",
}  # fmt: skip
_EM = {sign: per_mille / 1000 for per_mille, signs in _TABLE.items() for sign in signs}
_BOLD = 1.14  # of the same words, in the wider of both
_OTHER, _WIDE, _PICTURE = 1.1, 1.05, 1.45  # letters of other scripts; those of East Asia; emoji
_PICTURES = 0x1F000
_ELLIPSIS = "…"
_TIED = re.compile(r"(?<=\d) (?=(?:%|ms|s|h|d)(?:\W|$))")  # a number stays with its unit


@lru_cache(maxsize=4096)
def _em(sign: str) -> float:
    if sign in _EM:
        return _EM[sign]
    if unicodedata.combining(sign) or unicodedata.category(sign) in ("Mn", "Me", "Cf", "Cc", "Cs"):
        return 0.0
    base = unicodedata.normalize("NFD", sign)[0]
    if base in _EM:
        return _EM[base]
    if ord(sign) >= _PICTURES:
        return _PICTURE
    return _WIDE if unicodedata.east_asian_width(sign) in "WF" else _OTHER


def width(text: str, size: float, bold: bool = False) -> float:
    """Say how many pixels a text of this size takes at most, in the usual sans-serif fonts.

    When it is wrong: an unusual font may be wider, and some signs of other scripts are.

    >>> round(width("iiii", 10), 1), round(width("WWWW", 10), 1)
    (11.2, 40.0)
    """
    return sum(map(_em, text)) * size * (_BOLD if bold else 1.0)


def wrapped(text: str, room: float, size: float, bold: bool = False, most: int = 3) -> list[str]:
    """Break a text into lines that fit, at its spaces, and inside a word that is wider than a line.

    most: lines at most; what is left out is told by `…`.

    >>> wrapped("one two three", 60, 12), wrapped("incomprehensibilities", 60, 12, most=2)
    (['one two', 'three'], ['incompre', 'hensibi…'])
    """
    words = _TIED.sub("\N{NO-BREAK SPACE}", _flat(text)).split(" ")
    lines: list[str] = []
    line = ""
    for word in words:
        joined = f"{line} {word}" if line else word
        if width(joined, size, bold) <= room:
            line = joined
            continue
        if line:
            lines.append(line)
        while width(word, size, bold) > room and len(word) > 1:
            head = _head(word, room, size, bold)
            lines.append(head)
            word = word[len(head) :]
        line = word
    lines.append(line)
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], _cut(lines[most - 1], room, size, bold)]


def shortened(text: str, room: float, size: float) -> str:
    """Cut a text so that it fits one line; what is left out is told by `…`.

    >>> shortened("one two three", 60, 12)
    'one tw…'
    """
    flat = _flat(text)
    return flat if width(flat, size) <= room else _cut(flat, room, size, False)


def _flat(text: str) -> str:
    """In one line, without signs that are not seen."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _cut(line: str, room: float, size: float, bold: bool) -> str:
    while line and width(line + _ELLIPSIS, size, bold) > room:
        line = line[:-1]
    return line.rstrip() + _ELLIPSIS


def _head(word: str, room: float, size: float, bold: bool) -> str:
    """As much of a word as fits, one sign at least."""
    used = 0.0
    for place, sign in enumerate(word):
        used += width(sign, size, bold)
        if used > room and place:
            return word[:place]
    return word
