"""What the board is fed: everything on request, else the last state of each change."""

from collections.abc import Iterable
from unittest.mock import Mock

import msgspec

from stream_app.core.changelog.standing_records import kept, standing_key
from stream_app.core.events.schema import Event, Post
from stream_app.core.messages import Flag, FlagType, Role
from stream_app.core.privacy.min_group import UNLIMITED
from stream_app.core.queries import QueryableState
from stream_app.core.signals.facts import Fact, Signal
from stream_app.core.signals.stored.signal_log import Noticed, SignalLog
from stream_app.core.state.ledger import Ledger
from stream_app.serving.redis.board_feed import BoardFeed
from stream_app.serving.redis.layout import StandingRef
from stream_app.settings import Settings
from tests.board_samples import a_flag
from tests.unit.core import streams


class Feed:
    """A feed over one partition with an empty ledger, and the table of standings that it reads."""

    def __init__(self) -> None:
        self.store = Mock(ledger=Ledger(900_000, 4, 1), signals=SignalLog(), sequence=0)
        self.table: dict[bytes, bytes] = {}
        state = QueryableState(
            stores=lambda: {3: self.store},
            stored_standings=self._standings,
            scopes=Mock(disclosure=UNLIMITED),
            funnels=Mock(),
            statuses={},
            erasures=Mock(),
            homes=Mock(),
            record=Mock(),
        )
        self.feed = BoardFeed(Settings(redis_top=10), state, Mock(), list)
        self.writer = Mock(wants_full=False)
        self.feed.writer = self.writer

    def _standings(self, partition: int, keys: Iterable[bytes] | None) -> dict[bytes, bytes]:
        assert partition == 3
        wanted = self.table if keys is None else keys
        return {key: self.table[key] for key in wanted if key in self.table}

    def raised(self, *flags: Flag) -> None:
        """Flags go out: the table has the standings, but for those that ended."""
        for flag in flags:
            self.table[standing_key(flag)] = kept(msgspec.json.encode(flag))
            if flag.type is FlagType.LEFT:
                del self.table[standing_key(flag)]
        self.feed.submit(3, flags)

    def shown(self, *, full: bool = False) -> tuple[list[Flag], list[StandingRef]]:
        (board,) = self.feed.take(full).partitions
        return list(board.standings), list(board.removed)


def tops(feed: Feed, *, full: bool = False) -> dict[tuple[str, Role], list[tuple[str, int]]]:
    (board,) = feed.feed.take(full).partitions
    return {(top.topic, top.role): list(top.rows) for top in board.tops}


ANN_LEFT = StandingRef("ann", "tea", "all", Role.CONNECTOR)


def test_only_what_changed_since_the_last_time_is_shown() -> None:
    feed = Feed()
    feed.raised(a_flag("ann"))
    assert feed.shown() == ([a_flag("ann")], [])
    assert feed.shown() == ([], [])
    feed.raised(a_flag("bob"))
    assert feed.shown() == ([a_flag("bob")], [])


def test_only_the_last_of_many_changes_of_a_standing_is_shown() -> None:
    feed = Feed()
    entered = msgspec.structs.replace(a_flag("ann"), type=FlagType.ENTERED)
    feed.raised(a_flag("ann"))
    feed.raised(a_flag("ann", flag_type=FlagType.LEFT))
    feed.raised(entered)
    assert feed.shown() == ([entered], [])


def test_a_standing_that_ended_is_removed() -> None:
    feed = Feed()
    feed.raised(a_flag("ann"))
    feed.shown()
    feed.raised(a_flag("ann", flag_type=FlagType.LEFT))
    assert feed.shown() == ([], [ANN_LEFT])


def test_a_full_snapshot_has_every_standing() -> None:
    feed = Feed()
    feed.raised(a_flag("ann"), a_flag("bob"))
    feed.shown()
    assert feed.shown(full=True) == ([a_flag("ann"), a_flag("bob")], [])


def test_while_the_next_snapshot_is_a_full_one_nothing_is_remembered() -> None:
    """Redis may be away for hours."""
    feed = Feed()
    feed.raised(a_flag("ann"))
    feed.writer.wants_full = True
    feed.raised(*(a_flag(f"user {n}", flag_type=FlagType.LEFT) for n in range(100)))
    assert feed.shown() == ([], [])
    assert feed.writer.submit.call_count == 2, "the stream gets every flag"


def test_without_a_board_flags_go_nowhere() -> None:
    feed = Feed()
    feed.feed.writer = None
    feed.raised(a_flag("ann"))
    assert feed.shown() == ([], [])


def test_a_scope_whose_last_user_left_the_window_is_emptied_once() -> None:
    """Its partition may be quiet while event time goes on in the others."""
    feed, ledger = Feed(), Ledger(900_000, 4, 1)
    feed.store.ledger = ledger
    streams.apply(ledger, streams.Batch(streams.POSTS, [Post(event_id=1, ts=0, user_id="ann", topics=("tea",))], 1))
    assert tops(feed)[("tea", Role.MAVEN)] == [("ann", 1)]
    ledger.advance(10 * 900_000)
    assert tops(feed) == {("*", Role.MAVEN): [], ("tea", Role.MAVEN): []}
    ledger.advance(11 * 900_000)
    assert tops(feed) == {}


def test_a_top_list_that_has_not_changed_is_not_shown_again() -> None:
    feed, ledger = Feed(), Ledger(900_000, 4, 1)
    feed.store.ledger = ledger
    for number, (user, topic) in enumerate((("ann", "tea"), ("bob", "milk")), start=1):
        event = Post(event_id=number, ts=0, user_id=user, topics=(topic,))
        streams.apply(ledger, streams.Batch(streams.POSTS, [event], number))
        feed.store.sequence = number
        shown = tops(feed)
    assert set(shown) == {("*", Role.MAVEN), ("milk", Role.MAVEN)}
    assert set(tops(feed, full=True)) == {("*", Role.MAVEN), ("milk", Role.MAVEN), ("tea", Role.MAVEN)}


def test_a_full_snapshot_names_only_what_there_is() -> None:
    feed, ledger = Feed(), Ledger(900_000, 4, 1)
    feed.store.ledger = ledger
    streams.apply(ledger, streams.Batch(streams.POSTS, [Post(event_id=1, ts=0, user_id="ann", topics=("tea",))], 1))
    tops(feed)
    ledger.advance(10 * 900_000)
    assert tops(feed, full=True) == {}
    ledger.advance(11 * 900_000)
    assert tops(feed) == {}


def test_the_standings_of_the_erased_are_removed() -> None:
    feed = Feed()
    feed.raised(a_flag("ann"), a_flag("bob"))
    feed.shown()
    key = standing_key(a_flag("ann"))
    del feed.table[key]
    feed.feed.forget(3, [key], {"ann"})
    assert feed.shown() == ([], [ANN_LEFT])
    feed.writer.forget.assert_called_once_with({"ann"})


def test_without_a_board_there_is_nobody_to_forget() -> None:
    feed = Feed()
    feed.feed.writer = None
    feed.feed.forget(3, [standing_key(a_flag("ann"))], {"ann"})
    assert feed.shown() == ([], [])


def test_what_is_noticed_is_shown_when_it_changes_and_not_of_who_was_erased() -> None:
    feed, facts = Feed(), [Fact(Signal.REGULAR, 0.0, 0.1, 80, {"mean_gap_s": 60.0})]
    feed.store.signals = Mock(noticed=lambda users, _key: Noticed([facts if user == "a" else [] for user in users], []))
    noticed = []
    for audience in (7, 8, 9):
        posts: list[Event] = [
            Post(event_id=f"{user}{audience}", ts=1, user_id=user, audience=audience) for user in "ab"
        ]
        streams.apply(feed.store.ledger, streams.Batch("posts", posts, audience))
        feed.store.sequence += 1
        noticed.append(feed.feed.take(audience == 9).partitions[0].noticed)
    assert noticed == [{"a": facts}, None, {"a": facts}]
    feed.feed.forget(3, [], {"a"})
    feed.store.signals = SignalLog()
    assert feed.feed.take(False).partitions[0].noticed is None
