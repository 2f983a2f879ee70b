"""The members of a group: who is there, and whose settings count.

The problem: workers with different settings count and flag differently, and each would spoil the cuts of the others.
They start and die at any moment, none is special, and their clocks may be wrong.

The solution: every worker announces itself on one partition of Kafka, so all read the announcements in the same order.
The settings that count are those of the *reference*: the live member that comes first, regular members before all
others, then by the offset of the first announcement.

    offset    10        11        12        13        14
              A s1      A s1      B s2      A s1      B …        A is regular and before B: B must not go on
              pending   regular   pending   regular

1. A newcomer announces itself as pending, and waits until it has read that: then it has read all that came before.
2. Nobody before it differs: it is regular. Otherwise it waits until the reference was heard again, so it lives, or was
   silent for too long, so it is dead. A dead worker's last announcement blocks nobody for good.
3. Of two that start together one has the lower offset. The other sees it, and does not go on.
4. A worker that was frozen for longer than its patience is a newcomer again.
5. A regular worker goes on, whatever is announced: announcements are not signed, and who may write to the topic must
   not be able to end those who count. While somebody differs nobody raises flags. Nor is a patience believed that is
   far longer than one's own: it is how long a newcomer waits for a worker that may be dead.

Time is a monotonic clock of the reader, never the wall clock in an announcement.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from stream_app.core.group.announcement import FORMAT, Announcement, Difference, differences

PATIENCE_SESSIONS = 2
"""A worker is gone when nothing was heard of it for so many times the session timeout."""
_MOST = 1000
"""Workers that are remembered, dead ones included."""
_MOST_PATIENCE = 10
"""Times a worker's own patience that it waits for one that claims more."""
_LONG_GONE = 20
"""An announcement is deleted when its worker was silent for this many times its patience."""


class Member(NamedTuple):
    """A worker that was heard of."""

    said: Announcement
    joined: int
    offset: int
    """Of its newest announcement."""
    heard_s: float
    ahead_s: float
    """How far its clock was ahead of ours when it was heard."""

    @property
    def rank(self) -> tuple[bool, int]:
        """The lowest is the reference."""
        return self.said.standing != "regular", self.joined


class Members:
    """The other workers of the group, as far as they were heard of."""

    def __init__(
        self, worker: str = "", settings: Mapping[str, str] | None = None, patience_s: float = math.inf
    ) -> None:
        """`worker`: this one; `settings`: its own, as text; `patience_s`: its own."""
        self.worker = worker
        self.patience_s = patience_s
        self.settings: Mapping[str, str] = settings or {}
        self.seen = -1
        """Offset of the newest announcement of this worker itself that was read back."""
        self._others: dict[str, Member] = {}
        self._gone: dict[str, int] = {}
        """Offsets at which others said goodbye: what is read again is not news."""

    def hear(self, said: Announcement | None, worker: str, offset: int, now_s: float, ahead_s: float = 0.0) -> None:
        """Note an announcement, or a goodbye (None). What was read before is ignored."""
        if worker == self.worker:
            self.seen = max(self.seen, offset)
            return
        before = self._others.get(worker)
        if offset <= max(before.offset if before else -1, self._gone.get(worker, -1)):
            return
        if said is None:
            self._others.pop(worker, None)
            self._gone[worker] = offset
        else:
            self._others[worker] = Member(said, offset if said.joined < 0 else said.joined, offset, now_s, ahead_s)
        self._forget()

    def live(self, now_s: float) -> list[Member]:
        """Return the other members that were heard within their patience."""
        return [found for found in self._others.values() if now_s - found.heard_s <= self._patience_s(found)]

    def long_gone(self, now_s: float) -> list[str]:
        """Return the workers whose announcements may be deleted."""
        return [
            worker
            for worker, found in self._others.items()
            if now_s - found.heard_s > _LONG_GONE * self._patience_s(found)
        ]

    def reference(self, joined: int, now_s: float) -> Member | None:
        """Return the member whose settings count; None if it is this newcomer or guest, at offset `joined`."""
        first = min(self.live(now_s), key=lambda found: found.rank, default=None)
        return first if first is not None and first.rank < (True, joined) else None

    def differing(self, now_s: float) -> list[Member]:
        """Return the live members that count or flag by other settings, or exchange what one of the two cannot read."""
        settled = [found for found in self.live(now_s) if found.said.standing != "pending"]
        return [found for found in settled if found.said.format < FORMAT or self.is_different(found)]

    def is_different(self, other: Member) -> bool:
        """Return whether a worker counts or flags by other settings, or exchanges what this release cannot read.

        Of one that cannot read what this release writes, this one is the successor.
        """
        return other.said.format > FORMAT or bool(self.differences(other))

    def differences(self, other: Member) -> list[Difference]:
        """Return the settings in which this worker and another differ."""
        return differences(self.settings, other.said.settings)

    def clocks_s(self, since: int, now_s: float) -> dict[str, float]:
        """Return how far the clocks of the live members are ahead, of those heard after the offset `since`."""
        return {found.said.worker: found.ahead_s for found in self.live(now_s) if found.offset > since}

    def _patience_s(self, other: Member) -> float:
        return min(other.said.patience_s, _MOST_PATIENCE * self.patience_s)

    def _forget(self) -> None:
        for known in (self._others, self._gone):
            while len(known) > _MOST:
                known.pop(next(iter(known)))
