"""Logging to stderr: one line a record, without secrets, with a hint where Kafka refuses a request."""

import logging
import threading
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from stream_app.kafka.error_hints import kafka_advice
from stream_app.logs.repeats import HeldLine, Repeats
from stream_app.settings import Settings
from stream_app.settings.secret import Redaction, Secret

_LINE = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"
_LIBRARIES = ("faust", "mode", "aiokafka", "asyncio")
_LOOK_S = 1.0


def logging_config(settings: Settings, secrets: Iterable[Secret] = ()) -> dict[str, Any]:
    """For logging.config: libraries log from WARNING on; `secrets` are hidden besides those of the settings."""
    hidden = [*settings.secrets, *secrets]
    loud = {name: {"level": "WARNING"} for name in _LIBRARIES}
    loud["kafka"] = {"level": "CRITICAL"}  # only the broker monitor uses it, and its errors are raised as well
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": lambda: _Lines(settings, hidden)}},
        "handlers": {"stderr": {"()": _Writer, "formatter": "line"}},
        "root": {"level": settings.log_level, "handlers": ["stderr"]},
        "loggers": {} if settings.log_level == "DEBUG" else loud,
    }


class _Writer(logging.StreamHandler[Any]):
    """Writes to stderr; repeated lines are held back, because libraries log 100 a second while Kafka is down."""

    def __init__(self) -> None:
        super().__init__()
        self._repeats = Repeats()
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="repeated lines", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, or hold it back."""
        if record.levelno >= logging.CRITICAL:  # the reason of an exit must be the last line
            self._write(self._repeats.everything)
        if self._ended.is_set() or self._repeats.is_news(record, monotonic()):
            super().emit(record)

    def close(self) -> None:
        """Write the lines held back; from now on none is."""
        self._ended.set()
        self._write(self._repeats.everything)
        super().close()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_S):
            self._write(self._repeats.due)

    def _write(self, lines: Callable[[float], list[HeldLine]]) -> None:
        self.acquire()
        try:
            for line in lines(monotonic()):
                line.record.rest = line.rest
                super().emit(line.record)
        finally:
            self.release()


class _Lines(logging.Formatter):
    """Formats records. Libraries log their configuration and their requests: secrets are removed from them."""

    def __init__(self, settings: Settings, secrets: Iterable[Secret]) -> None:
        super().__init__(_LINE)
        self._settings = settings
        self._redacted = Redaction(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """The line, with its traceback."""
        return self._redacted(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The line, with a hint where an argument is an error of Kafka."""
        line, rest = super().formatMessage(record), getattr(record, "rest", "")
        for arg in record.args if isinstance(record.args, tuple) else ():
            if isinstance(arg, BaseException) and (advice := kafka_advice(arg, self._settings)):
                return f"{line}: {advice}{rest}"
        return f"{line}{rest}"
