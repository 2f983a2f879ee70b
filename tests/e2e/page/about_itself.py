"""What a tracker says about itself: its settings, its health, and how good its flags were."""

from stream_app.core.flags.flag_quality import FlagQuality, Window
from stream_app.core.messages import Role
from stream_app.serving.api.flags.quality_response import FlagQualities, qualities_of
from stream_app.serving.api.responses import About, Health
from tests.e2e.page.scopes import FIRST_PANE, NOW, VERSION

RULES = {
    "1": "Over θ: the value is above θ, or alone at θ, with at least 5 posts or 1,000 impressions.",
    "2": "Over θ again: the value is back above θ while it was fading.",
    "3": "Accelerating towards θ: θ is reached within 4 h at this pace, carried by 5 moments or more.",
    "4": "Under 0.8 θ for 15 min of event time.",
    "5": "Under half of θ after fading.",
    "6": "No longer rising for 15 min of event time.",
}


def about() -> About:
    """The default settings."""
    return About(
        version="0.4.0",
        settings_version=VERSION,
        share=0.8,
        window_s=86_400.0,
        pane_s=900.0,
        short_s=3_600.0,
        min_users=20,
        min_posts=5,
        min_impressions=1000,
        min_recruits=3,
        leave_ratio=0.8,
        emerging_door=0.9,
        diffuse_fraction=1 / 3,
        emerging_z=3.0,
        emerging_horizon_s=14_400.0,
        population_sizes={"all": 20_000},
        rules=RULES,
    )


def quality() -> FlagQualities:
    """Connectors are foreseen now and then; of mavens nothing is known."""
    return qualities_of(_quality, None)


def _quality(role: Role, window: Window) -> FlagQuality:
    if (role, window) == (Role.CONNECTOR, "7d"):
        return FlagQuality(role, window, 120, 78, 90, 63, 3240.0, 500, 2)
    return FlagQuality(role, window, 0, 0, 0, 0, None, 0, None)


def health() -> Health:
    """A worker that counts the demo at full speed: its events are of another year than its clock."""
    return Health(
        live=True,
        ready=True,
        events_per_s=6_364.2,
        lag_records=1_284,
        delay_s=23_417_000.0,
        event_time=NOW,
        counting_since=FIRST_PANE - 30 * 86_400_000,
        applied=161_034,
        duplicate=212,
        late=60,
        rejected=41,
        retracted=0,
        users=16_148,
        partitions=8,
        partitions_expected=8,
        workers=1,
        flags_per_hour=9_019.0,
        redis_up=True,
    )
