"""Exit codes: how a worker ends itself at once. Its memory can no longer be trusted; the log is complete."""

import logging
import os
from enum import IntEnum
from typing import NoReturn

logger = logging.getLogger(__name__)


class Exit(IntEnum):
    """Exit statuses. A supervisor restarts the worker after any of them except REFUSED."""

    STALLED = 70
    LOST_WRITE = 71
    BROKEN = 72
    FENCED = 73
    REFUSED = 74
    CUT_SHORT = 75


def end(status: Exit, why: str) -> NoReturn:
    """End this process at once, without cleanup."""
    logger.critical("ending this worker (exit status %d, %s): %s", status, status.name, why)
    logging.shutdown()
    os._exit(status)
