"""The settings of Kafka as connection options of kafka-python, and what aiokafka's share with them."""

from pathlib import Path
from typing import Any

from kafka.net.sasl.oauth import AbstractTokenProvider

from stream_app.settings import Settings, SettingsError
from stream_app.settings.tls import kafka_tls


def kafka_python_options(settings: Settings) -> dict[str, Any]:
    """How every client of kafka-python connects. Raises SettingsError."""
    return connection_options(settings, _TokenProvider)


def connection_options(settings: Settings, token_provider: Any) -> dict[str, Any]:
    """Servers, TLS and SASL, by the names that both libraries use. Raises SettingsError.

    `token_provider`: the class that hands OAuth tokens to the library, made with the settings.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": servers_of(settings),
        "security_protocol": settings.kafka_protocol,
        "ssl_context": kafka_tls(settings),
    }
    if "SASL" not in settings.kafka_protocol:
        return options
    options["sasl_mechanism"] = settings.kafka_sasl
    if settings.kafka_sasl == "OAUTHBEARER":
        read_token(settings)  # a missing file is an error at the start, not at the first connection
        return {**options, "sasl_oauth_token_provider": token_provider(settings)}
    return {
        **options,
        "sasl_plain_username": settings.kafka_user,
        "sasl_plain_password": settings.kafka_password.reveal(),
    }


def servers_of(settings: Settings) -> list[str]:
    """The bootstrap servers, host:port each."""
    return [server.strip() for server in settings.brokers.split(",")]


def read_token(settings: Settings) -> str:
    """The OAuth token in its file, as it is now: the issuer of tokens replaces the file. Raises SettingsError."""
    path = settings.kafka_token_file
    try:
        token = Path(path).read_text(encoding="utf-8-sig").strip()
        token.encode("ascii")
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise SettingsError(f"STREAM_APP_KAFKA_TOKEN_FILE={path!r}: the file cannot be read ({why})") from None
    if not token:
        raise SettingsError(f"STREAM_APP_KAFKA_TOKEN_FILE={path!r}: the file is empty")
    return token


class _TokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # kafka-python has no types
    """Reads the token again for every connection."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def token(self) -> str:
        """Raises SettingsError."""
        return read_token(self._settings)
