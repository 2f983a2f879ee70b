"""Replaying dead letters: each is sent once to the topic it came from, and no more often than is allowed.

When Kafka has acknowledged a record, a short marker is appended behind the dead letter, in the same partition: it is as
durable as the letter and outlives it, and the input topics need not be searched for what came back. A crash between the
two repeats a few records; the tracker drops them as duplicates, because they have the same event id. A record that is
rejected again becomes a new dead letter, with the place it was sent to as its origin and the number of attempts.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from kafka.errors import KafkaError

from stream_app.core.events.dead_letter import DeadLetterId, attempt_headers, replayed_headers
from stream_app.kafka.clients import KafkaOperationError
from stream_app.ops.dead_letters.scan import Entry, LetterFilter, StoredLetter

REKEYED = frozenset({"key-not-user", "wrong-partition"})
"""The reasons that another key, or the default partitioner, corrects."""

_BATCH = 500
_SENT_WITHIN_S = 30.0


class Skipped(StrEnum):
    """Why a dead letter is not sent."""

    REPLAYED = "replayed before"
    TWICE = "there twice"
    ATTEMPTS = "replayed too often"
    FOREIGN = "from another topic"
    NO_USER = "no user_id to be the key"
    WITHHELD = "key and value not kept"
    EMPTY = "no value"


class ReplayRules(NamedTuple):
    """Which dead letters may be sent."""

    topics: Collection[str]
    """The input topics; nothing is sent to another topic that a header names."""
    max_attempts: int
    rekey: bool


class ReplayMessage(NamedTuple):
    """A record to send; partition None is for the default partitioner."""

    stored: StoredLetter
    partition: int | None
    key: bytes | None


@dataclass
class DeadLetterReport:
    """How many records were sent, or would be, by (reason, topic), and how many were not, by why."""

    sent: Counter[tuple[str, str]] = field(default_factory=Counter)
    skipped: Counter[Skipped] = field(default_factory=Counter)

    @property
    def not_replayable(self) -> int:
        """Chosen letters without a value: there is nothing to send."""
        return self.skipped[Skipped.WITHHELD] + self.skipped[Skipped.EMPTY]

    @property
    def refused(self) -> int:
        """Chosen letters that were never sent, and are not sent with these options."""
        return self.skipped.total() - self.skipped[Skipped.REPLAYED] - self.skipped[Skipped.TWICE]


class _EventHead(msgspec.Struct):
    user_id: str | int


_head_of = msgspec.json.Decoder(_EventHead).decode


def messages_of(
    entries: Iterable[Entry],
    wanted: LetterFilter,
    rules: ReplayRules,
    replayed: set[DeadLetterId],
    report: DeadLetterReport,
) -> Iterator[ReplayMessage]:
    """The messages to send, each letter once and none of `replayed`; all are counted in `report` as they come."""
    done: set[DeadLetterId] = set()
    for found in entries:
        if isinstance(found, DeadLetterId) or not wanted.takes(found):
            continue
        verdict = _message(found, rules, replayed, done)
        if isinstance(verdict, Skipped):
            report.skipped[verdict] += 1
            continue
        done.add(found.letter.identity)
        report.sent[found.letter.reason, found.letter.origin.topic] += 1
        yield verdict


def send(producer: Any, messages: Iterable[ReplayMessage]) -> None:
    """Send the messages and their markers, a batch at a time. Raises KafkaOperationError."""
    left, sent = iter(messages), 0
    while batch := list(islice(left, _BATCH)):
        try:
            _acknowledged(producer, [_sent(producer, message) for message in batch])
            _acknowledged(producer, [_marked(producer, message) for message in batch])
        except (KafkaError, ValueError) as error:
            raise KafkaOperationError(
                f"Kafka did not accept one of {len(batch)} records ({error}); {sent} before them are replayed: "
                "correct that, then replay again: nothing is sent twice"
            ) from error
        sent += len(batch)


def _message(
    found: StoredLetter, rules: ReplayRules, replayed: set[DeadLetterId], done: set[DeadLetterId]
) -> ReplayMessage | Skipped:
    letter = found.letter
    if letter.origin.topic not in rules.topics:
        return Skipped.FOREIGN
    if letter.identity in replayed:
        return Skipped.REPLAYED
    if letter.identity in done:
        return Skipped.TWICE
    if not letter.value:
        return Skipped.WITHHELD if letter.is_withheld else Skipped.EMPTY
    if letter.attempts >= rules.max_attempts:
        return Skipped.ATTEMPTS
    if not rules.rekey or letter.reason not in REKEYED:
        return ReplayMessage(found, letter.origin.partition, letter.key)
    try:
        return ReplayMessage(found, None, str(_head_of(letter.value).user_id).encode())
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return Skipped.NO_USER


def _sent(producer: Any, message: ReplayMessage) -> Any:
    letter = message.stored.letter
    return producer.send(
        letter.origin.topic,
        letter.value,
        message.key,
        headers=attempt_headers(letter.attempts + 1),
        partition=message.partition,
    )


def _marked(producer: Any, message: ReplayMessage) -> Any:
    stored = message.stored
    headers = replayed_headers(stored.letter.identity)
    return producer.send(stored.place.topic, b"", None, headers=headers, partition=stored.place.partition)


def _acknowledged(producer: Any, sent: list[Any]) -> None:
    producer.flush(_SENT_WITHIN_S)
    for record in sent:
        record.get(_SENT_WITHIN_S)
