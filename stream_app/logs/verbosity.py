"""Log levels, and how a signal changes them while a process runs."""

import logging
import signal
import threading
from collections.abc import Callable

from stream_app.stacks import stacks

VERBOSE_S = 600.0
"""SIGUSR1 makes a process verbose for so long: a DEBUG log that is forgotten fills disks."""

_RAISING = ("kafka", "opentelemetry")
"""What they log as errors they raise or return as well, and it is logged by those who ask them."""
_LIBRARIES = ("faust", "mode", "aiokafka", "asyncio", "urllib3")

_WITH_RECORDS = (
    *("aiokafka.conn", "aiokafka.producer", "kafka.conn", "kafka.net", "kafka.producer", "kafka.protocol"),
    *("faust.agents.agent", "faust.transport.consumer"),
)
"""What they log at DEBUG are records and requests as they are: these name people."""

logger = logging.getLogger(__name__)


def levels(level: str) -> tuple[str, dict[str, str]]:
    """The level of the root logger, and those of libraries that differ: nearly all log from DEBUG on, or few do."""
    if level == "DEBUG":
        return level, {**dict.fromkeys((*_LIBRARIES, *_RAISING), "NOTSET"), **dict.fromkeys(_WITH_RECORDS, "INFO")}
    few = {**dict.fromkeys(_LIBRARIES, "WARNING"), **dict.fromkeys(_RAISING, "CRITICAL")}
    return level, few | dict.fromkeys(_WITH_RECORDS, "NOTSET")


class Verbosity:
    """SIGUSR1 logs everything for ten minutes; a second one ends that. SIGUSR2 logs what every thread is doing."""

    def __init__(self, level: str, verbose_s: float = VERBOSE_S) -> None:
        self._level = level
        self._verbose_s = verbose_s
        self._timer: threading.Timer | None = None

    def listen(self) -> None:
        """Handle both signals; without that they end a process."""
        signal.signal(signal.SIGUSR1, lambda *_: self.toggle())
        signal.signal(signal.SIGUSR2, lambda *_: log_stacks())

    def toggle(self) -> None:
        """Log everything for a while, or end that."""
        if self._timer is not None:
            self._end()
            return
        # Said first, so that other threads log nothing of it before: at a level that is logged whatever is set.
        level = max(logging.INFO, logger.getEffectiveLevel())
        logger.log(level, "SIGUSR1: logging everything for %g s; SIGUSR1 ends that", self._verbose_s)
        _apply("DEBUG")
        self._timer = _timer(self._verbose_s, self._end)

    def _end(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        logger.info("logging from %s on again", self._level)
        _apply(self._level)


def log_stacks() -> None:
    """Log the stack of every thread: where a process that seems to stand still is."""
    for stack in stacks():
        logger.warning("SIGUSR2: thread %s\n%s", stack.name, stack.text, extra={"kind": stack.ident})


def _apply(level: str) -> None:
    own, libraries = levels(level)
    logging.getLogger().setLevel(own)
    for name, its in libraries.items():
        logging.getLogger(name).setLevel(its)


def _timer(seconds: float, action: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.name = "log level"
    timer.start()
    return timer
