"""The step log: how shares meet in the partition of their author, and trials come back to that of their sharer.

The problem: synchrony is about shares of one post, whose sharers are in all partitions. Credits bring the shares
together, but the answer is about sharers, who are elsewhere; workers crash in between, and credits come when they come.

    partition of ann      credits ──────────────▶  of the author: held, until …
                          progress 9:15 ────────▶  … all partitions have said that they are past it; then judged
                          evidence of ann  ◀───── trials, added up by sharer

1. SentUntil. Who decides says after its credits how far they have come (`ProgressPacket`); the order on the topic is
   kept. The judge goes on to the smallest of what all partitions have said. So what is judged, and what is late, hangs
   on the order of the records on the topic alone: not on when they are read, nor in which batches, nor by whom.
   A new owner may know less than was said (what had no news is in no decision), and says it again. All that had been
   read is in the log when it is said; so what is read then of before that time is what would have come after it anyway.
2. Trials. A judgement is the same whenever it is made again from the same records. Nothing of it is stored: a new owner
   makes it again from the shares and progress in deltas and journals since the snapshot. It is sent until each delta
   written after says that it was (`sent_ms`). So trials are sent at least once, and always the same ones.
3. Evidence. Trials of a partition come in the order of (judgement, part). What is not after the last that was added is
   a repeat. The trials added are in the delta together with the position after them.

A hash of a sharer is that of the partition of the share, where alone its secret is; so its number goes with the hash.
SentUntil is said in steps of the judge (five minutes), so there are partitions² such packets in each, of 30 bytes.

Change together: `engine/influence` (what is sent when), `signal_log` (where it is stored), `synchrony`.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from stream_app.core.arrays import Ints, Mask
from stream_app.core.changelog.columns import FormatError
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.funnel.influence_credits import InfluenceCredits
from stream_app.core.funnel.stored.credit_packets import AddressedPacket
from stream_app.core.messages import ALL_TOPICS
from stream_app.core.signals.partition_signals import PartitionSignals
from stream_app.core.signals.step_evidence import SharerSteps
from stream_app.core.signals.stored.step_packets import (
    ReadCredits,
    ReadTrials,
    SentUntil,
    encoded_progress,
    trial_packets,
)
from stream_app.core.signals.stored.stored_arrays import StoredArray, stored, unstored
from stream_app.core.signals.synchrony import NO_SHARES, CreditedShares
from stream_app.core.state.watermark import NO_TIME

VERSION = 1
_MOST_SHARE_BYTES = 32
"""Of a share as it is stored: a time, two hashes, a partition and a sign."""


class Said(NamedTuple):
    """SentUntil, and how many credits (or shares) of a batch came before it."""

    place: int
    progress: SentUntil


class ReadSteps(NamedTuple):
    """What a batch of the credits topic has besides the credits."""

    sources: Ints
    """Of each credit, the partition that decided."""
    said: list[Said]
    trials: list[ReadTrials]

    def at(self, kept: Mask) -> "ReadSteps":
        """Return it with only some of the credits."""
        before = np.append(0, np.cumsum(kept))
        said = [Said(int(before[place]), progress) for place, progress in self.said]
        return ReadSteps(self.sources[kept], said, self.trials)


def read_steps(packets: Iterable[ReadCredits | SentUntil | ReadTrials]) -> ReadSteps:
    """Return what packets have besides the credits."""
    sources: list[int] = []
    found = ReadSteps(NO_SHARES.sources, [], [])
    for packet in packets:
        if isinstance(packet, ReadCredits):
            sources += [packet.source] * len(packet.credits.ts_ms)
        elif isinstance(packet, SentUntil):
            found.said.append(Said(len(sources), packet))
        else:
            found.trials.append(packet)
    return found._replace(sources=np.array(sources, np.int64))


class DueSteps(NamedTuple):
    """What a partition has to send."""

    decided_ms: int
    judged_ms: int
    """All judgements up to this one are in it."""
    packets: list[AddressedPacket]


class _Steps(NamedTuple):
    """What of a batch is for the signals: shares in any topic once, those taken back among them."""

    shares: CreditedShares
    signs: Ints
    said: list[Said]
    trials: list[ReadTrials]


class _StoredSteps(msgspec.Struct, array_like=True):
    """The same as it is stored; shares as columns of integers."""

    version: int
    sent_ms: int
    first_ms: int
    columns: list[StoredArray]
    signs: StoredArray
    said: list[tuple[int, int, int]]
    trials: list[tuple[int, int, int, list[StoredArray]]]


class StoredStepState(msgspec.Struct, array_like=True):
    """Where a partition stands, as it is stored with all that its signals know."""

    said: dict[int, int]
    heard: dict[int, tuple[int, int]]
    sent_ms: int
    unsent: list[tuple[int, AddressedPacket]]


_DECODER = msgspec.msgpack.Decoder(_StoredSteps)


class StepLog:
    """The steps of one partition: what came of other partitions, and what goes to them."""

    def __init__(self, signals: PartitionSignals, partition: int, partitions: int) -> None:
        self._signals = signals
        self._partition, self._partitions = partition, partitions
        self._said: dict[int, int] = {}
        """By partition: how far its credits have come."""
        self._heard: dict[int, tuple[int, int]] = {}
        """By partition: the last of its trials that were added."""
        self._unsent: list[tuple[int, AddressedPacket]] = []
        """Judgements and packets of them."""
        self._sent_ms = NO_TIME
        """The last judgement that is known to be sent."""
        self._announced_ms = NO_TIME
        """How far the credits of this partition have come, by what was said last. A new owner says it again."""

    def receive(self, credits_: InfluenceCredits, counted: Mask, read: ReadSteps, most_bytes: int) -> list[bytes]:
        """Take a batch, of whose credits some are `counted`. Returns what the delta has to say, in small values."""
        values = []
        for steps in _pieces_of(_steps_of(credits_, counted, read), max(most_bytes // _MOST_SHARE_BYTES, 1)):
            values.append(self._encoded(steps))
            self._take(steps)
        return values

    def receive_again(self, value: bytes) -> None:
        """Take what a delta or journal says. Raises FormatError."""
        sent_ms, steps = _decoded(value)
        self._take(steps)
        self._forget_sent(sent_ms)

    def _take(self, steps: _Steps) -> None:
        done = 0
        for place, progress in steps.said:
            self._said[progress.source] = max(progress.sent_ms, self._said.get(progress.source, NO_TIME))
            reached_ms = min(self._said.values()) if len(self._said) == self._partitions else NO_TIME
            if self._signals.judges_at(reached_ms):
                self._add(steps, done, place)
                done = place
                self._judge(reached_ms)
        self._add(steps, done, len(steps.signs))
        for one in steps.trials:
            if (one.judged_ms, one.part) > self._heard.get(one.source, (NO_TIME, 0)):
                self._heard[one.source] = (one.judged_ms, one.part)
                self._signals.add_steps(one.steps)

    def _add(self, steps: _Steps, start: int, end: int) -> None:
        some = slice(start, end)
        shares, signs = steps.shares.take(some), steps.signs[some]
        self._signals.add_credited(shares.take(signs > 0))
        if (signs < 0).any():
            self._signals.take_back_credited(shares.take(signs < 0))

    def _judge(self, reached_ms: int) -> None:
        trials = self._signals.judge(reached_ms)
        judged_ms = self._signals.judged_ms
        self._unsent += [(judged_ms, packet) for packet in trial_packets(trials, judged_ms, self._partition)]

    def due(self, decided_ms: int) -> DueSteps:
        """Return what is to be sent, now that the credits of this partition have come to a time."""
        step_ms = self._signals.limits.judge_ms
        progress = []
        if decided_ms // step_ms > self._announced_ms // step_ms:
            said = AddressedPacket(0, encoded_progress(SentUntil(self._partition, decided_ms)))
            progress = [said._replace(partition=other) for other in range(self._partitions)]
        return DueSteps(decided_ms, self._signals.judged_ms, progress + [packet for _, packet in self._unsent])

    def note_sent(self, due: DueSteps) -> None:
        """Note that Kafka has all of it."""
        self._announced_ms = due.decided_ms
        self._forget_sent(due.judged_ms)

    def _forget_sent(self, judged_ms: int) -> None:
        self._sent_ms = max(judged_ms, self._sent_ms)
        self._unsent = [(made_ms, packet) for made_ms, packet in self._unsent if made_ms > self._sent_ms]

    def state(self) -> StoredStepState:
        """Return where it stands."""
        return StoredStepState(self._said, self._heard, self._sent_ms, self._unsent)

    def restore(self, state: StoredStepState) -> None:
        """Go on from there."""
        self._said, self._heard, self._sent_ms, self._unsent = state.said, state.heard, state.sent_ms, state.unsent

    def _encoded(self, steps: _Steps) -> bytes:
        first_ms = int(steps.shares.ts_ms.min(initial=2**62))
        columns = steps.shares._replace(ts_ms=steps.shares.ts_ms - first_ms)
        return msgspec.msgpack.encode(
            _StoredSteps(
                *(VERSION, self._sent_ms, first_ms, [*map(stored, columns)], stored(steps.signs)),
                [(place, *progress) for place, progress in steps.said],
                [(*one[:3], [*map(stored, one.steps)]) for one in steps.trials],
            )
        )

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(len(packet.value) for _, packet in self._unsent)


def _steps_of(credits_: InfluenceCredits, counted: Mask, read: ReadSteps) -> _Steps:
    everybody = np.array([name.topic == ALL_TOPICS for name in credits_.scope_names], np.bool_)
    chosen = counted & (credits_.shares != 0) & (credits_.posts != 0)
    if len(everybody):
        chosen &= everybody[credits_.scopes]
    shares = CreditedShares(credits_.ts_ms, credits_.posts, credits_.persons, read.sources)
    return _Steps(shares.take(chosen), credits_.shares[chosen], read.at(chosen).said, read.trials)


def _pieces_of(steps: _Steps, most: int) -> Iterator[_Steps]:
    """Yield it in pieces of at most so many shares, or one packet of trials."""
    said, count = deque(steps.said), len(steps.signs)
    for start in range(0, max(count, min(len(said), 1)), most):
        end = min(start + most, count)
        theirs = []
        while said and said[0].place <= end:
            theirs.append(said.popleft())
        before = [Said(place - start, progress) for place, progress in theirs]
        yield _Steps(steps.shares.take(slice(start, end)), steps.signs[start:end], before, [])
    for one in steps.trials:
        yield _Steps(NO_SHARES, NO_SHARES.sources, [], [one])


def _decoded(value: bytes) -> tuple[int, _Steps]:
    try:
        found = _DECODER.decode(value)
    except DECODE_ERRORS as error:
        raise FormatError(f"steps that no release has written: {error}") from error
    if found.version != VERSION:
        raise FormatError(f"steps of version {found.version}: written by a newer release?")
    ts_ms, posts, sharers, sources = (unstored(column) for column in found.columns)
    shares = CreditedShares(ts_ms + found.first_ms, posts.view(np.uint64), sharers.view(np.uint64), sources)
    said = [Said(place, SentUntil(source, sent_ms)) for place, source, sent_ms in found.said]
    trials = [ReadTrials(source, at_ms, part, _unstored(columns)) for source, at_ms, part, columns in found.trials]
    return found.sent_ms, _Steps(shares, unstored(found.signs), said, trials)


def _unstored(columns: list[StoredArray]) -> SharerSteps:
    return SharerSteps._make(map(unstored, columns, ("<u8", *["<i8"] * 5)))
