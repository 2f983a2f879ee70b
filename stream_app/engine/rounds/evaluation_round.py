"""The evaluation round: advances windows, recomputes cuts, evaluates standings, raises flags, publishes curves."""

from functools import partial
from time import monotonic, perf_counter

from stream_app import __version__
from stream_app.core.changelog.status import VERSION, Status
from stream_app.core.cuts.curve_message import CurveMessage
from stream_app.core.flags.evaluation import Changes, EvaluationTime, evaluate, flags_of
from stream_app.core.flags.standing import StandingRules
from stream_app.core.state.watermark import NO_TIME, horizon_at
from stream_app.engine.context import NOT_EVALUATED, EngineContext, OwnedPartition
from stream_app.engine.duplicate_sampling import DuplicatePublisher
from stream_app.engine.rounds.curve_exchange import CurveExchange
from stream_app.engine.rounds.cut_publisher import CutPublisher
from stream_app.engine.rounds.erasure import PartitionEraser
from stream_app.engine.rounds.flag_outbox import FlagOutbox
from stream_app.engine.time_synchronization import TimeSynchronization
from stream_app.settings import Settings

MOST_OF_THE_TIME = 0.2
"""Fraction of a worker's time that rounds may take. Longer rounds run less often …"""
LONGEST_PAUSE_S = 1.5
"""… but the pause is never longer than this, so that cuts stay fresh."""
FAR_BEHIND_BATCHES = 5
"""With more batches than this left to read, counting has priority: rounds run as rarely as possible."""


def rules_of(settings: Settings) -> StandingRules:
    """Return the parameters of the standing rules from the settings."""
    return StandingRules(
        diffuse_fraction=settings.diffuse_fraction,
        min_users=settings.min_users,
        floors=(settings.min_posts, settings.min_impressions),
        leave_ratio=settings.leave_ratio,
        dwell_s=settings.dwell_s,
        emerging_z=settings.emerging_z,
        emerging_floor=settings.emerging_floor,
        emerging_horizon_s=settings.emerging_horizon_s,
        emerging_events=settings.emerging_events,
    )


class EvaluationRound:
    """Runs the rounds over the owned partitions."""

    def __init__(
        self,
        context: EngineContext,
        exchange: CurveExchange,
        outbox: FlagOutbox,
        publisher: CutPublisher,
        eraser: PartitionEraser,
        synchronization: TimeSynchronization,
    ) -> None:
        self._context = context
        self._exchange = exchange
        self._outbox = outbox
        self._publisher = publisher
        self._eraser = eraser
        self._synchronization = synchronization
        self._duplicates = DuplicatePublisher(context, exchange)
        self._version = context.settings.version
        self._is_silent = False
        """Whether no flags are raised because workers with different settings are there."""
        self.http = ""
        """host:port where this worker serves queries about its users, once known."""

    async def round(self) -> float:
        """Run one round. Returns the seconds to wait before the next."""
        started = perf_counter()
        changed = self._context.global_cuts.recompute()
        busy_s = perf_counter() - started
        self._publisher.publish(changed, self._exchange.newest_ms)
        self._fall_silent(bool(self._context.members.differing(monotonic())))
        for partition, held in list(self._context.owned.items()):
            async with held.lock:
                if self._context.owned.get(partition) is held:
                    busy_s += await self._visit(partition, held)
                    if self._context.owned.get(partition) is held:
                        self._duplicates.publish(partition, held)
        self._report()
        if self._is_far_behind():
            return LONGEST_PAUSE_S
        pause_s = max(self._context.settings.tick_s - (perf_counter() - started), busy_s * (1 / MOST_OF_THE_TIME - 1))
        return min(max(pause_s, 0.01), LONGEST_PAUSE_S)

    def _is_far_behind(self) -> bool:
        unread = sum(sum(held.unread.values()) for held in self._context.owned.values())
        return unread > FAR_BEHIND_BATCHES * self._context.settings.batch_events

    async def _visit(self, partition: int, held: OwnedPartition) -> float:
        """Evaluate one partition. Returns the seconds that this kept the worker busy."""
        started = perf_counter()
        ledger = held.store.ledger
        await self._eraser.visit(partition, held)
        ledger.seen.store_ids_until(self._exchange.ids_until_ms(), self._context.settings.pane_ms)
        newest_ms = self._exchange.newest_ms
        self._synchronization.before_moving(partition, held, partial(horizon_at, ledger, newest_ms))
        ledger.advance(newest_ms)
        if partition in self._exchange.overwritten:
            self._exchange.overwritten.discard(partition)
            held.curve_updates.repeat()
            held.evaluated = NOT_EVALUATED
        state = (held.store.sequence, self._context.global_cuts.version, ledger.horizon, ledger.erased)
        if state == held.evaluated:
            return perf_counter() - started
        held.evaluated = state
        changes, curves = self._evaluate(held)
        held.store.maintain()
        busy_s = perf_counter() - started
        await self._raise(partition, held, changes)
        # Published state must survive a crash, so the changelog must have it first.
        await self._context.output.flush()
        if self._context.owned.get(partition) is not held:
            return busy_s  # the partition has moved meanwhile; its new owner publishes
        self._context.output.curves(curves)
        self._context.output.status(self._status(partition, held))
        return busy_s

    def _evaluate(self, held: OwnedPartition) -> tuple[Changes | None, list[CurveMessage]]:
        """Return changed standings and curves; none while a source was never read, so that no window is known."""
        ledger, context = held.store.ledger, self._context
        if ledger.horizon == NO_TIME:
            return None, []
        cuts = held.scope_map.cuts(ledger, context.global_cuts)
        changes = None if self._is_silent else evaluate(ledger, cuts, context.rules)
        return changes, held.curve_updates.collect(ledger, cuts)

    def _fall_silent(self, is_silent: bool) -> None:  # noqa: FBT001 - the state to take on
        """Raise no flags while workers count by different settings; evaluate everything again afterwards."""
        if self._is_silent and not is_silent:
            for held in self._context.owned.values():
                held.evaluated = NOT_EVALUATED
        self._is_silent = is_silent

    async def _raise(self, partition: int, held: OwnedPartition, changes: Changes | None) -> None:
        oldest_s, held.oldest_unseen_s = held.oldest_unseen_s, None
        if changes is None or not len(changes.rows):
            return
        ledger, now_ms = held.store.ledger, round(self._context.clock() * 1000)
        start_ms, end_ms = ledger.window.start_ms(ledger.horizon), ledger.window.end_ms(ledger.horizon)
        detected_ms = self._outbox.detection_ms(partition, now_ms)
        moment = EvaluationTime(start_ms, end_ms, ledger.horizon, detected_ms, self._version)
        names = ledger.scopes.names()
        scopes = [names[scope] for scope in ledger.rows.scopes[changes.rows].tolist()]
        ranks = self._context.global_cuts.ranks(scopes, changes.roles, changes.values)
        await self._outbox.raise_flags(partition, flags_of(changes, ranks, moment, ledger))
        if oldest_s is not None:
            self._context.meter.flag_latency(max(self._context.clock() - oldest_s, 0.0))

    def _status(self, partition: int, held: OwnedPartition) -> Status:
        ledger = held.store.ledger
        return Status(
            version=VERSION,
            partition=partition,
            sources=ledger.sources,
            horizon=ledger.horizon,
            lagging=bool(ledger.lagging),
            users=ledger.active_users(),
            rows=len(ledger.rows),
            segments=held.store.segment_count,
            state_bytes=ledger.nbytes + held.store.stored_bytes,
            erased=ledger.erased,
            epoch=held.store.ownership.epoch,
            unread=sum(held.unread.values()),
            http=self.http,
            settings=self._version,
            release=__version__,
            ids_until_ms=self._exchange.ids_until_ms(),
        )

    def _report(self) -> None:
        held = [self._exchange.statuses[p] for p in self._context.owned if p in self._exchange.statuses]
        self._context.meter.active_users(sum(known.users for known in held))
        self._context.meter.rows(sum(known.rows for known in held))
        self._context.meter.segments(sum(known.segments for known in held))
        self._context.meter.state_bytes(sum(known.state_bytes for known in held))
        newest_ms = max((known.horizon for known in held), default=NO_TIME)
        if newest_ms > NO_TIME:
            self._context.meter.watermark_delay(self._context.clock() - newest_ms / 1000)
