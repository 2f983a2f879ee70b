"""The exchange reader, as of workers and commands: nobody but the owner is believed, and nothing that is malformed."""

import msgspec
import pytest

from stream_app.core.changelog import status
from stream_app.core.changelog.columns import FormatError
from stream_app.core.exchange import cut_record
from stream_app.core.exchange.delta_message import home_of
from stream_app.core.exchange.exchange_reader import ExchangeReader
from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.state.scopes import ScopeName
from tests.unit.core.exchange.test_followed_cuts import record

PARTITIONS = 8
TEA = ScopeName("all", "tea")


def a_status(**given: int) -> bytes:
    made = status.Status(status.VERSION, 3, {}, 10, False, 1, 2, 3, 4)
    return status.encode(msgspec.structs.replace(made, **given))


def a_cut(scope: ScopeName, users: int) -> tuple[bytes, bytes]:
    return cut_record.key_of(scope), cut_record.encode(record(users))


def readers() -> tuple[ExchangeReader, FollowedCuts]:
    followed = FollowedCuts()
    return ExchangeReader(followed, PARTITIONS), followed


def test_the_last_cut_of_a_scope_counts_until_it_is_deleted() -> None:
    reader, followed = readers()
    for users in (3, 5):
        reader.take(*a_cut(TEA, users))
    assert followed.cuts.users[:2, followed.find(TEA)].tolist() == [5, 5]
    reader.take(cut_record.key_of(TEA), None)
    assert not followed.has(TEA)


def test_what_a_home_of_this_worker_has_published_is_known_already() -> None:
    followed = FollowedCuts()
    reader = ExchangeReader(followed, PARTITIONS, lambda home: home == home_of(TEA, PARTITIONS))
    reader.take(*a_cut(TEA, 3))
    assert not followed.has(TEA)


@pytest.mark.parametrize("is_here", [True, False])
def test_of_more_scopes_than_all_workers_count_no_cut_is_taken(is_here: bool) -> None:
    followed = FollowedCuts()
    reader = ExchangeReader(followed, 1, lambda _home: is_here, most_scopes=2)
    for scope in (TEA, ScopeName("all", "phone"), TEA):
        reader.take(*a_cut(scope, 3))
    with pytest.raises(FormatError, match="one more topic than 2"):
        reader.take(*a_cut(ScopeName("all", "car"), 3))
    reader.take(cut_record.key_of(ScopeName("all", "car")), None)
    reader.take(cut_record.key_of(TEA), None)
    assert len(followed) == (0 if is_here else 1)


def test_scopes_that_came_and_went_take_no_place() -> None:
    reader = ExchangeReader(FollowedCuts(), 1, lambda _home: True, most_scopes=2)
    for number in range(9):
        reader.take(*a_cut(ScopeName("all", f"t{number}"), 3))
        reader.take(cut_record.key_of(ScopeName("all", f"t{number}")), None)
    reader.take(*a_cut(TEA, 3))


def test_what_was_written_in_place_of_an_own_cut_is_noticed_even_if_nobody_can_read_it() -> None:
    reader = ExchangeReader(FollowedCuts(), 1, lambda _home: True)
    reader.take(*a_cut(TEA, 3))
    assert reader.take_read_back().keys() == {TEA}
    with pytest.raises(FormatError):
        reader.take(cut_record.key_of(TEA), b"junk")
    assert reader.take_read_back() == {TEA: b"junk"}


def test_what_a_former_owner_publishes_late_is_left_out_and_remembered() -> None:
    reader, _ = readers()
    reader.take(b"status/3", a_status(epoch=8, users=5))
    reader.take(b"status/3", a_status(epoch=7, users=6))
    assert reader.statuses[3].users == 5
    assert reader.overwritten == {3}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"status/8", a_status(partition=PARTITIONS)),
        (b"status/3", a_status(partition=2**59)),
        (b"status/3", a_status(users=2**63)),
        (b"status/3", a_status(asked=-1)),
        (b"status/3", b"\xc1"),
        (b"cut/", a_cut(TEA, 3)[1]),
        (cut_record.key_of(TEA), b"\x93\x01"),
    ],
)
def test_what_no_worker_can_have_written_changes_nothing(key: bytes, value: bytes) -> None:
    reader, followed = readers()
    with pytest.raises(FormatError):
        reader.take(key, value)
    assert reader.statuses == {}
    assert followed.version == 0


def test_what_was_read_while_a_home_was_here_holds_once_it_is_elsewhere() -> None:
    followed, here = FollowedCuts(), {home_of(TEA, PARTITIONS)}
    reader = ExchangeReader(followed, PARTITIONS, here.__contains__)
    followed.take(TEA, record(2))
    for users in (3, 4):
        reader.take(*a_cut(TEA, users))
    reader.take_skipped()
    assert followed.cuts.users[:2, followed.find(TEA)].tolist() == [2, 2]
    here.clear()
    reader.take_skipped()
    assert followed.cuts.users[:2, followed.find(TEA)].tolist() == [4, 4]
    reader.take(cut_record.key_of(TEA), None)
    assert not followed.has(TEA)
