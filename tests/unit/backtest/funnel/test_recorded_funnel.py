"""The funnel of recorded events against the naive model: any order, repeats, populations and windows."""

import datetime as dt
import random
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from stream_app.backtest.funnel import recorded_batches
from stream_app.backtest.funnel.funnel_report import FunnelReport, ScopeReport
from stream_app.backtest.funnel.recorded_funnel import FunnelSpans, recorded_funnel
from stream_app.settings.environment import load
from stream_app.sources.recorded_event import RecordedEvent
from tests.unit.core.funnel.naive_funnel import DAY_MS, Action, NaiveScope, distinct, naive_funnel

HOUR_MS = 3_600_000
PANE_MS = HOUR_MS // 4
START_MS = 17_000 * DAY_MS
SETTINGS = load({"pane_s": "15m"})
GAP_MS, HORIZON_MS = 5 * HOUR_MS, 9 * HOUR_MS


@st.composite
def actions(draw: st.DrawFn) -> list[Action]:
    """Posts and shares of few people over three days, in any order, some of them twice."""
    names = st.sampled_from(["ann", "bob", "cem", "dee", "eve"])
    drawn = draw(
        st.lists(
            st.tuples(
                st.integers(0, 60),
                st.integers(0, 3 * 24 * 12),
                names,
                st.booleans(),
                st.none() | names,
                st.none() | st.none() | names,
                st.sampled_from([None, "p", "q"]),
                st.sampled_from([(), ("x",), ("x", "y")]),
            ),
            min_size=1,
            max_size=60,
        )
    )
    return [
        Action(str(number), START_MS + step * HOUR_MS // 12, user, True, author, via, post, number, topics)
        if is_share
        else Action(str(number), START_MS + step * HOUR_MS // 12, user, impressions=number, topics=topics)
        for number, step, user, is_share, author, via, post, topics in drawn
    ]


def recorded(event: Action) -> RecordedEvent:
    """The event as a file has it."""
    value = {
        "event_id": int(event.event_id),
        "ts": event.ts_ms,
        "user_id": event.user,
        "kind": "share" if event.is_share else "post",
        "impressions": event.impressions,
        "topics": [f"#{topic.upper()}" for topic in event.topics],
    }
    more = {"author_id": event.author, "via_id": event.via, "post_id": event.post} if event.is_share else {}
    return RecordedEvent(event.is_share, event.user.encode(), msgspec.json.encode(value | more), event.ts_ms)


def report_of(events: Sequence[Action], window_ms: int | None = None) -> FunnelReport:
    return recorded_funnel(map(recorded, events), SETTINGS, FunnelSpans(GAP_MS, HORIZON_MS, window_ms))


def in_window(events: Sequence[Action], naive: NaiveScope, topic: str, first_ms: int) -> NaiveScope:
    """What of a scope happened from a time on."""
    return NaiveScope(
        entries=[entry for entry in naive.entries if entry.event.ts_ms >= first_ms],
        participants={event.user for event in events if event.ts_ms >= first_ms and topic in event.scopes},
        shares=[share for share in naive.shares if share.ts_ms >= first_ms],
    )


def stages(found: ScopeReport) -> tuple[int, ...]:
    of = found.funnel
    entries = (of.new, of.re_entered, of.recruited, of.self_started, of.unknown)
    return (*entries, of.participants, of.advocates, of.recruiters)


@pytest.mark.parametrize("window_ms", [None, 30 * HOUR_MS, 7 * HOUR_MS + 1])
@given(events=actions(), at_once=st.integers(1, 70))
@examples(max_examples=60)
def test_the_figures_are_the_naive_models_whatever_the_batches(
    events: list[Action], at_once: int, window_ms: int | None
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded_batches, "_AT_ONCE", at_once)
        report = report_of(events, window_ms)
    once = distinct(events)
    assert (report.read, report.applied, report.duplicate) == (len(events), len(once), len(events) - len(once))
    end = report.newest_ms // PANE_MS + 1 if report.newest_ms is not None else 0
    first_ms = 0 if window_ms is None else (end + -window_ms // PANE_MS) * PANE_MS
    naive = naive_funnel(once, GAP_MS, 2**62 if window_ms is None else window_ms)
    assert {one.topic for one in report.scopes} == naive.keys()
    for one in report.scopes:
        scope = in_window(once, naive[one.topic], one.topic, first_ms)
        assert stages(one) == scope.stages()
        assert one.funnel.entries == len(scope.entries)
        assert one.reached == sum(
            event.impressions for event in once if one.topic in event.scopes and event.ts_ms >= first_ms
        )
        assert one.amplified == sum(share.impressions for share in scope.shares)
        recruits = scope.recruits()
        assert {top.user_id: top.recruits for top in one.top_recruiters} == recruits
        assert [top.recruits for top in one.top_recruiters] == sorted(recruits.values(), reverse=True)
        for top in one.most_amplified:
            amplified, shares, sharers, squares = scope.credited(top.user_id)[1:]
            assert (top.amplified, top.shares, top.sharers) == (amplified, shares, sharers)
            assert top.effective_sharers == round(shares**2 / squares, 2)


@given(events=actions())
@examples(max_examples=60)
def test_cohorts_are_the_naive_models_and_not_yet_until_the_horizon_of_everybody_is_over(events: list[Action]) -> None:
    report, naive = report_of(events), naive_funnel(distinct(events), GAP_MS)
    assert report.newest_ms is not None
    decided_ms = (report.newest_ms // PANE_MS + 1) * PANE_MS
    for one in report.scopes:
        assert sum(cohort.people for cohort in one.funnel.cohorts) == one.funnel.new
        for cohort in one.funnel.cohorts:
            day = (dt.date.fromisoformat(cohort.day) - dt.date(1970, 1, 1)).days
            assert (cohort.people, cohort.recruits) == naive[one.topic].cohort(day, HORIZON_MS)
            is_known = (day + 1) * DAY_MS + HORIZON_MS <= decided_ms
            assert cohort.r == (round(cohort.recruits / cohort.people, 4) if is_known else None)


@pytest.mark.parametrize(
    ("recruits", "few"), [({}, 0), ({"ann": 4, "bob": 1}, 1), ({"ann": 3, "bob": 2}, 2), ({"ann": 1, "bob": 1}, 2)]
)
def test_as_few_recruiters_as_make_80_per_cent_are_counted(recruits: dict[str, int], few: int) -> None:
    shares = [name for name, count in recruits.items() for _ in range(count)]
    events = [Action(str(place), START_MS, f"u{place}", True, name) for place, name in enumerate(shares)]
    (found, *_) = report_of([*events, Action("99", START_MS, "zoe")]).scopes
    assert found.recruiters_80 == few


def test_people_of_two_populations_have_funnels_of_their_own() -> None:
    values = [
        {"event_id": 1, "ts": START_MS, "user_id": "ann", "population": "staff"},
        {"event_id": 2, "ts": START_MS, "user_id": "bob", "kind": "share", "author_id": "ann", "population": "buyers"},
    ]
    events = [
        RecordedEvent(
            value.get("kind") == "share", str(value["user_id"]).encode(), msgspec.json.encode(value), START_MS
        )
        for value in values
    ]
    report = recorded_funnel(events, SETTINGS, FunnelSpans(GAP_MS, HORIZON_MS, None))
    found = {(one.population, one.topic): (one.funnel.self_started, one.funnel.recruited) for one in report.scopes}
    assert found == {("staff", "*"): (1, 0), ("buyers", "*"): (0, 1)}


def test_records_that_are_no_events_are_rejected_with_a_reason() -> None:
    bad = RecordedEvent(False, b"", b"no event", -1)
    old = recorded(Action("1", 0, "ann"))
    long_id = b'{"event_id": 2, "ts": %d, "user_id": "bob", "kind": "share", "author_id": %s}' % (START_MS, b"9" * 60)
    report = recorded_funnel(
        [bad, old, RecordedEvent(True, b"bob", long_id, START_MS)], SETTINGS, FunnelSpans(GAP_MS, HORIZON_MS, None)
    )
    assert (report.read, report.applied, report.rejected) == (3, 1, 2)
    assert report.complaint is not None
    assert "not a JSON object" in report.complaint
    (found,) = report.scopes
    assert found.funnel.unknown == 1


def retraction(event: Action) -> RecordedEvent:
    """What takes an event back, as a file has it."""
    of = "share" if event.is_share else "post"
    value = {"kind": "retract", "of": of, "event_id": int(event.event_id), "ts": event.ts_ms, "user_id": event.user}
    return RecordedEvent(False, event.user.encode(), msgspec.json.encode(value), event.ts_ms, retraction=True)


@examples(max_examples=60)
@given(actions(), st.sets(st.integers(0, 59)), st.randoms(use_true_random=False), st.sampled_from([None, 24 * HOUR_MS]))
def test_what_a_file_takes_back_has_never_been(
    events: list[Action], chosen: set[int], chance: random.Random, window_ms: int | None
) -> None:
    once = distinct(events)
    gone = [event for place, event in enumerate(once) if place in chosen]
    last = Action("99", START_MS + 4 * DAY_MS, "zoe")
    lines = [*map(recorded, once), *map(retraction, gone), *map(retraction, gone[::2]), recorded(last)]
    chance.shuffle(lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded_batches, "_AT_ONCE", 7)
        spans = FunnelSpans(GAP_MS, HORIZON_MS, window_ms)
        found = recorded_funnel(lines, SETTINGS, spans)
        left = [event for event in once if event not in gone]
        expected = recorded_funnel(map(recorded, [*left, last]), SETTINGS, spans)
    assert found.read == len(lines)
    assert found.duplicate == len(gone[::2])
    for scope in expected.scopes:
        assert [one for one in found.scopes if (one.topic, one.population) == (scope.topic, scope.population)] == [
            scope
        ]
    assert all(one.funnel.entries == 0 for one in found.scopes[len(expected.scopes) :])
