"""The homes of the owned partitions: what all partitions send them is put together here, and nowhere else.

A new owner of a partition begins with an empty home and asks everybody for everything, by the epoch in its status. It
does so once it hears what is sent (`hears`), or the answers would be lost.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stream_app.core.changelog.status import Status
from stream_app.core.exchange.delta_message import DeltaMessage, home_of
from stream_app.core.exchange.delta_sender import HomeState
from stream_app.core.exchange.home import Home
from stream_app.core.flags.ranking import RankingRules
from stream_app.core.state.interning import Numbers
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME

_ASK_AGAIN_S = 5.0
"""After this long without everything a home asks again: every partition answers in its next round.

Each time it waits twice as long, for all send everything, whatever is missing …
"""
_LONGEST_WAIT_S = 80.0
"""… but never longer than this."""


@dataclass
class _OwnedHome:
    """A home, and what its owner publishes about it."""

    epoch: int
    home: Home
    asked: int = 0
    """How often it has asked for everything; 0 until it hears what is sent."""
    asked_s: float = 0.0
    """When it asked last, monotonic."""


class Homes:
    """The homes that this worker owns through its partitions."""

    def __init__(
        self, owned: Callable[[], Mapping[int, int]], partitions: int, share: float, rules: RankingRules
    ) -> None:
        """`owned`: the epoch of the ownership of each owned partition."""
        self._owned = owned
        self._partitions = partitions
        self._share = share
        self._rules = rules
        self._homes: dict[int, _OwnedHome] = {}
        self._pool = Numbers()
        self.newest_ms = NO_TIME
        """Where the newest window ended that was heard of, epoch ms."""
        self.newest_event_ms = NO_TIME
        """The newest event that was heard of, epoch ms: with the first event of a pane, not after it."""

    def follow(self) -> None:
        """Have a home for each owned partition: a new one for each new ownership."""
        owned = self._owned()
        for lost in self._homes.keys() - owned.keys():
            del self._homes[lost]
        for partition, epoch in owned.items():
            known = self._homes.get(partition)
            if known is None or known.epoch != epoch:
                self._homes[partition] = _OwnedHome(epoch, Home(self._partitions, self._share, self._rules, self._pool))

    def epochs(self) -> Mapping[int, int]:
        """Return the epoch of each home by partition: what must be listened to."""
        return {partition: known.epoch for partition, known in self._homes.items()}

    def states(self) -> dict[int, HomeState]:
        """Return these homes as those who send to them see them: what is sent within a worker is heard at once."""
        return {partition: HomeState(known.epoch, known.asked) for partition, known in self._homes.items()}

    def hears(self, partition: int, epoch: int, now_s: float) -> None:
        """Note that what is sent to a home is heard from now on."""
        known = self._homes.get(partition)
        if known is not None and known.epoch == epoch and not known.asked:
            known.asked, known.asked_s = 1, now_s

    def hear(self, message: DeltaMessage) -> bool:
        """Take a message. Returns whether its home is here."""
        known = self._homes.get(message.home)
        if known is not None and message.source < self._partitions:
            known.home.hear(message)
            self.newest_ms = max(self.newest_ms, message.horizon)
            self.newest_event_ms = max(self.newest_event_ms, message.newest)
        return known is not None

    def have_heard(self, status: Status) -> bool:
        """Return whether all homes here have added what the owner of a partition says it has sent."""
        return all(
            known.home.has_heard(status.partition, status.epoch, status.sent[partition])
            for partition, known in self._homes.items()
            if partition < len(status.sent)
        )

    def ask_again(self, now_s: float) -> dict[int, list[int]]:
        """Ask everybody for everything, where something has been missing for a while.

        Returns the partitions that were not heard, by the home that has asked again.
        """
        asked = {}
        for partition, known in self._homes.items():
            wait_s = min(_ASK_AGAIN_S * 2 ** min(known.asked - 1, 10), _LONGEST_WAIT_S)
            if known.asked and now_s - known.asked_s > wait_s and not known.home.is_complete:
                known.asked, known.asked_s = known.asked + 1, now_s
                asked[partition] = known.home.unheard()
        return asked

    def asked(self, partition: int) -> int:
        """Return how often the home in a partition has asked for everything, for its status."""
        known = self._homes.get(partition)
        return known.asked if known else 0

    def unheard(self, partition: int) -> list[int]:
        """Return the partitions from which the home in a partition has not heard everything."""
        known = self._homes.get(partition)
        return known.home.unheard() if known else []

    def is_complete(self, home: int) -> bool:
        """Return whether a home is here, and its cuts count."""
        known = self._homes.get(home)
        return known is not None and known.home.is_complete

    def home_of(self, scope: ScopeName) -> int:
        """Return the partition where a scope is at home."""
        return home_of(scope, self._partitions)

    def find(self, scope: ScopeName) -> Home | None:
        """Return the home of a scope if it is here and its cuts count."""
        known = self._homes.get(self.home_of(scope))
        return known.home if known is not None and known.home.is_complete else None

    def complete(self) -> Mapping[int, Home]:
        """Return the homes whose cuts count, by partition."""
        return {partition: known.home for partition, known in self._homes.items() if known.home.is_complete}


def states_of(statuses: Mapping[int, Status]) -> dict[int, HomeState]:
    """Return the homes that hear what is sent to them, as far as their owners have said so."""
    return {place: HomeState(known.epoch, known.asked) for place, known in statuses.items() if known.asked}
