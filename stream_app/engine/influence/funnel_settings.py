"""How the ledger and the funnel of a partition are set."""

from stream_app.core.funnel.funnel import FunnelSettings
from stream_app.core.funnel.stored.stored_funnel import StoredFunnelSettings
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.core.state.scope_limits import ScopeLimits
from stream_app.settings import Settings

REMEMBER_MS = 400 * 86_400_000
"""How long somebody who was forgotten is not taken for new: a year and a month, for what comes back each year."""


def limits_of(settings: Settings) -> ScopeLimits:
    """Return the limits of one partition: each has an equal share of the scopes."""
    scopes = -(-settings.max_scopes // settings.partitions)
    return ScopeLimits(settings.max_topics_per_event, settings.max_topics_per_user, scopes)


def funnel_settings_of(settings: Settings) -> StoredFunnelSettings:
    """Return how the funnel of one partition is set. A share is the earliest of those that the window saw."""
    key = settings.person_key.reveal()
    gap_ms, window_ms = round(settings.funnel_gap_s * 1000), settings.pane_ms * settings.panes
    return StoredFunnelSettings(
        FunnelSettings(settings.pane_ms, gap_ms, window_ms, REMEMBER_MS, PersonHashes(key).post_key),
        horizon_ms=round(settings.funnel_horizon_s * 1000),
        partitions=settings.partitions,
        limits=limits_of(settings),
    )
