"""What Python itself would write to stderr becomes a log record: uncaught exceptions, and warnings."""

import logging
import sys
import threading
from types import TracebackType

logger = logging.getLogger(__name__)


def log_uncaught() -> None:
    """Log exceptions that nobody catches, in any thread or finaliser, and warnings (logger py.warnings)."""
    sys.excepthook = _in_main_thread
    threading.excepthook = _in_thread
    sys.unraisablehook = _in_finaliser
    logging.captureWarnings(capture=True)


def _in_main_thread(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger.critical("this process ends: %s", kind.__name__, exc_info=(kind, error, traceback))


def _in_thread(raised: threading.ExceptHookArgs) -> None:
    if raised.exc_value is None or issubclass(raised.exc_type, SystemExit):
        return
    name = raised.thread.name if raised.thread else "?"
    exc_info = (raised.exc_type, raised.exc_value, raised.exc_traceback)
    logger.error("the thread %s has ended: %s", name, raised.exc_type.__name__, exc_info=exc_info)


def _in_finaliser(raised: "sys.UnraisableHookArgs") -> None:
    if raised.exc_value is None:
        return
    exc_info = (raised.exc_type, raised.exc_value, raised.exc_traceback)
    what = getattr(raised.object, "__qualname__", type(raised.object).__qualname__)  # its repr may name people
    logger.error("%s: %s", raised.err_msg or "Exception ignored in", what, exc_info=exc_info)
