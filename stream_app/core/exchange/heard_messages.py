"""Heard messages: which additions of each partition a home has heard: each once, in order, and only whole ones.

Of each partition, the messages of one owner count in the order of their numbers, none twice and none left out. After a
gap nothing counts until everything is sent again.
"""

from typing import NamedTuple

from stream_app.core.exchange.delta_message import DeltaMessage

_LOST = -1


class _Source(NamedTuple):
    """How far a partition has been heard."""

    epoch: int
    next_number: int
    """_LOST after a gap."""
    is_complete: bool


_NEVER_HEARD = _Source(-1, _LOST, is_complete=False)


class HeardMessages:
    """What one home has heard of so many partitions."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self.forget()

    def forget(self) -> None:
        """Begin anew: everything has to be sent again."""
        self._sources: dict[int, _Source] = {}
        self._unheard = set(range(self._partitions))
        self._parts: dict[int, list[DeltaMessage]] = {}
        """By partition: what it has sent of a delta that is not all there yet."""

    @property
    def is_complete(self) -> bool:
        """Whether every partition has sent everything."""
        return not self._unheard

    def unheard(self) -> list[int]:
        """Return the partitions that have to send everything: never heard, or with a gap."""
        return sorted(self._unheard)

    def has_heard(self, source: int, epoch: int, next_number: int) -> bool:
        """Return whether all messages of a partition before `next_number` were heard; `epoch`: that of its owner."""
        known = self._sources.get(source, _NEVER_HEARD)
        return known.is_complete and (known.epoch, known.next_number) >= (epoch, next_number)

    def hear(self, message: DeltaMessage) -> list[DeltaMessage]:
        """Take a message; return the messages of the delta that is whole with it, none while it is not."""
        source = message.source
        known = self._sources.get(source, _NEVER_HEARD)
        if (message.epoch, message.number) < (known.epoch, known.next_number):
            return []
        if not message.is_everything and (message.epoch, message.number) != (known.epoch, known.next_number):
            self._note(source, _Source(message.epoch, _LOST, is_complete=False))
            self._parts.pop(source, None)
            return []
        before = self._parts.pop(source, [])
        parts = [message] if message.is_everything else [*before, message]
        if message.has_more:  # half of a replaced curve has a cut of its own, which nobody may see
            self._parts[source] = parts
            self._note(source, _Source(message.epoch, message.number + 1, known.is_complete))
            return []
        is_complete = parts[0].is_everything or known.is_complete
        self._note(source, _Source(message.epoch, message.number + 1, is_complete))
        return parts

    def _note(self, source: int, known: _Source) -> None:
        self._sources[source] = known
        (self._unheard.discard if known.is_complete else self._unheard.add)(source)
