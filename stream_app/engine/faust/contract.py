"""The contract with Faust, aiokafka and kafka-python: every undocumented name of theirs that the engine uses.

Faust has no extension point for batches, for positions of our own, or for a recovery that reads to the end. So the
engine depends on names that an upgrade may remove or rename. Without this list the failure would be a hang in the
middle of a rebalance. A worker checks the list before it starts and refuses to run if a name is gone; a test checks it
too. Code that uses another such name must add it here, with the reason. docs/reliability.md describes the faults of
Faust behind most of them.
"""

import inspect
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

_FAULTS = "docs/reliability.md#what-faust-does-and-what-is-done-about-it"

CONTRACT: dict[str, dict[str, str]] = {
    "faust.app.base": {
        "App.FlowControlQueue": "creates the queues of agents: ours never pause single partitions",
        "App.in_recovery": "set while the tables are restored, as Faust's recovery does",
        "App.flow_control": "resumed when the tables are restored",
        "App._fetcher": "started when the tables are restored",
        "App.on_rebalance_complete": "sent when the tables are restored",
        "App.on_rebalance_end": "called when the tables are restored",
        "App.consumer_generation_id": "the generation in which partitions were assigned",
    },
    "faust.tables.manager": {
        "TableManager.recovery": "replaced: Faust's mistakes an empty table for a recovered one",
        "TableManager._recovery": "where the recovery is kept",
        "TableManager.on_actives_ready": "called when the tables are restored",
        "TableManager.on_standbys_ready": "called when the tables are restored",
    },
    "faust.stores.memory": {
        "Store._key_partition": "the partition of a key: Faust sets it only in recovery",
        "Store.data": "what a table holds",
    },
    "faust.topics": {"Topic.declare": "replaced: would create topics, which workers need no right to"},
    "faust.serializers.codecs": {"codecs": "the pickle codecs are removed"},
    "faust.transport.utils": {"DefaultSchedulingStrategy.iterate": "replaced: yields batches"},
    "faust.transport.consumer": {
        "Consumer._add_gap": "replaced: a batch has its last record's offset; the offsets before it are no gap",
        "Consumer._new_offset": "replaced: commits the offset after the last batch counted",
        "Consumer._acked": "offsets of batches that agents have finished",
        "Consumer._acked_index": "the same as a set",
        "Consumer._read_offset": "set with every seek",
        "Consumer.perform_seek": "replaced: seeks to the positions of the ledgers, not of the group",
        "ThreadDelegateConsumer._commit": "wrapped: the watchdog sees a commit that hangs",
        "ThreadDelegateConsumer._thread": "the thread that talks to Kafka",
    },
    "faust.transport.drivers.aiokafka": {
        "Consumer._new_consumer_thread": "replaced: creates our thread",
        "Transport.Consumer": "replaced: there is no setting for it",
        "AIOKafkaConsumerThread._create_consumer": "wrapped: sets what Faust has no setting for",
        "AIOKafkaConsumerThread._ensure_consumer": "aiokafka's consumer",
        "AIOKafkaConsumerThread._consumer": "aiokafka's consumer",
        "AIOKafkaConsumerThread.highwater": "wrapped: ends at the last stable offset",
        "AIOKafkaConsumerThread.on_partitions_assigned": "wrapped: pauses the changelogs",
        "AIOKafkaConsumerThread.verify_event_path": "wrapped: a paused changelog is no stall",
    },
    "mode.worker": {
        "Worker._on_sigusr1": "replaced: logs everything for a while",
        "Worker._on_sigusr2": "replaced: Faust starts a debugger, which stops counting",
    },
    "mode.utils.queues": {"FlowControlQueue.pressure_high_size": "raised: the consumer waits instead of partitions"},
    "aiokafka.consumer.fetcher": {
        "MemoryRecords": "replaced: record batches are left packed",
        "PartitionRecords": "replaced: returns a record batch as one record",
        "PartitionRecords.next_fetch_offset": "where the next fetch begins",
        "PartitionRecords._records_iterator": "the record batches of a fetch",
        "PartitionRecords._consumer_record": "replaced: records the end of a record batch",
        "PartitionRecords._tp": "the partition of a fetch",
        "PartitionRecords._contains_abort_marker": "replaced: a control record may be malformed",
    },
    "aiokafka.consumer.consumer": {
        "AIOKafkaConsumer._isolation_level": "read_committed: Faust's setting would turn on much else",
        "AIOKafkaConsumer._fetch_max_wait_ms": "shorter: one fetch is under way per node",
        "AIOKafkaConsumer._fetch_min_bytes": "larger: many small batches become few",
        "AIOKafkaConsumer._coordinator": "the member of the group",
        "AIOKafkaConsumer.last_stable_offset": "up to where committed records can be read",
        "AIOKafkaConsumer.last_poll_timestamp": "when that was last said",
    },
    "aiokafka.consumer.group_coordinator": {
        "GroupCoordinator._send_req": "wrapped: the group's answers renew the lease",
        "GroupCoordinator.reset_generation": "wrapped: the group has removed this member",
        "GroupCoordinator.generation": "the current generation",
        "GroupCoordinator._closing": "a leaving member still writes",
    },
    "aiokafka.protocol.group": {"HeartbeatRequest": "renews the lease", "SyncGroupRequest": "renews the lease"},
    "aiokafka.protocol.produce": {"ProduceRequest": "waits for the lease before every attempt"},
    "aiokafka.producer.producer": {"AIOKafkaProducer.client": "sends what is produced"},
    "aiokafka.client": {
        "AIOKafkaClient.send": "wrapped: waits for the lease before every attempt to write",
        "AIOKafkaClient.ready": "connects before the lease is checked",
    },
    "aiokafka.record.default_records": {"DefaultRecordBatch": "reads the records of a batch without compression"},
    "kafka.consumer.group": {"KafkaConsumer._fetcher": "gives the records of a fetch"},
    "kafka.consumer.fetcher": {"Fetcher.PartitionRecords": "replaced: reads every codec, within bounds"},
    "kafka.record": {"MemoryRecords._buffer": "the bytes of a fetch"},
    "kafka.admin": {
        "KafkaAdminClient._describe_configs_process_responses": "wrapped: it hides which topics are not authorised",
        "KafkaAdminClient._process_acl_operations": "replaced: fails on operations it does not know",
    },
    "kafka.protocol.consumer.offsets": {"IsolationLevel": "ends of committed records"},
}
"""By module: the names, each with the reason it is needed."""


@cache
def broken() -> list[str]:
    """Return the names of the contract that are gone, each with the reason it is needed."""
    return [
        f"{module}.{name} ({reason})"
        for module, names in CONTRACT.items()
        for name, reason in names.items()
        if not _exists(module, name)
    ]


def refusal() -> str:
    """Return why a worker must not start with the installed library versions; empty if it may."""
    if gone := broken():
        return (
            "Faust, aiokafka or kafka-python is not the version that this release was built for; gone: "
            f"{', '.join(gone)}. Install the pinned versions (requirements.lock), or see {_FAULTS}"
        )
    return ""


def missing_extensions() -> list[str]:
    """Return the libraries that run without their C extensions: they are slower then, with the same results."""
    is_compiled = {
        "faust": getattr(import_module("faust.streams"), "_CStreamIterator", None) is not None,
        "aiokafka": "_crecords" in import_module("aiokafka.record.default_records").DefaultRecordBatch.__module__,
    }
    return [library for library, compiled in is_compiled.items() if not compiled]


def _exists(module: str, name: str) -> bool:
    try:
        found: Any = import_module(module)
    except ImportError:
        return False
    *owners, attribute = name.split(".")
    for owner in owners:
        found = getattr(found, owner, None)
    return hasattr(found, attribute) or (inspect.isclass(found) and _is_set_in(found, attribute))


def _is_set_in(owner: type, attribute: str) -> bool:
    """Return whether instances have the attribute: annotated, or assigned in the source of a class."""
    assigned = re.compile(rf"\bself\.{attribute}\b[^=\n]*=[^=]")
    return any(
        attribute in getattr(base, "__annotations__", ()) or assigned.search(source)
        for base in owner.__mro__[:-1]
        for source in _sources(base)
    )


def _sources(owner: type) -> Iterator[str]:
    try:
        yield inspect.getsource(owner)
    except (OSError, TypeError):
        return
