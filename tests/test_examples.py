"""The examples in deploy/examples do what they say, against a real broker."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaConsumer, KafkaProducer

from stream_app.core.events import Post, Share, decode
from stream_app.core.messages import FlagType
from stream_app.engine.topics import create
from stream_app.local.broker import embedded_broker
from stream_app.settings import Settings
from tests.board_samples import a_flag

pytestmark = pytest.mark.broker

EXAMPLES = Path(__file__).parent.parent / "deploy" / "examples"
DEADLINE_S = 20.0


@pytest.fixture(scope="module")
def default_topics() -> Iterator[str]:
    """A broker of its own with the topics under their default names, which the examples use."""
    with embedded_broker() as brokers:
        create(Settings(brokers=brokers, partitions=2))
        yield brokers


@contextmanager
def _running(example: str, brokers: str) -> Iterator[subprocess.Popen[str]]:
    """An example as a process, which ends with the block or after DEADLINE_S."""
    environ = {**os.environ, "STREAM_APP_BROKERS": brokers, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / example], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    )
    deadline = threading.Timer(DEADLINE_S, process.kill)
    deadline.start()
    try:
        yield process
    finally:
        deadline.cancel()
        process.kill()
        process.communicate()


def test_the_example_consumer_prints_every_flag_once(default_topics: str) -> None:
    emerging, entered = a_flag("ann", flag_id="1"), a_flag("ann", flag_id="2", flag_type=FlagType.ENTERED)
    with closing(KafkaProducer(bootstrap_servers=default_topics)) as producer:
        for flag in (emerging, emerging, entered):
            producer.send("influence.flags", key=b"ann", value=msgspec.json.encode(flag)).get(DEADLINE_S)
    with _running("consume_flags.py", default_topics) as consumer:
        assert consumer.stdout is not None
        lines = [consumer.stdout.readline() for _ in range(2)]
        consumer.send_signal(signal.SIGINT)
        assert consumer.wait(DEADLINE_S) == -signal.SIGINT
        assert consumer.stderr is not None
        assert consumer.stderr.read() == ""  # Ctrl-C is no error
    assert lines == ["emerging ann connector of tea 90 / 120\n", "entered ann connector of tea 90 / 120\n"]


def test_what_the_example_producer_sends_can_be_counted(default_topics: str) -> None:
    with _running("produce_events.py", default_topics) as producer:
        assert producer.wait(DEADLINE_S) == 0
    consumer = KafkaConsumer(
        "influence.posts", "influence.shares", bootstrap_servers=default_topics, auto_offset_reset="earliest"
    )
    with closing(consumer):
        records = {record.topic: record for record in (next(consumer), next(consumer))}
    for topic, kind in (("influence.posts", Post), ("influence.shares", Share)):
        decoded = decode([records[topic].value], kind, 1000)
        assert not decoded.rejected
        assert records[topic].key == json.loads(records[topic].value)["user_id"].encode()
