"""What the Redis board shall show, taken from the engine: part of the composition root."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from stream_app.core.messages import Cut, Flag, FlagType
from stream_app.core.tops import tops_of
from stream_app.engine.shared import Books, Held
from stream_app.serving.board import BoardWriter
from stream_app.serving.board_layout import BoardSnapshot, PartitionBoard, StandingRef, TopUsers


class BoardFeed:
    """Collects what changed between two refreshes of the board; gives everything when asked for it."""

    def __init__(
        self, books: Books, top: int, standings: Callable[[int], Iterable[Flag]], cuts: Callable[[], list[Cut]]
    ) -> None:
        """`standings`: the present flags of a partition; `cuts`: those this worker publishes."""
        self._books = books
        self._top = top
        self._standings = standings
        self._cuts = cuts
        self._changed: dict[int, list[Flag]] = defaultdict(list)
        self._shown: dict[int, tuple[Held, int, int]] = {}
        self._shown_cuts: dict[tuple[str, str, str], Cut] = {}
        self.writer: BoardWriter | None = None

    def submit(self, partition: int, flags: Sequence[Flag]) -> None:
        """Flags of a partition were raised."""
        if self.writer is None:
            return
        self._changed[partition] += flags
        self.writer.submit(flags)

    def take(self, full: bool) -> BoardSnapshot:  # noqa: FBT001 - the board's own signature
        """What to show: all of it, or what changed since the last time."""
        if full:
            self._shown.clear()
            self._shown_cuts.clear()
        changed, self._changed = self._changed, defaultdict(list)
        boards = [
            self._board(partition, held, changed.get(partition, []), full=full)
            for partition, held in self._books.items()
        ]
        return BoardSnapshot(full=full, partitions=boards, cuts=list(self._news()))

    def _board(self, partition: int, held: Held, flags: list[Flag], *, full: bool) -> PartitionBoard:
        if full:
            flags = list(self._standings(partition))
        last = {_ref(flag): flag for flag in flags}
        return PartitionBoard(
            partition=partition,
            tops=list(self._tops(partition, held)),
            standings=[flag for flag in last.values() if flag.type is not FlagType.LEFT],
            removed=[ref for ref, flag in last.items() if flag.type is FlagType.LEFT],
        )

    def _tops(self, partition: int, held: Held) -> Iterator[TopUsers]:
        state = (held, held.book.sequence, held.book.ledger.horizon)
        if self._shown.get(partition) == state:
            return
        self._shown[partition] = state
        for top in tops_of(held.book.ledger, self._top):
            yield TopUsers(top.scope.topic, top.scope.population, top.role, top.users)

    def _news(self) -> Iterator[Cut]:
        for cut in self._cuts():
            key = (cut.topic, cut.population, cut.role)
            if self._shown_cuts.get(key) is not cut:
                self._shown_cuts[key] = cut
                yield cut


def _ref(flag: Flag) -> StandingRef:
    return StandingRef(flag.user_id, flag.topic, flag.population, flag.role)
