"""Waiting for an answer: ask again until it is the one wanted, or the time is over."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

T = TypeVar("T")


def until(
    ask: Callable[[], T],
    within_s: float,
    *,
    is_done: Callable[[T], object] = bool,
    every_s: float = 0.1,
    retry_on: tuple[type[Exception], ...] = (),
) -> T:
    """Call `ask` until `is_done` accepts its answer or `within_s` have passed, and return the last answer.

    An error of `retry_on` counts as no answer; it is raised once the time is over.
    """
    deadline_s = monotonic() + within_s
    while True:
        try:
            answer = ask()
            if is_done(answer) or monotonic() >= deadline_s:
                return answer
        except retry_on:
            if monotonic() >= deadline_s:
                raise
        sleep(every_s)
