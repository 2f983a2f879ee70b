"""A real mail server: what it takes can be read, and it can refuse."""

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from stream_app.demo.embedded.process import LOCALHOST, free_port


class MailServer:
    """Keeps what it takes."""

    def __init__(self) -> None:
        self.port = free_port()
        self.got: list[EmailMessage] = []
        self.answer = "250 OK"

    @property
    def url(self) -> str:
        """As Apprise names it."""
        return f"mailto://{LOCALHOST}:{self.port}?from=tracker@example.org&to=team@example.org"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's own name
        """One message."""
        if self.answer.startswith("250"):
            self.got.append(message_from_bytes(envelope.content, policy=policy.default))
        return self.answer


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """One that runs for the length of the block."""
    server = MailServer()
    controller = Controller(server, hostname=LOCALHOST, port=server.port)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
