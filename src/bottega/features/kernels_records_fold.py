"""Compiled loops that make records out of records and events; see `kernels_records`."""

from __future__ import annotations

import numpy as np

from bottega.features import records_layout as layout
from bottega.features.kernels import NEVER, Array
from bottega.features.kernels_records import checked, combined, lowest, matters, settled
from bottega.metrics.compiling import compiled

ALWAYS = np.iinfo(np.int64).max


@compiled
def _grouped(codes: Array, size: int) -> tuple[Array, Array]:
    """Sort places by their code, stable: those of one stand at `bounds[code]` to `bounds[code + 1]`; −1 is left out."""
    bounds = np.zeros(size + 1, np.int64)
    for code in codes:
        if code >= 0:
            bounds[code + 1] += 1
    for code in range(size):
        bounds[code + 1] += bounds[code]
    free = bounds[:-1].copy()
    order = np.empty(bounds[size], np.int64)
    for place in range(len(codes)):
        if codes[place] >= 0:
            order[free[codes[place]]] = place
            free[codes[place]] += 1
    return order, bounds


@compiled
def _marked(out: Array, place: int, count: int, partition: int, offset: int) -> int:
    """Take an event of a partition into the offsets of a record, and give how many partitions it has then.

    −1: the event is in the record already. They stand ascending.
    """
    spot = 0
    while spot < count and out[place + spot * layout.PAIR] < partition:
        spot += 1
    if spot < count and out[place + spot * layout.PAIR] == partition:
        if offset <= out[place + spot * layout.PAIR + 1]:
            return -1
        out[place + spot * layout.PAIR + 1] = offset
        return count
    for word in range(place + count * layout.PAIR - 1, place + spot * layout.PAIR - 1, -1):
        out[word + layout.PAIR] = out[word]
    out[place + spot * layout.PAIR] = partition
    out[place + spot * layout.PAIR + 1] = offset
    return count + 1


@compiled
def _taken(came: Array, partition: Array, offset: Array, out: Array, place: int, count: int, taken: Array) -> int:
    """Mark the events that a record takes, and give how many partitions it has then."""
    for event in came:
        if partition[event] < 0:
            taken[event] = True
            continue
        marked = _marked(out, place, count, partition[event], offset[event])
        if marked >= 0:
            taken[event] = True
            count = marked
    return count


@compiled
def _hashes(tracks: Array, texts: Array, out: Array, start: int, place: int) -> Array:
    """Give the hashes of texts that the entries and waiting events of a record hold, ascending, each once."""
    found = np.empty(0, np.int64)
    count = 0
    for write in range(2):  # first they are counted
        spot = place
        if write:
            found = np.empty(count, np.int64)
            count = 0
        for track in range(len(tracks)):
            first, size = tracks[track, layout.FIRST], tracks[track, layout.ARGUMENTS]
            for part in range(2):
                width = tracks[track, layout.QUEUED] if part else tracks[track, layout.WIDTH]
                values = layout.VALUES if part else layout.VALUES - 1
                for _ in range(out[start + layout.HEAD + 2 * track + part]):
                    if tracks[track, layout.KIND] >= layout.NEWEST:
                        for argument in range(size):
                            if texts[first + argument] and out[spot + values + argument] != layout.TEXT_NULL:
                                if write:
                                    found[count] = out[spot + values + argument]
                                count += 1
                    spot += width
    found.sort()
    kept = 0
    for index in range(count):
        if kept == 0 or found[index] != found[kept - 1]:
            found[kept] = found[index]
            kept += 1
    return found[:kept]


@compiled
def _spelt(
    wanted: Array, words: Array, start: int, stop: int, hashes: Array, places: Array, blob: Array, out: Array, to: int
) -> int:
    """Write the texts of some hashes, from the old record or from those that came, and give the end.

    −1: a text is nowhere; −2: what stands in the old record are no texts.
    """
    for mark in wanted:
        while start < stop and words[start] < mark:
            if start + 1 >= stop or not 0 <= words[start + 1] <= 8 * (stop - start - 2):
                return -2
            start += 2 + (words[start + 1] + 7) // 8
        if start < stop and words[start] == mark:
            if start + 1 >= stop or not 0 <= words[start + 1] <= 8 * (stop - start - 2):
                return -2
            size = 2 + (words[start + 1] + 7) // 8
            out[to : to + size] = words[start : start + size]
            to += size
            continue
        spot = np.searchsorted(hashes, mark)
        if spot >= len(hashes) or hashes[spot] != mark:
            return -1
        size = places[spot + 1] - places[spot]
        out[to : to + size] = blob[places[spot] : places[spot + 1]]
        to += size
    return to


@compiled
def _bodies(mark: int, tracks: Array, texts: Array, words: Array, starts: Array) -> tuple[Array, int]:
    """Give where the texts of each record begin, and the first record whose lengths do not fit, else −1."""
    bodies = starts[:-1].copy()
    for row in range(len(bodies)):
        if starts[row + 1] > starts[row]:
            bodies[row] = checked(words, starts[row], starts[row + 1], mark, tracks)
            if bodies[row] < 0 or (bodies[row] != starts[row + 1] and not texts.any()):
                return bodies, row
    return bodies, -1


@compiled
def _text_room(tracks: Array, texts: Array, track: int, words: Array, place: int, hashes: Array, places: Array) -> int:
    """Give how many words the texts take at most that came as the arguments at a place."""
    room = 0
    if tracks[track, layout.KIND] >= layout.NEWEST and len(hashes) > 0:
        for argument in range(tracks[track, layout.ARGUMENTS]):
            if texts[tracks[track, layout.FIRST] + argument]:
                found = min(np.searchsorted(hashes, words[place + argument]), len(hashes) - 1)
                room += places[found + 1] - places[found]
    return room


@compiled
def _room(
    tracks: Array, texts: Array, words: Array, starts: Array, bounds: Array, firsts: Array, orders: Array,
    limits: Array, values: Array, begins: Array, hashes: Array, places: Array,
) -> tuple[int, int]:  # fmt: skip
    """Give how many words the new records take at most, and those of the events of one track and record."""
    room, most, head = 0, 0, layout.HEAD + 2 * len(tracks)
    for row in range(len(starts) - 1):
        begin, size = starts[row], starts[row + 1] - starts[row]
        room += max(size, head) + layout.PAIR * (bounds[row + 1] - bounds[row])
        for track in range(len(tracks)):
            waiting = words[begin + layout.HEAD + 2 * track + 1] if size > 0 else 0
            came = limits[track, row + 1] - limits[track, row]
            width, wide = tracks[track, layout.WIDTH], tracks[track, layout.QUEUED]
            room += waiting * max(width - wide, 0) + came * max(width, wide)
            most = max(most, (waiting + came) * wide)
            for place in range(limits[track, row], limits[track, row + 1]):
                first = begins[track] + orders[firsts[track] + place] * tracks[track, layout.ARGUMENTS]
                room += _text_room(tracks, texts, track, values, first, hashes, places)
    return room, most


@compiled
def fold(
    mark: int, tracks: Array, parts: Array, spans: Array, texts: Array,  # of the layout
    words: Array,  # the records one after the other
    starts: Array,  # (n + 1,) where each begins; an empty one is none
    now: int,
    entity: Array, partition: Array, offset: Array,  # (m,) of the events
    firsts: Array,  # (tracks + 1,) where those of a track begin in what follows
    rows: Array, time: Array, known: Array,  # places among the events, and when they happened and were known
    values: Array,  # their arguments, row by row
    begins: Array,  # (tracks,) where those of a track begin
    hashes: Array, places: Array, blob: Array,  # texts that came: their hashes ascending, where they lie, their words
) -> tuple[Array, Array, int, int]:  # fmt: skip
    """Give the new records one after the other, where they begin, and the first that cannot be made, with the reason.

    Reasons: 0 none, 1 lengths that do not fit, 2 a text that is nowhere.
    """
    count, size = len(starts) - 1, len(tracks)
    bodies, bad = _bodies(mark, tracks, texts, words, starts)
    if bad >= 0:
        return words, starts, bad, 1
    events, bounds = _grouped(entity, count)
    orders, limits = np.empty(firsts[size], np.int64), np.empty((size, count + 1), np.int64)
    low = np.empty(size, np.int64)
    for track in range(size):
        order, limits[track] = _grouped(entity[rows[firsts[track] : firsts[track + 1]]], count)
        orders[firsts[track] : firsts[track] + len(order)] = order
        low[track] = lowest(tracks, spans, track, now)
    room, most = _room(tracks, texts, words, starts, bounds, firsts, orders, limits, values, begins, hashes, places)
    out, queue = np.empty(room, np.int64), np.empty(most, np.int64)
    ends = np.zeros(count + 1, np.int64)
    taken = np.zeros(len(entity), np.bool_)
    head, end = layout.HEAD + 2 * size, 0
    for row in range(count):
        start, there = end, starts[row + 1] > starts[row]
        source, end = starts[row] + head, start + head
        out[start], out[start + 1] = mark, words[starts[row] + 1] if there else 0
        out[end : end + layout.PAIR * out[start + 1]] = words[source : source + layout.PAIR * out[start + 1]]
        source += layout.PAIR * out[start + 1]
        came = events[bounds[row] : bounds[row + 1]]
        out[start + 1] = _taken(came, partition, offset, out, end, out[start + 1], taken)
        body = end + layout.PAIR * out[start + 1]
        end = body
        for track in range(size):
            spot, wide, length = layout.HEAD + 2 * track, tracks[track, layout.QUEUED], tracks[track, layout.ARGUMENTS]
            entries = words[starts[row] + spot] if there else 0
            waiting = words[starts[row] + spot + 1] if there else 0
            state = source
            source += entries * tracks[track, layout.WIDTH]
            queue[: waiting * wide] = words[source : source + waiting * wide]
            source += waiting * wide
            for place in range(firsts[track] + limits[track, row], firsts[track] + limits[track, row + 1]):
                event = firsts[track] + orders[place]
                if taken[rows[event]]:
                    last, first = waiting * wide, begins[track] + orders[place] * length
                    queue[last + layout.TIME], queue[last + layout.KNOWN] = time[event], known[event]
                    queue[last + layout.READY] = max(time[event] + 1, known[event])
                    queue[last + layout.VALUES : last + wide] = values[first : first + length]
                    waiting += matters(tracks, texts, track, queue, last)
            out[start + spot] = settled(
                tracks, parts, texts, track, words, state, entries, queue, 0, waiting, now, low[track], out, end
            )
            end += out[start + spot] * tracks[track, layout.WIDTH]
            out[start + spot + 1] = 0
            for place in range(0, waiting * wide, wide):
                if queue[place + layout.READY] > now:
                    out[end : end + wide] = queue[place : place + wide]
                    end += wide
                    out[start + spot + 1] += 1
        if texts.any():
            wanted = _hashes(tracks, texts, out, start, body)
            end = _spelt(wanted, words, bodies[row], starts[row + 1], hashes, places, blob, out, end)
            if end < 0:
                return words, starts, row, 2 if end == -1 else 1
        ends[row + 1] = end
    return out[:end], ends, -1, 0


@compiled
def assembled(
    mark: int, tracks: Array, parts: Array, texts: Array,
    count: int,  # records
    firsts: Array,  # (tracks,) where the entries of a track begin
    limits: Array,  # (tracks, count + 1) where among them those of each record begin
    words: Array,  # the entries, of each record by key; of equal keys they are joined
    hashes: Array, places: Array, blob: Array,  # texts that came
) -> tuple[Array, Array, int, int]:  # fmt: skip
    """Make records of entries, and give what `fold` gives."""
    size = len(tracks)
    head, end, room = layout.HEAD + 2 * size, 0, len(words) + (layout.HEAD + 2 * size) * count
    for track in range(size):
        for entry in range(limits[track, count]):
            place = firsts[track] + entry * tracks[track, layout.WIDTH] + layout.VALUES - 1
            room += _text_room(tracks, texts, track, words, place, hashes, places)
    out, ends, order = np.empty(room, np.int64), np.zeros(count + 1, np.int64), np.empty(0, np.int64)
    for row in range(count):
        start, end = end, end + head
        out[start], out[start + 1] = mark, 0
        for track in range(size):
            first, last, width = limits[track, row], limits[track, row + 1], tracks[track, layout.WIDTH]
            made = combined(
                tracks, parts, track, words, 0, 0, words, firsts[track] + first * width, last - first, order, NEVER,
                out, end,
            )  # fmt: skip
            out[start + layout.HEAD + 2 * track], out[start + layout.HEAD + 2 * track + 1] = made, 0
            end += made * width
        wanted = _hashes(tracks, texts, out, start, start + head)
        end = _spelt(wanted, words, 0, 0, hashes, places, blob, out, end)
        if end < 0:
            return words, ends, row, 2
        ends[row + 1] = end
    return out[:end], ends, -1, 0


@compiled
def until(mark: int, tracks: Array, words: Array, starts: Array, out: Array) -> int:
    """Write from when each record (n,) says no more than none, and give the first whose lengths do not fit, else −1."""
    for row in range(len(out)):
        out[row] = NEVER
        begin, place = starts[row], starts[row] + layout.HEAD + 2 * len(tracks)
        if starts[row + 1] == begin:
            continue
        if checked(words, begin, starts[row + 1], mark, tracks) < 0:
            return row
        place += layout.PAIR * words[begin + 1]
        for track in range(len(tracks)):
            keep, hop = tracks[track, layout.KEEP], tracks[track, layout.HOP]
            for part in range(2):
                for _ in range(words[begin + layout.HEAD + 2 * track + part]):
                    if part:
                        last = words[place + layout.TIME]
                    elif tracks[track, layout.KIND] == layout.TILES:
                        last = words[place] * hop + hop - 1
                    else:
                        last = words[place + tracks[track, layout.KEYED]]
                    out[row] = max(out[row], last + keep + 1 if keep >= 0 else ALWAYS)
                    place += tracks[track, layout.QUEUED] if part else tracks[track, layout.WIDTH]
    return -1


@compiled
def merge(
    mark: int, tracks: Array, parts: Array, texts: Array,
    left: Array, right: Array,  # two records
    hashes: Array, places: Array, blob: Array,  # the texts of the right one
) -> tuple[Array, int, int]:  # fmt: skip
    """Give one record of two, and like `fold` which one is at fault, with the reason."""
    size = len(tracks)
    head = layout.HEAD + 2 * size
    body = checked(left, 0, len(left), mark, tracks)
    if body < 0:
        return left, 0, 1
    if checked(right, 0, len(right), mark, tracks) < 0:
        return left, 1, 1
    out = np.empty(len(left) + len(right) + len(blob), np.int64)
    count, end = left[1], head
    out[0] = mark
    out[end : end + layout.PAIR * count] = left[end : end + layout.PAIR * count]
    one, other = end + layout.PAIR * count, end + layout.PAIR * right[1]
    for place in range(right[1]):
        spot = end + layout.PAIR * place
        count = max(count, _marked(out, end, count, right[spot], right[spot + 1]))
    out[1] = count
    end += layout.PAIR * count
    order = np.empty(0, np.int64)
    for track in range(size):
        width, wide, spot = tracks[track, layout.WIDTH], tracks[track, layout.QUEUED], layout.HEAD + 2 * track
        made = combined(tracks, parts, track, left, one, left[spot], right, other, right[spot], order, NEVER, out, end)
        one, other, end = one + left[spot] * width, other + right[spot] * width, end + made * width
        out[spot], out[spot + 1] = made, left[spot + 1] + right[spot + 1]
        for words, place, waiting in ((left, one, left[spot + 1]), (right, other, right[spot + 1])):
            out[end : end + waiting * wide] = words[place : place + waiting * wide]
            end += waiting * wide
        one, other = one + left[spot + 1] * wide, other + right[spot + 1] * wide
    wanted = _hashes(tracks, texts, out, 0, head + layout.PAIR * count)
    end = _spelt(wanted, left, body, len(left), hashes, places, blob, out, end)
    return (out[:end], -1, 0) if end >= 0 else (left, 0, 2 if end == -1 else 1)
