"""Stale cuts: deletes cuts on Kafka whose scopes vanished before the current owner took over."""

import asyncio
import logging

from aiokafka.errors import KafkaError

from stream_app.engine.rounds.cut_publisher import CutPublisher
from stream_app.kafka.corrupt_batches import CorruptBatchError
from stream_app.kafka.topic_reader import read_topics
from stream_app.settings import Settings

logger = logging.getLogger(__name__)

_RETRY_S = 5.0


async def delete_leftovers(settings: Settings, publisher: CutPublisher) -> None:
    """Scan the cuts topic once after every takeover, in the background, until cancelled."""
    while True:
        await publisher.took_over.wait()
        publisher.took_over.clear()
        try:
            publisher.forget_others(await _live_keys(settings))
        except (CorruptBatchError, KafkaError, OSError) as error:
            logger.warning("reading %s failed, trying again: %s", settings.cuts_topic, error)
            await asyncio.sleep(_RETRY_S)
            publisher.took_over.set()


async def _live_keys(settings: Settings) -> set[bytes]:
    """Read the keys that have a value. Values are not kept: the topic may be large until it is compacted."""
    keys: set[bytes] = set()
    async with read_topics(settings, settings.cuts_topic) as topic:
        while not await topic.has_caught_up():
            for _, records in await topic.fetch():
                for record in records:
                    if record.key is not None:
                        (keys.discard if record.value is None else keys.add)(record.key)
    return keys
