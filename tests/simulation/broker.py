"""The simulated Kafka: topics as partitions, each a log of record batches with offsets.

A log grows at its end and nowhere else. Compaction takes away records whose key was written again, but never changes an
offset; retention takes away the oldest batches. A fetch answers with whole batches from the one that holds the offset
asked for, so it may begin before it, as a real broker's does; they are packed and unpacked by Kafka's own format.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from stream_app.kafka.record_batches import PackedBatch
from tests.simulation.loop import Agenda
from tests.unit.engine.packing import read, record_batch

Headers = Sequence[tuple[str, bytes]]
Place = tuple[str, int]

_LONGEST_S = 20.0
"""Nothing takes longer: a run is given 90 s to come to rest."""
"""Topic and partition."""


class Record(NamedTuple):
    """A record in a log."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Batch:
    """A batch as it was appended; compaction may take records out of it."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records
        self.last = records[-1].offset
        self._bytes = b""

    def packed(self) -> bytes:
        """As Kafka stores it."""
        if not self._bytes:
            self._bytes = record_batch(self.records, last=self.last)
        return self._bytes

    def keep(self, wanted: Callable[[Record], bool]) -> None:
        """Take the others out."""
        kept = [record for record in self.records if wanted(record)]
        if len(kept) < len(self.records):
            self.records, self._bytes = kept, b""


class Log:
    """One partition."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.start = 0
        self.end = 0

    def append(self, records: Sequence[tuple[bytes | None, bytes | None, Headers]], now_ms: int) -> None:
        """Append records as one batch."""
        offsets = range(self.end, self.end + len(records))
        self.batches.append(Batch([Record(n, now_ms, *record) for n, record in zip(offsets, records, strict=True)]))
        self.end += len(records)

    def records(self) -> list[Record]:
        """All that is left."""
        return [record for batch in self.batches for record in batch.records]

    def table(self) -> dict[bytes, bytes]:
        """The last value of every key that is not deleted."""
        last = {record.key or b"": record.value for record in self.records()}
        return {key: value for key, value in last.items() if value is not None}

    def fetch(self, offset: int, batches: int) -> list[PackedBatch]:
        """Up to so many batches from `offset` on; below the start it is as if the consumer had asked for the start."""
        offset = max(offset, self.start)
        found = [batch for batch in self.batches if batch.last >= offset][:batches]
        return list(read(b"".join(batch.packed() for batch in found), offset)) if found else []

    def compact(self) -> None:
        """Keep the last record of each key; the newest batch is left as it is."""
        last = {record.key: record.offset for record in self.records()}
        for batch in self.batches[:-1]:
            batch.keep(lambda record: last[record.key] == record.offset)
        self.batches = [batch for batch in self.batches if batch.records]

    def forget(self, offset: int) -> None:
        """Retention: whole batches before `offset` go."""
        while self.batches and self.batches[0].last < offset:
            del self.batches[0]
        self.start = max(self.start, min(offset, self.batches[0].records[0].offset if self.batches else self.end))


class Broker:
    """All logs; what is appended when is decided by those who produce."""

    def __init__(self, agenda: Agenda, epoch_s: float) -> None:
        self.agenda = agenda
        self.logs: dict[Place, Log] = defaultdict(Log)
        self.on_append: list[Callable[[Place, list[Record]], Any]] = []
        self.slow_until_s = 0.0
        self._waiting: dict[Place, list[asyncio.Future[None]]] = defaultdict(list)
        self._epoch_s = epoch_s

    @property
    def now_s(self) -> float:
        """The true time of day, epoch s."""
        return self._epoch_s + self.agenda.now

    def append(self, place: Place, records: Sequence[tuple[bytes | None, bytes | None, Headers]]) -> None:
        """Append a batch."""
        self.logs[place].append(records, round(self.now_s * 1000))
        for listener in self.on_append:
            listener(place, self.logs[place].batches[-1].records)
        waiting, self._waiting[place] = self._waiting[place], []
        for future in waiting:
            self.agenda.after(self.delay_s(), partial(_resolve, future))

    async def news(self, places: Iterable[Place]) -> None:
        """Wait until something is appended to one of these."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for place in places:
            self._waiting[place].append(future)
        await future

    def delay_s(self, slowness: float = 1.0) -> float:
        """How long something takes on the way to the broker or back, or in a slow process: mostly little."""
        rng = self.agenda.rng
        if self.agenda.now < self.slow_until_s or rng.random() < 0.01:
            return min(rng.uniform(0.1, 1.5) * slowness, _LONGEST_S)
        return rng.uniform(0.001, 0.02) * slowness


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
