"""Admission to the group: a worker announces itself, and does not join workers that have other settings.

See stream_app/core/group/members.py for the rules.
"""

import asyncio
import logging
import os
import socket
from contextlib import suppress
from time import monotonic
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError

from stream_app import __version__
from stream_app.core.group.announcement import FORMAT, MOST_NAME, Announcement, Standing, encode, key_of
from stream_app.core.group.clocks import Clocks
from stream_app.core.group.members import Member, Members
from stream_app.engine.liveness.exit_codes import Exit, end
from stream_app.engine.liveness.health import WorkerHealth
from stream_app.engine.ports import Clock, Meter
from stream_app.kafka.async_clients import new_async_producer
from stream_app.settings import Settings, environment_name

logger = logging.getLogger(__name__)

_LONGEST_PAUSE_S = 2.0
_BEATS_A_SESSION = 3
_LOOK_S = 0.05
_GOODBYE_S = 2.0
_JUMP_S = 5.0
_ROUND_TRIP_S = 5.0
_LOG_APPEND_TIME = 1


class _Sent(NamedTuple):
    offset: int
    broker_ahead_s: float | None


class Admission:
    """Announces this worker, and decides whether it may count and flag beside the others."""

    def __init__(
        self, settings: Settings, members: Members, clocks: Clocks, health: WorkerHealth, meter: Meter, clock: Clock
    ) -> None:
        self._settings = settings
        self._members = members
        self._clocks = clocks
        self._health = health
        self._meter = meter
        self._clock = clock
        self._producer: Any = None
        self._pause_s = min(_LONGEST_PAUSE_S, settings.session_timeout_s / _BEATS_A_SESSION)
        self._joined = -1
        self._standing: Standing = "pending"
        self._acknowledged_s = 0.0
        self._drift_s: float | None = None
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.admitted = asyncio.Event()
        """Set once this worker may join the group."""

    async def run(self, has_read: asyncio.Event) -> None:
        """Announce this worker until cancelled; `has_read`: set once the announcements of the others were read."""
        await has_read.wait()
        try:
            while True:
                await self._beat()
                await asyncio.sleep(self._pause_s if self.admitted.is_set() else self._pause_s / 2)
        finally:
            await self.leave()

    async def leave(self) -> None:
        """Say goodbye, as far as Kafka answers."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await _put(producer, self._settings.curves_topic, self._members.worker, None)
                await producer.stop()

    async def _beat(self) -> None:
        if self._joined >= 0 and monotonic() - self._acknowledged_s > self._members.patience_s:
            self._joined, self._standing = -1, "pending"  # the others have given this worker up
        try:
            sent = await self._announce()
            for gone in self._members.long_gone(monotonic()):
                await _put(self._producer, self._settings.curves_topic, gone, None)
        except (KafkaError, OSError) as error:
            logger.warning("this worker cannot announce itself to the others, trying again: %s", error)
            return
        self._acknowledged_s = monotonic()
        self._joined = sent.offset if self._joined < 0 else self._joined
        self._clocks.broker_ahead_s = sent.broker_ahead_s
        if await self._has_read(sent.offset):
            self._compare_clocks()
            await self._decide()

    async def _announce(self) -> _Sent:
        if self._producer is None:
            self._producer = await _started(new_async_producer(self._settings))
        began_s = self._clock()
        said = Announcement(
            format=FORMAT,
            worker=self._members.worker,
            name=self.name[:MOST_NAME],
            release=__version__,
            settings=self._members.settings,
            standing=self._standing,
            joined=self._joined,
            patience_s=self._members.patience_s,
            now_ms=round(began_s * 1000),
        )
        found = await _put(self._producer, self._settings.curves_topic, self._members.worker, encode(said))
        ended_s = self._clock()
        is_stamped = found.timestamp_type == _LOG_APPEND_TIME and 0 <= ended_s - began_s < _ROUND_TRIP_S
        return _Sent(found.offset, found.timestamp / 1000 - (began_s + ended_s) / 2 if is_stamped else None)

    async def _has_read(self, offset: int) -> bool:
        """Wait until all announcements up to `offset` were read. False if that takes longer than a pause."""
        deadline_s = monotonic() + self._pause_s
        while self._members.seen < offset and monotonic() < deadline_s:  # noqa: ASYNC110 - the exchange reads it
            await asyncio.sleep(_LOOK_S)
        return self._members.seen >= offset

    async def _decide(self) -> None:
        now_s, members = monotonic(), self._members
        if self._standing != "regular" and not await self._find_place(now_s):
            return
        differing = members.differing(now_s)
        self._meter.mixed(bool(differing))
        for found in differing:
            logger.error(
                "nobody raises flags: %s has %s", _there(found), _otherness(found), extra={"kind": found.said.worker}
            )
        self.admitted.set()

    async def _find_place(self, now_s: float) -> bool:
        """Become regular, or yield to those who were there before. False while it is not known who lives."""
        members = self._members
        live = members.live(now_s)
        is_known = all(found.offset >= self._joined for found in live)
        if self._standing == "pending" and not is_known and any(map(members.is_different, live)):
            return False  # some were not heard again yet: they may be dead
        reference = members.reference(self._joined, now_s)
        if reference is not None and members.is_different(reference):
            await self._yield_to(reference)
            return True
        self._standing = "regular"
        await self._beat_once_more()
        return True

    async def _yield_to(self, reference: Member) -> None:
        """End, or go on as a guest: the settings of another worker count."""
        why = refusal(self._members, reference, self.name)
        if reference.said.format > FORMAT or not self._settings.allow_mixed:
            await self.leave()
            end(Exit.REFUSED, why)
        if self._standing != "guest":
            self._standing = "guest"
            logger.warning("counting, but nobody raises flags while settings differ: %s", why)

    async def _beat_once_more(self) -> None:
        """Let the others know at once that this worker is regular."""
        with suppress(KafkaError, OSError):
            await self._announce()

    def _compare_clocks(self) -> None:
        now_s = monotonic()
        drift_s = self._clock() - now_s
        if self._drift_s is not None and abs(drift_s - self._drift_s) > _JUMP_S:
            logger.warning("the clock of this machine was moved by %+.0f s", drift_s - self._drift_s)
        self._drift_s = drift_s
        self._clocks.peers_ahead_s = self._members.clocks_s(self._joined, now_s)
        reference = self._clocks.reference
        self._meter.clock_ahead(-reference.ahead_s if reference else float("nan"))
        self._health.clock = self._clocks.complaint
        if self._health.clock:
            logger.error("%s", self._health.clock, extra={"kind": "clock"})


def refusal(members: Members, reference: Member, name: str) -> str:
    """Return why this worker, called `name`, must not join the group of `reference`, and what to do."""
    said = reference.said
    there = _there(reference)
    if said.format > FORMAT:
        return (
            f"{there} writes format {said.format} of what workers exchange, and this worker {name} (release "
            f"{__version__}) reads {FORMAT}: start it with the release of the others, or stop all workers to go back"
        )
    listed = "; ".join(
        f"{environment_name(found.setting)} is {found.ours or 'empty'} here and {found.theirs or 'empty'} there"
        for found in members.differences(reference)
    )
    return (
        f"{there} was here before this worker {name} (release {__version__}), and their settings differ: {listed}. "
        "Start this worker with the settings of the others; or stop all workers and start them with the new settings; "
        "or set STREAM_APP_ALLOW_MIXED=true to change one worker after the other: nobody raises flags meanwhile"
    )


def _there(other: Member) -> str:
    return f"worker {other.said.name} (release {other.said.release})"


async def _started(producer: Any) -> Any:
    try:
        await producer.start()
    except BaseException:
        await producer.stop()
        raise
    return producer


async def _put(producer: Any, topic: str, worker: str, value: bytes | None) -> Any:
    return await producer.send_and_wait(topic, value, key=key_of(worker), partition=0)


def _otherness(other: Member) -> str:
    return "other settings" if other.said.format == FORMAT else f"another release, {other.said.release}"
