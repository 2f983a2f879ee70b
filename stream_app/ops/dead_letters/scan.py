"""What was set aside, read from Kafka: which letters there are, how many of each kind, and which were replayed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from typing import Any, NamedTuple

from stream_app.core.events.dead_letter import DeadLetter, DeadLetterId, Origin
from stream_app.core.events.dead_letter import read as read_letter
from stream_app.kafka.topic_scan import OnProgress, Spans, read
from stream_app.settings import Settings


class Filed(NamedTuple):
    """A letter, and where it lies."""

    timestamp_ms: int
    """When it was set aside: Kafka's time, epoch ms."""
    place: Origin
    letter: DeadLetter


class Choice(NamedTuple):
    """Which letters are asked for."""

    reason: str | None = None
    since_ms: int | None = None
    origin: Origin | None = None

    def takes(self, filed: Filed) -> bool:
        """Whether this one is."""
        return (
            (self.reason is None or filed.letter.reason == self.reason)
            and (self.since_ms is None or filed.timestamp_ms >= self.since_ms)
            and (self.origin is None or filed.letter.origin == self.origin)
        )


@dataclass
class Pile:
    """The letters of one reason from one topic."""

    reason: str
    topic: str
    records: int = 0
    replayed: int = 0
    """Of the distinct letters."""
    first_ms: int = 0
    last_ms: int = 0
    example: str = ""
    """The message of the last one."""
    identities: set[DeadLetterId] = field(default_factory=set)
    withheld: set[DeadLetterId] = field(default_factory=set)
    """Of these, those whose key and value were not copied."""
    empty: set[DeadLetterId] = field(default_factory=set)
    """Of these, those of records that came without a value."""

    @property
    def not_replayable(self) -> int:
        """How many distinct letters hold no value to send."""
        return len(self.withheld) + len(self.empty)

    def add(self, filed: Filed) -> None:
        """One more."""
        self.records += 1
        letter = filed.letter
        self.identities.add(letter.identity)
        if not letter.value:
            (self.withheld if letter.is_withheld else self.empty).add(letter.identity)
        self.first_ms = min(self.first_ms or filed.timestamp_ms, filed.timestamp_ms)
        if filed.timestamp_ms >= self.last_ms:
            self.last_ms, self.example = filed.timestamp_ms, letter.message


def topics_of(settings: Settings, *, late: bool) -> list[str]:
    """The topics of what is set aside."""
    return [settings.dead_letters_topic, *([settings.late_topic] if late else [])]


def filed_in(consumer: Any, spans: Spans, on_progress: OnProgress | None = None) -> Iterator[Filed | DeadLetterId]:
    """The letters in the spans, and the identities of those said to have been replayed; other records are passed over.

    Raises OperatingError.
    """
    for record in read(consumer, spans, on_progress):
        found = read_letter(record.key, record.value, record.headers)
        if isinstance(found, DeadLetter):
            yield Filed(record.timestamp, Origin(record.topic, record.partition, record.offset), found)
        elif found is not None:
            yield found


def piles(filed: Iterable[Filed | DeadLetterId], choice: Choice) -> list[Pile]:
    """The chosen letters by reason and topic, the largest pile first."""
    made: dict[tuple[str, str], Pile] = {}
    replayed = set()
    for found in filed:
        if isinstance(found, DeadLetterId):
            replayed.add(found)
        elif choice.takes(found):
            key = (found.letter.reason, found.letter.origin.topic)
            made.setdefault(key, Pile(*key)).add(found)
    for pile in made.values():
        pile.replayed = len(pile.identities & replayed)
    return sorted(made.values(), key=lambda pile: (-pile.records, pile.reason, pile.topic))


def newest(filed: Iterable[Filed | DeadLetterId], choice: Choice, limit: int) -> list[tuple[Filed, bool]]:
    """The last of the chosen letters, the newest first, each with whether it was replayed."""
    kept: list[tuple[int, Origin, Filed]] = []
    replayed = set()
    for found in filed:
        if isinstance(found, DeadLetterId):
            replayed.add(found)
        elif choice.takes(found):
            entry = (found.timestamp_ms, found.place, found)
            if len(kept) < limit:
                heappush(kept, entry)
            else:
                heappushpop(kept, entry)
    return [(found, found.letter.identity in replayed) for _, _, found in sorted(kept, reverse=True)]
