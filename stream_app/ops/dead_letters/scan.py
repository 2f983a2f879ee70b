"""Scanning dead letters: which there are, how many of each reason, and which were replayed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from typing import Any, NamedTuple

from stream_app.core.events.dead_letter import DeadLetter, DeadLetterId, Origin
from stream_app.core.events.dead_letter import read as read_letter
from stream_app.kafka.topic_scan import OnProgress, Spans, read
from stream_app.settings import Settings


class StoredLetter(NamedTuple):
    """A dead letter, and its place in Kafka."""

    timestamp_ms: int
    """When it was written: Kafka's time, epoch ms."""
    place: Origin
    letter: DeadLetter


Entry = StoredLetter | DeadLetterId
"""What the topics hold: a letter, or the marker of one that was replayed."""


class LetterFilter(NamedTuple):
    """Which dead letters a command is about."""

    reason: str | None = None
    since_ms: int | None = None
    origin: Origin | None = None

    def takes(self, stored: StoredLetter) -> bool:
        """Whether it is one of them."""
        return (
            (self.reason is None or stored.letter.reason == self.reason)
            and (self.since_ms is None or stored.timestamp_ms >= self.since_ms)
            and (self.origin is None or stored.letter.origin == self.origin)
        )


@dataclass
class LetterGroup:
    """The letters of one reason from one topic."""

    reason: str
    topic: str
    records: int = 0
    replayed: int = 0
    """Of the distinct letters."""
    first_ms: int = 0
    last_ms: int = 0
    example: str = ""
    """The message of the newest one."""
    identities: set[DeadLetterId] = field(default_factory=set)
    withheld: set[DeadLetterId] = field(default_factory=set)
    """The ones whose key and value were not copied."""
    empty: set[DeadLetterId] = field(default_factory=set)
    """The ones of records that came without a value."""

    @property
    def not_replayable(self) -> int:
        """How many distinct letters have no value to send."""
        return len(self.withheld) + len(self.empty)

    def add(self, stored: StoredLetter) -> None:
        """Count one more."""
        self.records += 1
        letter = stored.letter
        self.identities.add(letter.identity)
        if not letter.value:
            (self.withheld if letter.is_withheld else self.empty).add(letter.identity)
        self.first_ms = min(self.first_ms or stored.timestamp_ms, stored.timestamp_ms)
        if stored.timestamp_ms >= self.last_ms:
            self.last_ms, self.example = stored.timestamp_ms, letter.message


def topics_of(settings: Settings, *, late: bool) -> list[str]:
    """The topics of dead letters and, with `late`, of late events."""
    return [settings.dead_letters_topic, *([settings.late_topic] if late else [])]


def letters_in(consumer: Any, spans: Spans, on_progress: OnProgress | None = None) -> Iterator[Entry]:
    """The letters in the spans, and the identities in the markers of replayed ones; other records are skipped.

    Raises KafkaOperationError.
    """
    for record in read(consumer, spans, on_progress):
        found = read_letter(record.key, record.value, record.headers)
        if isinstance(found, DeadLetter):
            yield StoredLetter(record.timestamp, Origin(record.topic, record.partition, record.offset), found)
        elif found is not None:
            yield found


def grouped(entries: Iterable[Entry], wanted: LetterFilter) -> list[LetterGroup]:
    """The chosen letters by reason and topic, the largest group first."""
    made: dict[tuple[str, str], LetterGroup] = {}
    replayed = set()
    for found in entries:
        if isinstance(found, DeadLetterId):
            replayed.add(found)
        elif wanted.takes(found):
            key = (found.letter.reason, found.letter.origin.topic)
            made.setdefault(key, LetterGroup(*key)).add(found)
    for group in made.values():
        group.replayed = len(group.identities & replayed)
    return sorted(made.values(), key=lambda group: (-group.records, group.reason, group.topic))


def newest(entries: Iterable[Entry], wanted: LetterFilter, limit: int) -> list[tuple[StoredLetter, bool]]:
    """The newest of the chosen letters, newest first, each with whether it was replayed."""
    kept: list[tuple[int, Origin, StoredLetter]] = []
    replayed = set()
    for found in entries:
        if isinstance(found, DeadLetterId):
            replayed.add(found)
        elif wanted.takes(found):
            entry = (found.timestamp_ms, found.place, found)
            if len(kept) < limit:
                heappush(kept, entry)
            else:
                heappushpop(kept, entry)
    return [(found, found.letter.identity in replayed) for _, _, found in sorted(kept, reverse=True)]
