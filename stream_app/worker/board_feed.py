"""What the Redis board shall show, taken from the engine."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import msgspec

from stream_app.core.messages import Cut, Flag, FlagType, Role
from stream_app.core.queries.top_k import tops_of
from stream_app.core.state.scopes import ScopeName
from stream_app.engine.context import OwnedPartition, OwnedPartitions
from stream_app.engine.rounds.flag_outbox import standing_key
from stream_app.engine.rounds.standing_records import flag_of
from stream_app.serving.redis.layout import BoardSnapshot, PartitionBoard, StandingRef, TopUsers
from stream_app.serving.redis.writer import BoardWriter

Standings = Callable[[int, Iterable[bytes] | None], dict[bytes, bytes]]
"""The last flag of each standing in a partition, as kept, by its key: of the keys given, or of all."""

_KEY = msgspec.json.Decoder(tuple[str, str, str, Role])


class _Flags:
    """Standings that last, decoded one by one: all at once they would be the largest thing in memory."""

    def __init__(self, kept: Collection[bytes]) -> None:
        self._kept = kept

    def __iter__(self) -> Iterator[Flag]:
        return (flag for flag in map(flag_of, self._kept) if flag.type is not FlagType.LEFT)


class BoardFeed:
    """Collects what changed between two refreshes of the board; gives everything when asked for it."""

    def __init__(self, owned: OwnedPartitions, top: int, standings: Standings, cuts: Callable[[], list[Cut]]) -> None:
        """`cuts`: those this worker publishes."""
        self._owned = owned
        self._top = top
        self._standings = standings
        self._cuts = cuts
        self._changed: dict[int, set[bytes]] = defaultdict(set)
        """Keys of standings, by partition: of many changes of a standing only the last is shown."""
        self._shown: dict[int, tuple[OwnedPartition, int, int]] = {}
        self._listed: dict[int, set[tuple[ScopeName, Role]]] = defaultdict(set)
        """The top lists a partition has on the board: those that become empty have to go."""
        self._shown_cuts: dict[tuple[str, str, str], Cut] = {}
        self.writer: BoardWriter | None = None

    def submit(self, partition: int, flags: Sequence[Flag]) -> None:
        """Flags of a partition were raised."""
        if self.writer is None:
            return
        self.writer.submit(flags)
        if self.writer.wants_full:
            self._changed.clear()
            return
        self._changed[partition].update(map(standing_key, flags))

    def forget(self, partition: int, standings: Sequence[bytes], users: Collection[str]) -> None:
        """Users were erased: their standings, by their keys, leave the board; their top lists follow the ledger."""
        if self.writer is None:
            return
        self.writer.forget(users)
        if not self.writer.wants_full:
            self._changed[partition].update(standings)

    def take(self, full: bool) -> BoardSnapshot:  # noqa: FBT001 - the board's own signature
        """What to show: all of it, or what changed since the last time."""
        if full:
            self._shown.clear()
            self._listed.clear()
            self._shown_cuts.clear()
        changed, self._changed = self._changed, defaultdict(set)
        boards = [
            self._board(partition, held, None if full else changed.get(partition, set()))
            for partition, held in self._owned.items()
        ]
        return BoardSnapshot(full=full, partitions=boards, cuts=list(self._news()))

    def _board(self, partition: int, held: OwnedPartition, keys: set[bytes] | None) -> PartitionBoard:
        """`keys` of the standings to show, None for all."""
        standings = self._standings(partition, keys)
        return PartitionBoard(
            partition=partition,
            tops=list(self._tops(partition, held)),
            standings=_Flags(standings.values()),
            removed=[StandingRef(*_KEY.decode(key)) for key in keys - standings.keys()] if keys else [],
        )

    def _tops(self, partition: int, held: OwnedPartition) -> Iterator[TopUsers]:
        state = (held, held.store.sequence, held.store.ledger.horizon)
        if self._shown.get(partition) == state:
            return
        self._shown[partition] = state
        gone, self._listed[partition] = self._listed[partition], set()
        for top in tops_of(held.store.ledger, self._top):
            self._listed[partition].add((top.scope, top.role))
            yield TopUsers(top.scope.topic, top.scope.population, top.role, top.users)
        for scope, role in gone - self._listed[partition]:
            yield TopUsers(scope.topic, scope.population, role, ())

    def _news(self) -> Iterator[Cut]:
        for cut in self._cuts():
            key = (cut.topic, cut.population, cut.role)
            if self._shown_cuts.get(key) is not cut:
                self._shown_cuts[key] = cut
                yield cut
