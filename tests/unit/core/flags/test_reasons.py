"""Reasons: why a standing changed, of each kind of change."""

import msgspec
import pytest

from stream_app.core.flags.ranking import NEARLY_RANKED, UNRANKED
from stream_app.core.flags.reasons import SAYS, odds
from stream_app.core.flags.standing import EMERGING, ENTERED, FADING, REASONS, decide, reasons
from stream_app.core.messages import ChanceFrom, Reason
from tests.board_samples import a_flag
from tests.unit.core.flags.people import FLOOR, NOW_S, RISING, R, User, facts_of

REASONED = {
    "rose": (User(value=101), Reason.ROSE),
    "did nothing, and θ fell": (User(value=101, is_active=False), Reason.THRESHOLD_FELL),
    "the topic is newly ranked": (User(value=101, is_newly_ranked=True), Reason.NEWLY_RANKED),
    "came back": (User(FADING, value=101, is_newly_ranked=True), Reason.BACK_OVER_THRESHOLD),
    "accelerates": (RISING, Reason.ACCELERATING),
    "is at the door": (User(value=95), Reason.AT_THE_DOOR),
    "the topic is nearly ranked": (User(value=101, ranking=NEARLY_RANKED), Reason.NEARLY_RANKED),
    "fell under ρ·θ": (User(ENTERED, value=79, below_since_s=1), Reason.UNDER_THRESHOLD),
    "fell far under it": (User(ENTERED, value=9, below_since_s=1), Reason.UNDER_THRESHOLD),
    "fell further": (User(FADING, value=9, below_since_s=1), Reason.UNDER_THRESHOLD),
    "has too little": (User(ENTERED, value=4, threshold=3, below_since_s=1), Reason.TOO_LITTLE_EVIDENCE),
    "the topic is not ranked any more": (User(ENTERED, value=300, ranking=0, below_since_s=1), Reason.NO_LONGER_RANKED),
    "nor when fading": (User(FADING, value=60, ranking=NEARLY_RANKED, below_since_s=1), Reason.NO_LONGER_RANKED),
    "slowed down": (User(EMERGING, below_since_s=1), Reason.SLOWED_DOWN),
    "slowed down in a topic nearly ranked": (
        User(EMERGING, ranking=NEARLY_RANKED, below_since_s=1),
        Reason.SLOWED_DOWN,
    ),
    "was emerging in a topic that is not": (User(EMERGING, ranking=UNRANKED, below_since_s=1), Reason.NO_LONGER_RANKED),
}


@pytest.mark.parametrize(("user", "reason"), REASONED.values(), ids=REASONED)
def test_every_change_has_its_reason(user: User, reason: Reason) -> None:
    facts = facts_of(user)
    decided = decide(facts, R, FLOOR, NOW_S)
    assert decided.rule[0]
    assert [REASONS[code] for code in reasons(facts, decided, FLOOR).tolist()] == [reason]


def test_there_is_a_case_of_every_reason() -> None:
    assert {reason for _, reason in REASONED.values()} == set(Reason)


def test_every_reason_has_words() -> None:
    assert SAYS.keys() == {*Reason, None}


@pytest.mark.parametrize(
    ("chance", "flags", "source", "words"),
    [
        (0.64, 1431, ChanceFrom.OWN, "6 of 10 such flags entered within 12 h (of 1,431)"),
        (0.66, 12, ChanceFrom.SHIPPED, "7 of 10 such flags entered within 12 h (mostly on other streams)"),
        (None, None, None, ""),
    ],
)
def test_a_chance_is_said_of_ten_with_what_it_rests_on(
    chance: float | None, flags: int | None, source: ChanceFrom | None, words: str
) -> None:
    flag = msgspec.structs.replace(a_flag(), chance=chance, chance_flags=flags, chance_from=source)
    assert odds(flag) == words
