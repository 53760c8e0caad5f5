"""Where a topic is and where reading begins: settings without their secrets, and starts against a naive oracle."""

import sys
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bottega.data.streams.kafka import KafkaStream
from bottega.data.streams.kafka_begin import BeganAnewError, Begin, begin
from bottega.data.streams.kafka_place import client, kafka_place
from bottega.data.streams.kafka_sender import KafkaSender
from bottega.errors import BuildError


def test_a_url_names_servers_topic_group_and_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTTEGA_KAFKA_SASL_PASSWORD", "hush")
    monkeypatch.setenv("BOTTEGA_KAFKA_SECURITY_PROTOCOL", "SSL")
    place = kafka_place("kafka://one:9092,two:9093/shop.events-1?group=g&security.protocol=SASL_SSL&sasl.username=me")
    assert (place.servers, place.topic, place.group) == ("one:9092,two:9093", "shop.events-1", "g")
    assert place.settings == {"security.protocol": "SASL_SSL", "sasl.username": "me", "sasl.password": "hush"}
    assert place.url == "kafka://one:9092,two:9093/shop.events-1"
    assert "hush" not in repr(place)
    assert place.error("no hush today, me") == "no *** today, me"


@pytest.mark.parametrize(
    "url",
    [
        "kafka:",
        "kafka://one:9092",
        "kafka://one:9092/",
        "kafka://one:9092/a/b",
        "kafka:///topic",
        "kafka://me:hush@one:9092/topic",
        "kafka://one:9092/topic?group=g&enable.auto.commit=true",
        "kafka://one:9092/topic?bootstrap.servers=hush",
        "kafka://one:9092/topic?no.such.setting=hush",
        "kafka://one:9092/topic?session.timeout.ms=hush",
    ],
)
def test_a_wrong_url_is_refused_without_its_secrets(url: str) -> None:
    for kind in (KafkaSender, lambda url: KafkaStream(url, "g")):
        with pytest.raises(BuildError) as error:
            kind(url)
        assert "hush" not in str(error.value)
        assert str(error.value).startswith("--stream kafka:")


def test_a_client_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    for kind in (KafkaSender, lambda url: KafkaStream(url, "g"), lambda url: client(kafka_place(url), "Producer", {})):
        with pytest.raises(BuildError, match=r"bottega\[kafka\]"):
            kind("kafka://one:9092/topic")


class Broker:
    """Partitions as lists of arrivals in milliseconds, the first ones dropped; answers as a broker does."""

    def __init__(self, arrivals: list[list[int]], dropped: list[int], committed: list[int], knows_times: bool) -> None:
        self.arrivals, self.dropped, self.offsets, self.knows_times = arrivals, dropped, committed, knows_times

    def committed(self, asked, **_):
        return [place(at.topic, at.partition, self.offsets[at.partition]) for at in asked]

    def get_watermark_offsets(self, at, **_):
        return self.dropped[at.partition], len(self.arrivals[at.partition])

    def offsets_for_times(self, asked, **_):
        (at,) = asked
        low = self.dropped[at.partition]
        kept = enumerate(self.arrivals[at.partition][low:], low) if self.knows_times else ()
        return [place(at.topic, at.partition, next((offset for offset, ms in kept if ms >= at.offset), -1))]


def place(topic: str, partition: int, offset: int = -1001) -> SimpleNamespace:
    return SimpleNamespace(topic=topic, partition=partition, offset=offset, error=None)


LIBRARY = SimpleNamespace(TopicPartition=place, KafkaException=ValueError)


@settings(max_examples=300)
@given(st.data())
def test_reading_begins_at_what_was_committed_or_at_the_first_that_arrived_later(data: st.DataObject) -> None:
    arrivals = sorted(data.draw(st.lists(st.integers(0, 9), max_size=8)))
    new = sorted(data.draw(st.lists(st.integers(max([5, *arrivals]), 12), max_size=3)))
    low = data.draw(st.integers(0, len(arrivals)))
    committed = data.draw(st.just(-1001) | st.integers(0, len(arrivals)))
    start = data.draw(st.none() | st.integers(0, 4999))  # in microseconds, before anything new
    broker = Broker([arrivals], [low], [committed], data.draw(st.booleans()))
    state: Begin | None = begin(LIBRARY, broker, "t", [0], start)[0]
    offset, read, everything = state.offset, [], arrivals + new
    while offset < len(everything):
        left_out, after = state.left_out(offset, everything[offset] * 1000) if state else (False, None)
        if not left_out:
            read.append(offset)
        begun_anew = after is not None and after is not state
        offset = after.offset if begun_anew else offset + 1
        state = after
    if committed >= 0:
        expected = list(range(max(committed, low), len(everything)))
    else:
        kept = range(low, len(everything))
        expected = [at for at in kept if start is None or everything[at] * 1000 > start]
    assert read == expected


def test_more_committed_than_there_is_means_another_topic() -> None:
    with pytest.raises(BeganAnewError, match="partition 0 ends at 2, and was read up to 3"):
        begin(LIBRARY, Broker([[1, 2]], [0], [3], True), "t", [0], None)


def test_a_broker_that_does_not_answer_is_the_librarys_error() -> None:
    broker = Broker([[1, 2]], [0], [0], True)
    broker.committed = lambda *_, **__: [SimpleNamespace(partition=0, offset=-1, error="gone")]
    with pytest.raises(ValueError, match="gone"):
        begin(LIBRARY, broker, "t", [0], None)
