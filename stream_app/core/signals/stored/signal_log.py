"""The signal log: how the signals of a partition are stored beside its counts, so that a crash loses nothing of them.

The problem: signals hang on single events in their order, and on what came before the window. To write all that is
known with every batch would cost far more than the counting does.

    count      delta 7 │ delta 8 │ delta 9 │                each has the events of its batch, as the signals see them
    maintain           │ journal (6, 8]    │                copies those of deltas, so that these may be garbage
                                           │ snapshot (…, 9]   all that is known: whatever is before it is garbage

A delta is one record, so the counts of a batch and what it is to the signals are in the log together, or neither is. A
snapshot is written when the journals since the last one are as large as that, so that each event is written three times
and no more, however much is known; or when they are many: where little happens each has few events, and a key.

Journals and snapshots are segments of panes with numbers before any time. A worker of an earlier release takes them for
panes that have left the window; what it counts is missing to the signals.

Deltas of the topic of credits have what came of other partitions in the same way: see `step_log`.

What may be lost: nothing by a crash or a move. Events that are taken back stay looked at.
Change together: `ledger_store`, which writes, and `event_batches` and `step_log`, the formats.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from stream_app.core.arrays import Mask
from stream_app.core.changelog.columns import FormatError
from stream_app.core.changelog.replay import BEFORE_PANES, ReplayedLog
from stream_app.core.changelog.segments import Segment
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.funnel.credited_people import CreditedPeople
from stream_app.core.funnel.funnel_keys import FunnelKeys
from stream_app.core.funnel.influence_credits import InfluenceCredits
from stream_app.core.signals.facts import Fact, Signal, SignalValues, are_marked, facts_at
from stream_app.core.signals.few_sharers import few_sharers
from stream_app.core.signals.own_events import OwnEvents
from stream_app.core.signals.partition_signals import PartitionSignals
from stream_app.core.signals.stored.event_batches import decoded, encoded, part_of
from stream_app.core.signals.stored.step_log import ReadSteps, StepLog, StoredStepState
from stream_app.core.state.watermark import NO_TIME

Parts = list[Segment]


class Noticed(NamedTuple):
    """What the signals say about some users, in their order."""

    facts: list[list[Fact]]
    trusted: list[float]
    """The part of their impressions that is left where audiences are bounded, and 0 of who is marked."""


_STEPS = b"\xc1"
"""Before what is of the steps: no msgpack begins with it."""
_FIRST_JOURNAL = -(2**59)
SNAPSHOT = _FIRST_JOURNAL - 1
"""The number of the pane that a snapshot is stored as."""
_MUCH = 256_000
"""Bytes of events in deltas that are copied into a journal."""
_LEAST = 1_000_000
"""Bytes of journals that are worth a snapshot …"""
_MOST_JOURNALS = 16
"""… and so many are, however small they are: each has a key in the log."""


def journal_after(sequence: int) -> int:
    """Return the number of the pane that a journal of the deltas after `sequence` is stored as."""
    return _FIRST_JOURNAL + sequence


class StoredValues(NamedTuple):
    """A journal or snapshot."""

    number: int
    """Of the pane that it is stored as."""
    values: list[bytes]


class _Snapshot(msgspec.Struct, array_like=True):
    signals: bytes
    steps: StoredStepState


class SignalLog:
    """The signals of a partition, and which of its segments hold them."""

    def __init__(self, partition: int = 0, partitions: int = 1) -> None:
        self.signals = PartitionSignals()
        self.steps = StepLog(self.signals, partition, partitions)
        self.credited: CreditedPeople | None = None
        """What others' shares do for the people here, where it is counted."""
        self._deltas: dict[int, list[bytes]] = {}
        """By sequence: the events that only this delta has."""
        self._delta_bytes = 0
        self._covered = 0
        """The last sequence whose events are in a journal or snapshot."""
        self._journals = 0
        """Since the newest snapshot."""
        self._keys: list[bytes] = []
        """Of the newest snapshot and the journals since."""
        self._journal_bytes = self._snapshot_bytes = 0

    @property
    def stored_bytes(self) -> int:
        """Bytes of journals and snapshot in the log that are not garbage."""
        return self._snapshot_bytes + self._journal_bytes

    def take(self, batch: OwnEvents, counted: Mask, sequence: int, most_bytes: int) -> list[bytes]:
        """Take the events of a batch that were counted. Returns what the delta `sequence` is to hold of them."""
        if not counted.any():
            return []
        events = part_of(batch, counted)
        late = self.signals.add_own(events)
        values = list(encoded(part_of(events, ~late), most_bytes))
        if values:
            self._note(sequence, values)
        return values

    def receive(
        self, credits_: InfluenceCredits, counted: Mask, read: ReadSteps | None, sequence: int, most_bytes: int
    ) -> list[bytes]:
        """Take what came of other partitions, of whose credits some are `counted`, like `take`."""
        if read is None:
            return []
        values = [_STEPS + value for value in self.steps.receive(credits_, counted, read, most_bytes)]
        if values:
            self._note(sequence, values)
        return values

    def _note(self, sequence: int, values: Sequence[bytes]) -> None:
        self._deltas[sequence] = list(values)
        self._delta_bytes += sum(map(len, values))

    def advance(self, horizon_ms: int) -> None:
        """Go on to where the window ends."""
        if horizon_ms != NO_TIME:
            self.signals.advance(horizon_ms)

    def holds_alone(self, sequence: int) -> bool:
        """Return whether a delta has events that no journal has."""
        return sequence in self._deltas

    def due(self, most_bytes: int, *, is_sealing: bool) -> StoredValues | None:
        """Return the journal or snapshot that is to be written now: none without a reason.

        A snapshot, once journals are as large as that before, or many; a journal of what is in deltas alone, once it is
        much, or while panes are sealed, so that these deltas may be garbage.
        """
        if self._journal_bytes > max(self._snapshot_bytes, _LEAST) or self._journals >= _MOST_JOURNALS:
            return self.snapshot(most_bytes)
        if not self._deltas or not (is_sealing or self._delta_bytes > _MUCH):
            return None
        return StoredValues(
            journal_after(self._covered), [value for values in self._deltas.values() for value in values]
        )

    def snapshot(self, most_bytes: int) -> StoredValues:
        """Return a snapshot, in values of at most `most_bytes`."""
        data = msgspec.msgpack.encode(_Snapshot(self.signals.encode(), self.steps.state()))
        return StoredValues(SNAPSHOT, [data[start : start + most_bytes] for start in range(0, len(data), most_bytes)])

    def written(self, number: int, sequence: int, stored: Mapping[bytes, bytes]) -> list[bytes]:
        """Note a journal or snapshot that includes `sequence`. Returns the keys that are garbage now."""
        garbage = self._keys if number == SNAPSHOT else []
        self._keys = [*stored] if number == SNAPSHOT else [*self._keys, *stored]
        self._count(number, sum(map(len, stored.values())))
        self._deltas, self._delta_bytes, self._covered = {}, 0, sequence
        return garbage

    def _count(self, number: int, size: int) -> None:
        if number == SNAPSHOT:
            self._snapshot_bytes, self._journal_bytes, self._journals = size, 0, 0
        else:
            self._journal_bytes += size
            self._journals += 1

    def restore(self, held: ReplayedLog, horizon_ms: int) -> list[bytes]:
        """Restore from journals, snapshot and deltas. Returns the keys that are garbage."""
        left = {number: found for number, found in held.sealed.items() if SNAPSHOT <= number < BEFORE_PANES}
        number = SNAPSHOT if SNAPSHOT in left else journal_after(0)
        while found := left.pop(number, None):
            key, parts = found
            if number == SNAPSHOT:
                self._restore_snapshot(b"".join(_values(parts)))
            else:
                self._add(_values(parts))
            self._keys += key.parts(len(parts))
            self._count(number, sum(part.nbytes for part in parts))
            self._covered = key.sequence
            number = journal_after(self._covered)
        for key, parts in held.deltas.items():
            if key.sequence > self._covered and (values := _values(parts)):
                self._add(values)
                self._note(key.sequence, values)
        self.advance(horizon_ms)
        return [name for key, parts in left.values() for name in key.parts(len(parts))]

    def _add(self, values: Sequence[bytes]) -> None:
        for value in values:
            if value.startswith(_STEPS):
                self.steps.receive_again(value[len(_STEPS) :])
            else:
                self.signals.add_own(decoded(value))

    def _restore_snapshot(self, data: bytes) -> None:
        try:
            found = msgspec.msgpack.decode(data, type=_Snapshot)
        except DECODE_ERRORS as error:
            raise FormatError(f"signals that no release has written: {error}") from error
        self.signals.restore(found.signals)
        self.steps.restore(found.steps)

    def erase(self, users: Collection[str], secret: int) -> None:
        """Forget people. A snapshot must follow: deltas and journals still hold them."""
        self.signals.erase(FunnelKeys(secret).persons([*users]))

    def measured(self, users: Sequence[str], secret: int) -> list[SignalValues]:
        """Return what each signal says about users."""
        measured = self.signals.measured(FunnelKeys(secret).persons(users))
        if self.credited is None:
            return measured
        return [*measured, few_sharers(self.credited.widest(users), self.signals.limits)]

    def counts(self) -> dict[Signal, int]:
        """Return how many people have a fact, by signal; of few sharers, in each population."""
        found = self.signals.counts()
        if self.credited is not None:
            few = few_sharers(self.credited.in_populations(), self.signals.limits)
            found[few.name] = int(np.count_nonzero(few.is_marked))
        return found

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.signals.nbytes + self.steps.nbytes

    def noticed(self, users: Sequence[str], secret: int) -> Noticed:
        """Return the facts about users, and what is left of what they reached."""
        measured, trusted = self.measured(users, secret), self.signals.trusted(FunnelKeys(secret).persons(users))
        marked = are_marked(measured)
        facts = [list(facts_at(measured, place)) if marked[place] else [] for place in range(len(users))]
        return Noticed(facts, np.round(trusted.part(marked), 4).tolist())


def _values(parts: Parts) -> list[bytes]:
    return [bytes(value) for part in parts for value in part.looked_at]
