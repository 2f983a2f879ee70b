"""Credit packets: influence credits on their way to the partition of those who are credited, within bounds.

What is read may be written by anybody who may write to the topic, so nothing of it is believed before it is checked.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from stream_app.core.arrays import Ints, distinct_in
from stream_app.core.changelog.columns import Column, FormatError, pack, pack_signed, unpack, unpack_signed
from stream_app.core.decoding import DECODE_ERRORS, LONGEST_NAME
from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.events.schema import EARLIEST_MS, LATEST_MS, MAX_ID_BYTES, MOST_PEOPLE
from stream_app.core.funnel.influence_credits import InfluenceCredits
from stream_app.core.funnel.stored.stored_times import Times, pack_times, unpack_hashes
from stream_app.core.state.scopes import ScopeName

VERSION = 1
MOST_CREDITS = 1_000
"""Of one packet: with the longest names it is under a megabyte."""


class CreditPacket(msgspec.Struct, array_like=True, tag="credits"):
    """Credits of one partition for people of another one: columns of equal length."""

    version: int
    source: int
    """The partition that decided."""
    scopes: list[ScopeName]
    people: list[str]
    credited: Column
    """Places in `people`."""
    scope: Column
    """Places in `scopes`."""
    ts_ms: Times
    recruits: Column
    shares: Column
    impressions: Column
    """These three may be negative, see `pack_signed`."""
    person: Column
    ids: Column
    posts: Column
    """Distinct hashes."""
    post: Column
    """Places in `posts`."""


class AddressedPacket(NamedTuple):
    """A packet, and the partition that it goes to."""

    partition: int
    value: bytes


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(CreditPacket)


def packets_of(credits_: InfluenceCredits, source: int, partitions: int) -> Iterator[AddressedPacket]:
    """Yield credits of `source` as packets for each of `partitions` partitions that somebody credited is in."""
    if not len(credits_.ts_ms):
        return
    homes = partitions_of([name.encode() for name in credits_.credited], partitions)
    for home in distinct_in(homes).tolist():
        places = np.flatnonzero(homes == home)
        for start in range(0, len(places), MOST_CREDITS):
            yield AddressedPacket(home, encode(credits_.at(places[start : start + MOST_CREDITS]), source))


def encode(credits_: InfluenceCredits, source: int) -> bytes:
    """Encode credits of `source` as one packet."""
    scopes = distinct_in(credits_.scopes)
    posts, post = np.unique(credits_.posts, return_inverse=True)
    people = {name: place for place, name in enumerate(dict.fromkeys(credits_.credited))}
    return _ENCODER.encode(
        CreditPacket(
            VERSION,
            source,
            [credits_.scope_names[number] for number in scopes.tolist()],
            [*people],
            pack(np.array([people[name] for name in credits_.credited], np.int64)),
            pack(np.searchsorted(scopes, credits_.scopes)),
            pack_times(credits_.ts_ms),
            *(pack_signed(credits_.recruits), pack_signed(credits_.shares), pack_signed(credits_.impressions)),
            *(pack(credits_.persons), pack(credits_.ids), pack(posts), pack(post)),
        )
    )


def decode(value: bytes) -> InfluenceCredits:
    """Decode a packet. Raises FormatError, which says what is wrong, for anything that no worker would write."""
    try:
        packet = _DECODER.decode(value)
    except DECODE_ERRORS as error:
        raise FormatError(f"no packet of credits: {error}") from error
    return checked(packet)


def checked(packet: CreditPacket) -> InfluenceCredits:
    """Return the credits of a packet. Raises FormatError."""
    try:
        _check_names(packet)
        people, scopes, post = (_numbers(column) for column in (packet.credited, packet.scope, packet.post))
        columns = (
            *(_signed(packet.recruits, 1), _signed(packet.shares, 1), _signed(packet.impressions, MOST_PEOPLE)),
            *(unpack_hashes(packet.person), unpack_hashes(packet.ids)),
        )
        posts = unpack_hashes(packet.posts)
        ts_ms = checked_times(packet.ts_ms)
    except (*DECODE_ERRORS, ValueError, OverflowError) as error:  # of which FormatError is one
        raise FormatError(f"no packet of credits: {error}") from error
    sizes = {len(column) for column in (people, scopes, ts_ms, post, *columns)}
    if len(sizes) > 1 or not 0 < len(people) <= MOST_CREDITS:
        raise FormatError(f"no packet of credits: its columns are not equally long, or of over {MOST_CREDITS}")
    lengths = ((people, packet.people), (scopes, packet.scopes), (post, posts))
    if any(places.max() >= len(named) for places, named in lengths):
        raise FormatError("no packet of credits: it names somebody, a topic or a post that is not in it")
    names = [packet.people[place] for place in people.tolist()]
    return InfluenceCredits(names, scopes, packet.scopes, ts_ms, *columns, posts[post])


def without(packet: bytes, names: Collection[str], source: int) -> bytes:
    """Return a packet of `source` without the credits of some people; nothing if none is left."""
    credits_ = decode(packet)
    kept = np.array([name not in names for name in credits_.credited], np.bool_)
    if kept.all():
        return packet
    return encode(credits_.at(kept), source) if kept.any() else b""


def joined_packets(parts: Sequence[InfluenceCredits]) -> InfluenceCredits:
    """Return the credits of several packets as one; of none, no credits."""
    if not parts:
        none, no_hash = np.empty(0, np.int64), np.empty(0, np.uint64)
        return InfluenceCredits([], none, [], none, none, none, none, no_hash, no_hash, no_hash)
    names: dict[ScopeName, int] = {}
    numbers = [np.array([names.setdefault(name, len(names)) for name in part.scope_names], np.int64) for part in parts]
    scopes = np.concatenate([known[part.scopes] for known, part in zip(numbers, parts, strict=True)])
    columns: list[Any] = [np.concatenate([part[place] for part in parts]) for place in range(3, 10)]
    return InfluenceCredits([name for part in parts for name in part.credited], scopes, [*names], *columns)


def _check_names(packet: CreditPacket) -> None:
    if packet.version != VERSION:
        raise FormatError(f"it has version {packet.version}, this release reads {VERSION}")
    if len(packet.people) > MOST_CREDITS or len(packet.scopes) > MOST_CREDITS:
        raise FormatError(f"it has over {MOST_CREDITS} names")
    if not all(0 < len(name.encode()) <= MAX_ID_BYTES for name in packet.people):
        raise FormatError(f"a user id has 1 to {MAX_ID_BYTES} bytes")
    if not all(0 < len(name) <= LONGEST_NAME for scope in packet.scopes for name in scope):
        raise FormatError(f"a topic or population has 1 to {LONGEST_NAME} characters")


def _numbers(column: Column) -> Ints:
    numbers = unpack(column)
    if numbers.dtype.kind != "u":
        raise FormatError("a place is no whole number")
    places: Ints = np.minimum(numbers, np.uint64(MOST_CREDITS)).astype(np.int64)
    return places


def _signed(column: Column, most: int) -> Ints:
    if unpack(column).dtype.kind != "u":
        raise FormatError("it has a number that is not whole")
    values = unpack_signed(column)
    if len(values) and (values.min() < -most or values.max() > most):
        raise FormatError(f"it has a number beyond {most}")
    return values


def checked_times(times: Times) -> Ints:
    """Return times that events can have. Raises FormatError."""
    more = unpack(times.more)
    is_near = more.dtype.kind == "u" and more.max(initial=0) <= LATEST_MS - EARLIEST_MS
    if not is_near or not EARLIEST_MS <= times.least <= LATEST_MS:
        raise FormatError("it has a time that no event has")
    ts_ms = times.unpacked()
    if ts_ms.max(initial=EARLIEST_MS) > LATEST_MS:
        raise FormatError("it has a time that no event has")
    return ts_ms
