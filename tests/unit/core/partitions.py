"""Several ledgers, and the homes of their scopes, which exchange the bytes that workers send."""

import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence

from stream_app.core.cuts.scope_cuts import ScopeCuts
from stream_app.core.events.schema import Event
from stream_app.core.exchange import cut_record, delta_message
from stream_app.core.exchange.delta_message import DeltaSource
from stream_app.core.exchange.delta_sender import DeltaSender
from stream_app.core.exchange.followed_cuts import FollowedCuts, LedgerScopes
from stream_app.core.exchange.homes import Homes
from stream_app.core.flags.evaluation import Changes, evaluate
from stream_app.core.flags.ranked_scopes import RankedScopes
from stream_app.core.flags.ranking import RankingRules
from stream_app.core.flags.standing import StandingRules
from stream_app.core.flags.watched_rows import WatchedRows
from stream_app.core.messages import ROLES
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName
from tests.unit.core.streams import Batch, credits_of, topic_of

CutInts = tuple[int, int, int, int, int]
"""Users, total, k, θ, ties."""


class Partitions:
    """Ledgers of co-partitioned posts and shares, and the cuts of one worker over all of them."""

    def __init__(
        self,
        count: int,
        new_ledger: Callable[[], Ledger],
        share: float = 0.8,
        ranking: RankingRules = RankingRules(),  # noqa: B008 - immutable
    ) -> None:
        self.ledgers = [new_ledger() for _ in range(count)]
        self.senders = [DeltaSender(DeltaSource(partition, 1), count) for partition in range(count)]
        self.views = [LedgerScopes() for _ in range(count)]
        self.homes = Homes(lambda: dict.fromkeys(range(count), 1), count, share, ranking)
        self.homes.follow()
        self.followed = FollowedCuts()
        self.watched = [WatchedRows() for _ in range(count)]
        self._ranked: dict[StandingRules, RankedScopes] = {}

    def count(self, events: Sequence[Event]) -> None:
        """Count the events of each user in the user's partition; the window moves on."""
        chosen: dict[tuple[int, str], list[Event]] = defaultdict(list)
        for event in events:
            partition = zlib.crc32(str(event.user_id).encode()) % len(self.ledgers)
            chosen[partition, topic_of(event)].append(event)
        for (partition, topic), found in chosen.items():
            credits_ = credits_of(Batch(topic, found, len(found)))
            ledger = self.ledgers[partition]
            late = ledger.late(topic, credits_.ts_ms)
            ledger.apply(topic, ledger.source(topic).position + len(found), credits_, late, 0)

    def advance(self, newest_ms: int) -> None:
        """Move the window of all on."""
        for ledger in self.ledgers:
            ledger.advance(newest_ms)

    def cuts(self, partition: int) -> ScopeCuts:
        """The cuts of the scopes of one ledger."""
        return self.followed.cuts.of(self.views[partition].numbers(self.ledgers[partition], self.followed))

    def exchange(self, rounds: int = 2) -> int:
        """Exchange and merge the curves; return the number of messages."""
        messages = 0
        for _ in range(rounds):
            for partition, (ledger, sender) in enumerate(zip(self.ledgers, self.senders, strict=True)):
                thresholds = self.views[partition].thresholds(ledger, self.followed)
                for message in sender.messages(ledger, thresholds, self.homes.states(), 1_000_000):
                    self.homes.hear(delta_message.decode(delta_message.encode(message)))
                    messages += 1
            for home in self.homes.complete().values():
                cells = home.curves(changed := home.recompute(0))
                for name, record in home.records(changed, cells, home.intervals(changed, cells)):
                    self.followed.take(name, cut_record.decode(cut_record.encode(record)))
        return messages

    def evaluate(self, partition: int, rules: StandingRules, watched: WatchedRows | None = None) -> Changes:
        """Evaluate one ledger: what it watches, or what another one that was given does."""
        ledger, view = self.ledgers[partition], self.views[partition]
        ranked = self._ranked.setdefault(rules, RankedScopes(self.followed, rules))
        ranked.update()
        due = (watched or self.watched[partition]).due(ledger, view, ranked)
        return evaluate(ledger, due, view.numbers(ledger, self.followed), ranked)

    def all_cuts(self) -> dict[tuple[ScopeName, int], CutInts]:
        """Every cut there is, by scope and role."""
        found = self.followed.cuts
        ints = (found.users, found.totals, found.k, found.thresholds, found.ties)
        return {
            (scope, role): (int(cut[0]), int(cut[1]), int(cut[2]), int(cut[3]), int(cut[4]))
            for role in range(len(ROLES))
            for scope, *cut in zip(self.followed.names, *(column[role].tolist() for column in ints), strict=False)
            if cut[0]
        }
