"""The sample that `stream-app alerts test` sends."""

from uuid import uuid4

from stream_app.alerts.sinks.message import AlertMessage, message_of
from stream_app.core.messages import DEFAULT_POPULATION, ChanceFrom, Flag, FlagType, Reason, Role

RULE = "test"
_DAY_MS = 86_400_000


def sample(now_ms: int) -> AlertMessage:
    """A message about the user `test-user`, with a new id."""
    flag = Flag(
        flag_id=f"test-{uuid4().hex}",
        type=FlagType.EMERGING,
        role=Role.CONNECTOR,
        topic="test-topic",
        population=DEFAULT_POPULATION,
        user_id="test-user",
        value=3470,
        threshold=10_656,
        share=0.0009,
        rank=131,
        short_rate=1310.0,
        long_rate=23.0,
        rate_error=212.4,
        z=4.6,
        events=38.2,
        eta_s=7440.0,
        reason=Reason.ACCELERATING,
        chance=0.64,
        chance_flags=431,
        chance_from=ChanceFrom.OWN,
        rule=3,
        window_start=now_ms - _DAY_MS,
        window_end=now_ms,
        event_time=now_ms,
        detected_at=now_ms,
        settings_version="test",
    )
    return message_of("", RULE, [flag])._replace(
        title="Test of stream_app: test-user is taking off: connector of test-topic"
    )
