"""Stored formats of the funnel: what is written is read again, and what nobody would write is refused."""

import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog.columns import FormatError, pack
from stream_app.core.funnel.funnel import Funnel, FunnelSettings
from stream_app.core.funnel.influence_credits import InfluenceCredits
from stream_app.core.funnel.stored import credit_packets, stored_events, stored_state
from stream_app.core.funnel.stored.credit_packets import CreditPacket
from stream_app.core.funnel.stored.stored_times import pack_times
from tests.unit.core.funnel.naive_funnel import Action, distinct
from tests.unit.core.funnel.partitions_of_funnel import SECRET, columns, scope_of
from tests.unit.core.funnel.test_funnel import actions

SETTINGS = FunnelSettings(10, 20, 30)


def _funnel() -> Funnel:
    funnel = Funnel(SETTINGS, SECRET)
    funnel.people.add(["somebody", "else"])  # so that numbers differ
    return funnel


@settings(max_examples=25)
@given(actions(8), st.randoms(use_true_random=False))
def test_a_funnel_that_is_stored_between_any_two_steps_decides_the_same(
    events: list[Action], chance: random.Random
) -> None:
    whole, stored = Funnel(SETTINGS, SECRET), Funnel(SETTINGS, SECRET)
    pending: list[tuple[bytes, int]] = []
    """Each with the time up to which it was decided since."""
    for event in distinct(events):
        whole.add(columns([event]))
        pending.append((stored_events.encode(stored.add(columns([event])), stored), -1000))
        again = _funnel()
        again.restore(stored_state.decode(stored_state.encode(stored.state())))
        for value, decided_ms in pending:
            again.add_again(stored_events.decode(value, again, lambda columns: columns.ts_ms >= decided_ms))  # noqa: B023
        stored, until_ms = again, event.ts_ms // 10 * 10 + chance.choice([-10, 0, 10])
        early = chance.random() < 0.2
        pending = [] if early else [(value, max(until_ms, decided_ms)) for value, decided_ms in pending]
        for mine, theirs in zip(stored.decide(until_ms, early=early), whole.decide(until_ms, early=early), strict=True):
            assert _content(mine.credits) == _content(theirs.credits)
    for topic in ("*", "x", "y"):
        assert stored.sums(scope_of(topic)) == whole.sums(scope_of(topic))


def _content(credits_: InfluenceCredits) -> list[tuple[object, ...]]:
    scopes = [credits_.scope_names[number] for number in credits_.scopes.tolist()]
    return sorted(zip(credits_.credited, scopes, *(column.tolist() for column in credits_[3:]), strict=True))


@settings(max_examples=60)
@given(actions(12))
def test_credits_arrive_as_they_were_sent(events: list[Action]) -> None:
    funnel = Funnel(SETTINGS, SECRET)
    funnel.add(columns(distinct(events)))
    (decided,) = funnel.decide(0, early=True)
    sent = decided.credits
    packets = list(credit_packets.packets_of(sent, 2, 3))
    assert len({packet.partition for packet in packets}) == len(packets)
    if not packets:
        assert not len(sent.ts_ms)
        return
    got = credit_packets.joined_packets([credit_packets.decode(packet.value) for packet in packets])
    assert _content(got) == _content(sent)


def _packet() -> list[object]:
    funnel = Funnel(SETTINGS, SECRET)
    funnel.add(columns([Action("1", 5, "bob", is_share=True, author="ann", post="p", impressions=7)]))
    (decided,) = funnel.decide(0, early=True)
    ((_, value),) = credit_packets.packets_of(decided.credits, 0, 1)
    found: list[object] = msgspec.msgpack.decode(value)
    return found


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (1, 2),
        (3, []),
        (3, [["all", "x" * 1001]]),
        (4, []),
        (4, [""]),
        (4, ["x" * 257]),
        (4, ["x"] * 1001),
        (5, ["u1", b"\x07\x00"]),
        (5, ["u1", b"\x00"]),
        (5, ["u8", b"\xff" * 16]),
        (5, ["f8", b"\x00" * 16]),
        (5, ["u8", b"\x00" * 15]),
        (5, ["x", b""]),
        (7, [2**61, ["u1", b"\x00\x00"]]),
        (7, [0, ["u8", b"\xff" * 16]]),
        (8, ["u1", b"\x04\x00"]),
        (10, ["u8", (b"\x00" * 7 + b"\x40") * 2]),
        (14, ["u1", b"\x02\x00"]),
    ],
)
def test_a_packet_that_no_worker_writes_is_refused(place: int, value: object) -> None:
    packet = _packet()
    credit_packets.decode(msgspec.msgpack.encode(packet))
    packet[place] = value
    with pytest.raises(FormatError, match="no packet of credits"):
        credit_packets.decode(msgspec.msgpack.encode(packet))


@pytest.mark.parametrize("value", [b"", b"\xc0", b"{}", b"\x91" * 5000])
def test_what_is_no_packet_at_all_is_refused(value: bytes) -> None:
    with pytest.raises(FormatError, match="no packet of credits"):
        credit_packets.decode(value)


def test_a_packet_of_nothing_or_of_too_much_is_refused() -> None:
    for count in (0, 1001):
        zeros = pack(np.zeros(count, np.int64))
        packet = CreditPacket(
            1,
            0,
            [scope_of("*")],
            ["ann"],
            zeros,
            zeros,
            pack_times(np.zeros(count, np.int64)),
            *[zeros] * 7,
        )
        with pytest.raises(FormatError, match="not equally long"):
            credit_packets.decode(msgspec.msgpack.encode(packet))


def test_damaged_events_and_states_are_refused() -> None:
    with pytest.raises(FormatError):
        stored_events.decode(b"x", _funnel(), lambda columns: columns.ts_ms > 0)
    with pytest.raises(FormatError):
        stored_state.decode(b"x")
