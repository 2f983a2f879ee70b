"""The exchange of many workers in one process: how many messages, bytes and merges a round costs, by worker.

Only the exchange is simulated: ledgers, what they send to homes, what homes put together and what all workers follow.
Everything arrives in the round in which it is sent.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from stream_app.core.cuts.cut_news import CutNews
from stream_app.core.events.credit import ViewRates, credit
from stream_app.core.events.schema import Post
from stream_app.core.exchange import cut_record, delta_message
from stream_app.core.exchange.delta_message import DeltaSource
from stream_app.core.exchange.delta_sender import DeltaSender, HomeState
from stream_app.core.exchange.followed_cuts import FollowedCuts, LedgerScopes
from stream_app.core.exchange.homes import Homes
from stream_app.core.flags.ranking import RankingRules
from stream_app.core.state.ledger import Ledger

PARTITIONS = 64
_MIN_USERS = 20
_PANE_MS, _PANES = 900_000, 96
_NOW_MS = 1_704_067_200_000


class RoundCost(NamedTuple):
    """What one round costs; merged cells and followed records of the worker that has the most of them."""

    messages: int
    """Between workers: within one nothing is sent."""
    message_bytes: int
    records: int
    """Cuts that all workers follow."""
    record_bytes: int
    merged: int
    most_merged: int
    most_followed: int


class _Partition:
    def __init__(self, number: int) -> None:
        self.ledger = Ledger(_PANE_MS, _PANES, 4)
        self.sender = DeltaSender(DeltaSource(number, 1), PARTITIONS)
        self.view = LedgerScopes()


class Exchange:
    """So many workers, which own the partitions in turn."""

    def __init__(self, workers: int) -> None:
        self._partitions = [_Partition(number) for number in range(PARTITIONS)]
        self._owners = [number % workers for number in range(PARTITIONS)]
        self._homes = [self._homes_of(worker) for worker in range(workers)]
        self._news = [CutNews(0) for _ in range(PARTITIONS)]
        self._followed = FollowedCuts()
        """Of any worker: all read the same."""

    def count(self, users: Sequence[int], topics: Sequence[str], seed: int) -> None:
        """Count one post for each of these users, each about one of the topics."""
        chosen = random.Random(seed)
        found: dict[int, list[Post]] = {}
        for number, user in enumerate(users):
            topic = topics[min(int(chosen.paretovariate(0.7)) - 1, len(topics) - 1)]
            event = Post(user_id=f"u{user}", event_id=f"{seed}-{number}", ts=_NOW_MS, audience=100, topics=(topic,))
            found.setdefault(user % PARTITIONS, []).append(event)
        for place, events in found.items():
            credits_ = credit(events, Post, ViewRates())
            ledger = self._partitions[place].ledger
            ledger.apply("posts", ledger.source("posts").position + len(events), credits_, credits_.ts_ms < 0, 0)

    def round(self) -> RoundCost:
        """Have all partitions send what is new, all homes put it together, and everybody follow."""
        homes = {place: HomeState(1, 1) for place in range(PARTITIONS)}
        messages, sizes, merged = 0, 0, [0] * len(self._homes)
        for place, partition in enumerate(self._partitions):
            thresholds = partition.view.thresholds(partition.ledger, self._followed)
            for message in partition.sender.messages(partition.ledger, thresholds, homes, 1_000_000):
                owner = self._owners[message.home]
                merged[owner] += len(message.cells().curves)
                self._homes[owner].hear(message)
                if owner != self._owners[place]:
                    messages, sizes = messages + 1, sizes + len(delta_message.encode(message))
        records, record_bytes = self._publish()
        return RoundCost(messages, sizes, records, record_bytes, sum(merged), max(merged), records)

    def _publish(self) -> tuple[int, int]:
        records, sizes = 0, 0
        for owner in self._homes:
            for place, home in owner.complete().items():
                changed = home.recompute(0)
                scopes = self._news[place].look(home.cuts, changed, _NOW_MS, 0, 1_000_000)
                now = home.cuts.of(scopes)
                self._news[place].publish(scopes, now, 0)
                followed = scopes[self._news[place].are_followed(now)]
                cells = home.curves(followed)
                for name, record in home.records(followed, cells, home.intervals(followed, cells)):
                    value = cut_record.encode(record)
                    self._followed.take(name, record)
                    records, sizes = records + 1, sizes + len(value) + len(cut_record.key_of(name))
        return records, sizes

    def _homes_of(self, worker: int) -> Homes:
        owned = {place: 1 for place, owner in enumerate(self._owners) if owner == worker}
        homes = Homes(lambda: owned, PARTITIONS, 0.8, RankingRules(_MIN_USERS, 1.0))
        homes.follow()
        return homes
