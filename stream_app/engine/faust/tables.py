"""A Faust table whose writes name their partition, so that timers can write as well as agents can."""

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import faust

from stream_app.engine.producer import BatchingProducer
from stream_app.kafka.records import Partition


class PartitionTable(faust.Table[bytes, bytes]):
    """Maps byte keys to byte values. The writer chooses the partition of a key. Restored from its changelog.

    Faust's own table uses the partition of the event that an agent is processing, raises if there is none, and sends
    every write on its own. This table puts its writes into `producer`.
    See docs/reliability.md#fault-table-outside-stream.
    """

    mundane_level = "debug"
    producer: BatchingProducer
    data: Any
    kept: Callable[[bytes], bytes] | None = None
    """Converts a value from Kafka to its in-memory format; None if it is kept unchanged."""
    readable: Callable[[bytes, bytes, bytes | None], bytes | None] | None = None
    """The same for a record (key, value, and the kept value before it) that is restored; None for one left out."""
    on_unreadable: Callable[[Partition, int, bytes | None, object], None] | None = None
    """Called with the place of a record that is left out, no key, because it names a user, and why."""

    def write(self, partition: int, key: bytes, value: bytes | None, kept: bytes | None = None) -> None:
        """Set `key` in `partition`, or delete it (None); `kept`: the value in its in-memory format, if available."""
        if value is not None:
            self.data.data[key] = b"" if partition in self._only_keys else kept or self._as_kept(value)
            # Faust's store sets the partition of a key only in recovery. Set it here, so that `drop` finds the key.
            self._partitions[key] = partition
        elif self.data.data.pop(key, None) is not None:
            del self._partitions[key]
        else:
            return
        self.producer.put(self.changelog_topic_name, partition, key, value)

    def keep_only_keys(self, partition: int) -> None:
        """Keep the keys of `partition` without their values, until it is dropped: its owner needs these no more.

        Does nothing unless all of it is restored: the values of a partition that is being read again are to be used.
        """
        is_whole = (self.changelog_topic_name, partition) in self.producer.alone_until
        if is_whole and partition not in self._only_keys:
            self._only_keys.add(partition)
            self.data.data.update(dict.fromkeys(self.of_partition(partition), b""))

    def of_partition(self, partition: int) -> dict[bytes, bytes]:
        """Return all keys and values in `partition`; empty values if only keys are kept."""
        data = self.data.data
        return {key: data[key] for key, where in self._partitions.items() if where == partition and key in data}

    def some(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the values of those `keys` that are in the table."""
        data = self.data.data
        return {key: data[key] for key in keys if key in data}

    def is_restored(self, partition: int, end: int) -> bool:
        """Return whether the table has all of `partition`, whose changelog ends at `end`: no one else has written."""
        return self.producer.alone_until.get((self.changelog_topic_name, partition)) == end

    def restore(self, partition: int, records: Iterable[Any]) -> None:
        """Apply records from the changelog of `partition`."""
        data, partitions = self.data.data, self._partitions
        for record in records:
            if record.value is None:
                data.pop(record.key, None)
                partitions.pop(record.key, None)
                continue
            value = record.value
            if self.readable:
                value = self.readable(record.key, record.value, data.get(record.key))
            if value is not None:
                data[record.key] = value
                partitions[record.key] = partition
            elif self.on_unreadable:
                place = Partition(self.changelog_topic_name, partition)
                self.on_unreadable(
                    place, record.offset, None, "it is no standing, or came too late; a flag may come again"
                )

    def restored(self, partition: int, end: int) -> None:
        """Note that the changelog of `partition` has been applied up to `end`, exclusive."""
        self.producer.alone_until[self.changelog_topic_name, partition] = end

    def drop(self, partition: int) -> None:
        """Drop everything in `partition` from memory."""
        self.producer.alone_until.pop((self.changelog_topic_name, partition), None)
        self._only_keys.discard(partition)
        for key in [key for key, where in self._partitions.items() if where == partition]:
            del self.data.data[key], self._partitions[key]

    def keep(self, partitions: set[int]) -> None:
        """Drop everything but `partitions` from memory."""
        for partition in {*self._partitions.values()} - partitions:
            self.drop(partition)

    def _as_kept(self, value: bytes) -> bytes:
        return self.kept(value) if self.kept else value

    @cached_property
    def _only_keys(self) -> set[int]:
        """Partitions whose values are not kept."""
        return set()

    @property
    def _partitions(self) -> dict[bytes, int]:
        held: dict[bytes, int] = self.data._key_partition  # noqa: SLF001 - the memory store has no public access to it
        return held
