"""The state of a worker as it can be queried, whichever engine keeps it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from stream_app.core.changelog.columns import FormatError
from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.changelog.standing_records import flag_of, key_of, names_in
from stream_app.core.changelog.status import Status
from stream_app.core.exchange.homes import Homes
from stream_app.core.flags.track_record import TrackRecord
from stream_app.core.messages import Flag, FlagType, Role
from stream_app.core.privacy.erasures import Erasures
from stream_app.core.queries.funnels import FunnelQueries
from stream_app.core.queries.recruits import RecruitSearch
from stream_app.core.queries.scopes import ScopeQueries
from stream_app.core.queries.top_k import TopUsers, tops_named, tops_of
from stream_app.core.queries.users import UserQueries
from stream_app.core.signals.facts import Fact
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME

FEW_SCOPES = 5_000
"""Scopes of a partition that are all shown, however few users they have. With more, most are nobody's topic."""
PartitionVersion = tuple[LedgerStore, int, int]
"""Equal as long as the ledger of a partition is the same and has not changed."""


class StoredStandings:
    """Stored standings of a partition, decoded one by one: all at once they would be the largest thing in memory."""

    def __init__(self, stored: Mapping[bytes, bytes]) -> None:
        self._stored = stored

    def __iter__(self) -> Iterator[Flag]:
        """The flags of standings that last."""
        return (flag for flag in map(flag_of, self._stored.values()) if flag.type is not FlagType.LEFT)

    def missing(self, keys: Iterable[bytes]) -> Iterator[tuple[str, str, str, Role]]:
        """User, topic, population and role of those among `keys` that are not here."""
        return (names_in(key) for key in keys if key not in self._stored)


@dataclass(frozen=True, kw_only=True)
class QueryableState:
    """Queries change nothing, so they take no lock of a partition; keep nothing of it across an await: it changes."""

    stores: Callable[[], Mapping[int, LedgerStore]]
    """Of the partitions that this worker owns."""
    stored_standings: Callable[[int, Iterable[bytes] | None], Mapping[bytes, bytes]]
    """The last flag of each standing in a partition, as stored, by its key: of the keys given, or of all."""
    scopes: ScopeQueries
    funnels: FunnelQueries
    statuses: Mapping[int, Status]
    """What every partition has published, on any worker."""
    erasures: Erasures
    homes: Homes
    """Where the curves of scopes are put together, in the partitions of this worker."""
    record: TrackRecord
    """What became of the flags of all workers; who reads the flags topic gives it every flag."""

    @property
    def partitions(self) -> list[int]:
        """Those that this worker owns."""
        return list(self.stores())

    @property
    def counting_since(self) -> int | None:
        """Event time of the first event counted in any of them, epoch ms; None before it."""
        began = (store.ledger.since for store in self.stores().values())
        return min((ms for ms in began if ms != NO_TIME), default=None)

    def users(self, partition: int) -> UserQueries | None:
        """The users of a partition; None where it is not this worker's."""
        store = self.stores().get(partition)
        return None if store is None else UserQueries(store.ledger, self.scopes.followed, store.signals)

    def noticed(self, partition: int, users: Sequence[str]) -> dict[str, list[Fact]]:
        """The facts about marked ones among users of an owned partition; none where less may be said."""
        if self.scopes.disclosure.is_limited:
            return {}
        store = self.stores()[partition]
        facts = store.signals.noticed(users, store.ledger.event_key).facts
        return {user: some for user, some in zip(users, facts, strict=True) if some}

    def tops(self, partition: int, most: int, min_users: int) -> Iterator[TopUsers]:
        """At most `most` users of every scope and role of an owned partition.

        A partition of over FEW_SCOPES scopes leaves out those with fewer than `min_users` users in all partitions.
        """
        ledger, disclosure = self.stores()[partition].ledger, self.scopes.disclosure
        if disclosure.is_limited:
            return tops_named(ledger, most, self.scopes.sizes_of(ledger.scopes.names()), disclosure)
        if len(ledger.scopes) <= FEW_SCOPES:
            return tops_of(ledger, most)
        users = self.scopes.users_of(ledger.scopes.names())
        return tops_of(ledger, most, users >= min_users)

    def recruits(self, partition: int, scope: ScopeName, recruiters: Sequence[str]) -> RecruitSearch | None:
        """A search for whom some people brought into a scope; None where the partition is not this worker's."""
        store, stages = self.stores().get(partition), self.funnels.partitions().get(partition)
        if store is None or stages is None:
            return None
        return RecruitSearch(stages.funnel, store.ledger, scope, recruiters)

    def version(self, partition: int) -> PartitionVersion:
        """Of an owned partition: while it is equal, `tops` are the same."""
        store = self.stores()[partition]
        return store, store.sequence, store.ledger.horizon

    def standings(self, partition: int, keys: Iterable[bytes] | None = None) -> StoredStandings:
        """The standings of a partition: of the keys given, or all."""
        return StoredStandings(self.stored_standings(partition, keys))

    def standing(self, partition: int, user: str, scope: ScopeName, role: Role) -> Flag | None:
        """The last flag of a standing that lasts; None where there is none, or it cannot be read."""
        key = key_of(user, scope.topic, scope.population, role)
        stored = self.stored_standings(partition, [key]).get(key)
        try:
            return None if stored is None else flag_of(stored)
        except FormatError:
            return None
