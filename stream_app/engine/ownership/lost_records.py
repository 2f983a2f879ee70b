"""Records that were never counted and that Kafka no longer has: what is said of them."""

import logging

from stream_app.kafka.records import Partition

logger = logging.getLogger(__name__)


def log_lost_records(tp: Partition, first: int, last: int) -> None:
    """Say which offsets are gone; always, for each of these lines is news."""
    logger.error(
        "%s-%d: offsets %d to %d are gone from Kafka (retention) and were not counted",
        *(*tp, first, last),
        extra={"kind": (tp, last)},
    )
