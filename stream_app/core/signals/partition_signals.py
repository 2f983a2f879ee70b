"""The signals about the people of one partition: what comes in, what goes to other partitions, and the facts.

All that is known of a person is in the person's own partition, whatever it rests on:

    own events       → OwnEventSignals  regular, one-sided, audience jump, always on; what is left of impressions
    credited shares  → PairCounts       effective sharers: how evenly others share what the person wrote
                     → StepJudge        trials of these others, by the partition of each of them …
    … trials         → StepEvidence     synchrony

Of these, own events and credited shares are this partition's alone. Trials come from every partition and are added up.
"""

import msgspec
import numpy as np

from stream_app.core.arrays import Hashes, Ints, Mask
from stream_app.core.changelog.columns import FormatError
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.signals.facts import Fact, Signal, SignalValues, are_marked, facts_at, quotient
from stream_app.core.signals.held_events import StoredHeld
from stream_app.core.signals.own_events import OwnEvents, OwnEventSignals, StoredOwnEvents, Trusted
from stream_app.core.signals.pair_counts import OTHERS, SQUARES, TIMES, PairCounts, StoredPairs
from stream_app.core.signals.signal_limits import SignalLimits
from stream_app.core.signals.step_evidence import StepEvidence, StoredEvidence
from stream_app.core.signals.synchrony import CreditedShares, StepJudge, Trials

VERSION = 1


class StoredSignals(msgspec.Struct, array_like=True):
    """The signals of a partition as they are stored."""

    version: int
    own: StoredOwnEvents
    sharers: StoredPairs
    judged: StoredHeld
    evidence: StoredEvidence


class PartitionSignals:
    """The signals about the people of one partition."""

    def __init__(self, limits: SignalLimits = SignalLimits()) -> None:  # noqa: B008 - immutable
        self.limits = limits
        self.own = OwnEventSignals(limits)
        self._sharers = PairCounts(limits.most_pairs)
        self._judge = StepJudge(limits)
        self.evidence = StepEvidence(limits)

    @property
    def late(self) -> int:
        """Events and shares that came too late to be looked at."""
        return self.own.late + self._judge.late

    def add_own(self, events: OwnEvents) -> Mask:
        """Take events of this partition's people. Returns which are too late, and left out."""
        return self.own.add(events)

    def add_credited(self, shares: CreditedShares) -> Mask:
        """Take shares that credit this partition's people, of each sharer and post the earliest.

        Returns which are too late to be judged; those in the window count for effective sharers all the same.
        """
        self._sharers.add(shares.ts_ms // self.limits.slice_ms, shares.authors, shares.sharers)
        return self._judge.add(shares)

    def add_trials(self, trials: Trials) -> None:
        """Take trials of this partition's people, from any partition, each once."""
        self.evidence.add(trials)

    def advance(self, own_ms: int, credited_ms: int) -> Trials:
        """Go on to the times of own events and of credits. Returns trials, for the partitions of their sharers."""
        self.own.advance(own_ms)
        self._sharers.advance(credited_ms, self.limits.slice_ms, self.limits.slices)
        self.evidence.forget(own_ms)
        return self._judge.advance(credited_ms)

    def measured(self, users: Hashes) -> list[SignalValues]:
        """Return what each signal says about people."""
        return [*self.own.measured(users), self._effective(users), self.evidence.measured(users)]

    def facts(self, user: int) -> list[Fact]:
        """Return the facts about one person, by the hash of the id."""
        return list(facts_at(self.measured(np.array([user], np.uint64))))

    def marked(self, users: Hashes) -> Mask:
        """Return who has a fact."""
        return are_marked(self.measured(users))

    def counts(self) -> dict[Signal, int]:
        """Return how many people have a fact, by signal."""
        return {one.name: int(np.count_nonzero(one.is_marked)) for one in self.measured(self.own.people)}

    def trusted(self, users: Hashes) -> Trusted:
        """Return what is left of people's impressions with audiences bounded; `part` also leaves out who is marked."""
        return self.own.trusted(users)

    def _effective(self, users: Hashes) -> SignalValues:
        known: Ints = self._sharers.of(users)
        effective = quotient(known[TIMES] ** 2, known[SQUARES])
        part = quotient(effective, known[TIMES])
        is_marked = (known[TIMES] >= self.limits.effective_shares) & (part < self.limits.effective_part)
        numbers = {"effective_sharers": effective, "sharers": known[OTHERS].astype(np.float64)}
        return SignalValues(
            Signal.EFFECTIVE_SHARERS, self.limits.effective_part, part, known[TIMES], is_marked, numbers
        )

    def erase(self, people: Hashes) -> None:
        """Forget people, as far as this partition knows them: as its own, and as sharers of what its own wrote."""
        self.own.erase(people)
        self._sharers.erase(people)
        self._judge.erase(people)
        self.evidence.erase(people)

    def encode(self) -> bytes:
        """Return the state as bytes."""
        parts = (self.own.stored(), self._sharers.stored(), self._judge.stored(), self.evidence.stored())
        return msgspec.msgpack.encode(StoredSignals(VERSION, *parts))

    def restore(self, data: bytes) -> None:
        """Go on from stored bytes; nothing is counted so far. Raises FormatError if no release has written them."""
        try:
            found = msgspec.msgpack.decode(data, type=StoredSignals)
        except DECODE_ERRORS as error:
            raise FormatError(f"signals that no release has written: {error}") from error
        if found.version != VERSION:
            raise FormatError(f"signals of version {found.version}: written by a newer release?")
        self.own.restore(found.own)
        self._sharers.restore(found.sharers)
        self._judge.restore(found.judged)
        self.evidence.restore(found.evidence)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(part.nbytes for part in (self.own, self._sharers, self._judge, self.evidence))
