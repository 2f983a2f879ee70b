"""The batching producer: writes all records of the tracker to Kafka, in one batch per partition at a time.

A record sent on its own costs 100 to 300 µs in Faust and 50 µs in aiokafka; in a large batch it costs 3 µs. Writes to
the same partition keep their order. If the broker supports it, the producer is idempotent, so retries do not duplicate.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError, UnknownError, UnsupportedVersionError
from aiokafka.protocol.produce import ProduceRequest

from stream_app.engine.ownership.fencing import Lease
from stream_app.kafka.async_clients import new_async_producer
from stream_app.settings import Settings

logger = logging.getLogger(__name__)

_BATCH_BYTES = 900_000
_LARGEST_REQUEST = 8_000_000
_MUCH_WAITING = 16_000_000
_PATIENCE_MS = 120_000
"""How long a write is retried before the worker ends."""
_LINGER_S = 0.01
_RECORD_OVERHEAD = 100

Headers = Sequence[tuple[str, bytes]]
Place = tuple[str, int]


class _PendingRecord(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: Headers


class BatchingProducer:
    """Collects records and sends them; `run()` must run beside it."""

    def __init__(self, settings: Settings, lease: Lease) -> None:
        self._settings = settings
        self._lease = lease
        self._producer: Any = None
        self._waiting: dict[Place, list[_PendingRecord]] = defaultdict(list)
        self._waiting_bytes = 0
        self._sending = asyncio.Lock()
        self._some = asyncio.Event()
        self._failure: KafkaError | None = None
        self.ends: dict[Place, int] = {}
        """By partition: the offset after the last record sent there."""

    def put(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers = ()) -> None:
        """Queue a record, to be sent within about 10 ms."""
        self._waiting[topic, partition].append(_PendingRecord(key, value, headers))
        self._waiting_bytes += len(key or b"") + len(value or b"") + _RECORD_OVERHEAD
        self._some.set()

    @property
    def is_owing(self) -> bool:
        """Whether Kafka has not confirmed all queued records yet."""
        return bool(self._waiting) or self._sending.locked()

    @property
    def has_failed(self) -> bool:
        """Whether Kafka did not take something: nothing is sent any more."""
        return self._failure is not None

    async def flush(self) -> None:
        """Return when Kafka has all records queued before. Raises KafkaError if this or an earlier write failed.

        Nothing is sent while the lease has lapsed, because another worker may own the partitions. A cancelled flush
        still finishes, so that a write it has begun leaves no gap.
        """
        await asyncio.shield(asyncio.ensure_future(self._flush()))

    async def _flush(self) -> None:
        async with self._sending:
            if self._failure is not None:
                raise self._failure
            if self._waiting:
                await self._lease.held()
            waiting, self._waiting = self._waiting, defaultdict(list)
            self._waiting_bytes = 0
            self._some.clear()
            if not waiting:
                return
            try:
                producer = await self._started()
                ends = await asyncio.gather(*(_send(producer, *sending) for sending in waiting.items()))
                self.ends.update(zip(waiting, ends, strict=True))
            except KafkaError as error:
                self._failure = error
                self._some.set()
                raise

    async def relieve(self) -> None:
        """Flush if the queue takes too much memory. Call this after many puts."""
        if self._waiting_bytes > _MUCH_WAITING:
            await self.flush()

    async def run(self) -> None:
        """Send queued records until cancelled. Raises KafkaError if a write fails."""
        try:
            while True:
                await self._some.wait()
                await asyncio.sleep(_LINGER_S)
                await self.flush()
        finally:
            if self._producer is not None:
                await self._producer.stop()

    async def _started(self) -> Any:
        if self._producer is None:
            try:
                self._producer = await self._start(idempotent=True)
            except (UnknownError, UnsupportedVersionError):
                # Safe nonetheless: a segment key never has two contents, and repeated flags have the same id.
                logger.info("this broker has no idempotent producers: a retried write may appear twice in the log")
                self._producer = await self._start(idempotent=False)
        return self._producer

    async def _start(self, *, idempotent: bool) -> Any:
        producer = new_async_producer(
            self._settings,
            enable_idempotence=idempotent,
            max_batch_size=_BATCH_BYTES,
            max_request_size=_LARGEST_REQUEST,
            request_timeout_ms=_PATIENCE_MS,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        write_within(self._lease, producer.client)
        return producer


def write_within(lease: Lease, client: Any) -> None:
    """Make a producer's client wait for the lease before every attempt to write.

    A producer retries on its own. After a disconnect it would write as soon as it is reconnected, before the consumer
    beside it has learned that the partitions have another owner.
    See docs/reliability.md#fault-producer-retries.
    """
    send = client.send

    async def asking(node: Any, request: Any, **options: Any) -> Any:
        if isinstance(request, ProduceRequest):
            await client.ready(node)  # connect first: it can take longer than the lease lasts
            await lease.held()
        return await send(node, request, **options)

    client.send = asking


async def _send(producer: Any, place: Place, records: list[_PendingRecord]) -> int:
    """Send records in order. Returns the offset after the last one."""
    topic, partition = place
    sent = []
    batch, count = producer.create_batch(), 0
    for record in records:
        if batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers)) is None:
            sent.append(await producer.send_batch(batch, topic, partition=partition))
            batch, count = producer.create_batch(), 0
            batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
        count += 1
    sent.append(await producer.send_batch(batch, topic, partition=partition))
    last = (await asyncio.gather(*sent))[-1]
    return int(last.offset) + count
