"""What the workers last published for each other: the status of every partition, and who they are."""

from collections import Counter
from typing import Any, NamedTuple

from stream_app.core.changelog import status
from stream_app.core.changelog.columns import FormatError
from stream_app.core.changelog.status import Status
from stream_app.core.group import announcement
from stream_app.core.group.announcement import Announcement
from stream_app.kafka.topic_scan import newest, partitions_of, read, spans
from stream_app.settings import Settings

_RECORDS = 100_000
"""The newest records of the curves topic that are read: each owner writes a status several times a second."""
_SILENT_FOR = 4
"""A worker is gone when another one announced itself so often since."""
_LOG_APPEND_TIME = 1


class HeardWorker(NamedTuple):
    """The last announcement of a worker."""

    said: Announcement
    offset: int
    kafka_ms: int | None
    """Kafka's clock when it came; None where the topic keeps the time of the writer."""


class CurvesTopic(NamedTuple):
    """The newest content of the curves topic."""

    statuses: dict[int, Status]
    workers: list[HeardWorker]
    """Those that are probably still there, the first that joined first."""
    unreadable: str
    """Why a record could not be read; empty if all could."""


def read_curves_topic(settings: Settings, consumer: Any) -> CurvesTopic:
    """Read the end of the curves topic."""
    statuses: dict[int, Status] = {}
    heard: list[tuple[str, HeardWorker | None]] = []
    unreadable = ""
    for record in read(consumer, newest(spans(consumer, partitions_of(consumer, [settings.curves_topic])), _RECORDS)):
        try:
            status.read_into(statuses, record.key, record.value)
            if (worker := announcement.worker_of(record.key or b"")) is not None:
                said = announcement.decode(record.value) if record.value else None
                kafka_ms = record.timestamp if record.timestamp_type == _LOG_APPEND_TIME else None
                heard.append((worker, HeardWorker(said, record.offset, kafka_ms) if said else None))
        except FormatError as error:
            unreadable = str(error)
    return CurvesTopic(statuses, _live(heard), unreadable)


def _live(heard: list[tuple[str, HeardWorker | None]]) -> list[HeardWorker]:
    """Return the last announcements of the workers that others do not outlive, going by their order alone."""
    last: dict[str, tuple[int, HeardWorker | None]] = {}
    for place, (worker, found) in enumerate(heard):
        last[worker] = (place, found)
    live = []
    for worker, (place, found) in last.items():
        later = Counter(other for other, _ in heard[place + 1 :] if other != worker)
        if found is not None and max(later.values(), default=0) < _SILENT_FOR:
            live.append(found)
    return sorted(live, key=lambda found: found.said.joined if found.said.joined >= 0 else found.offset)
