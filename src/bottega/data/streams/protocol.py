"""What a stream is: messages in partitions, each with its place, and a memory of how far a group has come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

UNKNOWN = -1
"""The arrival of a message that does not say when it arrived; such a message is refused."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message of a stream."""

    partition: int
    offset: int
    """Its place in the partition: of two messages the later one has the larger offset, with gaps between them."""
    time: int
    """When it arrived, microseconds since 1970 UTC, or `UNKNOWN`."""
    body: bytes
    """What was sent: an event as JSON, if nothing is wrong with it."""


class Stream(Protocol):
    """Messages for one member of a group of consumers; all calls come from one thread.

    Every message is given at least once to some member of the group. One whose offset was not committed comes again
    after a restart, and when its partition goes to another member or comes back: whoever applies messages skips those
    whose offset it has applied already.
    """

    def poll(self, most: int, wait_s: float) -> list[Message]:
        """Give up to `most` messages, of each partition in the order of their offsets; none after `wait_s` seconds.

        It waits only while there is nothing to give. With `most=0` it gives nothing and keeps the member's place in the
        group: for a caller that cannot take any more now. Whatever is wrong with the source passes or does not: poll
        gives nothing meanwhile, `fault` says why, and it goes on where it stood. Raises `ServeError` only where waiting
        is of no use.
        """
        ...

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Remember durably that all before these offsets is done: the offset of each partition's last message + 1.

        Partitions that this member no longer holds are left out. Raises `ServeError` where it could not be
        remembered; it may be repeated, and a later commit makes up for it.
        """
        ...

    def lag(self) -> dict[int, int]:
        """Count the messages that wait and were not polled, for each partition that the member holds."""
        ...

    def assigned(self) -> frozenset[int]:
        """Name the partitions that the member holds; it changes in `poll` only.

        What a caller has polled and not yet applied of a partition that is gone belongs to another member: forget it.
        """
        ...

    def fault(self) -> str | None:
        """Say what keeps messages from coming; nothing while all is well."""
        ...

    def close(self) -> None:
        """Leave the group; closing twice is harmless."""
        ...
