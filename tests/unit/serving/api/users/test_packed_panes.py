"""The cache of packed panes: each is read once, then only new ones, and completely even if the client is gone."""

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog.segments import Segment
from stream_app.core.events.schema import Event, Post
from stream_app.core.queries import pane_series
from stream_app.core.queries.pane_series import PaneCounts
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users import packed_panes
from stream_app.serving.api.users.packed_panes import Counts, PackedPanes
from tests.unit.core import streams
from tests.unit.core.queries.test_pane_series import ENDS, pack_settled

USERS = st.lists(st.sets(st.sampled_from("abc"), min_size=1), min_size=1, max_size=4)


def expected(packed: Iterable[pane_series.PackedPane], users: set[str]) -> dict[str, Counts]:
    """The slow way: all panes read anew."""
    made = (found for pane in packed for part in pane.parts for found in pane_series.read(part, users))
    counts: dict[str, Counts] = {user: {} for user in users}
    for (user, scope), by_pane in pane_series.summed(made).items():
        counts[user][scope] = by_pane
    return counts


def post(number: int, *, ts: int) -> Event:
    return Post(event_id=number, ts=ts, user_id="a")


def packed_panes_of_a() -> list[pane_series.PackedPane]:
    """One pane, in which the user has three posts."""
    ledger = streams.new_ledger()
    streams.apply(ledger, streams.Batch(streams.POSTS, [post(number, ts=0) for number in range(3)], 3))
    streams.apply(ledger, streams.Batch(streams.POSTS, [post(9, ts=30)], 4))
    pack_settled(ledger, 1)
    return list(pane_series.packed_panes(ledger))


def without_empty(found: dict[str, Counts]) -> dict[str, Counts]:
    """Who made something, and where."""
    made = {user: {scope: by_pane for scope, by_pane in counts.items() if by_pane} for user, counts in found.items()}
    return {user: counts for user, counts in made.items() if counts}


@settings(max_examples=60)
@given(streams.events(), ENDS, USERS)
def test_cached_panes_equal_those_that_would_be_read(
    stream: list[Event], ends: list[int], asked: list[set[str]]
) -> None:
    async def follow() -> None:
        ledger, known = streams.new_ledger(), PackedPanes(TimeBudget())
        for sequence, batch in enumerate(streams.batches_of(stream, ends)):
            streams.apply(ledger, batch)
            pack_settled(ledger, sequence)
            users = asked[sequence % len(asked)]
            packed = list(pane_series.packed_panes(ledger))
            assert without_empty(await known.of(packed, users)) == without_empty(expected(packed, users))

    asyncio.run(follow())


async def test_a_pane_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def noting(part: Segment, users: set[str]) -> Iterable[PaneCounts]:
        read.append(users)
        return list(original(part, users))

    original = pane_series.read
    monkeypatch.setattr(pane_series, "read", noting)
    known, packed = PackedPanes(TimeBudget()), packed_panes_of_a()
    for _ in range(3):
        await known.of(packed, {"a"})
    assert read == [{"a"}]


async def test_a_reader_that_goes_meanwhile_leaves_nothing_half_done() -> None:
    known, packed = PackedPanes(TimeBudget()), packed_panes_of_a()
    asking = asyncio.ensure_future(known.of(packed, {"a"}))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert asking.cancelled()
    assert without_empty(await known.of(packed, {"a"})) == without_empty(expected(packed, {"a"}))


async def test_too_many_users_are_all_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_panes, "MOST_REMEMBERED", 2)
    known, packed = PackedPanes(TimeBudget()), packed_panes_of_a()
    for user in "abcd":
        await known.of(packed, {user})
    assert len(known) == 1


async def test_without_packed_panes_no_user_is_cached() -> None:
    known = PackedPanes(TimeBudget())
    assert await known.of([], {"a"}) == {}
    assert len(known) == 0
