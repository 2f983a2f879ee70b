"""Messages of the tracker's own topics, changed at random: what no worker can have written is left out."""

import asyncio
from contextlib import suppress
from random import Random
from typing import Any
from unittest.mock import Mock

import msgspec

from stream_app.alerts.config import AlertsFile
from stream_app.alerts.state import state_records
from stream_app.alerts.state.notifications import NotificationState
from stream_app.alerts.state.state_records import StateError
from stream_app.core.changelog import status
from stream_app.core.changelog.standing_records import readable
from stream_app.core.changelog.status import Status
from stream_app.core.exchange import delta_message
from stream_app.core.messages import FlagType, flag_in
from stream_app.core.state.watermark import Source
from stream_app.engine.ownership.foreign_records import ForeignRecordError
from stream_app.engine.rounds.delta_reader import DeltaReader
from stream_app.kafka.format.plain import PlainRecord
from stream_app.kafka.records import Partition
from tests.fuzz.mutations import deep, mutated, mutated_bytes
from tests.unit.engine.fakes import NOW_MS, PARTITION, post, posts
from tests.unit.engine.parts import CHANGELOG, Parts
from tests.unit.engine.rounds.test_flag_outbox import flag as dated_flag

_AHEAD_MS = 300_000
_FLAG = dated_flag("ann", FlagType.ENTERED, NOW_MS)
_USERS = 30


def _changed(chance: Random, value: bytes, *, is_json: bool = False) -> bytes:
    """A message with another part, other bytes, or far too many levels."""
    level = chance.random()
    if level < 0.05:
        return deep(b"[", b"]") if is_json else deep(b"\x91", b"\xc0")
    if level < 0.4:
        return mutated_bytes(chance, value)
    codec: Any = msgspec.json if is_json else msgspec.msgpack
    try:
        return bytes(codec.encode(mutated(chance, codec.decode(value))))
    except (OverflowError, msgspec.MsgspecError, UnicodeError, RecursionError):
        return mutated_bytes(chance, value)


def internal_records(chance: Random) -> None:
    """Whatever stands on the curves topic, rounds go on, the window stays where it may be, and counts as they were."""
    asyncio.run(_internal_records(chance))


async def _internal_records(chance: Random) -> None:
    parts = Parts()
    await parts.count(posts(range(_USERS)))
    await parts.round()
    curves = parts.fake.settings.curves_topic
    known = [(record.key or b"", record.value or b"") for record in parts.fake.producer.of(curves)]
    own = Status(1, PARTITION, {"posts": Source(7, 8)}, NOW_MS, False, 1, 2, 3, 4, 0, 2**40, 0, "127.0.0.1:80")
    known += [(b"status/%d" % PARTITION, status.encode(own)), (b"watermark", b"%d" % NOW_MS)]
    known += [(b"past/1/2", b"\x92\x01\x90")]
    for _ in range(5):
        key, value = chance.choice(known)
        if chance.random() < 0.2:
            key = mutated_bytes(chance, key)
        parts.exchange.update(key, _changed(chance, value))
        await parts.round()
    assert parts.exchange.newest_ms <= NOW_MS + _AHEAD_MS
    await parts.count(posts(range(_USERS, 2 * _USERS)))
    await parts.round()
    assert parts.ledger.source(parts.fake.settings.posts_topic).read == 2 * _USERS
    for found in parts.exchange.statuses.values():
        assert not found.http or status.ADDRESS.fullmatch(found.http)


def addition_records(chance: Random) -> None:
    """Whatever is sent to a home, rounds go on, and the window stays where it may be."""
    asyncio.run(_addition_records(chance))


async def _addition_records(chance: Random) -> None:
    parts = Parts()
    await parts.count([post(number, topics=[f"t{number}"]) for number in range(_USERS)])
    await parts.round()
    sent = parts.fake.producer.of(parts.fake.settings.additions_topic)
    reader = DeltaReader(parts.fake.context, Mock())
    for number in range(5):
        message = delta_message.decode(chance.choice(sent).value or b"")
        here = msgspec.structs.replace(message, home=PARTITION, source=chance.randrange(9), number=chance.randrange(3))
        value = _changed(chance, delta_message.encode(here))
        reader._take(PARTITION, PlainRecord(number, 0, None, value, []))
        await parts.round()
    assert parts.exchange.newest_ms <= NOW_MS + _AHEAD_MS


def segment_records(chance: Random) -> None:
    """A changelog that somebody has written to is read, or refused with what to do."""
    parts = Parts()
    asyncio.run(parts.count(posts(range(_USERS))))
    stored = {record.key: record.value for record in parts.fake.producer.of(CHANGELOG) if record.value and record.key}
    for _ in range(chance.randint(1, 3)):
        key = chance.choice(list(stored))
        value = stored[key] if chance.random() < 0.3 else _changed(chance, stored[key])
        stored[mutated_bytes(chance, key) if chance.random() < 0.3 else key] = value
    again = Parts(hold=False)
    again.restore_table(stored)
    with suppress(ForeignRecordError):
        asyncio.run(again.ownership.take_over({PARTITION}, 2))


def erasure_records(chance: Random) -> None:
    """Whatever stands on the erasures topic, nobody is erased who was not, and reading goes on."""
    parts = Parts()
    place = Partition(parts.fake.settings.erasures_topic, 0)
    keys = [b"check", b"0123456789abcdef0123456789abcdef", b""]
    for number in range(5):
        key, value = chance.choice(keys), chance.choice((None, b"", b'{"erased_at":1}', b'{"check":""}'))
        record = PlainRecord(number, 0, mutated_bytes(chance, key), value, [])
        parts.exchange._update_from(place, [record])
    erasures = parts.fake.erasures
    assert erasures.position == len(erasures.among(["ann"])) + 5


def flag_records(chance: Random) -> None:
    """A flag is one or is none."""
    value = _changed(chance, msgspec.json.encode(_FLAG), is_json=True)
    found = flag_in(value)
    assert found is None or abs(found.detected_at) < 2**60
    readable(mutated_bytes(chance, b'["ann","*","all","maven"]'), value)


def alert_records(chance: Random) -> None:
    """The state of alerts takes what it can read, and leaves out the rest."""
    state = NotificationState(AlertsFile(sinks={}, rules=()))
    flag = msgspec.to_builtins(_FLAG)
    decision = {"rule": "r", "what": "send", "sinks": ["s"]}
    known: list[tuple[str, Any]] = [
        ("positions", {"offsets": {"0": 5}}),
        ("owner", {"name": "a", "since_ms": 5}),
        ("digest/r/1", {"rule": "r", "number": 1, "first": 0, "last": 1, "made_ms": 5}),
        ("flag/a", {"number": 1, "decided_ms": 5, "keep_until_ms": 9, "verdicts": [decision], "flag": flag}),
    ]
    for _ in range(5):
        key, value = chance.choice(known)
        try:
            record = state_records.decode(key, _changed(chance, msgspec.json.encode(value), is_json=True))
        except StateError:
            continue
        state.apply(key, record)
        state.expired(NOW_MS)
    assert all(offset >= 0 for offset in (state.offsets or {}).values())
