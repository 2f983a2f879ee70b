"""URLs of sinks, whose tokens stand anywhere in them, and what of them must not be seen."""

import re
from urllib.parse import unquote, urlsplit

from stream_app.settings.secret import Secret

_MAIL = {"mailto", "mailtos"}
"""Its query has addresses."""
_HOST_IS_NO_SECRET = {"http", "https", *_MAIL}
"""Of others, such as slack://, the host is a token, unless it has a dot."""
_TOKEN = re.compile(r"(?=.*\d)[^/&=]{8,}|[^/&=]{16,}")
"""What is long, or has digits: a part of a path such as `services` is told."""


class SinkUrl(Secret):
    """A URL that is shown nowhere; its parts are hidden too, because errors of libraries name them."""

    __slots__ = ()

    def hidden(self) -> set[str]:
        """The whole, user and password, and the parts of path and query that may be tokens."""
        text = self.reveal()
        scheme, _, rest = text.partition("://")
        place, _, query = rest.partition("?")
        authority, *parts = re.split(r"[/#]", place)
        login, _, host = authority.rpartition("@")
        # Where the password has one of these characters as it is, it ends at the last @.
        logins = [login, *([rest.rpartition("@")[0]] if not login else [])]
        passwords = [password or user for user, _, password in (one.partition(":") for one in logins)]
        if scheme.lower() not in _HOST_IS_NO_SECRET:
            parts += [login.partition(":")[0], *([] if "." in host else [host, *host.split(":")])]
        values = [] if scheme.lower() in _MAIL else [item.partition("=")[2] for item in query.split("&")]
        known = {text, *passwords, *values, *(part for part in parts if _TOKEN.fullmatch(part))}
        return {*known, *map(unquote, known)} - {""}

    @property
    def scheme(self) -> str:
        """Such as https."""
        return self.reveal().partition("://")[0].lower()

    @property
    def host(self) -> str:
        """Its host; empty where it has none. Not to be shown where the host is a token."""
        try:
            return urlsplit(self.reveal()).hostname or ""
        except ValueError:
            return ""
