"""The parameters of the standing rules, from the settings."""

from stream_app.core.flags.ranking import RankingRules
from stream_app.core.flags.standing import StandingRules
from stream_app.core.messages import ROLES
from stream_app.settings.schema import Settings


def rules_of(settings: Settings) -> StandingRules:
    """Return the parameters of the standing rules."""
    return StandingRules(
        ranking=RankingRules(settings.min_users, settings.diffuse_fraction),
        floors=tuple(getattr(settings, f"min_{role.unit}") for role in ROLES),
        leave_ratio=settings.leave_ratio,
        dwell_s=settings.dwell_s,
        emerging_z=settings.emerging_z,
        emerging_floor=settings.emerging_floor,
        emerging_horizon_s=settings.emerging_horizon_s,
        emerging_moments=settings.emerging_events,
        near_floor=settings.emerging_near_floor,
        near_horizon_s=settings.emerging_near_horizon_s,
        door=settings.emerging_door,
    )
