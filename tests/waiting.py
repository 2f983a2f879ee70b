"""Waiting for what happens in another process or thread."""

from collections.abc import Callable

from stream_app.until import until

_LOOK_S = 0.02


def eventually(condition: Callable[[], bool], within_s: float) -> bool:
    """Whether the condition comes to hold within so many seconds."""
    return until(condition, within_s, every_s=_LOOK_S)
