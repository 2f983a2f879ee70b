"""Sessions of browsers that were ended before their time: every worker reads them from the curves topic."""

import re

from stream_app.core.changelog.columns import FormatError

KEY = b"session/"
_MOST = 10_000
"""Each takes a person who signs out; where there are more, those that end soonest are forgotten."""
_ID = re.compile(rb"[!-~]{32}")
_TIME = re.compile(rb"[0-9]{1,18}")


class EndedSessions:
    """Ids of sessions, each until it would have ended by itself."""

    def __init__(self) -> None:
        self._until_s: dict[str, int] = {}

    def __contains__(self, session: str) -> bool:
        """Whether it was ended."""
        return session in self._until_s

    def end(self, session: str, until_s: int) -> None:
        """It is ended; without that it would have lasted until then."""
        self._until_s[session] = until_s
        if len(self._until_s) > _MOST:
            del self._until_s[min(self._until_s, key=self._until_s.__getitem__)]

    def update(self, key: bytes, value: bytes) -> None:
        """Take a record; without a value it says that nobody needs to know any more. Raises FormatError."""
        if not _ID.fullmatch(session := key.removeprefix(KEY)):
            raise FormatError("not the id of a session")
        if not value:
            self._until_s.pop(session.decode(), None)
        elif _TIME.fullmatch(value):
            self.end(session.decode(), int(value))
        else:
            raise FormatError("not the time at which a session ends")

    def pop_expired(self, now_s: float) -> list[str]:
        """Forget those that have ended by themselves, and return them."""
        expired = [session for session, until_s in self._until_s.items() if until_s < now_s]
        for session in expired:
            del self._until_s[session]
        return expired
