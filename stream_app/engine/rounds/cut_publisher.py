"""Publishes cuts: each worker those of its share of the scopes, and only what changed; and what they were."""

import asyncio
from collections.abc import Iterable

import msgspec

from stream_app.core.cuts.curve_message import BUCKETS, bucket_of
from stream_app.core.cuts.history import Chronicle, Ended
from stream_app.core.cuts.publication import Frame, published
from stream_app.core.messages import Cut, Role
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME
from stream_app.engine.context import Shared
from stream_app.engine.output_topics import cut_key

_KEY = msgspec.json.Decoder(tuple[str, str, Role])


class Publisher:
    """Remembers what it has published, so that what stays the same is not sent again."""

    def __init__(self, shared: Shared, past: Chronicle) -> None:
        self._shared = shared
        self._past = past
        self._pane: int | None = None
        """The last pane of the window, when cuts were last published."""
        self._version = shared.settings.version
        self._changed: set[int] = set()
        """Buckets that changed and are not published yet."""
        self._published: dict[int, dict[bytes, Cut]] = {}
        """By bucket: those of the partitions held."""
        self.took_over = asyncio.Event()
        """Set when buckets came from another owner, who may have left cuts behind; see `forget_others`."""

    def present(self) -> list[Cut]:
        """The cuts as last published by this worker."""
        return [cut for cuts in self._published.values() for cut in cuts.values()]

    def publish(self, changed: list[int], newest_ms: int) -> None:
        """Publish the cuts of the `changed` buckets that fall to this worker: those of the partitions it holds.

        Those that it did not hold before are published whether they changed or not. `newest_ms`: where the window ends.
        What others have counted can be known a moment before that is: it waits.
        """
        shared = self._shared
        held = {bucket for bucket in range(BUCKETS) if bucket % shared.settings.partitions in shared.books}
        self._remember(newest_ms // shared.settings.pane_ms)
        for bucket in self._published.keys() - held:
            for cut in self._published.pop(bucket).values():
                shared.meter.cut_gone(cut)
        if fresh := held - self._published.keys():
            self.took_over.set()
        self._changed = held & self._changed.union(changed, fresh)
        for bucket in sorted(self._changed):
            if newest_ms > NO_TIME or not len(shared.whole.scopes_of(bucket)):
                self._publish(bucket, self.frame(newest_ms))
                self._changed.discard(bucket)

    def forget_others(self, keys: Iterable[bytes]) -> None:
        """Of all cuts that are on Kafka, by their keys, delete those of our buckets that are no cuts any more."""
        ours = ((key, self._published[bucket]) for key in keys if (bucket := _bucket(key)) in self._published)
        self._shared.outlet.forget_cuts(key for key, cuts in ours if key not in cuts)

    def frame(self, newest_ms: int) -> Frame:
        """What all cuts have in common now; `newest_ms`: where the window ends."""
        pane_ms = self._shared.settings.pane_ms
        end_ms = (newest_ms // pane_ms + 1) * pane_ms
        start_ms = end_ms - self._shared.settings.panes * pane_ms
        return Frame(self._shared.settings.share, start_ms, end_ms, round(self._shared.clock() * 1000), self._version)

    def _remember(self, pane: int) -> None:
        """When a pane is over, tell what the cuts were at its end; what has left the window is forgotten."""
        ended, self._pane = self._pane, pane
        if ended is None or ended == pane:
            return
        outlet = self._shared.outlet
        for bucket, cuts in self._published.items():
            if cuts:
                outlet.past(Ended(bucket, ended), cuts.values())
        for old in self._past.before(pane - self._shared.settings.panes):
            if old.bucket in self._published:
                outlet.past(old, ())

    def _publish(self, bucket: int, frame: Frame) -> None:
        before = self._published.get(bucket, {})
        shared = self._shared
        cuts = published(
            shared.whole, shared.whole.scopes_of(bucket), shared.rules, shared.settings.population_sizes, frame
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
        shared.outlet.cuts(news)
        gone = [key for key in before if key not in now]
        shared.outlet.forget_cuts(gone)
        for key in gone:
            shared.meter.cut_gone(before[key])
        for cut in news:
            shared.meter.cut(cut)


def _bucket(key: bytes) -> int:
    """The bucket of a cut; -1 where it is not the key of one."""
    try:
        topic, population, _ = _KEY.decode(key)
    except msgspec.DecodeError:
        return -1
    return bucket_of(ScopeName(population, topic))


def _same(cut: Cut, before: Cut) -> bool:
    return msgspec.structs.replace(before, computed_at=cut.computed_at) == cut
