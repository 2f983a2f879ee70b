"""The funnel of recorded events, from reading them to the report."""

from collections.abc import Iterable
from typing import NamedTuple

from stream_app.backtest.funnel.funnel_report import FunnelReport, scope_reports
from stream_app.backtest.funnel.offline_funnel import OfflineFunnel
from stream_app.backtest.funnel.recorded_batches import RecordedBatches
from stream_app.core.funnel.funnel import FOREVER_MS, FunnelSettings
from stream_app.core.state.scope_limits import ScopeLimits
from stream_app.core.state.watermark import NO_TIME
from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent


class FunnelSpans(NamedTuple):
    """Lengths of time, in ms."""

    gap_ms: int
    horizon_ms: int
    window_ms: int | None
    """None: everything."""


def recorded_funnel(events: Iterable[RecordedEvent], settings: Settings, spans: FunnelSpans) -> FunnelReport:
    """Read events, in any order, and report their funnel."""
    gap_ms, horizon_ms, window_ms = spans
    share_gap_ms = FOREVER_MS if window_ms is None else window_ms
    limits = ScopeLimits(settings.max_topics_per_event, scopes=settings.max_scopes)
    funnel = OfflineFunnel(FunnelSettings(settings.pane_ms, gap_ms, share_gap_ms), horizon_ms, limits)
    batches = RecordedBatches(settings)
    for batch in batches.of(events):
        funnel.add(batch)
    funnel.take_back(batches.retracted)
    counted, has_any = batches.counted, funnel.newest_ms != NO_TIME
    return FunnelReport(
        read=counted.read,
        applied=counted.applied,
        duplicate=counted.duplicate,
        rejected=counted.rejected,
        complaint=batches.complaint,
        first_ms=funnel.first_ms if has_any else None,
        newest_ms=funnel.newest_ms if has_any else None,
        gap_s=gap_ms / 1000,
        horizon_s=horizon_ms / 1000,
        window_s=None if window_ms is None else window_ms / 1000,
        scopes=scope_reports(funnel.counted(window_ms)) if has_any else [],
    )
