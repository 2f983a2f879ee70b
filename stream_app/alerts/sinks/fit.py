"""Messages cut to what a service takes: whole lines go, the least important first, and flags left out are counted."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from stream_app.alerts import templates
from stream_app.alerts.sinks.message import AlertMessage


class MessageText(NamedTuple):
    """Title and body as they are sent."""

    title: str
    body: str


def fitted(message: AlertMessage, fits: Callable[[MessageText], bool]) -> MessageText:
    """As much of the message as `fits`; of a service that takes next to nothing, the beginning of its title."""
    title = next((title for title in _titles(message.title) if fits(MessageText(title, ""))), "")
    return next((text for body in _bodies(message) if fits(text := MessageText(title, body))), MessageText(title, ""))


def _titles(title: str) -> Iterator[str]:
    yield title
    yield from (f"{title[:length]}…" for length in range(len(title) - 2, 0, -1))


def _bodies(message: AlertMessage) -> Iterator[str]:
    yield message.body
    if message.is_digest:
        yield from (templates.digest_body(message.flags, listed) for listed in range(templates.MAX_LISTED - 1, -1, -1))
        return
    lines = message.body.split("\n")
    yield from ("\n".join(lines[:count]) for count in range(len(lines) - 1, 0, -1))
