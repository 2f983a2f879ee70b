"""Exit codes: how a worker ends itself at once. Its memory can no longer be trusted; the log is complete."""

import logging
import os
import threading
from enum import IntEnum
from typing import NoReturn

_LOG_WITHIN_S = 3.0

logger = logging.getLogger(__name__)


class Exit(IntEnum):
    """Exit statuses. A supervisor restarts the worker after any of them except REFUSED."""

    STALLED = 70
    LOST_WRITE = 71
    BROKEN = 72
    FENCED = 73
    REFUSED = 74
    CUT_SHORT = 75


def end(status: Exit, why: str, doing: str = "") -> NoReturn:
    """End this process at once, without cleanup; `doing` is what its threads are doing, to be logged too.

    Logging can block: a worker may stand still just because nobody reads its stderr, and then it must end all the same.
    faulthandler would write there too, and block as well.
    """
    try:
        last_words = threading.Thread(target=_log, args=(status, why, doing), name="last words", daemon=True)
        last_words.start()
        last_words.join(_LOG_WITHIN_S)
    finally:  # even if there is no memory for another thread
        os._exit(status)


def _log(status: Exit, why: str, doing: str) -> None:
    if doing:
        logger.error("what the threads of this worker are doing:\n%s", doing)
    logger.critical("ending this worker (exit status %d, %s): %s", status, status.name, why)
    logging.shutdown()
