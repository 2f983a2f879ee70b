"""Reads the changelog of the ledgers: what a new owner of each partition would find there now."""

from collections.abc import Iterable, Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.state.ledger import Ledger
from stream_app.engine.influence.funnel_settings import funnel_settings_of
from stream_app.kafka.topics import changelogs_of
from stream_app.settings import Settings
from tests.servers.reading import up_to_the_end


def compacted(records: Iterable[Any], partitions: int) -> dict[int, dict[bytes, bytes]]:
    """The last value of every key, by partition."""
    found: dict[int, dict[bytes, bytes]] = {number: {} for number in range(partitions)}
    for record in records:
        if record.value is None:
            found[record.partition].pop(record.key, None)
        else:
            found[record.partition][record.key] = record.value
    return found


def restored(settings: Settings) -> list[LedgerStore]:
    """All partitions, with their funnels."""
    log, _ = changelogs_of(settings)
    consumer = KafkaConsumer(bootstrap_servers=settings.brokers, auto_offset_reset="earliest", enable_auto_commit=False)
    consumer.assign([TopicPartition(log, number) for number in range(settings.partitions)])
    consumer.seek_to_beginning()
    tables = compacted(up_to_the_end(consumer), settings.partitions)
    consumer.close()
    return [_opened(settings, partition, table) for partition, table in tables.items()]


def _opened(settings: Settings, partition: int, table: Mapping[bytes, bytes]) -> LedgerStore:
    ledger = Ledger(settings.pane_ms, settings.panes, settings.short_panes)
    return LedgerStore(partition, ledger, table, lambda *_: None, funnel=funnel_settings_of(settings))
