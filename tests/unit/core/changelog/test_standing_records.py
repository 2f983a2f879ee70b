"""Standings as a worker stores them: no field of the flag is lost; unreadable ones raise when they are decoded."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.changelog.columns import FormatError
from stream_app.core.changelog.standing_records import flag_of, kept, readable, standing_key
from stream_app.core.messages import Flag
from tests.board_samples import a_flag

COUNTS = ("value", "threshold", "rank", "rule", "window_start", "window_end", "event_time", "detected_at")
RATES = ("share", "short_rate", "long_rate", "rate_error", "z", "events")
FLAGS = st.builds(
    Flag,
    **dict.fromkeys(COUNTS, st.integers(-(2**63), 2**63 - 1)),
    **dict.fromkeys(RATES, st.floats(-1e12, 1e12)),
    eta_s=st.none() | st.floats(0, 1e9),
)


@given(FLAGS)
def test_a_flag_comes_back_as_it_was(flag: Flag) -> None:
    assert flag_of(kept(msgspec.json.encode(flag))) == flag


def test_a_standing_takes_less_than_half_of_the_json() -> None:
    json = msgspec.json.encode(a_flag())
    assert len(kept(json)) < len(json) / 2


@pytest.mark.parametrize("value", [b"", b"{", b'{"flag_id":"f"}', b"\xff"])
def test_an_unreadable_standing_raises_when_it_is_decoded_not_when_it_is_stored(value: bytes) -> None:
    with pytest.raises(FormatError, match="another release"):
        flag_of(kept(value))


def test_a_standing_that_a_former_owner_wrote_too_late_is_left_out() -> None:
    flags = [msgspec.structs.replace(a_flag(), detected_at=at) for at in (2000, 2000, 1000)]
    first, again, late = map(msgspec.json.encode, flags)
    key = standing_key(a_flag())
    before = readable(key, first)
    assert before is not None
    assert readable(key, again, before) == before
    assert readable(key, late, before) is None
    assert readable(key, late) is not None, "once the standing has ended, it looks like a new one"


def test_a_standing_from_before_any_time_is_one() -> None:
    """0.2 has written such; left out, its user would be flagged once more."""
    start_ms = -(2**62)
    flag = msgspec.structs.replace(a_flag(), event_time=start_ms, window_start=start_ms - 10**8, window_end=start_ms)
    value = readable(standing_key(flag), msgspec.json.encode(flag))
    assert value is not None
    assert flag_of(value) == flag
