"""What the tracker produces to Kafka: one method per topic, each record complete with key and headers."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, NamedTuple

import msgspec

from stream_app.core import curves, status
from stream_app.core.curves import Curves
from stream_app.core.messages import Cut, Flag
from stream_app.core.status import Status
from stream_app.engine.ports import Send
from stream_app.settings import Settings

_JSON = msgspec.json.Encoder()
_HEADER = "__streams.errors."


class Letter(NamedTuple):
    """A record that is not counted, to be set aside as it came."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    reason: str
    message: str

    def headers(self) -> list[tuple[str, bytes]]:
        """Where the record came from and why it is here, under the names that Kafka Streams gave these headers."""
        fields = {
            "topic": self.topic,
            "partition": str(self.partition),
            "offset": str(self.offset),
            "exception": self.reason,
            "message": self.message,
        }
        return [(_HEADER + name, text.encode(errors="replace")) for name, text in fields.items()]


def cut_key(cut: Cut) -> bytes:
    """The key of a cut: its topic, population and role as a JSON array."""
    return _JSON.encode((cut.topic, cut.population, cut.role))


class Outlet:
    """Sends through the producer of the Faust app."""

    def __init__(self, send: Send, settings: Settings) -> None:
        self._send = send
        self._settings = settings

    async def dead_letters(self, letters: Iterable[Letter]) -> None:
        """Records that cannot be counted; returns when Kafka has them."""
        await self._letters(self._settings.dead_letters_topic, letters)

    async def late(self, letters: Iterable[Letter]) -> None:
        """Events older than the window; returns when Kafka has them."""
        await self._letters(self._settings.late_topic, letters)

    async def flags(self, flags: Iterable[Flag]) -> None:
        """Standings that changed, keyed by user; returns when Kafka has them."""
        topic = self._settings.flags_topic
        await _all([await self._send(topic, f.user_id.encode(), _JSON.encode(f), None, None) for f in flags])

    async def cuts(self, cuts: Iterable[Cut]) -> None:
        """Cuts that changed."""
        for cut in cuts:
            await self._send(self._settings.cuts_topic, cut_key(cut), _JSON.encode(cut), None, None)

    async def forget_cuts(self, keys: Iterable[bytes]) -> None:
        """Scopes without users: their cuts are deleted."""
        for key in keys:
            await self._send(self._settings.cuts_topic, key, None, None, None)

    async def curves(self, messages: Iterable[Curves]) -> None:
        """What a partition tells the others."""
        for message in messages:
            key = f"curves/{message.partition}/{message.bucket}".encode()
            await self._send(self._settings.curves_topic, key, curves.encode(message), 0, None)

    async def status(self, message: Status) -> None:
        """How far a partition has come."""
        key = f"status/{message.partition}".encode()
        await self._send(self._settings.curves_topic, key, status.encode(message), 0, None)

    async def _letters(self, topic: str, letters: Iterable[Letter]) -> None:
        sent = [await self._send(topic, letter.key, letter.value, None, letter.headers()) for letter in letters]
        await _all(sent)


async def _all(sent: list[Awaitable[Any]]) -> None:
    if sent:
        await asyncio.gather(*sent)
