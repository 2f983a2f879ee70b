"""The settings of Redis as the options of redis-py, and what its refusals mean."""

from typing import Any

from redis.exceptions import AuthenticationError, NoPermissionError

from stream_app.settings import Settings
from stream_app.settings.tls import check_redis_files

_REFUSALS = {
    "used memory > 'maxmemory'": "its memory is full (maxmemory): give it more, or a server of its own to the board",
    "READONLY": "it is a replica, which takes no writes: point STREAM_APP_REDIS_URL at the primary",
    "read only replica": "it is a replica, which takes no writes: point STREAM_APP_REDIS_URL at the primary",
    "MISCONF": "it cannot write to its disk and therefore takes no writes: see its log",
    "NOREPLICAS": "it takes no writes because too few of its replicas are there: see min-replicas-to-write",
    "WRONGTYPE": "another program has written to a key of the board: set STREAM_APP_REDIS_PREFIX to one of its own",
    "wrong kind of value": "another program has written to a key of the board: set STREAM_APP_REDIS_PREFIX to one of "
    "its own",
    "LOADING": "it is reading its data from disk: wait until it has",
}
"""By a part of the answer of a Redis that is there and refuses: what to do."""


def redis_options(settings: Settings) -> dict[str, Any]:
    """What `Redis.from_url` takes besides the URL. Raises SettingsError."""
    if settings.redis_url.scheme != "rediss":
        return {}
    check_redis_files(settings)
    return {
        "ssl_check_hostname": True,
        "ssl_ca_certs": settings.redis_ca_file or None,
        "ssl_certfile": settings.redis_cert_file or None,
        "ssl_keyfile": settings.redis_key_file or settings.redis_cert_file or None,
        "ssl_password": settings.redis_key_password.reveal() or None,
    }


def redis_advice(error: BaseException, *, has_tls: bool) -> str:
    """What to do when Redis refuses; `has_tls`: the URL begins with rediss://."""
    text = str(error)
    for refusal, advice in _REFUSALS.items():
        if refusal in text:
            return advice
    if "certificate is not valid for" in text or "Hostname mismatch" in text or "IP address mismatch" in text:
        return "STREAM_APP_REDIS_URL must name a host that its certificate holds"
    if "has expired" in text:
        return "its certificate has to be renewed"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "STREAM_APP_REDIS_CA_FILE must hold the certificate of the CA that signed that of Redis"
    if has_tls and ("reset by peer" in text or ("alert" in text and "certificate" in text)):
        return "does it ask for a certificate? set STREAM_APP_REDIS_CERT_FILE and STREAM_APP_REDIS_KEY_FILE"
    if isinstance(error, AuthenticationError):
        return "user and password in STREAM_APP_REDIS_URL (or the file of STREAM_APP_REDIS_URL_FILE) must be right"
    if isinstance(error, NoPermissionError) or "no permissions" in text or "executing the script can't" in text:
        return "its user lacks a permission: docs/security.md lists those that the board needs"
    if "SSL" in text or (has_tls and "Timeout connecting" in text):
        return "does it speak TLS there? STREAM_APP_REDIS_URL begins with rediss://"
    return "is it running, and is STREAM_APP_REDIS_URL right?"
