"""The credit of an event: how many impressions, and for which user."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.events.credit import Credits, ViewRates, credit
from stream_app.core.events.schema import Event, Post, Share
from tests.naive import naive_people

PEOPLE = st.one_of(st.none(), st.integers(-2, 10**11), st.floats(-2, 10**6, allow_nan=False))


def _credit(*events: Event, kind: type[Event] = Post, rates: ViewRates | None = None) -> Credits:
    return credit(events, kind, rates or ViewRates())


def _post(**fields: object) -> Post:
    return Post(**{"event_id": "e", "ts": 1, "user_id": "u", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("audience", "impressions", "worth", "unknown"),
    [
        pytest.param(None, None, 0, True, id="nothing known"),
        pytest.param(0, None, 0, False, id="shown to nobody"),
        pytest.param(-1, None, 0, True, id="negative audience"),
        pytest.param(100, None, 50, False, id="audience times view rate"),
        pytest.param(5, None, 2, False, id="rounded to whole people"),
        pytest.param(100, 7, 7, False, id="measured wins"),
        pytest.param(100, 0, 0, False, id="measured zero wins"),
        pytest.param(100, -1, 50, False, id="negative measured is not measured"),
        pytest.param(None, 7, 7, False, id="measured alone"),
        pytest.param(-1, -1, 0, True, id="both negative"),
        pytest.param(100_000_000_000, None, 50_000_000_000, False, id="the largest"),
    ],
)
def test_impressions_are_the_measured_ones_or_audience_times_view_rate(
    audience: int | None, impressions: int | None, worth: int, unknown: bool
) -> None:
    made = _credit(_post(audience=audience, impressions=impressions), rates=ViewRates(0.5))
    assert made.impressions.tolist() == [worth]
    assert made.unknown.tolist() == [unknown]


def test_a_channel_has_its_own_view_rate() -> None:
    events = [_post(audience=1000, channel=channel) for channel in ("mail", "video", None)]
    rates = ViewRates(0.5, {"mail": 0.25, "": 1.0})
    assert _credit(*events, rates=ViewRates(0.5, {"mail": 0.25})).impressions.tolist() == [250, 500, 500]
    assert _credit(*events[:2], rates=rates).impressions.tolist() == [250, 500]


def test_a_share_is_no_post_and_its_impressions_are_the_sharers() -> None:
    made = _credit(Share(event_id=1, ts=1, user_id="sharer", author_id="author", audience=9), kind=Share)
    assert (made.posts.tolist(), made.impressions.tolist(), list(made.users)) == ([0], [9], ["sharer"])


def test_an_id_is_the_same_as_a_number_and_as_text() -> None:
    made = _credit(_post(event_id=5, user_id=7), _post(event_id="5", user_id="7"), _post(event_id="05", user_id="07"))
    assert list(made.users) == ["7", "7", "07"]
    assert len(np.unique(made.hashes)) == 2


def test_times_are_epoch_milliseconds_however_written_and_fractions_go_down() -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    events = [
        _post(ts=1_475_712_000_123),
        _post(ts=dt.datetime(2016, 10, 6, 2, 0, 0, 123_999, zone)),
        _post(ts=dt.datetime(1969, 12, 31, 23, 59, 59, 999_500, dt.UTC)),
        _post(ts=dt.datetime(1, 1, 1, tzinfo=zone)),
    ]
    assert _credit(*events).ts_ms.tolist() == [1_475_712_000_123, 1_475_712_000_123, -1, -62_135_604_000_000]
    assert _credit(*events[:1]).ts_ms.tolist() == [1_475_712_000_123]


@settings(max_examples=50)
@given(st.lists(st.tuples(PEOPLE, PEOPLE), max_size=20))
def test_a_batch_is_worth_what_its_events_are(people: list[tuple[float | None, float | None]]) -> None:
    events = [_post(audience=audience, impressions=impressions) for audience, impressions in people]
    made = _credit(*events)
    expected = [naive_people(event) for event in events]
    assert made.impressions.tolist() == [worth or 0 for worth in expected]
    assert made.unknown.tolist() == [worth is None for worth in expected]
