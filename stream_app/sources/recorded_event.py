"""A recorded event, as files, demo and benchmark give it to the replay."""

from typing import NamedTuple

NO_KEY = b""
NO_TIME_MS = -1


class EventFileError(ValueError):
    """A file of events cannot be read; the message names it and says why."""


class RecordedEvent(NamedTuple):
    """A record to produce."""

    share: bool
    """Whether it goes to the topic of shares; every other kind but retractions goes to the topic of posts."""
    key: bytes
    """The user id as text; empty when the event has none."""
    value: bytes
    """The JSON of the event."""
    ts_ms: int
    """Event time, epoch ms; -1 when the event has none."""
    retraction: bool = False
    """Whether it takes something back, and goes to the topic of retractions."""

    @property
    def source(self) -> int:
        """Which of `Settings.source_topics` it goes to."""
        return 2 if self.retraction else int(self.share)
