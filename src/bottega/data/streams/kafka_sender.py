"""Events into a topic, on the broker's disks before `send` returns."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

from bottega.data.streams.kafka_place import ARRIVED, client, kafka_library, kafka_place
from bottega.errors import ServeError

_WAIT_S = 30.0


class KafkaSender:
    """Writes messages to a topic: each is acknowledged by all replicas in sync, and none twice by the client's retries.

    Several threads may send at once.

    url: as `kafka_place` reads it. suffix: what to add to the topic's name. wait_s: seconds to wait for the broker;
    larger hides longer faults and keeps the caller waiting.
    """

    def __init__(self, url: str, suffix: str = "", wait_s: float = _WAIT_S) -> None:
        place = kafka_place(url)
        self._place = dataclasses.replace(place, topic=place.topic + suffix)
        self._library = kafka_library()
        self._wait_s = wait_s
        settings = {"acks": "all", "enable.idempotence": "true", "message.timeout.ms": str(int(wait_s * 1000))}
        self._producer = client(self._place, "Producer", settings)

    def send(self, bodies: Sequence[bytes], arrived: Sequence[int] | None = None) -> None:
        """Return when all messages are in the topic.

        arrived: of each, microseconds since 1970 UTC, kept in its header `ARRIVED`; None: the broker's time tells.
        Raises `ServeError` where one of them may not be; others may be, so that sending all again sends those twice.
        """
        end = time.monotonic() + self._wait_s
        told: list[str | None] = []  # by whichever thread serves the client: appending needs no lock
        for place, body in enumerate(bodies):
            headers = None if arrived is None else {ARRIVED: str(arrived[place])}
            self._produce(body, headers, lambda error, _: told.append(None if error is None else error.str()))
        while len(told) < len(bodies) and time.monotonic() < end + 1:
            self._producer.poll(0.05)
        faults = [fault for fault in told if fault is not None]
        if faults or len(told) < len(bodies):
            raise self._error(faults[0] if faults else "no answer")

    def close(self) -> None:
        """Forget the connection; what was not acknowledged is given up."""
        self._producer.purge()
        self._producer.flush(1.0)

    def _produce(self, body: bytes, headers: dict[str, str] | None, told: Callable[[Any, Any], None]) -> None:
        while True:
            try:
                self._producer.produce(self._place.topic, body, headers=headers, on_delivery=told)
                break
            except BufferError:  # the client's queue is full: wait for answers
                self._producer.poll(0.1)
            except self._library.KafkaException as error:
                raise self._error(error.args[0].str()) from None
        self._producer.poll(0)

    def _error(self, found: str) -> ServeError:
        said = self._place.error(found)
        return ServeError(self._place.url, f"not sent: {said}", "a broker that answers", "send it again")
