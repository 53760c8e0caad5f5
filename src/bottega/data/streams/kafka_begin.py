"""Where a member begins to read a partition that it was given."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

log = logging.getLogger("bottega.streams")

_ASK_S = 2.0


class Begin(NamedTuple):
    """A place in a partition, and what is to be left out from there on."""

    offset: int
    after: int | None = None
    """Leave out what arrived up to this moment, microseconds since 1970 UTC, until something arrived later."""
    doubt: range | None = None
    """The partition's offsets, of which `offset` is the last: the broker says that none of them arrived later."""

    def left_out(self, offset: int, arrival: int) -> tuple[bool, Begin | None]:
        """Say whether a message is left out, and what holds for the one after it; nothing: all count from then on.

        A broker that keeps no times finds none. Where its last message shows that, reading begins anew at the first
        one: the place that is given has that offset.
        """
        if self.after is None:
            return False, None
        is_late = arrival > self.after
        if self.doubt is None:
            return not is_late, None if is_late else self
        if offset not in self.doubt:
            return False, None
        return True, Begin(self.doubt.start, self.after) if is_late else None


class BeganAnewError(Exception):
    """More was read of a partition than it holds: the topic is another one of the same name."""


def begin(library: Any, consumer: Any, topic: str, partitions: Sequence[int], start: int | None) -> dict[int, Begin]:
    """Find where to begin: at what the group committed, else at the first message that arrived after a moment.

    start: microseconds since 1970 UTC; None: the first message there is.
    Raises the library's `KafkaException` where the broker does not answer within some seconds, and `BeganAnewError`.
    """
    found = {}
    asked = [library.TopicPartition(topic, partition) for partition in partitions]
    for committed in consumer.committed(asked, timeout=_ASK_S):
        _check(library, committed)
        at = library.TopicPartition(topic, committed.partition)
        low, end = consumer.get_watermark_offsets(at, timeout=_ASK_S)
        if committed.offset > end:
            raise BeganAnewError(
                f"partition {at.partition} ends at {end}, and was read up to {committed.offset}: the topic began anew"
            )
        if 0 <= committed.offset < low:
            log.warning("%s[%d]: %d dropped by the broker unread", topic, at.partition, low - committed.offset)
        if committed.offset >= 0:
            found[at.partition] = Begin(max(committed.offset, low))
        elif start is None or low == end:
            found[at.partition] = Begin(low)
        else:
            at.offset = start // 1000 + 1  # the first whole millisecond after it
            (first,) = consumer.offsets_for_times([at], timeout=_ASK_S)
            _check(library, first)
            late = Begin(end - 1, start, range(low, end))
            found[at.partition] = Begin(first.offset) if first.offset >= 0 else late
    return found


def _check(library: Any, answer: Any) -> None:
    if answer.error is not None:
        raise library.KafkaException(answer.error)
