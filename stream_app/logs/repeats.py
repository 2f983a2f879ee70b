"""Rate limit for log lines that repeat: which pass, and how many were held back. Pure: time is an argument.

Why: docs/reliability.md#fault-log-flood.
"""

import logging
import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

EVERY_S = 30.0
"""One line of a kind passes in this time."""

_NUMBER = re.compile(r"0x[0-9a-f]+|\d+")


class HeldLine(NamedTuple):
    """A line that was held back and is due now."""

    record: logging.LogRecord
    rest: str
    """A note on how many more there were, to follow the line."""


@dataclass
class _Kind:
    since_s: float
    last: logging.LogRecord | None = None
    held: int = 0


class Repeats:
    """Lets the first line of every kind pass; of those that follow soon it keeps the last, and the count."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[object, ...], _Kind] = {}

    def is_news(self, record: logging.LogRecord, now_s: float) -> bool:
        """Whether to write the line at once; otherwise `due` returns it later, or counts it."""
        if record.levelno < logging.WARNING:
            return True
        kind = self._kinds.setdefault(_kind_of(record), new := _Kind(now_s))
        if kind is new:
            return True
        kind.last, kind.held = record, kind.held + 1
        return False

    def due(self, now_s: float) -> list[HeldLine]:
        """The lines to write now: the last of every kind that has been held back long enough."""
        over = [key for key, kind in self._kinds.items() if now_s - kind.since_s >= EVERY_S]
        return [line for kind in over for line in self._take(kind, now_s)]

    def everything(self, now_s: float) -> list[HeldLine]:
        """Every line held back, because logging ends."""
        return [line for kind in list(self._kinds) for line in self._take(kind, now_s)]

    def _take(self, key: tuple[object, ...], now_s: float) -> Iterator[HeldLine]:
        kind = self._kinds.pop(key)
        if kind.last is None:
            return
        self._kinds[key] = _Kind(now_s)
        more, within_s = kind.held - 1, now_s - kind.since_s
        yield HeldLine(kind.last, f" (and {more} more like it in {within_s:.0f} s)" if more else "")


def _kind_of(record: logging.LogRecord) -> tuple[object, ...]:
    """What repeated lines have in common: the logger, the level, the words and the errors.

    Topics, nodes and offsets may differ, and so may all numbers. Where that is too coarse, the caller adds
    `extra={"kind": …}`.
    """
    args = record.args if isinstance(record.args, tuple) else ()
    errors = [repr(arg) for arg in args if isinstance(arg, BaseException | type)]
    if record.exc_info and record.exc_info[1]:
        errors += traceback.format_exception(record.exc_info[1])
    words = [_NUMBER.sub("#", text) for text in (str(record.msg), *errors)]
    return (record.name, record.levelno, getattr(record, "kind", None), *words)
