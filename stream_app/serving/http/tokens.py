"""The tokens of a tracker: whose they are, what they may see, until when; from a file that is read again as it changes.

One line a person or program, of fields name=value, with comments after #:

    name=ann    role=analyst          populations=sales,board  until=2027-01-31  token=…
    name=scrape role=viewer           populations=*            until=never       token=…
    name=bob@example.com role=viewer  populations=*            until=2027-01-31

One without a token is let in by the single sign-on of a proxy only. A file that is wrong lets nobody in until it is
corrected: a line that was to be taken out must not stay because another one has a fault.
"""

import datetime as dt
import logging
import time
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from stream_app.settings.secret import Secret

logger = logging.getLogger(__name__)

LEAST_TOKEN = 16
MOST_TOKENS = 500
"""All are compared with what is given."""
_LOOK_S = 1.0
_FIELDS = ("name", "role", "populations", "until", "token")
_LONGEST = 256


class AccessRole(StrEnum):
    """What somebody may see."""

    VIEWER = "viewer"
    """Numbers of topics."""
    ANALYST = "analyst"
    """People, and what a viewer sees."""
    OPERATOR = "operator"
    """Erasing, and records as they came. Nothing else comes with it."""


class Caller(NamedTuple):
    """Who asks."""

    name: str
    roles: frozenset[AccessRole]
    populations: frozenset[str] | None = None
    """None: all."""

    def may(self, role: AccessRole) -> bool:
        """Whether it has a role; an analyst is a viewer too."""
        return role in self.roles or (role is AccessRole.VIEWER and AccessRole.ANALYST in self.roles)


EVERYTHING = frozenset(AccessRole)


class Token(NamedTuple):
    """A line of the file."""

    caller: Caller
    secret: Secret
    """Empty: the proxy says who it is."""
    until_s: float | None
    """None: for ever."""


class TokensFileError(ValueError):
    """The file cannot be read, or a line is wrong; the message says which line and field."""


def tokens_in(text: str, path: str) -> list[Token]:
    """Read the lines of a file. Raises TokensFileError."""
    found: list[Token] = []
    names, secrets = set[str](), set[str]()
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        fields = line.partition("#")[0].split()
        if not fields:
            continue
        where = f"{path}, line {number}"
        token = _token(dict(_pairs(fields, where)), where)
        if token.caller.name in names:
            raise TokensFileError(f"{where}, name: {token.caller.name!r} is in an earlier line too")
        if token.secret and token.secret.reveal() in secrets:
            raise TokensFileError(f"{where}, token: an earlier line has the same")
        names.add(token.caller.name)
        secrets.add(token.secret.reveal())
        found.append(token)
    if len(found) > MOST_TOKENS:
        raise TokensFileError(f"{path} has {len(found)} tokens, at most {MOST_TOKENS} are possible")
    return found


def _pairs(fields: list[str], where: str) -> Iterator[tuple[str, str]]:
    seen = set[str]()
    for place, field in enumerate(fields, start=1):
        name, equals, value = field.partition("=")
        if not equals:  # it may be a token, so it is not shown
            raise TokensFileError(f"{where}, word {place}: write name=value, without spaces")
        if name not in _FIELDS:
            like = get_close_matches(name, _FIELDS, 1)
            meant = f"did you mean {like[0]}?" if like else f"there are {', '.join(_FIELDS)}"
            raise TokensFileError(f"{where}, word {place}: there is no field {name[:20]!r}; {meant}")
        if name in seen:
            raise TokensFileError(f"{where}, {name}: it is there twice")
        if not value or len(value) > _LONGEST:
            raise TokensFileError(f"{where}, {name}: give it 1 to {_LONGEST} characters")
        seen.add(name)
        yield name, value


def _token(fields: dict[str, str], where: str) -> Token:
    if missing := [name for name in _FIELDS[:-1] if name not in fields]:
        raise TokensFileError(f"{where}, {missing[0]}: it is missing")
    token = fields.get("token", "")
    if token and len(token) < LEAST_TOKEN:
        raise TokensFileError(f"{where}, token: it has {len(token)} characters, fewer than {LEAST_TOKEN}: guessable")
    populations = None if fields["populations"] == "*" else frozenset(fields["populations"].split(","))
    if populations is not None and ("" in populations or "*" in populations):
        raise TokensFileError(f"{where}, populations: write *, or names with a comma in between")
    roles = frozenset(_role(name, where) for name in fields["role"].split(","))
    return Token(Caller(fields["name"], roles, populations), Secret(token), _until_s(fields["until"], where))


def _role(name: str, where: str) -> AccessRole:
    try:
        return AccessRole(name)
    except ValueError:
        raise TokensFileError(f"{where}, role: {name!r} is none of {', '.join(AccessRole)}") from None


def _until_s(text: str, where: str) -> float | None:
    """When the day is over, UTC."""
    if text == "never":
        return None
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise TokensFileError(f"{where}, until: {text!r} is no day such as 2027-01-31, nor never") from None
    return dt.datetime.combine(day, dt.time(), dt.UTC).timestamp() + 86_400


class TokensFile:
    """The tokens of a file as it is now."""

    def __init__(self, path: str, clock_s: Callable[[], float] = time.time) -> None:
        """Raises TokensFileError."""
        self._path = path
        self._clock_s = clock_s
        self._looked_s = clock_s()
        self._state = self._stat()
        self._tokens = self._read()
        self._fault = ""

    def tokens(self) -> list[Token]:
        """Return those that have not expired. Raises TokensFileError while the file is wrong."""
        now_s = self._clock_s()
        if abs(now_s - self._looked_s) >= _LOOK_S:
            self._looked_s = now_s
            self._look()
        if self._fault:
            raise TokensFileError(self._fault)
        return [token for token in self._tokens if token.until_s is None or now_s < token.until_s]

    def _look(self) -> None:
        if (state := self._stat()) == self._state:
            return
        self._state = state
        try:
            self._tokens, self._fault = self._read(), ""
            logger.info("%s has changed: it has %d tokens now", self._path, len(self._tokens))
        except TokensFileError as error:
            self._tokens, self._fault = [], str(error)
            logger.error("nobody is let in until it is corrected: %s", error)  # noqa: TRY400 - the text says it all

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = Path(self._path).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> list[Token]:
        try:
            text = Path(self._path).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise TokensFileError(f"STREAM_APP_HTTP_TOKENS_FILE={self._path!r}: it cannot be read ({why})") from None
        return tokens_in(text, self._path)
