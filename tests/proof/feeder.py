"""Produces the contents of a proof in the background, at a given pace, through whatever happens to Kafka."""

import asyncio
import math
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import UnknownError, UnsupportedVersionError

from tests.proof.contents import Record

Place = tuple[str, int]

_BATCH_BYTES = 200_000
_STEP_S = 0.1
_PATIENCE_MS = 180_000


class _Pace(NamedTuple):
    """So many records per second, since a moment at which some had been sent already."""

    since_s: float
    sent: int
    per_second: float

    def due(self, now_s: float, most: int) -> int:
        """Records to be sent by `now_s`."""
        return int(min(most, self.sent + (now_s - self.since_s) * self.per_second))

    def reaches_s(self, records: int) -> float:
        """When so many are due."""
        return self.since_s + (records - self.sent) / self.per_second


class Feeder:
    """Sends records to the topics of the sources, in order within a partition; each at least once."""

    def __init__(self, brokers: str, topics: Sequence[str], records: Sequence[Record], per_second: float) -> None:
        self._brokers, self._topics, self._records = brokers, topics, records
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._pace = _Pace(time.monotonic(), 0, per_second)
        self.sent = 0
        """Records that Kafka has."""

    def start(self) -> "Feeder":
        """Begin."""
        self._thread.start()
        return self

    @property
    def due(self) -> int:
        """Records that should be in Kafka by now."""
        return self._pace.due(time.monotonic(), len(self._records))

    @property
    def is_done(self) -> bool:
        """Whether everything is in Kafka. Raises what ended it before."""
        if self._error is not None:
            raise self._error
        return not self._thread.is_alive()

    def hurry(self, per_second: float = math.inf) -> None:
        """Produce what is left at once, or at another pace: the load has done what it was for."""
        self._pace = _Pace(time.monotonic(), self.sent, per_second)

    def stop(self) -> None:
        """End it, whether it is done or not."""
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        try:
            asyncio.run(self._feed())
        except BaseException as error:  # noqa: BLE001 - `is_done` raises it
            self._error = error

    async def _feed(self) -> None:
        producer = await self._started()
        self._pace, taken = self._pace._replace(since_s=time.monotonic()), 0
        try:
            while taken < len(self._records) and not self._stop.is_set():
                due = max(taken, self._pace.due(time.monotonic() + _STEP_S, len(self._records)))
                await self._send(producer, self._records[taken:due])
                self.sent = taken = due
                await asyncio.sleep(min(max(0.0, self._pace.reaches_s(taken) - time.monotonic()), _STEP_S))
        finally:
            await producer.stop()

    async def _started(self) -> AIOKafkaProducer:
        """Idempotent where the broker can: a retried batch would be in the topic twice, and bad records with it."""
        for idempotent in (True, False):
            producer = AIOKafkaProducer(
                bootstrap_servers=self._brokers.split(","),
                acks="all",
                enable_idempotence=idempotent,
                max_batch_size=_BATCH_BYTES,
                request_timeout_ms=_PATIENCE_MS,
            )
            try:
                await producer.start()
            except (UnknownError, UnsupportedVersionError):
                await producer.stop()
            else:
                return producer
        raise AssertionError("no producer can be started")

    async def _send(self, producer: AIOKafkaProducer, records: Sequence[Record]) -> None:
        by_place: dict[Place, list[Record]] = {}
        for record in records:
            by_place.setdefault((self._topics[record.source], record.partition), []).append(record)
        await asyncio.gather(*(_send_all(producer, place, found) for place, found in by_place.items()))


async def _send_all(producer: AIOKafkaProducer, place: Place, records: Sequence[Record]) -> None:
    topic, partition = place
    now_ms = round(time.time() * 1000)
    sent = []
    batch = producer.create_batch()
    for record in records:
        if batch.append(key=record.key, value=record.value, timestamp=now_ms) is None:
            sent.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            assert batch.append(key=record.key, value=record.value, timestamp=now_ms) is not None
    sent.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*sent)
