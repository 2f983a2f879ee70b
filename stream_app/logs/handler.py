"""The handler of all log records: writes to stderr, and holds repeated lines back."""

import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

from stream_app.logs.repeats import HeldLine, Repeats

_LOOK_S = 1.0


class StderrHandler(logging.StreamHandler[Any]):
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

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own signature
        """Do nothing: stderr is closed or full, and a traceback about that would go there too."""

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
