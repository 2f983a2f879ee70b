"""What a worker writes to stderr: one line a record, without secrets, and with what to do where Kafka refuses."""

import logging
from typing import Any

from stream_app.connections.advice import kafka_advice
from stream_app.secret import Redaction
from stream_app.settings import Settings

_LINE = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"
_LIBRARIES = ("faust", "mode", "aiokafka", "asyncio")


def logging_config(settings: Settings) -> dict[str, Any]:
    """For logging.config: the libraries are heard only when something is wrong."""
    loud = {name: {"level": "WARNING"} for name in _LIBRARIES}
    loud["kafka"] = {"level": "CRITICAL"}  # it only watches, and what it reports as an error is raised too
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": lambda: _Lines(settings)}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": settings.log_level, "handlers": ["stderr"]},
        "loggers": {} if settings.log_level == "DEBUG" else loud,
    }


class _Lines(logging.Formatter):
    """Formats records. Libraries log their configuration and their requests: whatever is secret in it goes."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(_LINE)
        self._settings = settings
        self._redacted = Redaction(settings.secrets)

    def format(self, record: logging.LogRecord) -> str:
        """The line, with its traceback."""
        return self._redacted(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The line: with advice, where it tells of an error that Kafka answered with."""
        line = super().formatMessage(record)
        for told in record.args if isinstance(record.args, tuple) else ():
            if isinstance(told, BaseException) and (advice := kafka_advice(told, self._settings)):
                return f"{line}: {advice}"
        return line
