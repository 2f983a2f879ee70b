"""All that the tracker holds of a person, read from Kafka: counts, flags, evidence, what was set aside, and looks."""

import getpass
import json
import time
import uuid
from collections.abc import Iterator
from math import isfinite
from typing import Any, NamedTuple

import msgspec
import numpy as np
from kafka import TopicPartition

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.changelog.segments import SegmentKey
from stream_app.core.events.murmur2 import partitions_of as murmur2_partitions_of
from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.messages import MEASURES, Look
from stream_app.core.privacy import erasures
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.core.queries import UserLookup, UserQueries
from stream_app.core.queries.pane_series import PaneCounts, Series, summed
from stream_app.core.queries.pane_series import read as counts_in
from stream_app.core.state.ledger import Ledger
from stream_app.engine.influence.funnel_settings import funnel_settings_of
from stream_app.kafka.clients import open_producer
from stream_app.kafka.topic_scan import TopicTail, partitions_of, read, spans
from stream_app.kafka.topics import changelogs_of
from stream_app.ops.erasure.matcher import Person
from stream_app.ops.erasure.scan import Holds
from stream_app.settings import Settings

_ACK_S = 10

Export = dict[str, Any]


def record_look(settings: Settings, user: str, reason: str) -> None:
    """Write that this command looks at a person, where looks are audited. Raises KafkaOperationError."""
    if not settings.audit:
        return
    has_key = bool(settings.person_key)
    look = Look(
        look_id=uuid.uuid4().hex,
        looked_at=time.time_ns() // 1_000_000,
        caller=f"command {getpass.getuser()}",
        route="stream-app person",
        persons=[PersonHashes(settings.person_key.reveal()).pseudonym(user) if has_key else user],
        reason=reason,
    )
    with open_producer(settings) as sender:
        sent = sender.send(settings.audit_topic, key=look.caller.encode(), value=msgspec.json.encode(look), partition=0)
        sent.get(_ACK_S)


def export(settings: Settings, reader: Any, user: str) -> Export:
    """Return what is held of a person, by where it is. Raises KafkaOperationError, FormatError."""
    persons = PersonHashes(settings.person_key.reveal())
    person = Person(user, persons)
    standings = changelogs_of(settings)[1]
    held = [_in_partition(settings, reader, partition, person) for partition in _partitions(settings, person)]
    return {
        "user_id": user,
        "pseudonym": persons.pseudonym(user) if settings.person_key else None,
        "state": _state(settings, reader, persons, user),
        "counts": [count for one in held for count in _counts(settings, one.series)],
        "signals": [signal for one in held for signal in one.signals],
        "standings": [_json(record) for record in _live(reader, standings, person.is_in_standing)],
        "flags": [_json(record) for record in _records(reader, settings.flags_topic, person.is_in_flag)],
        "evidence": [
            _with_place(record)
            for topic in settings.source_topics
            for record in _records(reader, topic, lambda record: record.key == user.encode())
        ],
        "set_aside": [
            _with_place(record)
            for topic in (settings.dead_letters_topic, settings.late_topic)
            for record in _records(reader, topic, person.is_in_letter)
        ],
        "alerts": [_json(record) for record in _live(reader, settings.alerts_topic, person.is_in_alert)],
        "looks": [_only(_json(record), person) for record in _records(reader, settings.audit_topic, _is_of(person))],
    }


def _state(settings: Settings, reader: Any, persons: PersonHashes, user: str) -> str:
    """Whether the person counts, is out, or was erased."""
    marks = [each.encode() for each in persons.marks(user)] if settings.person_key else []
    found = [record.value for record in _records(reader, settings.erasures_topic, lambda one: one.key in marks[:1])]
    return {"NOTHING": "counts", "OUT": "opted out", "ERASED": "erased"}[
        erasures.marked_as(found[-1] if found else None).name
    ]


def _counts(settings: Settings, series: Series) -> Iterator[Export]:
    """What the person made in each scope and pane of the window."""
    for (_, scope), by_pane in series.items():
        yield {
            "population": scope.population,
            "topic": scope.topic,
            **dict(zip(MEASURES, map(sum, zip(*by_pane.values(), strict=True)), strict=True)),
            "panes": [
                {"begins": pane * settings.pane_ms, **dict(zip(MEASURES, counts, strict=True))}
                for pane, counts in sorted(by_pane.items())
            ],
        }


def _signals(store: LedgerStore, person: Person) -> Iterator[Export]:
    """What each signal knows of the person, marked or not."""
    for one in store.signals.measured([*person.names], store.ledger.event_key):
        for place in np.flatnonzero(one.events).tolist():
            value = float(one.values[place])
            yield {
                "name": one.name.value,
                "value": value if isfinite(value) else None,
                "limit": one.limit,
                "events": int(one.events[place]),
                "is_marked": bool(one.is_marked[place]),
            }


def _partitions(settings: Settings, person: Person) -> list[int]:
    if settings.partitioner == "murmur2":
        return sorted({*murmur2_partitions_of([person.user.encode()], settings.partitions).tolist()})
    return list(range(settings.partitions))


class _HeldInPartition(NamedTuple):
    series: Series
    signals: list[Export]


def _in_partition(settings: Settings, reader: Any, partition: int, person: Person) -> _HeldInPartition:
    """Restore a partition as workers would, and return what it holds of the person."""
    place = TopicPartition(changelogs_of(settings)[0], partition)
    stored: dict[bytes, bytes] = {}
    for record in read(reader, spans(reader, [place])):
        if record.value is None:
            stored.pop(record.key, None)
        elif SegmentKey.decode(record.key).partition == partition:
            stored[record.key] = record.value
    ledger = Ledger(settings.pane_ms, settings.panes, settings.short_panes)
    store = LedgerStore(partition, ledger, stored, lambda _key, _value: None, funnel=funnel_settings_of(settings))
    users = UserQueries(ledger, FollowedCuts())
    found = [
        PaneCounts(*place, pane, counts)
        for place, by_pane in users.open_panes([UserLookup(person.names)]).items()
        for pane, counts in by_pane.items()
    ]
    for packed in users.packed_panes():
        parts = (one for part in packed.parts for one in counts_in(part, person.names))
        found += [one for one in parts if one.pane == packed.key.pane]
    return _HeldInPartition(summed(found), list(_signals(store, person)))


def _live(reader: Any, topic: str, holds: Holds) -> list[Any]:
    """The present records of a compacted topic that hold the person."""
    found: dict[tuple[int, bytes], Any] = {}
    for record in _tail(reader, topic):
        place = (record.partition, record.key)
        found.pop(place, None)
        if record.value is not None and holds(record):
            found[place] = record
    return list(found.values())


def _records(reader: Any, topic: str, holds: Holds) -> list[Any]:
    return [record for record in _tail(reader, topic) if holds(record)]


def _tail(reader: Any, topic: str) -> Iterator[Any]:
    """All records of a topic; none where there is no such topic, as of alerts that nobody uses."""
    return TopicTail(reader, topic).unread() if partitions_of(reader, [topic]) else iter(())


def _is_of(person: Person) -> Holds:
    return lambda record: not person.names.isdisjoint(_json(record).get("persons", ()))


def _only(look: Export, person: Person) -> Export:
    """A look without the others who were seen in it."""
    return {**look, "persons": [name for name in look["persons"] if name in person.names]}


def _json(record: Any) -> Export:
    try:
        found = json.loads(record.value)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _with_place(record: Any) -> Export:
    """A record as it came, and where it is."""
    value = record.value.decode(errors="replace") if record.value is not None else None
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    return {**place, "timestamp_ms": record.timestamp, "value": value}
