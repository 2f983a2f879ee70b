"""The delta sender: the additions of one ledger as messages to the homes of its scopes.

A home that has just been taken over, or that has missed something, asks for everything: the epoch of its owner, or the
number of its questions, is another one then. All others get what has changed.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import distinct_in
from stream_app.core.cuts.histogram import Cells
from stream_app.core.exchange.curve_deltas import CurveDelta, CurveDeltas, Thresholds
from stream_app.core.exchange.delta_message import DeltaMessage, DeltaSource, home_of, messages_of
from stream_app.core.messages import ROLE_BITS
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.watermark import NO_TIME


class HomeState(NamedTuple):
    """What a home has published of itself."""

    epoch: int
    """Of the ownership of its partition."""
    asked: int
    """How often it has asked for everything in this epoch."""


class DeltaSender:
    """Sends the additions of one ledger."""

    def __init__(self, sender: DeltaSource, partitions: int) -> None:
        self._sender = sender
        self._partitions = partitions
        self._deltas = CurveDeltas()
        self._numbers = [0] * partitions
        """By home: of the next message."""
        self._sent_to: dict[int, HomeState] = {}
        """The homes that have been sent everything, as they were then."""
        self._home_of = np.empty(0, np.int16)
        """By scope number."""
        self._renumbered = -1

    @property
    def users(self) -> int:
        """Users with something in the window, at the last call of `messages`."""
        return self._deltas.users

    @property
    def sent(self) -> list[int]:
        """By home: the number of the next message."""
        return list(self._numbers)

    def has_news(self, ledger: Ledger, homes: Mapping[int, HomeState]) -> bool:
        """Return whether there is anything to be sent: changes, or a home that has to be sent everything."""
        return ledger.rows.is_touched or any(self._sent_to.get(home) != state for home, state in homes.items())

    def messages(
        self, ledger: Ledger, thresholds: Thresholds, homes: Mapping[int, HomeState], most_bytes: int
    ) -> Iterator[DeltaMessage]:
        """Yield what the homes have to know of the changes since the last call; to be used up before the next."""
        delta = self._deltas.collect(ledger, thresholds)
        self._find_homes(ledger)
        if delta.is_everything:
            self._sent_to.clear()
        names = ledger.scopes.names()
        newest = max((source.watermark for source in ledger.sources.values()), default=NO_TIME)
        for home, part in self._parts(ledger, delta, homes):
            for message in messages_of(part, names, self._sender, home, self._numbers[home], most_bytes):
                self._numbers[home] = message.number + 1
                message.horizon, message.newest = ledger.horizon, newest
                yield message

    def _parts(
        self, ledger: Ledger, delta: CurveDelta, homes: Mapping[int, HomeState]
    ) -> Iterator[tuple[int, CurveDelta]]:
        uninformed = {home for home, state in homes.items() if self._sent_to.get(home) != state}
        changed = distinct_in(self._home_of[np.concatenate([delta.cells.curves, delta.replaced]) >> ROLE_BITS]).tolist()
        for home in sorted(uninformed):
            self._sent_to[home] = homes[home]
            yield home, self._deltas.whole(ledger, self._home_of == home)
        for home in changed:
            if home in self._sent_to and home not in uninformed:
                yield home, self._part(delta, home)

    def _part(self, delta: CurveDelta, home: int) -> CurveDelta:
        mine = self._home_of[delta.cells.curves >> ROLE_BITS] == home
        cells = Cells(*(column[mine] for column in delta.cells))
        replaced = delta.replaced[self._home_of[delta.replaced >> ROLE_BITS] == home]
        return CurveDelta(is_everything=False, replaced=replaced, cells=cells)

    def _find_homes(self, ledger: Ledger) -> None:
        if self._renumbered != ledger.renumbered:
            self._renumbered, self._home_of = ledger.renumbered, np.empty(0, np.int16)
        new = ledger.scopes.names()[len(self._home_of) :]
        if new:
            found = np.array([home_of(name, self._partitions) for name in new], np.int16)
            self._home_of = np.concatenate([self._home_of, found])
