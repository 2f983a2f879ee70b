"""The evaluation round: partitions say what has changed, homes publish cuts, standings are evaluated, flags raised."""

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from time import monotonic, perf_counter

from msgspec.structs import replace

from stream_app.core.flags.evaluation import Changes, EvaluationTime, evaluate, flags_of
from stream_app.core.flags.ranked_scopes import RankedScopes
from stream_app.core.messages import Flag
from stream_app.core.signals.facts import Signal
from stream_app.core.state.watermark import NO_TIME
from stream_app.engine.context import NEVER, EngineContext, OwnedPartition
from stream_app.engine.counting.duplicate_sampling import DuplicatePublisher
from stream_app.engine.counting.waiting_batches import WaitingBatches
from stream_app.engine.influence.credit_sender import CreditSender
from stream_app.engine.rounds.busy_time import BusyTime
from stream_app.engine.rounds.curve_exchange import CurveExchange
from stream_app.engine.rounds.cut_publisher import CutPublisher
from stream_app.engine.rounds.flag_outbox import FlagOutbox
from stream_app.engine.rounds.partition_updates import PartitionUpdates
from stream_app.engine.rounds.watermark_alignment import WatermarkAlignment

logger = logging.getLogger(__name__)

MOST_OF_THE_TIME = 0.2
"""Fraction of a worker's time that rounds may take. Longer rounds run less often …"""
LONGEST_PAUSE_S = 1.5
"""… but the pause is never longer than this, so that cuts stay fresh."""
FAR_BEHIND_BATCHES = 5
"""With more batches than this left to read, counting has priority: rounds run as rarely as possible."""


_MARKED_S = 60.0
"""Between two counts of who is marked."""
_NOT_LONGER_S = 0.5
"""A round ends after this time, even if more steps could end: others have their turn."""


class EvaluationRound:
    """Runs the rounds over the owned partitions."""

    def __init__(
        self,
        context: EngineContext,
        exchange: CurveExchange,
        outbox: FlagOutbox,
        publisher: CutPublisher,
        updates: PartitionUpdates,
        alignment: WatermarkAlignment,
        waiting: WaitingBatches,
    ) -> None:
        self._context = context
        self._exchange = exchange
        self._outbox = outbox
        self._publisher = publisher
        self._updates = updates
        self._alignment = alignment
        self._waiting = waiting
        self._sender = CreditSender(context)
        self._duplicates = DuplicatePublisher(context, exchange)
        self._version = context.settings.version
        self._ranked = RankedScopes(context.followed, context.rules)
        self._is_silent = False
        """Whether no flags are raised because workers with different settings are there."""
        self._published_s = 0.0
        self._marked_s = -_MARKED_S

    async def round(self) -> float:
        """Run one round: the steps that can end, and then what is new in the step that has begun.

        Returns the seconds to wait before the next.
        """
        started, busy = perf_counter(), BusyTime()
        self._context.news.clear()
        self._context.homes.follow()
        self._exchange.take_skipped()
        self._ask_again()
        self._fall_silent(bool(self._context.members.differing(monotonic())))
        await self._waiting.count_all()
        self._alignment.look()
        while perf_counter() - started < _NOT_LONGER_S and await self._end_step(busy):
            await self._waiting.count_all()
            self._alignment.look()
        await self._sender.decide_all()
        if self._alignment.is_overdue and perf_counter() - self._published_s < self._publish_after_s():
            return self._alignment.pause_s
        self._published_s = perf_counter()
        await self._look_into_step(busy)
        if self._alignment.is_overdue:
            return self._alignment.pause_s
        if self._is_far_behind():
            return LONGEST_PAUSE_S
        pause_s = max(
            self._context.settings.tick_s - (perf_counter() - started), busy.seconds * (1 / MOST_OF_THE_TIME - 1)
        )
        return min(max(pause_s, 0.01), LONGEST_PAUSE_S)

    async def rest(self, pause_s: float) -> None:
        """Pause between two rounds; in a long pause no batch waits longer than a tick.

        The pause ends early with news that the end of the step may have waited for.
        """
        now_s, tick_s = monotonic(), self._context.settings.tick_s
        end_s, count_s = now_s + pause_s, now_s + tick_s
        while now_s < end_s:
            if await self._is_news_within(min(end_s, count_s) - now_s):
                self._context.news.clear()
                self._alignment.look()
                if self._alignment.is_overdue:
                    return
            now_s = monotonic()
            if count_s <= now_s < end_s:
                count_s = now_s + tick_s
                await self._waiting.count_all()

    async def _is_news_within(self, wait_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                return await self._context.news.wait()
        return False

    async def _end_step(self, busy: BusyTime) -> bool:
        """Evaluate the end of the step, if all have come there and the cuts of that time are known."""
        if not self._alignment.can_end():
            return False
        last_ms, know = self._alignment.last_ms, self._know_others if self._alignment.has_others else self._know_own
        if not await know(busy, last_ms):
            return False
        await self._evaluate_all(busy)
        if self._alignment.last_ms != last_ms:
            return False
        self._alignment.go_on()
        return True

    async def _know_own(self, busy: BusyTime, last_ms: int) -> bool:
        """Know the cuts at the end of the step, all of which are made here."""
        await self._updates.end_step_here(busy)
        return self._make_cuts(busy, last_ms, has_others=False)

    async def _know_others(self, busy: BusyTime, last_ms: int) -> bool:
        """Publish what is known of the end of the step. Returns whether all cuts are known; if not, to be repeated."""
        await self._updates.publish(busy, is_end=True)
        if not self._alignment.is_heard():
            return False
        if self._alignment.cuts_ms < last_ms:
            if not self._make_cuts(busy, last_ms, has_others=True):
                return False
            await self._updates.publish(busy, is_end=True)
        return self._alignment.is_cut()

    def _make_cuts(self, busy: BusyTime, last_ms: int, *, has_others: bool) -> bool:
        """Make the cuts at the end of the step. Returns False if steps have begun anew: the partitions have moved."""
        if self._alignment.last_ms != last_ms:
            return False
        self._alignment.decide_next()
        with busy:
            self._publisher.follow(last_ms, has_others=has_others)
            self._context.followed.forget_unused()
        self._alignment.cuts_ms = last_ms
        return True

    async def _look_into_step(self, busy: BusyTime) -> None:
        """Publish what is new in the step that has begun; flags are raised only if it takes long."""
        is_live = self._alignment.is_live
        await self._updates.publish(busy)
        with busy:
            self._publisher.publish(self._exchange.newest_ms, ranks=is_live)
            self._context.followed.forget_unused()
        if is_live:
            await self._evaluate_all(busy)
        for partition, held in list(self._context.owned.items()):
            self._duplicates.publish(partition, held)
        self._context.output.forget_records(self._exchange.outdated(self._context.owned))
        self._report()

    async def _evaluate_all(self, busy: BusyTime) -> None:
        owned = list(self._context.owned.items())
        await asyncio.gather(*(self._evaluate_locked(partition, held, busy) for partition, held in owned))

    async def _evaluate_locked(self, partition: int, held: OwnedPartition, busy: BusyTime) -> None:
        async with held.lock:
            if self._context.holds(held):
                await self._evaluate(partition, held, busy)

    def _ask_again(self) -> None:
        for home, missing in self._context.homes.ask_again(monotonic()).items():
            logger.warning(
                "the topics at home in partition %d wait for additions of partitions %s: asked for them again",
                *(home, missing),
                extra={"kind": home},
            )

    def _publish_after_s(self) -> float:
        """Return how long readers wait for news while steps end one after the other."""
        return LONGEST_PAUSE_S if self._is_far_behind() else self._context.settings.tick_s

    def _is_far_behind(self) -> bool:
        unread = sum(sum(held.unread.values()) for held in self._context.owned.values())
        return unread > FAR_BEHIND_BATCHES * self._context.settings.batch_events

    async def _evaluate(self, partition: int, held: OwnedPartition, busy: BusyTime) -> None:
        """Evaluate one partition, if anything has changed that its standings hang on, and raise flags.

        No standings change while a source was never read, so that no window is known.
        """
        ledger, followed = held.store.ledger, self._context.followed
        state = (held.updates, followed.version)  # what is counted since then is for the next round
        if ledger.horizon == NO_TIME or self._is_silent or not self._context.settings.disclosure.names_anyone:
            held.oldest_unseen_s = None
            return
        if state == held.evaluated:
            return
        held.evaluated = state
        with busy:
            ledger.expire()  # what was counted since the last step may have moved the window
            self._ranked.update()
            due = held.watched.due(ledger, held.scopes, self._ranked)
            changes = evaluate(ledger, due, held.scopes.numbers(ledger, followed), self._ranked)
        await self._raise(partition, held, changes)

    def _fall_silent(self, is_silent: bool) -> None:  # noqa: FBT001 - the state to take on
        """Raise no flags while workers count by different settings; evaluate everything again afterwards."""
        if self._is_silent and not is_silent:
            for held in self._context.owned.values():
                held.evaluated = NEVER
        self._is_silent = is_silent

    async def _raise(self, partition: int, held: OwnedPartition, changes: Changes) -> None:
        oldest_s, held.oldest_unseen_s = held.oldest_unseen_s, None
        if not len(changes.rows):
            return
        ledger, now_ms = held.store.ledger, round(self._context.clock() * 1000)
        moment = EvaluationTime.of(ledger, self._outbox.detection_ms(partition, now_ms), self._version)
        scopes = held.scopes.numbers(ledger, self._context.followed)[ledger.rows.scopes_of(changes.rows)]
        ranks = self._context.followed.ranks(scopes, changes.roles, changes.values)
        flags = _noticed(flags_of(changes, ranks, moment, ledger, self._context.track_record), held)
        disclosure = self._context.settings.disclosure
        if disclosure.min_group:
            users = self._context.followed.cuts.users[changes.roles, scopes].tolist()
            too_few = [flag for flag, n in zip(flags, users, strict=True) if n < disclosure.min_group]
            await self._outbox.end(partition, too_few)
            shown = [flag for flag, n in zip(flags, users, strict=True) if n >= disclosure.min_group]
            flags = disclosure.all_of(shown)
        await self._outbox.raise_flags(partition, flags)
        if oldest_s is not None:
            self._context.meter.flag_latency(max(self._context.clock() - oldest_s, 0.0))

    def _report(self) -> None:
        held = [self._exchange.statuses[p] for p in self._context.owned if p in self._exchange.statuses]
        disclosure = self._context.settings.disclosure
        self._context.meter.active_users(disclosure.people(sum(known.users for known in held)))
        self._context.meter.rows(disclosure.people(sum(known.rows for known in held)))
        self._context.meter.segments(sum(known.segments for known in held))
        self._context.meter.unheard(len({source for known in held for source in known.unheard}))
        self._context.meter.state_bytes(sum(known.state_bytes for known in held))
        self._report_marked()
        newest_ms = max((known.horizon for known in held), default=NO_TIME)
        if newest_ms > NO_TIME:
            self._context.meter.watermark_delay(self._context.clock() - newest_ms / 1000)

    def _report_marked(self) -> None:
        """Count who is marked, now and then: everybody is looked at."""
        if perf_counter() - self._marked_s < _MARKED_S:
            return
        self._marked_s = perf_counter()
        counts: Counter[Signal] = Counter()
        for held in self._context.owned.values():
            counts.update(held.store.signals.counts())
        for signal in Signal:
            self._context.meter.marked_users(signal, self._context.settings.disclosure.people(counts[signal]))


def _noticed(flags: list[Flag], held: OwnedPartition) -> list[Flag]:
    """Return flags with the facts about their users."""
    facts, _ = held.store.signals.noticed([flag.user_id for flag in flags], held.store.ledger.event_key)
    return [replace(flag, signals=some) if some else flag for flag, some in zip(flags, facts, strict=True)]
