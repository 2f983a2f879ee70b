"""What a sink gets, and what comes of it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from stream_app.alerts import templates
from stream_app.core.messages import Flag


class AlertMessage(NamedTuple):
    """One flag, or a digest of several."""

    id: str
    """The same for every repeat: the flag_id, or that of the digest."""
    rule: str
    title: str
    body: str
    flags: tuple[Flag, ...]
    """The most important first."""

    @property
    def is_digest(self) -> bool:
        """Whether it tells of more than one flag."""
        return len(self.flags) > 1


class DeliveryResult(StrEnum):
    """What came of sending a message."""

    DELIVERED = "delivered"
    RETRY = "retry"
    """Not now: it may work later."""
    REFUSED = "refused"
    """It will not work later either."""


class Outcome(NamedTuple):
    """The result, and why; without secrets."""

    result: DeliveryResult
    reason: str = ""
    wait_s: float = 0.0
    """How long the sink wants to be left alone."""


class Sender(Protocol):
    """A sink."""

    def send(self, message: AlertMessage) -> Outcome:
        """Send it; takes some seconds at most, and raises nothing."""
        ...


def message_of(key: str, rule: str, flags: Sequence[Flag]) -> AlertMessage:
    """The message about `flags`; of one alone it is the same whether it has waited or not."""
    if len(flags) == 1:
        (flag,) = flags
        return AlertMessage(flag.flag_id, rule, templates.title_of(flag), templates.body_of(flag), (flag,))
    ordered = tuple(sorted(flags, key=templates.importance))
    return AlertMessage(key, rule, templates.digest_title(ordered, rule), templates.digest_body(ordered), ordered)
