"""Scanning dead letters: which there are, how many of each reason, and which were replayed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from typing import Any, NamedTuple

from stream_app.core.events.dead_letter import DeadLetter, DeadLetterId, Origin
from stream_app.core.events.dead_letter import read as read_letter
from stream_app.kafka.topic_scan import OnProgress, Spans, read
from stream_app.ops.dead_letters.origins import runs_of
from stream_app.settings import Settings


class StoredLetter(NamedTuple):
    """A dead letter, and its place in Kafka."""

    timestamp_ms: int
    """When it was written: Kafka's time, epoch ms."""
    place: Origin
    letter: DeadLetter

    @property
    def reasons(self) -> Mapping[str, int]:
        """The number of records that it is about, by reason."""
        shared = self.letter.shared
        return {self.letter.reason: 1} if shared is None else shared.reasons


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
            (self.reason is None or self.reason == stored.letter.reason or self.reason in stored.reasons)
            and (self.since_ms is None or stored.timestamp_ms >= self.since_ms)
            and (self.origin is None or _is_about(stored.letter, self.origin))
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
    identities: dict[DeadLetterId, int] = field(default_factory=dict)
    """The distinct letters, each with the number of records that it is about."""
    elsewhere: set[DeadLetterId] = field(default_factory=set)
    """The ones without a value, whose records are read again from where they came."""
    withheld: set[DeadLetterId] = field(default_factory=set)
    """The ones whose key and value were not copied."""
    empty: set[DeadLetterId] = field(default_factory=set)
    """The ones of records that came without a value."""

    @property
    def distinct(self) -> int:
        """How many records, each once."""
        return sum(self.identities.values())

    @property
    def not_replayable(self) -> int:
        """How many distinct letters have no value to send."""
        return len(self.withheld) + len(self.empty)

    def add(self, stored: StoredLetter) -> None:
        """Count one more."""
        letter, records = stored.letter, stored.reasons.get(self.reason, 1)
        self.records += records
        self.identities[letter.identity] = records
        if letter.is_elsewhere:
            self.elsewhere.add(letter.identity)
        elif not letter.value:
            (self.withheld if letter.is_withheld else self.empty).add(letter.identity)
        self.first_ms = min(self.first_ms or stored.timestamp_ms, stored.timestamp_ms)
        if stored.timestamp_ms >= self.last_ms:
            self.last_ms, self.example = stored.timestamp_ms, letter.message


def _is_about(letter: DeadLetter, origin: Origin) -> bool:
    same_place = letter.origin[:2] == origin[:2]
    return same_place and any(first <= origin.offset <= last for first, last in runs_of(letter))


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
            for reason in found.reasons:
                if wanted.reason in {None, reason, found.letter.reason}:
                    key = (reason, found.letter.origin.topic)
                    made.setdefault(key, LetterGroup(*key)).add(found)
    for group in made.values():
        group.replayed = sum(records for identity, records in group.identities.items() if identity in replayed)
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
