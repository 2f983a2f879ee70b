"""Past cuts: stored by pane, found by scope and role, deleted, and bounded in number."""

from typing import Any

import msgspec
import pytest

from stream_app.core.changelog.columns import FormatError
from stream_app.core.cuts import history
from stream_app.core.cuts.history import CutHistory, PastKey
from stream_app.core.exchange.delta_message import home_of
from stream_app.core.messages import Cut, Role
from stream_app.core.state.scopes import ScopeName

PHONE = ScopeName("all", "phone")


def cut(scope: ScopeName = PHONE, role: Role = Role.MAVEN, **given: Any) -> Cut:
    numbers = {"users": 10, "total": 100, "k": 2, "threshold": 30, "ties": 1, "flagged": 2, "emerging": 1}
    fractions = {"coverage": 0.81, "percent_of_users": 20.0, "gini": 0.7, "share": 0.8}
    moment = {"window_start": 0, "window_end": 1000, "computed_at": 5, "settings_version": "v"}
    values = {"topic": scope.topic, "population": scope.population, "role": role, "diffuse": False, "exact": True}
    return msgspec.convert({**values, **numbers, **fractions, **moment, **given}, Cut)


def store(cut_history: CutHistory, pane: int, *cuts: Cut, scope: ScopeName = PHONE) -> None:
    cut_history.update(PastKey(home_of(scope, 8), pane).encode(), history.encode(cuts))


def test_a_cut_is_found_by_scope_and_role_from_the_oldest_pane_on() -> None:
    cut_history = CutHistory(8)
    for pane in (12, 10, 11):
        store(cut_history, pane, cut(k=pane), cut(role=Role.CONNECTOR, k=99))
    assert [(pane, was.k) for pane, was in cut_history.of(PHONE, Role.MAVEN, 11)] == [(11, 11), (12, 12)]
    assert [was.k for _, was in cut_history.of(PHONE, Role.CONNECTOR, 0)] == [99, 99, 99]
    assert list(cut_history.of(ScopeName("staff", "phone"), Role.MAVEN, 0)) == []


def test_the_last_word_on_a_pane_counts() -> None:
    cut_history = CutHistory(8)
    store(cut_history, 10, cut(k=1))
    store(cut_history, 10, cut(k=2))
    assert [was.k for _, was in cut_history.of(PHONE, Role.MAVEN, 0)] == [2]


def test_a_past_cut_has_its_intervals_and_one_of_an_earlier_release_has_none() -> None:
    cut_history = CutHistory(8)
    store(cut_history, 10, cut(k_low=1, k_high=4, threshold_low=20, threshold_high=50))
    (_, was), *_ = cut_history.of(PHONE, Role.MAVEN, 0)
    assert (was.k_low, was.k_high, was.threshold_low, was.threshold_high) == (1, 4, 20, 50)
    version, (row,) = msgspec.msgpack.decode(history.encode([cut(k_low=1)]))
    cut_history.update(PastKey(home_of(PHONE, 8), 10).encode(), msgspec.msgpack.encode([version, [row[:11]]]))
    ((_, was),) = cut_history.of(PHONE, Role.MAVEN, 0)
    assert (was.k, was.k_low, was.threshold_high) == (2, 0, 0)


def test_a_deleted_cut_is_gone() -> None:
    cut_history = CutHistory(8)
    store(cut_history, 10, cut())
    store(cut_history, 11, cut())
    assert cut_history.before(11) == [PastKey(home_of(PHONE, 8), 10)]
    cut_history.update(PastKey(home_of(PHONE, 8), 10).encode(), b"")
    cut_history.update(PastKey(home_of(PHONE, 8), 10).encode(), b"")
    assert cut_history.before(11) == []
    assert [pane for pane, _ in cut_history.of(PHONE, Role.MAVEN, 0)] == [11]


def test_only_the_cuts_with_the_most_users_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_PER_HOME", 2)
    cut_history = CutHistory(8)
    store(cut_history, 1, cut(role=Role.MAVEN, users=5), *(cut(ScopeName("all", f"t{n}"), users=n) for n in (9, 1, 7)))
    assert list(cut_history.of(PHONE, Role.MAVEN, 0)) == []
    store(cut_history, 2, cut(users=8), *(cut(ScopeName("all", f"t{n}"), users=n) for n in (9, 1, 7)))
    assert [was.users for _, was in cut_history.of(PHONE, Role.MAVEN, 0)] == [8]


@pytest.mark.parametrize("key", [b"past/1", b"past/x/1", b"past/1/2/3"])
def test_a_key_that_is_none_is_refused(key: bytes) -> None:
    with pytest.raises(FormatError, match="not the key of past cuts"):
        CutHistory(8).update(key, history.encode([cut()]))


@pytest.mark.parametrize("value", [b"\xc1", b"\x92\x02\x90", b"\x91\x01"])
def test_records_of_another_release_are_skipped(value: bytes) -> None:
    cut_history = CutHistory(8)
    cut_history.update(PastKey(home_of(PHONE, 8), 1).encode(), value)
    store(cut_history, 2, cut())
    assert [pane for pane, _ in cut_history.of(PHONE, Role.MAVEN, 0)] == [2]


def test_a_record_has_a_bound_however_long_the_names_are() -> None:
    names = [ScopeName("p" * 100, f"{n:03}" + "\U0001f600" * 197) for n in range(200)]
    cuts = [cut(scope, role, users=1000 - n) for n, scope in enumerate(names) for role in Role]
    for most_bytes in (31_744, history.MOST_BYTES):
        value = history.encode(cuts, most_bytes)
        assert most_bytes // 2 < len(value) <= most_bytes
        cut_history = CutHistory(8)
        cut_history.update(PastKey(home_of(names[0], 8), 1).encode(), value)
        assert [was.users for _, was in cut_history.of(names[0], Role.MAVEN, 0)] == [1000]
