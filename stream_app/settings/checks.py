"""Constraints between settings."""

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING

from stream_app.settings.redis_url import check_redis_url

if TYPE_CHECKING:  # Settings calls these checks
    from stream_app.settings.schema import Settings

MOST_METRIC_TOPICS = 50
LEAST_KEY = 16
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_BEARER = "OAUTHBEARER"
_LOGIN = ("kafka_user", "kafka_password")
_KAFKA_TLS = ("kafka_ca_file", "kafka_cert_file", "kafka_key_file")
_REDIS_TLS = ("redis_ca_file", "redis_cert_file", "redis_key_file")


def check_values(settings: "Settings") -> None:
    """Raise ValueError where settings do not fit together, or are guessable."""
    if settings.window_s % settings.pane_s:
        raise ValueError(f"window_s ({settings.window_s:g}) must be a multiple of pane_s ({settings.pane_s:g})")
    if settings.min_ts >= settings.max_ts:
        raise ValueError(f"min_ts ({settings.min_ts}) must be before max_ts ({settings.max_ts})")
    if settings.short_s >= settings.window_s:
        raise ValueError(f"short_s ({settings.short_s:g}) must be shorter than window_s ({settings.window_s:g})")
    for name in ("person_key", "http_token", "peer_secret"):
        secret = getattr(settings, name)
        if secret and (length := len(secret.reveal())) < LEAST_KEY:
            raise ValueError(f"{name} has {length} characters, fewer than {LEAST_KEY}: it is guessable")
    if len(settings.metric_topics) > MOST_METRIC_TOPICS:
        raise ValueError(
            f"metric_topics names {len(settings.metric_topics)} topics, at most {MOST_METRIC_TOPICS} are possible"
        )
    if settings.otlp_url and settings.otlp_url.scheme not in {"http", "https"}:
        raise ValueError("otlp_url must begin with http:// or https://, such as http://127.0.0.1:4318/v1/metrics")


def check_access(settings: "Settings") -> None:
    """Raise ValueError where a proxy would be believed that nobody has named, or nobody could be signed in by it."""
    if bool(settings.http_user_header) != bool(settings.http_user_proxies):
        raise ValueError("http_user_header and http_user_proxies go together: set both, or neither")
    if settings.http_user_header and not settings.http_tokens_file:
        raise ValueError("http_user_header needs http_tokens_file, which says who may see what")
    if settings.http_user_header and not _HEADER.fullmatch(settings.http_user_header):
        raise ValueError(f"http_user_header ({settings.http_user_header!r}) is no name of a header")
    for address in settings.http_user_proxies:
        try:
            ip_network(address, strict=False)
        except ValueError:
            raise ValueError(f"http_user_proxies: {address!r} is no address or network, such as 10.0.0.0/8") from None


def check_security(settings: "Settings") -> None:
    """Raise ValueError, which names the variables, where a setting is missing or has no effect."""
    protocol, mechanism = settings.kafka_protocol, settings.kafka_sasl
    token = ("kafka_token_file",)
    if "SASL" not in protocol:
        _useless(settings, (*_LOGIN, *token), f"STREAM_APP_KAFKA_PROTOCOL is {protocol}: set it to SASL_SSL")
    elif mechanism == _BEARER:
        _needed(settings, token, f"{protocol} with {mechanism}")
        _useless(settings, _LOGIN, f"STREAM_APP_KAFKA_SASL is {mechanism}: set it to SCRAM-SHA-512")
    else:
        _needed(settings, _LOGIN, f"{protocol} with {mechanism}")
        _useless(settings, token, f"STREAM_APP_KAFKA_SASL is {mechanism}: set it to {_BEARER}")
    if "SSL" not in protocol:
        wanted = "SASL_SSL" if "SASL" in protocol else "SSL"
        _useless(settings, _KAFKA_TLS, f"STREAM_APP_KAFKA_PROTOCOL is {protocol}: set it to {wanted}")
    if settings.redis_url:
        check_redis_url(settings.redis_url.reveal())
    if settings.redis_url and settings.redis_url.scheme != "rediss":
        _useless(settings, _REDIS_TLS, "STREAM_APP_REDIS_URL does not begin with rediss://")
    for server in ("kafka", "redis"):
        if not getattr(settings, f"{server}_cert_file"):
            own = (f"{server}_key_file", f"{server}_key_password")
            _useless(settings, own, f"STREAM_APP_{server.upper()}_CERT_FILE is not")


def check_privacy(settings: "Settings") -> None:
    """Raise ValueError where people would be less protected than a setting promises."""
    if settings.pseudonyms and not settings.person_key:
        raise ValueError("pseudonyms are made with a secret: set person_key too")
    if settings.min_users < (least := 2 * settings.min_group):  # a topic stays ranked until it has half as many
        raise ValueError(
            f"min_group ({settings.min_group}) needs topics of {least} users to flag anybody: set min_users to {least}"
        )


def _useless(settings: "Settings", names: tuple[str, ...], why: str) -> None:
    if given := [name for name in names if getattr(settings, name)]:
        verb = "are" if len(given) > 1 else "is"
        raise ValueError(f"{_variables(given)} {verb} set, but {why}")


def _needed(settings: "Settings", names: tuple[str, ...], what: str) -> None:
    if missing := [name for name in names if not getattr(settings, name)]:
        raise ValueError(f"{what} needs {_variables(missing)} (a secret also as …_FILE, with the path of a file)")


def _variables(names: list[str]) -> str:
    return " and ".join(f"STREAM_APP_{name.upper()}" for name in names)
