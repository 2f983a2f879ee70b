"""Publishes cuts: each worker those of its share of the scopes, and only what changed."""

import msgspec

from stream_app.core.messages import Cut
from stream_app.core.publication import Frame, published
from stream_app.engine.outlet import cut_key
from stream_app.engine.shared import Shared


class Publisher:
    """Remembers what it has published, so that what stays the same is not sent again."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._version = shared.settings.version
        self._published: dict[int, dict[bytes, Cut]] = {}

    def present(self) -> list[Cut]:
        """The cuts as last published by this worker."""
        return [cut for cuts in self._published.values() for cut in cuts.values()]

    def publish(self, changed: list[int], newest_ms: int) -> None:
        """Publish the cuts of the `changed` buckets that fall to this worker: those of the partitions it holds.

        `newest_ms`: where the window ends.
        """
        for bucket in changed:
            if bucket % self._shared.settings.partitions not in self._shared.books:
                self._published.pop(bucket, None)
                continue
            self._publish(bucket, self._frame(newest_ms))

    def _publish(self, bucket: int, frame: Frame) -> None:
        before = self._published.get(bucket, {})
        shared = self._shared
        cuts = published(shared.whole, bucket, shared.rules, shared.settings.population_sizes, frame)
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
        shared.outlet.forget_cuts(key for key in before if key not in now)
        for cut in news:
            shared.meter.cut(cut)

    def _frame(self, newest_ms: int) -> Frame:
        pane_ms = self._shared.settings.pane_ms
        end_ms = (newest_ms // pane_ms + 1) * pane_ms
        start_ms = end_ms - self._shared.settings.panes * pane_ms
        return Frame(self._shared.settings.share, start_ms, end_ms, round(self._shared.clock() * 1000), self._version)


def _same(cut: Cut, before: Cut) -> bool:
    return msgspec.structs.replace(before, computed_at=cut.computed_at) == cut
