"""The form of a log line, as text or as JSON. Both are without secrets and names; no record looks like two."""

import datetime as dt
import json
import logging
from collections.abc import Iterable
from math import isfinite
from typing import Any

from stream_app.core.readable import escaped_json
from stream_app.kafka.error_hints import kafka_advice
from stream_app.logs.error_texts import shown, without_data
from stream_app.settings import Settings
from stream_app.settings.secret import Redaction, Secret

_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "rest", "taskName"}
"""Attributes of every record; others are fields that the caller gave."""


class _Lines(logging.Formatter):
    """What both formats need. Libraries log their configuration and their requests: secrets are removed from them."""

    def __init__(self, settings: Settings, secrets: Iterable[Secret]) -> None:
        super().__init__()
        self._settings = settings
        self._redaction = Redaction(secrets)

    def clean(self, text: str) -> str:
        """`text` without secrets, and without halves of characters, which no encoding of JSON knows."""
        return self._redaction(text).encode(errors="backslashreplace").decode()

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - logging's own name
        """RFC 3339, with milliseconds and the zone of this machine."""
        return dt.datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")

    def message_of(self, record: logging.LogRecord) -> str:
        """The message, with a hint where an argument is an error of Kafka, and how often it was repeated."""
        text, rest = without_data(_text(record), _error_of(record)), getattr(record, "rest", "")
        for arg in record.args if isinstance(record.args, tuple) else ():
            if isinstance(arg, BaseException) and (advice := kafka_advice(arg, self._settings)):
                return self.clean(f"{text}: {advice}{rest}")
        return self.clean(f"{text}{rest}")

    def traceback_of(self, record: logging.LogRecord) -> str:
        """The traceback and the stack of a record; empty where it has none."""
        parts = [
            self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else record.exc_text or "",
            self.formatStack(record.stack_info) if record.stack_info else "",
        ]
        return self.clean(without_data("\n".join(part for part in parts if part), _error_of(record)))


class TextLines(_Lines):
    """Lines for people: time, level, logger, message, then the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line. Further lines of a message are indented, so that none of them looks like another record."""
        message = escaped_json(self.message_of(record)).replace("\n", "\n    ")
        traceback = escaped_json(self.traceback_of(record)).replace("\n", "\n    ")
        line = f"{self.formatTime(record)} {record.levelname:<8} {record.name}: {message}"
        return f"{line}\n    {traceback}" if traceback else line


class JsonLines(_Lines):
    """Lines for programs: one object a record, in ASCII, with the fields that the caller gave."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": self.message_of(record),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and name not in line:
                line[name] = self._plain(value)
        if traceback := self.traceback_of(record):
            line["exception"] = traceback
        return json.dumps(line)

    def _plain(self, value: object) -> Any:
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float) and isfinite(value):
            return value
        if isinstance(value, list | tuple):
            return [self._plain(item) for item in value]
        return self.clean(str(shown(value)))


def _error_of(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None


def _text(record: logging.LogRecord) -> str:
    """The message. A library that logs wrong arguments, or an object that cannot be shown, must not cost the line."""
    try:
        if not isinstance(record.args, tuple):
            return record.getMessage()
        return str(record.msg) % tuple(map(shown, record.args)) if record.args else str(record.msg)
    except Exception as error:  # noqa: BLE001 - whatever the arguments do when they are shown
        return f"{record.msg!s} (its arguments cannot be shown: {type(error).__name__})"
