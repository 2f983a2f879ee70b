"""What a process writes to stderr: nothing but JSON where that is asked for, and as much as its signals ask for."""

import json
import logging
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from stream_app.logs.verbosity import Verbosity, log_stacks
from tests.servers.tracker import ROOT
from tests.waiting import eventually

_LIMIT_S = 30.0

PROGRAM = """
import logging, sys, threading, warnings
from stream_app.logs import start_logging
from stream_app.settings import Settings
start_logging(Settings(log_format="json"))
{body}
"""
BODIES = {
    "a warning": ("import warnings; warnings.warn('old\\nway')", "py.warnings", "old\nway", 0),
    "an exception": ("raise ValueError('why')", "stream_app.logs.uncaught", "ValueError", 1),
    "a thread": (
        "thread = threading.Thread(target=lambda: 1 / 0, name='sums'); thread.start(); thread.join()",
        "stream_app.logs.uncaught",
        "the thread sums has ended",
        0,
    ),
    "a finaliser": (
        "class Loud:\n    def __del__(self):\n        raise ValueError('why')\nLoud()",
        "stream_app.logs.uncaught",
        "Loud.__del__",
        0,
    ),
    "a library": ("logging.getLogger('aiohttp.server').error('%s', 'broken')", "aiohttp.server", "broken", 0),
    "another library": ("logging.getLogger('kafka.conn').critical('gone')", "kafka.conn", "gone", 0),
}


def lines_of(*command: str, status: int, **environ: str) -> list[dict[str, Any]]:
    """What a command writes to stderr; every line is an object."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_APP_")}
    result = subprocess.run(
        [sys.executable, *command],
        env={**clean, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        check=False,
        text=True,
        timeout=_LIMIT_S,
    )
    assert result.returncode == status, result.stderr
    assert result.stdout == ""
    found = [json.loads(line) for line in result.stderr.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in found)
    return found


@pytest.mark.parametrize(("body", "logger", "words", "status"), BODIES.values(), ids=BODIES)
def test_what_python_and_libraries_say_is_json_too(body: str, logger: str, words: str, status: int) -> None:
    (line,) = lines_of("-c", PROGRAM.format(body=body), status=status)
    assert line["logger"] == logger
    assert words in line["message"]
    assert ("exception" in line) == (logger == "stream_app.logs.uncaught")


@pytest.mark.parametrize(
    ("words", "environ", "status", "message"),
    [
        (("worker", "--window", "soon"), {}, 2, "--window='soon'"),
        (("worker", "--no-such-flag"), {}, 2, "No such option"),
        (("worker", "--http-port", "0", "--brokers", "127.0.0.1:1"), {}, 1, "no Kafka answers at 127.0.0.1:1"),
        (("worker",), {"STREAM_APP_WINDOWS": "1"}, 2, "did you mean STREAM_APP_WINDOW_S"),
        (("--env-file", "no/such/file", "worker"), {}, 2, "cannot be read"),
        (("alerts", "run"), {}, 1, "STREAM_APP_ALERTS_FILE"),
    ],
)
@pytest.mark.parametrize("by_flag", [False, True])
def test_the_error_that_ends_a_service_is_json_too(
    words: tuple[str, ...], environ: dict[str, str], status: int, message: str, by_flag: bool
) -> None:
    asked = ("--log-format", "json") if by_flag else ()
    environ = environ if by_flag else {**environ, "STREAM_APP_LOG_FORMAT": "json"}
    (line,) = lines_of("-m", "stream_app", *words, *asked, status=status, **environ)
    assert message in line["message"]
    assert line["level"] == "CRITICAL"
    assert "exception" not in line


def test_an_error_of_another_command_is_for_people_still() -> None:
    command = [sys.executable, "-m", "stream_app", "top", "--redis-url", "no"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "STREAM_APP_LOG_FORMAT": "json"}
    result = subprocess.run(command, env=environ, capture_output=True, check=False, text=True, timeout=_LIMIT_S)
    assert result.returncode > 0
    assert result.stderr.splitlines()[-1].startswith("Error: ")


def heard(name: str = "stream_app.somewhere") -> bool:
    return logging.getLogger(name).isEnabledFor(logging.DEBUG)


@pytest.mark.usefixtures("root_level")
def test_a_signal_logs_everything_for_a_while_and_another_ends_that() -> None:
    verbosity = Verbosity("WARNING", verbose_s=60.0)
    verbosity.listen()
    for expected in (True, False, True, False):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert eventually(lambda want=expected: heard() == heard("aiokafka") == want, 5.0)  # type: ignore[misc]
    assert logging.getLogger().level == logging.WARNING
    assert logging.getLogger("kafka").level == logging.CRITICAL


@pytest.mark.usefixtures("root_level")
def test_it_ends_by_itself() -> None:
    Verbosity("INFO", verbose_s=0.05).toggle()
    assert heard()
    assert eventually(lambda: not heard(), 5.0)


def test_what_every_thread_does_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    log_stacks()
    (line,) = [line for line in caplog.messages if "thread MainThread" in line]
    assert "test_what_every_thread_does_is_logged" in line
