"""Waiting for what happens in another process or thread."""

import time
from collections.abc import Callable

_LOOK_S = 0.02


def eventually(condition: Callable[[], bool], within_s: float) -> bool:
    """Whether the condition comes to hold within so many seconds."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(_LOOK_S)
    return False
