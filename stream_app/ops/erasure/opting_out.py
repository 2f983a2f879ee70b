"""Opting out and back in: a mark on the topic of erasures, which the workers follow as they follow an erasure."""

from typing import Any, NamedTuple

from stream_app.core.privacy import erasures
from stream_app.core.privacy.erasures import MarkedAs
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.kafka.clients import open_consumer
from stream_app.kafka.topic_scan import TopicTail
from stream_app.ops.erasure.erasure import OnStep, persons_of, send_marks, wait_for_workers
from stream_app.settings import Settings


class ErasedPersonError(RuntimeError):
    """Somebody who was erased is to come back; the message says why not."""


class OptOutReport(NamedTuple):
    """What became of it."""

    is_out: bool
    """Whether the person is out now."""
    has_changed: bool
    waiting: list[int]
    """Partitions whose owner has not carried it out."""


def opt_out(settings: Settings, user: str, *, wait_s: float, now_ms: int, on_step: OnStep) -> OptOutReport:
    """Have a person never count from now on. Raises PersonKeyError, KafkaOperationError."""
    persons = persons_of(settings)
    with open_consumer(settings) as reader:
        if _marked_as(settings, reader, persons, user) is not MarkedAs.NOTHING:
            return OptOutReport(is_out=True, has_changed=False, waiting=[])
        position = send_marks(settings, reader, persons, erasures.opt_out(persons, user, now_ms))
        on_step("recorded; waiting for the workers")
        waiting = wait_for_workers(settings, reader, position, wait_s)
    return OptOutReport(is_out=True, has_changed=True, waiting=waiting)


def opt_back_in(settings: Settings, user: str, *, wait_s: float, on_step: OnStep) -> OptOutReport:
    """Have a person count again. Raises ErasedPersonError, PersonKeyError, KafkaOperationError."""
    persons = persons_of(settings)
    with open_consumer(settings) as reader:
        match _marked_as(settings, reader, persons, user):
            case MarkedAs.NOTHING:
                return OptOutReport(is_out=False, has_changed=False, waiting=[])
            case MarkedAs.ERASED:
                raise ErasedPersonError("this person was erased, which cannot be undone by opting back in")
        position = send_marks(settings, reader, persons, erasures.opt_in(persons, user))
        on_step("recorded; waiting for the workers")
        waiting = wait_for_workers(settings, reader, position, wait_s)
    return OptOutReport(is_out=False, has_changed=True, waiting=waiting)


def _marked_as(settings: Settings, reader: Any, persons: PersonHashes, user: str) -> MarkedAs:
    mark = persons.mark(user).encode()
    found = [record.value for record in TopicTail(reader, settings.erasures_topic).unread() if record.key == mark]
    return erasures.marked_as(found[-1] if found else None)
