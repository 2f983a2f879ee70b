"""Whose settings count: of the workers that announce themselves, the same one for everybody."""

import msgspec
import pytest

from stream_app.core.changelog.columns import FormatError
from stream_app.core.group.announcement import FORMAT, Announcement, Difference, Standing, decode, encode, worker_of
from stream_app.core.group.members import Members

PATIENCE_S = 9.0
OURS = {"window_s": "24h", "share": "0.8"}
THEIRS = {"window_s": "1h", "share": "0.8"}


def said(worker: str, settings: dict[str, str], standing: Standing = "regular", joined: int = -1) -> Announcement:
    return Announcement(
        format=FORMAT,
        worker=worker,
        name=f"host:{worker}",
        release="0.3.0",
        settings=settings,
        standing=standing,
        joined=joined,
        patience_s=PATIENCE_S,
        now_ms=0,
    )


def members() -> Members:
    return Members("me", OURS)


def test_an_announcement_is_read_as_it_was_written() -> None:
    given = said("a", OURS, joined=7)
    assert decode(encode(given)) == given
    assert worker_of(b"worker/a") == "a"
    assert worker_of(b"status/3") is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xc1",
        b"{}",
        encode(said("a" * 300, {})),
        encode(said("a", {"x": "y" * 3000})),
        encode(said("a", {str(n): "" for n in range(300)})),
    ],
)
def test_what_is_no_announcement_is_refused(value: bytes) -> None:
    with pytest.raises(FormatError):
        decode(value)


def test_differences_are_found_by_name_and_what_only_one_release_knows_is_none() -> None:
    known = members()
    known.hear(said("a", {**THEIRS, "of_the_next_release": "1"}), "a", 1, now_s=0)
    (other,) = known.live(0)
    assert known.differences(other) == [Difference("window_s", "24h", "1h")]


def test_the_settings_of_the_first_count_and_the_newcomer_sees_it() -> None:
    known = members()
    known.hear(said("a", THEIRS), "a", 10, now_s=0)
    reference = known.reference(20, now_s=1)
    assert reference is not None
    assert reference.said.worker == "a"


def test_the_first_sees_no_one_before_it() -> None:
    known = members()
    known.hear(said("a", THEIRS, "pending"), "a", 30, now_s=0)
    assert known.reference(20, now_s=1) is None
    known.hear(said("a", THEIRS, "guest", joined=30), "a", 31, now_s=2)
    known.hear(said("b", OURS, joined=31), "b", 32, now_s=2)
    reference = known.reference(40, now_s=3)
    assert reference is not None
    assert reference.said.worker == "b", "regular members come before guests"


def test_of_two_that_start_together_exactly_one_goes_on() -> None:
    one, two = Members("one", OURS), Members("two", THEIRS)
    one.hear(said("two", THEIRS, "pending"), "two", 11, now_s=0)
    two.hear(said("one", OURS, "pending"), "one", 10, now_s=0)
    assert one.reference(10, 0) is None
    assert two.reference(11, 0) is not None


def test_a_dead_worker_is_forgotten_and_what_is_read_again_is_not_news() -> None:
    known = members()
    known.hear(said("a", THEIRS), "a", 10, now_s=0)
    assert known.differing(PATIENCE_S)
    known.hear(said("a", THEIRS), "a", 10, now_s=PATIENCE_S)  # the topic was read from the beginning again
    assert not known.differing(PATIENCE_S + 1)
    assert known.reference(20, PATIENCE_S + 1) is None
    assert known.long_gone(PATIENCE_S * 30) == ["a"]


def test_a_worker_that_said_goodbye_is_gone_at_once_for_good() -> None:
    known = members()
    known.hear(said("a", THEIRS), "a", 10, now_s=0)
    known.hear(None, "a", 12, now_s=1)
    known.hear(said("a", THEIRS), "a", 10, now_s=2)
    assert known.live(2) == []


def test_one_that_has_not_found_its_place_yet_silences_nobody() -> None:
    known = members()
    known.hear(said("a", THEIRS, "pending"), "a", 10, now_s=0)
    assert known.differing(1) == []
    known.hear(said("a", THEIRS, "guest", joined=10), "a", 11, now_s=1)
    assert len(known.differing(1)) == 1


def test_one_that_writes_what_this_release_cannot_read_differs() -> None:
    known = members()
    known.hear(msgspec.structs.replace(said("a", OURS), format=FORMAT + 1), "a", 10, now_s=0)
    assert len(known.differing(1)) == 1


def test_one_that_cannot_read_what_this_release_writes_silences_everybody_and_keeps_nobody_out() -> None:
    known = members()
    known.hear(msgspec.structs.replace(said("a", OURS), format=FORMAT - 1), "a", 10, now_s=0)
    (older,) = known.differing(1)
    assert not known.is_different(older)


def test_a_patience_far_longer_than_ones_own_is_not_believed() -> None:
    known = Members("me", OURS, PATIENCE_S)
    for worker, patience_s in (("slow", 5 * PATIENCE_S), ("forged", 900_000)):
        known.hear(msgspec.structs.replace(said(worker, THEIRS), patience_s=patience_s), worker, 10, now_s=0)
    assert [found.said.worker for found in known.live(4 * PATIENCE_S)] == ["slow", "forged"]
    assert [found.said.worker for found in known.live(10 * PATIENCE_S)] == ["forged"]
    assert known.live(10 * PATIENCE_S + 1) == []


def test_names_without_end_take_bounded_memory() -> None:
    known = members()
    for offset in range(5000):
        known.hear(said(str(offset), OURS), str(offset), offset, now_s=0)
    assert len(known.live(0)) == 1000
