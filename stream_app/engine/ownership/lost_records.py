"""Lost records: logs offsets that Kafka deleted before they were counted."""

import logging

from stream_app.kafka.records import Partition

logger = logging.getLogger(__name__)


def log_lost_records(tp: Partition, first: int, last: int) -> None:
    """Log which offsets are gone. Every range is logged: `kind` keeps them from being throttled as repeats."""
    logger.error(
        "%s-%d: offsets %d to %d are gone from Kafka (retention) and were not counted",
        *(*tp, first, last),
        extra={"kind": (tp, last)},
    )
