"""The name that a topic is counted as, whatever is written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core import readable
from stream_app.core.events.names import normal_topic

SPELLINGS = {
    "climateaction": [
        *(
            "climateaction",
            "ClimateAction",
            "#ClimateAction",
            "\uff03ClimateAction",
            " #CLIMATEACTION ",
            "##climateaction",
        ),
        *(
            "##climateaction",
            "# climateaction",
            "\u200bClimate\u200dAction",
            "\ufeff#climateaction",
            "#\u200bClimateAction\u2060",
        ),
        *("climate\u00adaction", "\u202eclimateaction\u202c", "\t#ClimateAction\n", "#\uff03 #climateaction"),
    ],
    "strasse": ["Straße", "STRASSE", "#straße", "\u017ftrasse"],
    "café": ["Café", "Cafe\u0301", "CAFE\u0301", "#CAFÉ"],
    "σοφοσ": ["ΣΟΦΟΣ", "σοφος"],
    "i̇stanbul": ["İstanbul"],
    "c#": ["C#", "#C#"],
    "❤": ["❤\ufe0f", "❤"],
    "*": ["*", " * ", "#*"],
    "": ["", "#", "\uff03", " # ", "\u200b", "\ufeff", "#\u200d", "\u3000"],
}


@pytest.mark.parametrize(("name", "spelling"), [(name, one) for name, all_ in SPELLINGS.items() for one in all_])
def test_all_spellings_of_a_topic_are_one_name(name: str, spelling: str) -> None:
    assert normal_topic(spelling) == name


UNSEEN = [
    *("\u034f", "\u115f", "\u1160", "\u17b4", "\u180b", "\u180e", "\u2800", "\u3164", "\ufe00", "\ufe0f", "\uffa0"),
    *("\ufff9", "\ufffb", "\U0001d159", "\U0001d173", "\U0001bca0"),
    *("\U000e0001", "\U000e0041", "\U000e007f", "\U000e0100", "\U000e01ef", "\U000e0fff"),
]


@pytest.mark.parametrize("unseen", UNSEEN, ids=lambda one: f"U+{ord(one):04X}")
def test_what_draws_nothing_makes_no_other_topic(unseen: str) -> None:
    for name in ("tea", "café", "❤", "한국"):
        for written in (name + unseen, unseen + name, name[:1] + unseen + name[1:], f"#{unseen}{name}{unseen * 3}"):
            assert normal_topic(written) == normal_topic(name)
    assert normal_topic(unseen) == ""


def tagged(place: str) -> str:
    """A flag of a part of a country, as emoji have it."""
    return "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in place) + "\U000e007f"


def test_flags_that_are_made_of_tags_stay_different_topics() -> None:
    flags = [tagged(place) for place in ("gbeng", "gbsct", "gbwls")]
    assert [normal_topic(f"#{flag}\ufe0f") for flag in flags] == flags
    assert normal_topic(tagged("tea")) == normal_topic("\U0001f3f4\ufe0f") == "\U0001f3f4"
    assert normal_topic(flags[0] + tagged("x")[1:]) == flags[0]


def test_no_character_that_is_shown_as_unseen_is_left_in_a_name() -> None:
    left = [chr(code) for code in range(0x110000) if readable._UNSEEN.match(chr(code)) and normal_topic(chr(code))]
    assert left == []


@settings(max_examples=500)
@given(
    st.text(max_size=12)
    | st.text(f"{tagged('gbeng')}\u1100\u1161\u1160\u3164\u200baß\u0301", max_size=16)
    | st.text("#\uff03 aÄß\u0345\u0390ΐᾷŉİ\u0301\u0308\u200b\ufe0f", max_size=8)
)
def test_a_name_stays_what_it_is(text: str) -> None:
    assert normal_topic(normal_topic(text)) == normal_topic(text)


def test_every_single_character_is_stable() -> None:
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    unstable = [char for char in characters if (once := normal_topic(char)) != normal_topic(once)]
    assert unstable == []
