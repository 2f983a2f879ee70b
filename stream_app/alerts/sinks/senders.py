"""The sender of each sink in the alerts file."""

from stream_app.alerts.config import AlertmanagerSink, AlertsFile, AppriseSink, Sink
from stream_app.alerts.sinks.alertmanager import AlertmanagerSender
from stream_app.alerts.sinks.message import Sender
from stream_app.alerts.sinks.webhook import WebhookSender
from stream_app.settings.secret import Redaction


def senders_of(file: AlertsFile) -> dict[str, Sender]:
    """By sink. Raises AlertsFileError if Apprise does not support a URL."""
    redact = Redaction(file.secrets)  # of all sinks: one service may repeat what another was sent
    return {name: _sender(name, sink, redact) for name, sink in file.sinks.items()}


def _sender(name: str, sink: Sink, redact: Redaction) -> Sender:
    if isinstance(sink, AppriseSink):
        from stream_app.alerts.sinks.apprise import AppriseSender  # noqa: PLC0415 - optional, and slow to import

        return AppriseSender(name, sink, redact)
    return AlertmanagerSender(sink, redact) if isinstance(sink, AlertmanagerSink) else WebhookSender(sink, redact)
