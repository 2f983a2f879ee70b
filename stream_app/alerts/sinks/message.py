"""What a sink receives (a message) and what it returns (an outcome)."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from stream_app.alerts import templates
from stream_app.core.messages import Flag


class AlertMessage(NamedTuple):
    """One flag, or a digest of several."""

    id: str
    """The flag_id, or the id of the digest; the same in every repeat."""
    rule: str
    title: str
    body: str
    flags: tuple[Flag, ...]
    """The most important first."""

    @property
    def is_digest(self) -> bool:
        """Whether the message is about more than one flag."""
        return len(self.flags) > 1


class DeliveryResult(StrEnum):
    """How one attempt to send a message ended."""

    DELIVERED = "delivered"
    RETRY = "retry"
    """It failed now; a later attempt may succeed."""
    REFUSED = "refused"
    """It fails every time."""


class DeliveryOutcome(NamedTuple):
    """The result of one attempt and its reason, without secrets."""

    result: DeliveryResult
    reason: str = ""
    wait_s: float = 0.0
    """How long the sink asks to be left alone."""


class Sender(Protocol):
    """Sends messages to one sink."""

    def send(self, message: AlertMessage) -> DeliveryOutcome:
        """Send it within some seconds; never raises."""
        ...


def message_of(digest_id: str, rule: str, flags: Sequence[Flag]) -> AlertMessage:
    """The message about `flags`. About one flag it is the same with and without a digest."""
    if len(flags) == 1:
        (flag,) = flags
        return AlertMessage(flag.flag_id, rule, templates.title_of(flag), templates.body_of(flag), (flag,))
    ordered = tuple(sorted(flags, key=templates.importance))
    return AlertMessage(digest_id, rule, templates.digest_title(ordered, rule), templates.digest_body(ordered), ordered)
