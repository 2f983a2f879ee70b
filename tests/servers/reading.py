"""Reads topics up to the end that they have now."""

from collections.abc import Iterator
from typing import Any

_POLL_MS = 100


def up_to_the_end(consumer: Any) -> Iterator[Any]:
    """The records of the assigned partitions from their positions on, until nothing more comes.

    The end that the embedded broker answers may be short by a batch, so an empty poll decides too.
    """
    ends = consumer.end_offsets(list(consumer.assignment()))
    while (polled := consumer.poll(timeout_ms=_POLL_MS)) or any(
        consumer.position(place) < end for place, end in ends.items()
    ):
        for records in polled.values():
            yield from records
