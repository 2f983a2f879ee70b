"""What a real worker writes to stderr: as JSON nothing but objects, at DEBUG too; and what its signals do."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.servers.tracker import Worker, tracker, variables
from tests.waiting import eventually

WAIT_S = 60.0
_PROGRAM = """
import json, os, sys
os.environ.update(json.loads(sys.argv.pop()))
from stream_app.cli import main
main(["worker"])
"""
COMMAND = (sys.executable, "-c", _PROGRAM)

pytestmark = pytest.mark.timeout(200)


def lines_of(worker: Worker) -> list[dict[str, Any]]:
    """Every complete line that the worker has written."""
    text = Path(worker.log.name).read_text()
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def logged(worker: Worker, words: str) -> bool:
    return eventually(lambda: any(words in line["message"] for line in lines_of(worker)), WAIT_S)


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_a_worker_writes_nothing_but_json(level: str, brokers: str, tmp_path: Path) -> None:
    environment = variables(brokers, f"json{level.lower()}", partitions="2", log_format="json", log_level=level)
    with tracker(environment, tmp_path, workers=0) as tracked:
        worker = tracked.start(COMMAND)
        assert logged(worker, "took over 2 partitions"), worker.said()
        worker.process.send_signal(signal.SIGUSR1)
        assert logged(worker, "logging everything" if level == "INFO" else "SIGUSR1"), worker.said()
        worker.process.send_signal(signal.SIGUSR2)
        assert logged(worker, "SIGUSR2: thread MainThread"), worker.said()
        worker.process.send_signal(signal.SIGUSR1)
        assert logged(worker, f"logging from {level} on again"), worker.said()
        worker.process.terminate()
        assert worker.process.wait(WAIT_S) == 0
        found = lines_of(worker)
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in found)
    verbose = next(number for number, line in enumerate(found) if "SIGUSR1" in line["message"])
    if level == "INFO":
        calm = found[:verbose]
        assert not [line for line in calm if line["message"].endswith(("Starting...", "Stopping..."))]
        assert "DEBUG" not in {line["level"] for line in calm}
        assert any(line["level"] == "DEBUG" for line in found[verbose:])
