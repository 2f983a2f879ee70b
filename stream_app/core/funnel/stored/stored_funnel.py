"""The stored funnel of a partition: both stages, and what has to be in its log so that another owner can go on.

The problem: an event waits until it is decided, its credits travel, and the worker may crash between any two lines.
Credits that were sent cannot be called back, so nobody may decide again, and otherwise, what was sent.

The invariant: whatever is known is in the log in one of two places. The delta of a batch has its events, hashed, and
the credits that it received. A *decision* has what it changed in the funnel, the credits that follow, as packets, and
all credits that were received since the decision before. It is written together with a delta of its own, and is in the
log before a packet is sent. Each header says which decision is the newest and up to which all packets are sent: the
others are sent again by the next owner, the same bytes with the same ids.

    deltas      7: events │ 8: events │ 9: credits received │ 10: decision 4 │ 11: events
    decisions   3, whole: all there is │ 4: pane 41, its packets, what 9 received
    restore     3, 4, then of the deltas what no decision has: of 7 and 8 the events of pane 42, and 11

1. Decide: events of ended panes; all that is pending (`early`) if that, or the deltas that have it, become too many.
2. Whole: once the decisions since the last whole one are as large as it, all that is held is written as one. Those
   before it are garbage. So each byte is written about twice.
3. Take back: a delta has the hashes of events that are taken back. The next decision replaces what was decided of their
   keys by what is left of their persons, and remembers the hashes: see `event_history`.

Change together: `ledger_store` (writes it), `replay` (which decisions count), `engine/influence` (when and in which
order it is done).
"""

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Hashes, Mask
from stream_app.core.changelog.columns import pack
from stream_app.core.changelog.header import FunnelProgress
from stream_app.core.events.credit import Credits
from stream_app.core.funnel.cohorts import Cohorts
from stream_app.core.funnel.credited_people import CreditedPeople
from stream_app.core.funnel.funnel import Funnel, FunnelSettings
from stream_app.core.funnel.funnel_counts import DAY_MS
from stream_app.core.funnel.funnel_events import EventColumns
from stream_app.core.funnel.influence_credits import InfluenceCredits
from stream_app.core.funnel.stored import credit_packets, stored_events, stored_state
from stream_app.core.funnel.stored.credit_packets import AddressedPacket
from stream_app.core.funnel.stored.decision_records import (
    DecidedUntil,
    InDelta,
    StoredDecision,
    decoded_decision,
    decoded_delta,
    encoded,
)
from stream_app.core.funnel.stored.event_history import NOTHING_TAKEN, EventHistory, TakenTimes
from stream_app.core.funnel.stored.funnel_batches import FunnelBatches
from stream_app.core.funnel.stored.stored_times import pack_times, unpack_hashes
from stream_app.core.state.scope_limits import ScopeLimits
from stream_app.core.state.watermark import NO_TIME
from stream_app.core.state.window import Window

MOST_PENDING_BYTES = 32_000_000
"""Of events in memory that are not decided, and of packets that are not stored in a decision."""
_SMALL = 256_000
"""Decisions of fewer bytes are not written again as one."""


class StoredFunnelSettings(NamedTuple):
    """How a partition of the funnel is set."""

    funnel: FunnelSettings
    horizon_ms: int
    """Recruits count for a cohort so long after an entry."""
    partitions: int
    """Of the topic of credits."""
    limits: ScopeLimits


class _Received(NamedTuple):
    """Credits that were received."""

    newest_ms: int
    value: bytes


class StoredFunnel:
    """Both stages of one partition. The sequences of deltas and the numbers of decisions are those of the log."""

    def __init__(self, settings: StoredFunnelSettings, secret: int, partition: int) -> None:
        self._partition = partition
        self.funnel = Funnel(settings.funnel, secret)
        self.credited = CreditedPeople(settings.funnel.pane_ms, self.funnel.keys)
        self.cohorts = Cohorts(settings.horizon_ms, self.funnel)
        self.progress = FunnelProgress()
        self._settings = settings
        self._batches = FunnelBatches(settings.limits)
        self._unsent: dict[int, list[AddressedPacket]] = {}
        """By decision."""
        self._received: list[_Received] = []
        """All that the window and the cohorts need."""
        self._fresh: list[bytes] = []
        """What no decision has of it."""
        self._newest_ms: dict[int, int] = {}
        """By delta that has something for the funnel: the newest event time; NO_TIME for credits."""
        self._reach = DecidedUntil()
        self._stored_until = 0
        """The sequence of the newest decision, which has all credits received before."""
        self._bytes: dict[int, int] = {}
        """By decision that is needed."""
        self.history = EventHistory()
        self._first_pane = self._first_day = NO_TIME

    @property
    def nbytes(self) -> int:
        """Bytes in memory, with the decisions in the log: the table holds them."""
        packets = sum(len(packet.value) for some in self._unsent.values() for packet in some)
        received = sum(len(one.value) for one in self._received)
        state = self.funnel.nbytes + self.credited.nbytes + self.cohorts.nbytes
        return state + packets + received + self.stored_bytes + self.history.nbytes

    @property
    def stored_bytes(self) -> int:
        """Bytes of decisions and chunks of the history in the log that are needed."""
        return sum(self._bytes.values()) + self.history.stored_bytes

    @property
    def names(self) -> list[str]:
        """Whom it knows by name: those who are credited, or may be if something is taken back."""
        received = (credit_packets.decode(one.value).credited for one in self._received)
        return [*{*self.funnel.people.names}.union(self.history.names, *received)]

    @property
    def is_full(self) -> bool:
        """Whether so much is pending that it must be decided early."""
        return self.funnel.pending_bytes + sum(map(len, self._fresh)) > MOST_PENDING_BYTES

    @property
    def is_large(self) -> bool:
        """Whether the decisions have become so large that all that is held should be written as one."""
        whole = self._bytes.get(self.progress.oldest, 0)
        return sum(self._bytes.values()) - whole > max(whole, _SMALL)

    def is_needed(self, sequence: int) -> bool:
        """Return whether a delta has something for the funnel that no decision has."""
        newest_ms = self._newest_ms.get(sequence)
        if newest_ms is None:
            return self.history.holds_alone(sequence)
        if sequence >= self._stored_until if newest_ms == NO_TIME else not self._reach.has(sequence, newest_ms):
            return True
        del self._newest_ms[sequence]
        return self.history.holds_alone(sequence)

    def add(self, sequence: int, batch: Credits, counted: Mask) -> bytes:
        """Add the events of a batch that are `counted`, with delta `sequence`. Returns what the delta has to say."""
        if batch.event_ids is None or not counted.any():
            return b""
        fresh = batch if counted.all() else batch.only(np.flatnonzero(counted).tolist())
        columns = self.funnel.add(self._batches.of(fresh, self.funnel.scopes))
        self._newest_ms[sequence] = int(fresh.ts_ms.max())
        events = stored_events.encode(columns, self.funnel)
        self.history.add(sequence, fresh.ts_ms, events)
        return encoded(InDelta(events=events))

    def take_back(self, sequence: int, hashes: Hashes) -> bytes:
        """Take events back that were counted, with delta `sequence`. Returns what the delta has to say."""
        if not len(hashes):
            return b""
        self.history.retract(hashes)
        self._newest_ms[sequence] = NO_TIME
        return encoded(InDelta(taken=pack(hashes)))

    def receive(self, sequence: int, credits_: InfluenceCredits) -> bytes:
        """Add credits that were counted, with delta `sequence`. Returns what the delta has to say."""
        values = []
        for start in range(0, len(credits_.ts_ms), credit_packets.MOST_CREDITS):
            places = np.arange(start, min(start + credit_packets.MOST_CREDITS, len(credits_.ts_ms)))
            part = credits_.at(places)
            values.append(credit_packets.encode(part._replace(posts=np.zeros_like(part.posts)), self._partition))
            self._add_received(part, values[-1])
        if not values:
            return b""
        self._fresh += values
        self._newest_ms[sequence] = NO_TIME
        return encoded(InDelta(received=values))

    def decide(self, until_ms: int, sequence: int, *, early: bool) -> Iterator[tuple[int, bytes]]:
        """Decide, with delta `sequence`; yield number and content of each decision: put all of them into the log."""
        pane_ms = self._settings.funnel.pane_ms
        reach = DecidedUntil(sequence, until_ms // pane_ms * pane_ms, sequence if early else self._reach.all_before)
        found = self.history.take_back(self.funnel)
        taken = NOTHING_TAKEN if found is None else (found.hashes, found.ts_ms)
        if not (early or self.history.has_left) and self.funnel.passes(until_ms):
            return
        for decided in self.funnel.decide(until_ms, early=early):
            if decided.change.has_news or self.history.has_left or (early and self._fresh):  # else in deltas for good
                self._reach = reach
                packets = list(credit_packets.packets_of(decided.credits, self._partition, self._settings.partitions))
                yield self._written(sequence, stored_state.encode(decided.change), packets, taken)
                taken = NOTHING_TAKEN

    def whole(self, sequence: int) -> tuple[int, bytes]:
        """Return number and content of a decision that has all that is held, as if nothing had come before."""
        self._fresh = [one.value for one in self._received]
        packets, self._unsent = self.unsent(), {}
        number, value = self._written(sequence, stored_state.encode(self.funnel.state()), packets, self.history.taken())
        self.progress = self.progress._replace(oldest=number)
        self._bytes = {number: self._bytes[number]}
        return number, value

    def unsent(self) -> list[AddressedPacket]:
        """Return the packets of decisions that are not known to be sent; the log must have these."""
        return [packet for packets in self._unsent.values() for packet in packets]

    def note_sent(self, newest: int) -> None:
        """Note that the packets of all decisions up to `newest` are sent."""
        self.progress = self.progress._replace(sent=max(newest, self.progress.sent))
        self._unsent = {number: packets for number, packets in self._unsent.items() if number > newest}

    def restore(self, progress: FunnelProgress, decisions: Mapping[int, bytes]) -> None:
        """Restore the decisions of a log, by number, oldest first."""
        self.progress, self._bytes = progress, {number: len(value) for number, value in decisions.items()}
        for number, value in decisions.items():
            decision = decoded_decision(value)
            self.funnel.restore(stored_state.decode(decision.state))
            for received in decision.received:
                self._add_received(credit_packets.decode(received), received)
            self.history.note_taken(unpack_hashes(decision.taken[0]), decision.taken[1].unpacked())
            self._reach, self._stored_until = decision.reach, decision.sequence
            if number > progress.sent and decision.packets:
                self._unsent[number] = decision.packets
        self.history.start_ms = self.funnel.start_ms

    def restore_delta(self, sequence: int, value: bytes) -> None:
        """Restore what a delta has for the funnel, and no decision."""
        in_delta = decoded_delta(value)
        if in_delta.received and sequence >= self._stored_until:
            self._fresh += in_delta.received
            self._newest_ms[sequence] = NO_TIME
            for received in in_delta.received:
                self._add_received(credit_packets.decode(received), received)
        if in_delta.taken and sequence >= self._stored_until:
            self.history.retract(unpack_hashes(in_delta.taken))
            self._newest_ms[sequence] = NO_TIME
        if in_delta.events:
            self.history.restore_delta(sequence, in_delta.events)
        if not in_delta.events or sequence < self._reach.all_before:
            return

        def undecided(events: EventColumns) -> Mask:
            self._newest_ms[sequence] = int(events.ts_ms.max())
            is_later = (events.ts_ms >= self._reach.until_ms) | (sequence >= self._reach.sequence)
            return is_later & ~self.history.has_taken(events.hashes)

        self.funnel.add_again(stored_events.decode(in_delta.events, self.funnel, undecided))

    def forget(self, window: Window, horizon_ms: int) -> None:
        """Forget what no event of the window can change, once for each pane that the window moves."""
        first_pane = window.first_pane(horizon_ms)
        if horizon_ms == NO_TIME or first_pane <= self._first_pane:
            return
        self._first_pane = first_pane
        start_ms = first_pane * window.pane_ms
        cohort_ms = self._settings.horizon_ms + DAY_MS
        kept_ms = start_ms - max(self._settings.funnel.gap_ms, cohort_ms)
        if kept_ms // DAY_MS > self._first_day:  # it looks at all recruits
            self._first_day = kept_ms // DAY_MS
            self.cohorts.finish(kept_ms + cohort_ms)
            self.cohorts.forget(self._first_day)
        self.funnel.leave((events.with_scopes(self.funnel) for events in self.history.leave(start_ms)), start_ms)
        self.funnel.forget(start_ms, cohort_ms)
        self.credited.expire(first_pane)
        self._received = [one for one in self._received if one.newest_ms >= kept_ms]

    def take_out(self, names: Collection[str]) -> None:
        """Remove people who are erased. To be followed by `whole`, with nothing pending."""
        self.funnel.take_out([*names])
        self.credited.take_out([*names])
        self.cohorts.take_out([*names])
        without = partial(credit_packets.without, names=names, source=self._partition)
        self._received = [_Received(one.newest_ms, left) for one in self._received if (left := without(one.value))]
        for packets in self._unsent.values():
            packets[:] = [AddressedPacket(home, left) for home, packet in packets if (left := without(packet))]

    def _written(
        self, sequence: int, state: bytes, packets: list[AddressedPacket], taken: TakenTimes
    ) -> tuple[int, bytes]:
        number = self.progress.newest + 1
        self.progress = self.progress._replace(newest=number)
        self._stored_until = sequence
        if packets:
            self._unsent[number] = packets
        stored = (pack(taken[0]), pack_times(taken[1]))
        value = encoded(StoredDecision(sequence, self._reach, state, packets, self._fresh, stored))
        self._bytes[number] = len(value)
        self._fresh = []
        return number, value

    def _add_received(self, credits_: InfluenceCredits, value: bytes) -> None:
        self.credited.add(credits_)
        self.cohorts.add(credits_)
        self._received.append(_Received(int(credits_.ts_ms.max()), value))
