"""How much of the worker's time answering takes: the event loop belongs to counting."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class TimeBudget:
    """Adds up the time of blocks that hold the event loop; there must be no await in them."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Add the time of the block."""
        started = perf_counter()
        try:
            yield
        finally:
            self.seconds += perf_counter() - started
