"""The erasure of a person, step by step: recorded, carried out by the workers, then removed where no worker does it."""

from collections.abc import Callable, Collection, Sequence
from operator import not_
from typing import Any, NamedTuple, Protocol

from kafka import TopicPartition

from stream_app.core.changelog import status
from stream_app.core.changelog.status import Status
from stream_app.core.privacy import erasures
from stream_app.core.privacy.erasures import CHECK_KEY, ErasureRecord, PersonKeyError
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.kafka.clients import open_consumer, open_producer
from stream_app.kafka.topic_scan import LeftOut, TopicTail
from stream_app.kafka.topics import changelogs_of
from stream_app.ops.erasure.matcher import Person
from stream_app.ops.erasure.purge import deletes_records, remove
from stream_app.ops.erasure.scan import Holds, LiveValues, Records
from stream_app.settings import Settings
from stream_app.until import until

_EVERY_S = 0.5
_ACK_S = 60
_ALERTS = "alerts sent or waiting"


class ErasurePlace(NamedTuple):
    """A topic, or Redis, that was searched for a person."""

    where: str
    what: str
    found: int
    left: int
    """After the erasure; as many as were found in a dry run."""
    note: str = ""


class ErasureReport(NamedTuple):
    """The result of an erasure."""

    remembered: bool
    """False in a dry run."""
    waiting: list[int]
    """Partitions whose owner has not carried it out."""
    places: list[ErasurePlace]

    @property
    def complete(self) -> bool:
        """Whether the tracker holds nothing of the person any more."""
        return self.remembered and not self.waiting and not any(place.left for place in self.places)


class ErasableBoard(Protocol):
    """The Redis board, to be searched for a person by their names."""

    def count(self, names: Collection[str]) -> int:
        """The number of keys, members and entries that hold them."""

    def remove(self, names: Collection[str]) -> None:
        """Remove these."""


OnStep = Callable[[str], None]
"""Called with a description of the step that begins."""


def persons_of(settings: Settings) -> PersonHashes:
    """The hashes of this tracker. Raises PersonKeyError where the settings have no key."""
    if not settings.person_key:
        raise PersonKeyError(
            "STREAM_APP_PERSON_KEY is empty: erased people are remembered by a hash under this secret; set the same "
            "one (16 characters or more) for all workers and this command, and restart the workers first"
        )
    return PersonHashes(settings.person_key.reveal())


def look(settings: Settings, user: str, board: ErasableBoard | None) -> ErasureReport:
    """Find the person; changes nothing. Raises PersonKeyError, KafkaOperationError, and what `board` raises."""
    person = Person(user, persons_of(settings))
    with open_consumer(settings) as reader:
        places = []
        for what, live in _live(settings, reader, person).items():
            places.append(ErasurePlace(live.topic, what, found := live.count(), found))
        for topic, what, holds in [*_topics(settings, person), _credits(settings, person)]:
            places.append(ErasurePlace(topic, what, found := Records(reader, topic, holds).counts.total(), found))
        alerts = LiveValues(reader, settings.alerts_topic, person.is_in_alert)
        places.append(ErasurePlace(alerts.topic, _ALERTS, found := alerts.count(), found))
    return ErasureReport(remembered=False, waiting=[], places=[*places, *_on_board(board, person)])


def erase(
    settings: Settings, user: str, board: ErasableBoard | None, *, wait_s: float, now_ms: int, on_step: OnStep
) -> ErasureReport:
    """Erase the person. After any failure it can be repeated, and completes what was left.

    `wait_s`: how long to wait for the workers, and again until the segments that held the person are deleted.
    Raises PersonKeyError, KafkaOperationError, and what `board` raises.
    """
    persons = persons_of(settings)
    person = Person(user, persons)
    shown = board.count(person.names) if board else 0
    with open_consumer(settings) as reader:
        live = _live(settings, reader, person)
        on_step("searching the state of the workers")
        found = [values.count() for values in live.values()]
        alerts = LiveValues(reader, settings.alerts_topic, person.is_in_alert)
        position = send_marks(settings, reader, persons, erasures.erasure(persons, user, now_ms))
        on_step("recorded; waiting for the workers")
        waiting = wait_for_workers(settings, reader, position, wait_s)
        # Only now: until the workers have carried it out they could write about the person again.
        removed = [_purged(settings, reader, *topic, on_step) for topic in _topics(settings, person)]
        removed.append(_purged_credits(settings, reader, person, wait_s, on_step))
        on_step("waiting until segments and standings are deleted")
        left = _left([*live.values()], 0.0 if waiting else wait_s)
        alerts_place = _forget_alerts(settings, alerts, wait_s)
    if board:
        on_step("removing from Redis")
        board.remove(person.names)  # after the workers have refreshed it without the person
    compacted = [
        ErasurePlace(values.topic, what, before, after)
        for (what, values), before, after in zip(live.items(), found, left, strict=True)
    ]
    on_board = [place._replace(found=shown) for place in _on_board(board, person)]
    return ErasureReport(remembered=True, waiting=waiting, places=[*compacted, *removed, alerts_place, *on_board])


def _live(settings: Settings, reader: Any, person: Person) -> dict[str, LiveValues]:
    """The compacted topics with user ids, by what their values are."""
    segments, standings = changelogs_of(settings)
    return {
        "segments": LiveValues(reader, segments, person.is_in_segment),
        "standings": LiveValues(reader, standings, person.is_in_standing),
    }


def _topics(settings: Settings, person: Person) -> list[tuple[str, str, Holds]]:
    """The topics with user ids that are not compacted: name, what their records are, which ones hold the person."""
    return [
        (settings.flags_topic, "flags", person.is_in_flag),
        (settings.dead_letters_topic, "dead letters", person.is_in_letter),
        (settings.late_topic, "late events", person.is_in_letter),
        (settings.undelivered_topic, "undelivered messages", person.is_in_undelivered),
    ]


def _credits(settings: Settings, person: Person) -> tuple[str, str, Holds]:
    return settings.credits_topic, "credits", person.is_credited


def _on_board(board: ErasableBoard | None, person: Person) -> list[ErasurePlace]:
    if board is None:
        return []
    count = board.count(person.names)
    return [ErasurePlace("Redis", "keys, members and entries", count, count)]


def send_marks(settings: Settings, reader: Any, persons: PersonHashes, marks: Sequence[ErasureRecord]) -> int:
    """Write marks of a person; returns the offset up to which a worker must have read the topic to know them."""
    own = erasures.check(persons)
    checks = [record.value for record in TopicTail(reader, settings.erasures_topic).unread() if record.key == CHECK_KEY]
    if checks and checks[-1] != own.value:
        raise PersonKeyError(
            f"STREAM_APP_PERSON_KEY is not the key that the hashes in {settings.erasures_topic} are made with: set it "
            "to the key that the workers have"
        )
    if not checks and _statuses(TopicTail(reader, settings.curves_topic), {}):
        raise PersonKeyError(
            "the workers have not run with STREAM_APP_PERSON_KEY yet, and would exit when they read the erasure: "
            "restart them with this key first"
        )
    with open_producer(settings) as sender:
        records = [*([] if checks else [own]), *marks]
        sent = [sender.send(settings.erasures_topic, key=key, value=value, partition=0) for key, value in records]
        return int(sent[-1].get(_ACK_S).offset) + 1


def _statuses(curves: TopicTail, newest: dict[int, Status]) -> dict[int, Status]:
    """`newest` brought up to date: the last status of every partition that ever had an owner."""
    left_out = LeftOut()
    for record in curves.unread():
        with left_out.unless_readable(record):
            status.read_into(newest, record.key, record.value)
    return newest


def wait_for_workers(settings: Settings, reader: Any, position: int, wait_s: float) -> list[int]:
    """Wait until the owners of all partitions have carried out what was marked; returns the partitions left over."""
    newest: dict[int, Status] = {}
    curves = TopicTail(reader, settings.curves_topic)

    def waiting() -> list[int]:
        done = {known.partition for known in _statuses(curves, newest).values() if known.erased >= position}
        return [number for number in range(settings.partitions) if number not in done]

    return until(waiting, wait_s, is_done=not_, every_s=_EVERY_S)


def _purged(settings: Settings, reader: Any, topic: str, what: str, holds: Holds, on_step: OnStep) -> ErasurePlace:
    on_step(f"searching {topic}")
    before = Records(reader, topic, holds)
    found = before.counts.total()
    if not found:
        return ErasurePlace(topic, what, 0, 0)
    if not deletes_records(settings, topic):
        note = "this broker cannot delete records: they stay until the retention of the topic removes them"
        return ErasurePlace(topic, what, found, found, note)
    copies = 0
    for partition, last in before.last.items():
        on_step(f"removing from {topic}-{partition}")
        copies += remove(settings, TopicPartition(topic, partition), last, holds)
    left = Records(reader, topic, holds).counts.total()
    return ErasurePlace(
        topic, what, found, left, f"{copies:,} records of others were copied to the end" if copies else ""
    )


def _purged_credits(settings: Settings, reader: Any, person: Person, wait_s: float, on_step: OnStep) -> ErasurePlace:
    """Remove packets of credits, once the workers have counted them: they hold those of others too."""
    topic, what, holds = _credits(settings, person)
    before, newest = Records(reader, topic, holds), dict[int, Status]()
    curves = TopicTail(reader, settings.curves_topic)

    def unread() -> list[int]:
        _statuses(curves, newest)
        return [place for place, last in before.last.items() if not _has_read(newest.get(place), topic, last)]

    if before.counts.total() and until(unread, wait_s, is_done=not_, every_s=_EVERY_S):
        found = before.counts.total()
        return ErasurePlace(topic, what, found, found, "no worker has counted them yet: erase again once they have")
    return _purged(settings, reader, topic, what, holds, on_step)


def _has_read(known: Status | None, topic: str, last: int) -> bool:
    source = known.sources.get(topic) if known is not None else None
    return source is not None and source.position > last


def _forget_alerts(settings: Settings, alerts: LiveValues, wait_s: float) -> ErasurePlace:
    """Delete the state of alerts about the person, also what `stream-app alerts run` writes until it reads that."""
    before = alerts.count()
    with open_producer(settings) as sender:

        def left() -> int:
            keys = alerts.keys()
            sent = [sender.send(alerts.topic, key=key, value=None, partition=partition) for partition, key in keys]
            for record in sent:
                record.get(_ACK_S)
            return alerts.count()

        until(left, wait_s, is_done=not_, every_s=_EVERY_S)
    return ErasurePlace(alerts.topic, _ALERTS, before, alerts.count())


def _left(live: list[LiveValues], wait_s: float) -> list[int]:
    """How many live values still hold the person, when none does or the time is over."""
    return until(
        lambda: [values.count() for values in live], wait_s, is_done=lambda counts: not any(counts), every_s=_EVERY_S
    )
