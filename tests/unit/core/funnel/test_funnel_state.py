"""The state of a funnel: what is stored is all that a new one has to know; and what is removed with a person."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.core.funnel.naive_funnel import Action, distinct, naive_funnel
from tests.unit.core.funnel.partitions_of_funnel import FunnelPartitions, scope_of
from tests.unit.core.funnel.test_funnel import (
    END_MS,
    ENDS,
    HORIZON_MS,
    NAMES,
    SETTINGS,
    UNTILS,
    actions,
    assert_equals_naive,
    fed,
)


@settings(max_examples=60)
@given(actions(), actions(), ENDS, UNTILS, st.booleans())
def test_a_funnel_that_is_restored_goes_on_like_the_first(
    before: list[Action], after: list[Action], ends: list[int], untils: list[int], is_whole: bool
) -> None:
    first, second = FunnelPartitions(1, SETTINGS), FunnelPartitions(1, SETTINGS)
    fresh = distinct([*before, *(event._replace(event_id="7" + event.event_id) for event in after)])
    cuts = sorted(end % (len(fresh) + 1) for end in ends)
    for start, end, until_ms in zip([0, *cuts], cuts, untils, strict=False):
        first.add(fresh[start:end])
        (decided,) = first.decide(until_ms)
        if not is_whole:
            second.parts[0].funnel.restore(decided.change.with_own_numbers())
    if is_whole:
        second.parts[0].funnel.restore(first.parts[0].funnel.state().with_own_numbers())
    second.add(fresh[: cuts[-1]])  # those that were not decided, and all others with them
    for parts in (first, second):
        parts.add(fresh[cuts[-1] :])
    (expected,), (decided,) = first.decide(END_MS), second.decide(END_MS)
    assert dict(zip(decided.credits.ids.tolist(), decided.credits.credited, strict=True)) == dict(
        zip(expected.credits.ids.tolist(), expected.credits.credited, strict=True)
    )
    for topic in ("*", "x"):
        expected_sums, sums = (parts.parts[0].funnel.sums(scope_of(topic)) for parts in (first, second))
        assert sums == expected_sums


@settings(max_examples=60)
@given(actions(), ENDS, UNTILS)
def test_an_erased_person_leaves_no_name_and_can_come_anew(
    events: list[Action], ends: list[int], untils: list[int]
) -> None:
    parts = fed(events, 1, ends, untils)
    before = parts.sums("*")
    funnel = parts.parts[0].funnel
    funnel.take_out(["ann"])
    assert "ann" not in funnel.people
    assert "ann" not in funnel.people.names
    assert not set(funnel.entries.credited.tolist()) - set(range(len(funnel.people)))
    assert parts.sums("*") == before
    assert {name for decided in parts.decide(END_MS) for name in decided.credits.credited} == set()
    others = [event for event in distinct(events) if "ann" not in event]
    parts.add(others)
    assert not [part for part in parts.decide(END_MS) if len(part.credits.ts_ms)]
    parts.add([Action("new", 500, "ann", topics=("x",))])
    parts.decide(END_MS)
    assert parts.sums("*").new == before.new + 1


@settings(max_examples=40)
@given(actions(), ENDS, UNTILS)
def test_what_an_erased_person_was_credited_with_is_gone_and_nothing_else(
    events: list[Action], ends: list[int], untils: list[int]
) -> None:
    parts = fed(events, 1, ends, untils)
    naive = naive_funnel(events, SETTINGS.gap_ms)
    (part,) = parts.parts
    part.credited.take_out(["ann"])
    part.cohorts.take_out(["ann"])
    for topic in ("*", "x", "y"):
        for name in NAMES:
            expected = naive[topic].credited(name) if name != "ann" else (0,) * 5
            assert parts.credited(topic, name) == expected
        without = [entry._replace(recruiter=None) for entry in naive[topic].entries if entry.recruiter == "ann"]
        naive[topic].entries = [entry for entry in naive[topic].entries if entry.recruiter != "ann"] + without
        assert parts.cohort(topic, 0) == naive[topic].cohort(0, HORIZON_MS)
    part.credited.expire(2**40)
    assert all(parts.credited(topic, name) == (0,) * 5 for topic in ("*", "x") for name in NAMES)


def test_a_person_who_is_erased_before_the_decision_is_not_counted() -> None:
    parts = FunnelPartitions(1, SETTINGS)
    parts.add([Action(name, 1, name, is_share=True, author="cem") for name in NAMES[:2]])
    parts.parts[0].funnel.take_out(["ann"])
    parts.decide(END_MS)
    assert_equals_naive(parts, [Action("bob", 1, "bob", is_share=True, author="cem")])
