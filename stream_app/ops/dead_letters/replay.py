"""Set-aside records sent again to the topic they came from, each once, and no more often than is allowed.

Once Kafka has a record, a short one is added behind the letter, to the same partition of the topic that it was set
aside in, which says so: that memory is as durable as the letters and outlives them, and the input topics need not be
searched for what came back. A crash in between repeats a few records, which to the tracker are duplicates: they have
the same event id. What is rejected again is a new letter, from the place it was sent to, with its number of attempts.
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
from stream_app.kafka.operator_clients import OperatingError
from stream_app.ops.dead_letters.scan import Choice, Filed

REKEYED = frozenset({"key-not-user", "wrong-partition"})
"""The reasons that another key, or the default partitioner, is the answer to."""

_BATCH = 500
_SENT_WITHIN_S = 30.0


class Skipped(StrEnum):
    """Why a letter is not sent."""

    REPLAYED = "replayed before"
    TWICE = "there twice"
    ATTEMPTS = "replayed too often"
    FOREIGN = "from another topic"
    NO_USER = "no user_id to be the key"
    WITHHELD = "key and value not kept"
    EMPTY = "no value"


class ReplayRules(NamedTuple):
    """What may be sent."""

    topics: Collection[str]
    """Where to: the input topics, whatever a header says."""
    max_attempts: int
    rekey: bool


class ReplayMessage(NamedTuple):
    """A record to send; partition None is for the default partitioner."""

    filed: Filed
    partition: int | None
    key: bytes | None


@dataclass
class DeadLetterReport:
    """What was sent, or would be, by (reason, topic), and what was not, by why."""

    sent: Counter[tuple[str, str]] = field(default_factory=Counter)
    skipped: Counter[Skipped] = field(default_factory=Counter)

    @property
    def not_replayable(self) -> int:
        """Letters that were asked for and hold no value: none that could be sent, and none that would be counted."""
        return self.skipped[Skipped.WITHHELD] + self.skipped[Skipped.EMPTY]

    @property
    def refused(self) -> int:
        """Letters that were asked for and never were nor will be sent like this."""
        return self.skipped.total() - self.skipped[Skipped.REPLAYED] - self.skipped[Skipped.TWICE]


class _EventHead(msgspec.Struct):
    user_id: str | int


_head_of = msgspec.json.Decoder(_EventHead).decode


def sort_out(
    filed: Iterable[Filed | DeadLetterId],
    choice: Choice,
    rules: ReplayRules,
    replayed: set[DeadLetterId],
    report: DeadLetterReport,
) -> Iterator[ReplayMessage]:
    """The messages to send, each letter once; they and the others are counted in `report` as they come.

    `replayed` names the letters to leave out.
    """
    done: set[DeadLetterId] = set()
    for found in filed:
        if isinstance(found, DeadLetterId) or not choice.takes(found):
            continue
        verdict = _message(found, rules, replayed, done)
        if isinstance(verdict, Skipped):
            report.skipped[verdict] += 1
            continue
        done.add(found.letter.identity)
        report.sent[found.letter.reason, found.letter.origin.topic] += 1
        yield verdict


def send(producer: Any, messages: Iterable[ReplayMessage]) -> None:
    """Send and remember them, a batch at a time. Raises OperatingError."""
    left, sent = iter(messages), 0
    while batch := list(islice(left, _BATCH)):
        try:
            _acknowledged(producer, [_sent(producer, message) for message in batch])
            _acknowledged(producer, [_remembered(producer, message) for message in batch])
        except (KafkaError, ValueError) as error:
            raise OperatingError(
                f"Kafka did not take one of {len(batch)} records ({error}); {sent} before them are replayed: "
                "see to it, then replay again: what was replayed is not sent again"
            ) from error
        sent += len(batch)


def _message(
    found: Filed, rules: ReplayRules, replayed: set[DeadLetterId], done: set[DeadLetterId]
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
    letter = message.filed.letter
    return producer.send(
        letter.origin.topic,
        letter.value,
        message.key,
        headers=attempt_headers(letter.attempts + 1),
        partition=message.partition,
    )


def _remembered(producer: Any, message: ReplayMessage) -> Any:
    filed = message.filed
    headers = replayed_headers(filed.letter.identity)
    return producer.send(filed.place.topic, b"", None, headers=headers, partition=filed.place.partition)


def _acknowledged(producer: Any, sent: list[Any]) -> None:
    producer.flush(_SENT_WITHIN_S)
    for record in sent:
        record.get(_SENT_WITHIN_S)
