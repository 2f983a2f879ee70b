"""URLs of sinks, whose tokens stand anywhere in them, and what of them must not be seen."""

import re
from urllib.parse import unquote, urlsplit

from stream_app.settings.secret import Secret

_HOST_IS_NO_SECRET = {"http", "https", "mailto", "mailtos"}
"""Of others, such as slack://, the host is a token."""
_TOKEN = re.compile(r"(?=.*\d)[^/&=]{8,}|[^/&=]{16,}")
"""What is long, or has digits: a part of a path such as `services` is told."""


class SinkUrl(Secret):
    """A URL that is shown nowhere; its parts are hidden too, because errors of libraries name them."""

    __slots__ = ()

    def hidden(self) -> set[str]:
        """The whole, user and password, and the parts of path and query that may be tokens."""
        text = self.reveal()
        scheme, _, rest = text.partition("://")
        login, at, place = rest.rpartition("@")
        parts = [*re.split(r"[/?&#]", place)]
        host = parts.pop(0)
        found = {part.partition("=")[2] or part for part in parts}
        found |= set() if scheme.lower() in _HOST_IS_NO_SECRET else {host, *host.split(":")}
        tokens = {part for part in found if _TOKEN.fullmatch(part)}
        user, _, password = login.partition(":")
        known = {text, *tokens, password, *([] if password or not at else [user])}
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
