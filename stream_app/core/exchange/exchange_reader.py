"""The exchange reader: statuses of all partitions and cuts of all homes, from the records of the curves topic."""

from collections.abc import Callable

from stream_app.core.changelog import status
from stream_app.core.changelog.columns import FormatError
from stream_app.core.changelog.status import Status
from stream_app.core.exchange import cut_record
from stream_app.core.exchange.delta_message import home_of
from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.state.scopes import ScopeName


class ExchangeReader:
    """Takes what the newest owner of each partition has published; workers and commands read alike."""

    def __init__(
        self,
        followed: FollowedCuts,
        partitions: int,
        is_here: Callable[[int], bool] | None = None,
        most_scopes: int = 1_000_000,
    ) -> None:
        """`followed` gets the cuts but those whose home `is_here`: they are known before they are read.

        `most_scopes`: of more no cuts are taken, for all workers together count no more.
        """
        self._followed = followed
        self._partitions = partitions
        self._is_here = is_here or _nowhere
        self._most_scopes = most_scopes
        self._skipped: dict[int, dict[ScopeName, bytes | None]] = {}
        """By home that is here: what was read of its scopes, for when it is here no longer."""
        self._read_back: dict[ScopeName, bytes | None] = {}
        self._epochs: dict[int, int] = {}
        """By partition: the epoch of its newest owner."""
        self.statuses: dict[int, Status] = {}
        self.overwritten: set[int] = set()
        """Partitions whose former owner published after the current one. The current one must publish again."""

    def take_skipped(self) -> None:
        """Take up what was read about homes that are here no longer: another worker may have published it."""
        for home in [home for home in self._skipped if not self._is_here(home)]:
            for scope, value in self._skipped.pop(home).items():
                self._followed.take(scope, cut_record.decode(value) if value else None)

    def take_read_back(self) -> dict[ScopeName, bytes | None]:
        """Return the last records that were read of scopes whose home is here, since the last call."""
        found, self._read_back = self._read_back, {}
        return found

    def begin_again(self) -> None:
        """Be prepared for the topic from its beginning, older epochs first."""
        self._epochs.clear()
        self._read_back.clear()

    def take(self, key: bytes, value: bytes | None) -> None:
        """Take up a record, if it is a status or a cut. Raises FormatError where no worker can have written it."""
        match key.partition(b"/")[0]:
            case b"cut":
                self._take_cut(cut_record.scope_of(key), value or None)
            case b"status" if value is not None:
                known = status.decode(value)
                if self._is_of_owner(known):
                    self.statuses[known.partition] = known

    def _take_cut(self, scope: ScopeName, value: bytes | None) -> None:
        home = home_of(scope, self._partitions)
        is_here = self._is_here(home)
        skipped = self._skipped.setdefault(home, {}) if is_here else {}
        is_known = scope in skipped or self._followed.has(scope)
        if is_here and is_known:  # an unreadable one too: a worker that starts later would find nothing else
            self._read_back[scope] = value
        record = cut_record.decode(value) if value else None
        if record and not is_known and len(skipped if is_here else self._followed) >= self._most_scopes:
            raise FormatError(f"a cut of one more topic than {self._most_scopes}")
        if not is_here:
            self._followed.take(scope, record)
        elif record or self._followed.has(scope):
            skipped[scope] = self._read_back[scope] = value
        else:
            skipped.pop(scope, None)

    def _is_of_owner(self, known: Status) -> bool:
        """Return whether the current owner of the partition published it, not a former owner that writes late."""
        if known.partition >= self._partitions:
            raise FormatError(f"there is no partition {known.partition}")
        if known.epoch < self._epochs.get(known.partition, 0):
            self.overwritten.add(known.partition)
            return False
        self._epochs[known.partition] = known.epoch
        return True


def _nowhere(_home: int) -> bool:
    return False
