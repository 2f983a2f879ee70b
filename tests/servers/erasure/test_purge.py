"""Records removed from a topic that is not compacted, on brokers that can and that cannot."""

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from stream_app.kafka.clients import NO_VALUE, open_producer
from stream_app.ops.erasure.purge import deletes_records, remove
from stream_app.settings import Settings
from tests.servers.brokers import APACHE
from tests.servers.erasure.traces import records_of

pytestmark = pytest.mark.timeout(90)


def filled(brokers: str, topic: str, keys: str) -> Settings:
    """A topic with a record for every letter in its second partition."""
    admin = KafkaAdminClient(bootstrap_servers=brokers)
    admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])
    admin.close()
    sender = KafkaProducer(bootstrap_servers=brokers, acks="all")
    for number, key in enumerate(keys):
        headers = [("why", key.encode())]
        value = None if key == "n" else b"value"
        sent = sender.send(topic, value, key.encode(), headers, partition=1, timestamp_ms=1_700_000_000_000 + number)
        sent.get(30)
    sender.close()
    return Settings(brokers=brokers)


@pytest.mark.parametrize("brokers", [APACHE], indirect=True)
def test_all_records_of_others_before_the_last_move_to_the_end_as_they_are(brokers: str) -> None:
    settings = filled(brokers, "rewriting", "axbnxcd")
    place = TopicPartition("rewriting", 1)
    assert deletes_records(settings, "rewriting")
    before = {record.key: record for record in records_of(settings, "rewriting")}
    assert remove(settings, place, 4, lambda record: record.key == b"x") == 3
    after = list(records_of(settings, "rewriting"))
    assert [record.key for record in after] == [b"c", b"d", b"a", b"b", b"n"]
    for record in after:
        original = before[record.key]
        assert (record.value, record.headers, record.timestamp, record.partition) == (
            *(original.value, original.headers, original.timestamp, original.partition),
        )
    assert remove(settings, place, 4, lambda _: True) == 0


@pytest.mark.parametrize("brokers", [APACHE], indirect=True)
def test_records_of_others_with_neither_key_nor_value_move_too(brokers: str) -> None:
    """As dead letters are where pseudonyms are on, and where a record came with neither."""
    settings = filled(brokers, "rewriting-nothing", "a")
    why = [("why", b"nothing")]
    with open_producer(settings) as sender:
        for key, value in ((None, NO_VALUE), (b"x", b"value")):
            sender.send("rewriting-nothing", value, key, why, partition=1).get(30)
    place = TopicPartition("rewriting-nothing", 1)
    assert remove(settings, place, 2, lambda record: record.key == b"x") == 2
    moved = [(record.key, record.value, record.headers) for record in records_of(settings, "rewriting-nothing")]
    assert moved[1] == (None, None, why)
    assert len(moved) == 2


@pytest.mark.parametrize("brokers", [APACHE], indirect=True)
def test_the_very_last_record_can_be_removed(brokers: str) -> None:
    settings = filled(brokers, "rewriting-last", "x")
    assert remove(settings, TopicPartition("rewriting-last", 1), 0, lambda _: True) == 0
    assert list(records_of(settings, "rewriting-last")) == []


def test_a_broker_that_deletes_no_records_is_detected(brokers: str) -> None:
    settings = filled(brokers, "rewriting-embedded", "x")
    assert not deletes_records(settings, "rewriting-embedded")
    assert len(list(records_of(settings, "rewriting-embedded"))) == 1
