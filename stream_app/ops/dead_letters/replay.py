"""Replaying dead letters: each is sent once to the topic it came from, and no more often than is allowed.

When Kafka has acknowledged a record, a short marker is appended behind the dead letter, in the same partition: it is as
durable as the letter and outlives it, and the input topics need not be searched for what came back. A crash between the
two repeats a few records; the tracker drops them as duplicates, because they have the same event id. A record that is
rejected again becomes a new dead letter, with the place it was sent to as its origin and the number of attempts.

A letter that is shortened, or that records share, has no value to send: the records are read from the topic they came
from, as long as Kafka has them. Those in between that were counted before are sent too if a letter does not say which
they are: they are duplicates, and count once.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from kafka.errors import KafkaError, MessageSizeTooLargeError

from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.events.dead_letter import (
    DeadLetterId,
    attempt_headers,
    attempts_of,
    digest_of,
    replayed_headers,
)
from stream_app.kafka.clients import KafkaOperationError
from stream_app.ops.dead_letters.origins import Origins
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
    GONE = "not in the topic it came from any more"
    UNREAD = "its record batch cannot be read, or is gone"
    CHANGED = "another record is where it came from"
    TOO_LARGE = "larger than the topic it came from takes"


NOTHING_TO_SEND = (Skipped.WITHHELD, Skipped.EMPTY, Skipped.GONE, Skipped.UNREAD, Skipped.CHANGED)


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
    value: bytes
    attempts: int
    """How often it was replayed before."""
    is_last: bool = True
    """Of the records of its letter."""


@dataclass
class DeadLetterReport:
    """How many records were sent, or would be, by (reason, topic), and how many were not, by why."""

    sent: Counter[tuple[str, str]] = field(default_factory=Counter)
    skipped: Counter[Skipped] = field(default_factory=Counter)

    @property
    def not_replayable(self) -> int:
        """Chosen letters without a value: there is nothing to send."""
        return sum(self.skipped[why] for why in NOTHING_TO_SEND)

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
    origins: Origins = lambda _letter: (),
) -> Iterator[ReplayMessage]:
    """The messages to send, each letter once and none of `replayed`; all are counted in `report` as they come."""
    done: set[DeadLetterId] = set()
    for found in entries:
        if isinstance(found, DeadLetterId) or not wanted.takes(found):
            continue
        for verdict in _verdicts(found, rules, replayed, done, origins):
            if isinstance(verdict, Skipped):
                report.skipped[verdict] += 1
                continue
            done.add(found.letter.identity)
            report.sent[found.letter.reason, found.letter.origin.topic] += 1
            yield verdict


def send(producer: Any, messages: Iterable[ReplayMessage], report: DeadLetterReport | None = None) -> None:
    """Send the messages and their markers, a batch at a time. Raises KafkaOperationError.

    One that Kafka does not take for its size is moved in `report` from what was sent to what was skipped.
    """
    left, sent = iter(messages), 0
    while batch := list(islice(left, _BATCH)):
        try:
            taken = _acknowledged(producer, batch, [_sent(producer, message) for message in batch])
            letters = [message for message in taken if message.is_last]
            _acknowledged(producer, letters, [_marked(producer, message) for message in letters])
        except (KafkaError, ValueError) as error:
            raise KafkaOperationError(
                f"Kafka did not accept one of {len(batch)} records ({error}); {sent} before them are replayed: "
                "correct that, then replay again: nothing is sent twice"
            ) from error
        sent += len(taken)
        kept = set(map(id, taken))
        for message in batch:
            if report is not None and id(message) not in kept:
                letter = message.stored.letter
                report.sent[letter.reason, letter.origin.topic] -= 1
                report.skipped[Skipped.TOO_LARGE] += 1


def _verdicts(
    found: StoredLetter,
    rules: ReplayRules,
    replayed: set[DeadLetterId],
    done: set[DeadLetterId],
    origins: Origins,
) -> Iterator[ReplayMessage | Skipped]:
    letter = found.letter
    if letter.origin.topic not in rules.topics:
        yield Skipped.FOREIGN
    elif letter.identity in replayed:
        yield Skipped.REPLAYED
    elif letter.identity in done:
        yield Skipped.TWICE
    elif letter.is_elsewhere:
        yield from _from_origin(found, rules, origins)
    elif not letter.value:
        yield Skipped.WITHHELD if letter.is_withheld else Skipped.EMPTY
    else:
        yield _message(found, rules, letter.key, letter.value, letter.attempts)


def _from_origin(found: StoredLetter, rules: ReplayRules, origins: Origins) -> Iterator[ReplayMessage | Skipped]:
    """The records that a letter without a value is about; only the last of them is the one after which it is marked."""
    letter, waiting, count = found.letter, None, 0
    for record in origins(letter):
        count += 1
        if letter.whole is not None and digest_of(record.key, record.value) != letter.whole.digest:
            yield Skipped.CHANGED
        elif not record.value:
            yield Skipped.EMPTY
        else:
            verdict = _message(found, rules, record.key, record.value, attempts_of(record.headers))
            if isinstance(verdict, Skipped):
                yield verdict
                continue
            if waiting is not None:
                yield waiting._replace(is_last=False)
            waiting = verdict
    if not count:
        yield Skipped.UNREAD if letter.is_unread else Skipped.GONE
    if waiting is not None:
        yield waiting


def _message(
    found: StoredLetter, rules: ReplayRules, key: bytes | None, value: bytes, attempts: int
) -> ReplayMessage | Skipped:
    if attempts >= rules.max_attempts:
        return Skipped.ATTEMPTS
    if not rules.rekey or REKEYED.isdisjoint(found.reasons):
        return ReplayMessage(found, found.letter.origin.partition, key, value, attempts)
    try:
        return ReplayMessage(found, None, str(_head_of(value).user_id).encode(), value, attempts)
    except (*DECODE_ERRORS, ValueError):
        return Skipped.NO_USER


def _sent(producer: Any, message: ReplayMessage) -> Any:
    try:
        return producer.send(
            message.stored.letter.origin.topic,
            message.value,
            message.key,
            headers=attempt_headers(message.attempts + 1),
            partition=message.partition,
        )
    except MessageSizeTooLargeError:
        return None


def _marked(producer: Any, message: ReplayMessage) -> Any:
    stored = message.stored
    headers = replayed_headers(stored.letter.identity)
    return producer.send(stored.place.topic, b"", None, headers=headers, partition=stored.place.partition)


def _acknowledged(producer: Any, messages: list[ReplayMessage], sent: list[Any]) -> list[ReplayMessage]:
    """Return the messages that Kafka has; the others are too large for it. Raises KafkaError."""
    producer.flush(_SENT_WITHIN_S)
    taken = []
    for message, record in zip(messages, sent, strict=True):
        try:
            if record is not None:
                record.get(_SENT_WITHIN_S)
                taken.append(message)
        except MessageSizeTooLargeError:
            continue
    return taken
