"""The text of messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.alerts.sinks.message import message_of
from stream_app.alerts.templates import body_of, digest_title, title_of
from stream_app.core.messages import ChanceFrom, FlagType, Role
from tests.unit.alerts.parts import a_flag


@pytest.mark.parametrize(
    ("given_", "title"),
    [
        ({}, "ann is taking off: connector of phone"),
        ({"topic": "*", "role": Role.MAVEN}, "ann is taking off: maven of all topics"),
        ({"type": FlagType.ENTERED}, "ann is now a mass connector of phone"),
        ({"type": FlagType.FADING}, "ann is fading: connector of phone"),
        ({"type": FlagType.LEFT}, "ann is no longer a mass connector of phone"),
    ],
)
def test_a_title_says_who_and_what_happened(given_: dict[str, object], title: str) -> None:
    assert title_of(a_flag("f", user_id="ann", **given_)) == title


def test_a_body_says_the_numbers_in_words() -> None:
    flag = a_flag("f", detected_at=1_772_298_420_000, population="consumer")
    assert body_of(flag).splitlines() == [
        "3,470 impressions in 24 hours; 10,656 make a mass connector (θ).",
        "0.09 % of all impressions, about rank 131.",
        "Pace: 1,310 impressions an hour, 23 before (z 4.6).",
        "Why: accelerating towards θ.",
        "Population: consumer.",
        "Event time 2026-02-28 17:07 UTC.",
    ]


@pytest.mark.parametrize(
    ("window_s", "text"),
    [(45, "45 seconds"), (90, "2 minutes"), (3600, "1 hour"), (7440, "2 hours 4 minutes"), (90_000, "25 hours")],
)
def test_a_length_of_time_is_written_in_its_two_largest_units(window_s: int, text: str) -> None:
    flag = a_flag("f", window_start=0, window_end=window_s * 1000)
    assert f"3,470 impressions in {text};" in body_of(flag)


def test_a_flag_from_before_a_whole_window_says_so() -> None:
    assert "whole window" not in body_of(a_flag("f"))
    assert "has not seen a whole window yet" in body_of(a_flag("f", warming_up=True))


def test_a_body_says_the_chance_where_the_flag_has_one() -> None:
    flag = a_flag("f", chance=0.64, chance_flags=431, chance_from=ChanceFrom.OWN)
    assert "Chance: 6 of 10 such flags entered within 12 h (of 431).\n" in body_of(flag)
    assert "Chance" not in body_of(a_flag("f"))


def test_a_digest_counts_flags_by_type() -> None:
    flags = [a_flag("1"), a_flag("2", type=FlagType.LEFT), a_flag("3", type=FlagType.LEFT)]
    assert digest_title(flags, "phones") == "3 more from “phones”: 1 taking off, 2 left"


@given(st.text(min_size=1), st.text(min_size=1), st.integers(1, 12))
def test_with_every_user_name_a_title_is_one_line_and_a_digest_one_for_each(user: str, topic: str, count: int) -> None:
    flags = [a_flag(f"f{n}", user_id=user, topic=topic) for n in range(count)]
    message = message_of("digest", "r", flags)
    assert len(message.title.splitlines()) == 1
    assert len(message.title) < 220
    if count > 1:
        assert len(message.body.splitlines()) == min(count, 10) + (count > 10)


def test_a_name_cannot_notify_a_whole_channel() -> None:
    assert "<!channel>" not in title_of(a_flag("f", user_id="<!channel>"))
