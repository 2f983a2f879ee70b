"""How a worker ends itself: what is in memory is not to be trusted then, what is in the log is complete."""

import logging
import os
from enum import IntEnum
from typing import NoReturn

logger = logging.getLogger(__name__)


class Exit(IntEnum):
    """Exit statuses: a supervisor restarts the worker after each of them but REFUSED."""

    STALLED = 70
    LOST_WRITE = 71
    BROKEN = 72
    FENCED = 73
    REFUSED = 74
    CUT_SHORT = 75


def end(status: Exit, why: str) -> NoReturn:
    """End this process at once."""
    logger.critical("ending this worker (exit status %d, %s): %s", status, status.name, why)
    logging.shutdown()
    os._exit(status)
