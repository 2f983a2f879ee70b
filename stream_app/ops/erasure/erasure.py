"""The erasure of a person, step by step: remembered, carried out by the workers, removed where no worker does it."""

from collections.abc import Callable, Collection
from time import monotonic, sleep
from typing import Any, NamedTuple, Protocol

from kafka import TopicPartition

from stream_app.core.changelog import status
from stream_app.core.changelog.status import Status
from stream_app.core.privacy import erasures
from stream_app.core.privacy.erasures import CHECK_KEY, PersonKeyError
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.kafka.operator_clients import consumer, producer
from stream_app.kafka.topic_scan import TopicTail
from stream_app.kafka.topics import changelogs_of
from stream_app.ops.erasure.matcher import Person
from stream_app.ops.erasure.purge import deletes_records, remove
from stream_app.ops.erasure.scan import Holds, LiveValues, Records
from stream_app.settings import Settings

_LOOK_S = 0.5
_ACK_S = 60
_ALERTS = "flags told or to be told"


class ErasurePlace(NamedTuple):
    """Somewhere that a person was looked for."""

    where: str
    what: str
    found: int
    left: int
    """After the erasure; as many as were found in a dry run."""
    note: str = ""


class ErasureReport(NamedTuple):
    """What became of an erasure."""

    remembered: bool
    """False in a dry run."""
    waiting: list[int]
    """Partitions whose owner has not carried it out."""
    places: list[ErasurePlace]

    @property
    def complete(self) -> bool:
        """Whether nothing is left that the tracker holds."""
        return self.remembered and not self.waiting and not any(place.left for place in self.places)


class ErasableBoard(Protocol):
    """The Redis board, to be searched for a person by their names."""

    def count(self, names: Collection[str]) -> int:
        """Keys, members and entries that hold them."""

    def remove(self, names: Collection[str]) -> None:
        """Remove these."""


Tell = Callable[[str], None]
"""Called with what is being done."""


def persons_of(settings: Settings) -> PersonHashes:
    """The hashes of this tracker. Raises PersonKeyError where the settings have no key."""
    if not settings.person_key:
        raise PersonKeyError(
            "STREAM_APP_PERSON_KEY is empty: erased people are remembered by a hash under this secret; set the same "
            "one (16 characters or more) for all workers and this command, and restart the workers first"
        )
    return PersonHashes(settings.person_key.reveal())


def look(settings: Settings, user: str, board: ErasableBoard | None) -> ErasureReport:
    """Where the person is; nothing is changed. Raises PersonKeyError, OperatingError, and what `board` raises."""
    person = Person(user, persons_of(settings))
    with consumer(settings) as reader:
        places = []
        for what, live in _live(settings, reader, person).items():
            places.append(ErasurePlace(live.topic, what, found := live.count(), found))
        for topic, what, holds in _topics(settings, person):
            places.append(ErasurePlace(topic, what, found := Records(reader, topic, holds).counts.total(), found))
        alerts = LiveValues(reader, settings.alerts_topic, person.is_in_alert)
        places.append(ErasurePlace(alerts.topic, _ALERTS, found := alerts.count(), found))
    return ErasureReport(remembered=False, waiting=[], places=[*places, *_on_board(board, person)])


def erase(
    settings: Settings, user: str, board: ErasableBoard | None, *, wait_s: float, now_ms: int, tell: Tell
) -> ErasureReport:
    """Erase the person; may be repeated after any failure, and then completes what was left.

    `wait_s`: how long to wait for the workers, and again until the segments that held the person are deleted.
    Raises PersonKeyError, OperatingError, and what `board` raises.
    """
    persons = persons_of(settings)
    person = Person(user, persons)
    shown = board.count(person.names) if board else 0
    with consumer(settings) as reader:
        live = _live(settings, reader, person)
        tell("looking for what the workers hold")
        found = [values.count() for values in live.values()]
        alerts = LiveValues(reader, settings.alerts_topic, person.is_in_alert)
        position = _remember(settings, reader, persons, user, now_ms)
        tell("remembered; waiting for the workers")
        waiting = _wait(settings, reader, position, wait_s)
        # Only now: until the workers have done it they could write about the person again.
        removed = [_purged(settings, reader, *topic, tell) for topic in _topics(settings, person)]
        tell("waiting until segments and standings are deleted")
        left = _left([*live.values()], 0.0 if waiting else wait_s)
        told = _untold(settings, alerts, wait_s)
    if board:
        tell("removing from Redis")
        board.remove(person.names)  # after the workers have refreshed it without them
    compacted = [
        ErasurePlace(values.topic, what, before, after)
        for (what, values), before, after in zip(live.items(), found, left, strict=True)
    ]
    on_board = [place._replace(found=shown) for place in _on_board(board, person)]
    return ErasureReport(remembered=True, waiting=waiting, places=[*compacted, *removed, told, *on_board])


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


def _on_board(board: ErasableBoard | None, person: Person) -> list[ErasurePlace]:
    if board is None:
        return []
    count = board.count(person.names)
    return [ErasurePlace("Redis", "keys, members and entries", count, count)]


def _remember(settings: Settings, reader: Any, persons: PersonHashes, user: str, now_ms: int) -> int:
    """Write the erasure; returns the offset up to which a worker must have read the topic to know of it."""
    own = erasures.check(persons)
    checks = [record.value for record in TopicTail(reader, settings.erasures_topic).news() if record.key == CHECK_KEY]
    if checks and checks[-1] != own.value:
        raise PersonKeyError(
            f"STREAM_APP_PERSON_KEY is not the key that the hashes in {settings.erasures_topic} are made with: set it "
            "to the key that the workers have"
        )
    if not checks and _heard(TopicTail(reader, settings.curves_topic), {}):
        raise PersonKeyError(
            "the workers have not run with STREAM_APP_PERSON_KEY yet, and would end when they see the erasure: restart "
            "them with this key first"
        )
    with producer(settings) as sender:
        records = [*([] if checks else [own]), *erasures.erasure(persons, user, now_ms)]
        sent = [sender.send(settings.erasures_topic, key=key, value=value, partition=0) for key, value in records]
        return int(sent[-1].get(_ACK_S).offset) + 1


def _heard(curves: TopicTail, told: dict[int, Status]) -> dict[int, Status]:
    """`told` with the news: by partition that ever had an owner, the last word of its last owner."""
    for record in curves.news():
        if (record.key or b"").startswith(b"status/") and record.value:
            known = status.decode(record.value)
            if status.replaces(known, told.get(known.partition)):
                told[known.partition] = known
    return told


def _wait(settings: Settings, reader: Any, position: int, wait_s: float) -> list[int]:
    """Wait until the owners of all partitions have carried out the erasures; returns those that have not in time."""
    deadline_s = monotonic() + wait_s
    told: dict[int, Status] = {}
    curves = TopicTail(reader, settings.curves_topic)
    while True:
        _heard(curves, told)
        done = {known.partition for known in told.values() if known.erased >= position}
        waiting = [number for number in range(settings.partitions) if number not in done]
        if not waiting or monotonic() > deadline_s:
            return waiting
        sleep(_LOOK_S)


def _purged(settings: Settings, reader: Any, topic: str, what: str, holds: Holds, tell: Tell) -> ErasurePlace:
    tell(f"looking through {topic}")
    before = Records(reader, topic, holds)
    found = before.counts.total()
    if not found:
        return ErasurePlace(topic, what, 0, 0)
    if not deletes_records(settings, topic):
        note = "this broker does not delete records: they stay until the retention of the topic removes them"
        return ErasurePlace(topic, what, found, found, note)
    copies = 0
    for partition, last in before.last.items():
        tell(f"removing from {topic}-{partition}")
        copies += remove(settings, TopicPartition(topic, partition), last, holds)
    left = Records(reader, topic, holds).counts.total()
    return ErasurePlace(
        topic, what, found, left, f"{copies:,} records of others were copied to the end" if copies else ""
    )


def _untold(settings: Settings, alerts: LiveValues, wait_s: float) -> ErasurePlace:
    """Delete what is remembered of flags; whoever delivers forgets it then. What is written meanwhile goes too."""
    before = alerts.count()
    deadline_s = monotonic() + wait_s
    with producer(settings) as sender:
        while keys := alerts.keys():
            sent = [sender.send(alerts.topic, key=key, value=None, partition=partition) for partition, key in keys]
            for record in sent:
                record.get(_ACK_S)
            if not alerts.count() or monotonic() > deadline_s:
                break
            sleep(_LOOK_S)
    return ErasurePlace(alerts.topic, _ALERTS, before, alerts.count())


def _left(live: list[LiveValues], wait_s: float) -> list[int]:
    """How many live values still hold the person, once none does or the time is over."""
    deadline_s = monotonic() + wait_s
    while True:
        left = [values.count() for values in live]
        if not any(left) or monotonic() > deadline_s:
            return left
        sleep(_LOOK_S)
