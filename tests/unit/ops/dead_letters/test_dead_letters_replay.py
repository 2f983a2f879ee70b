"""Which dead letters are replayed: each once, no more often than allowed, only to the inputs, with the right key."""

from collections.abc import Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import MessageSizeTooLargeError

from stream_app.core.events.dead_letter import (
    DeadLetter,
    DeadLetterId,
    Origin,
    Shared,
    attempt_headers,
    attempts_of,
    read,
)
from stream_app.kafka.clients import KafkaOperationError
from stream_app.ops.dead_letters.replay import DeadLetterReport, ReplayMessage, ReplayRules, Skipped, messages_of, send
from stream_app.ops.dead_letters.scan import LetterFilter, StoredLetter, grouped, newest
from tests.unit.ops.parts import dead_letter

POSTS, DEAD = "posts", "dead"
ALL = LetterFilter()
RULES = ReplayRules({POSTS, "shares"}, max_attempts=3, rekey=False)
USER = b'{"event_id":"e","user_id":"bob"}'


def filed(dead_letters: Sequence[DeadLetter], first_ms: int = 1000) -> list[StoredLetter]:
    return [StoredLetter(first_ms + place, Origin(DEAD, 0, place), each) for place, each in enumerate(dead_letters)]


def sorted_out(
    found: Sequence[StoredLetter | DeadLetterId], wanted: LetterFilter = ALL, rules: ReplayRules = RULES
) -> tuple[list[ReplayMessage], dict[Skipped, int]]:
    report = DeadLetterReport()
    replayed = {each for each in found if isinstance(each, DeadLetterId)}
    messages = list(messages_of(found, wanted, rules, replayed, report))
    assert report.sent.total() == len(messages)
    return messages, dict(report.skipped)


class Broker:
    """A producer whose broker takes so many records, and keeps what it took."""

    def __init__(self, takes: int = 1_000_000) -> None:
        self.taken: list[tuple[str, int | None, bytes | None, bytes | None, list[Any]]] = []
        self._takes = takes

    def send(self, topic: str, value: bytes, key: bytes, *, headers: list[Any], partition: int | None) -> "Broker":
        if len(self.taken) == self._takes:
            raise ValueError("Unrecognized partition")
        self.taken.append((topic, partition, key, value, headers))
        return self

    def flush(self, timeout_s: float) -> None: ...

    def get(self, timeout_s: float) -> None: ...

    def set_aside(self) -> list[StoredLetter | DeadLetterId]:
        """The records of the dead-letter topic, as their readers decode them."""
        found = [read(key, value, headers) for topic, _, key, value, headers in self.taken if topic == DEAD]
        assert all(isinstance(each, DeadLetterId) for each in found)
        return [each for each in found if isinstance(each, DeadLetterId)]


def test_a_dead_letter_is_replayed_to_its_origin_with_one_more_attempt() -> None:
    messages, skipped = sorted_out(filed([dead_letter(POSTS, 7, partition=1, attempts=1)]))
    broker = Broker()
    send(broker, messages)
    (topic, partition, key, value, headers), _ = broker.taken
    assert (topic, partition, key, value) == (POSTS, 1, b"ann", b"{")
    assert attempts_of(headers) == 2
    assert skipped == {}


def test_a_duplicate_dead_letter_is_sent_once() -> None:
    messages, skipped = sorted_out(filed([dead_letter(POSTS, 7), dead_letter(POSTS, 8), dead_letter(POSTS, 7)]))
    assert len(messages) == 2
    assert skipped == {Skipped.TWICE: 1}


def test_replayed_dead_letters_are_not_sent_again_unless_they_came_back() -> None:
    dead_letters = filed([dead_letter(POSTS, 7), dead_letter(POSTS, 8)])
    broker = Broker()
    send(broker, sorted_out(dead_letters)[0])
    came_back = filed([dead_letter(POSTS, 100, attempts=1)])
    messages, skipped = sorted_out([*dead_letters, *broker.set_aside(), *came_back, *dead_letters])
    assert [message.stored.letter.origin.offset for message in messages] == [100]
    assert skipped == {Skipped.REPLAYED: 4}


def test_another_record_at_the_same_place_of_a_topic_made_again_is_sent() -> None:
    old, new = filed([dead_letter(POSTS, 7), dead_letter(POSTS, 7, value=b"[")])
    messages, _ = sorted_out([old, old.letter.identity, new])
    assert [message.stored for message in messages] == [new]


@pytest.mark.parametrize(("attempts", "sent"), [(0, 1), (2, 1), (3, 0), (99, 0)])
def test_a_dead_letter_is_not_replayed_more_often_than_allowed(attempts: int, sent: int) -> None:
    messages, skipped = sorted_out(filed([dead_letter(POSTS, 7, attempts=attempts)]))
    assert len(messages) == sent
    assert skipped == ({} if sent else {Skipped.ATTEMPTS: 1})


def test_nothing_is_sent_to_a_topic_that_is_no_input_whatever_a_header_says() -> None:
    assert sorted_out(filed([dead_letter("__consumer_offsets", 7)])) == ([], {Skipped.FOREIGN: 1})


@pytest.mark.parametrize("rekey", [False, True])
@pytest.mark.parametrize("reason", ["not-json", "key-not-user", "late"])
def test_a_dead_letter_without_its_key_and_value_is_refused(reason: str, rekey: bool) -> None:
    bare = dead_letter(POSTS, 7, key=None, value=None, reason=reason)
    assert bare.is_withheld
    assert sorted_out(filed([bare]), rules=RULES._replace(rekey=rekey)) == ([], {Skipped.WITHHELD: 1})


@pytest.mark.parametrize("key", [None, b"ann"])
@pytest.mark.parametrize("value", [None, b""])
def test_a_record_that_came_without_a_value_is_never_sent(key: bytes | None, value: bytes | None) -> None:
    empty = dead_letter(POSTS, 7, key=key, value=value, reason="empty")
    assert not empty.is_withheld
    assert sorted_out(filed([empty])) == ([], {Skipped.EMPTY: 1})


def test_dead_letters_that_cannot_be_replayed_are_counted() -> None:
    report = DeadLetterReport()
    bare = [dead_letter(POSTS, offset, key=None, value=None) for offset in (7, 8, 8)]
    assert (
        list(messages_of(filed([*bare, dead_letter(POSTS, 9, value=b"", reason="empty")]), ALL, RULES, set(), report))
        == []
    )
    assert (report.not_replayable, report.refused) == (4, 4)


@pytest.mark.parametrize("reason", ["key-not-user", "wrong-partition"])
def test_with_another_key_a_record_is_placed_anew(reason: str) -> None:
    rules = RULES._replace(rekey=True)
    (message,), _ = sorted_out(filed([dead_letter(POSTS, 7, value=USER, reason=reason)]), rules=rules)
    assert (message.key, message.partition) == (b"bob", None)
    (message,), _ = sorted_out(filed([dead_letter(POSTS, 7, value=b'{"user_id":5}', reason=reason)]), rules=rules)
    assert message.key == b"5"
    (message,), _ = sorted_out(filed([dead_letter(POSTS, 7, value=USER, reason=reason)]))
    assert (message.key, message.partition) == (b"ann", 0)
    nested = b'{"a":' + b"[" * 100_000
    for value in (b"{", b"\xff", nested):
        bad = dead_letter(POSTS, 7, value=value, reason=reason)
        assert sorted_out(filed([bad]), rules=rules) == ([], {Skipped.NO_USER: 1})


def test_other_reasons_keep_their_key() -> None:
    (message,), _ = sorted_out(filed([dead_letter(POSTS, 7, value=USER)]), rules=RULES._replace(rekey=True))
    assert (message.key, message.partition) == (b"ann", 0)


def test_only_the_chosen_ones_are_sent() -> None:
    found = filed([dead_letter(POSTS, 7), dead_letter(POSTS, 8, reason="invalid"), dead_letter(POSTS, 9)])
    chosen = [message.stored for message in sorted_out(found, LetterFilter("not-json", since_ms=1001))[0]]
    assert chosen == [found[2]]


@given(takes=st.integers(0, 7), count=st.integers(0, 4))
def test_whenever_it_is_cut_short_a_repetition_sends_the_rest(takes: int, count: int) -> None:
    found = filed([dead_letter(POSTS, offset) for offset in range(count)])
    first, second = Broker(takes), Broker()
    with suppress(KafkaOperationError):
        send(first, sorted_out(found)[0])
    remembered = first.set_aside()
    send(second, sorted_out([*found, *remembered])[0])
    sent = [record for broker in (first, second) for record in broker.taken if record[0] == POSTS]
    assert {headers[0] for *_, headers in sent} == ({("__streams.errors.attempts", b"1")} if count else set())
    assert len(sent) >= count
    assert {each.letter.identity for each in found} == {*remembered, *second.set_aside()}
    assert len(remembered) + len(second.set_aside()) == count


def test_a_broker_that_accepts_no_more_records_is_reported_with_what_to_do() -> None:
    with pytest.raises(KafkaOperationError, match=r"did not accept one of 2 records \(Unrecognized.*replay again"):
        send(Broker(1), sorted_out(filed([dead_letter(POSTS, 7), dead_letter(POSTS, 8)]))[0])


def test_piles_count_copies_and_what_was_replayed() -> None:
    found = filed(
        [dead_letter(POSTS, 7), dead_letter(POSTS, 7), dead_letter(POSTS, 8, message="last"), dead_letter("shares", 7)]
    )
    large, small = grouped([*found, found[0].letter.identity], LetterFilter())
    assert (large.topic, large.records, large.distinct, large.replayed) == (POSTS, 3, 2, 1)
    assert (large.first_ms, large.last_ms, large.example) == (1000, 1002, "last")
    assert (small.topic, small.records, small.replayed) == ("shares", 1, 0)


def test_piles_count_what_is_not_replayable_once() -> None:
    bare = dead_letter(POSTS, 7, key=None, value=None)
    found = filed([dead_letter(POSTS, 6), bare, bare, dead_letter(POSTS, 8, value=None, reason="empty")])
    large, small = grouped(found, LetterFilter())
    assert (large.reason, large.distinct, large.not_replayable) == ("not-json", 2, 1)
    assert (small.reason, small.not_replayable) == ("empty", 1)


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(1, 9))
def test_the_newest_come_first(times: list[int], limit: int) -> None:
    found = [StoredLetter(ms, Origin(DEAD, 0, place), dead_letter(POSTS, place)) for place, ms in enumerate(times)]
    shown = [each for each, _ in newest(found, LetterFilter(), limit)]
    assert shown == sorted(found, key=lambda each: (each.timestamp_ms, each.place), reverse=True)[:limit]


def at(offset: int, value: bytes | None = USER, attempts: int = 0) -> Any:
    """A record as it is read from where it came."""
    return SimpleNamespace(offset=offset, key=b"ann", value=value, headers=attempt_headers(attempts))


def replayed_from(letter: DeadLetter, records: Sequence[Any], **rules: Any) -> tuple[list[ReplayMessage], Any]:
    report = DeadLetterReport()
    chosen = RULES._replace(**rules)
    messages = list(messages_of(filed([letter]), ALL, chosen, set(), report, lambda _letter: records))
    return messages, dict(report.skipped)


SHARED = DeadLetter(
    *(Origin(POSTS, 1, 100), None, None, "too-many", "3 records"),
    shared=Shared(110, {"invalid": 2, "key-not-user": 1}, [(100, 101), (110, 110)]),
)


def test_a_shortened_letter_is_replayed_with_the_record_that_is_still_where_it_came_from() -> None:
    whole = dead_letter(POSTS, 7, value=USER * 1_000)
    (message,), _ = replayed_from(whole.shortened(), [at(7, USER * 1_000)])
    assert (message.value, message.key) == (USER * 1_000, b"ann")
    assert replayed_from(whole.shortened(), [at(7, USER * 999)]) == ([], {Skipped.CHANGED: 1})
    assert replayed_from(whole.shortened(), []) == ([], {Skipped.GONE: 1})
    twice, skipped = sorted_out([*filed([whole.shortened()]), whole.identity])
    assert (twice, skipped) == ([], {Skipped.REPLAYED: 1})


def test_the_records_that_share_a_letter_are_sent_each_and_marked_once_after_the_last() -> None:
    records = [at(100), at(101, b""), at(110), at(111, attempts=3)]
    messages, skipped = replayed_from(SHARED, records)
    assert [message.is_last for message in messages] == [False, True]
    assert skipped == {Skipped.EMPTY: 1, Skipped.ATTEMPTS: 1}
    broker = Broker()
    send(broker, messages)
    assert [topic for topic, *_ in broker.taken] == [POSTS, POSTS, DEAD]
    assert broker.set_aside() == [SHARED.identity]
    rekeyed, _ = replayed_from(SHARED, records[:1], rekey=True)
    assert (rekeyed[0].key, rekeyed[0].partition) == (b"bob", None)


def test_records_that_share_a_letter_are_counted_by_their_reasons_and_found_by_their_origin() -> None:
    found = filed([SHARED, SHARED, dead_letter(POSTS, 7, reason="invalid")])
    groups = {group.reason: group for group in grouped([*found, SHARED.identity], ALL)}
    assert {reason: (group.records, group.distinct, group.replayed) for reason, group in groups.items()} == {
        "invalid": (5, 3, 2),
        "key-not-user": (2, 1, 1),
    }
    assert [group.reason for group in grouped(found, LetterFilter("key-not-user"))] == ["key-not-user"]
    assert not groups["invalid"].not_replayable
    about = [LetterFilter(origin=Origin(POSTS, 1, offset)).takes(found[0]) for offset in (99, 100, 101, 105, 110, 111)]
    assert about == [False, True, True, False, True, False]


def test_a_record_that_its_topic_takes_no_more_is_skipped_and_the_others_are_sent() -> None:
    class Small(Broker):
        def send(self, topic: str, value: bytes, key: bytes, *, headers: list[Any], partition: int | None) -> Broker:
            if len(value) > 100:
                raise MessageSizeTooLargeError
            return super().send(topic, value, key, headers=headers, partition=partition)

    found = filed([dead_letter(POSTS, 7, value=b"x" * 200), dead_letter(POSTS, 8)])
    report = DeadLetterReport()
    broker = Small()
    send(broker, messages_of(found, ALL, RULES, set(), report), report)
    assert [topic for topic, *_ in broker.taken] == [POSTS, DEAD]
    assert (report.sent.total(), report.skipped[Skipped.TOO_LARGE], report.refused) == (1, 1, 1)
