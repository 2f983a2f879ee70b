"""Which flags alert rules take by their reason, and from a tracker that is warming up."""

import pytest

from stream_app.alerts.rules import AlertRule
from stream_app.core.messages import FlagType, Reason
from tests.unit.alerts.parts import a_flag

RULE = AlertRule(name="r", sinks=("s",))


@pytest.mark.parametrize("reason", list(Reason))
def test_of_who_entered_only_those_who_rose_are_sent_by_default(reason: Reason) -> None:
    assert RULE.matches(a_flag("f", type=FlagType.ENTERED, reason=reason)) == (reason is Reason.ROSE)


def test_flags_of_releases_without_reasons_are_sent() -> None:
    assert RULE.matches(a_flag("f", type=FlagType.ENTERED, reason=None))


def test_a_rule_can_name_other_reasons() -> None:
    rule = AlertRule(name="r", sinks=("s",), entered_because=(Reason.NEWLY_RANKED,))
    assert rule.matches(a_flag("f", type=FlagType.ENTERED, reason=Reason.NEWLY_RANKED))
    assert not rule.matches(a_flag("f", type=FlagType.ENTERED, reason=Reason.ROSE))


def test_emerging_users_are_sent_whatever_the_reason() -> None:
    for reason in (Reason.ACCELERATING, Reason.AT_THE_DOOR, Reason.NEARLY_RANKED):
        assert RULE.matches(a_flag("f", reason=reason))


def test_nothing_is_sent_while_the_tracker_warms_up_unless_a_rule_asks_for_it() -> None:
    assert not RULE.matches(a_flag("f", warming_up=True))
    assert AlertRule(name="r", sinks=("s",), warming_up=True).matches(a_flag("f", warming_up=True))
