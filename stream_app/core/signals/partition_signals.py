"""The signals about the people of one partition: what comes in, what goes to other partitions, and the facts.

All that is known of a person is in the person's own partition, whatever it rests on:

    own events       → OwnEventSignals  regular, one-sided, audience jump, always on; what is left of impressions
    credited shares  → CreditedPeople   effective sharers: how evenly others share what the person wrote (core/funnel)
                     → StepJudge        trials of these others, by the partition of each of them …
    … trials         → StepEvidence     synchrony

Of these, own events and credited shares are this partition's alone. Trials come from every partition and are added up.
"""

import msgspec
import numpy as np

from stream_app.core.arrays import Hashes, Mask
from stream_app.core.changelog.columns import FormatError
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.signals.facts import Fact, Signal, SignalValues, are_marked, facts_at
from stream_app.core.signals.held_events import StoredHeld
from stream_app.core.signals.own_events import OwnEvents, OwnEventSignals, StoredOwnEvents, Trusted
from stream_app.core.signals.signal_limits import SignalLimits
from stream_app.core.signals.step_evidence import SharerSteps, StepEvidence, StoredEvidence
from stream_app.core.signals.synchrony import CreditedShares, StepJudge, Trials

VERSION = 1


class StoredSignals(msgspec.Struct, array_like=True):
    """The signals of a partition as they are stored."""

    version: int
    own: StoredOwnEvents
    judged: StoredHeld
    evidence: StoredEvidence


class PartitionSignals:
    """The signals about the people of one partition."""

    def __init__(self, limits: SignalLimits = SignalLimits()) -> None:  # noqa: B008 - immutable
        self.limits = limits
        self.own = OwnEventSignals(limits)
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

        Returns which are too late to be judged.
        """
        return self._judge.add(shares)

    def take_back_credited(self, shares: CreditedShares) -> None:
        """Take shares back, as far as they are not judged."""
        self._judge.take_back(shares)

    def add_steps(self, steps: SharerSteps) -> None:
        """Take trials of this partition's people, from any partition, each once."""
        self.evidence.add(steps)

    def advance(self, own_ms: int) -> None:
        """Go on to the time of own events."""
        self.own.advance(own_ms)
        self.evidence.forget(own_ms)

    def judge(self, credited_ms: int) -> Trials:
        """Go on to the time of credits. Returns trials, for the partitions of their sharers."""
        return self._judge.advance(credited_ms)

    def judges_at(self, credited_ms: int) -> bool:
        """Return whether there is anything to judge once credits have come to a time."""
        return self._judge.goes_on_at(credited_ms)

    @property
    def judged_ms(self) -> int:
        """The time of credits up to which nothing more is taken; a multiple of the step in which shares are judged."""
        return self._judge.ready_ms

    def measured(self, users: Hashes) -> list[SignalValues]:
        """Return what each signal but that of effective sharers says about people."""
        return [*self.own.measured(users), self.evidence.measured(users)]

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

    def erase(self, people: Hashes) -> None:
        """Forget people of this partition. Of the shares of an hour that are not judged yet others have a hash."""
        self.own.erase(people)
        self.evidence.erase(people)

    def encode(self) -> bytes:
        """Return the state as bytes."""
        parts = (self.own.stored(), self._judge.stored(), self.evidence.stored())
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
        self._judge.restore(found.judged)
        self.evidence.restore(found.evidence)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(part.nbytes for part in (self.own, self._judge, self.evidence))
