"""How many records are set aside one by one, how large a letter is, and that every record can still be found."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.events.dead_letter import DeadLetter, Origin, read
from stream_app.core.events.letter_budget import BURST_S, MOST_BATCH_BYTES, LetterBudget

LEAST = 31_744
"""Bytes of the smallest limit there is."""
NOW_S = 1_000.0


def letters(
    count: int, value: bytes | None = b"x", first: int = 0, step: int = 1, reason: str = ""
) -> Iterator[DeadLetter]:
    for number in range(count):
        found = reason or ("not-json" if number % 2 else "invalid")
        yield DeadLetter(Origin("posts", 3, first + number * step), b"key", value, found, "broken")


def size(letter: DeadLetter) -> int:
    headers = sum(len(name) + len(value) + 10 for name, value in letter.headers())
    return len(letter.key or b"") + len(letter.value or b"") + headers


def offsets(found: list[DeadLetter]) -> list[int]:
    """Of all records that the letters are about, as Kafka hands them over."""
    again = [read(letter.key, letter.value, letter.headers()) for letter in found]
    assert again == found
    runs = [
        run
        for letter in found
        for run in (letter.shared.ranges if letter.shared else [(letter.origin.offset, letter.origin.offset)])
    ]
    return [offset for first, last in runs for offset in range(first, last + 1)]


def test_within_the_budget_every_record_has_a_letter_as_it_came() -> None:
    found = list(LetterBudget(100).within(letters(50), LEAST, NOW_S))
    assert found == list(letters(50))


def test_beyond_it_the_rest_shares_one_letter_that_says_which_they_are() -> None:
    found = list(LetterBudget(1).within(letters(1_000), LEAST, NOW_S))
    assert len(found) == BURST_S + 1
    assert offsets(found) == list(range(1_000))
    last = found[-1]
    assert last.shared is not None
    assert (last.origin.offset, last.shared.last, last.shared.records) == (10, 999, 990)
    assert last.shared.reasons == {"invalid": 495, "not-json": 495}
    assert "990 records at offsets 10 to 999 (495 invalid, 495 not-json)" in last.message


def test_the_budget_fills_again_with_time_and_does_not_if_the_clock_goes_back() -> None:
    budget = LetterBudget(1)
    assert [len(list(budget.within(letters(100), LEAST, now_s))) for now_s in (NOW_S, NOW_S, 900.0, 903.0)] == [
        *(BURST_S + 1, 1, 1, 4),
    ]


def test_records_that_are_too_far_apart_have_one_run() -> None:
    (found,) = [*LetterBudget(1).within(letters(10_000, step=2), LEAST, NOW_S)][BURST_S:]
    assert found.shared is not None
    assert found.shared.ranges == [(20, 19_998)]
    assert found.shared.records == 9_990
    assert size(found) <= LEAST


def test_the_letters_of_a_batch_are_bounded_in_bytes() -> None:
    found = list(LetterBudget(10_000).within(letters(1_000, b"x" * 60_000), 100_000, NOW_S))
    assert sum(map(size, found)) <= MOST_BATCH_BYTES
    assert offsets(found) == list(range(1_000))
    assert len(found) > 100


def test_a_single_record_beyond_the_budget_keeps_a_letter_of_its_own() -> None:
    budget = LetterBudget(1)
    list(budget.within(letters(100), LEAST, NOW_S))
    assert list(budget.within(letters(1), LEAST, NOW_S)) == list(letters(1))


@settings(max_examples=60)
@given(
    st.binary(max_size=2_000) | st.none(),
    st.binary(max_size=2_000) | st.none(),
    st.text(max_size=500),
    st.integers(1, 200),
    st.integers(0, 999_999_999),
    st.integers(0, 2**62),
)
def test_no_letter_is_larger_than_it_may_be(
    key: bytes | None, value: bytes | None, message: str, times: int, attempts: int, offset: int
) -> None:
    """`times`: the record as often as it takes to be larger than any limit."""
    letter = DeadLetter(
        Origin("t" * 249, 999, offset),
        key and key * times,
        value and value * times,
        *("not-json", message, attempts),
    )
    (found,) = LetterBudget(1).within([letter], LEAST, NOW_S)
    assert size(found) <= LEAST
    assert found.identity == letter.identity
    bare = sum(len(name) + len(value) for name, value in letter.bare_headers())
    assert bare <= 4_000
    assert read(found.key, found.value, found.headers()) == (found if message.isprintable() else read_again(found))


def read_again(found: DeadLetter) -> DeadLetter:
    """What has surrogates comes back without them."""
    return found._replace(message=found.message.encode(errors="replace").decode())


@pytest.mark.parametrize("length", [4_100_000, 10_000_000])
def test_a_shortened_letter_says_how_it_began_how_long_it_was_and_how_to_know_it_again(length: int) -> None:
    value = b'{"event_id": "' + b"x" * length
    letter = DeadLetter(Origin("posts", 3, 7), b"ann", value, "oversized", "too large")
    (found,) = LetterBudget(1).within([letter], 1_000_000, NOW_S)
    assert found.whole is not None
    assert (found.key, found.value, found.whole.value_bytes, found.whole.head) == (
        b"ann",
        None,
        len(value),
        value[:4096],
    )
    assert found.is_elsewhere
    assert not found.is_withheld
    assert found.identity == letter.identity
