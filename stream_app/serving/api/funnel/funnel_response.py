"""What the HTTP API answers about the funnel of a topic."""

from typing import Annotated

from msgspec import Meta

from stream_app.core.queries import FunnelFigures
from stream_app.serving.api.responses import Answer, TimeMs


class TopicFunnel(Answer, frozen=True, kw_only=True):
    """Who comes to a topic, who brings them and who comes back, in the window; what it means is in docs/funnel.md."""

    topic: str
    population: str
    gap_s: float
    """After so long an absence somebody enters again."""
    horizon_s: float
    """Recruits count for a cohort so long after their recruiter came."""
    window_start: TimeMs
    """Entries and credits from then on are in the stages; cohorts are of days, also before it."""
    reached: Annotated[int | None, Meta(description="Impressions in the window, not people; null: not known now.")]
    stages: FunnelFigures | None
    """Null where nobody came in the window."""
    missing_partitions: list[int]
    """Partitions whose worker did not answer: their people are not here."""
