"""The name that a topic is counted as, whatever is written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


@settings(deadline=None, max_examples=500)
@given(st.text(max_size=12) | st.text("#\uff03 aÄß\u0345\u0390ΐᾷŉİ\u0301\u0308\u200b\ufe0f", max_size=8))
def test_a_name_stays_what_it_is(text: str) -> None:
    assert normal_topic(normal_topic(text)) == normal_topic(text)


def test_every_single_character_is_stable() -> None:
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    unstable = [char for char in characters if (once := normal_topic(char)) != normal_topic(once)]
    assert unstable == []
