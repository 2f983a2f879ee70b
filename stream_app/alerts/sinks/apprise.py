"""The Apprise sink: Slack, Teams, e-mail, PagerDuty and whatever else Apprise knows, by its URL."""

import logging
import re

from apprise import Apprise, AppriseAsset, NotifyFormat

from stream_app.alerts.config import AlertsFileError, AppriseSink
from stream_app.alerts.sinks.message import AlertMessage, DeliveryResult, Outcome
from stream_app.settings.secret import Redaction

_STATUS = re.compile(r"\berror=(\d{3})\b")
"""How its plugins tell the status that a service has answered with."""
_LATER = {"408", "425", "429"}
_LOUD = {"WARNING", "ERROR", "CRITICAL"}


class ByApprise:
    """One service."""

    def __init__(self, name: str, sink: AppriseSink, redacted: Redaction) -> None:
        """Raises AlertsFileError where Apprise does not know the URL."""
        said = logging.getLogger("apprise")
        said.propagate = False  # what it says comes with the outcome, without secrets
        if not said.handlers:
            said.addHandler(logging.NullHandler())
        self._redacted = redacted
        self._apprise = Apprise(asset=AppriseAsset(app_id="stream-app", app_desc="stream-app", async_mode=False))
        if not self._apprise.add(sink.url.reveal()):
            raise AlertsFileError(
                f"sink {name}: url is none that Apprise knows: see https://github.com/caronc/apprise/wiki"
            )

    def send(self, message: AlertMessage) -> Outcome:
        """Send it. Apprise tells only in words what went wrong: a status in them decides whether to try again."""
        try:
            result = self._apprise.notify(body=message.body, title=message.title, body_format=NotifyFormat.TEXT)
        except Exception as error:  # noqa: BLE001 - a plugin of another's making must not end the process
            return Outcome(DeliveryResult.RETRY, self._redacted(f"{type(error).__name__}: {error}"))
        if result:
            return Outcome(DeliveryResult.DELIVERED)
        words = [entry.message for entry in result.logs() if entry.level in _LOUD]
        reason = self._redacted("; ".join(words)) or "Apprise says nothing of why it failed"
        statuses = _STATUS.findall(reason)
        is_final = bool(statuses) and all(status.startswith("4") and status not in _LATER for status in statuses)
        return Outcome(DeliveryResult.REFUSED if is_final else DeliveryResult.RETRY, reason)
