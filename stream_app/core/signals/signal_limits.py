"""Limits of the signals: how long events wait and count, and from which number on a fact is one."""

from typing import NamedTuple

HOUR_MS = 3_600_000


class SignalLimits(NamedTuple):
    """What decides about signals. The defaults were measured (`python -m tests.tools.signals.planted`)."""

    slice_ms: int = HOUR_MS
    """The step in which events leave the window, and what an active hour is."""
    slices: int = 24
    disorder_ms: int = 900_000
    """Events wait so long for older ones. Those that come later than that are not looked at."""
    look_ms: int = 60_000
    """The step of event time in which those that waited are looked at."""
    most_held: int = 2_000_000
    """Events of a partition that wait, and shares. Beyond, the oldest wait no longer."""
    most_pairs: int = 4_000_000
    """Pairs of people (or of person and post) counted at a time. Beyond, the oldest slices leave the window early."""

    regular_variation: float = 0.1
    regular_gaps: int = 9
    """So many gaps, of ten events at different times."""
    one_sided_part: float = 0.9
    one_sided_shares: int = 20
    effective_part: float = 0.3
    effective_shares: int = 20
    active_hours: int = 22
    audience_growth: float = 1.5
    audience_room: int = 50
    """The trusted audience is at most growth × the previous + room."""
    steady_events: int = 5
    """An audience jumps only if it kept within its bound in so many events before."""

    step_ms: int = 10_000
    """Two shares of a post are in step if they are no further apart."""
    guard_ms: int = 120_000
    """Shares that are nearer than that say nothing about the pace: they may be of the same pod."""
    pace_ms: int = 1_800_000
    """The pace of a post is that of its shares so long before or after."""
    most_by_chance: float = 0.25
    """A share is no trial where a stranger's would be in step with a higher probability."""
    pace_error: float = 0.5
    """By which part the pace may be wrong: a person with a thousand shares is not marked for a small error in each."""
    in_step_z: float = 6.0
    in_step_shares: int = 3
    most_sharers: int = 1_000_000
    """Sharers of a partition whose steps are remembered. Beyond, those who were silent longest are forgotten."""
    memory_ms: int | None = None
    """Who is silent for longer is forgotten; None: only if there is no room."""

    @property
    def judge_ms(self) -> int:
        """The step of event time in which shares are judged."""
        return self.pace_ms // 6

    @property
    def window_ms(self) -> int:
        """Length of the window."""
        return self.slice_ms * self.slices
