"""Pushes the metrics of /metrics by OTLP, where STREAM_APP_OTLP_URL says so."""

from prometheus_client import CollectorRegistry

from stream_app.extras import require_extra
from stream_app.settings import Settings


def require_otlp(settings: Settings) -> None:
    """Return when what the settings ask for is installed. Raises MissingExtraError."""
    if settings.otlp_url:
        require_extra("otlp", "The OpenTelemetry SDK", "opentelemetry")


def start_otlp(settings: Settings, registry: CollectorRegistry, service: str) -> None:
    """Push the metrics of a registry from now on, in a thread of its own, if the settings name a receiver."""
    if not settings.otlp_url:
        return
    from stream_app.otlp.pusher import OtlpPusher  # noqa: PLC0415 - an extra

    OtlpPusher(settings, registry, service).start()
