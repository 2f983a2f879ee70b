"""Dead letters: the headers that are written can be read again, and no content of a header raises."""

from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.events.dead_letter import (
    HEADER,
    DeadLetter,
    Origin,
    attempt_headers,
    attempts_of,
    read,
    replayed_headers,
)

ORIGIN = Origin("influence.posts", 3, 2**40)
NAMES = ("topic", "partition", "offset", "exception", "replayed", "attempts")
LETTER = DeadLetter(ORIGIN, b"ann", b"\xff{", "not-json", "not a JSON object in UTF-8: é", 2)


def test_a_dead_letter_is_read_as_it_was_written() -> None:
    assert read(LETTER.key, LETTER.value, LETTER.headers()) == LETTER
    first = LETTER._replace(attempts=0, key=None, value=None)
    assert read(None, None, first.headers()) == first
    assert len(first.headers()) == 5


def test_a_replay_marker_is_read_as_the_identity_of_its_dead_letter() -> None:
    assert read(None, None, replayed_headers(LETTER.identity)) == LETTER.identity


def test_copies_of_a_dead_letter_are_equal_and_other_dead_letters_are_not() -> None:
    assert LETTER._replace(message="in other words", attempts=0).identity == LETTER.identity
    others = [
        LETTER._replace(origin=ORIGIN._replace(offset=1)),
        LETTER._replace(value=b"\xff"),
        LETTER._replace(key=b"ann\xff", value=b"{"),
        LETTER._replace(key=None),
        LETTER._replace(key=b""),
    ]
    assert len({LETTER.identity, *(other.identity for other in others)}) == 6


def test_attempts_are_read_from_the_header_of_a_record() -> None:
    assert attempts_of(attempt_headers(7)) == 7
    assert attempts_of([]) == attempts_of([("__streams.errors.attempts", None)]) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*(HEADER + name for name in NAMES), HEADER, "x", ""]),
            st.none() | st.binary(max_size=30) | st.integers().map(lambda n: b"%d" % n),
        )
    )
)
def test_any_headers_can_be_read(headers: list[tuple[str, bytes | None]]) -> None:
    last = dict(headers)
    topic, partition, offset, exception, replayed, attempts = (last.get(HEADER + name) for name in NAMES)
    has_origin = topic is not None and _is_number(partition, 9) and _is_number(offset, 19)
    has_reason = exception is not None or replayed is not None
    assert (read(b"k", b"v", headers) is not None) == (has_origin and has_reason)
    assert attempts_of(headers) == (int(attempts or 0) if _is_number(attempts, 9) else 0)


def _is_number(text: bytes | None, most_digits: int) -> bool:
    return text is not None and text.isdigit() and len(text) <= most_digits
