"""What users made pane by pane: the same wherever the ledger keeps it, and together what their rows say."""

from collections.abc import Iterable
from operator import add

from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog import segments
from stream_app.core.changelog.segments import SegmentKey
from stream_app.core.events.schema import Event, Post
from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.queries import pane_series
from stream_app.core.queries.pane_series import Series
from stream_app.core.queries.users import UserQueries
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName
from tests.unit.core import streams
from tests.unit.core.streams import Batch

ENDS = st.lists(st.integers(0, 60), max_size=6)
USERS = st.sets(st.sampled_from("abcz"), min_size=1)


def series_of(ledger: Ledger, users: Iterable[str]) -> Series:
    wanted = set(users)
    packed = (
        made
        for pane in pane_series.packed_panes(ledger)
        for part in pane.parts
        for made in pane_series.read(part, wanted)
    )
    found = pane_series.summed(packed)
    for key, by_pane in pane_series.open_panes(ledger, UserQueries(ledger, FollowedCuts()).rows_of(wanted)).items():
        for pane, made in by_pane.items():
            found[key][pane] = tuple(map(add, found[key].get(pane, pane_series.NO_COUNTS), made))
    return {key: by_pane for key, by_pane in found.items() if by_pane}


def pack_settled(ledger: Ledger, sequence: int) -> None:
    """Leave of the settled panes only what is stored."""
    for number, pane in ledger.panes.items():
        if pane.stale and ledger.is_settled(number):
            content = ledger.content(number)
            values = segments.encode(ledger.header(), ledger.scopes.names(), ledger.users.names, [content])
            key = SegmentKey(0, "pane", number, 1, sequence, 0)
            ledger.seal(number, key, [segments.decode(value) for value in values], pack=True)
    ledger.forget_packed()


@settings(max_examples=80)
@given(streams.events(given=True), ENDS, USERS)
def test_packed_panes_hold_what_open_ones_do(stream: list[Event], ends: list[int], users: set[str]) -> None:
    opened, packed = streams.new_ledger(), streams.new_ledger()
    for sequence, batch in enumerate(streams.batches_of(stream, ends)):
        streams.apply(opened, batch)
        streams.apply(packed, batch)
        assert series_of(packed, users) == series_of(opened, users)
        pack_settled(packed, sequence)
        assert series_of(packed, users) == series_of(opened, users)


@settings(max_examples=80)
@given(streams.events(), ENDS, USERS)
def test_the_panes_of_a_user_add_up_to_the_total(stream: list[Event], ends: list[int], users: set[str]) -> None:
    ledger = streams.new_ledger()
    for sequence, batch in enumerate(streams.batches_of(stream, ends)):
        streams.apply(ledger, batch)
        pack_settled(ledger, sequence)
    found = series_of(ledger, users)
    sums = {
        (scope.population, scope.topic, user): tuple(sum(made[role] for made in panes.values()) for role in (0, 1))
        for (user, scope), panes in found.items()
    }
    totals = {key: made[:2] for key, made in streams.totals_of(ledger).items() if key[2] in users and any(made[:2])}
    assert {key: made for key, made in sums.items() if any(made)} == totals


def test_unknown_users_have_no_series() -> None:
    ledger = streams.new_ledger()
    assert series_of(ledger, {"nobody"}) == {}
    assert len(ledger.users) == 0


def test_panes_may_be_shorter_than_a_second_today() -> None:
    ledger, now_ms = Ledger(pane_ms=250, panes=8, short_panes=2), 1_795_737_272_000
    streams.apply(ledger, Batch(streams.POSTS, [Post(event_id="1", ts=now_ms, user_id="a")], 1))
    assert series_of(ledger, "a") == {("a", ScopeName("all", "*")): {now_ms // 250: (1, 0, 0, 0)}}
