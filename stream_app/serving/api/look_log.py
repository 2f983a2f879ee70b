"""The audit of looks at people: a record on Kafka for each, before the answer is given; without it there is none."""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from aiohttp import web
from aiokafka.errors import KafkaError

from stream_app.core.messages import Look
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.core.readable import readable
from stream_app.kafka.async_clients import new_async_producer
from stream_app.serving.http.auth import CALLER
from stream_app.serving.http.problems import RefusedError
from stream_app.settings import Settings, SettingsError

REASON = "X-Stream-App-Reason"
"""Header in which somebody may say why they look."""
_MOST_REASON = 200
_WITHIN_S = 5.0
_NOT_AUDITED = "looks at people are audited, and Kafka does not take the record: ask again soon"


class LookLog:
    """Writes the records, where looks are audited."""

    def __init__(self, settings: Settings, new_producer: Callable[[Settings], Any] = new_async_producer) -> None:
        self.is_on = settings.audit
        self._settings = settings
        self._new_producer = new_producer
        self._producer: Any = None
        self._starting = asyncio.Lock()
        has_names = settings.person_key and not settings.pseudonyms  # else what is shown is a pseudonym already
        self._hashes = PersonHashes(settings.person_key.reveal()) if has_names else None

    async def record(self, request: web.Request, persons: Sequence[str]) -> None:
        """Return once Kafka has the record of a look at some people. Raises RefusedError."""
        if not self.is_on:
            return
        look = Look(
            look_id=uuid.uuid4().hex,
            looked_at=round(time.time() * 1000),
            caller=request[CALLER].name,
            route=request.match_info.route.resource.canonical if request.match_info.route.resource else request.path,
            population=request.query.get("population"),
            topic=request.query.get("topic"),
            persons=[self._hashes.pseudonym(person) for person in persons] if self._hashes else list(persons),
            reason=readable(request.headers.get(REASON, ""), _MOST_REASON),
        )
        try:
            async with asyncio.timeout(_WITHIN_S):
                producer = await self._started()
                await producer.send_and_wait(
                    self._settings.audit_topic, key=look.caller.encode(), value=msgspec.json.encode(look)
                )
        except (KafkaError, OSError, SettingsError) as error:  # a TimeoutError is an OSError
            raise RefusedError(503, _NOT_AUDITED) from error

    async def close(self) -> None:
        """Close the connection."""
        if self._producer is not None:
            await self._producer.stop()

    async def _started(self) -> Any:
        async with self._starting:
            if self._producer is None:
                producer = self._new_producer(self._settings)
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
        return self._producer
