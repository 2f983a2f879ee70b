"""When a failed message is sent again."""

from hypothesis import given
from hypothesis import strategies as st

from stream_app.alerts.sinks.retry import MAX_BACKOFF_S, RetrySchedule, backoff_s


def test_the_backoff_doubles_up_to_five_minutes() -> None:
    assert [backoff_s(failures) for failures in (1, 2, 3, 4, 9, 10, 1000)] == [1, 2, 4, 8, 256, 300, MAX_BACKOFF_S]


def test_a_sink_that_fails_is_left_alone_and_then_gets_another_message() -> None:
    schedule = RetrySchedule()
    keys = ["a", "b"]
    assert schedule.next(keys, 0) == "a"
    schedule.failed("a", 0, wait_s=0)
    assert schedule.next(keys, 0.9) is None
    assert schedule.next(["a", "b"], 1.0) == "a"
    schedule.failed("a", 1, wait_s=0)
    assert schedule.next(keys, 3.0) == "a"
    schedule.failed("b", 3, wait_s=0)
    assert schedule.next(keys, 7.0) == "a"


def test_a_message_that_always_fails_does_not_hold_up_the_others() -> None:
    schedule = RetrySchedule()
    for _ in range(8):
        schedule.failed("bad", 0, wait_s=0)
    schedule.done("good")
    assert schedule.next(["bad", "other"], 1) == "other"
    assert schedule.attempts("bad") == 8


def test_a_sink_is_left_alone_for_as_long_as_it_asks() -> None:
    schedule = RetrySchedule()
    schedule.failed("a", 0, wait_s=60)
    assert schedule.next(["a", "b"], 59) is None
    assert schedule.next(["a", "b"], 60) == "a"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 1000)), max_size=30))
def test_every_message_is_sent_again_within_the_longest_backoff(steps: list[tuple[str, bool, float]]) -> None:
    schedule, now_s = RetrySchedule(), 0.0
    for key, is_done, wait_s in steps:
        if is_done:
            schedule.done(key)
        else:
            schedule.failed(key, now_s, 0)
        now_s += wait_s
    assert schedule.next("abc", now_s + MAX_BACKOFF_S) == "a"
