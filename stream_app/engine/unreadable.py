"""What is left out of the tracker's own topics, because no worker of this release can have written it."""

import logging

from stream_app.engine.ports import Meter
from stream_app.kafka.records import Partition, UnreadableBatch

logger = logging.getLogger(__name__)

_KEY_SHOWN = 60


class UnreadableRecords:
    """Counts what is left out, and logs it once for each kind."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def batch(self, place: Partition, found: UnreadableBatch) -> None:
        """A part of a record batch is left out."""
        logger.error("%s-%d: left out %s", *place, found, extra={"kind": (place.topic, found.reason)})
        self._meter.bound_hit("unreadable_batch")

    def record(self, place: Partition, offset: int, key: bytes | None, why: object) -> None:
        """A record is left out. `key` is logged: None where it could name a user."""
        kind = (key or b"").partition(b"/")[0][:_KEY_SHOWN]
        logger.error(
            "%s-%d: left out the record at offset %d, key %r: %s",
            *(*place, offset, key[:_KEY_SHOWN] if key else key, why),
            extra={"kind": (place.topic, kind)},
        )
        self._meter.bound_hit("unreadable_record")
