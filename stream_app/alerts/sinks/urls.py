"""URLs of sinks: tokens may stand in any part of them, so all parts that may be tokens are hidden."""

import re
from urllib.parse import unquote, urlsplit

from stream_app.settings.secret import Secret

_MAIL = {"mailto", "mailtos"}
"""Their query holds addresses, not tokens."""
_PUBLIC_HOST = {"http", "https", *_MAIL}
"""In other schemes, such as slack://, a host without a dot is a token."""
_TOKEN = re.compile(r"(?=.*\d)[^/&=]{8,}|[^/&=]{16,}")
"""A part of a path counts as a token if it is long, or shorter with a digit; `services` does not."""


class SinkUrl(Secret):
    """A URL that is never shown. Its parts are hidden too, because error messages of libraries contain them."""

    __slots__ = ()

    def hidden(self) -> set[str]:
        """The URL, user and password, and the parts of path and query that may be tokens."""
        text = self.reveal()
        scheme, _, rest = text.partition("://")
        address, _, query = rest.partition("?")
        authority, *parts = re.split(r"[/#]", address)
        login, _, host = authority.rpartition("@")
        # If the password contains / # or ? unescaped, it ends at the last @.
        logins = [login, *([rest.rpartition("@")[0]] if not login else [])]
        passwords = [password or user for user, _, password in (one.partition(":") for one in logins)]
        if scheme.lower() not in _PUBLIC_HOST:
            parts += [login.partition(":")[0], *([] if "." in host else [host, *host.split(":")])]
        values = [] if scheme.lower() in _MAIL else [item.partition("=")[2] for item in query.split("&")]
        hidden = {text, *passwords, *values, *(part for part in parts if _TOKEN.fullmatch(part))}
        return {*hidden, *map(unquote, hidden)} - {""}

    @property
    def scheme(self) -> str:
        """Such as https."""
        return self.reveal().partition("://")[0].lower()

    @property
    def host(self) -> str:
        """Its host, or an empty string. Do not show it: it may be a token."""
        try:
            return urlsplit(self.reveal()).hostname or ""
        except ValueError:
            return ""
