"""A replay is never further ahead of what is counted than a part of the window, whatever the workers do."""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from stream_app.settings import Settings
from stream_app.sources.recorded_event import NO_TIME_MS
from stream_app.sources.skew import SkewBound

SETTINGS = Settings(window_s=3600, pane_s=60, short_s=600)
WINDOW_MS = 3_600_000
BEGIN_MS = 1_475_625_600_000


class ARecord(NamedTuple):
    """What a producer gives back."""

    offset: int

    def get(self, _timeout_s: float) -> "ARecord":
        return self


class Workers:
    """Partitions that are counted at chance, one at a time, whenever somebody looks; each may stand still for long."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.sent: dict[tuple[str, int], list[int]] = {("posts", part): [] for part in range(4)}
        self.counted = dict.fromkeys(self.sent, 0)

    def look(self) -> dict[tuple[str, int], int]:
        place = self.random.choice(list(self.sent)[: self.random.randint(1, 4)])
        self.counted[place] = min(len(self.sent[place]), self.counted[place] + self.random.randint(0, 20))
        return dict(self.counted)

    def oldest_uncounted_ms(self) -> int | None:
        left = [times[self.counted[place]] for place, times in self.sent.items() if self.counted[place] < len(times)]
        return min(left, default=None)


def replayed(workers: Workers, bound: SkewBound, times: list[int], after: Callable[[int], None]) -> None:
    last: dict[tuple[str, int], Any] = {}
    for ts_ms in times:
        if bound.begins_step(ts_ms):
            bound.begin_step(ts_ms, last, lambda: False)
        place = ("posts", workers.random.randrange(4))
        workers.sent[place].append(ts_ms)
        last[place] = ARecord(len(workers.sent[place]) - 1)
        after(ts_ms)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_sent_is_at_most_a_part_of_the_window_ahead(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_app.sources.skew.time.sleep", lambda _seconds: None)
    workers = Workers(seed)
    times = sorted(BEGIN_MS + workers.random.randrange(20 * WINDOW_MS) for _ in range(2000))
    times = [ts_ms for ts_ms in times if not BEGIN_MS + 5 * WINDOW_MS < ts_ms < BEGIN_MS + 9 * WINDOW_MS]  # a gap

    def check(ts_ms: int) -> None:
        oldest_ms = workers.oldest_uncounted_ms()
        assert oldest_ms is not None
        assert ts_ms - oldest_ms < WINDOW_MS * 3 / 4

    replayed(workers, SkewBound(workers.look, SETTINGS, 1e9), times, check)


def test_within_a_window_nothing_waits() -> None:
    def nobody() -> dict[tuple[str, int], int]:
        raise AssertionError("asked")

    bound = SkewBound(nobody, SETTINGS)
    begun = [ts_ms for ts_ms in range(BEGIN_MS, BEGIN_MS + WINDOW_MS // 11, 1000) if bound.begins_step(ts_ms)]
    bound.begin_step(BEGIN_MS, {}, lambda: False)
    assert begun
    assert not bound.begins_step(BEGIN_MS + WINDOW_MS // 11 - 1)
    assert not bound.begins_step(NO_TIME_MS)


def test_an_event_ahead_of_the_clock_begins_no_step() -> None:
    assert not SkewBound(dict, SETTINGS).begins_step(4_000_000_000_000)


def test_where_nobody_counts_the_replay_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10**9))
    monkeypatch.setattr("stream_app.sources.skew.time.sleep", lambda _seconds: None)
    monkeypatch.setattr("stream_app.sources.skew.time.monotonic", lambda: next(clock))
    bound = SkewBound(dict, SETTINGS)
    last = {("posts", 0): ARecord(7)}
    for step in range(2):
        bound.begin_step(BEGIN_MS + step * WINDOW_MS, last, lambda: False)
    assert bound.is_off
    assert not bound.begins_step(BEGIN_MS + 99 * WINDOW_MS)


def test_a_stop_ends_the_wait() -> None:
    bound = SkewBound(dict, SETTINGS)
    last = {("posts", 0): ARecord(7)}
    for step in range(2):
        bound.begin_step(BEGIN_MS + step * WINDOW_MS, last, lambda: True)
    assert not bound.is_off
