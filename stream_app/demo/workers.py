"""The worker processes of a demo: started, watched, restarted when they die, ended with the demo."""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from stream_app.demo.embedded.process import free_port, spawn
from stream_app.settings import Settings
from stream_app.settings.text import as_environment

MOST_DEATHS = 3
"""After so many deaths a worker is not restarted."""
_STOP_S = 5.0
_TAIL_LINES = 15


class WorkerFailedError(RuntimeError):
    """A worker died too often; the message says how, and quotes the end of its log."""


class _DemoWorker:
    """One worker, across restarts."""

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
        text = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(text[-lines:]) or "it wrote nothing"


class Workers:
    """All workers of a demo, for the length of a block; enter it in a thread that lives as long as they do."""

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
        """End them, by SIGKILL after a few seconds."""
        self._end()

    @property
    def http_port(self) -> int:
        """The port of the first worker; 0 where the system chooses one."""
        return self._workers[0].settings.http_port

    def revive(self) -> list[str]:
        """Restart the workers that have died; returns a line for each. Raises WorkerFailedError after MOST_DEATHS."""
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
