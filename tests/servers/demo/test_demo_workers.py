"""The worker processes of the demo: restarted when they die, ended with it, and their ports."""

import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stream_app.demo import workers as workers_module
from stream_app.demo.embedded import process
from stream_app.demo.embedded.process import LOCALHOST, free_port
from stream_app.demo.workers import WorkerFailedError, Workers
from stream_app.settings import Settings


def test_a_worker_that_dies_is_started_again_and_at_last_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_command: Sequence[str], log: Any, _variables: Any) -> Any:
        return process.spawn([sys.executable, "-c", "raise SystemExit('no room here')"], log)

    monkeypatch.setattr(workers_module, "spawn", broken)
    news = []
    with Workers(Settings(http_port=0), 1, tmp_path) as workers:
        for _ in range(workers_module.MOST_DEATHS - 1):
            workers._workers[0].process.wait(20)
            news += workers.revive()
        workers._workers[0].process.wait(20)
        with pytest.raises(WorkerFailedError, match=r"(?s)died 3 times, at last by exit status 1; .*no room here"):
            workers.revive()
    assert news == ["worker 1 died by exit status 1 (no room here) and was started again"] * 2


def test_workers_that_do_not_end_are_ended_by_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stubborn(_command: Sequence[str], log: Any, _variables: Any) -> Any:
        code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
        started = process.spawn([sys.executable, "-c", code], log)
        while b"up" not in Path(log.name).read_bytes():
            pass
        return started

    monkeypatch.setattr(workers_module, "spawn", stubborn)
    monkeypatch.setattr(workers_module, "_STOP_S", 0.2)
    with Workers(Settings(http_port=0), 2, tmp_path) as workers:
        processes = [worker.process for worker in workers._workers]
    assert [process.returncode for process in processes] == [-9, -9]


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.create_server((LOCALHOST, 0)) as server:
        taken = server.getsockname()[1]
        port = free_port(LOCALHOST, taken)
    assert port not in {0, taken}
    assert free_port(LOCALHOST, port) == port


def test_no_port_is_free_on_another_machine() -> None:
    assert free_port("192.0.2.1", 6066) == 0
