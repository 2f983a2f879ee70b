"""Forgetting: what a funnel drops as its window moves on changes nothing that can be asked."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.funnel import credited_people, funnel, funnel_scopes, scope_cells
from stream_app.core.funnel.episodes import episode_table
from stream_app.core.funnel.funnel import FunnelSettings
from tests.unit.core.funnel.naive_funnel import DAY_MS, Action, distinct, naive_funnel
from tests.unit.core.funnel.partitions_of_funnel import FunnelPartitions, scope_of
from tests.unit.core.funnel.test_funnel import NAMES, actions

HOUR_MS = 3_600_000
PANE_MS, WINDOW_PANES = 10 * HOUR_MS, 3
GAP_MS, SHARE_GAP_MS, HORIZON_MS = 20 * HOUR_MS, 25 * HOUR_MS, 15 * HOUR_MS
SETTINGS = FunnelSettings(PANE_MS, GAP_MS, SHARE_GAP_MS)


@pytest.fixture(autouse=True, scope="module")
def forgets_at_once() -> Iterator[None]:
    """Drop the few rows and names of these tests too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(episode_table, "_GONE_KEPT", 0)
        patch.setattr(credited_people, "_DEAD_KEPT", 0)
        patch.setattr(funnel_scopes, "_UNUSED_KEPT", 0)
        patch.setattr(funnel, "_UNUSED_KEPT", 0)
        patch.setattr(scope_cells, "_EMPTY_KEPT", 0)
        yield


class MovingWindow:
    """A partition that is given events one by one: late ones are left out, and what is over is forgotten."""

    def __init__(self) -> None:
        self.parts = FunnelPartitions(1, SETTINGS, HORIZON_MS)
        (self.part,) = self.parts.parts
        self.newest_ms = -(2**62)
        self.counted: list[Action] = []

    @property
    def first_pane(self) -> int:
        """The first pane of the window."""
        return self.newest_ms // PANE_MS - WINDOW_PANES + 1

    def add(self, event: Action) -> None:
        """Add an event, and do all that is due."""
        self.newest_ms = max(self.newest_ms, event.ts_ms)
        if event.ts_ms // PANE_MS >= self.first_pane:
            self.counted.append(event)
            self.parts.add([event])
        self.decide(self.newest_ms)
        start_ms = self.first_pane * PANE_MS
        self.part.cohorts.finish(start_ms)
        self.part.funnel.forget(start_ms, DAY_MS + HORIZON_MS)

    def decide(self, until_ms: int) -> None:
        """Decide, and expire what is over."""
        self.parts.decide(until_ms)
        self.part.credited.expire(self.first_pane)


@settings(max_examples=150)
@given(actions(60), st.booleans())
def test_what_is_forgotten_changes_nothing(events: list[Action], is_in_order: bool) -> None:
    window = MovingWindow()
    scaled = [event._replace(ts_ms=event.ts_ms * HOUR_MS) for event in distinct(events)]
    for event in sorted(scaled, key=lambda event: event.ts_ms) if is_in_order else scaled:
        window.add(event)
    window.decide(window.newest_ms + PANE_MS)
    naive = naive_funnel(window.counted, GAP_MS, SHARE_GAP_MS)
    panes = range(window.first_pane, window.newest_ms // PANE_MS + 1)
    for topic in ("*", "x"):
        scope = naive[topic]
        in_window = [event for event in window.counted if topic in event.scopes and event.ts_ms // PANE_MS >= panes[0]]
        whole_stages, cohorts = scope.stages(), {day: scope.cohort(day, HORIZON_MS) for day in range(-2, 7)}
        scope.entries = [entry for entry in scope.entries if entry.event.ts_ms // PANE_MS >= panes[0]]
        scope.shares = [share for share in scope.shares if share.ts_ms // PANE_MS >= panes[0]]
        scope.participants = {event.user for event in in_window}
        assert window.parts.sums(topic, panes) == scope.stages()
        assert whole_stages[0] >= window.parts.sums(topic).new
        for name in NAMES:
            assert window.parts.credited(topic, name) == scope.credited(name)
        for day, cohort in cohorts.items():
            is_over = (day + 1) * DAY_MS + HORIZON_MS <= window.part.funnel.decided_ms
            assert window.parts.cohort(topic, day) == (cohort if is_over else None)


@settings(max_examples=50)
@given(actions(60))
def test_a_state_that_is_restored_remembers_who_was_forgotten(events: list[Action]) -> None:
    window, second = MovingWindow(), FunnelPartitions(1, SETTINGS)
    for event in distinct(events):
        window.add(event._replace(ts_ms=event.ts_ms * HOUR_MS))
    window.decide(late_ms := 200 * HOUR_MS)
    second.parts[0].funnel.restore(window.part.funnel.state().with_own_numbers())
    for parts in (window.parts, second):
        parts.add([Action(f"again {name}", late_ms, name) for name in NAMES])
        parts.decide(late_ms + PANE_MS)
    panes = range(late_ms // PANE_MS, late_ms // PANE_MS + 1)
    assert second.parts[0].funnel.sums(scope_of("*"), panes) == window.part.funnel.sums(scope_of("*"), panes)
    assert window.parts.sums("*", panes).new == len({*NAMES} - {event.user for event in window.counted})


def test_who_is_not_remembered_is_new_again() -> None:
    parts = FunnelPartitions(1, SETTINGS._replace(remember_ms=80 * HOUR_MS))
    (part,) = parts.parts
    new = []
    for hour in (0, 60, 200):  # at 60 her episode is forgotten and she is known, at 200 she is not
        part.funnel.forget((hour - 30) * HOUR_MS)
        parts.add([Action(str(hour), hour * HOUR_MS, "ann")])
        parts.decide((hour + 10) * HOUR_MS)
        new.append(parts.sums("*", range(hour // 10, hour // 10 + 1)).new)
    assert new == [1, 0, 1]


def test_names_are_dropped_with_what_they_were_needed_for() -> None:
    window, days = MovingWindow(), 30
    for day in range(days):
        window.add(Action(f"{day}a", day * DAY_MS, f"ann{day}", topics=(f"t{day}",)))
        window.add(Action(f"{day}b", day * DAY_MS + 1, f"bob{day}", True, f"ann{day}", topics=(f"t{day}",)))
        window.part.cohorts.forget(day - 4)
    window.decide(window.newest_ms + PANE_MS)
    assert window.parts.cohort("t1", 1) == (0, 0)
    assert window.parts.cohort("t26", 26) == (2, 1)
    assert window.parts.credited("t29", "ann29") == (1, 0, 1, 1, 1)
    for scopes in (window.part.funnel.scopes, window.part.credited.scopes, window.part.cohorts._scopes):
        assert scopes.find(scope_of("t1")) is None
        assert len(scopes) < days // 2
    assert len(window.part.funnel.people) < days // 2
