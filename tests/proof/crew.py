"""The workers of a proof, and who starts them again: what systemd or Kubernetes do, and the faults besides."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from urllib.error import URLError
from urllib.request import urlopen

from tests.servers.tracker import Tracker, Worker

_LOOK_S = 0.1
_ANSWER_S = 3.0
_STOP_S = 20.0
KILLED = -signal.SIGKILL


class Crew:
    """Keeps so many workers running; one that ends by itself is started again, and its exit status noted."""

    def __init__(self, run: Tracker, wanted: int, start: Callable[[], Worker] | None = None) -> None:
        """`start`: how a worker is started, if not as the tracker does it."""
        self._run = run
        self._start = start or run.start
        self._wanted = wanted
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="crew", daemon=True)
        self.members: list[Worker] = []
        self.endings: Counter[int] = Counter()
        """Exit statuses of workers that ended by themselves."""
        self.started = 0
        self.peak_rss_mb = 0.0
        """The most resident memory a member was seen with."""

    def __enter__(self) -> Self:
        self._fill()
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def kill(self, *workers: Worker) -> None:
        """SIGKILL them; others are started at once."""
        with self._lock:
            for worker in workers:
                self.members.remove(worker)
                worker.kill()
            self._fill()

    def scale(self, wanted: int) -> list[tuple[int, float]]:
        """Have so many workers: starts new ones, or ends the newest by SIGTERM; exit status and seconds of those."""
        with self._lock:
            self._wanted = wanted
            leaving = self.members[wanted:]
            del self.members[wanted:]
            self._fill()
        return [end_politely(worker) for worker in leaving]

    def replace(self, worker: Worker) -> tuple[int, float]:
        """SIGTERM to one worker while it works, and start another; its exit status and the seconds it took."""
        with self._lock:
            self.members.remove(worker)
        ended = end_politely(worker)
        with self._lock:
            self._fill()
        return ended

    def freeze(self, worker: Worker) -> None:
        """SIGSTOP: it does not notice that time passes."""
        worker.process.send_signal(signal.SIGSTOP)

    def thaw(self, worker: Worker) -> None:
        """SIGCONT."""
        worker.process.send_signal(signal.SIGCONT)

    def _fill(self) -> None:
        while len(self.members) < self._wanted:
            self.members.append(self._start())
            self.started += 1

    def _keep(self) -> None:
        while not self._stop.wait(_LOOK_S):
            with self._lock:
                for worker in list(self.members):
                    status = worker.process.poll()
                    if status is not None:
                        self.members.remove(worker)
                        self.endings[status] += 1
                    else:
                        self.peak_rss_mb = max(self.peak_rss_mb, rss_mb(worker.process.pid))
                self._fill()


def end_politely(worker: Worker) -> tuple[int, float]:
    """SIGTERM; the exit status and the seconds it took. A worker that does not end is killed."""
    began_s = time.monotonic()
    worker.process.terminate()
    try:
        status = worker.process.wait(_STOP_S)
    finally:
        worker.kill()
    return status, time.monotonic() - began_s


def rss_mb(pid: int) -> float:
    """Resident memory of a process, in MB (10^6 bytes); 0 once it has ended."""
    try:
        fields = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")
    except OSError:
        return 0.0
    return int(fields[1].split()[0]) * 1024 / 1e6 if len(fields) > 1 else 0.0


def asked(worker: Worker, path: str) -> tuple[int, str]:
    """Status and body of what a worker answers over HTTP; (0, reason) when it does not."""
    port = worker.said_of_itself("/readyz on http://127.0.0.1:")
    if port is None:
        return 0, "it does not serve yet"
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=_ANSWER_S) as response:
            return response.status, response.read().decode()
    except URLError as error:
        read: Any = getattr(error, "read", None)
        return getattr(error, "code", 0), read().decode() if read else str(error)
    except OSError as error:
        return 0, str(error)
