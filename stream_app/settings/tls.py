"""TLS from the settings: trusted CAs, and the client certificate."""

import ssl
from pathlib import Path

from stream_app.settings import Settings, SettingsError


def kafka_tls(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context for Kafka; None where its protocol has no TLS.

    Certificates and host names are always checked. Raises SettingsError for unusable files.
    """
    if "SSL" not in settings.kafka_protocol:
        return None
    context = _trusting("STREAM_APP_KAFKA_CA_FILE", settings.kafka_ca_file)
    if settings.kafka_cert_file:
        _identify(
            context,
            settings.kafka_cert_file,
            settings.kafka_key_file,
            settings.kafka_key_password.reveal(),
            "STREAM_APP_KAFKA",
        )
    return context


def check_redis_files(settings: Settings) -> None:
    """Check Redis' certificates, which redis-py reads itself and with poorer errors. Raises SettingsError."""
    context = _trusting("STREAM_APP_REDIS_CA_FILE", settings.redis_ca_file)
    if settings.redis_cert_file:
        _identify(
            context,
            settings.redis_cert_file,
            settings.redis_key_file,
            settings.redis_key_password.reveal(),
            "STREAM_APP_REDIS",
        )


def _trusting(variable: str, path: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=path or None)
    except ssl.SSLError as error:
        raise SettingsError(f"{variable}={path!r} holds no certificate in PEM form") from error
    except OSError as error:
        raise SettingsError(f"{variable}={path!r}: the file cannot be read ({error.strerror})") from error


def _identify(context: ssl.SSLContext, certificate: str, key: str, password: str, prefix: str) -> None:
    """Load the client certificate into `context`."""
    for what, path in (("CERT", certificate), ("KEY", key)):
        if path and not Path(path).is_file():
            raise SettingsError(f"{prefix}_{what}_FILE={path!r}: there is no such file")
    try:
        # Without a password callback OpenSSL would prompt at the terminal.
        context.load_cert_chain(certificate, key or None, password=lambda: password)
    except OSError as error:  # SSLError is one
        where = f"{prefix}_KEY_FILE={key!r}" if key else f"{prefix}_CERT_FILE={certificate!r}"
        why = getattr(error, "reason", None) or error.strerror or error
        raise SettingsError(
            f"{where}: the client certificate and its key cannot be used ({why}): are they PEM, do they match, "
            f"and does the key need another {prefix}_KEY_PASSWORD?"
        ) from None
