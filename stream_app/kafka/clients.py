"""The settings of Kafka as the options of its two clients, aiokafka and kafka-python."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stream_app.settings import Settings, SettingsError
from stream_app.settings.tls import kafka_tls


def aiokafka_options(settings: Settings) -> dict[str, Any]:
    """For every consumer and producer of aiokafka. Raises SettingsError."""
    return _options(settings, "aiokafka")


def kafka_python_options(settings: Settings) -> dict[str, Any]:
    """For every consumer, producer and admin client of kafka-python. Raises SettingsError."""
    return _options(settings, "kafka")


@contextmanager
def quiet_kafka() -> Iterator[None]:
    """Keep kafka-python from logging what is raised as an error anyhow: it reports every connection refused."""
    logger = logging.getLogger("kafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def servers_of(settings: Settings) -> list[str]:
    """The bootstrap servers, host:port each."""
    return [server.strip() for server in settings.brokers.split(",")]


def read_token(settings: Settings) -> str:
    """The OAuth token in its file, as it is now: whoever issues tokens replaces the file. Raises SettingsError."""
    path = settings.kafka_token_file
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise SettingsError(f"STREAM_APP_KAFKA_TOKEN_FILE={path!r}: the file cannot be read ({why})") from None
    if not token:
        raise SettingsError(f"STREAM_APP_KAFKA_TOKEN_FILE={path!r}: the file is empty")
    return token


def _options(settings: Settings, library: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "bootstrap_servers": servers_of(settings),
        "security_protocol": settings.kafka_protocol,
        "ssl_context": kafka_tls(settings),
    }
    if "SASL" not in settings.kafka_protocol:
        return options
    options["sasl_mechanism"] = settings.kafka_sasl
    if settings.kafka_sasl == "OAUTHBEARER":
        return {**options, "sasl_oauth_token_provider": _token_provider(settings, library)}
    return {
        **options,
        "sasl_plain_username": settings.kafka_user,
        "sasl_plain_password": settings.kafka_password.reveal(),
    }


def _token_provider(settings: Settings, library: str) -> Any:
    """What a library asks for a token whenever it connects; each insists on a base class of its own."""
    read_token(settings)  # what is wrong with it is told at the start
    from stream_app.kafka import oauth  # noqa: PLC0415 - it needs both libraries, and few need it

    return {"aiokafka": oauth.ForAiokafka, "kafka": oauth.ForKafkaPython}[library](settings)
