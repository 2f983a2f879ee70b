"""The cut publisher: each worker publishes changed cuts, and past cuts, for its share of the buckets."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np

from stream_app.core.arrays import Mask
from stream_app.core.cuts.curve_message import BUCKETS, bucket_of
from stream_app.core.cuts.history import MOST_PER_BUCKET, CutHistory, PastKey
from stream_app.core.cuts.publication import Frame, PublishedCuts
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.messages import ROLES, Cut, Role
from stream_app.core.queries.queryable_state import FEW_SCOPES
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME
from stream_app.engine.context import EngineContext
from stream_app.engine.output_topics import scope_key

MOST_CUTS = 40_000
"""Written in a round, but for those of its last bucket: about 18 MB, which are in memory until Kafka has them."""
_KEY = msgspec.json.Decoder(tuple[str, str, Role])


class CutPublisher:
    """Publishes cuts; remembers what it has published, so that unchanged cuts are not sent again."""

    def __init__(self, context: EngineContext, past: CutHistory) -> None:
        self._context = context
        self._past = past
        self._pane: int | None = None
        """The last pane of the window at the last `publish`."""
        self._version = context.settings.version
        self._changed: set[int] = set()
        """Changed buckets that are not published yet."""
        self._last = -1
        """The bucket that was published last."""
        self._published: dict[int, PublishedCuts] = {}
        """Published cuts by bucket, for the buckets of the owned partitions."""
        self._rankable: dict[int, list[Cut]] = {}
        """By bucket, as long as its cuts are the same: the messages of cuts with enough users to flag anybody."""
        self.took_over = asyncio.Event()
        """Set when buckets were taken over from another owner, who may have left stale cuts; see `forget_others`."""

    def present(self) -> list[Cut]:
        """Return the cuts last published by this worker."""
        return [cut for held in self._published.values() for cut in self._messages(held, held.are_there)]

    def shown(self) -> list[Cut]:
        """Return the cuts last published by this worker; if they are many, those with enough users to flag anybody."""
        if sum(len(held.names) for held in self._published.values()) <= FEW_SCOPES:
            return self.present()
        rules = self._context.rules
        for bucket in self._published.keys() - self._rankable.keys():
            held = self._published[bucket]
            self._rankable[bucket] = list(self._messages(held, held.cuts.users >= rules.min_users))
        return [cut for cuts in self._rankable.values() for cut in cuts]

    def publish(self, changed: list[int], newest_ms: int) -> None:
        """Publish the cuts of the `changed` buckets that this worker owns through its partitions.

        Newly owned buckets are published whether they have changed or not; what is more than MOST_CUTS waits for the
        next rounds, in turn. `newest_ms`: the end of the window. The
        curves of others may arrive before the end of the window is known; publishing then waits.
        """
        context = self._context
        held = {bucket for bucket in range(BUCKETS) if bucket % context.settings.partitions in context.owned}
        self._remember(newest_ms // context.settings.pane_ms)
        for bucket in self._published.keys() - held:
            self._rankable.pop(bucket, None)
            lost = self._published.pop(bucket)
            self._withdraw(lost, lost.are_there)
        if fresh := held - self._published.keys():
            self.took_over.set()
        self._changed = held & self._changed.union(changed, fresh)
        room = MOST_CUTS
        for bucket in sorted(self._changed, key=lambda bucket: (bucket <= self._last, bucket)):
            if room > 0 and (newest_ms > NO_TIME or not len(context.global_cuts.scopes_of(bucket))):
                room -= self._publish(bucket, self.frame(newest_ms))
                self._changed.discard(bucket)
                self._last = bucket

    def forget_others(self, keys: Iterable[bytes]) -> None:
        """Delete stale cuts: those of `keys`, all cuts on Kafka, that are in our buckets but no longer exist."""
        ours: dict[int, list[tuple[bytes, ScopeName, Role]]] = defaultdict(list)
        for key in keys:
            if (parsed := _parsed(key)) is not None and (bucket := bucket_of(parsed[0])) in self._published:
                ours[bucket].append((key, *parsed))
        for bucket, found in ours.items():
            held = self._published[bucket]
            places = held.places([name for _, name, _ in found]).tolist()
            there = held.are_there
            self._context.output.forget_cuts(
                key
                for (key, _, role), place in zip(found, places, strict=True)
                if place < 0 or not there[ROLES.index(role), place]
            )

    def frame(self, newest_ms: int) -> Frame:
        """Return the fields that all cuts have in common now; `newest_ms`: the end of the window."""
        pane_ms = self._context.settings.pane_ms
        end_ms = (newest_ms // pane_ms + 1) * pane_ms
        start_ms = end_ms - self._context.settings.panes * pane_ms
        return Frame(self._context.settings.share, start_ms, end_ms, round(self._context.clock() * 1000), self._version)

    def _remember(self, pane: int) -> None:
        """When a pane has ended, publish the cuts at its end; delete past cuts that have left the window."""
        ended, self._pane = self._pane, pane
        if ended is None or ended == pane:
            return
        output = self._context.output
        for bucket, held in self._published.items():
            if cuts := list(self._messages(held, _most_users(held))):
                output.past(PastKey(bucket, ended), cuts)
        for old in self._past.before(pane - self._context.settings.panes):
            if old.bucket in self._published:
                output.past(old, ())

    def _publish(self, bucket: int, frame: Frame) -> int:
        """Publish a bucket; returns how many cuts were news."""
        context = self._context
        numbers = context.global_cuts.scopes_of(bucket)
        now = PublishedCuts.of(context.global_cuts, numbers, frame)
        before = self._published.get(bucket) or PublishedCuts.of(context.global_cuts, numbers[:0], frame)
        self._published[bucket] = now
        self._rankable.pop(bucket, None)
        news = now.news(before)
        for cut in self._messages(now, news):
            context.output.cuts([cut])
            context.meter.cut(cut)
        gone = now.gone(before)
        context.output.forget_cuts(scope_key(name, role) for name, role in before.keys(gone))
        self._withdraw(before, gone)
        return int(np.count_nonzero(news))

    def _messages(self, cuts: PublishedCuts, chosen: Mask) -> Iterator[Cut]:
        return cuts.messages(self._context.rules, self._context.settings.population_sizes, chosen)

    def _withdraw(self, cuts: PublishedCuts, gone: Mask) -> None:
        """Take cuts that are gone out of the metrics."""
        for cut in self._messages(cuts, gone):
            self._context.meter.cut_gone(cut)


def _parsed(key: bytes) -> tuple[ScopeName, Role] | None:
    """Return scope and role of a cut's key; None if it is not a valid key."""
    try:
        topic, population, role = _KEY.decode(key)
    except DECODE_ERRORS:
        return None
    return ScopeName(population, topic), role


def _most_users(cuts: PublishedCuts) -> Mask:
    """Return the cuts with the most users, as many as the history keeps."""
    users = cuts.cuts.users.ravel()
    chosen = np.zeros(len(users), np.bool_)
    chosen[np.argsort(-users, kind="stable")[:MOST_PER_BUCKET]] = True
    return chosen.reshape(cuts.cuts.users.shape)
