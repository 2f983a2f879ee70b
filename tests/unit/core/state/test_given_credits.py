"""Credits for what others did: counted in the scopes that they name, and free where there are none."""

import msgspec
import numpy as np
import pytest

from stream_app.core.changelog import segments
from stream_app.core.changelog.columns import FormatError
from stream_app.core.changelog.segments import SegmentKey
from stream_app.core.events.credit import joined
from stream_app.core.events.schema import Event, Post
from stream_app.core.messages import Role
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scope_limits import ScopeLimits
from tests.naive import Given
from tests.unit.core import streams
from tests.unit.core.logs import Log
from tests.unit.core.streams import CREDITS, POSTS, Batch

CREDITS_FIELD = 19
POST = Post(event_id="p", ts=5, user_id="a", topics=("x",), audience=7)


def a_credit(number: int, topic: str = "*", recruits: int = 1, amplified: int = 0, population: str = "all") -> Given:
    return Given(
        event_id=number,
        ts=5,
        user_id="a",
        topics=(topic,),
        population=population,
        recruits=recruits,
        amplified=amplified,
    )


def apply(ledger: Ledger, *events: Event) -> Ledger:
    topic = CREDITS if isinstance(events[0], Given) else POSTS
    streams.apply(ledger, Batch(topic, [*events], ledger.source(topic).position + len(events)))
    return ledger


def deltas(log: Log) -> list[bytes]:
    return [value for key, value in log.table().items() if SegmentKey.decode(key).kind == "delta"]


def written(*events: Event) -> list[bytes]:
    """The segments of events that are counted one batch each."""
    log = Log()
    store = log.open(1)
    for event in events:
        topic = CREDITS if isinstance(event, Given) else POSTS
        columns = streams.credits_of(Batch(topic, [event], 1))
        store.count(topic, 1, columns, store.ledger.late(topic, columns.ts_ms), 0)
    return deltas(log)


def test_a_credit_counts_in_just_the_scopes_that_it_names() -> None:
    ledger = apply(streams.new_ledger(), a_credit(1, "x"), a_credit(2, "*", recruits=0, amplified=9))
    assert streams.state_of(ledger).credited == {("all", "x", "a"): (1, 0), ("all", "*", "a"): (0, 9)}
    assert streams.totals_of(ledger) == {}


def test_a_correction_leaves_nothing() -> None:
    ledger = apply(streams.new_ledger(), a_credit(1, amplified=9), a_credit(2, recruits=-1, amplified=-9))
    assert streams.state_of(ledger).credited == {}
    assert ledger.rows.dead().tolist() == [True]


def test_credits_beyond_the_limit_of_scopes_count_as_others() -> None:
    ledger = Ledger(streams.PANE_MS, streams.PANES, streams.SHORT_PANES, limits=ScopeLimits(scopes=2))
    apply(ledger, a_credit(1), a_credit(2, "x"), a_credit(3, "y"), a_credit(4, "*", population="staff"))
    found = streams.state_of(ledger).credited
    assert sum(recruits for recruits, _ in found.values()) == 4
    assert set(found) == {
        *[("all", "*", "a"), ("all", "x", "a")],
        *[("(other)", "(other)", "a"), ("(other)", "*", "a")],
    }


def test_without_credits_neither_rows_nor_panes_have_columns_for_them() -> None:
    ledger = apply(streams.new_ledger(), POST)
    rows, panes = ledger.rows.nbytes, ledger.panes[0].nbytes
    assert all(chunk.recruits is None for chunk in ledger.panes[0].chunks)
    apply(ledger, a_credit(1))
    assert ledger.rows.nbytes == rows + 64 * (4 + 8)
    assert ledger.panes[0].nbytes > panes
    assert (ledger.rows.values(2).tolist(), ledger.rows.amplified.tolist()) == ([1, 0], [0, 0])


def test_columns_that_have_become_empty_are_dropped() -> None:
    ledger = apply(streams.new_ledger(), POST, Post(event_id="q", ts=40, user_id="b"))
    before = ledger.rows.nbytes
    apply(ledger, a_credit(1, "*"), a_credit(2, "*", recruits=-1))
    ledger.drop_rows(ledger.rows.dead())
    assert ledger.rows.nbytes <= before
    assert ledger.rows.values(2).tolist() == [0] * len(ledger.rows)


def test_only_segments_with_credits_are_refused_by_earlier_releases() -> None:
    post, credit = written(POST, a_credit(1))
    assert [segments.decode(value).version for value in (post, credit)] == [segments.VERSION, segments.SINCE_0_4]
    assert msgspec.msgpack.decode(post)[CREDITS_FIELD] is None


@pytest.mark.parametrize("place", range(3))
def test_a_segment_whose_columns_of_credits_do_not_fit_is_refused(place: int) -> None:
    (value,) = written(a_credit(1, amplified=8))
    fields = msgspec.msgpack.decode(value)
    fields[CREDITS_FIELD][place][1] += b"\x01"
    with pytest.raises(FormatError, match="do not fit together"):
        segments.decode(msgspec.msgpack.encode(fields))


def test_batches_with_and_without_credits_are_joined() -> None:
    posts = streams.credits_of(Batch(POSTS, [POST], 1))
    given = streams.credits_of(Batch(CREDITS, [a_credit(1, amplified=8)], 1))
    assert joined([posts, posts]).recruits is None
    both = joined([posts, given])
    assert both.recruits is not None
    assert both.amplified is not None
    assert (both.recruits.tolist(), both.amplified.tolist()) == ([0, 1], [0, 8])
    assert np.array_equal(both.add_something, [True, True])


def test_a_ledger_has_two_roles_until_somebody_is_a_recruiter() -> None:
    rows = apply(streams.new_ledger(), POST).rows
    rows.take_touched()
    rows.add(np.array([0]), np.array([1]), np.array([7]), np.array([49.0]))
    assert (rows.roles, rows.totals.shape) == (2, (2, 2))
    rows.set_standings(Role.RECRUITER.place, np.array([1]), [3])
    assert (rows.roles, rows.totals.tolist()) == (3, [[2, 1], [14, 7], [0, 0]])
    before = rows.take_touched()
    assert before is not None
    assert before.totals.tolist() == [[1, 1], [7, 7], [0, 0]]
    assert before.standings.tolist() == [[0, 0]] * 3
