"""Names of topics: the one way to normalise them, wherever one is given, and the names that are reserved.

Events, alert rules, settings, the HTTP API, the page and the command line all use `normal_topic`, so that a rule for
`#ClimateAction` matches what is counted as `climateaction`.
"""

import re
import unicodedata

from stream_app.core.messages import ALL_TOPICS, OTHER
from stream_app.core.unseen import FORMATS, UNSEEN

RESERVED = frozenset({ALL_TOPICS, OTHER})
"""Topics that are counted but that no event can name."""

_FLAGS = "|".join(
    "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in place) + "\U000e007f"
    for place in ("gbeng", "gbsct", "gbwls")
)
"""The flags of England, Scotland and Wales: a black flag, and a place in tags, which draw nothing elsewhere."""
_INVISIBLE = re.compile(f"({_FLAGS})|[{UNSEEN}{FORMATS}]")
_BEFORE = re.compile(r"^[\s#\uff03]+")
_PASSES = 4
"""Folding can compose characters that fold again. Two passes are the most that is known to be needed."""


def normal_topic(topic: str) -> str:
    """Return the name that a topic is counted as; empty if nothing is left.

    Leading number signs (ASCII or full-width), characters that draw nothing, and space around it are dropped; case is
    folded; the result is in NFC. Normalising it again changes nothing.
    """
    if topic.isascii():
        plain = topic.strip().lower()
        return _BEFORE.sub("", plain) if plain[:1] == "#" else plain
    for _ in range(_PASSES):
        before, topic = topic, _normalised(topic)
        if topic == before:
            break
    return topic


def _normalised(topic: str) -> str:
    folded = unicodedata.normalize("NFC", _INVISIBLE.sub(r"\1", topic)).casefold()
    return _BEFORE.sub("", unicodedata.normalize("NFC", folded)).rstrip()
