"""Copies the inputs to the new topics, keyed and placed as producers do; a copy that was killed goes on."""

import re
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

from kafka.partitioner.default import murmur2

from stream_app.core.events.dead_letter import Origin
from stream_app.kafka.clients import NO_VALUE, open_consumer, open_producer
from stream_app.kafka.topic_scan import OnProgress, partitions_of, read, spans
from stream_app.ops.dead_letters.scan import StoredLetter, letters_in
from stream_app.ops.migrate.migration_plan import MigrationPlan
from stream_app.ops.migrate.time_merge import merged
from stream_app.ops.migrate.uncounted import UncountedRecords
from stream_app.settings import Settings

ORIGIN_HEADER = "stream-app.migrated-from"
"""partition/offset of the record that was copied."""
_MOST_IN_FLIGHT = 20_000
_ACK_S = 60.0
_PROGRESS_EVERY = 2_000

Reached = dict[tuple[str, int, int], int]
"""By old topic, old partition and new partition: the offset of the last record that was copied there."""


class CopyReport(NamedTuple):
    """What a copy has done."""

    copied: int
    """Records copied now."""
    there: int
    """Records that an earlier try had copied."""
    set_aside: int
    """Records that the old tracker could not count, and that are therefore not copied."""


def copy_inputs(plan: MigrationPlan, on_progress: OnProgress | None = None) -> CopyReport:
    """Copy what the plan's inputs hold and the new topics lack. Raises KafkaOperationError."""
    renamed = dict(zip(plan.before.source_topics, plan.after.source_topics, strict=True))
    with open_consumer(plan.before) as consumer:
        uncounted = _uncounted(plan, consumer)
        reached, there, rejected_since = _reached(plan, consumer, {new: old for old, new in renamed.items()}, uncounted)
        copied = seen = 0
        left_out = uncounted.unread_records - rejected_since
        total = sum(span.end - span.start for span in plan.inputs.values())
        with _Copier(plan.after) as copier:
            for record in merged(consumer, plan.inputs):
                seen += 1
                origin = Origin(record.topic, record.partition, record.offset)
                if origin in uncounted.unread:
                    pass  # they are counted already
                elif origin in uncounted.rejected or _place(record.key, plan.before.partitions) != record.partition:
                    left_out += 1
                else:
                    partition = _place(record.key, plan.after.partitions)
                    if record.offset > reached.get((record.topic, record.partition, partition), -1):
                        copier.send(renamed[record.topic], partition, record)
                        copied += 1
                if on_progress is not None and seen % _PROGRESS_EVERY == 0:
                    on_progress(seen, total)
    return CopyReport(copied, there, left_out)


class _Copier:
    """Produces copies; each partition in order, with a bounded number of them unacknowledged."""

    def __init__(self, settings: Settings) -> None:
        self._opened = open_producer(settings, max_in_flight_requests_per_connection=1, linger_ms=20)
        self._in_flight: deque[Any] = deque()

    def __enter__(self) -> Self:
        self._producer = self._opened.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:  # noqa: PYI036 - handed on to a context manager
        try:
            if raised[0] is None:
                self._producer.flush(_ACK_S)
                self._settle(0)
        except BaseException as error:
            self._opened.__exit__(type(error), error, error.__traceback__)
            raise
        self._opened.__exit__(*raised)

    def send(self, topic: str, partition: int, record: Any) -> None:
        origin = f"{record.partition}/{record.offset}".encode()
        self._in_flight.append(
            self._producer.send(
                topic,
                NO_VALUE if record.value is None else record.value,
                record.key,
                headers=[*record.headers, (ORIGIN_HEADER, origin)],
                partition=partition,
                timestamp_ms=record.timestamp,
            )
        )
        if len(self._in_flight) >= _MOST_IN_FLIGHT:
            self._settle(_MOST_IN_FLIGHT // 2)

    def _settle(self, most: int) -> None:
        while len(self._in_flight) > most:
            self._in_flight.popleft().get(_ACK_S)


def _place(key: bytes | None, partitions: int) -> int:
    """The partition that producers give a key; -1 without one."""
    return -1 if key is None else (int(murmur2(key)) & 0x7FFF_FFFF) % partitions


def _uncounted(plan: MigrationPlan, consumer: Any) -> UncountedRecords:
    """The records that the old tracker could not count, as far as their letters are kept."""
    letters = spans(consumer, partitions_of(consumer, [plan.before.dead_letters_topic]))
    found = (entry.letter for entry in letters_in(consumer, letters) if isinstance(entry, StoredLetter))
    return UncountedRecords.of(found, plan.inputs)


def _reached(
    plan: MigrationPlan, consumer: Any, old_of: dict[str, str], uncounted: UncountedRecords
) -> tuple[Reached, int, int]:
    """What the new topics hold already, how many records that is, and how many of them were set aside since."""
    reached: Reached = {}
    there = rejected_since = 0
    for record, (partition, offset) in _copies(plan, consumer):
        there += 1
        rejected_since += Origin(old_of[record.topic], partition, offset) in uncounted
        key = (old_of[record.topic], partition, record.partition)
        reached[key] = max(offset, reached.get(key, -1))
    return reached, there, rejected_since


def _copies(plan: MigrationPlan, consumer: Any) -> Iterator[tuple[Any, tuple[int, int]]]:
    """The copies in the new topics, each with the partition and offset it came from."""
    for record in read(consumer, spans(consumer, partitions_of(consumer, plan.after.source_topics))):
        for name, value in record.headers:
            if name == ORIGIN_HEADER and (origin := re.fullmatch(rb"(\d{1,9})/(\d{1,18})", value or b"")):
                yield record, (int(origin[1]), int(origin[2]))
