"""The Apprise sink: Slack, Teams, e-mail, PagerDuty and every other service that Apprise supports, by its URL."""

import logging
import re

from apprise import Apprise, AppriseAsset, NotifyFormat

from stream_app.alerts.config import AlertsFileError, AppriseSink
from stream_app.alerts.sinks.message import AlertMessage, DeliveryOutcome, DeliveryResult
from stream_app.settings.secret import Redaction

_STATUS = re.compile(r"\berror=(\d{3})\b")
"""How Apprise's plugins log the HTTP status of a failed request."""
_RETRIED_STATUSES = {"408", "425", "429"}
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

    def send(self, message: AlertMessage) -> DeliveryOutcome:
        """Send it. Apprise reports an error only as text: an HTTP status in it decides whether to retry."""
        try:
            result = self._apprise.notify(body=message.body, title=message.title, body_format=NotifyFormat.TEXT)
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


def _silence_logger() -> None:
    """Apprise logs URLs with their tokens; the outcome has the same text, redacted."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
