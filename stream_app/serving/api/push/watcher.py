"""Who looks at the page: takes what has changed since the last time, as far as their view goes."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress

from stream_app.core.messages import FlagType
from stream_app.core.privacy.looks import persons_in_part
from stream_app.serving.api.flags.flag_log import LoggedFlag
from stream_app.serving.api.views import PARTS_OF_PEOPLE, View

FLAGS = 30
"""Flags that a page begins with, and the most of a type that it is sent at once."""
_MOST_FLAGS = FLAGS * len(FlagType)


class Watcher:
    """Somebody who looks: takes what has changed since the last time, however slowly."""

    def __init__(self, view: View, flags: Sequence[LoggedFlag], begun: int, *, is_audited: bool = False) -> None:
        """`flags` to begin with, up to the one that was added as number `begun`."""
        self._is_audited = is_audited
        self._seen: set[str] = set()
        self._unseen: dict[str, None] = {}
        self.begun = begun
        self._view = view
        self._news: dict[str, bytes] = {}
        self._flags: deque[bytes] = deque((entry.event for entry in view.flags(flags)), _MOST_FLAGS)
        self._some = asyncio.Event()
        if is_audited:
            self._note(entry.flag.user_id for entry in view.flags(flags))

    def put(self, parts: dict[str, bytes]) -> None:
        """Parts have changed; a part that has not been taken yet is replaced."""
        seen = {name: self._view.part(name, json) for name, json in parts.items()}
        news = {name: json for name, json in seen.items() if json is not None}
        if self._is_audited:
            self._note(person for name in PARTS_OF_PEOPLE & news.keys() for person in persons_in_part(news[name]))
        self._news |= news
        self._some.set()

    def put_flags(self, flags: Iterable[LoggedFlag]) -> None:
        """Flags were raised; of many only the last are taken."""
        seen = self._view.flags(flags)
        if self._is_audited:
            self._note(entry.flag.user_id for entry in seen)
        self._flags.extend(entry.event for entry in seen)
        if self._flags:
            self._some.set()

    async def take(self, timeout_s: float) -> bytes:
        """What has changed, as server-sent events; nothing after some time without a change."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._some.wait()
        self._some.clear()
        news, self._news = self._news, {}
        events = [*self._flags, *(b"event: %s\ndata: %s\n\n" % (name.encode(), json) for name, json in news.items())]
        self._flags.clear()
        return b"".join(events)

    def take_named(self) -> list[str]:
        """Who is named in what was taken, and was not before."""
        named, self._unseen = list(self._unseen), {}
        self._seen.update(named)
        return named

    def _note(self, persons: Iterable[str]) -> None:
        self._unseen |= {person: None for person in persons if person not in self._seen}
