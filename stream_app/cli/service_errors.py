"""Errors of commands that run as services: where logs are JSON, they are log records too."""

import logging
from collections.abc import Sequence
from typing import NoReturn

from stream_app.settings import Settings, asked_log_format

_SERVICES = (("worker",), ("alerts", "run"))

logger = logging.getLogger(__name__)


def logs_json(words: Sequence[str]) -> bool:
    """Whether the command line `words` starts a service whose stderr may hold nothing but JSON."""
    if not any(tuple(words[: len(service)]) == service for service in _SERVICES):
        return False
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "--log-format":
            return following == "json"
        if word.startswith("--log-format="):
            return word.endswith("=json")
    return asked_log_format() == "json"


def end_with_record(message: str, exit_code: int, error: BaseException | None = None) -> NoReturn:
    """Log why a service ends, with the traceback of an `error` that nobody expected, and end it."""
    from stream_app.logs import start_logging
    from stream_app.logs.handler import StderrHandler

    if not any(isinstance(handler, StderrHandler) for handler in logging.getLogger().handlers):
        start_logging(Settings(log_format="json"))
    logger.critical("%s", message, exc_info=error)
    raise SystemExit(exit_code)
