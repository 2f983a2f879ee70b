"""Cuts over all partitions, merged from the curves that they exchange, against the naive model."""

from collections import defaultdict

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog.columns import FormatError
from stream_app.core.cuts import curve_message
from stream_app.core.cuts import global_cuts as global_cuts_module
from stream_app.core.cuts import histogram as curve_module
from stream_app.core.cuts.curve_updates import CurveUpdates
from stream_app.core.cuts.global_cuts import GlobalCuts, ScopeMap
from stream_app.core.events.schema import Event, Post
from stream_app.core.flags.standing import EMERGING, ENTERED, FADING
from stream_app.core.state import ledger as ledger_module
from stream_app.core.state.scopes import ScopeName
from tests.naive import NaiveLedger, ms_of, naive_cut
from tests.unit.core import streams
from tests.unit.core.partitions import BOTH_ROLES, CutInts, Partitions

ALL = ScopeName("all", "*")


def _expected(naive: NaiveLedger, share: float) -> dict[tuple[ScopeName, int], CutInts]:
    values: dict[tuple[ScopeName, int], list[int]] = defaultdict(list)
    for (population, topic, _), made in naive.totals().items():
        for role in BOTH_ROLES:
            values[ScopeName(population, topic), role].append(made[role])
    cuts = {curve: naive_cut(found, share) for curve, found in values.items()}
    return {
        curve: (cut.users, cut.total, cut.k, cut.threshold, cut.ties) for curve, cut in cuts.items() if cut is not None
    }


def _posts(users: int, *, ts: int = 0, topic: str = "t") -> list[Event]:
    """One post by each user, with an audience of its own."""
    return [
        Post(event_id=f"{ts}/{topic}/{n}", ts=ts, user_id=f"u{n}", topics=(topic,), audience=n * n + 1)
        for n in range(users)
    ]


@settings(deadline=None, max_examples=40)
@given(streams.events(), st.lists(st.integers(0, 60), max_size=4), st.sampled_from([1, 3]), st.sampled_from([0.5, 0.8]))
def test_the_cuts_of_all_partitions_are_those_of_one(
    stream: list[Event], ends: list[int], count: int, share: float
) -> None:
    parts, naive = Partitions(count, streams.new_ledger, share), streams.new_naive()
    in_order = sorted(stream, key=ms_of)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_module, "_DEAD_ROWS_KEPT", 1)
        patch.setattr(global_cuts_module, "_SCOPES_FORGOTTEN", 1)
        patch.setattr(curve_module, "EXACT_USERS", 1)
        for batch in streams.batches_of(in_order, ends):
            naive.apply(batch.topic, batch.events)
            newest = max(source.watermark for source in naive.sources.values())
            naive.advance(newest)
            parts.count(batch.events)
            parts.advance(newest)
            parts.exchange()
            assert parts.all_cuts() == _expected(naive, share)


def test_nothing_is_sent_when_nothing_changed() -> None:
    parts = Partitions(2, streams.new_ledger)
    parts.count(_posts(30))
    assert parts.exchange(2) >= 2
    version = parts.global_cuts.version
    assert parts.exchange(2) == 0
    assert parts.global_cuts.version == version


def test_only_the_changed_part_is_sent() -> None:
    parts = Partitions(1, streams.new_ledger)
    parts.count([event for number in range(200) for event in _posts(3, topic=f"t{number}")])
    parts.exchange()
    parts.count(_posts(1, ts=1, topic="t7"))
    assert parts.exchange() == len({curve_message.bucket_of(ALL), curve_message.bucket_of(ScopeName("all", "t7"))})


def test_a_scope_is_rough_at_first_and_exact_once_its_cut_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve_module, "EXACT_USERS", 10)
    parts = Partitions(2, streams.new_ledger)
    parts.count(_posts(500))
    parts.exchange(1)
    assert not parts.cuts(0).exact[1].any()
    parts.exchange(1)
    assert parts.cuts(0).exact.all()
    cut = naive_cut([n * n + 1 for n in range(500)], 0.8)
    assert cut is not None
    assert parts.all_cuts()[ALL, 1] == (500, cut.total, cut.k, cut.threshold, cut.ties)


def test_events_that_left_the_window_are_in_no_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "_DEAD_ROWS_KEPT", 0)
    parts = Partitions(2, streams.new_ledger)
    parts.count(_posts(30, topic="old"))
    parts.exchange()
    parts.count(_posts(30, ts=500, topic="new"))
    parts.advance(500)
    parts.exchange()
    assert {scope.topic for scope, _ in parts.all_cuts()} == {"*", "new"}


def test_a_new_owner_replaces_all_that_the_former_owner_published() -> None:
    """It may know less: what it does not publish is gone."""
    parts = Partitions(2, streams.new_ledger)
    parts.count(_posts(30))
    parts.exchange()
    users = parts.all_cuts()[ALL, 0][0]
    lost = len(parts.ledgers[1].users)
    parts.ledgers[1], parts.curve_updates[1], parts.views[1] = streams.new_ledger(), CurveUpdates(1, 1), ScopeMap()
    parts.exchange()
    assert 0 < lost < users
    assert parts.all_cuts()[ALL, 0][0] == users - lost


def test_the_users_with_a_standing_are_counted_over_all_partitions() -> None:
    parts = Partitions(3, streams.new_ledger)
    parts.count(_posts(30))
    for ledger in parts.ledgers:
        chosen = np.flatnonzero(ledger.rows.scopes == 0)[:3]
        ledger.rows.standings[0, chosen] = [EMERGING, ENTERED, FADING]
    parts.exchange()
    (number,) = parts.global_cuts.numbers([ALL])
    cuts = parts.global_cuts.cuts(np.array([number]))
    names = {ledger.scopes.names()[0] for ledger in parts.ledgers}
    assert names == {ALL}
    assert (cuts.flagged[:, 0].tolist(), cuts.emerging[:, 0].tolist()) == ([6, 0], [3, 0])


def test_a_rank_is_the_number_of_users_above_plus_one() -> None:
    parts = Partitions(3, streams.new_ledger)
    parts.count(_posts(30))
    values = np.array([n * n + 1 for n in (29, 28, 0)] + [1])
    asked = ([ALL] * 4, [1, 1, 1, 0], values)
    assert parts.global_cuts.ranks(*asked).tolist() == [1, 1, 1, 1]
    parts.exchange()
    assert parts.global_cuts.ranks(*asked).tolist() == [1, 2, 30, 1]


def test_a_scope_that_no_partition_has_has_no_cut() -> None:
    global_cuts = GlobalCuts(0.8)
    cuts = global_cuts.cuts(global_cuts.numbers([ScopeName("all", "nobody")]))
    assert not np.concatenate([cuts.users, cuts.totals, cuts.k, cuts.thresholds]).any()
    assert cuts.exact.all()


def test_a_published_bucket_is_read_as_it_was_written() -> None:
    parts = Partitions(1, streams.new_ledger)
    parts.count(_posts(5))
    messages = CurveUpdates(0, 1).collect(parts.ledgers[0], parts.cuts(0))
    assert len(messages) == curve_message.BUCKETS
    for message in messages:
        read = curve_message.decode(curve_message.encode(message))
        assert (read.partition, read.bucket, read.scopes) == (0, message.bucket, message.scopes)
        assert [column.tolist() for column in read.cells()] == [column.tolist() for column in message.cells()]


def test_curves_of_another_release_are_refused() -> None:
    parts = Partitions(1, streams.new_ledger)
    parts.count(_posts(1))
    fields = msgspec.msgpack.decode(
        curve_message.encode(CurveUpdates(0, 1).collect(parts.ledgers[0], parts.cuts(0))[0])
    )
    with pytest.raises(FormatError, match=r"version 3.* reads 1"):
        curve_message.decode(msgspec.msgpack.encode([3, *fields[1:]]))
    with pytest.raises(FormatError, match="not curves of version 1"):
        curve_message.decode(b"\xc1")
