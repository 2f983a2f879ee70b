"""Checks of the URL of Redis: whether a client can be made of it. No message shows a part of it that may be secret."""

import re
from urllib.parse import parse_qsl, urlsplit

MALFORMED = (
    "STREAM_APP_REDIS_URL cannot be read: write it like redis://host:6379/0 or "
    "rediss://user:password@host:6380/0, and /, #, ?, @ and % of the password as %2F, %23, %3F, %40, %25"
)
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_ANY = re.compile(r".*", re.DOTALL)
_OPTIONS = {
    "db": _NUMBER,
    "protocol": re.compile("[23]"),
    "health_check_interval": _NUMBER,
    "client_name": re.compile(r"[!-~]+"),
    "username": _ANY,
    "password": _ANY,
}
_TLS_OPTIONS = {
    "ssl_cert_reqs": re.compile("none|optional|required"),
    "ssl_check_hostname": re.compile("(?i)true|false"),
    **dict.fromkeys(("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password"), _ANY),
}
"""What redis-py takes after the question mark; it raises a TypeError for everything else, when it connects."""
_NAME = re.compile(r"[a-z_]{1,30}")


def check_redis_url(url: str) -> None:
    """Raise ValueError, which says what to write, where no client can be made of `url`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(MALFORMED) from None
    if parts.scheme not in {"redis", "rediss", "unix"} or port == 0 or ("@" in url and "@" not in parts.netloc):
        raise ValueError(MALFORMED)
    database = parts.path.removeprefix("/")
    if parts.scheme != "unix" and database and not _NUMBER.fullmatch(database):
        raise ValueError(MALFORMED)
    known = _OPTIONS | (_TLS_OPTIONS if parts.scheme == "rediss" else {})
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:
            raise ValueError(_unknown(name, parts.scheme))
        if not known[name].fullmatch(value):
            raise ValueError(f"STREAM_APP_REDIS_URL: the value of {name} after the question mark is not possible")


def _unknown(name: str, scheme: str) -> str:
    shown = name if _NAME.fullmatch(name) else "an option"  # it may be a part of the password
    if name.startswith("ssl") and scheme == "redis":
        return f"STREAM_APP_REDIS_URL has {shown} after the question mark: for TLS begin it with rediss:// instead"
    return (
        f"STREAM_APP_REDIS_URL has {shown} after the question mark, which is no option of Redis: leave it out, or "
        f"write one of {', '.join(_OPTIONS)}; and a ? in the password as %3F"
    )
