"""Ending: a signal lets a command clean up as Ctrl-C does, its servers and workers first."""

import signal
from types import FrameType


def end_like_ctrl_c() -> None:
    """Have SIGTERM and SIGHUP unwind the command."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, _end)


def _end(signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)
