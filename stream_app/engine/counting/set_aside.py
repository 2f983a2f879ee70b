"""Setting aside: writes the records that are not counted to the dead letters and to the late events."""

import logging
from collections.abc import Sequence

from stream_app.core.events.dead_letter import LONGEST_MESSAGE, DeadLetter, Origin, Shared, attempts_of
from stream_app.core.events.decode import Rejected
from stream_app.core.events.letter_budget import LetterBudget
from stream_app.engine.context import EngineContext
from stream_app.kafka.format.compression import TOO_LARGE
from stream_app.kafka.records import Batch, Partition, UnreadableBatch
from stream_app.settings import Settings

logger = logging.getLogger(__name__)


class SetAside:
    """Writes letters, within their budgets."""

    def __init__(self, context: EngineContext) -> None:
        self._settings = context.settings
        self._output = context.output
        self._meter = context.meter
        self._clock = context.clock
        self._rejected_budget = LetterBudget(context.settings.dead_letters_per_s)
        self._late_budget = LetterBudget(context.settings.dead_letters_per_s)

    async def records(self, batch: Batch, rejected: Sequence[Rejected], late: Sequence[int]) -> None:
        """Write the records that are not counted, `rejected` and `late`; return when Kafka has them."""
        if rejected:
            first = rejected[0]
            logger.warning(
                "%d of %d records of %s-%d cannot be counted and go to %s; the first, at offset %d: %s",
                *(len(rejected), len(batch.records), batch.topic, batch.partition),
                *(
                    self._settings.dead_letters_topic,
                    batch.records[first.index].offset,
                    first.message[:LONGEST_MESSAGE],
                ),
                extra={"kind": (batch.topic, first.reason)},
            )
            most_bytes = self._output.most_letter_bytes(self._settings.dead_letters_topic)
            letters = (_dead_letter(batch, reject.index, reject.reason, reject.message) for reject in sorted(rejected))
            self._output.dead_letters(self._rejected_budget.within(letters, most_bytes, self._clock()))
        if late:
            message = f"older than the window of {self._settings.window_s:g} s"
            most_bytes = self._output.most_letter_bytes(self._settings.late_topic)
            letters = (_dead_letter(batch, index, "late", message) for index in late)
            self._output.late(self._late_budget.within(letters, most_bytes, self._clock()))
        if rejected or late:
            await self._output.flush()

    async def unreadable(self, batch: Batch, found: UnreadableBatch) -> None:
        """Write one letter for all records of a batch that cannot be read; return when Kafka has it."""
        place = Partition(batch.topic, batch.partition)
        advice = raise_the_bound(self._settings) if found.reason == TOO_LARGE else "correct the producer"
        logger.warning(
            "%s-%d: %s; they are not counted, and one record in %s stands for them: %s",
            *(*place, found, self._settings.dead_letters_topic, advice),
            extra={"kind": (batch.topic, found.reason)},
        )
        self._meter.bound_hit("max_unpacked_bytes" if found.reason == TOO_LARGE else "unreadable_batch")
        message = f"{found}. They are not counted, and only their topic holds them; {advice}"
        shared = Shared(found.last, {found.reason: found.records}, [(found.first, found.last)])
        letter = DeadLetter(Origin(*place, found.first), None, None, found.reason, message, shared=shared)
        self._output.dead_letters([letter])
        await self._output.flush()


def raise_the_bound(settings: Settings) -> str:
    """What to do about record batches that are larger than they may be."""
    bound = f"STREAM_APP_MAX_UNPACKED_BYTES ({settings.max_unpacked_bytes})"
    return f"have the producer send smaller batches, or raise {bound}"


def _dead_letter(batch: Batch, index: int, reason: str, message: str) -> DeadLetter:
    record = batch.records[index]
    origin = Origin(batch.topic, batch.partition, record.offset)
    return DeadLetter(origin, record.key, record.value, reason, message[:LONGEST_MESSAGE], attempts_of(record.headers))
