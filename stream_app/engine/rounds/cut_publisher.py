"""The cut publisher: each worker publishes changed cuts, and past cuts, for its share of the buckets."""

import asyncio
from collections.abc import Iterable

import msgspec

from stream_app.core.cuts.curve_message import BUCKETS, bucket_of
from stream_app.core.cuts.history import CutHistory, PastKey
from stream_app.core.cuts.publication import Frame, published
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.messages import Cut, Role
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME
from stream_app.engine.context import EngineContext
from stream_app.engine.output_topics import cut_key

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
        self._published: dict[int, dict[bytes, Cut]] = {}
        """Published cuts by bucket and key, for the buckets of the owned partitions."""
        self.took_over = asyncio.Event()
        """Set when buckets were taken over from another owner, who may have left stale cuts; see `forget_others`."""

    def present(self) -> list[Cut]:
        """Return the cuts last published by this worker."""
        return [cut for cuts in self._published.values() for cut in cuts.values()]

    def publish(self, changed: list[int], newest_ms: int) -> None:
        """Publish the cuts of the `changed` buckets that this worker owns through its partitions.

        Newly owned buckets are published whether they have changed or not. `newest_ms`: the end of the window. The
        curves of others may arrive before the end of the window is known; publishing then waits.
        """
        context = self._context
        held = {bucket for bucket in range(BUCKETS) if bucket % context.settings.partitions in context.owned}
        self._remember(newest_ms // context.settings.pane_ms)
        for bucket in self._published.keys() - held:
            for cut in self._published.pop(bucket).values():
                context.meter.cut_gone(cut)
        if fresh := held - self._published.keys():
            self.took_over.set()
        self._changed = held & self._changed.union(changed, fresh)
        for bucket in sorted(self._changed):
            if newest_ms > NO_TIME or not len(context.global_cuts.scopes_of(bucket)):
                self._publish(bucket, self.frame(newest_ms))
                self._changed.discard(bucket)

    def forget_others(self, keys: Iterable[bytes]) -> None:
        """Delete stale cuts: those of `keys`, all cuts on Kafka, that are in our buckets but no longer exist."""
        ours = ((key, self._published[bucket]) for key in keys if (bucket := _bucket(key)) in self._published)
        self._context.output.forget_cuts(key for key, cuts in ours if key not in cuts)

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
        for bucket, cuts in self._published.items():
            if cuts:
                output.past(PastKey(bucket, ended), cuts.values())
        for old in self._past.before(pane - self._context.settings.panes):
            if old.bucket in self._published:
                output.past(old, ())

    def _publish(self, bucket: int, frame: Frame) -> None:
        before = self._published.get(bucket, {})
        context = self._context
        cuts = published(
            context.global_cuts,
            context.global_cuts.scopes_of(bucket),
            context.rules,
            context.settings.population_sizes,
            frame,
        )
        now: dict[bytes, Cut] = {}
        news = []
        for cut in cuts:
            key = cut_key(cut)
            known = before.get(key)
            now[key] = known if known is not None and _same(cut, known) else cut
            if now[key] is cut:
                news.append(cut)
        self._published[bucket] = now
        context.output.cuts(news)
        gone = [key for key in before if key not in now]
        context.output.forget_cuts(gone)
        for key in gone:
            context.meter.cut_gone(before[key])
        for cut in news:
            context.meter.cut(cut)


def _bucket(key: bytes) -> int:
    """Return the bucket of a cut's key; -1 if it is not a valid key."""
    try:
        topic, population, _ = _KEY.decode(key)
    except DECODE_ERRORS:
        return -1
    return bucket_of(ScopeName(population, topic))


def _same(cut: Cut, before: Cut) -> bool:
    return msgspec.structs.replace(before, computed_at=cut.computed_at) == cut
