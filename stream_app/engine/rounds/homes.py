"""The homes of the owned partitions: what all partitions send them is put together here, and nowhere else.

A new owner of a partition begins with an empty home and asks everybody for everything, by the epoch in its status. It
does so once it hears what is sent (`hears`), or the answers would be lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from stream_app.core.changelog.status import Status
from stream_app.core.cuts.delta_message import DeltaMessage
from stream_app.core.cuts.delta_sender import HomeState
from stream_app.core.cuts.home import Home
from stream_app.engine.context import OwnedPartitions

_ASK_AGAIN_S = 5.0
"""After this long without everything a home asks again: every partition answers in its next round."""


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

    def __init__(self, owned: OwnedPartitions, partitions: int, share: float) -> None:
        self._owned = owned
        self._partitions = partitions
        self._share = share
        self._homes: dict[int, _OwnedHome] = {}

    def follow(self) -> None:
        """Have a home for each owned partition: a new one for each new ownership."""
        for lost in self._homes.keys() - self._owned.keys():
            del self._homes[lost]
        for partition, held in self._owned.items():
            epoch, known = held.store.ownership.epoch, self._homes.get(partition)
            if known is None or known.epoch != epoch:
                self._homes[partition] = _OwnedHome(epoch, Home(self._partitions, self._share))

    def epochs(self) -> Mapping[int, int]:
        """Return the epoch of each home by partition: what must be listened to."""
        return {partition: known.epoch for partition, known in self._homes.items()}

    def hears(self, partition: int, epoch: int, now_s: float) -> None:
        """Note that what is sent to a home is heard from now on."""
        known = self._homes.get(partition)
        if known is not None and known.epoch == epoch and not known.asked:
            known.asked, known.asked_s = 1, now_s

    def hear(self, message: DeltaMessage) -> None:
        """Take a message, if its home is here."""
        known = self._homes.get(message.home)
        if known is not None and message.source < self._partitions:
            known.home.hear(message)

    def ask_again(self, now_s: float) -> None:
        """Ask everybody for everything, where something has been missing for a while."""
        for known in self._homes.values():
            if known.asked and now_s - known.asked_s > _ASK_AGAIN_S and not known.home.is_complete:
                known.asked, known.asked_s = known.asked + 1, now_s

    def asked(self, partition: int) -> int:
        """Return how often the home in a partition has asked for everything, for its status."""
        known = self._homes.get(partition)
        return known.asked if known else 0

    def complete(self) -> Mapping[int, Home]:
        """Return the homes whose cuts count, by partition."""
        return {partition: known.home for partition, known in self._homes.items() if known.home.is_complete}


def states_of(statuses: Mapping[int, Status]) -> dict[int, HomeState]:
    """Return the homes that hear what is sent to them, as far as their owners have said so."""
    return {place: HomeState(known.epoch, known.asked) for place, known in statuses.items() if known.asked}
