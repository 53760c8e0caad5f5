"""Dead letters in a topic."""

from __future__ import annotations

from collections.abc import Sequence

from bottega.data.streams.dead import letter
from bottega.data.streams.kafka_sender import KafkaSender
from bottega.data.streams.messages import Refused

SUFFIX = ".dead"


class DeadTopic:
    """Dead letters as messages of the topic `<topic>.dead`, in the form in which `letter` writes them.

    url: of the stream. The topic must be there, or the broker make it by itself.
    """

    def __init__(self, url: str) -> None:
        self._sender = KafkaSender(url, SUFFIX)

    def add(self, refused: Sequence[Refused]) -> None:
        """Send letters, and return when all replicas in sync have them."""
        self._sender.send([letter(item) for item in refused])

    def close(self) -> None:
        """Forget the connection."""
        self._sender.close()
