"""The Redis board of a worker: what it shall show, taken from the state, from its start to its last write."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress

from msgspec.structs import replace

from stream_app.core.messages import Cut, Flag, Role
from stream_app.core.queries import PartitionVersion, QueryableState, TopUsers, standing_key
from stream_app.core.signals.facts import Fact
from stream_app.serving.metrics import Metrics
from stream_app.serving.redis.board import open_board
from stream_app.serving.redis.layout import BoardSnapshot, PartitionBoard, StandingRef
from stream_app.serving.redis.writer import BoardWriter
from stream_app.settings import Settings

logger = logging.getLogger(__name__)

_LAST_WRITE_S = 3.0
"""Less than a worker has to end after a signal: Redis may not answer."""


class BoardFeed:
    """Collects what changed between two refreshes; gives everything when asked for it. `run` must run beside it."""

    def __init__(
        self, settings: Settings, state: QueryableState, metrics: Metrics, cuts: Callable[[], list[Cut]]
    ) -> None:
        """`cuts`: those this worker publishes."""
        self._settings = settings
        self._state = state
        self._metrics = metrics
        self._cuts = cuts
        self._changed: dict[int, set[bytes]] = defaultdict(set)
        """Keys of standings, by partition: of many changes of a standing only the last is shown."""
        self._shown: dict[int, PartitionVersion] = {}
        self._listed: dict[int, dict[tuple[str, str, Role], int]] = defaultdict(dict)
        """The top lists a partition has on the board, as hashes of their rows: those that become empty have to go."""
        self._noticed: dict[int, dict[str, list[Fact]]] = {}
        """By partition, what is noticed about the users in its top lists, as the board has it."""
        self._shown_cuts: dict[tuple[str, str, str], Cut] = {}
        self.writer: BoardWriter | None = None
        self._written = asyncio.Event()
        """The board has been written for the last time."""
        self._is_up: bool | None = None

    async def run(self) -> None:
        """Keep the board, where one is configured, until `stop`."""
        settings = self._settings
        if not settings.redis_url:
            return
        self.writer = BoardWriter(
            open_board(settings),
            *(settings.redis_refresh_s, settings.redis_expiry_s, self._report, self._metrics.flags_dropped),
        )
        await self.writer.run(self.take)
        self._written.set()

    async def stop(self) -> None:
        """Write the flags that still wait to Redis: nobody else has them for it."""
        if self.writer is None:
            return
        self.writer.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WRITE_S):
                await self._written.wait()

    def is_up(self) -> bool | None:
        """Whether Redis answers; None where there is none, or it has not been tried."""
        return self._is_up

    async def on_rebalanced(self, *_args: object, **_kwargs: object) -> None:
        """Write everything next: the partitions are others."""
        if self.writer is not None:
            self.writer.request_full()

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
        for noticed in self._noticed.values():
            for user in noticed.keys() & users:
                del noticed[user]
        if not self.writer.wants_full:
            self._changed[partition].update(standings)

    def take(self, full: bool) -> BoardSnapshot:  # noqa: FBT001 - the board's own signature
        """What to show: all of it, or what changed since the last time."""
        if full:
            self._shown.clear()
            self._listed.clear()
            self._shown_cuts.clear()
            self._noticed.clear()
        changed, self._changed = self._changed, defaultdict(set)
        boards = [
            self._board(partition, None if full else changed.get(partition, set()))
            for partition in self._state.partitions
        ]
        return BoardSnapshot(full=full, partitions=boards, cuts=list(self._new_cuts()))

    def _board(self, partition: int, keys: set[bytes] | None) -> PartitionBoard:
        """`keys` of the standings to show, None for all."""
        standings, tops = self._state.standings(partition, keys), list(self._tops(partition))
        return PartitionBoard(
            partition=partition,
            tops=tops,
            noticed=self._newly_noticed(partition, tops),
            standings=standings,
            removed=[StandingRef(*names) for names in standings.missing(keys or ())],
        )

    def _tops(self, partition: int) -> Iterator[TopUsers]:
        version = self._state.version(partition)
        if self._shown.get(partition) == version:
            return
        self._shown[partition] = version
        before, now = self._listed[partition], dict[tuple[str, str, Role], int]()
        self._listed[partition] = now
        for top in self._state.tops(partition, self._settings.redis_top, self._settings.min_users):
            scope = (top.topic, top.population, top.role)
            now[scope] = hash(tuple(top.rows))
            if now[scope] != before.get(scope):
                yield top
        for scope in before.keys() - now.keys():
            yield TopUsers(*scope, ())

    def _newly_noticed(self, partition: int, tops: Sequence[TopUsers]) -> dict[str, list[Fact]] | None:
        """What is noticed about users in all top lists, given those that have changed; None where that is the same."""
        users = {user for top in tops for user, _ in top.rows}
        before = self._noticed.get(partition)
        others = {user: facts for user, facts in (before or {}).items() if user not in users}
        now = self._noticed[partition] = others | self._state.noticed(partition, sorted(users))
        return None if now == before else now

    def _new_cuts(self) -> Iterator[Cut]:
        for cut in self._cuts():
            key = (cut.topic, cut.population, cut.role)
            shown = self._shown_cuts.get(key)
            if shown is cut or (shown is not None and replace(cut, computed_at=shown.computed_at) == shown):
                continue
            self._shown_cuts[key] = cut
            yield cut

    def _report(self, up: bool, reason: str) -> None:  # noqa: FBT001 - the board's own signature
        self._metrics.redis_up(up)
        self._is_up = up
        if up:
            logger.info("Redis is there: the board is complete within seconds")
        else:
            logger.warning("Redis is away, counting goes on without it: %s", reason, extra={"kind": reason})
