"""A backtest: what the tracker would have flagged in recorded events with some settings, and how often it was right."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from stream_app.backtest.steps import read, steps
from stream_app.backtest.tracker import OfflineTracker
from stream_app.core.flags.outcomes import (
    DAY_MS,
    FORESIGHT_MS,
    Outcomes,
    Rates,
    Standing,
    UserDay,
    outcomes_of,
    rates_of,
    standing_of,
)
from stream_app.core.messages import ALL_TOPICS, ROLES, Flag, Role
from stream_app.core.state.watermark import Source
from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent

_LOOK_MS = 900_000
"""Candidates are looked for so often."""

_SIZES: dict[str, Callable[[Standing], bool]] = {
    "all topics together": lambda of: of[2] == ALL_TOPICS,
    "single topics": lambda of: of[2] != ALL_TOPICS,
}

OnStep = Callable[[int], None]
"""Called with the number of events counted so far."""


class RoleResult(NamedTuple):
    """How good the warnings of one role were, or of all together."""

    outcomes: Outcomes
    rates: Rates


class BacktestResult(NamedTuple):
    """What a backtest found."""

    read: int
    counted: Source
    """Counts of both sources together."""
    flags: list[Flag]
    """In the order raised, also those while the tracker was warming up."""
    warming_up: int
    """Flags of that time: the results are about the others."""
    both: RoleResult
    by_role: dict[Role, RoleResult]
    by_size: dict[str, RoleResult]
    """All topics together, and single ones."""


def backtest(
    events: Sequence[RecordedEvent], settings: Settings, on_step: OnStep = lambda _done: None
) -> BacktestResult:
    """Run a backtest on events in the order in which they are to be read."""
    recording = read(events, settings)
    tracker, flags, candidates = OfflineTracker(settings), list[Flag](), set[UserDay]()
    tracker.counted.rejected = recording.rejected
    looked_ms = done = 0
    for end_ms, counted, raised in tracker.run(steps(recording)):
        flags += raised
        done += counted
        if end_ms >= looked_ms:
            looked_ms = (end_ms // _LOOK_MS + 1) * _LOOK_MS
            if not tracker.is_warming_up:
                candidates.update((standing, end_ms // DAY_MS) for standing in tracker.candidates())
        on_step(done)
    warm = [flag for flag in flags if not flag.warming_up]
    roles = {
        role: _result(warm, candidates, tracker.end_ms, partial(_is_of, role))
        for role in ROLES[: tracker.ledger.rows.roles]
    }
    sizes = {name: _result(warm, candidates, tracker.end_ms, is_of) for name, is_of in _SIZES.items()}
    return BacktestResult(
        read=len(events),
        counted=tracker.counted,
        flags=flags,
        warming_up=len(flags) - len(warm),
        both=_result(warm, candidates, tracker.end_ms, lambda _of: True),
        by_role=roles,
        by_size=sizes,
    )


def _is_of(role: Role, standing: Standing) -> bool:
    return standing[3] is role


def _result(
    flags: Iterable[Flag], candidates: set[UserDay], end_ms: int, is_of: Callable[[Standing], bool]
) -> RoleResult:
    outcomes = outcomes_of([flag for flag in flags if is_of(standing_of(flag))], FORESIGHT_MS, end_ms)
    return RoleResult(outcomes, rates_of(outcomes, {day for day in candidates if is_of(day[0])}))
