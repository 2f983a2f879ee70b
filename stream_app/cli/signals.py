"""Signals: SIGTERM and SIGHUP let a command clean up as Ctrl-C does."""

import signal
from types import FrameType


def end_like_ctrl_c() -> None:
    """Raise SystemExit on SIGTERM and SIGHUP, so that blocks end their servers and workers."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, _end)


def _end(signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)
