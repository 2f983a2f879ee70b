"""Topic identity: whether a source topic is still the one that a ledger has counted."""

from uuid import UUID

from stream_app.core.state.watermark import Source
from stream_app.engine.liveness.broker_monitor import TopicIdentity

_NO_ID = str(UUID(int=0))
_RESET = "stop all workers and run `stream-app reset`: counting restarts with the records that Kafka still has"


def adopt(source: Source, found: TopicIdentity) -> None:
    """Record in `source` which topic it is read from."""
    source.topic_id, source.partitions = found.id, found.partitions


def mismatch(topic: str, source: Source, found: TopicIdentity, partitions: int) -> str:
    """Return why `topic` as found is not the one that `source` was read from, and how to fix it; empty if it is.

    `partitions`: the configured number.
    """
    if found.partitions != (source.partitions or partitions):
        return (
            f"topic {topic} has {found.partitions} partitions now and had {source.partitions or partitions}: users "
            f"would move between ledgers; create topics with the old number, or set STREAM_APP_PARTITIONS, {_RESET}"
        )
    known = source.topic_id not in {"", _NO_ID} and found.id != _NO_ID
    if known and source.topic_id != found.id:
        return f"topic {topic} was deleted and created again: its offsets belong to other records now; {_RESET}"
    return ""
