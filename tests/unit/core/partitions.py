"""Several ledgers that exchange their curves as the bytes that workers send."""

import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence

from stream_app.core.cuts import curve_message
from stream_app.core.cuts.curve_updates import CurveUpdates
from stream_app.core.cuts.global_cuts import GlobalCuts, ScopeCuts, ScopeMap
from stream_app.core.events.credit import ViewRates, credit
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName

CutInts = tuple[int, int, int, int, int]
"""Users, total, k, θ, ties."""
BOTH_ROLES = (0, 1)


class Partitions:
    """Ledgers of co-partitioned posts and shares, and the cuts of one worker over all of them."""

    def __init__(self, count: int, new_ledger: Callable[[], Ledger], share: float = 0.8) -> None:
        self.ledgers = [new_ledger() for _ in range(count)]
        self.curve_updates = [CurveUpdates(partition, 1) for partition in range(count)]
        self.views = [ScopeMap() for _ in range(count)]
        self.global_cuts = GlobalCuts(share)

    def count(self, events: Sequence[Event]) -> None:
        """Count the events of each user in the user's partition; the window moves on."""
        chosen: dict[tuple[int, bool], list[Event]] = defaultdict(list)
        for event in events:
            partition = zlib.crc32(str(event.user_id).encode()) % len(self.ledgers)
            chosen[partition, isinstance(event, Post)].append(event)
        for (partition, posts), found in chosen.items():
            topic = "posts" if posts else "shares"
            credits_ = credit(found, Post if posts else Share, ViewRates())
            ledger = self.ledgers[partition]
            late = ledger.late(topic, credits_.ts_ms)
            ledger.apply(topic, ledger.source(topic).position + len(found), credits_, late, 0)

    def advance(self, newest_ms: int) -> None:
        """Move the window of all on."""
        for ledger in self.ledgers:
            ledger.advance(newest_ms)

    def cuts(self, partition: int) -> ScopeCuts:
        """The cuts of the scopes of one ledger."""
        return self.views[partition].cuts(self.ledgers[partition], self.global_cuts)

    def exchange(self, rounds: int = 2) -> int:
        """Exchange and merge the curves; return the number of messages."""
        messages = 0
        for _ in range(rounds):
            for partition, (ledger, updates) in enumerate(zip(self.ledgers, self.curve_updates, strict=True)):
                for message in updates.collect(ledger, self.cuts(partition)):
                    self.global_cuts.update(curve_message.decode(curve_message.encode(message)))
                    messages += 1
            self.global_cuts.recompute()
        return messages

    def all_cuts(self) -> dict[tuple[ScopeName, int], CutInts]:
        """Every cut there is, by scope and role."""
        found = self.global_cuts.cuts(self.global_cuts.numbers(list(self.global_cuts.names)))
        ints = (found.users, found.totals, found.k, found.thresholds, found.ties)
        return {
            (scope, role): (int(cut[0]), int(cut[1]), int(cut[2]), int(cut[3]), int(cut[4]))
            for role in BOTH_ROLES
            for scope, *cut in zip(self.global_cuts.names, *(column[role].tolist() for column in ints), strict=True)
            if cut[0]
        }
