"""Until a process has counted everything that lies on Kafka: how long it takes, and how much CPU."""

import time
from collections.abc import Callable
from typing import NamedTuple

from tests.benchmarks.process import BenchError, MeasuredProcess
from tests.benchmarks.progress import OnProgress


class Counting(NamedTuple):
    """What it took."""

    seconds: float
    """Wall time from the last poll that saw nothing counted to the first that saw everything counted."""
    cpu_s: float
    """Over the same time."""


def until_counted(
    process: MeasuredProcess, counted: Callable[[], int], count: int, patience_s: float, on_progress: OnProgress
) -> Counting:
    """Ask `counted`, which waits a little, until it says `count`. Raises BenchError after `patience_s` without more."""
    zero_s = moved_s = time.monotonic()
    zero_cpu_s = now_cpu_s = 0.0
    done = 0
    while done < count:
        before, done = done, counted()
        now_s, now_cpu_s = time.monotonic(), process.cpu_s()
        if not done:
            zero_s, zero_cpu_s = now_s, now_cpu_s
        if done > before:
            moved_s = now_s
        elif now_s - moved_s > patience_s:
            raise BenchError(f"the {process.name} stopped counting at event {done}:\n{process.log_tail()}")
        on_progress(f"the {process.name} counts", done, count)
    return Counting(moved_s - zero_s, now_cpu_s - zero_cpu_s)
