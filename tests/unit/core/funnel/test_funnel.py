"""The funnel against the naive model: any order, batches, repeats, panes and number of partitions."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.funnel import funnel
from stream_app.core.funnel.funnel import FunnelSettings
from tests.unit.core.funnel.naive_funnel import Action, distinct, naive_funnel
from tests.unit.core.funnel.partitions_of_funnel import FunnelPartitions, scope_of

GAP_MS, PANE_MS, HORIZON_MS = 20, 10, 15
SETTINGS = FunnelSettings(PANE_MS, GAP_MS)
END_MS = 10**10
NAMES = ["ann", "bob", "cem", "dee"]


@st.composite
def actions(draw: st.DrawFn, most: int = 40) -> list[Action]:
    """Posts and shares of few people, with ties, repeats and shares that name nobody or their sharer."""
    names = st.sampled_from(NAMES)
    drawn = draw(
        st.lists(
            st.tuples(
                st.integers(0, most),
                st.integers(-30, 150),
                names,
                st.booleans(),
                st.none() | names,
                st.none() | st.none() | names,
                st.sampled_from([None, "p", "q"]),
                st.sampled_from([(), ("x",), ("x", "y")]),
            ),
            max_size=most,
        )
    )
    events = [
        Action(str(number), ts_ms, user, True, author, via, post, number, topics)
        if is_share
        else Action(str(number), ts_ms, user, topics=topics)
        for number, ts_ms, user, is_share, author, via, post, topics in drawn
    ]
    once = distinct(events)
    return [*once, *(event for event in events[::3] if event in once)]


def fed(events: Sequence[Action], partitions: int, ends: Sequence[int], untils: Sequence[int]) -> FunnelPartitions:
    """Partitions that were given the first deliveries in batches up to `ends`, and decided after each of them."""
    parts = FunnelPartitions(partitions, SETTINGS, HORIZON_MS)
    fresh = distinct(events)
    cuts = sorted(end % (len(fresh) + 1) for end in ends)
    for start, end, until_ms in zip([0, *cuts], [*cuts, len(fresh)], [*untils, END_MS], strict=False):
        parts.add(fresh[start:end])
        parts.decide(until_ms)
    parts.decide(END_MS)
    return parts


def assert_equals_naive(parts: FunnelPartitions, events: Sequence[Action]) -> None:
    """Hold everything against the naive model."""
    naive = naive_funnel(events, GAP_MS)
    for topic in ("*", "x", "y"):
        sums = parts.sums(topic)
        assert sums == naive[topic].stages()
        assert sums.entries == sums.recruited + sums.self_started + sums.unknown
        assert sum(parts.recruits(topic)) == sums.recruited
        assert parts.recruits(topic) == sorted(naive[topic].recruits().values(), reverse=True)
        for name in NAMES:
            assert parts.credited(topic, name) == naive[topic].credited(name)
        for day in (-1, 0):
            assert parts.cohort(topic, day) == naive[topic].cohort(day, HORIZON_MS)


ENDS = st.lists(st.integers(0, 100), min_size=3, max_size=3)
UNTILS = st.lists(st.integers(-30, 160), min_size=3, max_size=3)


@settings(max_examples=100)
@given(actions(), ENDS, UNTILS, st.randoms(use_true_random=False), st.sampled_from([1, 2, 8]))
def test_no_order_and_no_number_of_partitions_changes_anything(
    events: list[Action], ends: list[int], untils: list[int], chance: random.Random, partitions: int
) -> None:
    fresh = distinct(events)
    chance.shuffle(fresh)
    parts = fed(fresh, partitions, ends, untils)
    assert_equals_naive(parts, events)


@settings(max_examples=50)
@given(actions(), ENDS, UNTILS)
def test_a_repeat_of_credits_changes_nothing(events: list[Action], ends: list[int], untils: list[int]) -> None:
    parts = fed(events, 2, ends, untils)
    for credits_ in parts.sent[:]:
        parts.send(credits_)
    assert_equals_naive(parts, events)


@settings(max_examples=50)
@given(actions(), ENDS, UNTILS)
def test_events_that_were_added_before_change_no_episode(
    events: list[Action], ends: list[int], untils: list[int]
) -> None:
    parts = fed(events, 2, ends, untils)
    parts.add(distinct(events))
    assert all(not len(decided.credits.ts_ms) for decided in parts.decide(END_MS))
    assert_equals_naive(parts, events)


@settings(max_examples=100)
@given(actions(), ENDS, UNTILS, st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)), st.booleans())
def test_what_is_taken_back_has_never_been(
    events: list[Action], ends: list[int], untils: list[int], first: set[int], second: set[int], is_decided: bool
) -> None:
    parts = fed(events, 2, ends, untils)
    left = distinct(events)
    for chosen in (first, second):
        gone = [event for place, event in enumerate(left) if place in chosen]
        left = [event for event in left if event not in gone]
        parts.replace(gone, left)
        if is_decided:
            parts.decide(END_MS)
    parts.decide(END_MS)
    assert_equals_naive(parts, left)
    parts.add(again := [event._replace(event_id="9" + event.event_id) for event in distinct(events)])
    parts.decide(END_MS)
    assert_equals_naive(parts, [*left, *again])


@settings(max_examples=20)
@given(actions(), ENDS, UNTILS)
def test_what_is_decided_in_parts_is_the_same(events: list[Action], ends: list[int], untils: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(funnel, "_AT_ONCE", 7)
        parts = fed(events, 1, ends, untils)
        parts.replace(distinct(events), [])
        parts.add([event._replace(event_id="9" + event.event_id) for event in distinct(events)])
        parts.decide(END_MS)
    assert_equals_naive(parts, events)


@pytest.mark.parametrize("topic", ["*", "x"])
def test_disorder_within_an_open_pane_costs_no_correction(topic: str) -> None:
    parts = FunnelPartitions(1, SETTINGS)
    times = [15, 11, 19, 12]
    parts.add([Action(str(ts), ts, "ann", is_share=True, author="bob", topics=("x",)) for ts in times])
    (before,) = parts.decide(19)
    assert not len(before.credits.ts_ms)
    (decided,) = parts.decide(20)
    assert decided.credits.ts_ms.tolist() == [11] * 4  # a recruit and a share with impressions, in two scopes
    assert parts.sums(topic)[:4] == (1, 0, 1, 0)


def test_a_late_event_takes_a_credit_back_and_gives_it_to_whom_it_names() -> None:
    parts = FunnelPartitions(1, SETTINGS)
    parts.add([Action("1", 15, "ann", is_share=True, author="bob")])
    parts.decide(20)
    parts.add([Action("2", 9, "ann", is_share=True, author="bob", via="cem")])
    (decided,) = parts.decide(30)
    recruits = zip(decided.credits.credited, decided.credits.recruits.tolist(), strict=True)
    assert [(name, count) for name, count in recruits if count] == [("bob", -1), ("cem", 1)]
    assert parts.credited("*", "cem")[0] == 1
    assert parts.credited("*", "bob")[:3] == (0, 0, 1)


def test_the_counts_of_panes_add_up_to_those_of_a_rolling_window() -> None:
    parts = FunnelPartitions(2, SETTINGS)
    parts.add([Action(str(ts), ts, name) for name in NAMES[:2] for ts in (5, 12, 40, 65)])
    parts.decide(70)
    assert parts.sums("*", range(7))[:6] == (2, 4, 0, 6, 0, 2)
    assert parts.sums("*", range(4, 7))[:6] == (0, 4, 0, 4, 0, 2)
    assert parts.sums("*", range(5, 7))[:2] == (0, 2)
    part = parts.parts[parts.home("ann")].funnel
    number = part.scopes.find(scope_of("*"))
    assert number is not None
    each = 2 if parts.home("ann") == parts.home("bob") else 1
    assert part.counts.series(number, range(7))[1].tolist() == [0, 0, 0, 0, each, 0, each]


def test_r_of_a_cohort_is_not_known_before_the_horizon_is_over() -> None:
    day_ms = 86_400_000
    parts = FunnelPartitions(2, FunnelSettings(900_000, 7 * day_ms))
    parts.add([Action("1", 1, "bob"), Action("2", day_ms + 1, "ann", is_share=True, author="bob")])
    parts.decide(2 * day_ms - 900_000)
    assert parts.cohort("*", 0) is None
    parts.decide(2 * day_ms)
    cohort = parts.cohort("*", 0)
    assert cohort == (1, 1)
    assert cohort.r == 1
