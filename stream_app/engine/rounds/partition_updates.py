"""Partition updates: what the owned partitions have to say in a round, to the homes of their scopes and to everybody.

What is published must survive a crash, so the changelog must have it first. All partitions are asked, the producer is
flushed once, and then everything is delivered; only where it is much, something is delivered in between.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from copy import copy
from functools import partial
from typing import NamedTuple, TypeVar

from stream_app import __version__
from stream_app.core.changelog.status import VERSION, Status
from stream_app.core.exchange.delta_message import DeltaMessage
from stream_app.core.exchange.delta_sender import HomeState
from stream_app.core.exchange.homes import states_of
from stream_app.core.state.watermark import horizon_at
from stream_app.engine.context import NEVER, EngineContext, OwnedPartition
from stream_app.engine.rounds.busy_time import BusyTime
from stream_app.engine.rounds.curve_exchange import CurveExchange
from stream_app.engine.rounds.erasure import PartitionEraser
from stream_app.engine.rounds.source_reach import SourceReach
from stream_app.engine.rounds.watermark_alignment import WatermarkAlignment
from stream_app.engine.time_synchronization import TimeSynchronization

Answer = TypeVar("Answer")
_MOST_BYTES = 8_000_000
"""Of messages that wait until the changelog has been written."""


class _Update(NamedTuple):
    """What a partition has to say."""

    held: OwnedPartition
    messages: list[DeltaMessage]
    status: Status


class PartitionUpdates:
    """Advances the windows of the owned partitions, and publishes what has changed in them."""

    def __init__(
        self,
        context: EngineContext,
        exchange: CurveExchange,
        eraser: PartitionEraser,
        synchronization: TimeSynchronization,
        reach: SourceReach,
        alignment: WatermarkAlignment,
    ) -> None:
        self._context = context
        self._reach = reach
        self._alignment = alignment
        self._exchange = exchange
        self._eraser = eraser
        self._synchronization = synchronization
        self._settings_version = context.settings.version
        self.http = ""
        """host:port where this worker serves queries about its users, once known."""

    async def publish(self, busy: BusyTime, *, is_end: bool = False) -> None:
        """Advance the window of every partition, and publish what is new in each; `is_end`: at the end of the step."""
        waiting: list[_Update] = []
        size = 0
        async for update in self._in_turn(partial(self._update, is_end=is_end), busy):
            if update is None:
                continue
            waiting.append(update)
            size += sum(message.nbytes for message in update.messages)
            if size > _MOST_BYTES:
                await self._deliver(waiting)
                waiting, size = [], 0
        if waiting:
            await self._deliver(waiting)
        if waiting and is_end:
            await self._context.output.flush()  # others wait for it: at once, and not with what comes after

    async def end_step_here(self, busy: BusyTime) -> None:
        """Advance the windows to the end of the step and add up at home what is new, if all homes are here.

        Nobody else hears of it, so the changelog need not have it. What is published later is published as ever.
        """
        async for messages in self._in_turn(partial(self._end_step, homes=self._context.homes.states()), busy):
            for message in messages:
                self._context.homes.hear(message)

    async def _in_turn(self, ask: Callable[[int, OwnedPartition], Answer], busy: BusyTime) -> AsyncIterator[Answer]:
        """Yield the answers of the owned partitions, each asked while it is locked and nobody is left to be erased."""
        for partition, held in list(self._context.owned.items()):
            async with held.lock:
                if not self._context.holds(held):
                    continue
                await self._eraser.visit(partition, held)
                with busy:
                    answer = ask(partition, held)
            yield answer

    async def _deliver(self, updates: list[_Update]) -> None:
        """Deliver what the changelog has, to homes here at once; what has moved meanwhile the new owner publishes."""
        await self._context.output.flush()
        for held, messages, status in updates:
            if self._context.owned.get(status.partition) is not held:
                continue
            for message in messages:
                if not self._context.homes.hear(message):
                    self._context.output.additions(message)
            self._context.output.status(status)

    def _update(self, partition: int, held: OwnedPartition, *, is_end: bool) -> _Update | None:
        """Advance the window of a partition. Return what it has to say; None if that is nothing new."""
        ledger = held.store.ledger
        ledger.seen.store_ids_until(self._exchange.ids_until_ms(), self._context.settings.pane_ms)
        self._advance(partition, held, is_end=is_end)
        if partition in self._exchange.overwritten:
            self._exchange.overwritten.discard(partition)
            held.published = NEVER
        homes = {**states_of(self._exchange.statuses), **self._context.homes.states()}
        unheard = self._context.homes.unheard(partition)
        reached = (ledger.window.slot(self._reach.within_reach_ms(partition, held)), *self._alignment.state)
        counted = (held.store.sequence, ledger.horizon, ledger.erased)
        state = (counted, self._context.followed.version, homes, unheard, reached)
        if state == held.published and not ledger.rows.is_touched:
            return None
        held.published, held.updates = state, held.updates + 1
        messages = self._messages(held, homes)
        held.store.maintain()
        return _Update(held, messages, self._status(partition, held))

    def _end_step(self, partition: int, held: OwnedPartition, homes: Mapping[int, HomeState]) -> list[DeltaMessage]:
        """Move the window of a partition to the end of the step. Return what is new for homes."""
        self._advance(partition, held, is_end=True)
        held.published, held.updates = NEVER, held.updates + 1
        return self._messages(held, homes)

    def _advance(self, partition: int, held: OwnedPartition, *, is_end: bool) -> None:
        """Move the window of a partition as far as all have come within the step, or to its end."""
        ledger, last_ms = held.store.ledger, self._alignment.last_ms
        newest_ms = last_ms if is_end else min(self._exchange.newest_ms, last_ms)
        self._synchronization.before_moving(partition, held, partial(horizon_at, ledger, newest_ms))
        ledger.advance(newest_ms, is_reached=is_end)

    def _messages(self, held: OwnedPartition, homes: Mapping[int, HomeState]) -> list[DeltaMessage]:
        """Return what is new for homes."""
        ledger = held.store.ledger
        if not held.sender.has_news(ledger, homes):
            return []
        thresholds = held.scopes.thresholds(ledger, self._context.followed)
        return list(held.sender.messages(ledger, thresholds, homes, self._context.output.most_addition_bytes()))

    def _status(self, partition: int, held: OwnedPartition) -> Status:
        ledger, funnel = held.store.ledger, held.store.funnel
        return Status(
            version=VERSION,
            partition=partition,
            sources={topic: copy(source) for topic, source in ledger.sources.items()},
            horizon=ledger.horizon,
            lagging=bool(ledger.lagging),
            users=held.sender.users,
            rows=len(ledger.rows),
            segments=held.store.segment_count,
            state_bytes=ledger.nbytes
            + held.store.signals.nbytes
            + held.store.stored_bytes
            + (funnel.nbytes if funnel else 0),
            erased=ledger.erased,
            epoch=held.store.ownership.epoch,
            unread=sum(held.unread.values()),
            http=self.http,
            settings=self._settings_version,
            release=__version__,
            ids_until_ms=self._exchange.ids_until_ms(),
            asked=self._context.homes.asked(partition),
            unheard=self._context.homes.unheard(partition),
            reached_ms=self._reach.within_reach_ms(partition, held),
            newest_ms=self._reach.read_ms(partition, held),
            cuts_ms=self._alignment.cuts_ms,
            sent=held.sender.sent,
            next_ms=self._reach.reached_ms(partition, held),
            step_ms=self._alignment.step_ms,
            next_step_ms=self._alignment.next_step_ms,
        )
