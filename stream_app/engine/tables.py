"""A Faust table that is told which partition it writes to, so that timers can write as well as agents."""

import asyncio
from collections.abc import Callable
from typing import Any

import faust
from faust.types import FutureMessage


class PartitionTable(faust.Table[bytes, bytes]):
    """Bytes by bytes key, each key in a partition of the writer's choice.

    Faust's own table takes the partition of the event that an agent is at and raises where there is none. A write that
    Kafka does not take is not survivable (the log would have a hole), so it is reported to `on_lost`.
    """

    on_lost: Callable[[BaseException | None], None]
    data: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._writing: int | None = None
        self._unsent: dict[int, FutureMessage] = {}

    def write(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Set `key` in `partition`, or delete it (None)."""
        self._writing = partition
        if value is None:
            if key in self.data:
                del self[key]
            self._partitions.pop(key, None)
            return
        self[key] = value
        # Faust's store learns the partition of a key only in recovery; told here, it drops the key with the partition.
        self._partitions[key] = partition

    def of_partition(self, partition: int) -> dict[bytes, bytes]:
        """All that the table holds in `partition`."""
        data = self.data.data
        return {key: data[key] for key, where in self._partitions.items() if where == partition and key in data}

    def partition_for_key(self, key: Any) -> int | None:  # noqa: ARG002 - Faust's signature
        """The partition being written to."""
        return self._writing

    @property
    def _partitions(self) -> dict[bytes, int]:
        held: dict[bytes, int] = self.data._key_partition  # noqa: SLF001 - the memory store has no other way to be told
        return held

    def send_changelog(self, partition: int | None, key: Any, value: Any, *args: Any, **kwargs: Any) -> FutureMessage:
        """Send a write to the log, and remember it until Kafka has it."""
        sent = super().send_changelog(partition, key, value, *args, **kwargs)
        if partition is not None:
            self._unsent[partition] = sent
        sent.add_done_callback(self._sent)
        return sent

    async def written(self, partition: int) -> None:
        """Return when Kafka has all that was written to `partition` so far."""
        last = self._unsent.get(partition)
        if last is not None:
            await asyncio.wait([last])

    def _sent(self, sent: FutureMessage) -> None:
        if not sent.cancelled() and sent.exception() is not None:
            self.on_lost(sent.exception())
