"""Topics and populations beyond the limits: they count as `(other)`, and a restored ledger decides as the old one."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.events.credit import Credits, ViewRates, credit
from stream_app.core.events.schema import Post
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scope_limits import ScopeLimits
from tests.unit.core.streams import PANE_MS, PANES, POSTS, SHORT_PANES, totals_of

START_MS = 1_700_000_000_000 // PANE_MS * PANE_MS
SMALL = ScopeLimits(topics_per_event=3, topics_per_user=4, scopes=6)

Named = tuple[int, str, tuple[str, ...], str]
"""Pane, user, topics and population of an event."""
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 2 * PANES),
        st.sampled_from(["u", "v", "w"]),
        st.lists(st.sampled_from("abcdefghijkl"), max_size=5).map(tuple),
        st.sampled_from(["all", "staff", "guests", "(x)"]),
    ),
    max_size=30,
)


def a_ledger(limits: ScopeLimits = SMALL) -> Ledger:
    return Ledger(PANE_MS, PANES, SHORT_PANES, limits=limits)


def credits_of(events: Sequence[Named], first: int = 0) -> Credits:
    """The columns of events."""
    posts = [
        Post(event_id=first + number, ts=START_MS + pane * PANE_MS, user_id=user, topics=topics, population=population)
        for number, (pane, user, topics, population) in enumerate(events)
    ]
    return credit(posts, Post, ViewRates())


def count(ledger: Ledger, events: Sequence[Named], first: int = 0) -> None:
    """Count events as one batch; the window moves on."""
    credits_ = credits_of(events, first)
    ledger.apply(POSTS, first + len(events), credits_, ledger.late(POSTS, credits_.ts_ms), 0)


def posts_of(ledger: Ledger) -> dict[tuple[str, str], int]:
    """Posts by population and topic."""
    sums: Counter[tuple[str, str]] = Counter()
    for (population, topic, _), (posts, _, _) in totals_of(ledger).items():
        sums[population, topic] += posts
    return dict(sums)


def test_further_topics_of_an_event_count_as_other() -> None:
    ledger = a_ledger()
    count(ledger, [(0, "u", ("a", "#A", "b", "c", "d", "e"), "all")])
    assert posts_of(ledger) == {
        ("all", "*"): 1,
        ("all", "a"): 1,
        ("all", "b"): 1,
        ("all", "c"): 1,
        ("all", "(other)"): 1,
    }
    assert ledger.admission.take_hits() == {"max_topics_per_event": 2}
    assert ledger.admission.take_hits() == {}


def test_further_topics_of_a_user_count_as_other_and_those_of_others_by_name() -> None:
    ledger = a_ledger(SMALL._replace(scopes=100))
    count(ledger, [(0, "u", (topic,), "all") for topic in "abcdefab"] + [(0, "v", ("f",), "all")])
    assert posts_of(ledger) == {
        ("all", "*"): 9,
        **{("all", topic): 2 for topic in "ab"},
        **{("all", topic): 1 for topic in "cdf"},
        ("all", "(other)"): 2,
    }
    assert ledger.admission.take_hits() == {"max_topics_per_user": 2}


def test_scopes_beyond_the_limit_count_as_other() -> None:
    ledger = a_ledger()
    count(ledger, [(0, f"u{number}", (topic, "a"), "all") for number, topic in enumerate("abcdefgh")])
    assert posts_of(ledger) == {
        ("all", "*"): 8,
        ("all", "a"): 8,
        **{("all", topic): 1 for topic in "bcde"},
        ("all", "(other)"): 3,
    }
    assert ledger.admission.take_hits() == {"max_scopes": 3}
    assert len(ledger.scopes) == 7


def test_populations_beyond_the_limit_count_as_other() -> None:
    ledger = a_ledger()
    count(ledger, [(0, "u", ("a",), f"p{number}") for number in range(5)])
    assert posts_of(ledger) == {
        **{(f"p{number}", topic): 1 for number in range(3) for topic in ("*", "a")},
        ("(other)", "*"): 2,
        ("(other)", "(other)"): 2,
    }


def test_names_beyond_the_limits_leave_nothing_behind() -> None:
    ledger = a_ledger()
    for batch in range(20):
        count(ledger, [(0, "u", (f"t{batch}-{number}",), f"p{batch}-{number}") for number in range(50)], batch * 50)
    assert len(ledger.scopes) <= SMALL.scopes + 3
    assert sum(posts for (_, topic), posts in posts_of(ledger).items() if topic == "*") == 1000
    assert ledger.scopes.names_before() <= (SMALL.scopes + 1, SMALL.scopes + 2)


def test_a_scope_that_leaves_the_window_frees_its_place() -> None:
    ledger = a_ledger()
    count(ledger, [(0, f"u{number}", (topic,), "all") for number, topic in enumerate("abcdefgh")])
    count(ledger, [(PANES, "v", ("h",), "all")], 8)
    count(ledger, [(PANES, "v", ("h",), "all")], 9)
    ledger.advance(START_MS + PANES * PANE_MS)
    assert posts_of(ledger) == {("all", "*"): 2, ("all", "(other)"): 1, ("all", "h"): 1}


@pytest.mark.parametrize("name", ["(other)", "#(Other)", "*", " * ", "", "#", "\u200b"])
def test_no_event_can_name_a_reserved_scope(name: str) -> None:
    ledger = a_ledger()
    count(ledger, [(0, "u", (name, "a"), "all")])
    assert posts_of(ledger) == {("all", "*"): 1, ("all", "a"): 1}


@settings(max_examples=60)
@given(EVENTS, st.lists(st.tuples(st.integers(1, 29), st.booleans()), max_size=6))
def test_a_ledger_restored_from_its_log_decides_as_the_one_that_wrote_it(
    events: list[Named], ends: list[tuple[int, bool]]
) -> None:
    log: dict[bytes, bytes | None] = {}
    live = LedgerStore(0, a_ledger(), {}, log.__setitem__)
    live.begin(1)
    is_sealed, bounds = dict(ends), sorted({0, *dict(ends), len(events)})
    for start, end in pairwise(bounds):
        table = {key: value for key, value in log.items() if value is not None}
        restored = LedgerStore(0, a_ledger(), table, lambda _key, _value: None)
        restored.begin(2)
        for store in (live, restored):
            posts = credits_of(events[start:end], start)
            store.count(POSTS, end, posts, store.ledger.late(POSTS, posts.ts_ms), 0)
        assert totals_of(live.ledger) == totals_of(restored.ledger)
        if is_sealed.get(end):
            live.ledger.advance(live.ledger.horizon)
            live.maintain()
            live.sweep(live.sweepable())


@settings(max_examples=60)
@given(EVENTS, st.integers(1, 7))
def test_every_event_counts_in_everything_and_in_as_many_scopes_as_it_names(events: list[Named], size: int) -> None:
    ledger, wanted = a_ledger(), defaultdict[str, int](int)
    events = [(0, *event[1:]) for event in events]
    for start in range(0, len(events), size):
        count(ledger, events[start : start + size], start)
    found = posts_of(ledger)
    assert sum(posts for (_, topic), posts in found.items() if topic == "*") == len(events)
    for _, _, topics, _ in events:
        for topic in set(topics):
            wanted[topic] += 1
    for topic, posts in wanted.items():
        assert sum(made for (_, name), made in found.items() if name == topic) <= posts
    named = {scope for scope in found if "(other)" not in scope}
    assert len(named) <= SMALL.scopes
    has_topics = sum(bool(topics) for _, _, topics, _ in events)
    others = sum(posts for (_, topic), posts in found.items() if topic == "(other)")
    assert others <= has_topics
