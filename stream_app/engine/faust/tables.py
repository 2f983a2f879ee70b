"""A Faust table whose writes name their partition, so that timers can write as well as agents."""

from collections.abc import Callable, Iterable
from typing import Any

import faust

from stream_app.engine.producer import BatchingProducer


class PartitionTable(faust.Table[bytes, bytes]):
    """Bytes by bytes key, each key in a partition of the writer's choice; restored from its changelog.

    Faust's own table takes the partition of the event that an agent is at, raises where there is none, and sends every
    write on its own. This one puts its writes into `producer`.
    """

    producer: BatchingProducer
    data: Any
    kept: Callable[[bytes], bytes] | None = None
    """How a value is kept in memory, where that is not as it is on Kafka."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._restored: dict[int, int] = {}
        """By partition that is held in whole: where its log ended when it was read."""

    def write(self, partition: int, key: bytes, value: bytes | None, kept: bytes | None = None) -> None:
        """Set `key` in `partition`, or delete it (None); `kept`: the value as it is kept, where that is at hand."""
        if value is not None:
            self.data.data[key] = kept or self._as_kept(value)
            # Faust's store learns the partition of a key only in recovery; noted here, it drops the key with it.
            self._partitions[key] = partition
        elif self.data.data.pop(key, None) is not None:
            del self._partitions[key]
        else:
            return
        self.producer.put(self.changelog_topic_name, partition, key, value)

    def of_partition(self, partition: int) -> dict[bytes, bytes]:
        """All that the table holds in `partition`."""
        data = self.data.data
        return {key: data[key] for key, where in self._partitions.items() if where == partition and key in data}

    def some(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """What the table holds of `keys`."""
        data = self.data.data
        return {key: data[key] for key in keys if key in data}

    def is_restored(self, partition: int, end: int) -> bool:
        """Whether the table holds all of `partition`, whose log ends at `end`: nobody else has written since."""
        return self._restored.get(partition) is not None and end == max(
            self._restored[partition], self.producer.ends.get((self.changelog_topic_name, partition), 0)
        )

    def restore(self, partition: int, records: Iterable[Any]) -> None:
        """Take up records of the log of `partition`."""
        data, partitions = self.data.data, self._partitions
        for record in records:
            if record.value is None:
                data.pop(record.key, None)
                partitions.pop(record.key, None)
            else:
                data[record.key] = self._as_kept(record.value)
                partitions[record.key] = partition

    def restored(self, partition: int, end: int) -> None:
        """All of the log of `partition` has been taken up, to before `end`."""
        self._restored[partition] = end

    def drop(self, partition: int) -> None:
        """Forget all that the table holds in `partition`."""
        self._restored.pop(partition, None)
        for key in [key for key, where in self._partitions.items() if where == partition]:
            del self.data.data[key], self._partitions[key]

    def keep(self, partitions: set[int]) -> None:
        """Forget all but `partitions`."""
        for partition in {*self._restored, *self._partitions.values()} - partitions:
            self.drop(partition)

    def _as_kept(self, value: bytes) -> bytes:
        return self.kept(value) if self.kept else value

    @property
    def _partitions(self) -> dict[bytes, int]:
        held: dict[bytes, int] = self.data._key_partition  # noqa: SLF001 - the memory store has no other way to learn it
        return held
