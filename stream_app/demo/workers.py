"""The worker processes of a demo: started, watched, started again when they die, ended with the demo."""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

import msgspec

from stream_app.demo.embedded.process import free_port, spawn
from stream_app.settings import Settings
from stream_app.settings.text import as_environment

MOST_DEATHS = 3
"""A worker that has died so often is not started again."""
_STOP_S = 5.0
_TAIL_LINES = 15


class WorkerFailedError(RuntimeError):
    """A worker dies again and again; the message tells how and shows its last words."""


class WorkerState(NamedTuple):
    """How a worker is."""

    number: int
    pid: int
    http_port: int
    """0 where the system chose one."""
    deaths: int


class _DemoWorker:
    """One worker, through all its processes."""

    def __init__(self, number: int, settings: Settings, log_file: Path) -> None:
        self.number = number
        self.settings = settings
        self.log_file = log_file
        self.deaths = 0
        self.log: IO[bytes] = log_file.open("ab")
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        return spawn([sys.executable, "-m", "stream_app", "worker"], self.log, as_environment(self.settings))

    def restart(self) -> None:
        self.process = self._start()

    def tail(self, lines: int) -> str:
        """The last lines of its log."""
        text = self.log_file.read_text(errors="replace").splitlines()
        return "\n".join(text[-lines:]) or "it wrote nothing"


class Workers:
    """All workers of a demo, for the length of a block; enter it in a thread that stays."""

    def __init__(self, settings: Settings, count: int, folder: Path) -> None:
        """`folder` takes their logs."""
        self._settings = settings
        self._count = count
        self.folder = folder
        self._workers: list[_DemoWorker] = []

    def __enter__(self) -> Self:
        """Start them."""
        try:
            for number in range(1, self._count + 1):
                port = free_port(self._settings.http_host, self._settings.http_port if number == 1 else 0)
                settings = msgspec.structs.replace(self._settings, http_port=port)
                self._workers.append(_DemoWorker(number, settings, self.folder / f"worker-{number}.log"))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them, by force where they take more than a few seconds."""
        self._end()

    def states(self) -> list[WorkerState]:
        """How they are."""
        return [
            WorkerState(worker.number, worker.process.pid, worker.settings.http_port, worker.deaths)
            for worker in self._workers
        ]

    def revive(self) -> list[str]:
        """Start those again that have died; tells of each in a line. Raises WorkerFailedError after MOST_DEATHS."""
        news = []
        for worker in self._workers:
            status = worker.process.poll()
            if status is None:
                continue
            worker.deaths += 1
            how = _how(status)
            if worker.deaths >= MOST_DEATHS:
                raise WorkerFailedError(
                    f"worker {worker.number} has died {worker.deaths} times, at last by {how}; "
                    f"the end of its log, {worker.log_file}:\n{worker.tail(_TAIL_LINES)}"
                )
            last_words = f" ({worker.tail(lines=1)})" if status > 0 else ""
            worker.restart()
            news.append(f"worker {worker.number} died by {how}{last_words} and was started again")
        return news

    def _end(self) -> None:
        try:
            for worker in self._workers:
                worker.process.terminate()
            deadline = time.monotonic() + _STOP_S
            for worker in self._workers:
                with suppress(subprocess.TimeoutExpired):
                    worker.process.wait(max(deadline - time.monotonic(), 0.0))
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.process.wait()
                worker.log.close()


def _how(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"
