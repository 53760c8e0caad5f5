"""Compiled parts of the code of records: entries, events, and how they are joined; see `records_layout` for the words.

`tracks`, `parts` and `spans` are tables of a `Layout`; a record lies in `words` from `start` on. Importing this loads
Numba, so import it where it is used. What Numba keeps on disk of another file's loops holds a copy of these: after a
change here, or in the layout, those files must be touched too.
"""

from __future__ import annotations

import numpy as np

from bottega.features import records_layout as layout
from bottega.features.kernels import NEVER, Array
from bottega.metrics.compiling import compiled

_EXPONENT = np.int64(0x7FF0000000000000)
_NAN = np.int64(0x7FF8000000000000)
_MINUS_ZERO = np.int64(-(2**63))
_WIDE = 900.0  # half-lives within which 2^−age is a normal number


@compiled
def aged(value: float, age: float) -> float:
    """Halve a value `age` times; in steps, where 2^−age alone would be 0."""
    while age > _WIDE and value != 0.0 and value - value == 0.0:
        value *= 2.0**-_WIDE
        age -= _WIDE
    return float(value * 2.0**-age)


@compiled
def there(bits: int, text: int) -> bool:
    """Tell whether an argument is no null; a number that is not finite is one."""
    return bits != layout.TEXT_NULL if text else (bits & _EXPONENT) != _EXPONENT


@compiled
def checked(words: Array, start: int, stop: int, mark: int, tracks: Array) -> int:
    """Give where a record's texts begin, −1 where its lengths do not fit."""
    size, head = stop - start, layout.HEAD + 2 * len(tracks)
    if size < head or words[start] != mark:
        return -1
    partitions = words[start + 1]
    if partitions < 0 or partitions > size:
        return -1
    place = head + layout.PAIR * partitions
    for track in range(len(tracks)):
        entries, waiting = words[start + layout.HEAD + 2 * track], words[start + layout.HEAD + 2 * track + 1]
        if entries < 0 or entries > size or waiting < 0 or waiting > size:
            return -1
        if entries > 1 and not tracks[track, layout.KEYED]:
            return -1
        place += entries * tracks[track, layout.WIDTH] + waiting * tracks[track, layout.QUEUED]
        if place > size:
            return -1
    return int(start + place)


@compiled
def lowest(tracks: Array, spans: Array, track: int, now: int) -> int:
    """Give the first moment that any span of a track can reach at `now` or later."""
    low = now
    for span in range(tracks[track, layout.SPANS], tracks[track, layout.SPANS_END]):
        if spans[span, layout.LENGTH] < 0:
            return NEVER
        low = min(low, (now - spans[span, layout.LENGTH]) // spans[span, layout.STEP] * spans[span, layout.STEP])
    return low


@compiled
def matters(tracks: Array, texts: Array, track: int, queue: Array, place: int) -> bool:
    """Tell whether an event can ever show in a track."""
    kind, ready, time = tracks[track, layout.KIND], queue[place + layout.READY], queue[place + layout.TIME]
    if tracks[track, layout.KEEP] >= 0 and ready - time > tracks[track, layout.KEEP]:
        return False  # when it may be used, every window has left it
    return kind in (layout.TILES, layout.ROW) or there(queue[place + layout.VALUES], texts[tracks[track, layout.FIRST]])


@compiled
def _lift(tracks: Array, parts: Array, texts: Array, track: int, queue: Array, place: int, out: Array, to: int) -> None:
    """Write the entry of a single event."""
    kind, time = tracks[track, layout.KIND], queue[place + layout.TIME]
    if kind >= layout.NEWEST:
        for word in range(tracks[track, layout.WIDTH]):
            out[to + word] = queue[place + layout.TIME + word]
        return
    if tracks[track, layout.KEYED]:
        if kind == layout.TILES:
            out[to] = time // tracks[track, layout.HOP]
        elif texts[tracks[track, layout.FIRST]] or queue[place + layout.VALUES] != _MINUS_ZERO:
            out[to] = queue[place + layout.VALUES]
        else:
            out[to] = 0  # −0 is 0
        to += 1
    for part in range(tracks[track, layout.PARTS], tracks[track, layout.PARTS_END]):
        what, argument = parts[part, layout.WHAT], parts[part, layout.ARGUMENT]
        bits, known = np.int64(0), True
        if argument >= 0:
            bits = queue[place + layout.VALUES + argument]
            known = there(bits, texts[tracks[track, layout.FIRST] + argument])
        if what == layout.AS_OF:
            out[to] = time
        elif what == layout.COUNT:
            out[to] = 1 if known else 0
        elif known:
            out[to] = bits
        else:
            out[to] = 0 if what in (layout.SUM, layout.DECAY) else _NAN
        to += 1


@compiled
def _join(tracks: Array, parts: Array, track: int, words: Array, place: int, out: Array, to: int) -> None:
    """Join an entry into one of the same key; of equal newest ones it replaces the other."""
    if tracks[track, layout.KIND] >= layout.NEWEST:
        time, known = words[place], words[place + 1]
        if time > out[to] or (time == out[to] and known >= out[to + 1]):
            for word in range(tracks[track, layout.WIDTH]):
                out[to + word] = words[place + word]
        return
    place, to = place + tracks[track, layout.KEYED], to + tracks[track, layout.KEYED]
    theirs, ours = words[place], out[to]  # moments, where a part is as of one: it is the first
    for part in range(tracks[track, layout.PARTS], tracks[track, layout.PARTS_END]):
        what = parts[part, layout.WHAT]
        if what == layout.AS_OF:
            out[to] = max(out[to], words[place])
        elif what == layout.COUNT:
            out[to] += words[place]
        else:
            left, right = np.int64(out[to]).view(np.float64), np.int64(words[place]).view(np.float64)
            if what == layout.SUM:
                left += right
            elif what == layout.DECAY:
                rate = np.int64(parts[part, layout.RATE]).view(np.float64)
                if theirs > ours:
                    left = aged(left, float(theirs - ours) * rate) + right
                else:
                    left += aged(right, float(ours - theirs) * rate)
            elif right == right and not (left <= right if what == layout.LEAST else left >= right):
                left = right
            out[to] = np.float64(left).view(np.int64)
        place, to = place + 1, to + 1


@compiled
def combined(
    tracks: Array, parts: Array, track: int,
    left: Array, place: int, count: int,  # entries by key
    right: Array, other: int, more: int,  # entries that came later, by key in the order `order`; keys may come again
    order: Array,
    low: int, out: Array, to: int,
) -> int:  # fmt: skip
    """Write the entries of both sides by key, those of one key joined, and say how many; what lies before `low` is out.

    order: (more,) places; empty: as they stand.
    """
    width, keyed, made, one, two = tracks[track, layout.WIDTH], tracks[track, layout.KEYED], 0, 0, 0
    tiles, first = tracks[track, layout.KIND] == layout.TILES, NEVER
    if tiles and keyed and low > NEVER:
        first = low // tracks[track, layout.HOP]
    while one < count or two < more:
        source = other + (order[two] if len(order) > 0 else two) * width if two < more else 0
        if two >= more or (one < count and (not keyed or left[place + one * width] <= right[source])):
            words, source, one = left, place + one * width, one + 1
        else:
            words, two = right, two + 1
        if low > NEVER:
            if tiles:
                if keyed and words[source] < first:
                    continue
            elif words[source + keyed] < low:
                continue
        if made > 0 and (not keyed or words[source] == out[to + (made - 1) * width]):
            _join(tracks, parts, track, words, source, out, to + (made - 1) * width)
        else:
            for word in range(width):
                out[to + made * width + word] = words[source + word]
            made += 1
    return made


@compiled
def settled(
    tracks: Array, parts: Array, texts: Array, track: int,
    words: Array, place: int, count: int,  # entries
    queue: Array, begin: int, waiting: int,  # events in the order of arrival
    now: int, low: int, out: Array, to: int,
) -> int:  # fmt: skip
    """Write the entries of a track with the events that may be used at `now`, and say how many entries there are."""
    size, usable = tracks[track, layout.QUEUED], 0
    for event in range(waiting):
        usable += queue[begin + event * size + layout.READY] <= now
    width, rising = tracks[track, layout.WIDTH], True
    lifted = np.empty(usable * width, np.int64)
    order = np.empty(0, np.int64)
    lifts = 0
    for event in range(waiting):
        if queue[begin + event * size + layout.READY] <= now:
            _lift(tracks, parts, texts, track, queue, begin + event * size, lifted, lifts * width)
            rising = rising and (lifts == 0 or lifted[lifts * width] >= lifted[(lifts - 1) * width])
            lifts += 1
    if tracks[track, layout.KEYED] and not rising:
        keys = np.empty(lifts, np.int64)
        for lift in range(lifts):
            keys[lift] = lifted[lift * width]
        order = np.argsort(keys, kind="mergesort")
    return combined(tracks, parts, track, words, place, count, lifted, 0, lifts, order, low, out, to)
