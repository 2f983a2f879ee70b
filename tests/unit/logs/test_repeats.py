"""Repeated log lines: a new line is logged at once, and every suppressed line is counted."""

import logging
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from io import StringIO
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.logs import logging_config
from stream_app.logs.repeats import Repeats
from stream_app.settings import Settings
from tests.waiting import eventually

ERROR, WARNING, INFO = logging.ERROR, logging.WARNING, logging.INFO
FETCH = "Failed fetch messages from %s: %s"


def line(text: str, *args: object, level: int = WARNING, name: str = "aiokafka", **given: object) -> logging.LogRecord:
    record = logging.LogRecord(name, level, "", 1, text, args, None)
    record.__dict__.update(given)
    return record


def failed(fail: Callable[[], object]) -> logging.LogRecord:
    """The line of an error that was caught, with its traceback."""
    try:
        fail()
    except ValueError:
        return logging.LogRecord("mode", ERROR, "", 1, "Crashed", (), sys.exc_info())
    raise AssertionError("it did not fail")


def one() -> None:
    raise ValueError("no 1 here")


def another() -> None:
    raise ValueError("no 2 here")


def because_of(why: str) -> Callable[[], None]:
    def fail() -> None:
        try:
            raise KeyError(why)
        except KeyError as error:
            raise ValueError from error

    return fail


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (line("%d came", 1), line("%d came", 2)),
        (line("%s-%d stands still", "posts", 1), line("%s-%d stands still", "shares", 7)),
        (line(FETCH, 1, OSError(111, "refused")), line(FETCH, 2, OSError(111, "refused"))),
        (line("lost <Task at 0x7f1a>, 3 times"), line("lost <Task at 0x7f2b>, 44 times")),
        (failed(one), failed(one)),
        (line("bad", kind="malformed"), line("bad", kind="malformed")),
    ],
)
def test_a_line_that_differs_only_in_numbers_and_names_is_suppressed(
    first: logging.LogRecord, second: logging.LogRecord
) -> None:
    repeats = Repeats()
    assert repeats.is_news(first, 0.0)
    assert not repeats.is_news(second, 29.9)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (line("away"), line("gone")),
        (line("away"), line("away", name="faust")),
        (line("away"), line("away", level=ERROR)),
        (line(FETCH, 1, OSError("refused")), line(FETCH, 1, ConnectionError("refused"))),
        (line(FETCH, 1, OSError("refused")), line(FETCH, 1, OSError("reset by peer"))),
        (line("failed due to: %s", OSError), line("failed due to: %s", ValueError)),
        (line("Crashed", level=ERROR, name="mode"), failed(one)),
        (failed(one), failed(another)),
        (failed(because_of("this")), failed(because_of("that"))),
        (line("bad", kind="malformed"), line("bad", kind="misrouted")),
        (line("progress", level=INFO), line("progress", level=INFO)),
    ],
)
def test_a_line_that_is_new_is_logged_at_once(first: logging.LogRecord, second: logging.LogRecord) -> None:
    repeats = Repeats()
    assert repeats.is_news(first, 0.0)
    assert repeats.is_news(second, 0.0)


def test_suppressed_lines_are_logged_with_their_number() -> None:
    repeats = Repeats()
    for number in range(314):
        assert repeats.is_news(line("line %d", number), number / 100) == (number == 0)
    assert repeats.due(29.9) == []
    (repeated,) = repeats.due(30.4)
    assert repeated.record.getMessage() == "line 313"
    assert repeated.rest == " (and 312 more like it in 30 s)"


def test_a_single_suppressed_line_is_logged_unchanged() -> None:
    repeats = Repeats()
    for number in range(2):
        repeats.is_news(line("line %d", number), 0.0)
    (repeated,) = repeats.due(30.0)
    assert (repeated.record.getMessage(), repeated.rest) == ("line 1", "")


def test_after_quiet_time_a_line_is_news_again() -> None:
    repeats = Repeats()
    assert repeats.is_news(line("away"), 0.0)
    assert repeats.due(30.0) == []
    assert repeats.is_news(line("away"), 30.1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.0, 20.0)), max_size=60))
def test_every_line_is_logged_or_counted_and_none_more_often_than_allowed(steps: list[tuple[str, float]]) -> None:
    repeats, now_s = Repeats(), 0.0
    accounted: Counter[str] = Counter()
    logged_s = defaultdict(list)

    def take(at_s: float, *, end: bool = False) -> None:
        for repeated in repeats.everything(at_s) if end else repeats.due(at_s):
            counted = re.search(r"and (\d+) more", repeated.rest)
            accounted[repeated.record.msg] += 1 + int(counted[1] if counted else 0)
            if not end:
                logged_s[repeated.record.msg].append(at_s)

    for text, pause_s in steps:
        now_s += pause_s
        take(now_s)
        if repeats.is_news(line(text), now_s):
            accounted[text] += 1
            logged_s[text].append(now_s)
        take(now_s)
    take(now_s, end=True)
    assert accounted == Counter(text for text, _ in steps)
    for times in logged_s.values():
        assert all(later - earlier >= 30.0 for earlier, later in pairwise(times))
    assert repeats.everything(now_s) == []


Writer = logging.StreamHandler[StringIO]


@pytest.fixture
def writer() -> Iterator[Writer]:
    """What writes a worker's lines, into a text."""
    config = logging_config(Settings())
    handler: Writer = config["handlers"]["stderr"]["()"]()
    handler.setFormatter(config["formatters"]["line"]["()"]())
    handler.setStream(StringIO())
    yield handler
    handler.close()


def test_the_number_stands_before_the_traceback(writer: Writer) -> None:
    for _ in range(3):
        writer.handle(failed(one))
    writer.close()
    first, second = re.findall(r"mode: (.*)\n    Traceback", writer.stream.getvalue())
    assert first == "Crashed"
    assert re.fullmatch(r"Crashed \(and 1 more like it in \d+ s\)", second)


def test_suppressed_lines_are_logged_even_if_no_other_line_follows(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        writer.handle(line("away %d", number))
    assert "away 2" not in writer.stream.getvalue()
    monkeypatch.setattr("stream_app.logs.repeats.EVERY_S", 0.0)
    assert eventually(lambda: "away 2" in writer.stream.getvalue(), 5.0)


def test_the_line_that_ends_a_worker_comes_after_the_suppressed_lines(writer: Writer) -> None:
    for level in (WARNING, WARNING, logging.CRITICAL):
        writer.handle(line("a line", level=level))
    writer.close()
    assert [text.split()[1] for text in writer.stream.getvalue().splitlines()] == ["WARNING", "WARNING", "CRITICAL"]


def test_nothing_is_suppressed_after_the_end(writer: Writer) -> None:
    writer.close()
    for number in (1, 2):
        writer.handle(line("away %d", number))
    assert writer.stream.getvalue().count("away") == 2
