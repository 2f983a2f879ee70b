"""No stack dump and no log line names a person, whatever the level, and whatever a library or an error says."""

import json
import logging
import re
import sys
import threading
from pathlib import Path

import aiokafka
import faust
import kafka
import msgspec
import pytest

from stream_app.logs.error_texts import LEFT_OUT
from stream_app.logs.formats import JsonLines, TextLines
from stream_app.logs.verbosity import Verbosity
from stream_app.settings import Settings
from stream_app.stacks import stacks

NAME = "ann.almond@example.com"
_SHOWS_RECORDS = re.compile(
    r"log\.(?:debug|dev)\(.{0,120}?(?:key=%|k=%r|yielded|Recv: %r|Request %d|Produce Request)", re.DOTALL
)


def lines_of(record: logging.LogRecord) -> list[str]:
    """The record in both forms."""
    return [form(Settings(), ()).format(record) for form in (TextLines, JsonLines)]


def raised(error: BaseException) -> logging.LogRecord:
    """A record about an error with what it was raised from."""
    error.__context__ = KeyError(NAME)
    try:
        raise error
    except type(error):
        return logging.LogRecord("x", 40, "f", 1, "failed: %r and %s", (error, error), sys.exc_info())


@pytest.mark.parametrize(
    "error",
    [
        KeyError(NAME),
        ValueError(f"invalid literal for int() with base 10: {NAME!r}"),
        msgspec.ValidationError(f"Invalid enum value {NAME!r}"),
        UnicodeEncodeError("ascii", NAME + "\xe9", 0, 1, NAME),
        AssertionError(f"{NAME} is not there"),
        ExceptionGroup("several", [KeyError(NAME), TypeError(NAME)]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_text_of_an_error_that_is_made_of_data_is_left_out(error: BaseException) -> None:
    for line in lines_of(raised(error)):
        assert NAME not in line
        assert type(error).__name__ in line
        assert LEFT_OUT in line


def test_errors_written_for_people_are_shown() -> None:
    for error in (OSError(28, "No space left on device"), RuntimeError("the group is away")):
        record = logging.LogRecord("x", 40, "f", 1, "failed: %s", (error,), None)
        assert all(str(error) in line for line in lines_of(record))


def test_a_task_that_nobody_waited_for_is_logged_without_its_repr() -> None:
    error = KeyError(NAME)
    text = f"Task exception was never retrieved\nfuture: <Task finished exception={error!r}>"
    record = logging.LogRecord("asyncio", 40, "f", 1, text, None, (KeyError, error, None))
    assert all(NAME not in line for line in lines_of(record))


def test_a_field_of_a_record_that_is_an_error_is_without_data() -> None:
    record = logging.LogRecord("x", 40, "f", 1, "failed", None, None)
    record.kind = KeyError(NAME)
    assert NAME not in json.dumps(lines_of(record))


def test_stacks_have_places_in_the_code_and_no_values() -> None:
    ready, end = threading.Event(), threading.Event()

    def stands_still(user: str) -> None:
        named = {user: user}
        ready.set()
        end.wait(5.0)
        assert named

    thread = threading.Thread(target=stands_still, args=(NAME,), name="counting")
    thread.start()
    ready.wait(5.0)
    text = "\n".join(stack.text for stack in stacks() if stack.name == "counting")
    end.set()
    thread.join()
    assert "end.wait(5.0)" in text
    assert NAME not in text


@pytest.mark.usefixtures("root_level")
def test_when_everything_is_logged_no_library_shows_records() -> None:
    verbosity = Verbosity("INFO", 60.0)
    verbosity.toggle()
    found = []
    for package in (aiokafka, kafka, faust):
        folder = Path(package.__file__ or "").parent
        for file in folder.rglob("*.py"):
            if _SHOWS_RECORDS.search(file.read_text()):
                name = ".".join((folder.name, *file.relative_to(folder).with_suffix("").parts))
                found.append(name)
                assert not logging.getLogger(name).isEnabledFor(logging.DEBUG), name
    verbosity.toggle()
    assert {"aiokafka.producer.producer", "kafka.producer.kafka", "faust.transport.consumer"} <= {*found}
    assert not logging.getLogger("kafka.net").isEnabledFor(logging.ERROR)
