"""Whether a broker takes us as the settings say. The client libraries try again, and tell only that time ran out."""

import socket
import ssl
from contextlib import closing
from urllib.parse import urlsplit

from stream_app.kafka.clients import servers_of
from stream_app.kafka.error_hints import kafka_advice
from stream_app.kafka.handshake import HandshakeError, greet
from stream_app.settings import Settings, SettingsError
from stream_app.settings.tls import kafka_tls

_TIMEOUT_S = 5.0
_DEFAULT_PORT = 9092


class UnreachableError(RuntimeError):
    """No broker takes us as the settings say: `what` is wrong, and `advice` on what to do, a line together."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}: {advice}")
        self.what, self.advice = what, advice


def require_reachable(settings: Settings) -> None:
    """Return as soon as one of the brokers takes us, within some ms. Raises UnreachableError and SettingsError."""
    context = kafka_tls(settings)
    refusals: dict[str, str] = {}
    for server in servers_of(settings):
        try:
            _try(server, settings, context)
            return
        except SettingsError:
            raise
        except (OSError, ValueError, HandshakeError) as error:
            refusals[str(error)] = _advice(error, settings)
    reasons, advice = "; ".join(refusals), next(filter(None, refusals.values()), "")
    if advice:
        raise UnreachableError(f"Kafka at {settings.brokers} does not take us ({reasons})", advice)
    raise UnreachableError(
        f"no Kafka answers at {settings.brokers} ({reasons})", "start it, or name another with --brokers"
    )


def _try(server: str, settings: Settings, context: ssl.SSLContext | None) -> None:
    address = urlsplit(f"//{server}")
    host = address.hostname or ""
    plain = socket.create_connection((host, address.port or _DEFAULT_PORT), _TIMEOUT_S)
    with closing(plain), closing(context.wrap_socket(plain, server_hostname=host) if context else plain) as connection:
        greet(connection, settings)


def _advice(error: Exception, settings: Settings) -> str:
    if isinstance(error, HandshakeError):
        return error.advice
    if isinstance(error, TimeoutError) and "handshake" in str(error):
        return f"does it speak TLS there? STREAM_APP_KAFKA_PROTOCOL is {settings.kafka_protocol}"
    return kafka_advice(error, settings)
