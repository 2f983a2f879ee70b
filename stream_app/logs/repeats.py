"""Log lines that repeat others: which are news, and how many of the rest there were; pure, time is an argument."""

import logging
import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

EVERY_S = 30.0
"""Of lines of one kind one is told in so much time."""

_NUMBER = re.compile(r"0x[0-9a-f]+|\d+")


class Noted(NamedTuple):
    """A line that was held back and is due."""

    record: logging.LogRecord
    rest: str
    """How many more there were, to be put after the line."""


@dataclass
class _Kind:
    since_s: float
    last: logging.LogRecord | None = None
    held: int = 0


class Repeats:
    """Lets the first line of every kind pass; of those that follow soon it keeps the last, and the number."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[object, ...], _Kind] = {}

    def is_news(self, record: logging.LogRecord, now_s: float) -> bool:
        """Whether to tell the line at once; otherwise `due` does, or counts it."""
        if record.levelno < logging.WARNING:
            return True
        kind = self._kinds.setdefault(_kind_of(record), new := _Kind(now_s))
        if kind is new:
            return True
        kind.last, kind.held = record, kind.held + 1
        return False

    def due(self, now_s: float) -> list[Noted]:
        """The lines to tell now: the last of every kind that has been held back for long enough."""
        over = [place for place, kind in self._kinds.items() if now_s - kind.since_s >= EVERY_S]
        return [told for place in over for told in self._take(place, now_s)]

    def everything(self, now_s: float) -> list[Noted]:
        """All that is held back, because nothing follows."""
        return [told for place in list(self._kinds) for told in self._take(place, now_s)]

    def _take(self, place: tuple[object, ...], now_s: float) -> Iterator[Noted]:
        kind = self._kinds.pop(place)
        if kind.last is None:
            return
        self._kinds[place] = _Kind(now_s)
        more, within_s = kind.held - 1, now_s - kind.since_s
        yield Noted(kind.last, f" (and {more} more like it in {within_s:.0f} s)" if more else "")


def _kind_of(record: logging.LogRecord) -> tuple[object, ...]:
    """What lines have in common that tell the same: who says it, in which words, and of which errors.

    Topics, nodes and offsets may differ, and so may all numbers. Where that is too coarse, whoever logs the line gives
    what it is about as `extra={"kind": …}`.
    """
    args = record.args if isinstance(record.args, tuple) else ()
    errors = [repr(arg) for arg in args if isinstance(arg, BaseException | type)]
    if record.exc_info and record.exc_info[1]:
        errors += traceback.format_exception(record.exc_info[1])
    words = [_NUMBER.sub("#", text) for text in (str(record.msg), *errors)]
    return (record.name, record.levelno, getattr(record, "kind", None), *words)
