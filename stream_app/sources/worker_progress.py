"""How far the workers have counted, from the statuses that they publish."""

from collections.abc import Sequence

from stream_app.core.changelog import status
from stream_app.core.changelog.status import Status
from stream_app.kafka.topic_scan import LeftOut, TopicTail


class WorkerProgress:
    """Follows the statuses of all partitions."""

    def __init__(self, curves: TopicTail, source_topics: Sequence[str]) -> None:
        self._curves = curves
        self._source_topics = source_topics
        self._statuses: dict[int, Status] = {}
        self._left_out = LeftOut()

    def positions(self) -> dict[tuple[str, int], int]:
        """The next offset to be counted, by topic and partition; empty where nobody has counted these topics.

        Raises KafkaOperationError.
        """
        for record in self._curves.unread():
            with self._left_out.unless_readable(record):
                status.read_into(self._statuses, record.key, record.value)
        return {
            (topic, known.partition): source.position
            for known in self._statuses.values()
            for topic, source in known.sources.items()
            if topic in self._source_topics
        }
