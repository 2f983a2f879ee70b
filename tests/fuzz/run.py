"""Runs targets for some time: each input follows from a seed, which is named where something is wrong."""

import time
from collections.abc import Callable
from random import Random

Target = Callable[[Random], None]


def run(name: str, target: Target, first: int, seconds: float) -> int:
    """Try the seeds from `first` on; returns how many. An AssertionError names the seed."""
    end_s, seed = time.monotonic() + seconds, first
    while time.monotonic() < end_s:
        once(name, target, seed)
        seed += 1
    return seed - first


def once(name: str, target: Target, seed: int) -> None:
    """Try one seed. Raises AssertionError, also for what the target raises."""
    try:
        target(Random(f"{name}-{seed}"))
    except Exception as error:
        again = f"python -m tests.fuzz --target {name} --seed {seed} --count 1"
        raise AssertionError(f"{type(error).__name__}: {error}; again: {again}") from error
