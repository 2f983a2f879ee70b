"""The watchdog in a process of its own: it ends one that stands still, and the log says where that was."""

import json
import os
import subprocess
import sys
from typing import Literal

import pytest

from stream_app.engine.liveness.exit_codes import Exit
from tests.servers.tracker import ROOT

_LIMIT_S = 30.0
_PROGRAM = """
import logging, time
from unittest.mock import Mock
from stream_app.engine.liveness import watchdog
from stream_app.logs import start_logging
from stream_app.settings import Settings

start_logging(Settings(log_format={log_format!r}))
watchdog._CHECK_S = 0.05
health, monitor = Mock(live=lambda: (False, {{"stuck": "posts-0"}})), Mock(answers=True)
watchdog.Watchdog(health, monitor, 0.2, lambda: False).watch()

def stand_still():
    {body}

stand_still()
"""
_FOREVER = "time.sleep(60)"


def command(log_format: str, body: str) -> tuple[str, ...]:
    return sys.executable, "-c", _PROGRAM.format(log_format=log_format, body=body)


def environment() -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_APP_")}
    return {**clean, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_the_stacks_of_all_threads_are_one_record_of_the_log(log_format: Literal["json", "text"]) -> None:
    done = subprocess.run(
        command(log_format, _FOREVER), env=environment(), capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    assert done.returncode == Exit.STALLED, done.stderr
    lines = done.stderr.splitlines()
    if log_format == "json":
        doing, last = (json.loads(line)["message"] for line in lines)
    else:
        records = [number for number, line in enumerate(lines) if not line.startswith("    ")]
        assert records == [0, len(lines) - 1], "further lines of a record are indented"
        doing, last = "\n".join(lines[:-1]), lines[-1]
    assert "thread MainThread" in doing
    assert "in stand_still" in doing
    assert "thread watchdog" in doing
    assert "exit status 70, STALLED" in last
    assert "posts-0" in last


def test_a_worker_that_stands_still_because_nobody_reads_its_log_ends_too() -> None:
    body = "[logging.getLogger(str(number)).error('x' * 5000) for number in range(10_000)]"
    with subprocess.Popen(command("json", body), env=environment(), stderr=subprocess.PIPE) as process:
        assert process.wait(_LIMIT_S) == Exit.STALLED
