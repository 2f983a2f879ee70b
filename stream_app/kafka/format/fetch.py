"""The bytes of a fetch, cut into the batches in it: what the clients call MemoryRecords."""

import struct

from aiokafka.errors import CorruptRecordException

from stream_app.kafka.format.batch import RecordBatch
from stream_app.kafka.format.legacy import LegacyBatch

_OVERHEAD = 12
_LENGTH_AT = 8
_MAGIC_AT = 16

AnyBatch = RecordBatch | LegacyBatch


class FetchedBytes:
    """What was fetched of one partition; the last batch may be cut off."""

    def __init__(self, fetched: bytes) -> None:
        self._fetched = memoryview(fetched)
        self._at = 0

    def size_in_bytes(self) -> int:
        """Bytes that were fetched."""
        return len(self._fetched)

    def has_next(self) -> bool:
        """Whether there is another whole batch, or one whose length is damaged."""
        return self._end() <= len(self._fetched)

    def next_batch(self) -> AnyBatch | None:
        """The next batch; None after the last. Raises CorruptRecordException."""
        end = self._end()
        if end > len(self._fetched):
            return None
        if end <= self._at + _MAGIC_AT:
            raise CorruptRecordException("the length of a record batch is wrong")
        raw = self._fetched[self._at : end]
        self._at = end
        return RecordBatch(raw) if raw[_MAGIC_AT] >= RecordBatch.magic else LegacyBatch(raw)

    def _end(self) -> int:
        if self._at + _OVERHEAD > len(self._fetched):
            return len(self._fetched) + 1
        length: int = struct.unpack_from(">i", self._fetched, self._at + _LENGTH_AT)[0]
        return self._at + _OVERHEAD + length
