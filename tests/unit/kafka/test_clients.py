"""Kafka clients: the options that all clients of one library share."""

import pytest
from aiokafka.consumer import fetcher

from stream_app.kafka.async_clients import aiokafka_options, new_async_consumer
from stream_app.kafka.record_batches import leave_records_packed
from stream_app.settings import Settings


async def test_every_async_consumer_hands_over_record_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_records_packed()
    packed = (fetcher.MemoryRecords, fetcher.PartitionRecords)
    monkeypatch.setattr(fetcher, "MemoryRecords", None)
    monkeypatch.setattr(fetcher, "PartitionRecords", None)
    await new_async_consumer(aiokafka_options(Settings()), "topic").stop()
    assert (fetcher.MemoryRecords, fetcher.PartitionRecords) == packed
