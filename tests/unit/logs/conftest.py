"""Levels of loggers, put back after a test."""

import logging
import signal
from collections.abc import Iterator

import pytest

from stream_app.logs.verbosity import levels


@pytest.fixture
def root_level() -> Iterator[None]:
    """Levels and handlers of signals as before, after the test."""
    names = [None, *levels("INFO")[1]]
    before = {name: logging.getLogger(name).level for name in names}
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGUSR1, signal.SIGUSR2)}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
    for signum, handler in handlers.items():
        signal.signal(signum, handler)
