"""Sessions of browsers: a signed cookie that holds for a day at every worker, and ends when somebody signs out.

The cookie is signed with a key made from the token, so any worker can check it without having seen it before. A session
that is ended is published on the curves topic, which every worker reads, also one that starts later.
"""

import hmac
import re
import secrets
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from stream_app.core.privacy.ended_sessions import EndedSessions

DAY_S = 86_400
_COOKIE = re.compile(r"([0-9a-f]{32})\.([0-9]{1,15})\.([0-9a-f]{64})")

Publish = Callable[[str, int | None], None]
"""Takes the id of a session, and until when it would have lasted; None: that time is over."""


class Session(NamedTuple):
    """A browser that is let in."""

    id: str
    until_s: int


class Sessions:
    """Makes and checks them."""

    def __init__(
        self,
        token: str,
        ended: EndedSessions | None = None,
        publish: Publish | None = None,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        """`publish` has the other workers know what was ended."""
        self._key = blake2b(token.encode(), person=b"http session", digest_size=32).digest()
        self._ended = EndedSessions() if ended is None else ended
        self._publish = publish
        self._clock_s = clock_s

    def open(self) -> str:
        """The value of a cookie for a new session."""
        text = f"{secrets.token_hex(16)}.{int(self._clock_s()) + DAY_S}"
        return f"{text}.{self._sign(text)}"

    def find(self, cookie: str) -> Session | None:
        """The session of a cookie, if it lasts."""
        parts = _COOKIE.fullmatch(cookie)
        if parts is None or not hmac.compare_digest(self._sign(f"{parts[1]}.{parts[2]}"), parts[3]):
            return None
        session = Session(parts[1], int(parts[2]))
        return session if self.lasts(session) else None

    def lasts(self, session: Session) -> bool:
        """Whether it is neither over nor ended; one that lasts for more than a day is of a clock that was wrong."""
        return 0 < session.until_s - self._clock_s() <= DAY_S + 3600 and session.id not in self._ended

    def end(self, session: Session) -> None:
        """End it, here at once and at the others within moments."""
        expired = self._ended.pop_expired(self._clock_s())
        self._ended.end(*session)
        if self._publish is None:
            return
        self._publish(*session)
        for gone in expired:
            self._publish(gone, None)

    def _sign(self, text: str) -> str:
        return hmac.digest(self._key, text.encode(), "sha256").hex()
