"""Busy time: how long code has kept the worker from everything else, without the time for which it waited."""

from time import perf_counter


class BusyTime:
    """Adds up the time spent inside `with`; without an await in there."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started_s = 0.0

    def __enter__(self) -> None:
        self._started_s = perf_counter()

    def __exit__(self, *_raised: object) -> None:
        self.seconds += perf_counter() - self._started_s
