"""`kafka://`: a topic as a stream; the members of a group divide its partitions through the broker."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bottega.data.streams.kafka_begin import BeganAnewError, Begin, begin
from bottega.data.streams.kafka_place import ARRIVED, client, kafka_library, kafka_place
from bottega.data.streams.protocol import UNKNOWN, Message
from bottega.errors import ServeError

log = logging.getLogger("bottega.streams")

_ASK_S = 2.0
_COMMIT_S = 5.0
_CLOSE_S = 5.0
_LOOK_S = 0.5
_EVERY_S = 1.0  # between looks at a broker that failed
_MOST = 100_000
_LATEST = 2**62


class KafkaStream:
    """One member of a consumer group.

    Offsets are committed to the group by `commit` alone. Partitions move one by one (`cooperative-sticky`). A member
    that is away for `session.timeout.ms`, or does not poll for `max.poll.interval.ms`, loses its own. Arrival is
    what the header `ARRIVED` says, else the timestamp of the message: of its append, or of its creation, as the topic
    is set. A message without a value
    has an empty body.

    url: as `kafka_place` reads it. name: of the group, where the URL names none. start: where the group has committed
    nothing, begin with a partition's first message that arrived after this moment, microseconds since 1970 UTC.
    Raises `BuildError` for a URL or a setting that is wrong; a broker that cannot be reached is waited for.
    """

    def __init__(self, url: str, name: str, start: int | None = None) -> None:
        self._place = kafka_place(url)
        self._library = kafka_library()
        self._start = start
        self._next: dict[int, int] = {}
        self._begin: dict[int, Begin] = {}
        self._unplaced: set[int] = set()
        self._early: list[Any] = []
        self._fault: str | None = None
        self._ended: ServeError | None = None
        self._looked = 0.0
        self._held = False
        self._unanswered = False
        self._answer: list[str] = []
        self._closed = False
        settings = {
            "group.id": self._place.group or name,
            "enable.auto.commit": "false",
            "enable.auto.offset.store": "false",
            "auto.offset.reset": "earliest",
            "partition.assignment.strategy": "cooperative-sticky",
            "error_cb": self._failed,
            "on_commit": self._committed,
        }
        self._consumer = client(self._place, "Consumer", settings)
        self._consumer.subscribe(
            [self._place.topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke
        )

    def poll(self, most: int, wait_s: float) -> list[Message]:
        """Give up to `most` messages, as they come from the broker; none after `wait_s` seconds."""
        if self._closed:
            return []
        self._hold(most <= 0)
        if self._unplaced and self._is_time():
            self._place_at(sorted(self._unplaced))
        if most <= 0:
            self._consume(1, 0, keep=True)
            return []
        most = min(most, _MOST)
        found, self._early = self._early[:most], self._early[most:]
        found += self._consume(most - len(found), 0)
        if not found and (found := self._consume(1, wait_s)):
            found += self._consume(most - 1, 0)
        messages = self._messages(found)
        if messages:
            self._well()
        elif self._fault is not None and not self._unplaced and self._is_time():
            self._look()
        return messages

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit to the group, and wait for the broker's answer for up to 5 seconds."""
        self._settle(_COMMIT_S)  # one at a time: the answers do not say to which they belong
        mine = {partition: offset for partition, offset in offsets.items() if partition in self._next}
        if not mine:
            return
        self._unanswered = True
        try:
            self._consumer.commit(offsets=[self._at(*item) for item in mine.items()], asynchronous=True)
        except self._library.KafkaException as error:
            self._unanswered = False
            raise self._error(f"offsets cannot be committed: {error.args[0].str()}") from None
        self._settle(_COMMIT_S)
        if self._answer:
            raise self._error(f"offsets are not committed: {self._answer[0]}")

    def lag(self) -> dict[int, int]:
        """Count the offsets up to each partition's end, as the broker told it last; a few may hold no message."""
        found = {}
        for partition, offset in self._next.items():
            with contextlib.suppress(self._library.KafkaException):
                _, end = self._consumer.get_watermark_offsets(self._at(partition), cached=True)
                if end < 0:
                    _, end = self._consumer.get_watermark_offsets(self._at(partition), timeout=_ASK_S)
                found[partition] = max(end - offset, 0)
        return found

    def assigned(self) -> frozenset[int]:
        """Name the partitions that the member holds."""
        return frozenset(self._next)

    def fault(self) -> str | None:
        """Say what the client says is wrong; nothing after the broker was heard again."""
        return self._fault

    def close(self) -> None:
        """Leave the group; a broker that does not answer is waited for 5 seconds."""
        if self._closed:
            return
        self._closed = True
        # With a commit unanswered the client would wait for its broker for ever (librdkafka issue 3740).
        leaving = threading.Thread(target=self._consumer.close, name="kafka-close", daemon=True)
        leaving.start()
        leaving.join(_CLOSE_S)
        if leaving.is_alive():
            log.warning("%s: the broker does not answer; the group will miss this member by itself", self._place.url)
        self._next.clear()

    def _consume(self, most: int, wait_s: float, keep: bool = False) -> list[Any]:
        if most <= 0:
            return []
        found: list[Any] = self._consumer.consume(most, wait_s)
        if self._ended is not None:
            raise self._ended
        if keep:
            self._early += found
        return found

    def _messages(self, found: Sequence[Any]) -> list[Message]:
        messages, moved = [], set[int]()
        for item in found:
            if (error := item.error()) is not None:
                self._failed(error)
                continue
            partition, offset = item.partition(), item.offset()
            if offset < self._next.get(partition, offset + 1):  # taken away meanwhile, or given once more
                continue
            arrival = _arrival(item)
            if partition in self._begin and self._is_left_out(partition, offset, arrival, moved):
                continue
            self._next[partition] = offset + 1
            messages.append(Message(partition, offset, arrival, item.value() or b""))
        return messages

    def _is_left_out(self, partition: int, offset: int, arrival: int, moved: set[int]) -> bool:
        if partition in moved:
            return True
        before = self._begin.pop(partition)
        left_out, after = before.left_out(offset, arrival)
        if after is not None and after is not before:
            moved.add(partition)
            self._early = [item for item in self._early if item.partition() != partition]
            self._consumer.incremental_unassign([self._at(partition)])
            self._start_at({partition: after})
        else:
            self._next[partition] = offset + 1
            self._begin.update({partition: after} if after is not None else {})
        return left_out

    def _assign(self, _: Any, partitions: Sequence[Any]) -> None:
        self._place_at([item.partition for item in partitions])

    def _revoke(self, consumer: Any, partitions: Sequence[Any]) -> None:
        consumer.incremental_unassign([item for item in partitions if item.partition in self._next])
        for item in partitions:
            self._next.pop(item.partition, None)
            self._begin.pop(item.partition, None)
            self._unplaced.discard(item.partition)

    def _place_at(self, partitions: Sequence[int]) -> None:
        """Begin to read partitions; where the broker does not say from where, try again with a later poll."""
        try:
            found = begin(self._library, self._consumer, self._place.topic, partitions, self._start)
        except self._library.KafkaException as error:
            self._unplaced.update(partitions)
            self._failed(error.args[0])
            found = {}
        except BeganAnewError as error:
            self._unplaced.update(partitions)
            self._say(str(error))
            found = {}
        self._start_at(found)

    def _start_at(self, found: Mapping[int, Begin]) -> None:
        at = [self._at(partition, place.offset) for partition, place in found.items()]
        self._consumer.incremental_assign(at)
        if self._held and at:
            self._consumer.pause(at)
        for partition, place in found.items():
            self._next[partition] = place.offset
            self._begin.update({partition: place} if place.after is not None else {})
        self._unplaced -= found.keys()

    def _hold(self, on: bool) -> None:
        if on != self._held:
            self._held = on
            (self._consumer.pause if on else self._consumer.resume)([self._at(partition) for partition in self._next])

    def _settle(self, limit_s: float) -> None:
        end = time.monotonic() + limit_s
        while self._unanswered:
            self._consume(1000, 0.002, keep=True)
            self._hold(self._held or len(self._early) > _MOST)
            if time.monotonic() > end:
                raise self._error("offsets were not committed: no answer")

    def _committed(self, error: Any, partitions: Sequence[Any]) -> None:
        self._unanswered = False
        errors = [error, *(item.error for item in partitions)]
        self._answer = [self._place.error(found.str()) for found in errors if found is not None]

    def _failed(self, error: Any) -> None:
        text = f"{error.name()}: {self._place.error(error.str())}"
        if error.fatal():
            self._ended = self._error(text)
        self._say(text)

    def _say(self, fault: str) -> None:
        if self._fault is None:
            log.warning("%s: %s", self._place.url, fault)
        self._fault = fault

    def _look(self) -> None:
        """Ask the broker for something small: whatever was wrong is over when it answers."""
        try:
            topic = self._consumer.list_topics(self._place.topic, timeout=_LOOK_S).topics[self._place.topic]
        except self._library.KafkaException as error:
            self._failed(error.args[0])
        else:
            if topic.error is None:
                self._well()
            else:
                self._failed(topic.error)

    def _well(self) -> None:
        if self._fault is not None and not self._unplaced:
            log.warning("%s: all is well again", self._place.url)
            self._fault = None

    def _is_time(self) -> bool:
        now = time.monotonic()
        if now - self._looked < _EVERY_S:
            return False
        self._looked = now
        return True

    def _at(self, partition: int, offset: int = 0) -> Any:
        return self._library.TopicPartition(self._place.topic, partition, offset)

    def _error(self, found: str) -> ServeError:
        return ServeError(self._place.url, found, "a broker that answers", "try again; nothing is lost")


def _arrival(message: Any) -> int:
    for name, value in message.headers() or ():
        if name == ARRIVED and value is not None and value.isdigit():
            return min(int(value), _LATEST)
    kind, milliseconds = message.timestamp()
    return milliseconds * 1000 if kind else UNKNOWN
