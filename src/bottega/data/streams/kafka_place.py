"""Where a topic is, and how its brokers are reached: from a URL, and from the environment what should stand in none."""

from __future__ import annotations

import importlib
import os
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from bottega.errors import BuildError

ARRIVED = "bottega-arrived"
"""The header that says when an event arrived at the service, in microseconds since 1970 UTC."""
PREFIX = "BOTTEGA_KAFKA_"
"""Of variables of the environment that are settings: `BOTTEGA_KAFKA_SASL_PASSWORD` is `sasl.password`."""

_OURS = {
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "group.id",
    "partition.assignment.strategy",
}
_ALLOWED = "kafka://host:port[,host:port]/topic[?group=…][&setting=…]"


@dataclass(frozen=True)
class KafkaPlace:
    """A topic, and the settings of the client that reads or writes it."""

    servers: str
    """`host:port`, several with commas between them."""
    topic: str
    group: str | None = None
    """Of consumers, where the URL names one."""
    settings: dict[str, str] = field(default_factory=dict, repr=False)
    """Of librdkafka, by their names there; they may hold secrets."""

    @property
    def url(self) -> str:
        """Give the URL without settings, for messages and logs."""
        return f"kafka://{self.servers}/{self.topic}"

    def error(self, error: BaseException | object) -> str:
        """Write an error of the client without the values of settings: some are secrets."""
        text = str(error)
        for value in sorted(self.settings.values(), key=len, reverse=True):
            text = text.replace(value, "***") if len(value) > 3 else text
        return text


def kafka_place(url: str) -> KafkaPlace:
    """Read `kafka://host:port[,host:port]/topic?group=…&setting=…`, and the settings of the environment.

    A setting is one of librdkafka (`security.protocol=SASL_SSL`); where both have it, the URL's counts. Passwords
    belong into the environment: other people of the machine can read the words of a command.

    >>> kafka_place("kafka://one:9092,two:9092/events?group=shop").url
    'kafka://one:9092,two:9092/events'
    """
    found = re.fullmatch(r"kafka://([^/?#@\s]+)/([A-Za-z0-9._-]+)(?:\?(.*))?", url)
    if found is None:
        shown = re.sub(r"//.*@", "//***@", url.partition("?")[0])
        name = "a password belongs into BOTTEGA_KAFKA_SASL_PASSWORD" if "@" in url else ""
        raise BuildError(f"--stream {shown}", "no address of a topic", _ALLOWED, name)
    asked = parse_qsl(found[3] or "", keep_blank_values=True)
    settings = {
        name.removeprefix(PREFIX).lower().replace("_", "."): value
        for name, value in os.environ.items()
        if name.startswith(PREFIX)
    }
    settings.update((name, value) for name, value in asked if name != "group")
    place = KafkaPlace(found[1], found[2], dict(asked).get("group"), settings)
    if wrong := sorted(_OURS & settings.keys()):
        raise BuildError(
            f"--stream {place.url}", f"the setting {wrong[0]}", "settings that bottega does not set itself"
        )
    return place


def client(place: KafkaPlace, kind: str, settings: dict[str, Any]) -> Any:
    """Make a `Consumer` or a `Producer` of the client, which connects by itself and for ever.

    Raises `BuildError`: the client is not installed, or a setting is none.
    """
    library = kafka_library()
    mild = {"log_level": "2", "reconnect.backoff.ms": "250"}  # what goes wrong is told by `fault`
    try:
        return getattr(library, kind)({"bootstrap.servers": place.servers, **mild, **place.settings, **settings})
    except library.KafkaException as error:
        said = place.error(error.args[0].str())
        raise BuildError(f"--stream {place.url}", said, "settings of librdkafka, by its names") from None


def kafka_library() -> Any:
    """Give the client's module; `BuildError` where it is not installed."""
    try:
        return importlib.import_module("confluent_kafka")
    except ImportError:
        raise BuildError(
            "--stream kafka:", "confluent-kafka is not installed", "it, for Kafka alone", "pip install 'bottega[kafka]'"
        ) from None
