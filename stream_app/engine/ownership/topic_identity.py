"""Whether a source topic is still the one that a ledger has counted."""

from uuid import UUID

from stream_app.core.state.watermark import Source
from stream_app.engine.liveness.broker_monitor import TopicIdentity

_NO_ID = str(UUID(int=0))
_ANEW = "stop all workers and run `stream-app reset`: counting begins anew with what Kafka holds"


def adopt(source: Source, found: TopicIdentity) -> None:
    """Have a source remember which topic it is read from."""
    source.topic_id, source.partitions = found.id, found.partitions


def mismatch(topic: str, source: Source, found: TopicIdentity, partitions: int) -> str:
    """What is wrong with `topic` as found, and what repairs it; empty where it is the one that `source` was read from.

    `partitions`: what the settings say.
    """
    if found.partitions != (source.partitions or partitions):
        return (
            f"topic {topic} has {found.partitions} partitions now and had {source.partitions or partitions}: users "
            f"would move between ledgers; make new topics with the old number, or set STREAM_APP_PARTITIONS, {_ANEW}"
        )
    known = source.topic_id not in {"", _NO_ID} and found.id != _NO_ID
    if known and source.topic_id != found.id:
        return f"topic {topic} was deleted and made again: its offsets are those of other records; {_ANEW}"
    return ""
