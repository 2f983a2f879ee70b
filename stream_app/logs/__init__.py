"""Logging to stderr: a record a line, as text or JSON, without secrets, with a hint where Kafka refuses a request."""

import logging
import logging.config
from collections.abc import Iterable
from typing import Any

from stream_app.logs.formats import JsonLines, TextLines
from stream_app.logs.handler import StderrHandler
from stream_app.logs.uncaught import log_uncaught
from stream_app.logs.verbosity import levels
from stream_app.settings import Settings
from stream_app.settings.secret import Secret


def start_logging(settings: Settings, secrets: Iterable[Secret] = ()) -> None:
    """Log from here on, also what nobody catches, and warnings of Python."""
    logging.config.dictConfig(logging_config(settings, secrets))
    log_uncaught()


def logging_config(settings: Settings, secrets: Iterable[Secret] = ()) -> dict[str, Any]:
    """For logging.config: libraries log from WARNING on; `secrets` are hidden besides those of the settings."""
    hidden = [*settings.secrets, *secrets]
    lines = JsonLines if settings.log_format == "json" else TextLines
    own, libraries = levels(settings.log_level)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": lambda: lines(settings, hidden)}},
        "handlers": {"stderr": {"()": StderrHandler, "formatter": "line"}},
        "root": {"level": own, "handlers": ["stderr"]},
        "loggers": {name: {"level": level} for name, level in libraries.items()},
    }
