"""Log lines as text and JSON: every record is one line, whatever it holds, with zone, level, fields and traceback."""

import datetime as dt
import json
import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import TopicAuthorizationFailedError

from stream_app.logs import logging_config
from stream_app.settings import Settings
from stream_app.settings.secret import Secret

PLANTED = 'planted-"Pa55"-long'


def formatter(form: str, **given_settings: Any) -> logging.Formatter:
    config = logging_config(Settings(log_format=form, **given_settings))  # type: ignore[arg-type]
    made: logging.Formatter = config["formatters"]["line"]["()"]()
    return made


def record(text: object, *args: object, exc_info: Any = None, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("aiokafka", logging.WARNING, "", 1, text, args, exc_info)
    made.__dict__.update(fields)
    return made


def as_json(written: logging.LogRecord, **given_settings: Any) -> dict[str, Any]:
    line = formatter("json", **given_settings).format(written)
    assert len(line.splitlines()) == 1
    assert line.isascii()
    found: dict[str, Any] = json.loads(line, parse_constant=pytest.fail)
    return found


def test_a_json_line_has_time_level_logger_and_message() -> None:
    before = dt.datetime.now(dt.UTC) - dt.timedelta(milliseconds=1)
    found = as_json(record("%d lost", 3))
    assert {name: found[name] for name in ("level", "logger", "message")} == {
        "level": "WARNING",
        "logger": "aiokafka",
        "message": "3 lost",
    }
    assert [*found] == ["time", "level", "logger", "message"]
    assert before <= dt.datetime.fromisoformat(found["time"]) <= dt.datetime.now(dt.UTC)


def test_the_time_has_a_zone_in_text_too() -> None:
    time = formatter("text").format(record("x")).split()[0]
    assert dt.datetime.fromisoformat(time).tzinfo is not None


def test_fields_of_the_caller_are_fields_of_the_line() -> None:
    found = as_json(record("x", kind=("a", 3), partition=7, ratio=float("nan"), who=RuntimeError("y"), on=True))
    assert found["kind"] == ["a", 3]
    assert (found["partition"], found["ratio"], found["who"], found["on"]) == (7, "nan", "y", True)


def test_a_field_cannot_replace_what_every_line_has() -> None:
    assert as_json(record("x", level="FAKE", time="FAKE", logger="FAKE"))["level"] == "WARNING"


def failing(text: str) -> Any:
    try:
        raise RuntimeError(text)
    except RuntimeError:
        return sys.exc_info()


def test_a_traceback_is_in_the_line() -> None:
    found = as_json(record("crashed", exc_info=failing("why\nso")))
    assert found["exception"].startswith("Traceback (most recent call last)")
    assert found["exception"].endswith("RuntimeError: why\nso")


def test_neither_messages_nor_fields_nor_tracebacks_hold_a_secret() -> None:
    own = {"kafka_protocol": "SASL_SSL", "kafka_user": "ann", "kafka_password": Secret(PLANTED)}
    written = record("with %s", {"password": PLANTED}, exc_info=failing(PLANTED), given=PLANTED, more=[PLANTED])
    assert "Pa55" not in json.dumps(as_json(written, **own))


def test_kafkas_refusal_comes_with_a_hint() -> None:
    error = TopicAuthorizationFailedError("influence.posts")
    assert len(as_json(record("failed: %r", error))["message"]) > len(f"failed: {error!r}")


@pytest.mark.parametrize("form", ["text", "json"])
def test_wrong_arguments_do_not_cost_the_line(form: str) -> None:
    class Unshowable:
        def __repr__(self) -> str:
            raise RuntimeError

    for written in (record("%d of %d", 1), record("%d", "x"), record("%r", Unshowable())):
        assert str(written.msg) in formatter(form).format(written)


@given(st.text(), st.text(st.characters(categories=["Cc", "Cs", "Zl", "Zp"])))
def test_any_message_is_one_json_line(text: str, strange: str) -> None:
    whole = (text + strange).encode(errors="backslashreplace").decode()
    assert as_json(record("%s", text + strange))["message"] == whole


@given(st.text(), st.text(st.characters(categories=["Cc", "Zl", "Zp"])))
def test_no_message_looks_like_another_record_or_moves_the_cursor(text: str, strange: str) -> None:
    first, *others = formatter("text").format(record("%s", text + strange, exc_info=failing(strange))).split("\n")
    assert first.count("WARNING  aiokafka: ") >= 1
    assert all(line.startswith("    ") for line in others)
    assert not any(character < " " and character != "\t" for line in (first, *others) for character in line)
