"""The Apprise sink: Slack, Teams, e-mail, PagerDuty and every other service that Apprise supports, by its URL."""

import logging
import re
from typing import Any

from apprise import Apprise, AppriseAsset, NotifyFormat
from apprise.conversion import convert_between

from stream_app.alerts.config import AlertsFileError, AppriseSink
from stream_app.alerts.sinks.fit import MessageText, fitted
from stream_app.alerts.sinks.message import AlertMessage, DeliveryOutcome, DeliveryResult
from stream_app.settings.secret import Redaction

_STATUS = re.compile(r"\berror=(\d{3})\b")
"""How Apprise's plugins log the HTTP status of a failed request."""
_RETRIED_STATUSES = {"408", "425", "429"}
_convert: Any = convert_between
_TITLE_IN_BODY = 32
"""Characters that a title takes within a body besides its own: a line end, a heading or a tag around it."""
_LOGGED_LEVELS = {"WARNING", "ERROR", "CRITICAL"}


class AppriseSender:
    """Sends to one service."""

    def __init__(self, name: str, sink: AppriseSink, redact: Redaction) -> None:
        """Raises AlertsFileError if Apprise does not support the URL."""
        _silence_logger()
        self._redact = redact
        self._apprise = Apprise(asset=AppriseAsset(app_id="stream-app", app_desc="stream-app", async_mode=False))
        if not self._apprise.add(sink.url.reveal()):
            raise AlertsFileError(
                f"sink {name}: Apprise does not support this url: see https://github.com/caronc/apprise/wiki"
            )
        for service in self._apprise:
            _no_mentions(service)

    def send(self, message: AlertMessage) -> DeliveryOutcome:
        """Send it. Apprise reports an error only as text: an HTTP status in it decides whether to retry."""
        try:
            text = fitted(message, self._fits)
            result = self._apprise.notify(body=text.body, title=text.title, body_format=NotifyFormat.TEXT)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            return DeliveryOutcome(DeliveryResult.RETRY, self._redact(f"{type(error).__name__}: {error}"))
        if result:
            return DeliveryOutcome(DeliveryResult.DELIVERED)
        errors = [entry.message for entry in result.logs() if entry.level in _LOGGED_LEVELS]
        reason = self._redact("; ".join(errors)) or "Apprise gives no reason"
        statuses = _STATUS.findall(reason)
        is_refused = bool(statuses) and all(
            status.startswith("4") and status not in _RETRIED_STATUSES for status in statuses
        )
        return DeliveryOutcome(DeliveryResult.REFUSED if is_refused else DeliveryResult.RETRY, reason)

    def _fits(self, text: MessageText) -> bool:
        """Whether each service of the URL takes it."""
        return all(_fits(service, text) for service in self._apprise)


def _fits(service: Any, text: MessageText) -> bool:
    """Whether the service takes the text as Apprise sends it: a title can become part of the body."""
    title, body = (
        _length(_convert(NotifyFormat.TEXT, service.notify_format, content=part)) if part else 0 for part in text
    )
    lines = text.body.count("\n") + 1
    if service.title_maxlen <= 0:
        title, body, lines = 0, title + body + _TITLE_IN_BODY, lines + 1
    elif service.overflow_amalgamate_title:
        body += title + _TITLE_IN_BODY
    is_short = service.body_max_line_count <= 0 or lines <= service.body_max_line_count
    return bool(
        is_short and title <= max(0, service.title_maxlen) and body <= service.body_maxlen - service.overflow_buffer
    )


def _length(text: str) -> int:
    """In UTF-16, as most services count: an emoji is two."""
    return len(text.encode("utf-16-le")) // 2


def _no_mentions(service: Any) -> None:
    """Have Discord ignore mentions, except those that the URL asks for: names hold none, this is a second wall."""
    send = getattr(service, "_send", None)
    if service.service_name != "Discord" or service.ping or send is None:
        return

    def quiet(payload: dict[str, Any], *args: Any, **options: Any) -> bool:
        return bool(send({**payload, "allowed_mentions": {"parse": []}}, *args, **options))

    service._send = quiet  # noqa: SLF001 - Apprise has no option for it


def _silence_logger() -> None:
    """Apprise logs URLs with their tokens; the outcome has the same text, redacted."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
