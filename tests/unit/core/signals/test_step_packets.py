"""Step packets: what is sent is read again, and what no worker would write is refused, not believed, and no error."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog.columns import FormatError, pack
from stream_app.core.funnel.stored.credit_packets import joined_packets
from stream_app.core.signals.partition_signals import PartitionSignals
from stream_app.core.signals.step_evidence import SharerSteps
from stream_app.core.signals.stored.step_log import StepLog, read_steps
from stream_app.core.signals.stored.step_packets import (
    MOST_SHARERS,
    ReadTrials,
    SentUntil,
    decode,
    encoded_progress,
    encoded_trials,
)

PARTITIONS = 3
NOW_MS = 1_475_280_000_000
BELOW, BEYOND = ["u8", b"\xff" * 16], ["u1", b"\x09\x09"]
FRACTIONS = ["f8", b"\x00" * 16]


def steps(count: int = 2) -> SharerSteps:
    """Trials of some sharers."""
    numbers = np.arange(count, dtype=np.int64)
    ones = np.ones(count, np.int64)
    return SharerSteps(
        numbers.astype(np.uint64) + np.uint64(2**63), 5 * ones, 4 * ones, 90 * ones, 80 * ones, NOW_MS - numbers
    )


def trials(count: int = 2) -> bytes:
    return encoded_trials(ReadTrials(1, NOW_MS, 0, steps(count)))


@given(st.integers(0, PARTITIONS - 1), st.integers(1, MOST_SHARERS))
def test_what_was_sent_is_read_again(source: int, count: int) -> None:
    sent = ReadTrials(source, NOW_MS, 7, steps(count))
    read = decode(encoded_trials(sent), PARTITIONS)
    assert isinstance(read, ReadTrials)
    assert read[:3] == sent[:3]
    for mine, theirs in zip(read.steps, sent.steps, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    progress = SentUntil(source, NOW_MS)
    assert decode(encoded_progress(progress), PARTITIONS) == progress


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, "other"),
        (1, 2),
        (2, -1),
        (2, PARTITIONS),
        (2, 2**64 - 1),
        (3, -(2**62)),
        (3, 2**62),
        (4, -1),
        (4, 2**40),
        *(
            (place, value)
            for place in range(6, 10)
            for value in (BELOW, BEYOND, FRACTIONS)
            if value is not BEYOND or place == 7
        ),
        (6, ["u1", b"\x00\x01"]),
        (6, ["u4", (2**22 + 1).to_bytes(4, "little") * 2]),
        (8, ["u8", b"\xff\xff\xff\xff\xff\x00\x00\x00" * 2]),
        (5, ["u1", b"\x01"]),
        (5, ["u8", b"\x01" * 15]),
        (5, ["x", b""]),
        (10, [2**63, ["u1", b"\x00\x00"]]),
        (10, [2**62, ["u1", b"\x00\x00"]]),
        (10, [0, ["u8", b"\xff" * 16]]),
        (10, [-(2**62), ["u1", b"\x00\x00"]]),
        (10, [NOW_MS, ["f8", b"\xff" * 16]]),
    ],
)
def test_trials_that_no_worker_sends_are_refused(place: int, value: object) -> None:
    packet = msgspec.msgpack.decode(trials())
    packet[place] = value
    with pytest.raises(FormatError, match="packet of"):
        decode(msgspec.msgpack.encode(packet), PARTITIONS)


@pytest.mark.parametrize("count", [0, MOST_SHARERS + 1])
def test_trials_of_nobody_or_of_too_many_are_refused(count: int) -> None:
    with pytest.raises(FormatError, match=f"over {MOST_SHARERS}"):
        decode(trials(count), PARTITIONS)


@pytest.mark.parametrize(("place", "value"), [(1, 9), (2, PARTITIONS), (2, -1), (3, -(2**62)), (3, 2**62), (3, "now")])
def test_progress_that_no_worker_has_is_refused(place: int, value: object) -> None:
    packet = msgspec.msgpack.decode(encoded_progress(SentUntil(1, NOW_MS)))
    packet[place] = value
    with pytest.raises(FormatError, match="packet of"):
        decode(msgspec.msgpack.encode(packet), PARTITIONS)


@settings(max_examples=300)
@given(
    st.sampled_from([trials(), encoded_progress(SentUntil(1, NOW_MS))]),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6),
    st.integers(0, 200),
)
def test_broken_packets_are_refused_or_add_up_but_are_never_an_error(
    whole: bytes, changes: list[tuple[int, int]], end: int
) -> None:
    value = bytearray(whole)
    for place, byte in changes:
        value[place % len(value)] = byte
    try:
        read = decode(bytes(value[: len(value) - end // 190 * end]), PARTITIONS)
    except FormatError:
        return
    signals = PartitionSignals()
    with np.errstate(all="raise", under="ignore"):
        again = StepLog(PartitionSignals(), 0, PARTITIONS)
        for stored in StepLog(signals, 0, PARTITIONS).receive(
            joined_packets([]), np.zeros(0, np.bool_), read_steps([read]), 10_000
        ):
            again.receive_again(stored)
        signals.measured(steps().sharers)


def test_as_many_trials_as_are_believed_do_not_overflow_what_is_known_of_a_sharer() -> None:
    most = pack(np.array([2**22], np.int64))
    packet = msgspec.msgpack.decode(trials(1))
    packet[6:10] = [[most.dtype, bytes(most.data)]] * 2 + [["u8", (2**22 * 10**6).to_bytes(8, "little")]] * 2
    log = StepLog(signals := PartitionSignals(), 0, PARTITIONS)
    for part in range(3000):
        packet[4] = part
        read = read_steps([decode(msgspec.msgpack.encode(packet), PARTITIONS)])
        log.receive(joined_packets([]), np.zeros(0, np.bool_), read, 10_000)
    with np.errstate(all="raise"):
        found = signals.evidence.measured(steps(1).sharers)
    assert found.events.tolist() == [3000 * 2**22]
