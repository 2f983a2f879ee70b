"""Which credits are sent: only for what changes, each with an id of its own; and the figures that follow from them."""

import numpy as np
import pytest

from stream_app.core.funnel.funnel_sums import FunnelSums, effective_sharers, multiplier
from tests.unit.core.funnel.naive_funnel import Action
from tests.unit.core.funnel.partitions_of_funnel import FunnelPartitions
from tests.unit.core.funnel.test_funnel import END_MS, GAP_MS, PANE_MS, SETTINGS, assert_equals_naive


def _share(event_id: str, ts_ms: int, author: str, post: str = "p", impressions: int = 1) -> Action:
    return Action(event_id, ts_ms, "ann", True, author, None, post, impressions)


def _recruits(parts: FunnelPartitions, until_ms: int = END_MS) -> list[tuple[str, int]]:
    """Who is credited with how many recruits by the next decision."""
    (decided,) = parts.decide(until_ms)
    pairs = zip(decided.credits.credited, decided.credits.recruits.tolist(), strict=True)
    return [(name, recruits) for name, recruits in pairs if recruits]


def test_of_two_events_at_one_time_the_entry_is_that_of_the_lower_id_whichever_comes_first() -> None:
    parts = FunnelPartitions(1, SETTINGS)
    events = [_share("7", 15, "bob"), _share("5", 15, "cem"), _share("3", 15, "bob", "q")]
    answers = [("bob", 1)], [("bob", -1), ("cem", 1)], [("cem", -1), ("bob", 1)]
    for event, expected in zip(events, answers, strict=True):
        parts.add([event])
        assert _recruits(parts) == expected
    assert_equals_naive(parts, events)


def test_an_event_that_was_decided_before_costs_no_credit() -> None:
    parts = FunnelPartitions(1, SETTINGS)
    parts.add([_share("1", 5, "bob"), _share("2", 12, "cem")])
    assert _recruits(parts) == [("bob", 1)]
    parts.add([_share("3", 8, "cem"), _share("4", 30, "cem")])
    assert _recruits(parts) == []


def test_what_stays_when_another_event_is_taken_back_costs_no_credit() -> None:
    parts = FunnelPartitions(1, SETTINGS)
    first, second, third = events = [_share("1", 5, "bob"), _share("2", 12, "cem"), _share("3", 60, "cem")]
    parts.add(events)
    assert _recruits(parts) == [("bob", 1), ("cem", 1)]
    parts.replace([second], [first, third])
    assert _recruits(parts) == []
    parts.replace([first], [third])
    assert _recruits(parts) == [("bob", -1)]
    assert_equals_naive(parts, [third])


def test_an_entry_that_comes_and_goes_has_another_id_each_time() -> None:
    parts = FunnelPartitions(1, SETTINGS)
    entry = _share("5", 15, "bob")
    parts.add([entry])
    parts.decide(END_MS)
    for number in range(3):
        earlier = _share(f"earlier {number}", 14, "cem")
        parts.add([earlier])
        parts.decide(END_MS)
        assert_equals_naive(parts, [entry, earlier])
        parts.replace([earlier], [entry])
        parts.decide(END_MS)
        assert_equals_naive(parts, [entry])
    ids = [number for credits_ in parts.sent for number in credits_.ids.tolist()]
    assert len({*ids}) == len(ids)


def test_the_first_share_of_a_post_counts_and_an_earlier_one_takes_its_place() -> None:
    parts = FunnelPartitions(1, SETTINGS)
    parts.add([_share("1", 50, "bob", impressions=7), _share("2", 90, "bob", impressions=100)])
    parts.decide(END_MS)
    assert parts.credited("*", "bob")[1:] == (7, 1, 1, 1)
    parts.add([_share("3", 20, "bob", impressions=5)])
    (decided,) = parts.decide(END_MS)
    assert decided.credits.impressions[decided.credits.shares != 0].tolist() == [-7, 5]
    assert parts.credited("*", "bob")[1:] == (5, 1, 1, 1)


@pytest.mark.parametrize("later_ms", [GAP_MS + PANE_MS - 1, GAP_MS + PANE_MS])
def test_a_share_before_the_window_still_keeps_the_next_from_counting(later_ms: int) -> None:
    parts = FunnelPartitions(1, SETTINGS._replace(share_gap_ms=GAP_MS + PANE_MS))
    parts.add([_share("1", 0, "bob")])
    parts.decide(PANE_MS)
    parts.parts[0].funnel.forget(later_ms // PANE_MS * PANE_MS)
    parts.add([_share("2", later_ms, "bob")])
    parts.decide(END_MS)
    assert parts.credited("*", "bob")[2] == 1 + (later_ms >= GAP_MS + PANE_MS)


def test_effective_sharers_are_fewer_where_few_share_most() -> None:
    shares, squares = np.array([4, 4, 100, 0]), np.array([4, 16, 97**2 + 3, 0])
    assert effective_sharers(shares, squares).round(2).tolist() == [4, 1, 1.06, 0]


def test_the_multiplier_is_not_known_of_who_has_no_impressions_of_their_own() -> None:
    times = multiplier(np.array([100, 50, 0]), np.array([50, 0, 70]))
    assert times[:2].tolist() == [1.5, 1]
    assert np.isnan(times[2])


def test_k_is_recruited_entries_for_each_participant() -> None:
    assert FunnelSums(recruited=3, participants=4).k == 0.75
    assert FunnelSums().k is None
