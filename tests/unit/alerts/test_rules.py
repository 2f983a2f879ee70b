"""Rules: which flags match, and quiet hours, in every zone and across changes of the clock."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.alerts.rules import AlertRule, QuietHours
from stream_app.core.messages import FlagType, Role
from tests.unit.alerts.parts import a_flag

BERLIN = ZoneInfo("Europe/Berlin")
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")
CLOCKS = st.integers(0, 24 * 60 - 1)


def ms(*when: int, fold: int = 0) -> int:
    return round(dt.datetime(*when, tzinfo=BERLIN, fold=fold).timestamp() * 1000)  # type: ignore[misc,arg-type]


def a_rule(**given: object) -> AlertRule:
    return AlertRule(**{"name": "r", "sinks": ("s",), **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "matches"),
    [
        ({}, True),
        ({"types": (FlagType.EMERGING,)}, True),
        ({"types": (FlagType.LEFT,)}, False),
        ({"roles": (Role.MAVEN,)}, False),
        ({"topics": ("ph*",)}, True),
        ({"topics": ("[*]",)}, False),
        ({"topics": ("tea", "phone")}, True),
        ({"populations": ("employee",)}, False),
        ({"min_value": 3470}, True),
        ({"min_value": 3471}, False),
        ({"min_z": 4.6}, True),
        ({"min_z": 4.7}, False),
    ],
)
def test_a_flag_matches_if_it_matches_every_field_of_the_rule(given: dict[str, object], matches: bool) -> None:
    assert a_rule(**given).matches(a_flag("f")) == matches


@pytest.mark.parametrize("pattern", ["#ClimateAction", "Climate*", "\uff03CLIMATE*", "#climate[A-Z]ction", "(Other)"])
def test_the_pattern_of_a_rule_is_normalised_like_the_topics_of_events(pattern: str) -> None:
    topic = "(other)" if pattern == "(Other)" else "climateaction"
    assert a_rule(topics=(pattern,)).matches(a_flag("f", topic=topic))


def test_a_rule_can_match_only_the_topic_of_all_topics() -> None:
    assert a_rule(topics=("[*]",)).matches(a_flag("f", topic="*"))


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ((2026, 2, 10, 21, 59), None),
        ((2026, 2, 10, 22, 0), (2026, 2, 11, 7, 0)),
        ((2026, 2, 10, 23, 30), (2026, 2, 11, 7, 0)),
        ((2026, 2, 11, 6, 59), (2026, 2, 11, 7, 0)),
        ((2026, 2, 11, 7, 0), None),
        ((2026, 3, 28, 23, 0), (2026, 3, 29, 7, 0)),  # clocks go forward in that night
        ((2026, 10, 24, 23, 0), (2026, 10, 25, 7, 0)),  # and back in that one
    ],
)
def test_quiet_hours_cross_midnight_by_the_local_clock(now: tuple[int, ...], ends: tuple[int, ...] | None) -> None:
    quiet = QuietHours(start="22:00", end="07:00", zone="Europe/Berlin")
    assert quiet.ends_ms(ms(*now)) == ms(*(ends or now))


def test_quiet_hours_that_end_in_the_repeated_hour_end_in_its_second_half() -> None:
    quiet = QuietHours(start="22:00", end="02:30", zone="Europe/Berlin")
    assert quiet.ends_ms(ms(2026, 10, 25, 2, 10, fold=1)) == ms(2026, 10, 25, 2, 30, fold=1)


def test_a_time_that_yaml_reads_as_a_number_is_minutes_since_midnight() -> None:
    assert QuietHours(start=22 * 60, end="07:00", zone="UTC") == QuietHours(start=1320, end="07:00", zone="UTC")
    now_ms = ms(2026, 2, 10, 23, 30)
    assert QuietHours(start=1320, end="07:00", zone="UTC").ends_ms(now_ms) == QuietHours(
        start="22:00", end="07:00", zone="UTC"
    ).ends_ms(now_ms)


@given(CLOCKS, CLOCKS, st.sampled_from(ZONES), st.integers(ms(2026, 1, 1), ms(2027, 1, 1)))
def test_quiet_hours_end_later_and_within_a_day_or_so(start: int, end: int, zone: str, now_ms: int) -> None:
    if start == end:
        return
    quiet = QuietHours(start=start, end=end, zone=zone)
    ends_ms = quiet.ends_ms(now_ms)
    assert now_ms <= ends_ms <= now_ms + DAY_MS + 2 * HOUR_MS
    clock = dt.datetime.fromtimestamp(ends_ms / 1000, ZoneInfo(zone))
    assert ends_ms == now_ms or (clock.hour * 60 + clock.minute - end) % 1440 in {0, 30, 60}  # 60: clocks went forward
