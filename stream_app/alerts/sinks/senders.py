"""The senders of the sinks in the alerts file."""

from stream_app.alerts.config import AlertmanagerSink, AlertsFile, AppriseSink, Sink
from stream_app.alerts.sinks.alertmanager import Alertmanager
from stream_app.alerts.sinks.message import Sender
from stream_app.alerts.sinks.webhook import Webhook
from stream_app.settings.secret import Redaction


def senders_of(file: AlertsFile) -> dict[str, Sender]:
    """By the name of the sink. Raises AlertsFileError for a URL that Apprise does not know."""
    redacted = Redaction(file.secrets)  # of all: a service can repeat what it was not told by us
    return {name: _sender(name, sink, redacted) for name, sink in file.sinks.items()}


def _sender(name: str, sink: Sink, redacted: Redaction) -> Sender:
    if isinstance(sink, AppriseSink):
        from stream_app.alerts.sinks.apprise import ByApprise  # noqa: PLC0415 - it loads 100 plugins, for those who need them

        return ByApprise(name, sink, redacted)
    return Alertmanager(sink, redacted) if isinstance(sink, AlertmanagerSink) else Webhook(sink, redacted)
