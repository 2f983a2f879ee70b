"""Step packets: how far a partition's credits have come, and trials on their way to the partition of the sharers.

They are on the topic of credits, in order with these. What is read may be written by anybody who may write to the
topic, so nothing of it is believed before it is checked.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.changelog.columns import Column, FormatError, pack, unpack
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.events.schema import EARLIEST_MS, LATEST_MS
from stream_app.core.funnel.influence_credits import InfluenceCredits
from stream_app.core.funnel.stored import credit_packets
from stream_app.core.funnel.stored.credit_packets import AddressedPacket, CreditPacket
from stream_app.core.funnel.stored.stored_times import Times, pack_times, unpack_hashes
from stream_app.core.signals.step_evidence import SharerSteps, added_up
from stream_app.core.signals.synchrony import MILLION, Trials

VERSION = 1
MOST_SHARERS = 2_000
"""Of one packet, which is under 80 kB."""
_MOST_TRIALS = 2**22
"""Of one sharer in a packet."""


class ProgressPacket(msgspec.Struct, array_like=True, tag="progress"):
    """All credits of a partition for events before a time were sent before this, but for events that come too late."""

    version: int
    source: int
    sent_ms: int


class TrialPacket(msgspec.Struct, array_like=True, tag="trials"):
    """Trials of one judgement for the sharers of one partition, added up: columns of equal length."""

    version: int
    source: int
    judged_ms: int
    part: int
    """Of several packets of the same judgement: which."""
    sharer: Column
    trials: Column
    in_step: Column
    expected: Column
    variance: Column
    last_ms: Times


class ReadCredits(NamedTuple):
    """Credits, and the partition that decided."""

    source: int
    credits: InfluenceCredits


class SentUntil(NamedTuple):
    """How far the credits of a partition have come."""

    source: int
    sent_ms: int


class ReadTrials(NamedTuple):
    """Trials of a partition. Those of one (source, judgement, part) are always the same, and come in that order."""

    source: int
    judged_ms: int
    part: int
    steps: SharerSteps


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(CreditPacket | ProgressPacket | TrialPacket)


def trial_packets(trials: Trials, judged_ms: int, source: int) -> Iterator[AddressedPacket]:
    """Yield the trials of a judgement by the partition `source`, as packets for the partitions of the sharers."""
    for target in np.unique(trials.sources).tolist():
        steps = added_up(trials.take(trials.sources == target))
        for part, start in enumerate(range(0, len(steps.sharers), MOST_SHARERS)):
            some = SharerSteps._make(column[start : start + MOST_SHARERS] for column in steps)
            yield AddressedPacket(target, encoded_trials(ReadTrials(source, judged_ms, part, some)))


def encoded_trials(read: ReadTrials) -> bytes:
    """Encode trials as one packet."""
    steps = read.steps
    sums = map(pack, (steps.trials, steps.in_step, steps.expected, steps.variance))
    columns: tuple[Any, ...] = (pack(steps.sharers), *sums, pack_times(steps.last_ms))
    return _ENCODER.encode(TrialPacket(VERSION, read.source, read.judged_ms, read.part, *columns))


def encoded_progress(progress: SentUntil) -> bytes:
    """Encode how far credits have come."""
    return _ENCODER.encode(ProgressPacket(VERSION, *progress))


def decode(value: bytes, partitions: int) -> ReadCredits | SentUntil | ReadTrials:
    """Decode a packet of any of `partitions`. Raises FormatError for anything that no worker would write."""
    try:
        packet = _DECODER.decode(value)
    except DECODE_ERRORS as error:
        raise FormatError(f"no packet of credits: {error}") from error
    if not 0 <= packet.source < partitions:
        raise FormatError("no packet of credits: it is of a partition that is none")
    if isinstance(packet, CreditPacket):
        return ReadCredits(packet.source, credit_packets.checked(packet))
    if packet.version != VERSION:
        raise FormatError(f"a packet of steps of version {packet.version}, this release reads {VERSION}")
    if isinstance(packet, ProgressPacket):
        if not EARLIEST_MS <= packet.sent_ms <= LATEST_MS:
            raise FormatError("a packet of steps with a time that no event has")
        return SentUntil(packet.source, packet.sent_ms)
    return _checked(packet)


def _checked(packet: TrialPacket) -> ReadTrials:
    if not (0 <= packet.part < _MOST_TRIALS and EARLIEST_MS <= packet.judged_ms <= LATEST_MS):
        raise FormatError("a packet of steps with a judgement that is none")
    try:
        last_ms = credit_packets.checked_times(packet.last_ms)
        sums = (_numbers(column) for column in (packet.trials, packet.in_step, packet.expected, packet.variance))
        steps = SharerSteps._make((unpack_hashes(packet.sharer), *sums, last_ms))
    except (ValueError, OverflowError, TypeError) as error:  # of which FormatError is one
        raise FormatError(f"no packet of steps: {error}") from error
    if not 0 < len(steps.sharers) <= MOST_SHARERS or any(len(column) != len(last_ms) for column in steps):
        raise FormatError(f"no packet of steps: its columns are not equally long, or of over {MOST_SHARERS}")
    least = np.array([steps.trials, steps.in_step, steps.expected // MILLION, steps.variance // MILLION])
    if np.any((least < 0) | (least > steps.trials)) or np.any((steps.trials < 1) | (steps.trials > _MOST_TRIALS)):
        raise FormatError("a packet of steps with more of them than trials")
    return ReadTrials(packet.source, packet.judged_ms, packet.part, steps)


def _numbers(column: Column) -> Ints:
    numbers = unpack(column)
    if numbers.dtype.kind != "u":
        raise FormatError("a number of trials is no whole number")
    return numbers.astype(np.int64)
