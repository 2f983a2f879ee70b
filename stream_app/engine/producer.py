"""The batching producer: writes all records of the tracker to Kafka, in one batch per partition at a time.

A record sent on its own costs 100 to 300 µs in Faust and 50 µs in aiokafka; in a large batch it costs 3 µs. Writes to
the same partition keep their order. If the broker supports it, the producer is idempotent, so retries do not duplicate.

No batch is larger than the broker takes (`MessageLimits`). Should it refuse one for its size nonetheless, because its
limit is not known or was lowered, the batch is written in halves; a single record that may be written without its value
is, and any other is a `RefusedSizeError`. Batches of a partition go one after the other, so that none overtakes one
that was refused.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownError,
    UnsupportedVersionError,
)
from aiokafka.protocol.produce import ProduceRequest

from stream_app.engine.message_limits import MessageLimits
from stream_app.engine.ownership.fencing import Lease
from stream_app.kafka.async_clients import new_async_producer
from stream_app.settings import Settings

logger = logging.getLogger(__name__)

_LARGEST_REQUEST = 8_000_000
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_MUCH_WAITING = 16_000_000
_PATIENCE_MS = 120_000
"""How long a write is retried before the worker ends."""
_LINGER_S = 0.01
_RECORD_OVERHEAD = 100
_HEADER_OVERHEAD = 10

Headers = Sequence[tuple[str, bytes]]
Place = tuple[str, int]


class RefusedSizeError(KafkaError):  # type: ignore[misc]  # aiokafka has no types
    """The broker takes no record as large as one of the state; the message says what to do."""


class _PendingRecord(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: Headers
    spare: Callable[[], Headers] | None
    """Makes the headers of the record that is sent in place of one that is too large, without key and value."""
    size: int
    """About as many bytes as it has in a batch, rather more."""

    @classmethod
    def of(
        cls, key: bytes | None, value: bytes | None, headers: Headers, spare: Callable[[], Headers] | None
    ) -> "_PendingRecord":
        """A record with its size."""
        size = len(key or b"") + len(value or b"") + _RECORD_OVERHEAD
        if headers:
            size += sum(len(name) + len(text) + _HEADER_OVERHEAD for name, text in headers)
        return cls(key, value, headers, spare, size)


class BatchingProducer:
    """Collects records and sends them; `run()` must run beside it."""

    def __init__(
        self,
        settings: Settings,
        lease: Lease,
        limits: MessageLimits | None = None,
        bound_hit: Callable[[str], object] = bool,
    ) -> None:
        """`bound_hit`: called with the name of a bound that the broker has set, when a write met it."""
        self._settings = settings
        self._lease = lease
        self._limits = limits or MessageLimits(settings.max_message_bytes)
        self._bound_hit = bound_hit
        self._producer: Any = None
        self._waiting: dict[Place, list[_PendingRecord]] = defaultdict(list)
        self._waiting_bytes = 0
        self._sending = asyncio.Lock()
        self._some = asyncio.Event()
        self._failure: KafkaError | None = None
        self.alone_until: dict[Place, int] = {}
        """By partition of which somebody has read all: up to here nobody else has written since."""

    def put(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        spare: Callable[[], Headers] | None = None,
    ) -> None:
        """Queue a record, to be sent within about 10 ms; `spare` makes headers to send alone if it is too large."""
        record = _PendingRecord.of(key, value, headers, spare)
        self._waiting[topic, partition].append(record)
        self._waiting_bytes += record.size
        self._some.set()

    @property
    def is_owing(self) -> bool:
        """Whether Kafka has not confirmed all queued records yet."""
        return bool(self._waiting) or self._sending.locked()

    @property
    def has_failed(self) -> bool:
        """Whether Kafka did not take something: nothing is sent any more."""
        return self._failure is not None

    @property
    def refusal(self) -> str:
        """What to do before a worker can write on; empty where starting it again may help."""
        return str(self._failure) if isinstance(self._failure, RefusedSizeError) else ""

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
                await self._send_all(waiting)
            except KafkaError as error:
                self._failure = error
                self._some.set()
                raise

    async def _send_all(self, waiting: dict[Place, list[_PendingRecord]]) -> None:
        left = dict(waiting)
        while left:
            producer = await self._started()
            sending = [_Sending(place, records, self._limits.batch(place[0])) for place, records in left.items()]
            await asyncio.gather(*(each.run(producer) for each in sending))
            for each in sending:
                self._note_sent(each)
            refused = [each for each in sending if each.left]
            if refused:
                # The sequence numbers of an idempotent producer have a gap now, so the broker would refuse the rest.
                await producer.stop()
                self._producer = None
            left = {each.place: self._smaller(each) for each in refused}

    def _note_sent(self, sending: "_Sending") -> None:
        for offset, count in sending.sent:
            if self.alone_until.get(sending.place) == offset:
                self.alone_until[sending.place] += count
            else:
                self.alone_until.pop(sending.place, None)

    def _smaller(self, refused: "_Sending") -> list[_PendingRecord]:
        """Return what is left to send of a partition, after its first batch was refused for its size."""
        (topic, partition), size = refused.place, refused.size
        self._bound_hit("broker_message_bytes")
        if refused.count > 1:
            self._limits.refused(topic, size)
            logger.warning("%s-%d takes no batch of %d bytes: written in smaller ones", topic, partition, size)
            return refused.left
        record, *others = refused.left
        if record.spare is None:
            raise RefusedSizeError(
                f"{topic} does not take a record of {size} bytes: raise its max.message.bytes, or "
                f"set STREAM_APP_MAX_MESSAGE_BYTES (now {self._settings.max_message_bytes}) below what it takes"
            )
        headers = record.spare()  # they say where it came from; its key may name a user, and no log does
        logger.error(
            "%s-%d does not take a record of %d bytes, with a key of %d: written without both, with the headers %.300r",
            *(topic, partition, size, len(record.key or b""), headers),
            extra={"kind": (topic, "too large")},
        )
        return [_PendingRecord.of(None, None, headers, None), *others]

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
            max_batch_size=self._settings.max_message_bytes,
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


class _Sending:
    """Sends the records of one partition in order, in batches of at most `most` bytes, until one is refused."""

    def __init__(self, place: Place, records: list[_PendingRecord], most: int) -> None:
        self.place = place
        self.left = records
        self._most = most
        self.count = self.size = 0
        """Of the batch that was sent last."""
        self.sent: list[tuple[int, int]] = []
        """Of each batch that was sent: the offset of its first record, and how many it has."""

    async def run(self, producer: Any) -> None:
        """Send all that is left; after a refusal, what was refused and all after it is left. Raises KafkaError."""
        topic, partition = self.place
        while self.left:
            batch = self._filled(producer.create_batch())
            try:
                sent = await (await producer.send_batch(batch, topic, partition=partition))
            except _TOO_LARGE:
                return
            self.sent.append((int(sent.offset), self.count))
            self.left = self.left[self.count :]

    def _filled(self, batch: Any) -> Any:
        self.count = self.size = 0
        for record in self.left:
            if self.count and self.size + record.size > self._most:
                break
            added = batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
            if added is None:
                break
            self.count += 1
            self.size += record.size
        return batch
