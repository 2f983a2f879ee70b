"""Recorded events: what the files, the demo and the benchmark hand to the replay."""

from typing import NamedTuple


class EventFileError(ValueError):
    """A file of events cannot be read; the message names it and says why."""


class RecordedEvent(NamedTuple):
    """A record to produce, as it will stand on Kafka."""

    share: bool
    """Whether it belongs on the topic of shares; every other kind belongs on that of posts."""
    key: bytes
    """The user id as text; empty when the event has none."""
    value: bytes
    """The JSON of the event."""
    ts_ms: int
    """Event time, epoch ms; -1 when the event has none."""
