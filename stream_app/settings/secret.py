"""Secrets: texts that are never shown, and their redaction from texts that are."""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote, unquote, urlsplit

HIDDEN = "***"
_SHORTEST = 4
"""A shorter secret protects nothing, and hiding it would make holes in every word."""
_PASS = "pass"  # noqa: S105 - part of the names of hidden parameters: password, ssl_password
_TOKEN = r"(?<=Bearer )[\w.~+/=-]+"  # noqa: S105 - the form of OAuth tokens


class Secret:
    """A text that str, repr and format do not show; only `reveal` does."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, only for the library that needs it."""
        return self._text

    def hidden(self) -> set[str]:
        """The texts that must not be shown."""
        return {self._text}

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __str__(self) -> str:
        return HIDDEN if self._text else ""

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class SecretUrl(Secret):
    """A URL that may hold a password, before its host or in its query: everything else is shown."""

    __slots__ = ()

    def hidden(self) -> set[str]:
        """The passwords, as written and percent-decoded."""
        query = (item.partition("=") for item in self._text.partition("?")[2].split("&"))
        passwords = {self._credentials()[1], *(value for name, _, value in query if _PASS in name)}
        return {*passwords, *map(unquote, passwords)} - {""}

    @property
    def has_password(self) -> bool:
        """Whether there is anything to hide."""
        return bool(self.hidden())

    @property
    def scheme(self) -> str:
        """For example rediss."""
        return self._text.partition("://")[0].lower()

    @property
    def host(self) -> str:
        """Its host; empty where it names none, as a socket does."""
        try:
            return urlsplit(self._text).hostname or ""
        except ValueError:
            return ""

    def _credentials(self) -> tuple[str, str]:
        """User and password. Without urlsplit, because a malformed URL must not be shown either."""
        before, at, _ = self._text.partition("://")[2].rpartition("@")
        user, colon, password = before.partition(":")
        return (user, password) if colon or not at else ("", before)

    def __str__(self) -> str:
        scheme, separator, rest = self._text.partition("://")
        if not separator:
            return super().__str__()
        _, at, place = rest.rpartition("@")
        place, question, query = place.partition("?")
        query = HIDDEN if _PASS in query else query
        user, password = self._credentials()
        own = f"{user}:{HIDDEN}" if user and password else user or HIDDEN
        return f"{scheme}://{own * bool(at)}{at}{place}{question}{query}"


class Redaction:
    """Removes known secrets, and OAuth tokens, from a text."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        texts = {form for secret in secrets for text in secret.hidden() for form in _forms(text)}
        known = sorted((text for text in texts if len(text) >= _SHORTEST), key=len, reverse=True)
        self._pattern = re.compile("|".join([*map(re.escape, known), _TOKEN]))

    def __call__(self, text: str) -> str:
        """`text` without them."""
        return self._pattern.sub(HIDDEN, text)


def _forms(text: str) -> set[str]:
    """The forms of a text: plain, in a URL, in a repr of text or bytes, in JSON."""
    escaped = {repr(text)[1:-1], repr(text.encode())[2:-1], json.dumps(text)[1:-1]}
    return {text, quote(text), quote(text, safe=""), *escaped}
