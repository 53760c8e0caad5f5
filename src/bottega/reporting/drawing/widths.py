"""How wide words are before anything draws them: a table of DejaVu Sans and Arial, the wider of both for each sign."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
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
_TIED = re.compile(r"(?<=\d) (?=(?:%|ms|s|h|d)(?:\W|$))|(?<=^[\d★]) |(?<=^\d\d) ")  # a number with its unit or rung
_SEAM = re.compile(r"(?<=[_\-./,(=×:])(?=.)|(?<=[a-z0-9])(?=[A-Z])")  # where a word is best broken
_ALONE, _TIGHTER = 1 / 3, (0.92, 0.84, 0.76, 0.68, 0.6)  # a last line shorter than this part of the room; other rooms


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

    A word is broken between its parts where it has parts, and no short word is left alone on the last line where the
    lines above can spare one.

    most: lines at most; what is left out is told by `…`.

    >>> wrapped("one two three", 60, 12), wrapped("incomprehensibilities", 60, 12, most=2)
    (['one two', 'three'], ['incompre', 'hensibi…'])
    >>> wrapped("PersonalHistory", 80, 12), wrapped("the request brings at most 80", 160, 12)
    (['Personal', 'History'], ['the request brings', 'at most 80'])
    """
    words = _words(text)
    lines = _broken(words, room, size, bold)
    if len(lines) > most:
        return [*lines[: most - 1], _cut(lines[most - 1], room, size, bold)]
    if len(lines) > 1 and width(lines[-1], size, bold) < room * _ALONE:
        longest = max(width(word, size, bold) for word in words)
        others = [_broken(words, room * share, size, bold) for share in _TIGHTER if room * share >= longest]
        same = [lines, *(other for other in others if len(other) == len(lines))]
        return max(same, key=lambda each: min(width(each[-1], size, bold), room * _ALONE))
    return lines


def widest(text: str, size: float, bold: bool = False) -> float:
    """Say how wide the widest word of a text is, which is the room below which it must be broken.

    >>> widest("a of IIII", 10) == width("IIII", 10)
    True
    """
    return max(width(word, size, bold) for word in _words(text))


def _words(text: str) -> list[str]:
    return _TIED.sub("\N{NO-BREAK SPACE}", _flat(text)).split(" ")


def _broken(words: Sequence[str], room: float, size: float, bold: bool) -> list[str]:
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
    return [*lines, line]


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
    """As much of a word as fits, one sign at least; up to a seam of it, if one lies in the second half of the line."""
    used, end = 0.0, len(word)
    for place, sign in enumerate(word):
        used += width(sign, size, bold)
        if used > room and place:
            end = place
            break
    seams = [found.start() for found in _SEAM.finditer(word) if end <= 2 * found.start() <= 2 * end]
    return word[: max(seams, default=end)]
