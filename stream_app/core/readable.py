"""What comes from events as people read it: one line that a terminal, a log, a page or a chat shows and never obeys.

The names in events are chosen by strangers. Control characters move a terminal's cursor, write its clipboard or begin a
forged line in a log; marks of direction draw a name backwards; invisible characters make two names look alike; stacked
accents cover the lines above. Each of these is shown as U+FFFD, so that a reader sees that something is there; where a
reader has to know what, as an escape of JSON.

Programs (Redis, Kafka, the API) get names as they are. The page does the same as this file in page/text/readable.js; a
test compares both.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator

from stream_app.core.unseen import UNSEEN

REPLACEMENT = "\ufffd"
MAX_READABLE = 256
"""Characters of a name that are shown."""
MAX_TEXT = 2000
"""Characters of a text that are shown: a reason, an advice, a line of a log."""
MAX_MARKS = 4
"""Combining marks on one character: Vietnamese needs 2, Hebrew and Arabic with vowels 3, Tibetan 4."""

_ZWJ, _KEYCAP = "\u200d", "\u20e3"
_PLAIN = re.compile(r"[ -~\n]*")
_UNSEEN = re.compile(f"[{UNSEEN}]")
"""What Python calls not printable is not listed: controls, formats, surrogates, private and unassigned characters,
separators other than the space."""
_SKIN_TONES = range(0x1F3FB, 0x1F400)


def readable(text: str, most: int = MAX_READABLE) -> str:
    """`text` in one line of at most `most` characters, cut off with an ellipsis."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(_shown(text[: most * (MAX_MARKS + 1)], _replace))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def readable_lines(text: str, most: int = MAX_TEXT) -> str:
    """A text of several lines, of which each is readable."""
    return "\n".join(readable(line, most) for line in text.split("\n"))


def escaped(text: str, *, ascii_only: bool = False) -> str:
    """`text` in one line with escapes of JSON for what is not shown, and on demand for all beyond ASCII."""
    if text.isascii() and text.isprintable():
        return text
    shown = _shown(text, _escape)
    return "".join(part if part.isascii() else _escape(part) for part in shown) if ascii_only else "".join(shown)


def escaped_json(text: str, *, ascii_only: bool = False) -> str:
    """JSON that means the same, in the same lines, without anything that a terminal obeys or hides."""
    if _PLAIN.fullmatch(text):
        return text
    return "\n".join(escaped(line, ascii_only=ascii_only) for line in text.split("\n"))


def _shown(text: str, instead: Callable[[str], str]) -> Iterator[str]:
    """Each character, or what stands `instead` of it."""
    marks = MAX_MARKS  # none can stand at the beginning
    for place, character in enumerate(text):
        if unicodedata.category(character) in {"Mn", "Me"} and not _UNSEEN.match(character):
            marks += 1
            yield character if marks <= MAX_MARKS else instead(character)
        elif _draws(character) or _is_of_emoji(text, place):
            marks = 0
            yield character
        else:
            marks = MAX_MARKS
            yield instead(character)


def _draws(character: str) -> bool:
    return character.isprintable() and not _UNSEEN.match(character)


def _is_of_emoji(text: str, place: int) -> bool:
    """Whether the character joins two emoji, or chooses the coloured or the plain form of the symbol before it."""
    before, after = text[max(place - 1, 0) : place], text[place + 1 : place + 2]
    if text[place] in "\ufe0e\ufe0f":
        return _is_symbol(before) or (before != "" and before in "0123456789#*" and after == _KEYCAP)
    if text[place] != _ZWJ:
        return False
    return _is_symbol(text[max(place - 2, 0) : place - 1] if before == "\ufe0f" else before) and _is_symbol(after)


def _is_symbol(character: str) -> bool:
    if not character or _UNSEEN.match(character):
        return False
    return unicodedata.category(character) == "So" or ord(character) in _SKIN_TONES


def _replace(_character: str) -> str:
    return REPLACEMENT


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"
